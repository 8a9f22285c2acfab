/* Inside of the instruction emulator: one instruction in flight, its operands, and guest memory as it sees it. Only
 * vcpu/x86_64/{emulate,decode_cr}*.c use this. Functions return 0, -E_GUEST (an exception is queued for the guest, nothing
 * is half done) or -E_NOSYS (the emulator does not know this instruction). */
#pragma once
#include "vcpu/x86_64/decode.h"
#include "vcpu/x86_64/x86.h"

/* Guest memory that has passed segmentation and paging: reading or writing it cannot fault any more. At most 16 bytes,
 * hence at most two pages. */
struct emu_span {
    u8 *page; /* in host memory, the one page in which all of it lies; NULL: reached by its address */
    u8 pieces;
    struct {
        gpa_t gpa;
        u8 len;
    } piece[2];
};

/* One side of a string instruction. */
struct emu_stream {
    bool used;
    u8 seg, reg;          /* where the next element is: segment, index register */
    u32 access;           /* X86_ACCESS_WRITE or 0 */
    struct emu_span span; /* that element */
};

/* Where an operand is. The order matters to nobody. */
enum emu_where {
    EMU_NONE,
    EMU_E,    /* ModRM: register or memory */
    EMU_G,    /* ModRM.reg */
    EMU_Z,    /* register in the opcode's low bits */
    EMU_A,    /* the accumulator */
    EMU_C,    /* CL */
    EMU_IMM,
    EMU_ONE,  /* the constant 1 */
    EMU_MOFFS, /* memory at the address in the code */
    EMU_EBIT, /* EMU_E, memory address moved by the bit number in ModRM.reg */
};

struct emu_operand {
    bool mem;
    u8 reg; /* when !mem: X86_NO_REG for a constant */
    u8 size;
    struct emu_span span;
    u64 value;
};

struct emu_op;
struct x86_emu {
    struct vcpu *v;
    struct vcpu_arch *a;
    struct x86_insn in;
    const struct emu_op *op;
    struct emu_operand dst, src;
    u64 flags;     /* RFLAGS as they will be */
    bool stay;     /* do not advance: iterations are left, or RIP was set */
};

typedef int emu_run(struct x86_emu *e);
#define EMU_RD BIT32(0)    /* dst is read */
#define EMU_WR BIT32(1)    /* dst is written */
#define EMU_LOCK BIT32(2)  /* LOCK is legal when dst is memory */
#define EMU_SELF BIT32(3)  /* run() opens its operands itself */
#define EMU_MEM BIT32(4)   /* only with a memory operand: #UD else */
#define EMU_RW (EMU_RD | EMU_WR)

/* How to execute one opcode. */
struct emu_op {
    emu_run *run;
    u8 dst, src;     /* enum emu_where */
    u8 size;         /* of dst: bytes, 0 = operand size */
    u8 src_size;     /* 0 = as dst */
    u8 arg;          /* for run() */
    u8 flags;        /* EMU_* */
    const struct emu_op *group; /* 8 entries by ModRM.reg */
};

/* Tables of emulate_table.c; entries without run and group are unknown. */
extern const struct emu_op emu_one[256];
extern const struct emu_op emu_0f[256];
extern const struct emu_op emu_movbe[2];

/* --- emulate_mem.c ------------------------------------------------------------------------------------------------- */

/* Segmentation and paging for size (1..16) bytes at seg:offset with X86_ACCESS_WRITE or 0; CPL is added. Queues #GP, #SS
 * or #PF. SDM Vol. 3 5.3 to 5.6 and 3.4. */
MUST_CHECK int emu_open(struct x86_emu *e, u8 seg, u64 offset, u8 size, u32 access, struct emu_span *span);
/* The same at a linear address in a descriptor table, which the CPU accesses as the supervisor: SDM Vol. 3 5.6.1. */
MUST_CHECK int emu_open_table(struct x86_emu *e, u64 linear, u8 size, u32 access, struct emu_span *span);
/* The same for the next element, size bytes (1, 2, 4, 8), of a string instruction. *count, elements that are wanted, becomes how
 * many of them the span serves when it is moved on by size, down with DF: at least 1. They lie in one page and all pass
 * segmentation. */
MUST_CHECK int emu_open_stream(struct x86_emu *e, struct emu_stream *s, u8 size, u64 *count);
/* RAM through config.mem->ram_*, what is no RAM through mmio in pieces of 8, 4, 2, 1 bytes. buf: at least the span. */
void emu_span_read(struct x86_emu *e, const struct emu_span *span, void *buf);
void emu_span_write(struct x86_emu *e, const struct emu_span *span, const void *buf);
/* Effective address of the ModRM or moffs operand, cut to the address size. */
u64 emu_address(const struct x86_emu *e);
/* Queue #GP(0) (real mode: without error code); returns -E_GUEST. Likewise #UD. */
int emu_gp(struct x86_emu *e);
int emu_ud(struct x86_emu *e);
bool emu_canonical(const struct x86_emu *e, u64 linear);

/* --- emulate_operand.c --------------------------------------------------------------------------------------------- */

/* Register by number and size; byte registers 4..7 without REX are AH..BH. Writes of 4 bytes clear bits 63:32. */
u64 emu_reg_read(const struct x86_emu *e, u8 reg, u8 size);
void emu_reg_write(struct x86_emu *e, u8 reg, u8 size, u64 value);
MUST_CHECK int emu_operand_open(struct x86_emu *e, struct emu_operand *o, u8 where, u32 access);
void emu_operand_load(struct x86_emu *e, struct emu_operand *o);
void emu_operand_store(struct x86_emu *e, struct emu_operand *o);
/* RSP, cut to the stack's width; and set, so far as that reaches: SDM Vol. 1 6.2.3. (emulate_stack.c) */
u64 emu_stack_pointer(const struct x86_emu *e);
void emu_set_stack_pointer(struct x86_emu *e, u64 value);
/* Queue vector with the selector as error code; returns -E_GUEST. (emulate_system.c) */
int emu_selector_fault(struct x86_emu *e, u8 vector, u16 selector);
/* The 16-bit r/m operand of in, which is the instruction at the PC (LMSW). */
MUST_CHECK int x86_emu_read_rm16(struct vcpu *v, const struct x86_insn *in, u64 *value);

/* --- execution: emulate_ops.c, emulate_stack.c, emulate_string.c, emulate_system.c, emulate_far.c --------------------- */
emu_run emu_alu, emu_mov, emu_movsx, emu_movbe_run, emu_test, emu_not, emu_neg, emu_incdec, emu_shift, emu_bit, emu_xchg,
    emu_xadd, emu_cmpxchg, emu_cmpxchg_pair, emu_setcc, emu_cmovcc, emu_smsw, emu_nothing;
emu_run emu_push, emu_pop, emu_pop_rm, emu_call, emu_jmp;
emu_run emu_string;
emu_run emu_ltr;
emu_run emu_ret_far, emu_jmp_far, emu_jmp_far_memory, emu_mov_sreg;
/* enum for emu_op.arg of emu_string */
enum emu_string_kind { EMU_MOVS, EMU_CMPS, EMU_STOS, EMU_LODS, EMU_SCAS, EMU_INS, EMU_OUTS };
