/* Contract of vcpu/: why the hardware came back, by the names of this ISA. VCPU_REASONS is how many there are. */
#pragma once

#define X86_EXIT_LIST(X)                                                                                               \
    X(UNKNOWN)      /* 0: what a backend's table does not list */                                                      \
    X(INTR)         /* host interrupt: ends as KICKED */                                                               \
    X(NMI)          /* host NMI, already delivered to the host by the backend */                                       \
    X(EXCEPTION)    /* exception.*: only those the backend intercepts (#DB/#AC loops, #UD none, #MC; #BP by debug) */  \
    X(BREAKPOINT)   /* INT3, where it is no exception, and then INT n and INTO: only while a debugger is attached */   \
    X(INTR_WINDOW) X(NMI_WINDOW)                                                                                       \
    X(IRET)         /* NMI unblocking, where no window exit tells it */                                                \
    X(CPUID) X(HLT) X(PAUSE) X(MSR_READ) X(MSR_WRITE)                                                                  \
    X(CR)           /* cr.*; when !cr.decoded the instruction is decoded from memory */                                \
    X(DR) X(XSETBV)                                                                                                    \
    X(IO)           /* io.* */                                                                                         \
    X(NPF)          /* npf.* */                                                                                        \
    X(HYPERCALL)                                                                                                       \
    X(INVLPG) X(RDTSC) X(RDTSCP) X(RDPMC) X(INVD) X(WBINVD) X(MONITOR) X(MWAIT)                                        \
    X(TASK_SWITCH)  /* task.* */                                                                                       \
    X(LTR)          /* where the CPU's own takes what it must refuse */                                                \
    X(UD)           /* an instruction the guest may not have: #UD */                                                   \
    X(SHUTDOWN)     /* triple fault */                                                                                 \
    X(INIT) X(SIPI)                                                                                                    \
    X(TIMER)        /* preemption timer: as INTR */                                                                    \
    X(PRIORITY)     /* the task priority fell below what a request waits for */                                        \
    X(EOI)          /* qual: the vector that the hardware ended, and the chip has to know */                           \
    X(CHIP_WRITE)   /* qual: the offset of the chip's register that was written */                                     \
    X(NOTHING)      /* the backend repaired something itself: enter again */                                           \
    X(ENTRY_FAILED)

enum x86_exit_code {
#define X86_EXIT_ENUM(name) X86_EXIT_##name,
    X86_EXIT_LIST(X86_EXIT_ENUM)
#undef X86_EXIT_ENUM
    X86_EXIT_CODES
};
#define VCPU_REASONS X86_EXIT_CODES
