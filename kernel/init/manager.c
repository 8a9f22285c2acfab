#include "kernel/init/manager.h"
#include "kernel/init/debugger.h"
#include "kernel/base/log.h"
#include "kernel/base/panic.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "kernel/power.h"
#include "kernel/sched.h"
#include "kernel/time.h"
#include "mm/heap.h"
#include "mm/physmap.h"
#include "vm/board/board.h"

/* One VM's life. vm is written by the manager only; ended by the vCPU's CPU, read by the manager. */
struct slot {
    struct vm *vm;
    bool ended;
    u32 restarts;         /* so far */
    u32 policy_restarts;  /* those by on-exit= and on-crash= */
    u32 storm;            /* crashes in a row, */
    u64 storm_since_ns;   /* the first of which was then */
    bool again;           /* the monitor wants it restarted, */
    bool put_down;        /* or gone; both for the life that it has */
    void (*buried)(void); /* the monitor waits for it */
};

/* A VM with on-crash=restart that crashes this often within that time is not restarted any more. */
#define STORM_CRASHES 20U
#define STORM_NS (10 * NS_PER_SEC)

static struct {
    const struct boot_info *info;
    const struct mote_config *config;
    struct slot slots[VM_MAX];
    struct task task;
    struct console_turn turn; /* to report an end */
    u32 buried;  /* the last VM of which one was reported */
    u32 verdict; /* of the VMs that ended so far: the first that did not pass */
    bool quit;   /* the user asked to leave */
    bool began;  /* a VM has been started */
    bool (*keep)(void);
} manager;

static void note_verdict(u32 code)
{
    if (manager.verdict == 0) {
        manager.verdict = code;
    }
}

/* The machine's end, once no VM is left. */
NORETURN static void end_machine(void)
{
    static const enum power_action actions[] = {
        [ON_IDLE_HALT] = POWER_HALT,       [ON_IDLE_POWEROFF] = POWER_OFF, [ON_IDLE_REBOOT] = POWER_REBOOT,
        [ON_IDLE_EXIT_CODE] = POWER_EXIT, [ON_IDLE_EXIT_VM] = POWER_EXIT,
    };
    enum on_idle idle = manager.config->on_idle;

    if (manager.quit) {
        power_end(POWER_OFF, manager.verdict);
    }
    power_end(actions[idle], idle == ON_IDLE_EXIT_CODE ? manager.config->on_idle_code : manager.verdict);
}

/* Called on the CPU of the last vCPU to leave. */
static void vm_ended(struct vm *vm)
{
    __atomic_store_n(&manager.slots[vm->id].ended, true, __ATOMIC_RELEASE); /* pairs with bury_ended()'s acquire */
    sched_wake(&manager.task);
}

static void free_vm(struct slot *slot)
{
    heap_free(slot->vm);
    slot->vm = NULL;
    slot->ended = false;
}

static void collect_images(const struct vm_config *config, struct image *images)
{
    for (u32 i = 0; i < config->module_count; i++) {
        const struct boot_module *module = &manager.info->modules[config->modules[i].boot_module];

        images[i].data = phys_ptr(module->base);
        images[i].size = module->len;
    }
}

/* Returns 0, or -E_* after one line that names the VM and the cause; then the slot is empty. */
static int build(u32 id)
{
    const struct vm_config *config = &manager.config->vms[id];
    struct slot *slot = &manager.slots[id];
    struct image images[VM_MODULES_MAX];
    char why[VM_WHY_MAX] = "memory ran out";
    int rc = -E_NOMEM;

    slot->put_down = false;
    collect_images(config, images);
    slot->vm = heap_alloc(sizeof(*slot->vm));
    if (slot->vm != NULL) {
        slot->vm->selftest = manager.config->selftest;
        slot->vm->software_irqchip = manager.config->software_irqchip;
        slot->vm->ended = vm_ended;
        rc = board_build_vm(slot->vm, id, config, images, why);
    }
    if (rc != 0) {
        free_vm(slot);
        log_event("vm=%s ev=error why=\"%s\"", config->name, why);
    }
    return rc;
}

/* As build(), for a VM that is built. */
static int start(u32 id)
{
    struct slot *slot = &manager.slots[id];
    const char *name = slot->vm->config->name;

    debugger_begin(slot->vm);
    int rc = vm_start(slot->vm);
    manager.began = manager.began || rc == 0;
    if (rc != 0) {
        debugger_end(slot->vm);
        vm_destroy(slot->vm);
        free_vm(slot);
        log_event("vm=%s ev=error why=\"pinned to CPUs that are not online\"", name);
    }
    return rc;
}

