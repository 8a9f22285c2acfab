/* An address bus of a VM (ports or MMIO): sorted ranges, binary search. Pure. */
#pragma once
#include "kernel/lib/types.h"

#define BUS_RANGES_MAX 64U
#define BUS_HINTS 64U

/* Serve one access, offset relative to the range's base; size is a power of two up to the range's width. For reads set
 * *value (bits above size are ignored). Runs on a vCPU's CPU, IRQs on; takes the device's own lock. */
typedef void (*bus_handler)(void *device, u64 offset, u8 size, bool write, u64 *value);

struct bus_range {
    u64 base;
    u64 len;
    u8 width; /* widest access the device understands: 1, 2, 4, 8; a wider one is split, low address first */
    bus_handler handler;
    void *device;
};

struct bus {
    struct bus_range ranges[BUS_RANGES_MAX]; /* sorted by base, disjoint; fixed once the VM runs */
    u64 bases[BUS_RANGES_MAX]; /* theirs, close together for the search */
    u32 count;
    /* By address: what the search found last, the number of ranges that begin at or below. Any value is good: it is
     * checked, and shared by all CPUs without order. */
    u8 hints[BUS_HINTS];
    bus_handler rest; /* NULL: nobody */
    void *rest_device;
};

/* Claim [range->base, +len). 0, -E_OVERLAP, -E_NOMEM (table full), -E_INVAL (wraps, empty, bad width).
 * Before the VM runs. */
MUST_CHECK int bus_add(struct bus *bus, const struct bus_range *range);

/* Name who serves an access of which no range claims a byte, such as a device that software moves: the handler's offset is
 * the address, any size, ones if it is not its own. Before the VM runs. */
void bus_set_rest(struct bus *bus, bus_handler handler, void *device);

/* Serve an access of 1, 2, 4 or 8 bytes. What no range claims goes to the rest's handler; without one, or beside a byte that
 * is claimed, it reads as ones and ignores writes. An access that is wider than its range's width, or that leaves its range,
 * is split. *value beyond size, and after a write all of it, is the bus's to change. Returns whether a range claimed any
 * byte. Lock-free. */
bool bus_access(struct bus *bus, u64 addr, u8 size, bool write, u64 *value);
