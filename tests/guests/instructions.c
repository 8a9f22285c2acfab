/* Instructions that could reach the host: what each does in ring 0 and in ring 3 (row 30), and the hypercall ABI
 * (row 28). Expectations are the manuals' for a CPU without the features that CPUID hides. */
#include "tests/guests/kit/kit.h"

#define DB 1
#define BP 3
#define UD 6
#define GP 13
#define OK NO_FAULT
#define ANY_VENDOR 0
#define ON_INTEL 1
#define ON_AMD 2
#define DR7_INIT 0x400

struct insn {
    const char *name;
    int vector;      /* in ring 0 */
    int user_vector; /* in ring 3 */
    u8 len;
    u8 bytes[8];
    u8 vendor;
};
#define INSN(name, vector, user_vector, ...) {name, vector, user_vector, sizeof((u8[]){__VA_ARGS__}), {__VA_ARGS__}, ANY_VENDOR}
#define INSN_ON(vendor, name, vector, user_vector, ...)                                                                \
    {name, vector, user_vector, sizeof((u8[]){__VA_ARGS__}), {__VA_ARGS__}, vendor}

/* RAX = RCX = RDX = 0, RBX = a page of memory. EITHER: #UD or #GP, the order of the two checks differs. */
#define EITHER (-2)
static const struct insn insns[] = {
    INSN("wbinvd", OK, GP, 0x0F, 0x09), INSN("invd", OK, GP, 0x0F, 0x08), INSN("wbnoinvd", OK, GP, 0xF3, 0x0F, 0x09),
    INSN("monitor", UD, UD, 0x0F, 0x01, 0xC8), INSN("mwait", UD, UD, 0x0F, 0x01, 0xC9),
    INSN("monitorx", UD, UD, 0x0F, 0x01, 0xFA), INSN("mwaitx", UD, UD, 0x0F, 0x01, 0xFB),
    INSN("umonitor", UD, UD, 0xF3, 0x0F, 0xAE, 0xF3), INSN("umwait", UD, UD, 0xF2, 0x0F, 0xAE, 0xF3),
    INSN("tpause", UD, UD, 0x66, 0x0F, 0xAE, 0xF3), INSN("getsec", UD, UD, 0x0F, 0x37), INSN("rsm", UD, UD, 0x0F, 0xAA),
    INSN("rdpmc", GP, GP, 0x0F, 0x33), INSN("rdpru", UD, UD, 0x0F, 0x01, 0xFD), INSN("ud2", UD, UD, 0x0F, 0x0B),
    INSN("int3", BP, GP, 0xCC), INSN("icebp", DB, DB, 0xF1), INSN("int-2", 2, GP, 0xCD, 0x02),
    INSN("syscall", UD, UD, 0x0F, 0x05), INSN("sysret", UD, UD, 0x48, 0x0F, 0x07), INSN("encls", UD, UD, 0x0F, 0x01, 0xCF),
    INSN("pconfig", UD, UD, 0x0F, 0x01, 0xC5), INSN("enclu", UD, UD, 0x0F, 0x01, 0xD7),
    INSN("invpcid", UD, UD, 0x66, 0x0F, 0x38, 0x82, 0x03), INSN("xsetbv-off", UD, EITHER, 0x0F, 0x01, 0xD1),
    INSN("xsaves-off", UD, UD, 0x48, 0x0F, 0xC7, 0x2B),
    /* VMX */
    INSN("vmlaunch", UD, UD, 0x0F, 0x01, 0xC2), INSN("vmresume", UD, UD, 0x0F, 0x01, 0xC3),
    INSN("vmxoff", UD, UD, 0x0F, 0x01, 0xC4), INSN("vmfunc", UD, UD, 0x0F, 0x01, 0xD4),
    INSN("vmread", UD, UD, 0x0F, 0x78, 0xC0), INSN("vmwrite", UD, UD, 0x0F, 0x79, 0xC0),
    INSN("vmptrld", UD, UD, 0x0F, 0xC7, 0x33), INSN("vmclear", UD, UD, 0x66, 0x0F, 0xC7, 0x33),
    INSN("vmxon", UD, UD, 0xF3, 0x0F, 0xC7, 0x33), INSN("vmptrst", UD, UD, 0x0F, 0xC7, 0x3B),
    INSN("invept", UD, UD, 0x66, 0x0F, 0x38, 0x80, 0x03), INSN("invvpid", UD, UD, 0x66, 0x0F, 0x38, 0x81, 0x03),
    INSN_ON(ON_AMD, "vmcall", UD, UD, 0x0F, 0x01, 0xC1),
    /* SVM: CPUs check the ring before the intercept */
    INSN("vmrun", UD, EITHER, 0x0F, 0x01, 0xD8), INSN("vmload", UD, EITHER, 0x0F, 0x01, 0xDA),
    INSN("vmsave", UD, EITHER, 0x0F, 0x01, 0xDB), INSN("stgi", UD, EITHER, 0x0F, 0x01, 0xDC),
    INSN("clgi", UD, EITHER, 0x0F, 0x01, 0xDD), INSN("skinit", UD, EITHER, 0x0F, 0x01, 0xDE),
    INSN("invlpga", UD, EITHER, 0x0F, 0x01, 0xDF), INSN_ON(ON_INTEL, "vmmcall", UD, UD, 0x0F, 0x01, 0xD9),
    /* privileged ones that work */
    INSN("clts", OK, GP, 0x0F, 0x06), INSN("invlpg", OK, GP, 0x0F, 0x01, 0x3B), INSN("rdtsc", OK, OK, 0x0F, 0x31),
    INSN("rdtscp", OK, OK, 0x0F, 0x01, 0xF9), INSN("pause", OK, OK, 0xF3, 0x90), INSN("cpuid", OK, OK, 0x0F, 0xA2),
    INSN("cpuid-66", OK, OK, 0x66, 0x0F, 0xA2), INSN("cpuid-rex", OK, OK, 0x48, 0x0F, 0xA2),
    INSN("cpuid-2e-67", OK, OK, 0x2E, 0x67, 0x0F, 0xA2), INSN("wbinvd-66", OK, GP, 0x66, 0x0F, 0x09),
    INSN("mov-cr0", OK, GP, 0x0F, 0x20, 0xC0), INSN("mov-cr8", OK, GP, 0x44, 0x0F, 0x20, 0xC0),
    INSN("mov-cr5", UD, EITHER, 0x0F, 0x20, 0xE8), INSN("mov-to-cr1", UD, EITHER, 0x0F, 0x22, 0xC8),
    INSN("mov-dr0", OK, GP, 0x0F, 0x21, 0xC0), INSN("mov-to-dr3", OK, GP, 0x0F, 0x23, 0xD8),
    INSN("rdmsr-none", GP, GP, 0x0F, 0x32), INSN("wrmsr-none", GP, GP, 0x0F, 0x30),
    INSN("lock-cpuid", UD, UD, 0xF0, 0x0F, 0xA2), INSN("lock-nop", UD, UD, 0xF0, 0x90),
};

