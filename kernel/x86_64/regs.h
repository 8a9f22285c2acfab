/* Register bits and MSR numbers of x86-64 under the manuals' names. Data only: also built on the host.
 * Intel SDM Vol. 3 chapter 2 (control registers), Vol. 4 (MSRs); AMD APM Vol. 2 chapter 3 and appendix A. */
#pragma once
#include "kernel/lib/types.h"

/* CR0: SDM 2.5, APM 3.1.1 */
#define CR0_PE BIT(0)
#define CR0_MP BIT(1)
#define CR0_EM BIT(2)
#define CR0_TS BIT(3)
#define CR0_ET BIT(4)
#define CR0_NE BIT(5)
#define CR0_WP BIT(16)
#define CR0_AM BIT(18)
#define CR0_NW BIT(29)
#define CR0_CD BIT(30)
#define CR0_PG BIT(31)

/* CR3: SDM 2.5 */
#define CR3_PWT BIT(3)
#define CR3_PCD BIT(4)
#define CR3_PCID_MASK GENMASK(11, 0)
#define CR3_NOFLUSH BIT(63)

/* CR4: SDM 2.5, APM 3.1.3 */
#define CR4_VME BIT(0)
#define CR4_PVI BIT(1)
#define CR4_TSD BIT(2)
#define CR4_DE BIT(3)
#define CR4_PSE BIT(4)
#define CR4_PAE BIT(5)
#define CR4_MCE BIT(6)
#define CR4_PGE BIT(7)
#define CR4_PCE BIT(8)
#define CR4_OSFXSR BIT(9)
#define CR4_OSXMMEXCPT BIT(10)
#define CR4_UMIP BIT(11)
#define CR4_LA57 BIT(12)
#define CR4_VMXE BIT(13)
#define CR4_SMXE BIT(14)
#define CR4_FSGSBASE BIT(16)
#define CR4_PCIDE BIT(17)
#define CR4_OSXSAVE BIT(18)
#define CR4_KL BIT(19)
#define CR4_SMEP BIT(20)
#define CR4_SMAP BIT(21)
#define CR4_PKE BIT(22)
#define CR4_CET BIT(23)
#define CR4_PKS BIT(24)
#define CR4_UINTR BIT(25)

/* EFER: SDM 2.2.1, APM 3.1.7 */
#define EFER_SCE BIT(0)
#define EFER_LME BIT(8)
#define EFER_LMA BIT(10)
#define EFER_NXE BIT(11)
#define EFER_SVME BIT(12)
#define EFER_LMSLE BIT(13)
#define EFER_FFXSR BIT(14)
#define EFER_TCE BIT(15)
#define EFER_MCOMMIT BIT(17)
#define EFER_INTWB BIT(18)
#define EFER_UAIE BIT(20)
#define EFER_AIBRSE BIT(21)

/* RFLAGS: SDM Vol. 1 3.4.3 */
#define RFLAGS_CF BIT(0)
#define RFLAGS_FIXED BIT(1) /* reads as one */
#define RFLAGS_PF BIT(2)
#define RFLAGS_AF BIT(4)
#define RFLAGS_ZF BIT(6)
#define RFLAGS_SF BIT(7)
#define RFLAGS_TF BIT(8)
#define RFLAGS_IF BIT(9)
#define RFLAGS_DF BIT(10)
#define RFLAGS_OF BIT(11)
#define RFLAGS_IOPL_MASK GENMASK(13, 12)
#define RFLAGS_NT BIT(14)
#define RFLAGS_RF BIT(16)
#define RFLAGS_VM BIT(17)
#define RFLAGS_AC BIT(18)
#define RFLAGS_VIF BIT(19)
#define RFLAGS_VIP BIT(20)
#define RFLAGS_ID BIT(21)

