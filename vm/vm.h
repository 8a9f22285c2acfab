/* The virtual machine: object, lifecycle, run loop.
 *
 *   empty -vm_init-> built -vm_start-> running -vm_stop-> stopping -last vCPU left-> ended -vm_destroy-> empty */
#pragma once
#include "kernel/base/lock.h"
#include "kernel/console.h"
#include "kernel/sched.h"
#include "kernel/timer.h"
#include "vcpu/vcpu.h"
#include "vm/bus.h"
#include "vm/config.h"
#include "mm/frame.h"
#include "vm/gmem.h"
#include "vm/image.h"

enum vm_state { VM_EMPTY, VM_BUILT, VM_RUNNING, VM_STOPPING, VM_ENDED };

/*        name         text in the event line   a crash?  default code */
#define VM_END_LIST(X)                                                                                                 \
    X(NONE, "none", false, 0)                                                                                          \
    X(HYPERCALL, "hypercall", false, 0)    /* the guest's exit call, with its code */                                  \
    X(PORT, "port", false, 0)              /* the exit port, with its code */                                          \
    X(POWEROFF, "poweroff", false, 0)      /* soft-off */                                                              \
    X(RESET, "reset", false, 0)            /* a reset port or register */                                              \
    X(HALT, "halt", false, 0)              /* halted with nothing that could wake it */                                \
    X(KILL, "kill", false, 0)              /* the monitor, or a stop that the guest did not obey in time */            \
    X(QUIT, "quit", false, 0)              /* the user at the console */                                               \
    X(TIMEOUT, "timeout", true, 4)         /* the key timeout= */                                                      \
    X(WATCHDOG, "watchdog", true, 1)       /* no kick for as long as the key watchdog= says */                         \
    X(TRIPLE_FAULT, "triple-fault", true, 1)                                                                           \
    X(ENTRY_FAILED, "entry-failed", true, 1)                                                                           \
    X(UNMAPPED, "unmapped", true, 1)       /* it fetched code, or kept page tables, where there is no memory */        \
    X(EMULATION, "emulation", true, 1)     /* an instruction at a device that the emulator lacks */                    \
    X(UNHANDLED, "unhandled", true, 1)     /* an exit that nobody serves */                                            \
    X(INTERNAL, "internal", true, 1)       /* the vCPU would not run: our fault, contained */

enum vm_end {
#define VM_END_ENUM(name, text, crash, code) VM_END_##name,
    VM_END_LIST(VM_END_ENUM)
#undef VM_END_ENUM
};

struct vm;

/* What the board (vm/board) supplies: the VM layer knows no device. */
struct vm_board_ops {
    void (*stop)(struct vm *vm);    /* no device timer or interrupt comes after this; task context */
    void (*destroy)(struct vm *vm); /* free the devices */
    void (*power_button)(struct vm *vm); /* press it; any CPU */
    /* A hypercall of the platform's own numbers, below MOTE_HC_FIRST. false: no such call. Owner CPU. */
    bool (*hypercall)(struct vm *vm, struct vcpu *v, struct vcpu_exit *exit);
    void (*cpu_reset)(struct vm *vm, u32 cpu); /* the interrupt chip's part of a CPU's reset; its owner, not bound */
};

enum vm_cpu_command { VM_CPU_NONE, VM_CPU_PARK, VM_CPU_START };

/* A CPU of the VM as its siblings see it: running, parked, or asked to become so. */
struct vm_cpu {
    u32 command;              /* enum vm_cpu_command; written under vm->lock, cleared by the owner */
    struct vcpu_entry entry;  /* for START */
    bool parked;              /* waits for START; the owner's, read under vm->lock */
    bool halted_for_good;     /* halted with interrupts off; the owner's */
    bool held;                /* by a debugger: does not enter; written under vm->lock */
    bool stopped;             /* the VM was paused since it ran last; set under vm->lock, cleared by the owner */
    void (*visit)(struct vcpu *v, void *arg); /* to be called once by the owner; written under vm->lock */
    void *visit_arg;
};

/* The key watchdog=; times on the scale of time_now_ns(). */
struct vm_watchdog {
    struct timer timer;
    u64 period_ns; /* watchdog=, or less if the guest wants so; written by any CPU of the VM */
    u64 kicked_ns; /* the last kick, or the VM's start, less what had been frozen by then; written by any CPU of the VM */
    u64 frozen_ns; /* how long the VM has been paused in all */
    u64 paused_ns; /* since when it is */
    u64 kicks;     /* so far */
};