static u8 code[32] __attribute__((aligned(32)));
static u8 memory[4096] __attribute__((aligned(4096)));
static volatile int nmi_seen;

static void load_code(const struct insn *insn, u8 end0, u8 end1, u8 end2)
{
    u32 r[4];

    memcpy(code, insn->bytes, insn->len);
    code[insn->len] = end0;
    code[insn->len + 1] = end1;
    code[insn->len + 2] = end2;
    cpuid(0, 0, r); /* serialises: the code was just written */
}

/* Traps are reported behind their instruction, faults at it. */
static bool at_right_place(const struct insn *insn, int vector)
{
    bool trap = vector == BP || (vector == DB && insn->vector == DB);

    return fault_rip == (u64)code + (trap ? insn->len : 0);
}

/* JMP R15 ends it: TRY() has the way back there. */
static int run_kernel(const struct insn *insn)
{
    u64 a = 0, b = (u64)memory, c = 0, d = 0;

    load_code(insn, 0x41, 0xFF, 0xE7);
    return TRY("jmp *%%rsi", : "+a"(a), "+b"(b), "+c"(c), "+d"(d) : "S"(code));
}

static void user_code(void)
{
    u64 a = 0, b = (u64)memory, c = 0, d = 0;

    __asm__ volatile("call *%%rsi" : "+a"(a), "+b"(b), "+c"(c), "+d"(d) : "S"(code) : "memory", "cc");
}

