/* What the files of the VMX backend share. */
#pragma once
#include "vcpu/vcpu.h"
#include "vcpu/x86_64/assist.h"
#include "vcpu/x86_64/vmx/caps.h"
#include "vcpu/x86_64/vmx/vmcs.h"
#include "vcpu/x86_64/x86.h"

struct percpu;

/* What entry.asm reads and writes. */
struct vmx_entry_frame {
    u64 host_rsp; /* the value now in VMCS_HOST_RSP */
    u64 launched; /* VMRESUME rather than VMLAUNCH */
};
_Static_assert(offsetof(struct vmx_entry_frame, host_rsp) == 0, "entry.asm HOST_RSP");
_Static_assert(offsetof(struct vmx_entry_frame, launched) == 8, "entry.asm LAUNCHED");
_Static_assert(offsetof(struct vcpu_arch, gpr) == 0, "entry.asm GPR");
_Static_assert(offsetof(struct vcpu_arch, cr2) == 18 * 8, "entry.asm CR2");

/* The backend's part of a vCPU: v->arch.hw. */
struct vmx_vcpu {
    struct vmx_entry_frame frame;
    hpa_t vmcs;
    u16 vpid;        /* 0 = untagged */
    bool fresh;      /* the VMCS holds nothing yet: load() fills it */
    bool debug;      /* load() has to write what a debugger asks for */
    bool lent;       /* a debugger owned the debug registers when that was done last */
    bool timer;      /* the preemption timer is on */
    u32 loaded_cpu;  /* where the VMCS is current; CPU_MAX = nowhere */
    u32 last_cpu;    /* for which CPU the host state was written and translations are current */
    u32 proc, proc2, entry; /* controls as now in the VMCS */
    enum x86_help help;
    u8 threshold;     /* of the task priority, as now in the VMCS */
    u64 eoi_exits[4]; /* as now in the VMCS */
    u64 rflags, rsp; /* guest values as now in the VMCS: what did not change is not written */
    u32 blocking;
    u64 s2_generation; /* of the stage-2 tree at the last INVEPT */
    u64 cr0_owned, cr4_owned; /* bits that the guest changes without an exit */
    u64 tsc_offset;
    bool nmi_injected;    /* with the last entry */
    u32 entry_blocking;   /* blocking at the last entry */
    struct x86_exit exit; /* the exit being decoded; here and not on the stack: the hot path needs no stack guard */
};

static inline struct vmx_vcpu *vmx_of(const struct vcpu *v)
{
    return v->arch.hw;
}

extern struct vmx_caps vmx_caps;      /* backend.c: filled by probe, constant afterwards */
extern hpa_t vmx_msr_bitmap;          /* backend.c: one page for all vCPUs, made by the first cpu_enable() */

/* entry.asm: enter the guest with gpr[] (struct vcpu_arch) once. True when VMLAUNCH or VMRESUME itself failed. IRQs
 * off. */
bool vmx_enter(u64 *gpr, struct vmx_entry_frame *frame);
/* entry.asm: where the CPU continues after a VM exit; not a function. */
extern const char vmx_exit_point[];

/* --- enable.c: the privileged instructions through a table, so that the host tests can fake and fail them --- */
struct vmx_ops {
    u64 (*read_msr)(u32 msr);
    void (*write_msr)(u32 msr, u64 value);
    u64 (*read_cr0)(void);
    u64 (*read_cr4)(void);
    void (*write_cr4)(u64 value);
    int (*vmxon)(hpa_t region); /* 0 or -E_HW */
    void (*vmxoff)(void);
};
extern const struct vmx_ops vmx_hardware; /* ops.c */

/* Read every capability MSR. The CPU has VMX. */
void vmx_read_msrs(const struct vmx_ops *ops, struct vmx_msrs *msrs);
/* VMXON on the CPU that owns `cpu`; on failure CR4.VMXE is clear and the region returned. 0, -E_HW, -E_NOMEM. */
MUST_CHECK int vmx_cpu_start(const struct vmx_ops *ops, const struct vmx_caps *caps, struct percpu *cpu);
/* Undo vmx_cpu_start(). */
void vmx_cpu_stop(const struct vmx_ops *ops, struct percpu *cpu);

/* --- backend ops --- */
int vmx_vcpu_init(struct vcpu *v);
void vmx_vcpu_fini(struct vcpu *v);
int vmx_vcpu_reset(struct vcpu *v);
int vmx_load(struct vcpu *v);
void vmx_unload(struct vcpu *v);
void vmx_run(struct vcpu *v, struct vcpu_exit *exit);
void vmx_run_traced(struct vcpu *v, struct vcpu_exit *exit);
void vmx_regs_fetch(struct vcpu *v, u32 groups);
void vmx_event_inject(struct vcpu *v, const struct vcpu_event *event);
void vmx_event_window(struct vcpu *v, u32 windows);
void vmx_tlb_flush(struct vcpu *v);
void vmx_set_debug(struct vcpu *v);
void vmx_set_time_offset(struct vcpu *v, u64 offset_ticks);
void vmx_dump(struct vcpu *v);

/* --- between the files; all need the vCPU's VMCS current --- */
void vmx_controls_write(struct vcpu *v);   /* controls.c: everything constant, into a fresh VMCS */
void vmx_debug_write(struct vcpu *v);      /* controls.c: what a debugger asks for */
void vmx_host_write(void);                 /* host.c: this CPU's host state */
void vmx_regs_flush(struct vcpu *v);       /* regs.c: dirty groups into the VMCS */
void vmx_event_vectoring(struct vcpu *v);  /* events.c: an event whose delivery the exit interrupted */
void vmx_flush_all_of(struct vcpu *v);     /* tlb.c: whatever this CPU may have cached for the vCPU */
int vmx_assist_make(void);                 /* apic.c: what all vCPUs share; 0 or -E_NOMEM */
void vmx_assist_reset(struct vmx_vcpu *hw); /* apic.c: into a fresh VMCS */
extern const struct vcpu_assist vmx_assist; /* apic.c */
u16 vmx_vpid_alloc(void);                  /* tlb.c: 0 = none left or not supported */
void vmx_vpid_free(u16 vpid);
void vmx_flush_cpu(void);                  /* tlb.c: everything cached on this CPU for any guest */

/* --- exits.c: from the exit reason to hw->exit, by the table exit_reasons.def --- */
#define VMX_REASON_PLAIN 1U
#define VMX_REASON_INSN 2U
#define VMX_REASON_EVENT 4U
#define VMX_REASONS 64U

struct vmx_reason {
    u8 code;  /* enum x86_exit_code */
    u8 facts; /* VMX_REASON_* */
    void (*decode)(struct vcpu *v, struct x86_exit *xe);
};
extern const struct vmx_reason vmx_reasons[VMX_REASONS];
/* All of the exit when its row is not just PLAIN. */
void vmx_exit_details(struct vcpu *v, u64 basic);
