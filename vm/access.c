/* How a vCPU's emulated instruction reaches the VM's memory and devices. */
#include "kernel/base/percpu.h"
#include "kernel/lib/errno.h"
#include "vm/vm.h"

static int ram_read(void *ctx, gpa_t gpa, void *buf, size_t len)
{
    struct vm *vm = ctx;

    return gmem_permits(&vm->mem, gpa, len, PT_READ) ? gmem_read(&vm->mem, gpa, buf, len) : -E_FAULT;
}

static int ram_write(void *ctx, gpa_t gpa, const void *buf, size_t len)
{
    struct vm *vm = ctx;

    return gmem_permits(&vm->mem, gpa, len, PT_WRITE) ? gmem_write(&vm->mem, gpa, buf, len) : -E_FAULT;
}

static bool replace_4(u32 *at, u32 old, u32 new)
{
    return __atomic_compare_exchange_n(at, &old, new, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

static bool replace_8(u64 *at, u64 old, u64 new)
{
    return __atomic_compare_exchange_n(at, &old, new, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

static void *ram_lend(void *ctx, gpa_t gpa, size_t len, bool write)
{
    struct vm *vm = ctx;

    return gmem_permits(&vm->mem, gpa, len, write ? PT_WRITE : PT_READ) ? gmem_window(&vm->mem, gpa, len) : NULL;
}

static int ram_replace(void *ctx, gpa_t gpa, u64 old, u64 new, u8 size)
{
    void *at = ram_lend(ctx, gpa, size, true);

    if (at == NULL) {
        return -E_FAULT;
    }
    return (size == sizeof(u32) ? replace_4(at, (u32)old, (u32)new) : replace_8(at, old, new)) ? 0 : -E_BUSY;
}

static void *ram_window(void *ctx, gpa_t gpa, size_t len)
{
    const struct vm *vm = ctx;

    return gmem_window(&vm->mem, gpa, len);
}

static NO_STACK_GUARD void mmio(void *ctx, gpa_t gpa, u8 size, bool write, u64 *value)
{
    struct vm *vm = ctx;
    struct vcpu *v = percpu()->current_vcpu; /* emulation runs on the CPU to which its vCPU is bound */
    const struct irqchip_ops *chip = v->config.chip_ops;
    struct irqchip_access access = {.gpa = gpa, .size = size, .write = write, .value = *value};

    if (chip != NULL && chip->mmio != NULL && chip->mmio(v->config.chip, v, &access)) {
        *value = access.value;
        return;
    }
    (void)bus_access(&vm->mmio, gpa.v, size, write, value);
}

static void pio(void *ctx, u16 port, u8 size, bool write, u32 *value)
{
    struct vm *vm = ctx;
    u64 wide = *value;

    (void)bus_access(&vm->pio, port, size, write, &wide);
    *value = (u32)wide;
}

const struct vcpu_mem_ops vm_mem_ops = {
    .ram_read = ram_read,
    .ram_write = ram_write,
    .ram_replace = ram_replace,
    .ram_window = ram_window,
    .ram_lend = ram_lend,
    .mmio = mmio,
    .pio = pio,
};
