/* Instructions that a guest may not have, or whose result has a rule (rows 25, 28, 30). */
#include "tests/guests/kit/kit.h"

#define GP 13
#define UD 6
#define DB 1
#define PORT_NOTHING 0x5A0
#define SEL_USER_DATA 0x23
#define SEL_USER_CODE 0x2B

/* --- IN by width --- */

static void check_in(void)
{
    u64 al = 0x1122334455667788ULL, ax = al, eax = al;

    __asm__ volatile("inb %w1, %%al" : "+a"(al) : "d"(PORT_NOTHING));
    __asm__ volatile("inw %w1, %%ax" : "+a"(ax) : "d"(PORT_NOTHING));
    __asm__ volatile("inl %w1, %%eax" : "+a"(eax) : "d"(PORT_NOTHING));
    check(al == 0x11223344556677FFULL && ax == 0x112233445566FFFFULL && eax == 0xFFFFFFFFULL, "in-width",
          "al=0x%lx ax=0x%lx eax=0x%lx", al, ax, eax);
}

/* --- hypercalls --- */

volatile u64 user_result;
static u8 user_stack[4096] __attribute__((aligned(16)));
static void *back[5];

/* Ring 3 calls, stores the answer, and returns to ring 0 by the #GP of HLT. */
void user_vmcall(void);
void user_vmmcall(void);
__asm__(".pushsection .text\n"
        "user_vmcall: vmcall\n\tmov %rax, user_result(%rip)\n\thlt\n"
        "user_vmmcall: vmmcall\n\tmov %rax, user_result(%rip)\n\thlt\n"
        ".popsection");

static void leave_user(u32 vector)
{
    (void)vector;
    __asm__ volatile("mov %0, %%ss" ::"r"(0x10));
    __builtin_longjmp(back, 1);
}

static __attribute__((noinline)) void call_from_user(u64 number)
{
    void (*code)(void) = on_amd() ? user_vmmcall : user_vmcall;

    set_handler(GP, leave_user);
    if (__builtin_setjmp(back) == 0) {
        __asm__ volatile("pushq %0\n\tpushq %1\n\tpushq $2\n\tpushq %2\n\tpushq %3\n\tiretq"
                         : : "i"(SEL_USER_DATA), "r"((u64)user_stack + sizeof(user_stack)), "i"(SEL_USER_CODE),
                           "r"((u64)code), "a"(number), "D"(7) : "memory");
    }
    set_handler(GP, NULL);
}

static void check_hypercalls(void)
{
    u64 a = 0x123456789ABCDEFULL, echo = hypercall(MOTE_HC_ECHO, a, ~0ULL, 3, 4, 5, 6);

    check(echo == a + 3 * ~0ULL + 5 * 3 + 7 * 4 + 11 * 5 + 13 * 6, "hypercall-echo", "result=0x%lx", echo);
    u64 unknown = hypercall(MOTE_HC_FIRST + 0xFFFF, 1, 2, 3, 4, 5, 6), kvm = hypercall(0x7FFF, 1, 2, 3, 4, 5, 6);
    check((long)unknown == MOTE_ENOSYS && (long)kvm == MOTE_ENOSYS, "hypercall-unknown", "%ld %ld", unknown, kvm);
    call_from_user(MOTE_HC_EXIT);
    check((long)user_result == MOTE_EPERM, "hypercall-user", "result=%ld", user_result);
}

/* --- what must fault, and how --- */

static u32 wrong;

static void expect(int vector, int want, const char *name)
{
    if (vector != want) {
        print("%s: vector %d, not %d\n", name, vector, want);
        wrong++;
    }
}

#define EXPECT(want, insn) expect(TRY(insn, : : "a"(0x200000), "b"(0x200000), "c"(0), "d"(0)), want, insn)

