/* The table that a virtualization extension provides. Each op runs on the CPU that owns the vCPU unless said otherwise;
 * none sleeps, calls upward, decides policy, or prints text that a guest can trigger; only init allocates. */
#pragma once
#include "kernel/lib/types.h"
#include "mm/pt.h"
#include "vcpu/exit.h"

struct vcpu;
struct vcpu_assist; /* the ISA's own */

struct vcpu_caps {
    char missing[96];    /* when probe fails: what is missing, for the refusal line */
    char summary[160];   /* "vendor=.. revision=.. asids=.. levels=.. features=..", for the boot line; key=value words */
    u32 asids;           /* address-space tags, tag 0 (the host's) included; 0 = untagged */
    u8 stage2_levels;
    u8 max_leaf_level;   /* 0 4K, 1 2M, 2 1G */
    u8 phys_bits;
};

enum vcpu_event_type { VCPU_EVENT_IRQ, VCPU_EVENT_NMI, VCPU_EVENT_EXCEPTION, VCPU_EVENT_SOFT_IRQ,
                       VCPU_EVENT_SOFT_EXCEPTION, VCPU_EVENT_PRIV_SOFT_EXCEPTION };

struct vcpu_event {
    enum vcpu_event_type type;
    u8 vector;
    bool has_error;
    u32 error;
    u8 insn_len; /* of the instruction that raised a soft event */
};

enum vcpu_window { VCPU_WINDOW_IRQ = 1, VCPU_WINDOW_NMI = 2 };

struct vcpu_backend {
    const char *name;                      /* as the banner says it */
    const struct pt_format *nested_format;
    const struct vcpu_assist *assist;      /* hardware's help for the interrupt chip; NULL: none */

    int (*probe)(struct vcpu_caps *caps);  /* no side effects; 0, or -E_NOSYS with caps->missing set */
    int (*cpu_enable)(void);               /* this CPU; rolls back on failure: 0, -E_HW, -E_NOMEM */
    void (*cpu_disable)(void);             /* this CPU; no vCPU may be loaded on it */
    bool (*cpu_enabled)(void);             /* what this CPU itself says */

    int (*vcpu_init)(struct vcpu *v);      /* allocate and fill the control block; any CPU: 0, -E_NOMEM */
    void (*vcpu_fini)(struct vcpu *v);     /* free everything; v is not loaded anywhere; any CPU */
    /* controls back to their initial values; registers are the caller's; any CPU, not loaded */
    int (*vcpu_reset)(struct vcpu *v);

    int (*load)(struct vcpu *v);           /* bind to this CPU, IRQs off: 0 or -E_HW */
    void (*unload)(struct vcpu *v);        /* release so that another CPU can load it; registers land in v->arch */

    /* IRQs off: flush dirty state, deliver events, enter once, decode, again after an exit that needs
     * nobody and was counted, unless vcpu_must_leave() */
    void (*run)(struct vcpu *v, struct vcpu_exit *exit);
    /* The same, with a record of each exit (vcpu/trace.h): so run() has nothing to ask. */
    void (*run_traced)(struct vcpu *v, struct vcpu_exit *exit);

    void (*regs_fetch)(struct vcpu *v, u32 groups); /* hardware -> v->arch for the groups; sets them valid */
    void (*event_inject)(struct vcpu *v, const struct vcpu_event *event); /* with the next entry */
    void (*event_window)(struct vcpu *v, u32 windows); /* exit as soon as these VCPU_WINDOW_* open; 0 = none */
    void (*tlb_flush)(struct vcpu *v);     /* before the next entry: this vCPU's guest translations */
    void (*set_debug)(struct vcpu *v);     /* what v->arch asks for a debugger has changed; any CPU, not loaded */
    void (*set_time_offset)(struct vcpu *v, u64 offset_ticks);
    void (*dump)(struct vcpu *v);          /* log the raw control block after an entry failure */
};

/* The backends compiled in, for this ISA; NULL-terminated. Supplied by vcpu/<arch>. */
extern const struct vcpu_backend *const vcpu_backends[];
