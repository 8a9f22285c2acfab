/* A debugger's session with a VM over a serial port. It lasts over the VM's lives; whoever connects finds the VM that lives. All
 * calls on the boot CPU, in task context. */
#pragma once
#include "kernel/serial.h"
#include "vm/vm.h"

struct gdb_session;

/* Listen on the port for ever. NULL: no memory. */
struct gdb_session *gdb_session_start(struct serial_port *port);

/* A life begins: the VM is built, and not started. wait: it does not run before a debugger says so. */
void gdb_session_begin(struct gdb_session *session, struct vm *vm, bool wait);

/* Let go of a VM that stands for a debugger, or that waits for one: all breakpoints are out. false: none does. */
bool gdb_session_release(struct gdb_session *session);

/* It has ended, and no vCPU of it runs any more: a debugger is told. crashed; or by itself, with a code. */
void gdb_session_end(struct gdb_session *session, bool crashed, u32 code);
