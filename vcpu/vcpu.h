/* The vCPU: identity, state machine, requests, and the run call. Architecture-neutral.
 *
 *   Created -setup-> Free -bind-> Ready -run-> Running -exit-> Ready -unbind-> Free
 *                                               Running -halt-> Blocked -event-> Ready
 *   any -fault-> Invalid -reset-> Free
 *
 * Ownership: only the CPU to which a vCPU is bound touches v->arch. Everybody else sets a bit in `requests` and
 * kicks. */
#pragma once
#include "kernel/base/percpu.h"
#include "kernel/lib/cpuset.h"
#include "kernel/lib/types.h"
#include "mm/pt.h"
#include "vcpu/backend.h"
#include "vcpu/exit.h"
#include "vcpu/irqchip.h"
#include <arch/vcpu_arch.h>
#include <arch/vcpu_reasons.h>

#define VCPU_STATE_LIST(X) X(CREATED) X(FREE) X(READY) X(RUNNING) X(BLOCKED) X(INVALID)
enum vcpu_state {
#define VCPU_STATE_ENUM(name) VCPU_##name,
    VCPU_STATE_LIST(VCPU_STATE_ENUM)
#undef VCPU_STATE_ENUM
    VCPU_STATES
};

/* Requests: set by anybody with vcpu_request(), consumed by the owner before entry. */
#define VCPU_REQ_EVENT BIT32(0) /* look at the interrupt chip */
#define VCPU_REQ_NMI BIT32(1)
#define VCPU_REQ_FLUSH BIT32(2) /* guest translations */
#define VCPU_REQ_WAKE BIT32(4)  /* ends a halt, this one or the next, without any interrupt */
#define VCPU_REQ_STOP BIT32(3)  /* leave vcpu_run() with KICKED and stay out until the VM layer clears it */

/* How a vCPU reaches its VM: supplied at create, called on the owning CPU, IRQs on or off. */
struct vcpu_mem_ops {
    int (*ram_read)(void *ctx, gpa_t gpa, void *buf, size_t len);        /* 0 or -E_FAULT: not RAM */
    int (*ram_write)(void *ctx, gpa_t gpa, const void *buf, size_t len); /* 0 or -E_FAULT: not RAM, or read-only */
    /* Put new in the place of old, 4 or 8 aligned bytes, in one step for all CPUs. 0; -E_BUSY: it is not old any more;
     * -E_FAULT: not RAM, or read-only. */
    int (*ram_replace)(void *ctx, gpa_t gpa, u64 old, u64 new, u8 size);
    /* [gpa, gpa+len) as host memory for as long as the VM exists, or NULL: not writable RAM, or not contiguous. The guest
     * changes it at any time. */
    void *(*ram_window)(void *ctx, gpa_t gpa, size_t len);
    /* The same for an access that the guest may make there now, as ram_read() and ram_write() ask, too. For this exit only. */
    void *(*ram_lend)(void *ctx, gpa_t gpa, size_t len, bool write);
    /* size 1,2,4,8; unclaimed reads give all ones */
    void (*mmio)(void *ctx, gpa_t gpa, u8 size, bool write, u64 *value);
    void (*pio)(void *ctx, u16 port, u8 size, bool write, u32 *value);
};

struct vcpu_config {
    u32 vm_id;
    u32 id; /* index inside the VM */
    u32 cpu_count; /* CPUs of the VM, for its topology */
    u16 frame_owner;
    u64 counter_offset; /* the VM's time starts with this beyond the host's counter; for all its CPUs the same */
    struct cpuset affinity;
    struct pt *stage2;
    const struct vcpu_mem_ops *mem;
    const struct irqchip_ops *chip_ops; /* may be NULL: no interrupt chip */
    void *ctx;                          /* for mem */
    void *chip;                         /* for chip_ops */
    void (*wake)(struct vcpu *v);       /* called by vcpu_request() when a Blocked vCPU got an event; any CPU */
    /* Answer a hypercall from the guest's kernel that needs no lock and no time: true with *result, which goes to the guest
     * whatever the width of its code (so: below 2^32). Owner CPU, IRQs off; may be NULL. */
    bool (*answer)(struct vcpu *v, u64 number, u64 *result);
    /* Serve an exit inside vcpu_run() and enter again: true. false: vcpu_run() returns it, and it is not asked twice. Owner CPU,
     * IRQs on, state Running; NULL: vcpu_run() returns every exit. */
    bool (*serve)(struct vcpu *v, struct vcpu_exit *exit);
};

