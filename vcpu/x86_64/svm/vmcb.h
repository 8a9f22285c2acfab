/* The VMCB and the bits inside it: APM Vol. 2 appendix B "VMCB Layout", names as there. Data only. */
#pragma once
#include "kernel/lib/types.h"

/* intercept_cr and intercept_dr: reads in 15:0, writes in 31:16 */
#define VMCB_INTERCEPT_READ(n) BIT32(n)
#define VMCB_INTERCEPT_WRITE(n) BIT32(16 + (n))

/* intercept_misc1: offset 00Ch */
#define VMCB_INTERCEPT_INTR BIT32(0)
#define VMCB_INTERCEPT_NMI BIT32(1)
#define VMCB_INTERCEPT_SMI BIT32(2)
#define VMCB_INTERCEPT_INIT BIT32(3)
#define VMCB_INTERCEPT_VINTR BIT32(4)
#define VMCB_INTERCEPT_CR0_SEL_WRITE BIT32(5)
#define VMCB_INTERCEPT_TR_WRITE BIT32(13)
#define VMCB_INTERCEPT_RDTSC BIT32(14)
#define VMCB_INTERCEPT_RDPMC BIT32(15)
#define VMCB_INTERCEPT_CPUID BIT32(18)
#define VMCB_INTERCEPT_RSM BIT32(19)
#define VMCB_INTERCEPT_IRET BIT32(20)
#define VMCB_INTERCEPT_SWINT BIT32(21)
#define VMCB_INTERCEPT_INVD BIT32(22)
#define VMCB_INTERCEPT_PAUSE BIT32(23)
#define VMCB_INTERCEPT_HLT BIT32(24)
#define VMCB_INTERCEPT_INVLPG BIT32(25)
#define VMCB_INTERCEPT_INVLPGA BIT32(26)
#define VMCB_INTERCEPT_IOIO BIT32(27)
#define VMCB_INTERCEPT_MSR BIT32(28)
#define VMCB_INTERCEPT_TASK_SWITCH BIT32(29)
#define VMCB_INTERCEPT_SHUTDOWN BIT32(31)

/* intercept_misc2: offset 010h */
#define VMCB_INTERCEPT_VMRUN BIT32(0)
#define VMCB_INTERCEPT_VMMCALL BIT32(1)
#define VMCB_INTERCEPT_VMLOAD BIT32(2)
#define VMCB_INTERCEPT_VMSAVE BIT32(3)
#define VMCB_INTERCEPT_STGI BIT32(4)
#define VMCB_INTERCEPT_CLGI BIT32(5)
#define VMCB_INTERCEPT_SKINIT BIT32(6)
#define VMCB_INTERCEPT_RDTSCP BIT32(7)
#define VMCB_INTERCEPT_WBINVD BIT32(9)
#define VMCB_INTERCEPT_MONITOR BIT32(10)
#define VMCB_INTERCEPT_MWAIT BIT32(11)
#define VMCB_INTERCEPT_MWAIT_ARMED BIT32(12)
#define VMCB_INTERCEPT_XSETBV BIT32(13)
#define VMCB_INTERCEPT_RDPRU BIT32(14)

/* tlb_control: offset 05Ch, APM 15.16 */
#define VMCB_TLB_NOTHING 0U
#define VMCB_TLB_FLUSH_ALL 1U
#define VMCB_TLB_FLUSH_GUEST 3U /* needs FlushByAsid */

/* int_ctl: offset 060h, APM 15.21 */
#define VMCB_INT_V_TPR_MASK GENMASK(7, 0)
#define VMCB_INT_V_IRQ BIT(8)
#define VMCB_INT_V_INTR_PRIO_MASK GENMASK(19, 16)
#define VMCB_INT_V_IGN_TPR BIT(20)
#define VMCB_INT_V_INTR_MASKING BIT(24)
#define VMCB_INT_V_INTR_VECTOR_MASK GENMASK(39, 32)