/* DR6, DR7: SDM 18.2 */
#define DR6_FIXED 0xFFFF0FF0ULL /* the bits that read as one */
#define DR6_B0 BIT(0)
#define DR6_B1 BIT(1)
#define DR6_B2 BIT(2)
#define DR6_B3 BIT(3)
#define DR6_BLD BIT(11)
#define DR6_BD BIT(13)
#define DR6_BS BIT(14)
#define DR6_BT BIT(15)
#define DR6_RTM BIT(16)
#define DR7_FIXED BIT(10)
#define DR7_ENABLES(point) (BIT(2 * (point)) | BIT(2 * (point) + 1)) /* L and G */
#define DR7_ENABLED GENMASK(7, 0) /* L0-3, G0-3 */
#define DR7_TYPE_SHIFT(point) (16 + 4 * (point)) /* R/W0-3 */
#define DR7_TYPE(dr7, point) ((dr7) >> DR7_TYPE_SHIFT(point) & 3U)
#define DR7_EXECUTE 0U
#define DR7_WRITE 1U
#define DR7_IO 2U
#define DR7_ACCESS 3U
#define DR_SPAN 7U /* the farthest byte that a breakpoint watches */
#define DR7_LE BIT(8)
#define DR7_GE BIT(9)
#define DR7_RTM BIT(11)
#define DR7_GD BIT(13)

/* XCR0: SDM 2.6 */
#define XCR0_X87 BIT(0)
#define XCR0_SSE BIT(1)
#define XCR0_AVX BIT(2)
#define XCR0_BNDREGS BIT(3)
#define XCR0_BNDCSR BIT(4)
#define XCR0_OPMASK BIT(5)
#define XCR0_ZMM_HI256 BIT(6)
#define XCR0_HI16_ZMM BIT(7)
#define XCR0_PKRU BIT(9)
#define XCR0_TILECFG BIT(17)
#define XCR0_TILEDATA BIT(18)

/* Exception vectors: SDM table 6-1 */
#define VECTOR_DE 0U
#define VECTOR_DB 1U
#define VECTOR_NMI 2U
#define VECTOR_BP 3U
#define VECTOR_OF 4U
#define VECTOR_BR 5U
#define VECTOR_UD 6U
#define VECTOR_NM 7U
#define VECTOR_DF 8U
#define VECTOR_TS 10U
#define VECTOR_NP 11U
#define VECTOR_SS 12U
#define VECTOR_GP 13U
#define VECTOR_PF 14U
#define VECTOR_MF 16U
#define VECTOR_AC 17U
#define VECTOR_MC 18U
#define VECTOR_XM 19U
#define VECTOR_VE 20U
#define VECTOR_CP 21U
#define VECTOR_HV 28U
#define VECTOR_VC 29U
#define VECTOR_SX 30U
#define VECTOR_EXTERNAL_FIRST 32U

/* Page-fault error code: SDM 4.7 */
#define PF_ERROR_P BIT32(0)
#define PF_ERROR_WR BIT32(1)
#define PF_ERROR_US BIT32(2)
#define PF_ERROR_RSVD BIT32(3)
#define PF_ERROR_ID BIT32(4)
#define PF_ERROR_PK BIT32(5)
#define PF_ERROR_SS BIT32(6)

/* Page-table entries: SDM 4.5 */
#define PTE_P BIT(0)
#define PTE_RW BIT(1)
#define PTE_US BIT(2)
#define PTE_PWT BIT(3)
#define PTE_PCD BIT(4)
#define PTE_A BIT(5)
#define PTE_D BIT(6)
#define PTE_PS BIT(7)   /* in a PDE or PDPTE: a leaf */
#define PTE_PAT BIT(7)  /* in a PTE */
#define PTE_G BIT(8)
#define PTE_PAT_LARGE BIT(12)
#define PTE_ADDR_MASK GENMASK(51, 12)
#define PTE_XD BIT(63)

#define MXCSR_INIT 0x1F80U /* SDM Vol. 1 table 10-2 */

