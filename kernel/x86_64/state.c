/* Registers and backtrace for a panic. */
#include "kernel/base/ksyms.h"
#include "kernel/base/log.h"
#include "kernel/x86_64/insn.h"
#include "kernel/x86_64/trap.h"
#include <arch/cpu.h>

#define BACKTRACE_MAX 32U
#define KERNEL_HALF 0xFFFF800000000000ULL /* lowest address of the kernel's half of the address space */
#define STACK_SPAN KIB(64)                /* no stack of ours is larger: a frame further up is garbage */

/* What -fno-omit-frame-pointer leaves at RBP: System V ABI AMD64 supplement, figure 3.3. */
struct frame_link {
    u64 next;
    u64 return_address;
};

static void log_symbol(u32 number, u64 address)
{
    struct ksym_hit hit = ksym_lookup(address);

    log_event("backtrace %u 0x%lx %s+0x%lx", number, address, hit.name, hit.offset);
}

/* A link can be read when it is aligned and lies in the kernel's half, above the previous one but not far. */
static bool link_sane(u64 link, u64 previous)
{
    return link >= KERNEL_HALF && link % sizeof(u64) == 0 && link > previous && link - previous < STACK_SPAN;
}

static void log_backtrace(u64 link)
{
    u64 previous = link - 1;

    for (u32 number = 1; number < BACKTRACE_MAX && link_sane(link, previous); number++) {
        const struct frame_link *frame = (const struct frame_link *)link;

        log_symbol(number, frame->return_address);
        previous = link;
        link = frame->next;
    }
}

static void log_trap_frame(const struct trap_frame *f)
{
    log_event("rax=%016lx rbx=%016lx rcx=%016lx rdx=%016lx", f->rax, f->rbx, f->rcx, f->rdx);
    log_event("rsi=%016lx rdi=%016lx rbp=%016lx rsp=%016lx", f->rsi, f->rdi, f->rbp, f->rsp);
    log_event("r8=%016lx r9=%016lx r10=%016lx r11=%016lx", f->r8, f->r9, f->r10, f->r11);
    log_event("r12=%016lx r13=%016lx r14=%016lx r15=%016lx", f->r12, f->r13, f->r14, f->r15);
    log_event("rip=%016lx rflags=%08lx cs=%04lx ss=%04lx", f->rip, f->rflags, f->cs, f->ss);
}

void arch_log_state(const struct trap_frame *frame)
{
    log_event("cr0=%08lx cr2=%016lx cr3=%016lx cr4=%08lx", read_cr0(), read_cr2(), read_cr3(), read_cr4());
    if (frame != NULL) {
        log_trap_frame(frame);
        log_symbol(0, frame->rip);
        log_backtrace(frame->rbp);
    } else {
        log_event("rsp=%016lx rflags=%08lx", (u64)__builtin_frame_address(0), read_rflags());
        log_backtrace((u64)__builtin_frame_address(0));
    }
}
