/* See x86_fake.h. */
#include "tests/unit/x86_fake.h"
#include "tests/unit/host.h"
#include "kernel/lib/errno.h"
#include "kernel/x86_64/regs.h"
#include <string.h>

struct fake_host fake_host;
struct fake_log fake_log;
struct vcpu fake_v;
u8 fake_ram[0x4000] ALIGNED(64);
static struct pt stage2;

struct x86_cpuid hostcpu_cpuid(u32 leaf, u32 subleaf)
{
    if (leaf == 0xD) {
        return fake_host.xsave[subleaf % 16];
    }
    if (leaf < 0x20) {
        return fake_host.basic[leaf][subleaf % 4];
    }
    if (leaf >= 0x80000000 && leaf < 0x80000020) {
        return fake_host.extended[leaf - 0x80000000];
    }
    return (struct x86_cpuid){0, 0, 0, 0};
}

u64 hostcpu_tsc(void)
{
    return fake_host.tsc;
}

u64 hostcpu_tsc_hz(void)
{
    return fake_host.tsc_hz;
}

u64 hostcpu_wall_ns(void)
{
    return fake_host.wall_ns;
}

void hostcpu_set_tsc_aux(u64 value)
{
    fake_host.tsc_aux = value;
}

void hostcpu_set_dr6(u64 value)
{
    fake_host.dr6 = value;
}

u64 hostcpu_arch_capabilities(void)
{
    return fake_host.arch_capabilities;
}

bool hostcpu_xsavec_works(void)
{
    return !fake_host.xsavec_broken;
}

void hostcpu_ibpb(void)
{
    fake_host.ibpbs++;
}

u64 hostcpu_get_xcr0(void)
{
    return fake_host.xcr0;
}

void hostcpu_set_xcr0(u64 value)
{
    fake_host.xcr0 = value;
}

static void fake_inject(struct vcpu *v, const struct vcpu_event *event)
{
    (void)v;
    fake_log.injected++;
    fake_log.event = *event;
}

static void fake_window(struct vcpu *v, u32 windows)
{
    (void)v;
    fake_log.window_calls++;
    fake_log.windows = windows;
}

static void fake_flush(struct vcpu *v)
{
    (void)v;
    fake_log.flushes++;
}

static void fake_offset(struct vcpu *v, u64 offset)
{
    (void)v;
    (void)offset;
    fake_log.time_offsets++;
}

static void fake_debug(struct vcpu *v)
{
    (void)v;
    fake_log.debug_calls++;
}

static const struct vcpu_backend backend = {
    .name = "fake", .event_inject = fake_inject, .event_window = fake_window, .tlb_flush = fake_flush,
    .set_time_offset = fake_offset, .set_debug = fake_debug,
};

static int ram_read(void *ctx, gpa_t gpa, void *buf, size_t len)
{
    (void)ctx;
    if (!range_contains(0, sizeof(fake_ram), gpa.v, len)) {
        return -E_FAULT;
    }
    memcpy(buf, fake_ram + gpa.v, len);
    return 0;
}

static int ram_write(void *ctx, gpa_t gpa, const void *buf, size_t len)
{
    (void)ctx;
    if (!range_contains(0, sizeof(fake_ram), gpa.v, len)) {
        return -E_FAULT;
    }
    memcpy(fake_ram + gpa.v, buf, len);
    return 0;
}

static void *ram_window(void *ctx, gpa_t gpa, size_t len)
{
    (void)ctx;
    return range_contains(0, sizeof(fake_ram), gpa.v, len) ? fake_ram + gpa.v : NULL;
}

static int ram_replace(void *ctx, gpa_t gpa, u64 old, u64 new, u8 size)
{
    return host_replace(ram_window(ctx, gpa, size), old, new, size);
}

static const struct vcpu_mem_ops mem = {.ram_read = ram_read, .ram_write = ram_write, .ram_replace = ram_replace,
                                        .ram_window = ram_window};

void vcpu_request(struct vcpu *v, u32 requests)
{
    v->requests |= requests;
}

void fake_host_vendor(const char *text)
{
    for (u32 i = 0; i < 4; i++) {
        memcpy(&fake_host.basic[0][i].ebx, text, 4);
        memcpy(&fake_host.basic[0][i].edx, text + 4, 4);
        memcpy(&fake_host.basic[0][i].ecx, text + 8, 4);
    }
    fake_host.extended[0] = fake_host.basic[0][0];
}

void fake_host_all(void)
{
    memset(&fake_host, 0xFF, sizeof(fake_host));
    memset(fake_host.xsave, 0, sizeof(fake_host.xsave));
    fake_host.xsave[0] = (struct x86_cpuid){0x602E7, 0, 11008, 0}; /* x87 SSE AVX AVX-512 PKRU AMX */
    fake_host.xsave[1] = (struct x86_cpuid){0x1F, 0, 0, 0};
    fake_host.xsave[2] = (struct x86_cpuid){256, 576, 0, 0};
    fake_host.xsave[5] = (struct x86_cpuid){64, 1088, 0, 0};
    fake_host.xsave[6] = (struct x86_cpuid){512, 1152, 0, 0};
    fake_host.xsave[7] = (struct x86_cpuid){1024, 1664, 0, 0};
    fake_host.xsave[9] = (struct x86_cpuid){8, 2688, 0, 0};
    fake_host.xsavec_broken = false;
    fake_host.extended[8].eax = 0x3928; /* 57 linear, 40 physical */
    fake_host.tsc = 1000;
    fake_host.tsc_hz = 2300000000ULL;
    fake_host.wall_ns = 1700000000000000000ULL;
    fake_host.xcr0 = 1;
    fake_host_vendor("AuthenticAMD");
}

void fake_start(void)
{
    memset(&fake_log, 0, sizeof(fake_log));
    memset(&fake_v, 0, sizeof(fake_v));
    memset(fake_ram, 0, sizeof(fake_ram));
    fake_v.backend = &backend;
    fake_v.config.mem = &mem;
    fake_v.config.stage2 = &stage2;
    fake_v.cpu = 0;
    x86_cpuid_forget();
    x86_cpuid_init();
    x86_reset_regs(&fake_v);
    fake_v.arch.s2_generation = stage2.generation;
}

int fake_setup(void **state)
{
    (void)state;
    fake_host_all();
    fake_start();
    return 0;
}

void fake_long_mode(void)
{
    fake_v.arch.cr0 = CR0_PE | CR0_PG | CR0_ET;
    fake_v.arch.cr4 = CR4_PAE;
    fake_v.arch.efer = EFER_LME | EFER_LMA;
    fake_v.arch.seg[X86_CS].attr = 0xA09B;
}

/* Where no paging is tested, code lies at its linear address. */
__attribute__((weak)) size_t x86_fetch_insn(struct vcpu *v, u8 buf[15])
{
    if (v->arch.rip > sizeof(fake_ram) - 15) {
        return 0;
    }
    memcpy(buf, &fake_ram[v->arch.rip], 15);
    return 15;
}
