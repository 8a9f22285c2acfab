/* Who lives and who dies: builds and starts the configured VMs, buries the ended ones, and ends the machine when none is
 * left. A task on the boot CPU; nobody else creates or destroys VMs. */
#pragma once
#include "boot/boot_info.h"
#include "vm/config.h"
#include "vm/vm.h"

/* Build and start every VM of config that has no error. One event line for each that fails. With a failed VM that has
 * require=1 the machine ends here. Both arguments live for ever. Boot CPU, before sched_loop(). */
void manager_start(const struct boot_info *info, const struct mote_config *config);

/* --- for the monitor: all on the boot CPU, in task context ---------------------------------------------------------- */

/* A configured VM: vm is NULL while it does not live. */
struct manager_vm {
    const struct vm_config *config;
    struct vm *vm;
    u32 restarts; /* so far */
};
u32 manager_count(void);
struct manager_vm manager_get(u32 id);

/* Build and start a VM that does not live, from its pristine image. 0, -E_STATE (it lives), or the error already told. */
MUST_CHECK int manager_start_vm(u32 id);

/* Kill a VM and start it again from its image; done() is called once, when it runs again or could not be built. 0 or
 * -E_STATE (it does not live: start it instead; done() is not called). */
MUST_CHECK int manager_restart_vm(u32 id, void (*done)(void));

/* Kill a VM, for good; done() is called once, when everything that it had has been given back. 0 or -E_STATE, as above. */
MUST_CHECK int manager_kill_vm(u32 id, void (*done)(void));

/* Press a VM's power button; kill it when it still lives grace_ns later. However it ends, it stays down, whatever on-exit= and
 * on-crash= say. 0 or -E_STATE (it does not live). */
MUST_CHECK int manager_stop_vm(u32 id, u64 grace_ns);

/* Was selftest=on asked for? */
bool manager_selftest(void);

/* End the machine now, every VM with it. */
NORETURN void manager_end(bool reboot);

/* While keep() is true the machine does not end when its last VM has. */
void manager_set_keep(bool (*keep)(void));
