/* Descriptors, selectors and what struct x86_seg keeps of them: SDM Vol. 3 3.4, 3.5, 8.2, 25.4.1 "access rights". Data only. */
#pragma once
#include "kernel/lib/types.h"

/* attr of struct x86_seg */
#define SEG_TYPE GENMASK(3, 0)
#define SEG_ACCESSED BIT32(0)
#define SEG_RW BIT32(1)          /* data: writable; code: readable */
#define SEG_CONFORMING BIT32(2)  /* of code */
#define SEG_EXPAND_DOWN BIT32(2) /* of data */
#define SEG_CODE BIT32(3)
#define SEG_S BIT32(4)
#define SEG_DPL GENMASK(6, 5)
#define SEG_P BIT32(7)
#define SEG_L BIT32(13)
#define SEG_DB BIT32(14)
#define SEG_G BIT32(15)
#define SEG_UNUSABLE BIT32(16)

/* System types: SDM table 3-2. A TSS that is available; the wide one is of 32 or 64 bits. */
#define SEG_TYPE_LDT 2U
#define TSS_TYPE_16 1U
#define TSS_TYPE_32 9U
#define TSS_BUSY BIT32(1)
#define TSS_IO_MAP 102U /* of a wide TSS: the word that says where its I/O permission map begins */

/* A descriptor as a 64-bit word: SDM figure 3-8. */
#define DESC_BYTES 8U
#define DESC_TYPE_BYTE 5U /* the byte of a descriptor that holds type, accessed and busy flag */
#define DESC_LIMIT_LOW GENMASK(15, 0)
#define DESC_BASE_LOW GENMASK(39, 16)
#define DESC_ATTR GENMASK(55, 40)
#define DESC_ATTR_LIMIT GENMASK(11, 8) /* inside DESC_ATTR: limit 19:16, no attribute */
#define DESC_LIMIT_HIGH GENMASK(51, 48)
#define DESC_BASE_HIGH GENMASK(63, 56)

#define SELECTOR_RPL 3U
#define SELECTOR_TI 4U
#define SELECTOR_INDEX 0xFFF8U /* byte offset into the table */