/* Who debugs the VM (vm/gdb). */
struct vm_debugger {
    /* v came back with DEBUG. false: the breakpoint instruction is not the debugger's. Owner CPU. */
    bool (*stopped)(void *arg, struct vcpu *v, const struct vcpu_exit *exit);
    void *arg;
};

#define VM_WHY_MAX 128U

struct vm {
    struct spinlock lock; /* protects cpus[].command and entry, state, end, end_code, end_vcpu, why, left */
    u32 id;
    enum vm_state state;
    const struct vm_config *config;
    const char *type; /* the loader's name */
    struct image image; /* the kernel's module, for the names in it */
    bool (*find_symbol)(const struct image *image, u64 address, struct vm_symbol *out); /* NULL: the image has no names */
    bool selftest; /* devices and calls that exist for tests */
    bool software_irqchip; /* no help of the hardware's for the interrupt chip */
    struct gmem mem;
    struct bus pio;
    struct bus mmio;
    struct vcpu vcpus[VM_VCPUS_MAX];
    struct task tasks[VM_VCPUS_MAX];
    struct vm_cpu cpus[VM_VCPUS_MAX];
    u32 vcpu_count;
    u32 left; /* vCPUs that have left for good */
    struct vm_debugger debugger; /* stopped is NULL: nobody */
    struct console_port console;
    bool stands; /* paused, or a CPU of it is held */
    bool paused;
    bool held; /* by a debugger, since it stopped last; its CPUs one by one: cpus[].held */
    bool excluded; /* a CPU of it changes stage 2, and no other enters the guest; atomic */
    u64 hidden;    /* 1 + the address of the page that the next touch brings back; 0: none; written while excluded */
    struct timer timeout;
    struct timer force; /* a stop becomes a kill */
    struct vm_watchdog watchdog;
    const struct vm_board_ops *board_ops;
    void *board;
    enum vm_end end;
    u32 end_code;
    u32 end_vcpu;
    char why[VM_WHY_MAX];       /* detail of a crash: "gpa=0x... rip=0x..." */
    void (*ended)(struct vm *vm); /* called once when the last vCPU has left; task context of its CPU, no lock held */
};

/* Begin to build: memory structures, empty buses, nothing mapped. vm is zeroed
 * memory but for selftest. 0, -E_NOMEM (everything given back). Task context. */
MUST_CHECK int vm_init(struct vm *vm, u32 id, const struct vm_config *config);

/* The vCPUs, created and set up, once the board exists. chip_ops/chip: its interrupt chip. 0, -E_NOMEM. */
MUST_CHECK int vm_create_vcpus(struct vm *vm, const struct irqchip_ops *chip_ops, void *chip);

/* Built -> Running: the event line, the time-out, the vCPUs' tasks. 0, -E_STATE, -E_INVAL (pinned to no online CPU). */
MUST_CHECK int vm_start(struct vm *vm);

/* Ask a VM to end, from anywhere (device, timer, another CPU), any context but NMI: the first caller's reason wins.
 * format: detail for the event line, may be NULL. */
void vm_stop(struct vm *vm, enum vm_end end, u32 code, const char *format, ...) PRINTF_LIKE(4, 5);

/* Freeze a running VM at its next exit, or let it go on. Its clocks run on, its watchdog does not. 0 or -E_STATE. */
MUST_CHECK int vm_pause(struct vm *vm);
MUST_CHECK int vm_resume(struct vm *vm);

/* For a debugger: keep the CPUs of a mask out of the guest from their next exit on, or let them go on. The VM's clocks run on, its
 * watchdog does not. Any CPU. */
void vm_cpu_hold(struct vm *vm, u32 cpus, bool hold);

/* Record the exits of a built or running VM (vcpu/trace.h), or no longer. 0, -E_NOMEM (not traced then). Task context, one
 * caller at a time. */
MUST_CHECK int vm_set_trace(struct vm *vm, bool on);

/* Press the power button; after grace_ns the VM is killed if it still lives. Nothing happens to one that ends already. */
void vm_press_power(struct vm *vm, u64 grace_ns);

/* Have fn(vcpu, arg) called once on the CPU that owns it, between two entries, or when it leaves for good. 0, -E_BUSY (one
 * waits already), -E_STATE (the VM does not run), -E_RANGE (no such CPU). */
MUST_CHECK int vm_cpu_visit(struct vm *vm, u32 cpu, void (*fn)(struct vcpu *v, void *arg), void *arg);

/* Make a CPU reset itself and wait for vm_cpu_start(). Any CPU, any context but NMI. */
void vm_cpu_park(struct vm *vm, u32 cpu);

