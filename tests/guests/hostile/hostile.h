/* A victim's 64 KiB below 1 MiB: its code for every mode, its tables, and the streams of random instructions that CPU 0 made. */
#pragma once
#include "tests/guests/kit/kit.h"

#define VICTIMS 3U
#define BLOCK_BYTES 0x10000ULL
#define BLOCK(victim) ((victim) * BLOCK_BYTES)
/* In a block. */
#define PARAMS 0x300U
#define STREAMS 64U
#define STREAM_BYTES 256U

struct __attribute__((packed)) hostile_params {
    u32 cr0, cr3, cr4, efer;
    u32 entry;
    u16 entry_selector, pad0;
    u16 gdt_limit;
    u32 gdt_base;
    u16 pad1, idt_limit;
    u32 idt_base;
    u16 pad2;
    u32 count;                             /* streams begun */
    u32 data;                              /* selector of the handlers' data: the block */
    u32 flags, code, stack, sp, segment;   /* of the streams */
    u32 code_base;                         /* added to a stream's offset in the block */
};

u64 hostile_random(void);
u32 hostile_below(u32 n);
bool hostile_one_in(u32 n);
u64 hostile_value(void); /* of a register: mostly an address at which something is */
u32 hostile_msr(void);   /* mostly one that exists */
/* Fill a victim's block with a new scene. */
void hostile_build(u32 victim);
/* Write one stream for code of 16, 32 or 64 bits. */
void hostile_stream(u8 *to, u32 code_bits);
