/* Linux bzImages by the Linux/x86 boot protocol 2.06 and later, entered in 64-bit mode when the kernel can, else in
 * 32-bit mode. */
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "mm/heap.h"
#include "vm/load/x86_64/loaders.h"

#define OLD_INIT_FACTOR 4U /* kernels that do not say how much memory they need while they unpack */
#define OLD_CMDLINE_MAX 255U
#define INITRD_ALIGN 4U /* between concatenated cpio archives */
#define PARAGRAPH 16U   /* unit of syssize */

/* Where everything went. */
struct linux_boot {
    struct linux_image kernel;
    struct load_space space;
    u64 params, cmdline, initrd, initrd_bytes;
};

static bool linux_sniff(const struct image *image)
{
    u16 boot_flag;

    if (image->size < LINUX_AT(version)) {
        return false;
    }
    memcpy(&boot_flag, image->data + LINUX_AT(boot_flag), sizeof(boot_flag));
    return boot_flag == LINUX_BOOT_FLAG && memcmp(image->data + LINUX_AT(header), LINUX_MAGIC, 4) == 0;
}

/* The header's own length follows from its jump instruction: a byte at 0x201 counts from 0x202. */
static void copy_header(const struct image *image, struct linux_setup_header *out)
{
    u64 end = LINUX_AT(header) + image->data[LINUX_AT(jump) + 1];
    u64 len = MIN(MIN(end, image->size) - LINUX_HEADER_OFFSET, sizeof(*out));

    memset(out, 0, sizeof(*out));
    memcpy(out, image->data + LINUX_HEADER_OFFSET, (size_t)len);
}

static int check_version(const struct linux_setup_header *h, char *why)
{
    if (h->version < LINUX_VERSION_MIN) {
        return load_fail(why, -E_FORMAT, "bzImage has boot protocol %u.%02u, 2.06 is the oldest supported",
                         h->version >> 8, h->version & 0xFFU);
    }
    if ((h->loadflags & LINUX_LOADFLAGS_LOADED_HIGH) == 0) {
        return load_fail(why, -E_FORMAT, "a zImage (loaded low) is not supported");
    }
    return 0;
}

static int find_kernel(const struct image *image, struct linux_image *out, char *why)
{
    u32 sects = out->header.setup_sects != 0 ? out->header.setup_sects : LINUX_SETUP_SECTS_DEFAULT;
    u64 bytes = (u64)out->header.syssize * PARAGRAPH;

    out->kernel_offset = (u64)(sects + 1) * LINUX_SECTOR;
    if (bytes == 0) {
        return load_fail(why, -E_FORMAT, "bzImage holds no kernel: syssize is 0");
    }
    /* syssize is rounded up to a paragraph, the file need not be. */
    u64 total = out->kernel_offset + bytes;
    if (total > image->size && total - image->size >= PARAGRAPH) {
        return load_fail(why, -E_TRUNC, "bzImage is truncated: header says %llu bytes, module has %llu",
                         (unsigned long long)total, (unsigned long long)image->size);
    }
    out->kernel_bytes = MIN(total, image->size) - out->kernel_offset;
    return 0;
}

static void find_needs(struct linux_image *out)
{
    const struct linux_setup_header *h = &out->header;
    bool says = h->version >= LINUX_VERSION_PREF_ADDRESS;

    out->load = says ? h->pref_address : LINUX_HIGH_LOAD_ADDRESS;
    out->init_bytes = says ? MAX(h->init_size, out->kernel_bytes) : out->kernel_bytes * OLD_INIT_FACTOR;
    out->entry64 = h->version >= LINUX_VERSION_XLOADFLAGS && (h->xloadflags & LINUX_XLF_KERNEL_64) != 0;
    out->cmdline_max = h->cmdline_size != 0 ? h->cmdline_size : OLD_CMDLINE_MAX;
    out->initrd_limit = (u64)h->initrd_addr_max + 1;
}

int linux_parse(const struct image *image, struct linux_image *out, char *why)
{
    if (!linux_sniff(image)) {
        return load_fail(why, -E_FORMAT, "no Linux bzImage: no boot sector with HdrS");
    }
    if (image->size < LINUX_AT(hardware_subarch)) {
        return load_fail(why, -E_TRUNC, "bzImage is truncated inside its header: module has %llu bytes",
                         (unsigned long long)image->size);
    }
    copy_header(image, &out->header);
    int error = check_version(&out->header, why);
    if (error == 0) {
        error = find_kernel(image, out, why);
    }
    if (error == 0) {
        find_needs(out);
    }
    return error;
}

/* A relocatable kernel below its preferred address would move itself up to it: the preferred place must be there. */
static int place_kernel(const struct load_request *rq, struct linux_boot *boot)
{
    const struct linux_image *k = &boot->kernel;
    u64 low_end = MIN(rq->ram_size, LOAD_HOLE_START);

    if (k->load < MIB(1) || !range_contains(MIB(1), low_end - MIN(low_end, MIB(1)), k->load, k->init_bytes)) {
        return load_fail(rq->why, -E_FAULT, "the kernel needs %lluM at 0x%llx: more than the VM's %lluM of memory",
                         (unsigned long long)((k->init_bytes + MIB(1) - 1) >> 20), (unsigned long long)k->load,
                         (unsigned long long)(rq->ram_size >> 20));
    }
    int error = load_space_take(&boot->space, k->load, k->init_bytes);
    if (error != 0) {
        return load_fail_space(rq, "the kernel", k->init_bytes);
    }
    return load_copy(rq, k->load, rq->images[0].data + k->kernel_offset, k->kernel_bytes);
}