#define VMCB_INT_STATE_SHADOW BIT(0) /* offset 068h; bit 1 mirrors the guest's IF and is not ours */
#define VMCB_NP_ENABLE BIT(0)        /* offset 090h */

/* exitintinfo and eventinj: offsets 088h and 0A8h, APM 15.7.2 and 15.20 */
#define VMCB_EVENT_VECTOR_MASK GENMASK(7, 0)
#define VMCB_EVENT_TYPE_MASK GENMASK(10, 8)
#define VMCB_EVENT_TYPE_INTR 0U
#define VMCB_EVENT_TYPE_NMI 2U
#define VMCB_EVENT_TYPE_EXCEPTION 3U
#define VMCB_EVENT_TYPE_SOFT_INTR 4U
#define VMCB_EVENT_EV BIT(11)
#define VMCB_EVENT_V BIT(31)
#define VMCB_EVENT_ERRORCODE_MASK GENMASK(63, 32)

/* clean: offset 0C0h, APM 15.15. A set bit: unchanged since the last exit on this CPU. */
#define VMCB_CLEAN_I BIT32(0) /* intercepts, TSC offset, pause filter */
#define VMCB_CLEAN_IOPM BIT32(1)
#define VMCB_CLEAN_ASID BIT32(2)
#define VMCB_CLEAN_TPR BIT32(3) /* int_ctl */
#define VMCB_CLEAN_NP BIT32(4)  /* nested paging: N_CR3, G_PAT */
#define VMCB_CLEAN_CRX BIT32(5) /* CR0, CR3, CR4, EFER */
#define VMCB_CLEAN_DRX BIT32(6)
#define VMCB_CLEAN_DT BIT32(7)
#define VMCB_CLEAN_SEG BIT32(8) /* ES, CS, SS, DS, CPL */
#define VMCB_CLEAN_ALL                                                                                                \
    (VMCB_CLEAN_I | VMCB_CLEAN_IOPM | VMCB_CLEAN_ASID | VMCB_CLEAN_TPR | VMCB_CLEAN_NP | VMCB_CLEAN_CRX |             \
     VMCB_CLEAN_DRX | VMCB_CLEAN_DT | VMCB_CLEAN_SEG)

/* exitinfo1 by exit code: APM 15.9 to 15.12, 15.25.6, 15.33 */
#define VMCB_INFO1_CR_DECODED BIT(63) /* MOV CRx with decode assists */
#define VMCB_INFO1_CR_GPR_MASK GENMASK(3, 0)
#define VMCB_INFO1_IO_TYPE_IN BIT(0)
#define VMCB_INFO1_IO_STR BIT(2)
#define VMCB_INFO1_IO_REP BIT(3)
#define VMCB_INFO1_IO_SIZE_MASK GENMASK(6, 4) /* one bit each for 8, 16, 32: the mask's value is the bytes */
#define VMCB_INFO1_IO_PORT_MASK GENMASK(31, 16)
#define VMCB_INFO1_MSR_WRITE BIT(0)
#define VMCB_INFO1_NPF_P BIT(0)
#define VMCB_INFO1_NPF_RW BIT(1)
#define VMCB_INFO1_NPF_RSV BIT(3)
#define VMCB_INFO1_NPF_ID BIT(4)
#define VMCB_INFO1_NPF_WALK BIT(33) /* the guest's page-table walk, not the final address */
#define VMCB_INFO1_TASK_SELECTOR_MASK GENMASK(15, 0)
#define VMCB_INFO2_TASK_ERRORCODE_MASK GENMASK(31, 0)
#define VMCB_INFO2_TASK_IRET BIT(36)
#define VMCB_INFO2_TASK_JUMP BIT(38)
#define VMCB_INFO2_TASK_EV BIT(44)

