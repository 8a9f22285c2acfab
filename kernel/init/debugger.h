/* Debuggers of VMs: the key gdb=. Boot CPU, task context. */
#pragma once
#include "vm/config.h"
#include "vm/vm.h"

/* Open the ports that VMs ask for. A VM whose port does not answer is marked bad, after one line. Before the manager. */
void debugger_init(struct mote_config *config);

/* Let go of a VM that a debugger holds, dead or alive. false: none does. */
bool debugger_release(const struct vm *vm);

/* A VM is built and about to start; it has ended, and is about to be destroyed. */
void debugger_begin(struct vm *vm);
void debugger_end(struct vm *vm);
