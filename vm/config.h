/* What the user asked for: one table of keys, parsed from the hypervisor line and the module lines. Pure; fuzzed. */
#pragma once
#include "kernel/lib/cpuset.h"
#include "kernel/lib/types.h"
#include "vm/uart_ports.h"

#define VM_NAME_MAX 32U
#define VM_CMDLINE_MAX 2048U
#define VM_MODULES_MAX 16U
#define VM_MAX 64U
#define VM_VCPUS_MAX 32U /* vCPUs of one VM */
#define CONFIG_WHY_MAX 160U

/* KERNEL or FIRMWARE begins a VM; the others join the VM of the line before them. */
enum vm_role { ROLE_KERNEL, ROLE_INITRD, ROLE_MODULE, ROLE_FIRMWARE };
enum vm_type { VM_TYPE_AUTO, VM_TYPE_LINUX, VM_TYPE_MB2, VM_TYPE_MB1, VM_TYPE_ELF, VM_TYPE_FLAT };
enum vm_mode { VM_MODE_AUTO, VM_MODE_REAL, VM_MODE_PROT, VM_MODE_LONG };
enum on_idle { ON_IDLE_HALT, ON_IDLE_POWEROFF, ON_IDLE_REBOOT, ON_IDLE_EXIT_CODE, ON_IDLE_EXIT_VM };

enum vm_after { VM_AFTER_STOP, VM_AFTER_RESTART, VM_AFTER_END_MACHINE };

/* What follows when a VM has ended. */
struct vm_policy {
    enum vm_after after;
    u32 restarts; /* RESTART: at most this many, then STOP; 0 = without limit */
};

struct vm_module {
    enum vm_role role;
    u32 boot_module; /* index into boot_info.modules */
    const char *cmdline; /* what followed " -- ", inside the module's own string; "" when absent */
};

/* Its serial ports, the console's first. */
struct vm_uarts {
    u8 number[UART_PORTS]; /* com1 is 0 */
    u32 count;
};

struct vm_config {
    char name[VM_NAME_MAX];
    u64 mem_bytes;    /* default 128 MiB */
    u32 vcpus;        /* default 1 */
    struct cpuset pin; /* default: all */
    bool pinned;
    u32 share;        /* percent of a CPU for each vCPU: the most that it gets, and its weight; default 100 */
    enum vm_type type;
    enum vm_mode mode;
    bool has_load, has_entry;
    u64 load, entry;
    u64 timeout_ns;   /* 0 = none */
    u64 watchdog_ns;  /* 0 = none */
    struct vm_policy on_exit;  /* by itself: END_MACHINE powers off */
    struct vm_policy on_crash; /* END_MACHINE halts */
    struct vm_uarts uarts;     /* default com1 */
    bool require;
    bool manual;      /* not started at boot */
    u16 gdb_port;     /* the host's UART on which a debugger is listened for; 0: none */
    bool gdb_wait;    /* nothing runs before it lets it */
    bool trace;       /* exits are recorded from the start */
    u32 copies;       /* that the line asks for, this one included; they are VMs of their own */
    struct vm_module modules[VM_MODULES_MAX]; /* [0] is the kernel or the firmware */
    u32 module_count;
    bool bad;         /* has an error: is not started */
};

/* Does the VM start as a machine does that is switched on, from an image of its own firmware? */
static inline bool vm_config_firmware(const struct vm_config *vm)
{
    return vm->modules[0].role == ROLE_FIRMWARE;
}

#define CONFIG_CONSOLES_MAX 6U

/* One of console='s list. */
struct config_console {
    bool screen; /* the framebuffer; else a UART */
    u16 port;    /* the UART's I/O port */
    u32 baud;
};

struct mote_config {
    u32 log_level;      /* enum log_level */
    struct config_console consoles[CONFIG_CONSOLES_MAX];
    u32 console_count;  /* 0: none */
    enum on_idle on_idle;
    u32 on_idle_code;
    bool strict;
    u8 escape;
    u32 cpus;           /* 0 = all */
    bool selftest;
    bool software_irqchip;
    char focus[VM_NAME_MAX];
    struct vm_config vms[VM_MAX];
    u32 vm_count;
    u32 errors;
};

/* A serial port as keys name it, "com1".."com4" or "uart:ADDR": text has CONFIG_PORT_MAX bytes. */
#define CONFIG_PORT_MAX 16U
void config_name_port(u16 port, char *text);

/* The consoles that the VMs have in all. */
static inline u32 config_count_consoles(const struct mote_config *config)
{
    u32 count = 0;

    for (u32 i = 0; i < config->vm_count; i++) {
        count += MAX(config->vms[i].uarts.count, 1U);
    }
    return count;
}

/* The keys of a VM, or of Mote, and their effective values, as "key=value key=value ...", cut at size. Pure. */
void config_show_vm(const struct vm_config *vm, char *text, size_t size);
void config_show_mote(const struct mote_config *config, char *text, size_t size);

/* One complaint: which module (-1: the hypervisor line), which VM ("" unknown), which key, and why, with a hint. */
typedef void (*config_report)(void *ctx, int module, const char *vm, const char *key, const char *why);

/* A boot module: its line, and its bytes, which are read only when it has the role config. */
struct config_source {
    const char *line;
    const char *bytes;
    size_t size;
};

/* Parse everything: cmdline and the modules, in order. Never fails as a whole: what is wrong is reported
 * through report_to, marks its VM bad, and is counted in errors. out is large: allocate it from frames. */
void config_parse(const char *cmdline, const struct config_source *modules, u32 module_count, config_report report_to,
                  void *ctx, struct mote_config *out);
