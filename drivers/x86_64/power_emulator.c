/* Ends that only emulators know: QEMU's isa-debug-exit device, Bochs' shutdown port. Never tried on a real machine. */
#include "drivers/x86_64/power.h"
#include "kernel/lib/string.h"
#include "kernel/power.h"
#include "kernel/x86_64/cpuid.h"
#include "kernel/x86_64/pio.h"
#include "kernel/x86_64/regs.h"

/* QEMU ends with status (value << 1) | 1; adding the base keeps status 1, QEMU's own failures, apart. */
#define DEBUG_EXIT_PORT 0xF4U
#define DEBUG_EXIT_BASE 0x10U
#define DEBUG_EXIT_CODE_MAX 0x6FU /* what fits the status' 8 bits; larger codes are a plain failure */
#define CODE_FAIL 1U
#define BOCHS_E9_PORT 0xE9U /* reads as its own number in Bochs, and in QEMU with a debug console there */
#define BOCHS_SHUTDOWN_PORT 0x8900U

static bool in_qemu(void)
{
    static const char *const signatures[] = {"TCGTCGTCGTCG", "KVMKVMKVM\0\0\0"};
    struct cpuid leaf = cpuid_raw(CPUID_HYPERVISOR_BASE, 0);
    u32 signature[] = {leaf.ebx, leaf.ecx, leaf.edx};

    if ((cpuid_get(1, 0).ecx & CPUID_1_ECX_HYPERVISOR) == 0) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_SIZE(signatures); i++) {
        if (memcmp(signature, signatures[i], sizeof(signature)) == 0) {
            return true;
        }
    }
    return false;
}

static void qemu_exit(enum power_action action, u32 code)
{
    if (action == POWER_EXIT) {
        pio_write32(DEBUG_EXIT_PORT, DEBUG_EXIT_BASE + (code <= DEBUG_EXIT_CODE_MAX ? code : CODE_FAIL));
    }
}

static void bochs_shutdown(enum power_action action, u32 code)
{
    static const char word[] = "Shutdown";

    (void)code;
    if (action != POWER_EXIT && action != POWER_OFF) {
        return;
    }
    for (size_t i = 0; i < sizeof(word) - 1; i++) {
        pio_write8(BOCHS_SHUTDOWN_PORT, (u8)word[i]);
    }
}

void power_emulator_init(void)
{
    static struct power_way qemu = {.name = "isa-debug-exit", .act = qemu_exit};
    static struct power_way bochs = {.name = "bochs", .act = bochs_shutdown};

    if (in_qemu()) {
        power_add_way(&qemu);
    }
    if (pio_read8(BOCHS_E9_PORT) == BOCHS_E9_PORT) {
        power_add_way(&bochs);
    }
}
