/* A plugin for QEMU's TCG: how many instructions the hypervisor and its guest execute, from the first VMRUN until the guest's
 * first instruction in user mode. Arguments: text=BASE-END (the hypervisor's code, hexadecimal), out=FILE. Writes
 * "host N guest N" to FILE when user mode begins. The declarations are those of the plugin API, version 1. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn, int operation, void *counter, uint64_t add);
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, void (*fn)(uint64_t id, struct qemu_plugin_tb *tb));

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

#define ADD_U64 0
#define HIGH_HALF (1ULL << 63)

enum { BEFORE, ENTERED, KERNEL, USER };
static int phase;
static uint64_t text_base, text_end, counted[2], at_start[2];
static char out[4096];

static int is_vmrun(const struct qemu_plugin_insn *insn)
{
    return qemu_plugin_insn_size(insn) == 3 && memcmp(qemu_plugin_insn_data(insn), "\x0F\x01\xD8", 3) == 0;
}

static void report(void)
{
    FILE *file = fopen(out, "w");

    if (file != NULL) {
        fprintf(file, "host %llu guest %llu\n", (unsigned long long)(counted[0] - at_start[0]),
                (unsigned long long)(counted[1] - at_start[1]));
        fclose(file);
    }
}

/* A block is translated right before it runs for the first time. User code comes after the guest's kernel has moved to the
 * upper half: what runs in the lower before is its own start. */
static void translated(uint64_t id, struct qemu_plugin_tb *tb)
{
    uint64_t first = qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(tb, 0));
    int guest = first < text_base || first >= text_end;

    (void)id;
    if (phase == ENTERED && guest && first >= HIGH_HALF) {
        phase = KERNEL;
    } else if (phase == KERNEL && guest && first < HIGH_HALF) {
        phase = USER;
        report();
    }
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        if (phase == BEFORE && !guest && is_vmrun(insn)) {
            phase = ENTERED;
            memcpy(at_start, counted, sizeof(at_start));
        }
        qemu_plugin_register_vcpu_insn_exec_inline(insn, ADD_U64, &counted[guest], 1);
    }
}

__attribute__((visibility("default"))) int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++) {
        char *end;
        if (strncmp(argv[i], "text=", 5) == 0) {
            text_base = strtoull(argv[i] + 5, &end, 16);
            text_end = *end == '-' ? strtoull(end + 1, NULL, 16) : 0;
        } else if (strncmp(argv[i], "out=", 4) == 0) {
            snprintf(out, sizeof(out), "%s", argv[i] + 4);
        }
    }
    if (text_end <= text_base || out[0] == '\0') {
        fprintf(stderr, "insn_share: text=BASE-END and out=FILE are needed\n");
        return -1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}
