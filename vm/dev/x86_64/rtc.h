/* The MC146818 real-time clock and its CMOS RAM: ports 70h and 71h. The time is the host's, as UTC. */
#pragma once
#include "kernel/base/lock.h"
#include "vm/bus.h"

#define RTC_CMOS_SIZE 128U

struct vrtc {
    struct spinlock lock; /* protects everything below */
    u8 index;             /* the register that port 71h shows */
    u8 cmos[RTC_CMOS_SIZE];
    s64 offset_s;         /* guest clock minus host clock */
};

/* low_bytes and high_bytes: the VM's RAM below and above 4 GiB, told where PC firmware tells it. */
void vrtc_init(struct vrtc *rtc, u64 low_bytes, u64 high_bytes);

/* Claim ports 70h-71h. 0 or bus_add()'s error. */
MUST_CHECK int vrtc_attach(struct vrtc *rtc, struct bus *pio);
