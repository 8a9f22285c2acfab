/* An address bus of a VM (ports or MMIO): sorted ranges, binary search. Pure. */
#pragma once
#include "kernel/lib/types.h"

#define BUS_RANGES_MAX 64U

/* Serve one access, addr relative to the range's base; size 1, 2, 4 or 8. For reads set *value (bits above size are
 * ignored). Runs on a vCPU's CPU, IRQs on; takes the device's own lock. */
typedef void (*bus_handler)(void *device, u64 offset, u8 size, bool write, u64 *value);

struct bus_range {
    u64 base;
    u64 len;
    bus_handler handler;
    void *device;
};

struct bus {
    struct bus_range ranges[BUS_RANGES_MAX]; /* sorted by base, disjoint; fixed once the VM runs */
    u32 count;
};

/* Claim [base, base+len). 0, -E_OVERLAP, -E_NOMEM (table full), -E_INVAL. Before the VM runs. */
MUST_CHECK int bus_add(struct bus *bus, u64 base, u64 len, bus_handler handler, void *device);

/* Serve an access. An unclaimed read, or one that leaves its range, gives all ones; such writes are dropped. Returns
 * whether a device claimed it. Lock-free. */
bool bus_access(const struct bus *bus, u64 addr, u8 size, bool write, u64 *value);