static u64 initrd_bytes(const struct load_request *rq)
{
    u64 total = 0;

    for (u32 i = 0; i < rq->config->module_count; i++) {
        if (rq->config->modules[i].role == ROLE_INITRD) {
            total += ALIGN_UP(rq->images[i].size, INITRD_ALIGN);
        }
    }
    return total;
}

/* All initrd modules one behind the other, as high as the kernel allows. */
static int place_initrd(const struct load_request *rq, struct linux_boot *boot)
{
    u64 bytes = initrd_bytes(rq);
    int error = 0;

    if (bytes == 0) {
        return 0;
    }
    if (load_space_high(&boot->space, boot->kernel.initrd_limit, bytes, LOAD_PAGE, &boot->initrd) != 0) {
        return load_fail_space(rq, "the initrd", bytes);
    }
    boot->initrd_bytes = bytes;
    u64 next = boot->initrd;
    for (u32 i = 0; i < rq->config->module_count && error == 0; i++) {
        if (rq->config->modules[i].role == ROLE_INITRD) {
            error = load_copy(rq, next, rq->images[i].data, rq->images[i].size);
            next += ALIGN_UP(rq->images[i].size, INITRD_ALIGN);
        }
    }
    return error;
}

static int place_cmdline(const struct load_request *rq, struct linux_boot *boot)
{
    const char *text = rq->config->modules[0].cmdline;
    u64 len = strlen(text);

    if (len > boot->kernel.cmdline_max) {
        return load_fail(rq->why, -E_RANGE, "command line of %llu characters, the kernel takes %llu",
                         (unsigned long long)len, (unsigned long long)boot->kernel.cmdline_max);
    }
    if (load_space_low(&boot->space, LOAD_DATA_FLOOR, len + 1, LOAD_PAGE, &boot->cmdline) != 0) {
        return load_fail_space(rq, "the command line", len + 1);
    }
    return load_copy(rq, boot->cmdline, text, len + 1);
}

static void fill_e820(u64 ram_size, struct linux_boot_params *params)
{
    struct load_map_entry map[8];
    u32 count = load_memory_map(ram_size, map);

    for (u32 i = 0; i < count; i++) {
        params->e820_table[i] = (struct linux_e820){
            map[i].base, map[i].len, map[i].ram ? LINUX_E820_RAM : LINUX_E820_RESERVED};
    }
    params->e820_entries = (u8)count;
}

static int place_params(const struct load_request *rq, struct linux_boot *boot)
{
    u8 rsdp[36];
    u32 rsdp_len;

    const u64 bytes = sizeof(struct linux_boot_params);
    if (load_space_low(&boot->space, LOAD_DATA_FLOOR, bytes, LOAD_PAGE, &boot->params) != 0) {
        return load_fail_space(rq, "the boot parameters", bytes);
    }
    struct linux_boot_params *params = heap_alloc(sizeof(*params));
    if (params == NULL) {
        return load_fail(rq->why, -E_NOMEM, "the host has no memory for the boot parameters");
    }
    params->hdr = boot->kernel.header;
    params->hdr.type_of_loader = LINUX_LOADER_UNDEFINED;
    params->hdr.code32_start = (u32)boot->kernel.load;
    params->hdr.ramdisk_image = (u32)boot->initrd;
    params->hdr.ramdisk_size = (u32)boot->initrd_bytes;
    params->hdr.cmd_line_ptr = (u32)boot->cmdline;
    params->hdr.setup_data = 0;
    params->acpi_rsdp_addr = loader_find_rsdp(rq, rsdp, &rsdp_len);
    fill_e820(rq->ram_size, params);
    int error = load_copy(rq, boot->params, params, sizeof(*params));
    heap_free(params);
    return error;
}

static int place_all(const struct load_request *rq, struct linux_boot *boot, struct vcpu_entry *entry)
{
    int (*const steps[])(const struct load_request *, struct linux_boot *) = {
        place_kernel, place_initrd, place_cmdline, place_params};
    int error = linux_parse(&rq->images[0], &boot->kernel, rq->why);

    load_space_init(&boot->space, rq->ram_size);
    for (u32 i = 0; i < ARRAY_SIZE(steps) && error == 0; i++) {
        error = steps[i](rq, boot);
    }
    if (error != 0) {
        return error;
    }
    u64 load = boot->kernel.load;
    error = boot->kernel.entry64 ? entry_long(rq, &boot->space, load + LINUX_ENTRY_64_OFFSET, entry)
                                 : entry_prot(rq, &boot->space, load, entry);
    entry->gpr[X86_RSI] = boot->params;
    return error;
}

static int linux_load(const struct load_request *rq, struct vcpu_entry *entry)
{
    struct vcpu_entry start;
    struct linux_boot *boot = heap_alloc(sizeof(*boot));

    if (boot == NULL) {
        return load_fail(rq->why, -E_NOMEM, "the host has no memory for the loader");
    }
    int error = place_all(rq, boot, &start);
    heap_free(boot);
    if (error == 0) {
        *entry = start;
    }
    return error;
}

const struct loader loader_linux = {VM_TYPE_LINUX, "linux", linux_sniff, linux_load};