#define VCPU_HISTORY 8U

/* An exit that went to the VM layer. */
struct vcpu_past_exit {
    u64 pc;
    u64 where; /* vcpu_exit.where */
    u32 kind;  /* enum vcpu_exit_kind */
};

struct vcpu {
    struct vcpu_config config;
    const struct vcpu_backend *backend;
    u32 state;    /* enum vcpu_state; written by the owner, read by anybody */
    u32 cpu;      /* while bound: where; else CPU_MAX */
    u32 last_cpu; /* where it was bound last; CPU_MAX at first */
    u32 requests; /* atomic */
    u64 exit_counts[VCPU_REASONS]; /* by the hardware's reason, those handled inside included */
    struct vcpu_trace *trace;      /* its records (vcpu/trace.h); NULL: never traced */
    bool traced;                   /* now; atomic: written by anybody, read by the owner */
    const char *invalid_reason;
    struct vcpu_past_exit history[VCPU_HISTORY]; /* a ring of the last; the owner's */
    u32 history_head;                            /* free-running */
    struct vcpu_arch arch;
};

/* Choose the backend by asking each one's probe(); called once at boot. Returns 0, or -E_NOSYS after printing one line
 * per backend that names what is missing. Prints vendor, revision, tags and stage-2 levels otherwise. */
MUST_CHECK int vcpu_backend_select(void);
const struct vcpu_backend *vcpu_backend(void);
const struct vcpu_caps *vcpu_backend_caps(void);

/* Created. v is zeroed memory of the caller's. */
void vcpu_create(struct vcpu *v, const struct vcpu_config *config);
/* Created -> Free: control block allocated, registers at the architectural reset. 0, -E_STATE, -E_NOMEM. */
MUST_CHECK int vcpu_setup(struct vcpu *v);
/* Free -> Ready on the calling CPU (a Blocked one stays Blocked). 0; -E_STATE; -E_BUSY (this CPU has another bound);
 * -E_RANGE (outside the affinity); -E_HW (the CPU refused to load it). On failure nothing is bound. */
MUST_CHECK int vcpu_bind(struct vcpu *v);
/* Ready or Blocked or Invalid, bound here -> Free (a Blocked one stays Blocked, an Invalid one Invalid, but
 * unbound). 0 or -E_STATE. */
MUST_CHECK int vcpu_unbind(struct vcpu *v);
/* Blocked -> Ready (unbound: -> Free, so that bind makes it Ready) when an event waits. true when it is Ready or
 * Free now. A request WAKE is used up. Owner CPU. */
bool vcpu_try_unblock(struct vcpu *v);
/* Ready -> Running -> Ready/Blocked/Invalid. Enters the guest until an exit that config.serve leaves to the caller, or
 * until the CPU or a request wants the vCPU out. IRQs on at call and return. 0 with *exit filled, or -E_STATE (nothing changed). */
MUST_CHECK int vcpu_run(struct vcpu *v, struct vcpu_exit *exit);
/* Any unbound state but Created -> Free, registers at the architectural reset, requests cleared. 0 or -E_STATE. */
MUST_CHECK int vcpu_reset(struct vcpu *v);
/* Any -> Invalid, with a reason (static string). */
void vcpu_invalidate(struct vcpu *v, const char *reason);
/* Release everything. Must be unbound. -> Created. 0 or -E_STATE. */
MUST_CHECK int vcpu_destroy(struct vcpu *v);

/* The vCPU, bound here, is about to run after a pause; in all it has waited waited_ns for a CPU. Tells a guest that asked to
 * know. vcpu_descheduled(): it stops running for now. Owner CPU. */
void vcpu_scheduled(struct vcpu *v, u64 waited_ns);
void vcpu_descheduled(struct vcpu *v);
/* The VM was paused, and this vCPU runs again: tells a guest that asked to know, so that its watchdogs stay calm. Owner CPU. */
void vcpu_was_stopped(struct vcpu *v);
/* What a CPU does between two VMs so that neither learns of the other: names such as "ibpb,rsb", or "none". Known once a vCPU
 * was set up. */
