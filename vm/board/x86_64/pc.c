/* The PC: which device sits at which port and pin. */
#include "kernel/lib/errno.h"
#include "kernel/time.h"
#include "mm/heap.h"
#include "vm/abi.h"
#include "vm/board/board.h"
#include "vm/board/x86_64/acpi.h"
#include "vm/board/x86_64/irqchip.h"
#include "vm/board/x86_64/kvm_calls.h"
#include "vm/board/x86_64/pc_uarts.h"
#include "vm/dev/scratch.h"
#include "vm/dev/x86_64/acpipm.h"
#include "vm/dev/x86_64/pciconf.h"
#include "vm/dev/x86_64/piix4.h"
#include "vm/dev/x86_64/pit.h"
#include "vm/dev/x86_64/reset.h"
#include "vm/dev/x86_64/rtc.h"
#include "vm/load/load.h"

#define IRQ_PIT 0U
#define FIRMWARE_DEBUG_PORT 0x402U /* where the firmware of virtual PCs prints; it expects the other debug port's answer */
#define VGA_HOLE_START 0xA0000ULL
#define VGA_HOLE_END 0xC0000ULL
#define TABLES_START LOAD_ACPI_BASE
#define TABLES_END (LOAD_ACPI_BASE + KIB(64))

struct pc {
    struct pc_irqchip irqchip;
    struct vpit pit;
    struct vrtc rtc;
    struct pc_uarts uarts;
    struct reset_ports reset;
    struct pciconf pci;
    struct acpipm pm;
    struct piix4 piix4; /* of firmware's machines */
    struct scratch scratch;
};

/* --- what devices ask of the VM ------------------------------------------------------------------------------------------ */

static void power_off(void *ctx)
{
    vm_stop(ctx, VM_END_POWEROFF, 0, NULL);
}

static void reset(void *ctx)
{
    vm_stop(ctx, VM_END_RESET, 0, NULL);
}

static void exit_port(void *device, u64 offset, u8 size, bool write, u64 *value)
{
    (void)offset;
    (void)size;
    if (write) {
        vm_stop(device, VM_END_PORT, (u8)*value, NULL);
    } else {
        *value = ~0ULL;
    }
}

/* A read tells the port's own number, by which guests detect it. */
static void debug_port(void *device, u64 offset, u8 size, bool write, u64 *value)
{
    (void)offset;
    (void)size;
    if (write) {
        console_put(&((struct vm *)device)->console, (u8)*value);
    } else {
        *value = MOTE_PORT_DEBUG;
    }
}

static void watchdog_left(void *device, u64 offset, u8 size, bool write, u64 *value)
{
    (void)size;
    if (write) {
        (void)vm_watchdog_kick(device);
    } else {
        *value = (MOTE_WATCHDOG_RUNS | MIN(vm_watchdog_left_ms(device), GENMASK(30, 0))) >> (offset * 8);
    }
}

static void watchdog_period(void *device, u64 offset, u8 size, bool write, u64 *value)
{
    const struct vm *vm = device;

    if (!write) {
        *value = READ_ONCE(vm->watchdog.period_ns) / NS_PER_MS >> (offset * 8);
    } else if (size == sizeof(u32)) {
        vm_watchdog_set(device, (u32)*value);
    }
}

/* --- assembly ---------------------------------------------------------------------------------------------------------- */

static void init_devices(struct vm *vm, struct pc *pc)
{
    struct irqline vpit_pin = pc_irqchip_isa(&pc->irqchip, IRQ_PIT);
    struct irqline keyboard_pin = pc_irqchip_isa(&pc->irqchip, KBC_IRQ);
    struct irqline rtc_pin = pc_irqchip_isa(&pc->irqchip, RTC_IRQ);
    struct irqline sci_pin = pc_irqchip_isa(&pc->irqchip, ACPIPM_SCI);
    u64 low = MIN(vm->config->mem_bytes, LOAD_HOLE_START);

    vpit_init(&pc->pit, &vpit_pin);
    vrtc_init(&pc->rtc, &rtc_pin, low, vm->config->mem_bytes - low);
    reset_ports_init(&pc->reset, &keyboard_pin, reset, vm);
    pciconf_init(&pc->pci, reset_control_port, &pc->reset);
    acpipm_init(&pc->pm, &sci_pin, power_off, vm);
}

static int claim_vm_ports(struct vm *vm)
{
    const struct bus_range exit_range = {MOTE_PORT_EXIT, 1, 4, exit_port, vm};
    const struct bus_range debug_range = {MOTE_PORT_DEBUG, 1, 1, debug_port, vm};
    const struct bus_range firmware_range = {FIRMWARE_DEBUG_PORT, 1, 1, debug_port, vm};
    const struct bus_range left_range = {MOTE_PORT_WATCHDOG, 4, 4, watchdog_left, vm};
    const struct bus_range period_range = {MOTE_PORT_WATCHDOG_PERIOD, 4, 4, watchdog_period, vm};
    int rc = bus_add(&vm->pio, &exit_range);

    if (rc == 0) {
        rc = bus_add(&vm->pio, &debug_range);
    }
    if (rc == 0 && acpi_has_watchdog(vm->config)) {
        rc = bus_add(&vm->pio, &left_range);
        rc = rc != 0 ? rc : bus_add(&vm->pio, &period_range);
    }
    return rc != 0 ? rc : bus_add(&vm->pio, &firmware_range);
}

