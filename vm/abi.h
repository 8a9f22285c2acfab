/* Mote's guest ABI: hypercall numbers and errors. Self-contained: guests may include it (C and, by its macros, NASM-like
 * tools). VMCALL or VMMCALL; number in RAX; arguments in RDI RSI RDX RCX R8 R9; result in RAX. Ring 0 only. Below
 * MOTE_HC_FIRST lie KVM's numbers with KVM's registers (RBX RCX RDX RSI). */
#pragma once

#define MOTE_ABI_VERSION 1

#define MOTE_HC_FIRST 0x4D540000
#define MOTE_HC_VERSION 0x4D540000 /* -> MOTE_ABI_VERSION */
#define MOTE_HC_EXIT 0x4D540001    /* RDI = exit code 0..255: the VM stops with this verdict; does not return */
#define MOTE_HC_ECHO 0x4D540002    /* six arguments -> a + 3*b + 5*c + 7*d + 11*e + 13*f (mod 2^64) */
#define MOTE_HC_PUTC 0x4D540003    /* RDI = byte for this VM's console */
#define MOTE_HC_VM_ID 0x4D540004   /* -> this VM's number */
#define MOTE_HC_TIME_NS 0x4D540005 /* -> host monotonic ns */
#define MOTE_HC_NMI 0x4D540006     /* an NMI for the calling CPU */
#define MOTE_HC_BREAK 0x4D540007   /* only with selftest=on: make this CPU's state one that the hardware refuses to enter */
#define MOTE_HC_CPU 0x4D540008     /* only with selftest=on: -> the host's CPU that runs the caller now */
#define MOTE_HC_MOVE 0x4D540009    /* only with selftest=on: go on at the host's CPU RDI -> 0 or MOTE_EINVAL */
/* Kick the watchdog that the key watchdog=TIME gives the VM -> its period in ms, or 0: it has none. It runs from the VM's start,
 * whether the guest ever kicks or not; any CPU of the VM may kick. A VM whose last kick, or start, is older than TIME has crashed:
 * ev=crash reason=watchdog, and on-crash= says what follows. With it, a VM whose CPUs have all halted for good crashes so, too,
 * in place of ending by itself. A pause from the monitor stops its time. */
#define MOTE_HC_WATCHDOG 0x4D54000A

/* What the VM's CPUs may do in a part of its memory: RDI = address, RSI = bytes (both multiples of 4096, at most MOTE_RIGHTS_MAX),
 * RDX = 0 or MOTE_RIGHT_READ with any of the others -> 0; MOTE_EINVAL: no such rights or range, not all of it memory, or rights
 * that it never had (ROM stays ROM): nothing was changed; MOTE_ENOMEM: the host is short of frames for tables, and a part may have
 * been changed. When the call returns, no CPU of the VM has other rights there, and nothing is left of those that it had in its
 * TLB. What the memory holds is kept, and Mote and its monitor still read it. Access without the right meets what is found
 * where there is no memory: reads give ones, writes are dropped, and code or page tables there end the VM (reason=unmapped). */
#define MOTE_HC_RIGHTS 0x4D54000B
#define MOTE_RIGHT_READ 1
#define MOTE_RIGHT_WRITE 2
#define MOTE_RIGHT_EXEC 4
#define MOTE_RIGHTS_MAX 0x200000
/* Only with selftest=on: take the page at RDI out of stage 2 until a CPU of the VM touches it -> as MOTE_HC_RIGHTS. One page at a
 * time: the one before comes back. */
#define MOTE_HC_HIDE 0x4D54000C

/* Only with selftest=on: 4 KiB of memory that is a device, so that every access to it is emulated. */
#define MOTE_SCRATCH_MMIO 0xFEB00000

/* Results, as signed numbers in RAX; KVM's own -KVM_ENOSYS (-1000) answers an unknown number of either range. */
#define MOTE_ENOSYS (-1000)
#define MOTE_EPERM (-1)
#define MOTE_EINVAL (-22)
#define MOTE_ENOMEM (-12)

/* I/O port: a byte written here ends the VM with that exit code. */
#define MOTE_PORT_EXIT 0xF4
/* I/O ports of a VM with watchdog=, 32 bits each: a write to the first kicks, a read gives the milliseconds that are left, and bit
 * 31; the second has the period in milliseconds, which the guest can make shorter than watchdog= is, but not longer. The ACPI table
 * WDAT describes them, for drivers of operating systems; a VM of the role firmware has none. */
#define MOTE_PORT_WATCHDOG 0x610
#define MOTE_PORT_WATCHDOG_PERIOD 0x614
#define MOTE_WATCHDOG_RUNS 0x80000000U
/* I/O port: a byte written here goes to the VM's console, as in other emulators. */
#define MOTE_PORT_DEBUG 0xE9
