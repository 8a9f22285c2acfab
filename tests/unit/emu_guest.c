#include "tests/unit/emu_guest.h"
#include "tests/unit/host.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "kernel/x86_64/regs.h"
#include "mm/heap.h"
#include "vcpu/x86_64/x86.h"

struct guest guest;

static int ram_read(void *ctx, gpa_t gpa, void *buf, size_t len)
{
    (void)ctx;
    if (!range_contains(0, GUEST_RAM_BYTES, gpa.v, len)) {
        return -E_FAULT;
    }
    memcpy(buf, guest.ram + gpa.v, len);
    guest.ram_reads++;
    return 0;
}

static void *ram_window(void *ctx, gpa_t gpa, size_t len)
{
    (void)ctx;
    return range_contains(0, GUEST_RAM_BYTES, gpa.v, len) ? guest.ram + gpa.v : NULL;
}

static void *ram_lend(void *ctx, gpa_t gpa, size_t len, bool write)
{
    guest.lent[write]++;
    return guest.keeps[write] ? NULL : ram_window(ctx, gpa, len);
}

/* What the emulator remembers. */
static u64 remembered[256];

void *heap_alloc(size_t size)
{
    return size <= sizeof(remembered) ? remembered : NULL;
}

void heap_free(void *memory)
{
    (void)memory;
}

static int ram_write(void *ctx, gpa_t gpa, const void *buf, size_t len)
{
    (void)ctx;
    if (!range_contains(0, GUEST_RAM_BYTES, gpa.v, len)) {
        return -E_FAULT;
    }
    memcpy(guest.ram + gpa.v, buf, len);
    return 0;
}

static void record(struct guest_access *log, unsigned *count, struct guest_access a)
{
    if (*count < GUEST_LOG) {
        log[(*count)++] = a;
    }
}

static void mmio(void *ctx, gpa_t gpa, u8 size, bool write, u64 *value)
{
    (void)ctx;
    bool mine = range_contains(GUEST_DEVICE, GUEST_DEVICE_BYTES, gpa.v, size);
    if (mine && write) {
        memcpy(guest.device + (gpa.v - GUEST_DEVICE), value, size);
    } else if (mine) {
        *value = 0;
        memcpy(value, guest.device + (gpa.v - GUEST_DEVICE), size);
    } else if (!write) {
        *value = ~0ULL;
    }
    record(guest.mmio, &guest.mmio_count, (struct guest_access){gpa.v, *value, size, write});
}

static void pio(void *ctx, u16 port, u8 size, bool write, u32 *value)
{
    (void)ctx;
    if (!write) {
        *value = guest.pio_next++;
    }
    record(guest.pio, &guest.pio_count, (struct guest_access){port, *value, size, write});
}

static int ram_replace(void *ctx, gpa_t gpa, u64 old, u64 new, u8 size)
{
    if (guest.before_replace != NULL) {
        guest.before_replace();
    }
    return host_replace(ram_window(ctx, gpa, size), old, new, size);
}

static const struct vcpu_mem_ops mem_ops = {.ram_read = ram_read, .ram_write = ram_write, .ram_replace = ram_replace,
                                            .ram_window = ram_window, .ram_lend = ram_lend, .mmio = mmio, .pio = pio};

const struct vcpu_caps *vcpu_backend_caps(void)
{
    static struct vcpu_caps caps;

    caps.phys_bits = guest.phys_bits;
    return &caps;
}

void x86_advance_rare(struct vcpu *v, u64 old)
{
    u64 mask = x86_code_bits(v) == 64 ? ~0ULL : x86_code_bits(v) == 32 ? 0xFFFFFFFF : 0xFFFF;

    (void)old;
    v->arch.rip &= mask;
    v->arch.rflags &= ~RFLAGS_RF;
}

void x86_raise(struct vcpu *v, u8 vector, bool has_error, u32 error)
{
    (void)v;
    guest.raised = true;
    guest.vector = vector;
    guest.has_error = has_error;
    guest.error = error;
}

void x86_raise_gp(struct vcpu *v)
{
    x86_raise(v, VECTOR_GP, true, 0);
}

void x86_raise_ud(struct vcpu *v)
{
    x86_raise(v, VECTOR_UD, false, 0);
}

void x86_raise_pf(struct vcpu *v, gva_t va, u32 error)
{
    x86_raise(v, VECTOR_PF, true, error);
    guest.cr2 = va.v;
}

u64 guest_read64(u64 gpa)
{
    u64 value;

    memcpy(&value, guest.ram + gpa, sizeof(value));
    return value;
}

void guest_write64(u64 gpa, u64 value)
{
    memcpy(guest.ram + gpa, &value, sizeof(value));
}

/* Everything is valid but MODE, which comes from the others. */
static void regs_fetch(struct vcpu *v, u32 groups)
{
    v->arch.code_bits = x86_code_bits(v);
    v->arch.valid |= groups;
}

static void reset(void)
{
    static const struct vcpu_backend backend = {.regs_fetch = regs_fetch};

    memset(&guest, 0, sizeof(guest));
    memset(remembered, 0, sizeof(remembered));
    guest.v.arch.moves = (struct x86_moves *)remembered;
    guest.v.config.mem = &mem_ops;
    guest.v.backend = &backend;
    guest.v.arch.valid = X86_G_ALL;
    guest.v.arch.rflags = RFLAGS_FIXED;
    guest.next_table = KIB(4);
    guest.phys_bits = 40;
}

static void segments(u32 code_attr, u32 data_attr, u32 limit)
{
    for (int i = 0; i < X86_SEGS; i++) {
        guest.v.arch.seg[i] = (struct x86_seg){.selector = 0, .attr = data_attr, .limit = limit, .base = 0};
    }
    guest.v.arch.seg[X86_CS].attr = code_attr;
}

void guest_reset_long(void)
{
    reset();
    segments(0xA09B, 0xC093, 0xFFFFFFFF);
    guest.v.arch.cr0 = CR0_PE | CR0_PG | CR0_WP | CR0_NE | CR0_ET;
    guest.v.arch.cr4 = CR4_PAE;
    guest.v.arch.efer = EFER_LME | EFER_LMA | EFER_NXE;
    guest.v.arch.cr3 = guest.next_table;
    guest.next_table += KIB(4);
}

void guest_reset_real(void)
{
    reset();
    segments(0x9B, 0x93, 0xFFFF);
    guest.v.arch.cr0 = CR0_ET;
}

void guest_reset_protected(void)
{
    reset();
    segments(0xC09B, 0xC093, 0xFFFFFFFF);
    guest.v.arch.cr0 = CR0_PE | CR0_ET;
}

void guest_map(u64 va, u64 gpa, u64 flags)
{
    u64 table = guest.v.arch.cr3;

    for (int level = 3; level > 0; level--) {
        u64 at = table + (va >> (12 + 9 * level) & 511) * 8;
        if ((guest_read64(at) & PTE_P) == 0) {
            guest_write64(at, guest.next_table | PTE_P | PTE_RW | PTE_US);
            guest.next_table += KIB(4);
        }
        table = guest_read64(at) & PTE_ADDR_MASK;
    }
    guest_write64(table + (va >> 12 & 511) * 8, gpa | flags);
}

u64 random64(void)
{
    static u64 x = 0x9E3779B97F4A7C15ULL;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return x;
}
