/* The PC as kernel/init sees it. */
#include "drivers/platform.h"
#include "drivers/framebuffer.h"
#include "drivers/x86_64/acpi.h"
#include "drivers/x86_64/ap.h"
#include "drivers/x86_64/clock.h"
#include "drivers/x86_64/com.h"
#include "drivers/x86_64/ioapic.h"
#include "drivers/x86_64/lapic.h"
#include "drivers/x86_64/pic.h"
#include "drivers/x86_64/power.h"
#include "drivers/x86_64/trampoline.h"
#include "kernel/base/log.h"
#include "kernel/base/panic.h"
#include "kernel/base/percpu.h"
#include "kernel/irq.h"
#include "kernel/lib/errno.h"
#include "kernel/x86_64/vectors.h"
#include <arch/cpu.h>

static struct frame_range start_page;

static const struct irq_controller controller = {
    .name = "apic",
    .enable_line = ioapic_enable_line,
    .end = lapic_end,
    .send_kick = lapic_send_kick,
    .vector_first = VECTOR_DEVICE_FIRST,
    .vector_last = VECTOR_DEVICE_LAST,
    .vector_kick = VECTOR_KICK,
    .vector_spurious = VECTOR_SPURIOUS,
};

int platform_console_screen(const struct boot_info *info)
{
    return framebuffer_init(info);
}

struct frame_range platform_reserve(const struct boot_info *info)
{
    start_page = trampoline_choose(info);
    return start_page;
}

static u32 highest_id(const struct acpi_info *info)
{
    u32 highest = 0;

    for (u32 i = 0; i < info->cpu_count; i++) {
        highest = MAX(highest, info->cpu_ids[i]);
    }
    return highest;
}

static void init_interrupts(const struct acpi_info *info)
{
    if (info->has_pic) {
        pic_disable();
    }
    int error = lapic_init(info->lapic_address, highest_id(info));
    if (error != 0) {
        panic("no local APIC: %s", errno_text(error));
    }
    percpu()->hw_id = lapic_id();
    ioapic_init(info);
    irq_set_controller(&controller);
    arch_set_irq_entry(irq_dispatch);
    arch_set_nmi(lapic_send_nmi);
}

static void init_other_cpus(const struct acpi_info *info)
{
    int error = start_page.len != 0 ? trampoline_init(start_page) : -E_NOENT;

    if (error == 0) {
        ap_init(info);
    } else if (info->cpu_count > 1) {
        log_warn("cpus=1 others left out, no start page: %s", errno_text(error));
    }
}

void platform_init(const struct boot_info *info)
{
    acpi_init(info);
    power_emulator_init();
    power_acpi_init(acpi_info());
    init_interrupts(acpi_info());
    clock_init(acpi_info());
    init_other_cpus(acpi_info());
}

void platform_console_queue(void)
{
    com_queue_output();
}

void platform_console_input(void)
{
    com_enable_input();
    framebuffer_start();
}
