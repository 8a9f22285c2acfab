/* The MC146818 real-time clock and its CMOS RAM: ports 70h and 71h. The time is the host's, as UTC;
 * interrupts as the Motorola MC146818A data sheet has them. */
#pragma once
#include "kernel/base/lock.h"
#include "kernel/timer.h"
#include "vm/bus.h"
#include "vm/irqline.h"

#define RTC_IRQ 8U

#define RTC_CMOS_SIZE 128U

struct vrtc {
    struct spinlock lock; /* protects everything below */
    u8 index;             /* the register that port 71h shows */
    u8 cmos[RTC_CMOS_SIZE];
    s64 offset_s;         /* guest clock minus host clock */
    u64 seen_ns;          /* register C knows what happened until then */
    bool stopped;
    struct timer timer;
    struct irqline irq;
};

/* low_bytes and high_bytes: the VM's RAM below and above 4 GiB, told where PC firmware tells it. */
void vrtc_init(struct vrtc *rtc, const struct irqline *irq, u64 low_bytes, u64 high_bytes);

/* Claim ports 70h-71h. 0 or bus_add()'s error. */
MUST_CHECK int vrtc_attach(struct vrtc *rtc, struct bus *pio);

/* No interrupt comes after this returns. Task context. */
void vrtc_stop(struct vrtc *rtc);