/* attrib of a segment: the descriptor's bits 55:52 and 47:40 */
#define VMCB_SEG_LOW_MASK GENMASK(7, 0)  /* type, S, DPL, P */
#define VMCB_SEG_HIGH_MASK GENMASK(11, 8) /* AVL, L, D/B, G */
#define VMCB_SEG_DPL_MASK GENMASK(6, 5)
#define VMCB_SEG_P BIT32(7)
#define VMCB_SEG_L BIT32(9)
#define VMCB_SEG_DB BIT32(10)

/* Segment and table registers in their order of the save area; of GDTR and IDTR only base and limit count. */
enum { VMCB_ES, VMCB_CS, VMCB_SS, VMCB_DS, VMCB_FS, VMCB_GS, VMCB_GDTR, VMCB_LDTR, VMCB_IDTR, VMCB_TR, VMCB_SEGS };

struct PACKED vmcb_seg {
    u16 selector;
    u16 attrib;
    u32 limit;
    u64 base;
};

struct PACKED vmcb_control {
    u32 intercept_cr;
    u32 intercept_dr;
    u32 intercept_exceptions;
    u32 intercept_misc1;
    u32 intercept_misc2;
    u32 intercept_misc3;
    u8 reserved1[36];
    u16 pause_filter_threshold;
    u16 pause_filter_count;
    u64 iopm_base_pa;
    u64 msrpm_base_pa;
    u64 tsc_offset;
    u32 guest_asid;
    u32 tlb_control;
    u64 int_ctl;
    u64 int_state;
    u64 exitcode;
    u64 exitinfo1;
    u64 exitinfo2;
    u64 exitintinfo;
    u64 np_enable;
    u64 avic_apic_bar;
    u64 ghcb_pa;
    u64 eventinj;
    u64 n_cr3;
    u64 lbr_virt_enable;
    u32 clean;
    u32 reserved2;
    u64 nrip;
    u8 insn_bytes_fetched;
    u8 insn_bytes[15];
    u64 avic_backing_page;
    u64 reserved3;
    u64 avic_logical_table;
    u64 avic_physical_table;
    u8 reserved4[768];
};

struct PACKED vmcb_save {
    struct vmcb_seg seg[VMCB_SEGS];
    u8 reserved1[43];
    u8 cpl;
    u32 reserved2;
    u64 efer;
    u8 reserved3[112];
    u64 cr4, cr3, cr0, dr7, dr6, rflags, rip;
    u8 reserved4[88];
    u64 rsp;
    u64 s_cet, ssp, isst_addr;
    u64 rax;
    u64 star, lstar, cstar, sfmask, kernel_gs_base;
    u64 sysenter_cs, sysenter_esp, sysenter_eip;
    u64 cr2;
    u8 reserved5[32];
    u64 g_pat;
    u64 dbgctl, br_from, br_to, last_excp_from, last_excp_to;
    u8 reserved6[2408];
};

struct PACKED ALIGNED(4096) vmcb {
    struct vmcb_control control;
    struct vmcb_save save;
};

