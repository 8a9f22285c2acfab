/* The virtual machine: object, lifecycle, run loop. */
#pragma once
#include "kernel/base/lock.h"
#include "kernel/console.h"
#include "kernel/sched.h"
#include "kernel/timer.h"
#include "vcpu/vcpu.h"
#include "vm/bus.h"
#include "vm/config.h"
#include "vm/gmem.h"
#include "vm/image.h"

enum vm_state { VM_EMPTY, VM_CREATED, VM_RUNNING, VM_STOPPING, VM_STOPPED, VM_CRASHED };

struct vm {
    struct spinlock lock; /* protects state, stop_* */
    u32 id;
    enum vm_state state;
    const struct vm_config *config;
    struct gmem mem;
    struct bus pio, mmio;
    struct vcpu vcpus[VM_VCPUS_MAX];
    struct task tasks[VM_VCPUS_MAX];
    u32 vcpu_count;
    struct console_port console;
    struct timer timeout;
    void *board;               /* vm/board's devices */
    u32 stop_requested;        /* enum vm_stop, 0 = none */
    u32 stop_code;
    const char *stop_reason;
    char crash_why[128];
};

enum vm_stop { VM_STOP_NONE, VM_STOP_EXIT, VM_STOP_OFF, VM_STOP_RESET, VM_STOP_CRASH, VM_STOP_TIMEOUT, VM_STOP_KILL };

/* Build a VM from its configuration: memory, board, loaded image, vCPUs. 0, or -E_* with why filled (LOAD_WHY_MAX) and
 * everything given back. Task context. */
MUST_CHECK int vm_create(struct vm *vm, u32 id, const struct vm_config *config, const struct image *images, char *why);
MUST_CHECK int vm_start(struct vm *vm);

/* Ask a VM to end, from anywhere (device, timer, other CPU): the first caller's reason wins. */
void vm_stop(struct vm *vm, enum vm_stop how, u32 code, const char *reason);
/* A crash with a cause that the event line shows. */
void vm_crash(struct vm *vm, const char *reason, const char *format, ...) PRINTF_LIKE(3, 4);
/* Give everything back. The VM's tasks have exited. */
void vm_destroy(struct vm *vm);
