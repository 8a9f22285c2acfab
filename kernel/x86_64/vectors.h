/* The interrupt vectors of the host. 0-31 are the CPU's exceptions. */
#pragma once

#define VECTOR_DEVICE_FIRST 0x30U /* handed out to devices by kernel/irq.c */
#define VECTOR_DEVICE_LAST 0xDFU
#define VECTOR_LAPIC_ERROR 0xEDU
#define VECTOR_TIMER 0xEEU
#define VECTOR_KICK 0xEFU
#define VECTOR_SPURIOUS 0xFFU /* low four bits set: some CPUs force them (SDM 11.9) */