/* CPUID leaves and feature bits used by the host: SDM Vol. 2 CPUID, APM Vol. 3 appendix E */
#define CPUID_LEAF_FEATURES 7U /* structured extended */
#define CPUID_LEAF_XSAVE 0xDU
#define CPUID_HYPERVISOR_FIRST 0x40000000U
#define CPUID_EXT_FIRST 0x80000000U
#define CPUID_EXT_FEATURES 0x80000001U
#define CPUID_EXT_BRAND_FIRST 0x80000002U
#define CPUID_EXT_APM 0x80000007U
#define CPUID_EXT_ADDRESS 0x80000008U
#define CPUID_EXT_SVM 0x8000000AU
#define CPUID_1_ECX_MONITOR BIT32(3)
#define CPUID_1_ECX_VMX BIT32(5)
#define CPUID_1_ECX_SMX BIT32(6)
#define CPUID_1_ECX_PCID BIT32(17)
#define CPUID_1_ECX_X2APIC BIT32(21)
#define CPUID_1_ECX_TSC_DEADLINE BIT32(24)
#define CPUID_1_ECX_XSAVE BIT32(26)
#define CPUID_1_ECX_OSXSAVE BIT32(27)
#define CPUID_1_ECX_AVX BIT32(28)
#define CPUID_1_ECX_HYPERVISOR BIT32(31)
#define CPUID_1_EDX_DE BIT32(2)
#define CPUID_1_EDX_PSE BIT32(3)
#define CPUID_1_EDX_TSC BIT32(4)
#define CPUID_1_EDX_MSR BIT32(5)
#define CPUID_1_EDX_MCE BIT32(7)
#define CPUID_1_EDX_APIC BIT32(9)
#define CPUID_1_EDX_SEP BIT32(11)
#define CPUID_1_EDX_MTRR BIT32(12)
#define CPUID_1_EDX_PGE BIT32(13)
#define CPUID_1_EDX_MCA BIT32(14)
#define CPUID_1_EDX_PAT BIT32(16)
#define CPUID_1_EDX_HTT BIT32(28)
#define CPUID_1_EDX_FXSR BIT32(24)
#define CPUID_1_EDX_SSE BIT32(25)
#define CPUID_7_EBX_FSGSBASE BIT32(0)
#define CPUID_7_EBX_TSC_ADJUST BIT32(1)
#define CPUID_7_EBX_SMEP BIT32(7)
#define CPUID_7_EBX_INVPCID BIT32(10)
#define CPUID_7_EBX_SMAP BIT32(20)
#define CPUID_7_ECX_UMIP BIT32(2)
#define CPUID_7_ECX_PKU BIT32(3)
#define CPUID_7_ECX_LA57 BIT32(16)
#define CPUID_7_ECX_RDPID BIT32(22)
#define CPUID_7_EDX_SPEC_CTRL BIT32(26)
#define CPUID_7_EDX_ARCH_CAPABILITIES BIT32(29)
#define CPUID_EXT8_EBX_IBPB BIT32(12)
#define PRED_CMD_IBPB BIT(0) /* IA32_PRED_CMD */
#define CPUID_D1_EAX_XSAVEOPT BIT32(0)
#define CPUID_D1_EAX_XSAVEC BIT32(1)
#define CPUID_D1_EAX_XSAVES BIT32(3)
#define CPUID_EXT1_ECX_SVM BIT32(2)
#define CPUID_EXT1_EDX_SYSCALL BIT32(11)
#define CPUID_EXT1_EDX_NX BIT32(20)
#define CPUID_EXT1_EDX_PDPE1GB BIT32(26)
#define CPUID_EXT1_ECX_CMP_LEGACY BIT32(1)
#define CPUID_EXT1_EDX_RDTSCP BIT32(27)
#define CPUID_EXT1_EDX_LM BIT32(29)
#define CPUID_EXT7_EDX_INVARIANT_TSC BIT32(8)
#define CPUID_EXT8_EAX_PHYS_BITS_MASK GENMASK(7, 0)
#define CPUID_EXT8_EAX_LINEAR_BITS_MASK GENMASK(15, 8)

#include "kernel/x86_64/msr_index.h"
