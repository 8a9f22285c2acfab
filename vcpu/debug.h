/* Debugging a vCPU from outside: its registers by number, breakpoint instructions, watched addresses, single steps. The vCPU is
 * not bound to any CPU and its owner calls, unless said otherwise. What a debugger has asked for survives a reset of the vCPU. */
#pragma once
#include "vcpu/vcpu.h"

/* The registers in GDB's order, and the XML document that describes them ("Debugging with GDB", appendix G). */
extern const char vcpu_debug_description[];
#define VCPU_DEBUG_REG_BYTES 16U /* the widest */
u32 vcpu_debug_reg_count(void);
/* Bytes of a register below the count. */
u32 vcpu_debug_reg_size(u32 reg);
/* Copy a register out, in the guest's byte order. */
void vcpu_debug_reg_read(struct vcpu *v, u32 reg, u8 *bytes);
/* 0; -E_INVAL: not a value for it; -E_NOSYS: this one is only read. */
MUST_CHECK int vcpu_debug_reg_write(struct vcpu *v, u32 reg, const u8 *bytes);

/* An instruction that is a breakpoint, without an operand. */
extern const u8 vcpu_debug_trap[];
#define VCPU_DEBUG_TRAP_MAX 4U
u32 vcpu_debug_trap_len(void);

/* From now on breakpoint instructions that the guest meets end vcpu_run() with DEBUG, or no longer. */
void vcpu_debug_attach(struct vcpu *v, bool on);
/* Addresses that the hardware watches, as the guest's code and data have them; accesses that are emulated, or a device's, are not
 * seen. Execution stops before the instruction, an access of data behind it. */
#define VCPU_DEBUG_POINTS 4U
enum vcpu_debug_type { VCPU_DEBUG_NOTHING, VCPU_DEBUG_EXECUTE, VCPU_DEBUG_WRITE, VCPU_DEBUG_ACCESS };
struct vcpu_debug_point {
    enum vcpu_debug_type type;
    u32 len;     /* 1, or of data 2, 4 or 8 */
    u64 address; /* a multiple of len */
};
/* Watch these and no others: they end vcpu_run() with DEBUG. While there are any the guest's own debug registers do nothing, but
 * read as it wrote them. None: they are as if nothing had been. */
void vcpu_debug_watch(struct vcpu *v, const struct vcpu_debug_point points[VCPU_DEBUG_POINTS]);

/* The next instruction, and no more, is executed: DEBUG follows. Interrupts wait meanwhile, and a halt ends; an exception that the
 * instruction raises is handled first. */
void vcpu_debug_step(struct vcpu *v);
/* Forget a step that is not over. */
void vcpu_debug_step_cancel(struct vcpu *v);

/* Where it stands, as an address of the guest's memory. Owner CPU. */
gva_t vcpu_debug_address(struct vcpu *v);
/* The breakpoint instruction that DEBUG told of is the guest's own: it gets the exception. Owner CPU. */
void vcpu_debug_pass(struct vcpu *v);
