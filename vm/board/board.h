/* The composition root: which memory and devices a machine has, and the order in which it is put together. */
#pragma once
#include "vm/vm.h"

/* Build a VM from its configuration: memory, board, loaded image, vCPUs with their entry state. images: one per
 * config->modules[]. vm is zeroed. 0, or -E_* with why (VM_WHY_MAX bytes) filled and everything given back. Task context. */
MUST_CHECK int board_build_vm(struct vm *vm, u32 id, const struct vm_config *config, const struct image *images, char *why);

/* --- supplied by vm/board/<arch> --------------------------------------------------------------------------------------- */

/* RAM and ROM of the standard machine, for config->mem_bytes. 0, -E_NOMEM. */
MUST_CHECK int board_add_memory(struct vm *vm);

/* Create the devices, claim their ports, and give back the interrupt chip for the vCPUs. 0, -E_NOMEM. */
MUST_CHECK int board_attach(struct vm *vm, const struct irqchip_ops **chip_ops, void **chip);

/* Write the machine's description (ACPI) into its memory. 0 or -E_FAULT. */
MUST_CHECK int board_describe(struct vm *vm);
