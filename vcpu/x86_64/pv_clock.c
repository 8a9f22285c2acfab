/* KVM's clock. The TSC never stops and all vCPUs of a VM start with one offset, so one relation holds for good: system time
 * is the TSC since the VM was made, in nanoseconds. A record is written once, when the guest names its place, and again
 * only when the guest moves its TSC or its VM was paused: a VM that did not run for a while sees that time has passed, never
 * that it went back, and the flag in the record tells its watchdogs why. */
#include "vcpu/x86_64/pv.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "kernel/time.h"
#include "vcpu/x86_64/hostcpu.h"

#define RECORD_ENABLE BIT(0)
#define RECORD_RESERVED BIT(1)
#define RECORD_ADDRESS GENMASK(63, 2)
#define MUL_MIN BIT(31)

void x86_pv_clock_scale(u64 hz, u32 *mul, s8 *shift)
{
    u64 ns = NS_PER_SEC << 32; /* in hz ticks, scaled as mul is */

    *shift = 0;
    for (; ns / hz > UINT32_MAX; hz <<= 1) {
        (*shift)++;
    }
    for (; ns / hz < MUL_MIN; (*shift)--) {
        if (ns >> 63 == 0) {
            ns <<= 1;
        } else {
            hz >>= 1;
        }
    }
    *mul = (u32)(ns / hz);
}

u64 x86_pv_clock_ns(u64 ticks, u32 mul, s8 shift)
{
    ticks = shift < 0 ? ticks >> -shift : ticks << shift;
    return (u64)((unsigned __int128)ticks * mul >> 32);
}

static u64 system_time_ns(const struct vcpu *v)
{
    u32 mul;
    s8 shift;

    x86_pv_clock_scale(hostcpu_tsc_hz(), &mul, &shift);
    return x86_pv_clock_ns(hostcpu_tsc() + v->config.counter_offset, mul, shift);
}

/* Write body behind a version that is odd meanwhile: only this vCPU's own writes can be under way, but another one may
 * read. 0 or -E_FAULT. */
static int publish(struct vcpu *v, gpa_t gpa, u32 *version, const void *body, size_t len)
{
    const struct vcpu_mem_ops *mem = v->config.mem;
    u32 odd = *version | 1U;
    u32 even = odd + 1U;

    if (mem->ram_write(v->config.ctx, gpa, &odd, sizeof(odd)) != 0 ||
        mem->ram_write(v->config.ctx, GPA(gpa.v + sizeof(odd)), body, len) != 0 ||
        mem->ram_write(v->config.ctx, gpa, &even, sizeof(even)) != 0) {
        return -E_FAULT;
    }
    *version = even;
    return 0;
}

static int publish_clock(struct vcpu *v, u64 gpa, u8 flags)
{
    /* The guest's own count at the moment when the VM's count was zero. */
    u64 moved = v->arch.tsc_offset - v->config.counter_offset;
    struct pv_clock_record record = {.tsc_timestamp = moved, .flags = flags};
    s8 shift;
    u32 mul;

    if (moved == 0) {
        record.flags |= PV_CLOCK_TSC_STABLE;
    }

    x86_pv_clock_scale(hostcpu_tsc_hz(), &mul, &shift);
    record.mul = mul;
    record.shift = shift;
    return publish(v, GPA(gpa), &v->arch.pv.clock_version, (const u8 *)&record + sizeof(record.version),
                   sizeof(record) - sizeof(record.version));
}

int x86_pv_read(struct vcpu *v, u32 msr, u64 *value)
{
    bool clock = msr == MSR_KVM_SYSTEM_TIME || msr == MSR_KVM_SYSTEM_TIME_OLD;

    *value = clock ? v->arch.pv.clock : v->arch.pv.wall;
    return 0;
}

int x86_pv_write_clock(struct vcpu *v, u32 msr, u64 value)
{
    (void)msr;
    if ((value & RECORD_ENABLE) != 0 &&
        ((value & RECORD_RESERVED) != 0 || publish_clock(v, value & RECORD_ADDRESS, 0) != 0)) {
        return -E_GUEST;
    }
    v->arch.pv.clock = value;
    return 0;
}

int x86_pv_write_wall(struct vcpu *v, u32 msr, u64 value)
{
    u64 start_ns = hostcpu_wall_ns() - system_time_ns(v);
    struct pv_wall_record record = {.sec = (u32)(start_ns / NS_PER_SEC), .nsec = (u32)(start_ns % NS_PER_SEC)};

    (void)msr;
    if ((value & ~RECORD_ADDRESS) != 0 ||
        (value != 0 && publish(v, GPA(value), &v->arch.pv.wall_version, (const u8 *)&record + sizeof(record.version),
                               sizeof(record) - sizeof(record.version)) != 0)) {
        return -E_GUEST;
    }
    v->arch.pv.wall = value;
    return 0;
}

static void publish_again(struct vcpu *v, u8 flags)
{
    if ((v->arch.pv.clock & RECORD_ENABLE) != 0 && publish_clock(v, v->arch.pv.clock & RECORD_ADDRESS, flags) != 0) {
        v->arch.pv.clock = 0; /* it was RAM when it was set, and RAM stays */
    }
}

void x86_pv_tsc_moved(struct vcpu *v)
{
    publish_again(v, 0);
}

void vcpu_was_stopped(struct vcpu *v)
{
    publish_again(v, PV_CLOCK_GUEST_STOPPED);
}