static bool is_storm(struct slot *slot)
{
    u64 now = time_now_ns();

    if (slot->storm == 0 || now - slot->storm_since_ns > STORM_NS) {
        slot->storm = 0;
        slot->storm_since_ns = now;
    }
    return ++slot->storm >= STORM_CRASHES;
}

/* The policy says restart: does it allow one more? Says so when not. */
static bool may_restart(struct slot *slot, const struct vm_policy *policy)
{
    const struct vm *vm = slot->vm;

    if (policy->restarts != 0 ? slot->policy_restarts >= policy->restarts : vm_crashed(vm) && is_storm(slot)) {
        log_event("vm=%s ev=gave-up restarts=%u why=\"%s\"", vm->config->name, slot->policy_restarts,
                  policy->restarts != 0 ? "as many as the configuration allows" : "it crashes too fast");
        return false;
    }
    slot->policy_restarts++;
    slot->restarts++;
    return true;
}

/* What the configuration says should follow, restarts counted. */
static enum vm_after what_follows(struct slot *slot)
{
    const struct vm *vm = slot->vm;
    const struct vm_policy *policy = vm_crashed(vm) ? &vm->config->on_crash : &vm->config->on_exit;

    if (vm->end == VM_END_QUIT || manager.quit) {
        return VM_AFTER_STOP;
    }
    if (slot->again) {
        slot->again = false;
        slot->restarts++;
        return VM_AFTER_RESTART;
    }
    if (slot->put_down || vm->end == VM_END_KILL) {
        return VM_AFTER_STOP;
    }
    if (policy->after == VM_AFTER_RESTART && !may_restart(slot, policy)) {
        return VM_AFTER_STOP;
    }
    return policy->after;
}

/* Report an ended VM, give everything back, and do what follows. */
static void bury(struct slot *slot)
{
    struct vm *vm = slot->vm;
    const char *name = vm->config->name;
    u32 id = vm->id, code = vm_verdict(vm);
    bool crashed = vm_crashed(vm);

    vm_report_end(vm);
    enum vm_after after = what_follows(slot);
    debugger_end(vm);
    vm_destroy(vm);
    free_vm(slot);
    log_event("vm=%s ev=freed leaked-frames=%llu free-frames=%llu", name,
              (unsigned long long)frame_count_owned(FRAME_OWNER_VM(id)), (unsigned long long)frame_get_stats().free);
    if (after == VM_AFTER_RESTART && build(id) == 0 && start(id) == 0) {
        return;
    }
    note_verdict(code);
    if (after == VM_AFTER_END_MACHINE) {
        power_end(crashed ? POWER_HALT : POWER_OFF, manager.verdict);
    }
}

static void tell_buried(struct slot *slot)
{
    void (*buried)(void) = slot->buried;

    slot->buried = NULL;
    if (buried != NULL) {
        buried();
    }
}

/* In turn, as the line has room for the reports. Returns whether a VM is left. */
static bool bury_ended(void)
{
    u32 count = manager.config->vm_count, first = manager.buried + 1;
    bool alive = false;

    for (u32 id = first; id < first + count; id++) {
        struct slot *slot = &manager.slots[id % count];

        if (__atomic_load_n(&slot->ended, __ATOMIC_ACQUIRE)) {
            if (!console_turn(&manager.turn)) {
                return true;
            }
            manager.buried = id % count;
            bury(slot);
            tell_buried(slot);
        }
        alive = alive || slot->vm != NULL;
    }
    return alive;
}

static void stop_all(void)
{
    for (u32 i = 0; i < manager.config->vm_count; i++) {
        if (manager.slots[i].vm != NULL) {
            vm_stop(manager.slots[i].vm, VM_END_QUIT, 0, NULL);
        }
    }
}

/* Nothing has run so far, and something may be started by hand. */
static bool awaits_start(void)
{
    for (u32 i = 0; i < manager.config->vm_count && !manager.began; i++) {
        if (manager.config->vms[i].manual && !manager.config->vms[i].bad) {
            return true;
        }
    }
    return false;
}

