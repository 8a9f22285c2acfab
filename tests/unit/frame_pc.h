/* A fake PC for the frame allocator's tests: its boot map, and what every frame handed out must fulfil. */
#pragma once
#include "boot/boot_info.h"

#define OWNER FRAME_OWNER_VM(3)

extern struct boot_info info;

/* Test setup: an empty map over zeroed fake memory. */
int clear_info(void **context);
void add_region(u64 base, u64 len, enum boot_region_type type);

/* A PC with `bytes` of RAM, the usual holes, a kernel of 171 frames and a module that holds 3014 frames and a part. */
void make_pc(u64 bytes);
bool in_ram(u64 base, u64 len);
bool in_reserved(u64 base, u64 len);

/* Take every single frame, check each, and give all back. */
void drain_and_refill(void);
