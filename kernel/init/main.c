/* The table of contents of the whole system. */
#include "boot/boot_main.h"
#include "drivers/platform.h"
#include "kernel/base/log.h"
#include "kernel/base/panic.h"
#include "kernel/base/percpu.h"
#include "kernel/base/version.h"
#include "kernel/console.h"
#include "kernel/init/debugger.h"
#include "kernel/init/manager.h"
#include "kernel/init/monitor.h"
#include "kernel/init/selftest.h"
#include "kernel/init/setup.h"
#include "kernel/lib/errno.h"
#include "kernel/power.h"
#include "kernel/sched.h"
#include "kernel/smp.h"
#include "mm/frame.h"
#include "mm/kmap.h"
#include "vcpu/vcpu.h"
#include <arch/cpu.h>

#define VERDICT_FAIL 1U

static struct mote_config *config;

/* The consoles that need no memory, as asked for; a machine without that port goes on with the others, or silent. */
static void start_console(void)
{
    int errors[CONFIG_CONSOLES_MAX] = {0};

    log_set_level((enum log_level)config->log_level);
    platform_console_begin();
    for (u32 i = 0; i < config->console_count; i++) {
        const struct config_console *console = &config->consoles[i];
        errors[i] = console->screen ? 0 : platform_console_serial(console->port, console->baud);
    }
    for (u32 i = 0; i < config->console_count; i++) { /* now there is somewhere to say it */
        if (errors[i] != 0) {
            log_warn("console port=0x%x does not answer", config->consoles[i].port);
        }
    }
    console_set_escape(config->escape);
    console_set_prefix(config_count_consoles(config) > 1);
}

static void start_screen(const struct boot_info *info)
{
    for (u32 i = 0; i < config->console_count; i++) {
        int error = config->consoles[i].screen ? platform_console_screen(info) : 0;
        if (error == -E_NOENT) {
            log_warn("console=fb left out: the loader gave no screen");
        } else if (error != 0) {
            log_warn("console=fb left out: a screen of %ux%u, %u bits: %s", info->framebuffer.width, info->framebuffer.height,
                     info->framebuffer.bpp, errno_text(error));
        }
    }
}

static void start_memory(const struct boot_info *info)
{
    static struct frame_range reserved[BOOT_MODULES_MAX + 3];
    size_t count = setup_reserved(info, platform_reserve(info), reserved);

    if (frame_init(info, reserved, count) != 0 || kmap_init(info) != 0) {
        panic("too little memory to begin with");
    }
}

/* CPUs that have passed cpu_enable(), one way or the other. */
static u32 settled;

/* Each application CPU: able to run guests, or out of the game. */
static void application_cpu(void)
{
    int rc = vcpu_backend()->cpu_enable();

    if (rc != 0) {
        log_warn("cpu=%u enable=failed why=\"%s\"", percpu()->id, errno_text(rc));
        percpu()->online = false;
        __atomic_fetch_add(&settled, 1, __ATOMIC_RELEASE);
        arch_cpu_stop();
    }
    __atomic_fetch_add(&settled, 1, __ATOMIC_RELEASE);
    sched_loop();
}

static void start_cpus(void)
{
    if (vcpu_backend_select() != 0) {
        power_end(config->on_idle == ON_IDLE_HALT ? POWER_HALT : POWER_EXIT, VERDICT_FAIL);
    }
    if (vcpu_backend()->cpu_enable() != 0) {
        log_event("ev=error why=\"%s cannot be switched on\"", vcpu_backend()->name);
        power_end(config->on_idle == ON_IDLE_HALT ? POWER_HALT : POWER_EXIT, VERDICT_FAIL);
    }
    smp_set_limit(config->cpus);
    u32 started = smp_start_all(application_cpu);
    while (__atomic_load_n(&settled, __ATOMIC_ACQUIRE) + 1 < started) {
        arch_cpu_relax(); /* a CPU that came up settles: cpu_enable() neither waits nor loops */
    }
}

static void print_banner(void)
{
    struct frame_stats frames = frame_get_stats();

    log_event("version=%s commit=%s arch=%s backend=%s cpus=%u mem=%lluM free-frames=%llu", version_number, version_commit,
              version_arch, vcpu_backend()->name, smp_online_count(),
              (unsigned long long)((frames.total + frames.reserved) * FRAME_SIZE / MIB(1)), (unsigned long long)frames.free);
}

/* Stacks with guard pages in place of the boot code's. Returns the top of the ordinary one. */
static void *guard_stacks(void)
{
    void *tops[ARCH_STACKS];

    for (u32 i = 0; i < ARCH_STACKS; i++) {
        tops[i] = kmap_alloc_stack();
        if (tops[i] == NULL) {
            panic("too little memory for stacks");
        }
    }
    arch_cpu_prepare(percpu(), tops);
    return tops[ARCH_STACK_KERNEL];
}

/* On the guarded stack. */
static void run_system(const void *arg)
{
    const struct boot_info *info = arg;

    platform_init(info);
    sched_init();
    arch_irq_enable();
    start_cpus();
    if (config->selftest) {
        selftest_timers(); /* while nothing else uses one */
    }
    debugger_init(config);
    platform_console_queue();
    print_banner();
    setup_print(config);
    monitor_init();
    manager_start(info, config);
    platform_console_input(); /* now there is somebody to listen */
    sched_loop();
}

void kernel_main(const struct boot_info *info)
{
    config = setup_config(info);
    power_init();
    start_console();
    start_memory(info);
    start_screen(info);
    arch_stack_run(guard_stacks(), run_system, info);
}
