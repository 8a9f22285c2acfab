/* Segment selectors of the kernel's GDT, the same on every CPU. Also read by assembly users through their numbers. */
#pragma once

#define SEL_KERNEL_CS 0x08U
#define SEL_KERNEL_DS 0x10U
#define SEL_TSS 0x18U