#define VMCB_CONTROL_AT(offset, field) _Static_assert(offsetof(struct vmcb, control.field) == (offset), #field)
#define VMCB_SAVE_AT(offset, field) _Static_assert(offsetof(struct vmcb, save.field) == 0x400 + (offset), #field)
VMCB_CONTROL_AT(0x000, intercept_cr);
VMCB_CONTROL_AT(0x004, intercept_dr);
VMCB_CONTROL_AT(0x008, intercept_exceptions);
VMCB_CONTROL_AT(0x00C, intercept_misc1);
VMCB_CONTROL_AT(0x010, intercept_misc2);
VMCB_CONTROL_AT(0x014, intercept_misc3);
VMCB_CONTROL_AT(0x03C, pause_filter_threshold);
VMCB_CONTROL_AT(0x03E, pause_filter_count);
VMCB_CONTROL_AT(0x040, iopm_base_pa);
VMCB_CONTROL_AT(0x048, msrpm_base_pa);
VMCB_CONTROL_AT(0x050, tsc_offset);
VMCB_CONTROL_AT(0x058, guest_asid);
VMCB_CONTROL_AT(0x05C, tlb_control);
VMCB_CONTROL_AT(0x060, int_ctl);
VMCB_CONTROL_AT(0x068, int_state);
VMCB_CONTROL_AT(0x070, exitcode);
VMCB_CONTROL_AT(0x078, exitinfo1);
VMCB_CONTROL_AT(0x080, exitinfo2);
VMCB_CONTROL_AT(0x088, exitintinfo);
VMCB_CONTROL_AT(0x090, np_enable);
VMCB_CONTROL_AT(0x098, avic_apic_bar);
VMCB_CONTROL_AT(0x0A0, ghcb_pa);
VMCB_CONTROL_AT(0x0A8, eventinj);
VMCB_CONTROL_AT(0x0B0, n_cr3);
VMCB_CONTROL_AT(0x0B8, lbr_virt_enable);
VMCB_CONTROL_AT(0x0C0, clean);
VMCB_CONTROL_AT(0x0C8, nrip);
VMCB_CONTROL_AT(0x0D0, insn_bytes_fetched);
VMCB_CONTROL_AT(0x0D1, insn_bytes);
VMCB_CONTROL_AT(0x0E0, avic_backing_page);
VMCB_CONTROL_AT(0x0F0, avic_logical_table);
VMCB_CONTROL_AT(0x0F8, avic_physical_table);
VMCB_SAVE_AT(0x000, seg[VMCB_ES]);
VMCB_SAVE_AT(0x010, seg[VMCB_CS]);
VMCB_SAVE_AT(0x020, seg[VMCB_SS]);
VMCB_SAVE_AT(0x030, seg[VMCB_DS]);
VMCB_SAVE_AT(0x040, seg[VMCB_FS]);
VMCB_SAVE_AT(0x050, seg[VMCB_GS]);
VMCB_SAVE_AT(0x060, seg[VMCB_GDTR]);
VMCB_SAVE_AT(0x070, seg[VMCB_LDTR]);
VMCB_SAVE_AT(0x080, seg[VMCB_IDTR]);
VMCB_SAVE_AT(0x090, seg[VMCB_TR]);
VMCB_SAVE_AT(0x0CB, cpl);
VMCB_SAVE_AT(0x0D0, efer);
VMCB_SAVE_AT(0x148, cr4);
VMCB_SAVE_AT(0x150, cr3);
VMCB_SAVE_AT(0x158, cr0);
VMCB_SAVE_AT(0x160, dr7);
VMCB_SAVE_AT(0x168, dr6);
VMCB_SAVE_AT(0x170, rflags);
VMCB_SAVE_AT(0x178, rip);
VMCB_SAVE_AT(0x1D8, rsp);
VMCB_SAVE_AT(0x1E0, s_cet);
VMCB_SAVE_AT(0x1E8, ssp);
VMCB_SAVE_AT(0x1F0, isst_addr);
VMCB_SAVE_AT(0x1F8, rax);
VMCB_SAVE_AT(0x200, star);
VMCB_SAVE_AT(0x208, lstar);
VMCB_SAVE_AT(0x210, cstar);
VMCB_SAVE_AT(0x218, sfmask);
VMCB_SAVE_AT(0x220, kernel_gs_base);
VMCB_SAVE_AT(0x228, sysenter_cs);
VMCB_SAVE_AT(0x230, sysenter_esp);
VMCB_SAVE_AT(0x238, sysenter_eip);
VMCB_SAVE_AT(0x240, cr2);
VMCB_SAVE_AT(0x268, g_pat);
VMCB_SAVE_AT(0x270, dbgctl);
VMCB_SAVE_AT(0x278, br_from);
VMCB_SAVE_AT(0x280, br_to);
VMCB_SAVE_AT(0x288, last_excp_from);
VMCB_SAVE_AT(0x290, last_excp_to);
_Static_assert(sizeof(struct vmcb) == 4096, "APM Vol. 2 appendix B");