static void check_vendor_extensions(void)
{
    wrong = 0;
    EXPECT(UD, "vmxon (%%rax)");
    EXPECT(UD, "vmclear (%%rax)");
    EXPECT(UD, "vmptrld (%%rax)");
    EXPECT(UD, "vmptrst (%%rax)");
    EXPECT(UD, "vmlaunch");
    EXPECT(UD, "vmresume");
    EXPECT(UD, "vmxoff");
    EXPECT(UD, "vmread %%rcx, %%rdx");
    EXPECT(UD, "vmwrite %%rcx, %%rdx");
    EXPECT(UD, "invept (%%rax), %%rcx");
    EXPECT(UD, "invvpid (%%rax), %%rcx");
    EXPECT(UD, "vmrun");
    EXPECT(UD, "vmload");
    EXPECT(UD, "vmsave");
    EXPECT(UD, "stgi");
    EXPECT(UD, "clgi");
    EXPECT(UD, "skinit");
    EXPECT(UD, "invlpga");
    EXPECT(UD, ".byte 0x0F, 0x37"); /* GETSEC */
    if (on_amd()) {
        EXPECT(UD, "vmcall");
    } else {
        EXPECT(UD, "vmmcall");
    }
    check(wrong == 0, "vendor-extensions", "wrong=%u", wrong);
}

static void check_system(void)
{
    wrong = 0;
    EXPECT(NO_FAULT, "wbinvd");
    EXPECT(NO_FAULT, "invd");
    EXPECT(NO_FAULT, "pause");
    EXPECT(NO_FAULT, "invlpg (%%rax)");
    EXPECT(NO_FAULT, "rdtsc");
    EXPECT(NO_FAULT, "rdtscp");
    EXPECT(UD, ".byte 0x0F, 0x01, 0xC8"); /* MONITOR */
    EXPECT(UD, ".byte 0x0F, 0x01, 0xC9"); /* MWAIT */
    EXPECT(UD, "rsm");
    EXPECT(UD, "ud2");
    EXPECT(UD, "syscall");                                            /* EFER.SCE = 0 */
    EXPECT(UD, ".byte 0x66, 0x0F, 0x38, 0x82, 0x08");                 /* INVPCID */
    EXPECT(UD, ".byte 0x0F, 0x20, 0xC8");                             /* MOV RAX, CR1 */
    EXPECT(UD, ".byte 0x0F, 0x22, 0xF8");                             /* MOV CR7, RAX */
    EXPECT(GP, "rdpmc");
    EXPECT(3, "int3");
    int icebp = TRY(".byte 0xF1", : :); /* QEMU takes it for undefined under SVM */
    expect(icebp == UD ? DB : icebp, DB, "icebp");
    check(wrong == 0, "system-instructions", "wrong=%u", wrong);
}

/* --- debug registers --- */

static u32 steps, step_dr6;

static void count_step(u32 vector)
{
    (void)vector;
    steps++;
    step_dr6 += (READ_REG(dr6) >> 14 & 1) != 0;
    WRITE_REG(dr6, 0ULL);
}

static void check_debug(void)
{
    WRITE_REG(dr0, 0x1111111111ULL);
    WRITE_REG(dr1, 0x2222222222ULL);
    WRITE_REG(dr2, 0x3333333333ULL);
    WRITE_REG(dr3, 0x4444444444ULL);
    WRITE_REG(dr7, 0x500ULL);
    bool kept = READ_REG(dr0) == 0x1111111111ULL && READ_REG(dr1) == 0x2222222222ULL &&
                READ_REG(dr2) == 0x3333333333ULL && READ_REG(dr3) == 0x4444444444ULL && READ_REG(dr7) == 0x500;
    check(kept, "debug-registers", "dr7=0x%lx", READ_REG(dr7));
    static volatile u64 watched;
    WRITE_REG(dr6, 0ULL);
    WRITE_REG(dr0, (u64)&watched);
    WRITE_REG(dr7, 0x500ULL | 1 | 0xDULL << 16); /* write, 4 bytes */
    int v = TRY("movl $1, %0\n\tnop", : "=m"(watched) :);
    u64 dr6 = READ_REG(dr6);
    WRITE_REG(dr7, 0x400ULL);
    check(v == DB && (dr6 & 0xF) == 1, "data-breakpoint", "vector=%d dr6=0x%lx", v, dr6);
    set_handler(DB, count_step);
    __asm__ volatile("pushfq\n\torq $0x100, (%%rsp)\n\tpopfq\n\tnop\n\tcpuid\n\tnop\n\t"
                     "pushfq\n\tandq $~0x100, (%%rsp)\n\tpopfq" ::: "rax", "rbx", "rcx", "rdx", "memory", "cc");
    set_handler(DB, NULL);
    check(steps == 6 && step_dr6 == 6, /* an exit on the way, CPUID, counts like the others */
          "single-step", "steps=%u by-step=%u", steps, step_dr6);
}

void guest_main(void)
{
    check_in();
    check_hypercalls();
    check_vendor_extensions();
    check_system();
    check_debug();
}
