/* A VM's memory and a request for the loaders' tests and fuzzers: memory is one host buffer without the video hole. */
#pragma once
#include "tests/unit/host.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kernel/lib/errno.h"
#include "mm/heap.h"
#include "vm/load/load.h"

#define VIDEO_BASE 0xA0000ULL
#define VIDEO_END 0xC0000ULL

static u8 *ram;
static u64 ram_bytes;
static u64 heap_blocks;
static u8 *rom; /* what a loader adds, below 4 GiB */
static u64 rom_base;
static u32 rom_flags;
static struct gmem fake_gmem;
static struct vm_config fake_config;
static struct image fake_images[VM_MODULES_MAX];
static char fake_why[LOAD_WHY_MAX];
static struct vcpu_entry fake_entry;

void *heap_alloc(size_t size)
{
    heap_blocks++;
    return calloc(1, size);
}

void heap_free(void *ptr)
{
    heap_blocks -= ptr != NULL;
    free(ptr);
}

static bool is_ram(u64 gpa, u64 len)
{
    u64 low = ram_bytes < LOAD_HOLE_START ? ram_bytes : LOAD_HOLE_START;

    return range_contains(0, low, gpa, len) && !ranges_overlap(gpa, len, VIDEO_BASE, VIDEO_END - VIDEO_BASE);
}

int gmem_add(struct gmem *mem, u64 gpa, u64 len, u32 flags)
{
    (void)mem;
    free(rom);
    rom = calloc(1, len);
    rom_base = gpa;
    rom_flags = flags;
    return rom != NULL && gpa + len == GIB(4) ? 0 : -E_NOMEM;
}

int gmem_load(struct gmem *mem, gpa_t gpa, const void *buf, size_t len)
{
    (void)mem;
    if (rom != NULL && range_contains(rom_base, GIB(4) - rom_base, gpa.v, len)) {
        memcpy(rom + (gpa.v - rom_base), buf, len);
        return 0;
    }
    if (!is_ram(gpa.v, len)) {
        return -E_FAULT;
    }
    memcpy(ram + gpa.v, buf, len);
    return 0;
}

int gmem_read(const struct gmem *mem, gpa_t gpa, void *buf, size_t len)
{
    (void)mem;
    if (!is_ram(gpa.v, len)) {
        return -E_FAULT;
    }
    memcpy(buf, ram + gpa.v, len);
    return 0;
}

int gmem_zero(struct gmem *mem, gpa_t gpa, u64 len)
{
    (void)mem;
    if (!is_ram(gpa.v, len)) {
        return -E_FAULT;
    }
    memset(ram + gpa.v, 0, len);
    return 0;
}

/* New memory and an empty configuration. The dirt shows what a loader forgets to write. */
static UNUSED void fake_vm(u64 bytes)
{
    free(ram);
    free(rom);
    rom = NULL;
    ram = malloc(bytes);
    ram_bytes = bytes;
    memset(ram, 0, bytes);
    memset(&fake_config, 0, sizeof(fake_config));
    memset(fake_images, 0, sizeof(fake_images));
    memset(&fake_entry, 0, sizeof(fake_entry));
    fake_why[0] = '\0';
    fake_config.mem_bytes = bytes;
}

static UNUSED void fake_module(enum vm_role role, const void *data, u64 size, const char *cmdline)
{
    u32 index = fake_config.module_count++;

    fake_images[index] = (struct image){data, size};
    fake_config.modules[index] = (struct vm_module){.role = role, .boot_module = index, .cmdline = cmdline};
}

static UNUSED struct load_request fake_request(void)
{
    return (struct load_request){&fake_gmem, ram_bytes, &fake_config, fake_images, fake_why};
}

/* Load what fake_module() named; the name of the loader, or NULL with fake_why set. */
static UNUSED const char *fake_load(int *error)
{
    const char *name = NULL;
    struct load_request rq = fake_request();

    *error = load_image(&rq, &fake_entry, &name);
    if (heap_blocks != 0) {
        panic("a loader leaks");
    }
    return name;
}