/* Start a parked CPU at entry; ignored when it is not parked (nor about to be). As vm_cpu_park(). */
void vm_cpu_start(struct vm *vm, u32 cpu, const struct vcpu_entry *entry);

/* Did an ended VM crash, as opposed to having ended by itself or on request? */
bool vm_crashed(const struct vm *vm);

/* Print the one event line that says how the VM ended; for a crash, the registers of its vCPUs follow, and why it died as far as
 * that can be told: autopsy.c. */
void vm_report_end(struct vm *vm);

/* The verdict of an ended VM: 0 passed, else the code that the machine's exit status shows. */
u32 vm_verdict(const struct vm *vm);

/* Give everything back, whatever state of building it was in; never while tasks run. -> Empty. Task context. */
void vm_destroy(struct vm *vm);

/* --- inside vm/ ------------------------------------------------------------------------------------------------------- */

/* The vCPU task (run.c). */
enum task_verdict vm_run_slice(struct task *task, u64 slice_end_ns);

/* Obey the command that waits for this CPU; it is bound to none here. false: it is parked now. Its task. (cpus.c) */
bool vm_cpu_obey(struct vm *vm, struct vcpu *v);

/* Get every CPU of the VM out of the guest, and keep it out until vm_cpus_admit(). What stage 2 loses meanwhile is forgotten by
 * each CPU before it enters again: it compares pt.generation. Task of one of the VM's CPUs, which is out of vcpu_run(), IRQs on, no
 * lock held; waits for others that exclude. (cpus.c) */
void vm_cpus_exclude(struct vm *vm);
void vm_cpus_admit(struct vm *vm);
/* Wait for the end of an exclusion. Task of one of its CPUs, out of vcpu_run(). (cpus.c) */
void vm_cpu_await_admission(const struct vm *vm);

/* Change the guest's rights in a part of its memory (gmem_set_rights()); no CPU of the VM has the old ones after the call. As
 * vm_cpus_exclude(). (rights.c) */
MUST_CHECK int vm_set_rights(struct vm *vm, gpa_t gpa, u64 len, u32 attr);
/* Take a page out of stage 2 until it is touched; one that was hidden before comes back. 0, -E_INVAL, -E_NOMEM, as there. */
MUST_CHECK int vm_hide_page(struct vm *vm, gpa_t gpa);
/* After a stage-2 fault of an access that wants these rights, PT_*: was that the hidden page, which has them? Then it is back, and
 * the access goes on. Owner CPU. */
bool vm_unhide_page(struct vm *vm, gpa_t gpa, u32 wanted);

/* Call what vm_cpu_visit() left here, if anything. Its task. (cpus.c) */
void vm_cpu_receive(struct vm *vm, struct vcpu *v);

/* Note a halt; true when no CPU of the VM can ever wake again. Its task. (cpus.c) */
bool vm_cpu_halts(struct vm *vm, u32 cpu, bool interruptible);

/* The watchdog (watchdog.c): initialise; begin with a whole period; end, in task context. Nothing happens in a VM without the
 * key. */
void vm_watchdog_init(struct vm *vm);
void vm_watchdog_start(struct vm *vm);
void vm_watchdog_stop(struct vm *vm);
/* It stands still between these, called in turns: the first with vm->lock held, the second without it, paused already false. */
void vm_watchdog_pause(struct vm *vm);
void vm_watchdog_resume(struct vm *vm);
/* The guest is alive. Returns the period in milliseconds, 0: there is no watchdog. Any CPU of the VM. */
u64 vm_watchdog_kick(struct vm *vm);
/* As a kick, with another period from now on, at most that of watchdog=. Any CPU of a VM with the key. */
void vm_watchdog_set(struct vm *vm, u64 ms);
/* The milliseconds that it has left. Any CPU of the VM. */
u64 vm_watchdog_left_ms(const struct vm *vm);

/* The report on a crashed VM (autopsy.c). */
void vm_autopsy(struct vm *vm, enum vcpu_death death);

/* vcpu_config.serve (run.c). */
bool vm_serve_inside(struct vcpu *v, struct vcpu_exit *exit);

/* vcpu_config.answer (hypercall.c). */
bool vm_answer(struct vcpu *v, u64 number, u64 *result);

/* Answer a hypercall (hypercall.c). */
void vm_hypercall(struct vm *vm, struct vcpu *v, struct vcpu_exit *exit);

/* At log level debug: one line with every field of an exit (trace.c). */
void vm_trace_exit(const struct vm *vm, struct vcpu *v, const struct vcpu_exit *exit);

/* Memory and port access for vcpu_emulate() (access.c). */
extern const struct vcpu_mem_ops vm_mem_ops;