static bool as_expected(int expected, int vector)
{
    return expected == EITHER ? vector == UD || vector == GP : vector == expected;
}

static void try_insn(const struct insn *insn)
{
    nmi_seen = 0;
    int kernel = run_kernel(insn);
    kernel = nmi_seen != 0 ? 2 : kernel;
    bool placed = kernel == OK || kernel == 2 || at_right_place(insn, kernel);
    load_code(insn, 0xC3, 0, 0); /* RET */
    int user = run_user(user_code);
    if (user_returned(user)) {
        user = OK;
    } else {
        placed = placed && at_right_place(insn, user);
    }
    check(as_expected(insn->vector, kernel) && as_expected(insn->user_vector, user) && placed, insn->name,
          "ring0=%d ring3=%d placed=%d", kernel, user, placed);
}

static void on_nmi(u32 vector)
{
    (void)vector;
    nmi_seen = 1;
}

/* --- hypercalls --- */

struct registers {
    u64 rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15;
};
extern struct registers in, out; /* by name in call_with() */
extern volatile u64 call_rsp_before, call_rsp_after;
struct registers in, out;
volatile u64 call_rsp_before, call_rsp_after;

/* The call with every register given and every register read back. */
static __attribute__((noinline)) void call_with(bool amd)
{
#define LOAD(r) "mov in+%c[" #r "], %%" #r "\n\t"
#define STORE(r) "mov %%" #r ", out+%c[" #r "]\n\t"
#define EACH(X) X(rax) X(rbx) X(rcx) X(rdx) X(rsi) X(rdi) X(r8) X(r9) X(r10) X(r11) X(r12) X(r13) X(r14) X(r15) X(rbp)
#define OFFSET(r) [r] "i"(offsetof(struct registers, r)),
#define CALL(insn)                                                                                                     \
    __asm__ volatile("push %%rbp\n\tmov %%rsp, call_rsp_before\n\t" EACH(LOAD) insn "\n\t" EACH(STORE)                 \
                     "mov %%rsp, call_rsp_after\n\tpop %%rbp"                                                          \
                     : : EACH(OFFSET) "i"(0)                                                                          \
                     : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory")
    if (amd) {
        CALL("vmmcall");
    } else {
        CALL("vmcall");
    }
}

/* Only RAX may change. */
static bool others_kept(void)
{
    struct registers a = in, b = out;

    a.rax = b.rax = 0;
    return memcmp(&a, &b, sizeof(a)) == 0 && call_rsp_before == call_rsp_after;
}

static void fill(u64 number)
{
    u64 *words = (u64 *)&in;

    for (u32 i = 0; i < sizeof(in) / 8; i++) {
        words[i] = (u64)random32() << 32 | random32();
    }
    in.rax = number;
    memset(&out, 0, sizeof(out));
}

static void hypercalls(void)
{
    bool amd = on_amd();
    u32 wrong = 0;

    for (u32 i = 0; i < 100; i++) {
        fill(MOTE_HC_ECHO);
        call_with(amd);
        u64 sum = in.rdi + 3 * in.rsi + 5 * in.rdx + 7 * in.rcx + 11 * in.r8 + 13 * in.r9;
        wrong += out.rax != sum || !others_kept();
    }
    check(wrong == 0, "hypercall-echo", "wrong=%u", wrong);
    static const u64 unknown[] = {MOTE_HC_FIRST + 0x100, MOTE_HC_FIRST + 0xFFFF, MOTE_HC_FIRST - 1, 0xFFFFFFFF, ~0ULL, 0, 1, 3, 12,
                                  MOTE_HC_ECHO | 1ULL << 32, MOTE_HC_BREAK, MOTE_HC_CPU, MOTE_HC_MOVE};
    wrong = 0;
    for (u32 i = 0; i < ARRAY_SIZE(unknown); i++) {
        fill(unknown[i]);
        call_with(amd);
        bool bad = (long long)out.rax != MOTE_ENOSYS || !others_kept();
        if (bad) {
            print("hypercall 0x%lx gives %ld\n", unknown[i], (long)out.rax);
        }
        wrong += bad;
    }
    check(wrong == 0, "hypercall-unknown", "wrong=%u", wrong);
    fill(MOTE_HC_EXIT);
    in.rdi = 256;
    call_with(amd);
    check((long long)out.rax == MOTE_EINVAL && others_kept(), "hypercall-exit-range", "rax=%ld", (long)out.rax);
    fill(MOTE_HC_VERSION);
    call_with(amd);
    check(out.rax == MOTE_ABI_VERSION && others_kept(), "hypercall-version", "rax=%ld", (long)out.rax);
}

static bool user_amd;
static void user_call(void)
{
    call_with(user_amd);
}

static void user_hypercalls(void)
{
    static const u64 numbers[] = {MOTE_HC_EXIT, MOTE_HC_ECHO, MOTE_HC_PUTC, MOTE_HC_NMI, MOTE_HC_FIRST + 999, 3};
    u32 wrong = 0;

    user_amd = on_amd();
    for (u32 i = 0; i < ARRAY_SIZE(numbers); i++) {
        fill(numbers[i]);
        in.rdi = '!'; /* would be seen */
        int vector = run_user(user_call);
        wrong += !user_returned(vector) || (long long)out.rax != MOTE_EPERM || !others_kept();
    }
    check(wrong == 0, "hypercall-user", "wrong=%u", wrong);
}

/* In compatibility mode numbers and arguments are 32 bits wide. */
static void hypercall_32(void)
{
    static const u8 shape[] = {0x0F, 0x01, 0x00, 0xCB}; /* VMCALL or VMMCALL; far RET */
    static struct __attribute__((packed)) {
        u32 offset;
        u16 selector;
    } target = {0, 0x30};
    u64 a = 0xAAAAAAAA00000000ULL | MOTE_HC_ECHO, b = 0x1111111100000001ULL, c = 0x2222222200000002ULL,
        d = 0x3333333300000003ULL, e = 0x4444444400000004ULL;
    u32 r[4];

    memcpy(code, shape, sizeof(shape));
    code[2] = on_amd() ? 0xD9 : 0xC1;
    cpuid(0, 0, r);
    target.offset = (u32)(u64)code;
    register u64 r8 __asm__("r8") = 0;
    register u64 r9 __asm__("r9") = 0;
    /* The far return pops eight bytes in 32-bit code, where the far call pushed as many. */
    __asm__ volatile("lcall *%[target]" : "+a"(a), "+D"(b), "+S"(c), "+d"(d), "+c"(e), "+r"(r8), "+r"(r9)
                     : [target] "m"(target) : "memory", "cc");
    u64 sum = 1 + 3 * 2 + 5 * 3 + 7 * 4;
    check((u32)a == sum, "hypercall-32", "rax=0x%lx", a);
}

void guest_main(void)
{
    u32 r[4];

    cpuid(0, 0, r);
    set_handler(2, on_nmi);
    for (u32 i = 0; i < ARRAY_SIZE(insns); i++) {
        bool skip = (insns[i].vendor == ON_AMD && !on_amd()) || (insns[i].vendor == ON_INTEL && on_amd());
        if (!skip) {
            try_insn(&insns[i]);
        }
    }
    hypercalls();
    user_hypercalls();
    hypercall_32();
}