#define VCPU_BARRIERS_MAX 40U
void vcpu_barriers(char text[VCPU_BARRIERS_MAX]);
/* Complete the exit that vcpu_run() returned: merge IN data or the hypercall result by width, advance. Owner CPU. */
void vcpu_finish(struct vcpu *v, struct vcpu_exit *exit);
/* Argument 0..5 of the hypercall being served, by the ABI of vm/abi.h for Mote's numbers, in KVM's order below
 * MOTE_HC_FIRST. Owner CPU. */
u64 vcpu_hypercall_arg(struct vcpu *v, const struct vcpu_exit *exit, u32 index);
/* Execute the instruction at the PC in software (MMIO, string I/O) through config.mem. Returns 0 (done or a guest
 * exception is queued), -E_NOSYS (no such instruction in the emulator, code in device memory, or the exit happened while
 * an event was being delivered; the VM must be stopped), with at most a bounded number of string iterations per call
 * (then the PC stays). Owner CPU. */
MUST_CHECK int vcpu_emulate(struct vcpu *v);
/* The same, for the exit NPF of a data access. */
MUST_CHECK int vcpu_emulate_access(struct vcpu *v, const struct vcpu_exit *exit);
/* Guest virtual to physical as the guest sees it now. 0; -E_FAULT (not mapped); -E_RANGE: the guest's mode has no such
 * address. Owner CPU, or while stopped. */
MUST_CHECK int vcpu_translate(struct vcpu *v, gva_t va, gpa_t *out);
/* Raise request bits and make the owner notice: kick when in guest, wake when Blocked. Any context but NMI. */
void vcpu_request(struct vcpu *v, u32 requests);
/* Request STOP, but let a Blocked one sleep. If it is Running it leaves vcpu_run() soon; else it does not enter the guest before it
 * has taken STOP back. Any context but NMI. */
void vcpu_keep_out(struct vcpu *v);
/* Take request bits back. Owner CPU, not in vcpu_run(). */
void vcpu_clear_request(struct vcpu *v, u32 requests);
/* Put the registers of `entry` (see <arch/vcpu_arch.h>) into an unbound vCPU. 0 or -E_STATE. */
MUST_CHECK int vcpu_set_entry(struct vcpu *v, const struct vcpu_entry *entry);
/* Log registers, control state, last exit: for crash reports. Owner CPU or stopped. Lines start with "vm=<name> ". */
void vcpu_dump(struct vcpu *v, const char *vm_name);
/* In what way a guest died. */
enum vcpu_death { VCPU_DEATH_OTHER, VCPU_DEATH_SHUTDOWN, VCPU_DEATH_MEMORY, VCPU_DEATH_EMULATION, VCPU_DEATH_ENTRY,
                  VCPU_DEATH_TIMEOUT };
/* Log why a guest died, as far as its registers and memory tell: the last exits, the instruction, page walks, and a
 * sentence, each a line "vm=<name> ev=autopsy ...". Bounded; reads guest memory only through config.mem. Owner CPU or
 * stopped. */
void vcpu_autopsy(struct vcpu *v, const char *vm_name, enum vcpu_death death);
/* Make the guest state one that the hardware must refuse at the next entry; for self tests of the failure path.
 * Owner. */
void vcpu_break_state(struct vcpu *v);
/* Count an exit. Owner CPU. */
static inline void vcpu_count(struct vcpu *v, u32 reason)
{
    v->exit_counts[reason]++;
}
/* Exits in all. Any CPU. */
static inline u64 vcpu_exits(const struct vcpu *v)
{
    u64 sum = 0;

    for (u32 i = 0; i < VCPU_REASONS; i++) {
        sum += READ_ONCE(v->exit_counts[i]);
    }
    return sum;
}
/* "CPUID", "NPF", ...; "?" for a bad one. */
const char *vcpu_reason_name(u32 reason);
/* Let the VM layer serve an exit where entering again costs least: inside vcpu_run(). Owner CPU, IRQs off, but on meanwhile.
 * true: done, and exit->answered; false: it has to be returned. */
bool vcpu_serve(struct vcpu *v, struct vcpu_exit *exit);
/* Does the CPU, or a request, want the vCPU out of vcpu_run()? Owner CPU. */
static inline bool vcpu_must_leave(const struct vcpu *v)
{
    return READ_ONCE(percpu()->resched) || (READ_ONCE(v->requests) & VCPU_REQ_STOP) != 0;
}
/* The PC, for event lines. */
u64 vcpu_pc(struct vcpu *v);

const char *vcpu_state_name(u32 state);
/* Is from -> to in the one table of legal moves? */
bool vcpu_move_legal(u32 from, u32 to);
