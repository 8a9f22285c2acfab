/* A scripted guest for tests of the walker and the emulator: a vCPU with RAM, device pages, ports, and recorders in place
 * of the event code. */
#pragma once
#include "vcpu/vcpu.h"

#define GUEST_RAM_BYTES KIB(256)
#define GUEST_DEVICE 0xF0000000ULL
#define GUEST_DEVICE_BYTES KIB(16)
#define GUEST_LOG 4096

struct guest_access {
    u64 address;
    u64 value;
    u8 size;
    bool write;
};

struct guest {
    struct vcpu v;
    u8 ram[GUEST_RAM_BYTES] ALIGNED(8); /* at guest-physical 0 */
    u8 device[GUEST_DEVICE_BYTES]; /* at GUEST_DEVICE, reached by mmio */
    struct guest_access mmio[GUEST_LOG], pio[GUEST_LOG];
    unsigned mmio_count, pio_count;
    unsigned ram_reads;            /* by the emulator, page tables included */
    unsigned lent[2];              /* calls of ram_lend(): to read, to write */
    bool keeps[2];                 /* which it refuses */
    u32 pio_next;                  /* what the next IN gives; counts up */
    bool raised;
    u8 vector;
    bool has_error;
    u32 error;
    u64 cr2;
    u64 next_table;                /* where guest_map() takes its next table page */
    u8 phys_bits;                  /* shown by vcpu_backend_caps() */
    u64 dr6;                       /* bits of x86_dr6_add() */
    void (*before_replace)(void);  /* what another CPU does right before ram_replace() */
};

extern struct guest guest;

/* Everything zero; flat 64-bit mode, CPL 0, 4-level paging with an empty root. */
void guest_reset_long(void);
/* Real mode, flat segments of 64 KiB at 0, no paging. */
void guest_reset_real(void);
/* Flat 32-bit protected mode without paging. */
void guest_reset_protected(void);
/* Map the 4 KiB page at va to gpa in the 4-level tables with flags. */
void guest_map(u64 va, u64 gpa, u64 flags);
u64 guest_read64(u64 gpa);
void guest_write64(u64 gpa, u64 value);

/* The same numbers in each run of a program. */
u64 random64(void);
