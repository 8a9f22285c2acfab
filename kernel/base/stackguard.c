/* What -fstack-protector-strong calls. start.asm gives the guard its value of this boot before any C runs. */
#include "kernel/base/panic.h"

/* NOLINTBEGIN(cert-dcl37-c): the compiler fixes these names */
extern u64 __stack_chk_guard;
u64 __stack_chk_guard;

NORETURN void __stack_chk_fail(void);
NORETURN void __stack_chk_fail(void)
{
    panic("stack overrun");
}
/* NOLINTEND(cert-dcl37-c) */
