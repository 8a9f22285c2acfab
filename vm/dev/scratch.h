/* A page of memory that is a device: every access to it takes the whole MMIO path. For self tests of the emulator. */
#pragma once
#include "kernel/lib/types.h"
#include "vm/bus.h"

#define SCRATCH_SIZE 4096U

struct scratch {
    u8 bytes[SCRATCH_SIZE]; /* one vCPU at a time by the tests' own discipline; a race costs only its content */
};

/* Claim SCRATCH_SIZE bytes from base. 0 or bus_add()'s error. */
MUST_CHECK int scratch_attach(struct scratch *scratch, struct bus *bus, u64 base);