static enum task_verdict run(struct task *task, u64 slice_end_ns)
{
    (void)task;
    (void)slice_end_ns;
    if (READ_ONCE(manager.quit)) {
        stop_all();
    }
    if (!bury_ended() && (manager.quit || (!manager.keep() && !awaits_start()))) {
        end_machine();
    }
    return TASK_BLOCK;
}

static void granted(struct console_turn *turn)
{
    (void)turn;
    sched_wake(&manager.task);
}

static void quit(void)
{
    WRITE_ONCE(manager.quit, true);
    sched_wake(&manager.task);
}

/* A required VM that cannot be means that none starts. */
static void build_all(void)
{
    for (u32 i = 0; i < manager.config->vm_count; i++) {
        const struct vm_config *config = &manager.config->vms[i];

        if (!config->bad && (config->manual || build(i) == 0)) {
            continue;
        }
        note_verdict(1);
        if (config->require) {
            log_event("vm=%s ev=error why=\"required, and cannot start: no VM starts\"", config->name);
            end_machine();
        }
    }
}

static void start_all(void)
{
    for (u32 i = 0; i < manager.config->vm_count; i++) {
        if (manager.slots[i].vm != NULL && strcmp(manager.config->focus, manager.config->vms[i].name) == 0) {
            console_set_focus(&manager.slots[i].vm->console);
        }
    }
    for (u32 i = 0; i < manager.config->vm_count; i++) {
        if (manager.slots[i].vm != NULL && start(i) != 0) {
            note_verdict(1);
        }
    }
}

/* What is neither free nor a module, in KiB: Mote's own memory. */
static u64 taken_kib(void)
{
    struct frame_stats frames = frame_get_stats();
    u64 modules = 0;

    for (u32 i = 0; i < manager.info->module_count; i++) {
        modules += ALIGN_UP(manager.info->modules[i].len, FRAME_SIZE);
    }
    return ((frames.total + frames.reserved - frames.free) * FRAME_SIZE - modules) / KIB(1);
}

void manager_start(const struct boot_info *info, const struct mote_config *config)
{
    manager.info = info;
    manager.config = config;
    manager.task.name = "manager";
    manager.task.run = run;
    manager.task.service = true;
    manager.turn.granted = granted;
    cpuset_add(&manager.task.affinity, 0);
    console_set_quit(quit);
    ASSERT(sched_add(&manager.task) == 0);
    if (config->errors != 0 || config->vm_count == 0) {
        note_verdict(1);
    }
    u64 taken = taken_kib();
    build_all();
    log_info("ev=boot taken-kib=%llu boot-ticks=%llu", (unsigned long long)taken,
             (unsigned long long)(time_ticks() - info->start_ticks));
    start_all();
}

u32 manager_count(void)
{
    return manager.config->vm_count;
}

struct manager_vm manager_get(u32 id)
{
    const struct slot *slot = &manager.slots[id];

    return (struct manager_vm){.config = &manager.config->vms[id], .vm = slot->vm, .restarts = slot->restarts};
}

int manager_start_vm(u32 id)
{
    if (manager.slots[id].vm != NULL || manager.config->vms[id].bad) {
        return -E_STATE;
    }
    manager.slots[id].policy_restarts = 0; /* by hand, it begins anew */
    manager.slots[id].storm = 0;
    int rc = build(id);
    return rc == 0 ? start(id) : rc;
}

static int end_life(u32 id, bool again, void (*done)(void))
{
    struct slot *slot = &manager.slots[id];

    if (slot->vm == NULL) {
        return -E_STATE;
    }
    slot->again = again;
    slot->put_down = !again; /* it may have crashed just now, and would be restarted */
    slot->buried = done;
    vm_stop(slot->vm, VM_END_KILL, 0, again ? "restart=monitor" : NULL);
    return 0;
}

int manager_restart_vm(u32 id, void (*done)(void))
{
    return end_life(id, true, done);
}

int manager_kill_vm(u32 id, void (*done)(void))
{
    return end_life(id, false, done);
}

int manager_stop_vm(u32 id, u64 grace_ns)
{
    struct slot *slot = &manager.slots[id];

    if (slot->vm == NULL) {
        return -E_STATE;
    }
    slot->put_down = true;
    vm_press_power(slot->vm, grace_ns);
    return 0;
}

bool manager_selftest(void)
{
    return manager.config->selftest;
}

void manager_end(bool reboot)
{
    power_end(reboot ? POWER_REBOOT : POWER_OFF, manager.verdict);
}

void manager_set_keep(bool (*keep)(void))
{
    manager.keep = keep;
}