/* Firmware looks for a chipset, and says where its power management is; others find both in tables. */
static int attach_power_management(struct vm *vm, struct pc *pc)
{
    return vm_config_firmware(vm->config) ? piix4_attach(&pc->piix4, &pc->pci, &pc->pm, &vm->pio)
                                          : acpipm_attach(&pc->pm, &vm->pio, ACPIPM_BASE);
}

static int claim_ports(struct vm *vm, struct pc *pc)
{
    int results[] = {
        pc_irqchip_attach(&pc->irqchip, vm), vpit_attach(&pc->pit, &vm->pio),
        vrtc_attach(&pc->rtc, &vm->pio),     pc_uarts_attach(&pc->uarts, vm, &pc->irqchip),
        reset_ports_attach(&pc->reset, &vm->pio), pciconf_attach(&pc->pci, &vm->pio),
        attach_power_management(vm, pc),    claim_vm_ports(vm),
    };

    for (size_t i = 0; i < ARRAY_SIZE(results); i++) {
        if (results[i] != 0) {
            return results[i];
        }
    }
    return 0;
}

static void stop(struct vm *vm)
{
    struct pc *pc = vm->board;

    pc_uarts_stop(&pc->uarts, vm);
    vpit_stop(&pc->pit);
    vrtc_stop(&pc->rtc);
    pc_irqchip_stop(&pc->irqchip);
}

static void power_button(struct vm *vm)
{
    struct pc *pc = vm->board;

    acpipm_press(&pc->pm);
}

static void cpu_reset(struct vm *vm, u32 cpu)
{
    struct pc *pc = vm->board;

    pc_irqchip_cpu_reset(&pc->irqchip, cpu);
}

static bool hypercall(struct vm *vm, struct vcpu *v, struct vcpu_exit *exit)
{
    struct pc *pc = vm->board;

    return kvm_call(&pc->irqchip, v, exit);
}

static void destroy(struct vm *vm)
{
    struct pc *pc = vm->board;

    pc_irqchip_detach(&pc->irqchip);
    pc_uarts_destroy(&pc->uarts);
    heap_free(pc);
    vm->board = NULL;
}

static const struct vm_board_ops pc_ops = {
    .stop = stop, .destroy = destroy, .power_button = power_button, .hypercall = hypercall, .cpu_reset = cpu_reset};

int board_attach(struct vm *vm, const struct irqchip_ops **chip_ops, void **chip)
{
    struct pc *pc = heap_alloc(sizeof(*pc));

    if (pc == NULL) {
        return -E_NOMEM;
    }
    init_devices(vm, pc);
    vm->board = pc;
    vm->board_ops = &pc_ops;
    *chip_ops = &pc_irqchip_ops;
    *chip = &pc->irqchip;
    int rc = claim_ports(vm, pc);
    if (rc == 0) {
        rc = pc_irqchip_assist(&pc->irqchip, vm, chip_ops);
    }
    if (rc == 0 && vm->selftest) {
        rc = scratch_attach(&pc->scratch, &vm->mmio, MOTE_SCRATCH_MMIO);
    }
    return rc;
}

int board_add_memory(struct vm *vm)
{
    u64 low = MIN(vm->config->mem_bytes, LOAD_HOLE_START);
    u64 high = vm->config->mem_bytes - low;
    u32 tables = vm_config_firmware(vm->config) ? GMEM_RAM : 0; /* a loader's tables are neither written nor executed */
    int rc = gmem_add(&vm->mem, 0, VGA_HOLE_START, GMEM_RAM);

    if (rc == 0) {
        rc = gmem_add(&vm->mem, VGA_HOLE_END, TABLES_START - VGA_HOLE_END, GMEM_RAM);
    }
    if (rc == 0) {
        rc = gmem_add(&vm->mem, TABLES_START, TABLES_END - TABLES_START, tables);
    }
    if (rc == 0) {
        rc = gmem_add(&vm->mem, TABLES_END, low - TABLES_END, GMEM_RAM);
    }
    if (rc == 0 && high != 0) {
        rc = gmem_add(&vm->mem, GIB(4), high, GMEM_RAM);
    }
    return rc;
}

/* Firmware describes the machine to its guests itself. */
int board_describe(struct vm *vm)
{
    return vm_config_firmware(vm->config) ? 0 : acpi_build(&vm->mem, LOAD_ACPI_BASE, vm->config);
}
