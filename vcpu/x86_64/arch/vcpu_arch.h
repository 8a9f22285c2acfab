/* Contract of vcpu/: the x86 vCPU's registers and the state in which a guest starts. */
#pragma once
#include "kernel/lib/types.h"

enum { X86_RAX, X86_RCX, X86_RDX, X86_RBX, X86_RSP, X86_RBP, X86_RSI, X86_RDI, X86_R8, X86_R9, X86_R10, X86_R11, X86_R12,
       X86_R13, X86_R14, X86_R15, X86_GPRS };
enum { X86_ES, X86_CS, X86_SS, X86_DS, X86_FS, X86_GS, X86_LDTR, X86_TR, X86_SEGS };

/* A segment register with its hidden part. attr has the layout of SDM 25.4.1 "access rights": type 3:0, S 4, DPL 6:5,
 * P 7, AVL 12, L 13, D/B 14, G 15, unusable 16. */
struct x86_seg {
    u16 selector;
    u32 attr;
    u32 limit; /* in bytes, expanded */
    u64 base;
};

struct x86_dtr {
    u64 base;
    u32 limit;
};

/* Register groups: what a backend fetches lazily and flushes when dirty. CORE and the GPRs are valid after every exit. */
#define X86_G_CORE BIT32(0) /* rip, rflags, gpr[RSP], interruptibility */
#define X86_G_SEG BIT32(1)  /* seg[], cpl */
#define X86_G_DT BIT32(2)   /* gdtr, idtr */
#define X86_G_CR BIT32(3)   /* cr0, cr2, cr3, cr4, efer, pat */
#define X86_G_DR BIT32(4)   /* dr7; on AMD dr0-3 and dr6, too, which on Intel change when the vCPU is loaded and unloaded */
#define X86_G_SYS BIT32(5)  /* sysenter_*, star, lstar, cstar, sfmask, kernel_gs_base */
/* cpl and code_bits, a cheap way to what most exits want of CR and SEG. Never dirty, not in ALL: x86_cpl() and
 * x86_code_bits() know when the others have newer values. */
#define X86_G_MODE BIT32(6)
#define X86_G_ALL (X86_G_CORE | X86_G_SEG | X86_G_DT | X86_G_CR | X86_G_DR | X86_G_SYS)

#define X86_BLOCK_STI BIT32(0)
#define X86_BLOCK_MOVSS BIT32(1)
#define X86_BLOCK_NMI BIT32(3)

struct x86_pending_exception {
    bool valid;
    u8 vector;
    bool has_error;
    u32 error;
    u64 cr2; /* loaded on delivery of #PF */
};

#define X86_SPECIAL_TRIPLE_FAULT BIT32(0) /* a fault during #DF: the exit SHUTDOWN in place of the next entry */
#define X86_SPECIAL_STEP BIT32(1)         /* TF is set for a debugger outside, who wants one instruction executed */
#define X86_SPECIAL_STEPPED BIT32(2)      /* the trap of that is due: the exit DEBUG in place of the next entry */

struct x86_moves;

/* What a debugger outside has asked for (vcpu/debug.h). A reset leaves it alone. */
struct x86_debug {
    bool attached; /* breakpoint instructions end vcpu_run() */
    bool own_tf;   /* X86_SPECIAL_STEP: TF was set by the guest, too */
    bool pushes;   /* and the instruction pushes the flags, TF with them */
    bool owns;     /* the CPU's debug registers: dr[], dr6 and dr7 are its, the guest's are in own_dr */
    u64 points[4], control; /* what it wants in DR0 to DR3 and DR7 */
};

struct x86_debug_regs {
    u64 dr[4], dr6, dr7;
};

/* Records of KVM's paravirtual interface that the guest has asked for: its MSRs. Gone with a reset. */
struct x86_pv {
    u64 clock, wall, steal, eoi;
    u32 clock_version, wall_version;
    void *steal_record; /* windows into guest memory, NULL: off */
    u32 *eoi_word;
};

struct vcpu_arch {
    u64 gpr[X86_GPRS]; /* first: the entry stubs index it */
    u64 rip, rflags;
    u64 cr2; /* group CR */
    u64 shadow_rip; /* where an exit came in an interrupt shadow last, on one backend */
    u32 blocking; /* X86_BLOCK_* */
    u32 valid;    /* groups that v->arch holds as hardware does */
    u32 dirty;    /* groups to be written before the next entry; dirty implies valid */
    u64 cr0, cr3, cr4, cr8; /* as the guest sees them */
    u64 efer, pat;
    u64 pdpte[4]; /* for PAE paging outside long mode: as cr.c loaded them last */
    bool pdptes_loaded; /* and the hardware does not know yet */
    u8 cpl;
    u8 code_bits; /* group MODE: 16, 32 or 64 */
    struct x86_seg seg[X86_SEGS];
    struct x86_dtr gdtr, idtr;
    u64 dr[4], dr6, dr7;
    u64 sysenter_cs, sysenter_esp, sysenter_eip;
    u64 star, lstar, cstar, sfmask, kernel_gs_base, tsc_aux;
    u64 xcr0, xss;
    u64 misc_enable; /* MSRs kept for the guest, no hardware behind them */
    struct x86_mtrrs { u64 def_type, fixed[11], var[16]; } mtrr;
    u64 tsc_offset, tsc_adjust;
    struct x86_pv pv;
    struct x86_debug debug;
    void *fpu; /* XSAVE area, 64-byte aligned, owned by fpu.c */
    hpa_t fpu_pa;
    struct x86_pending_exception exception; /* to be delivered first */
    bool reinject;                          /* `interrupted` must be delivered again */
    u8 interrupted_type, interrupted_vector, interrupted_len;
    bool interrupted_has_error;
    u32 interrupted_error;
    bool nmi_pending;
    bool event_work; /* something of the above waits, or a window is armed: x86_before_entry() has to look */
    u8 special;       /* X86_SPECIAL_*: what entries ask for at once */
    u32 windows;      /* VCPU_WINDOW_* now armed in hardware */
    u64 s2_generation; /* stage-2 generation this vCPU last flushed for */
    u32 warned_msrs;     /* how many of warned_list are used: one log line per MSR, and no more than the list holds */
    u32 warned_list[16];
    struct x86_debug_regs own_dr; /* debug.owns: the guest's own debug registers */
    void *hw;         /* the backend's own structure */
    struct x86_moves *moves; /* what the emulator remembers */
};

/* The PC. */
static inline u64 vcpu_arch_pc(const struct vcpu_arch *arch)
{
    return arch->rip;
}

/* How a vCPU starts. Neutral code passes it through from loader to vcpu_set_entry(). */
enum x86_entry_mode { X86_ENTRY_REAL, X86_ENTRY_PROT, X86_ENTRY_LONG };
struct vcpu_entry {
    enum x86_entry_mode mode;
    u16 real_cs;  /* REAL: CS selector (base = selector * 16); DS, ES, SS = the same as real_ds */
    u16 real_ds;
    u64 rip;      /* REAL: the IP; else the linear address */
    u64 rsp;
    u64 gpr[X86_GPRS]; /* RSP here is ignored */
    u64 rflags;        /* bit 1 is set for you */
    u64 cr3;           /* LONG: page tables built by the loader */
    u64 gdt_base;      /* PROT, LONG: a GDT in guest memory, 0 = none */
    u32 gdt_limit;
    u16 cs_sel, ds_sel; /* PROT, LONG: selectors to show; flat 4 GiB (LONG: L=1) descriptors */
    bool reset_vector;  /* the architectural reset state: all other fields ignored */
};
