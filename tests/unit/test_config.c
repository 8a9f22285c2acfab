/* The configuration language: every key, every complaint. */
/* units: vm/config_gdb.c vm/config.c vm/config_keys.c vm/config_console.c vm/config_value.c kernel/lib/fmt.c */
/* units: vm/config_copies.c vm/config_text.c vm/config_apply.c vm/config_uart.c vm/config_show.c */
#include "tests/unit/host.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "vm/config.h"
#include "vm/config_internal.h"

#define LINES_MAX 80

static struct mote_config config;
static char complaints[8192];
static int complaint_count;
static const char *config_text = ""; /* what each module holds */
static size_t config_text_size;

static void record(void *ctx, int module, const char *vm, const char *key, const char *why)
{
    size_t used = strlen(complaints);

    assert_ptr_equal(ctx, &config);
    complaint_count++;
    (void)snprintf(complaints + used, sizeof(complaints) - used, "%d|%s|%s|%s\n", module, vm, key, why);
}

/* Copies of exact size, so that the sanitizer sees a read behind the end. */
static void parse(const char *cmdline, const char *const *modules)
{
    static char *kept[LINES_MAX];
    static u32 count;
    static char *text;
    struct config_source lines[LINES_MAX];
    char *line = strdup(cmdline);

    for (u32 i = 0; i < count; i++) {
        free(kept[i]);
    }
    for (count = 0; modules != NULL && modules[count] != NULL; count++) {
        kept[count] = strdup(modules[count]);
        lines[count] = (struct config_source){.line = kept[count]};
    }
    free(text);
    text = malloc(config_text_size + 1);
    memcpy(text, config_text, config_text_size);
    for (u32 i = 0; i < count; i++) {
        lines[i].bytes = text;
        lines[i].size = config_text_size;
    }
    complaints[0] = '\0';
    complaint_count = 0;
    config_parse(line, lines, count, record, &config, &config);
    free(line);
}

static void parse_one(const char *cmdline, const char *module)
{
    const char *modules[] = {module, NULL};

    parse(cmdline, modules);
}

/* One complaint and nothing else, as "module|vm|key|why". */
static const struct {
    const char *cmdline, *module, *complaint;
} errors[] = {
    {"", "kernel vcpu=2", "0|vm0|vcpu|unknown key, did you mean vcpus?"},
    {"", "kernel vm=a memory=1M", "0|a|memory|unknown key, did you mean mem?"},
    {"", "kernel tiemout=1s vm=late", "0|late|tiemout|unknown key, did you mean timeout?"},
    {"", "kernel vm=a MEM=1M", "0|a|MEM|unknown key, did you mean mem?"},
    {"consle=com1", "", "-1||consle|unknown key, did you mean console?"},
    {"on-idel=halt", "", "-1||on-idel|unknown key, did you mean on-idle?"},
    {"quiet", "", "-1||quiet|unknown key, did you mean "},
    {"", "kernel console=com1", "0|vm0|console|belongs on the hypervisor line"},
    {"mem=1M", "", "-1||mem|belongs on a kernel's module line, or write vm.NAME.KEY=VALUE"},
    {"", "kernel vm", "0|vm0|vm|no value: write key=value"},
    {"", "kernel mem", "0|vm0|mem|no value: write key=value"},
    {"", "kernel net=lan0", "0|vm0|net|not in this version"},
    {"", "kernel watchdog=2", "0|vm0|watchdog|bad value '2': not a time such as 10s or 500ms"},
    {"", "kernel watchdog=700000s", "0|vm0|watchdog|700000s is out of range 1ms..604800s"},
    {"", "kernel watchdgo=2s", "0|vm0|watchdgo|unknown key, did you mean watchdog?"},
    {"", "kernel uart=com5", "0|vm0|uart|bad value 'com5': a list of com1 com2 com3 com4, or none; did you mean com1?"},
    {"", "kernel uart=con4", "0|vm0|uart|bad value 'con4': a list of com1 com2 com3 com4, or none; did you mean com4?"},
    {"", "kernel uart=", "0|vm0|uart|bad value '': a list of"},
    {"", "kernel uart=com1,", "0|vm0|uart|bad value '': a list of"},
    {"", "kernel uart=com1,none", "0|vm0|uart|bad value 'none': a list of"},
    {"", "kernel uart=com2,com1,com2", "0|vm0|uart|com2 is named twice"},
    {"", "kernel uart=com11111111111111111111111111111", "0|vm0|uart|bad value 'com111111111111': a list of"},
    {"", "kernel copies=0", "0|vm0|copies|bad value '0': not a number of VMs 1..64"},
    {"", "kernel copies=65", "0|vm0|copies|bad value '65': not a number of VMs 1..64"},
    {"", "kernel copies=two", "0|vm0|copies|bad value 'two': not a number of VMs 1..64"},
    {"", "kernel start=never", "0|vm0|start|bad value 'never': neither auto nor manual"},
    {"", "config mem=1M", "0||mem|keys stand in the file, not on its line"},
    {"", "kernel trace=all", "0|vm0|trace|bad value 'all': neither exits nor none"},
    {"", "disk vm=x", "0||disk|this role is not in this version"},
    {"", "kernal vm=x", "0||kernal|unknown role, did you mean kernel?"},
    {"", "initrd", "0||initrd|no kernel line before it"},
    {"", "/boot/initrd.gz initrd", "0||initrd|no kernel line before it"},
    {"", "module -- hi", "0||module|no kernel line before it"},
    {"", "kernel vm=-a", "0|vm0|vm|bad value '-a': a name is 1 to 31 letters, digits, '.', '-', '_'"},
    {"", "kernel vm=", "0|vm0|vm|bad value '': a name is"},
    {"", "kernel vm=a/b", "0|vm0|vm|bad value 'a/b'"},
    {"", "kernel vm=a2345678901234567890123456789012", "0|vm0|vm|bad value"},
    {"", "kernel mem=64Q", "0|vm0|mem|bad value '64Q': not a size such as 64M"},
    {"", "kernel mem=", "0|vm0|mem|bad value ''"},
    {"", "kernel mem=-1", "0|vm0|mem|bad value '-1'"},
    {"", "kernel mem=64MB", "0|vm0|mem|bad value '64MB'"},
    {"", "kernel mem=99999999999999999999", "0|vm0|mem|bad value"},
    {"", "kernel mem=18014398509481984K", "0|vm0|mem|bad value"},
    {"", "kernel mem=512K", "0|vm0|mem|512K is out of range 1M..1024G"},
    {"", "kernel mem=64", "0|vm0|mem|64 is out of range 1M..1024G"},
    {"", "kernel mem=2T", "0|vm0|mem|2T is out of range 1M..1024G"},
    {"", "kernel mem=1048577", "0|vm0|mem|1048577 is not a multiple of 4K"},
    {"", "kernel vcpus=0", "0|vm0|vcpus|bad value '0': not a number of vCPUs"},
    {"", "kernel vcpus=two", "0|vm0|vcpus|bad value 'two': not a number of vCPUs"},
    {"", "kernel vcpus=33", "0|vm0|vcpus|more vCPUs than allowed (32)"},
    {"", "kernel vcpus=1000", "0|vm0|vcpus|more vCPUs than allowed ("},
    {"", "kernel pin=", "0|vm0|pin|bad value '': not a list of CPUs"},
    {"", "kernel pin=3-2", "0|vm0|pin|bad value '3-2'"},
    {"", "kernel pin=1,", "0|vm0|pin|bad value '1,'"},
    {"", "kernel pin=1-", "0|vm0|pin|bad value '1-'"},
    {"", "kernel pin=256", "0|vm0|pin|bad value '256'"},
    {"", "kernel pin=1x", "0|vm0|pin|bad value '1x'"},
    {"", "kernel type=bzimage", "0|vm0|type|bad value 'bzimage': none of auto linux mb2 mb1 elf flat"},
    {"", "kernel type=uefi", "0|vm0|type|type=uefi is not in this version"},
    {"", "kernel mode=v86", "0|vm0|mode|bad value 'v86': none of auto real prot long"},
    {"", "kernel load=here", "0|vm0|load|bad value 'here': not an address"},
    {"", "kernel load=0x", "0|vm0|load|bad value '0x': not an address"},
    {"", "kernel entry=0x1g0", "0|vm0|entry|bad value '0x1g0': not an address"},
    {"", "kernel share=50", "0|vm0|share|bad value '50': not a share of a CPU such as 50%"},
    {"", "kernel share=0%", "0|vm0|share|0% is out of range 1%..100%"},
    {"", "kernel share=101%", "0|vm0|share|101% is out of range 1%..100%"},
    {"", "kernel share=50%%", "0|vm0|share|bad value"},
    {"", "kernel timeout=10", "0|vm0|timeout|bad value '10': not a time such as 10s or 500ms"},
    {"", "kernel timeout=10m", "0|vm0|timeout|bad value '10m'"},
    {"", "kernel timeout=700000s", "0|vm0|timeout|700000s is out of range 1ms..604800s"},
    {"", "kernel timeout=99999999999999999s", "0|vm0|timeout|bad value"},
    {"", "kernel require=maybe", "0|vm0|require|bad value 'maybe': neither on nor off"},
    {"", "kernel on-exit=halt", "0|vm0|on-exit|bad value 'halt': none of stop restart restart:1..1000000 poweroff"},
    {"", "kernel on-exit=restart:0", "0|vm0|on-exit|bad value 'restart:0'"},
    {"", "kernel on-crash=poweroff", "0|vm0|on-crash|bad value 'poweroff': none of report restart restart:1..1000000 halt"},
    {"", "kernel on-crash=restart:1000001", "0|vm0|on-crash|bad value 'restart:1000001'"},
    {"", "kernel gdb=com5", "0|vm0|gdb|bad value 'com5': none of com1 com2 com3 com4 uart:ADDR none"},
    {"", "kernel gdb=", "0|vm0|gdb|bad value ''"},
    {"", "kernel gdb=uart:0", "0|vm0|gdb|bad value 'uart:0'"},
    {"", "kernel gdb=com2,now", "0|vm0|gdb|bad value 'com2,now': only wait may follow the port"},
    {"", "kernel gdb=com1", "0|vm0|gdb|com1 is a console (console=), did you mean com2?"},
    {"console=com2,com1", "kernel gdb=uart:0x2f8", "0|vm0|gdb|com2 is a console (console=), did you mean com3?"},
    {"console=com1,com2,com3,com4", "kernel gdb=com4", "0|vm0|gdb|com4 is a console (console=), did you mean uart:ADDR?"},
    {"", "kernel vm=a gdb=com2 copies=2", "0|a-2|gdb|com2 is the debugger port of a, did you mean com3?"},
    {"", "kernel \"vm=x", "0|vm0|vm|quote without an end"},
    {"strict=2", "", "-1||strict|bad value '2': neither on nor off"},
    {"irqchip=fast", "", "-1||irqchip|bad value 'fast': neither hardware nor software"},
    {"selftest=x", "", "-1||selftest|bad value 'x'"},
    {"log=loud", "", "-1||log|bad value 'loud': none of debug info warn"},
    {"on-idle=sleep", "", "-1||on-idle|bad value 'sleep': none of halt poweroff reboot exit:CODE exit:vm"},
    {"on-idle=exit:", "", "-1||on-idle|bad value 'exit:'"},
    {"on-idle=exit:256", "", "-1||on-idle|exit code 256 is out of range 0..255"},
    {"escape=]", "", "-1||escape|bad value ']': not a control character such as ^]"},
    {"escape=^", "", "-1||escape|bad value '^'"},
    {"escape=^]x", "", "-1||escape|bad value '^]x'"},
    {"escape=^?", "", "-1||escape|bad value '^?'"},
    {"escape=^@", "", "-1||escape|bad value '^@'"}, /* 0 stands for none */
    {"escape=^`", "", "-1||escape|bad value '^`'"},
    {"cpus=0", "", "-1||cpus|bad value '0': not a number of CPUs 1..256"},
    {"cpus=257", "", "-1||cpus|bad value '257'"},
    {"console=com5", "", "-1||console|bad value 'com5': none of com1 com2 com3 com4 uart:ADDR fb none"},
    {"console=", "", "-1||console|bad value ''"},
    {"console=com1,", "", "-1||console|bad value ''"},
    {"console=com1,7", "", "-1||console|bad value '7': not a baud rate that divides 115200"},
    {"console=com1,0", "", "-1||console|bad value '0': not a baud rate"},
    {"console=com1,230400", "", "-1||console|bad value '230400': not a baud rate"},
    {"console=115200", "", "-1||console|bad value '115200': a baud rate without a port before it"},
    {"console=fb,9600", "", "-1||console|bad value '9600': a baud rate without a port before it"},
    {"console=com1,fb,com1", "", "-1||console|bad value 'com1': named twice"},
    {"console=fb,fb", "", "-1||console|bad value 'fb': named twice"},
    {"console=uart:0x3f8,com1", "", "-1||console|bad value 'com1': named twice"},
    {"console=com1,none", "", "-1||console|bad value 'com1,none': none stands alone"},
    {"console=com1,com2,com3,com4,fb,uart:0,uart:8", "", "-1||console|bad value 'uart:8': too many consoles"},
    {"console=uart:0xFFF9", "", "-1||console|bad value 'uart:0xFFF9'"},
    {"console=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "", "-1||console|bad value"},
    {"focus=a/b", "", "-1||focus|bad value 'a/b': not a VM's name"},
    {"focus=web", "kernel vm=wed", "-1||focus|no VM is named web, did you mean wed?"},
    {"vm.web.mem=1M", "kernel vm=wed", "-1||mem|no VM is named web, did you mean wed?"},
    {"vm.web.mem=1M", NULL, "-1||mem|no VM is named web"},
    {"vm.mem=1M", "", "-1||vm.mem|write vm.NAME.KEY=VALUE"},
    {"vm.vm0.vm=other", "", "-1|vm0|vm|a VM is named on its module line"},
    {"vm.vm0.mem=1", "", "-1|vm0|mem|1 is out of range"},
    {"vm.vm0.memm=1M", "", "-1|vm0|memm|unknown key, did you mean mem?"},
    {"vm.vm0.log=info", "", "-1|vm0|log|belongs on the hypervisor line"},
};

static void test_errors(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
        parse_one(errors[i].cmdline, errors[i].module);
        if (complaint_count != 1 || strncmp(complaints, errors[i].complaint, strlen(errors[i].complaint)) != 0) {
            fail_msg("'%s' '%s': %d complaints:\n%s", errors[i].cmdline, errors[i].module, complaint_count, complaints);
        }
        assert_int_equal(config.errors, 1);
        bool names_vm = strstr(complaints, "|vm0|") != NULL || strncmp(complaints, "0|a|", 4) == 0 ||
                        strncmp(complaints, "0|late|", 7) == 0;
        if (config.vm_count != 0) {
            assert_int_equal(config.vms[0].bad, names_vm);
        }
    }
}

static void test_defaults(void **state)
{
    (void)state;
    parse_one("", "");
    assert_int_equal(complaint_count, 0);
    assert_int_equal(config.vm_count, 1);
    assert_int_equal(config.console_count, 1);
    assert_int_equal(config.consoles[0].port, 0x3F8);
    assert_int_equal(config.consoles[0].baud, 115200);
    assert_int_equal(config.log_level, LOG_INFO);
    assert_int_equal(config.on_idle, ON_IDLE_HALT);
    assert_int_equal(config.escape, 0x1D);
    assert_true(config.strict);
    assert_false(config.selftest);
    assert_false(config.software_irqchip);
    assert_string_equal(config.focus, "");
    assert_string_equal(config.vms[0].name, "vm0");
    assert_int_equal(config.vms[0].mem_bytes, MIB(128));
    assert_int_equal(config.vms[0].vcpus, 1);
    assert_false(config.vms[0].pinned);
    assert_true(cpuset_has(&config.vms[0].pin, 255));
    assert_int_equal(config.vms[0].type, VM_TYPE_AUTO);
    assert_int_equal(config.vms[0].module_count, 1);
    assert_string_equal(config.vms[0].modules[0].cmdline, "");
    parse("", NULL);
    assert_int_equal(config.vm_count, 0);
    assert_int_equal(config.errors, 0);
}

static void test_every_vm_key(void **state)
{
    const struct vm_config *vm = &config.vms[0];

    (void)state;
    parse_one("", "kernel vm=t.1-x_Y type=flat mode=real load=0x7c00 entry=31745 mem=4M vcpus=1 pin=2-3,6 "
                  "timeout=1500ms require=1 -- a=\"b  c\"  -- d ");
    assert_string_equal(complaints, "");
    assert_string_equal(vm->name, "t.1-x_Y");
    assert_int_equal(vm->type, VM_TYPE_FLAT);
    assert_int_equal(vm->mode, VM_MODE_REAL);
    assert_true(vm->has_load);
    assert_int_equal(vm->load, 0x7C00);
    assert_true(vm->has_entry);
    assert_int_equal(vm->entry, 0x7C01);
    assert_int_equal(vm->mem_bytes, MIB(4));
    assert_true(vm->pinned);
    assert_int_equal(vm->pin.bits[0], BIT(2) | BIT(3) | BIT(6));
    assert_int_equal(vm->timeout_ns, 1500000000ULL);
    assert_true(vm->require);
    assert_string_equal(vm->modules[0].cmdline, "a=\"b  c\"  -- d ");
    assert_false(vm->bad);
}

static void test_policies(void **state)
{
    const struct vm_config *vm = &config.vms[0];

    (void)state;
    parse_one("", "kernel");
    assert_int_equal(vm->on_exit.after, VM_AFTER_STOP);
    assert_int_equal(vm->on_crash.after, VM_AFTER_STOP);
    parse_one("", "kernel on-exit=poweroff on-crash=restart:3");
    assert_string_equal(complaints, "");
    assert_int_equal(vm->on_exit.after, VM_AFTER_END_MACHINE);
    assert_int_equal(vm->on_crash.after, VM_AFTER_RESTART);
    assert_int_equal(vm->on_crash.restarts, 3);
    parse_one("", "kernel on-exit=restart on-crash=halt");
    assert_int_equal(vm->on_exit.after, VM_AFTER_RESTART);
    assert_int_equal(vm->on_exit.restarts, 0);
    assert_int_equal(vm->on_crash.after, VM_AFTER_END_MACHINE);
}

static void test_debugger_ports(void **state)
{
    const struct vm_config *vm = &config.vms[0];

    (void)state;
    parse_one("", "kernel");
    assert_int_equal(vm->gdb_port, 0);
    parse_one("", "kernel gdb=com2");
    assert_int_equal(vm->gdb_port, 0x2F8);
    assert_false(vm->gdb_wait);
    parse_one("console=com2", "kernel gdb=com1,wait");
    assert_int_equal(vm->gdb_port, 0x3F8);
    assert_true(vm->gdb_wait);
    parse_one("vm.vm0.gdb=uart:0x1000", "kernel gdb=com2,wait");
    assert_int_equal(vm->gdb_port, 0x1000);
    assert_false(vm->gdb_wait);
    parse_one("vm.vm0.gdb=none", "kernel gdb=com2");
    assert_int_equal(vm->gdb_port, 0);
    assert_string_equal(complaints, "");
}

static void test_every_mote_key(void **state)
{
    (void)state;
    parse_one("/boot/mote.elf console=com2,9600 log=warn on-idle=exit:7 escape=^A focus=vm0 cpus=3 selftest=on strict=off",
              "");
    assert_string_equal(complaints, "");
    assert_int_equal(config.console_count, 1);
    assert_int_equal(config.consoles[0].port, 0x2F8);
    assert_int_equal(config.consoles[0].baud, 9600);
    assert_int_equal(config.log_level, LOG_WARN);
    assert_int_equal(config.on_idle, ON_IDLE_EXIT_CODE);
    assert_int_equal(config.on_idle_code, 7);
    assert_int_equal(config.escape, 1);
    assert_string_equal(config.focus, "vm0");
    assert_int_equal(config.cpus, 3);
    assert_true(config.selftest);
    assert_false(config.strict);
    parse_one("console=none escape=none on-idle=exit:vm cpus=all", "");
    assert_int_equal(config.console_count, 0);
    assert_int_equal(config.escape, 0);
    assert_int_equal(config.on_idle, ON_IDLE_EXIT_VM);
}

static void test_console_is_a_list(void **state)
{
    (void)state;
    parse_one("console=com4,com2,9600,fb,uart:0x1000,57600", "");
    assert_string_equal(complaints, "");
    assert_int_equal(config.console_count, 4);
    static const struct config_console want[] = {
        {.port = 0x2E8, .baud = 115200}, {.port = 0x2F8, .baud = 9600}, {.screen = true}, {.port = 0x1000, .baud = 57600}};
    for (u32 i = 0; i < 4; i++) {
        assert_int_equal(config.consoles[i].screen, want[i].screen);
        assert_int_equal(config.consoles[i].port, want[i].port);
        assert_true(want[i].screen || config.consoles[i].baud == want[i].baud);
    }
    parse_one("console=com2 console=fb", ""); /* the last one counts */
    assert_int_equal(config.console_count, 1);
    assert_true(config.consoles[0].screen);
    parse_one("console=com9", ""); /* refused: the complaint has somewhere to go */
    assert_int_equal(config.consoles[0].port, 0x3F8);
}

static void test_strict_off_only_warns(void **state)
{
    (void)state;
    parse_one("foo=1 strict=0", "kernel bar=2 mem=5M");
    assert_int_equal(complaint_count, 2);
    assert_non_null(strstr(complaints, "-1||foo|unknown key ignored, did you mean "));
    assert_non_null(strstr(complaints, "0|vm0|bar|unknown key ignored, did you mean "));
    assert_int_equal(config.errors, 0);
    assert_false(config.vms[0].bad);
    assert_int_equal(config.vms[0].mem_bytes, MIB(5));
    parse_one("strict=0", "kernel mem=zzz");
    assert_int_equal(config.errors, 1);
    assert_true(config.vms[0].bad);
}

static void parse_text(const char *cmdline, const char *text, const char *const *modules)
{
    config_text = text;
    config_text_size = strlen(text);
    parse(cmdline, modules);
}

static void test_text_module(void **state)
{
    const char *modules[] = {"kernel vm=a mem=5M -- hi", "/boot/mote.conf config", "initrd", "kernel vm=b", "kernel vm=c-3", NULL};

    (void)state;
    parse_text("log=warn vm.b.timeout=9s",
               "# a set-up\nlog=debug escape=^A on-idle=poweroff # end\r\n\n"
               "  [vm a]  # the first\n mem=7M vcpus=2\n\ttimeout=3s\n[vm b]\nmem=6M timeout=4s\n\"share=50%\"\n[ vm c ]\n[vm c-3 ]\nmem=9M", modules);
    assert_string_equal(complaints, "1||config|line 10: write a section as [vm NAME]\n");
    assert_int_equal(config.vm_count, 3);
    assert_int_equal(config.log_level, LOG_WARN); /* the hypervisor line wins */
    assert_int_equal(config.escape, 1);
    assert_int_equal(config.on_idle, ON_IDLE_POWEROFF);
    assert_int_equal(config.vms[0].mem_bytes, MIB(5)); /* the module line wins */
    assert_int_equal(config.vms[0].vcpus, 2);
    assert_int_equal(config.vms[0].timeout_ns, 3000000000ULL);
    assert_int_equal(config.vms[0].module_count, 2); /* the initrd behind the text is a's */
    assert_int_equal(config.vms[1].mem_bytes, MIB(6));
    assert_int_equal(config.vms[1].timeout_ns, 9000000000ULL); /* an override wins over all */
    assert_int_equal(config.vms[1].share, 50);
    assert_int_equal(config.vms[2].mem_bytes, MIB(9));
    assert_false(config.vms[0].bad);
}

/* What is wrong in the text is told once, with its line, and costs only the VM of its section. */
static void test_text_errors(void **state)
{
    static const struct {
        const char *text, *complaint;
    } wrong[] = {
        {"\nlgo=info", "1||lgo|line 2: unknown key, did you mean log?"},
        {"mem=1M", "1||mem|line 1: belongs on a kernel's module line, or"},
        {"log", "1||log|line 1: no value: write key=value"},
        {"strict=2", "1||strict|line 1: bad value '2'"},
        {"vm.a.mem=2M", "1||vm.a.mem|line 1: in this file, write KEY=VALUE below [vm NAME]"},
        {"[vm a]\nvcpu=2", "1|a|vcpu|line 2: unknown key, did you mean vcpus?"},
        {"[vm a]\nlog=info", "1|a|log|line 2: belongs on the hypervisor line"},
        {"[vm a]\nvm=b", "1|a|vm|line 2: a VM is named on its module line"},
        {"[vm a]\n\"mem=2M", "1|a|mem|line 2: quote without an end"},
        {"[vm aa]\nmem=2M", "1||config|line 1: no VM is named aa, did you mean a?"},
        {"[vm a", "1||config|line 1: write a section as [vm NAME]"},
        {"[vm a] mem=1M", "1||config|line 1: write a section as [vm NAME]"},
        {"[vm aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]", "1||config|line 1: write a section as [vm NAME]"},
        {"\x7f" "ELF\x01\x02", "1||config|not a text"},
    };
    const char *modules[] = {"kernel vm=a mem=8M", "config", "kernel vm=b mem=8M", NULL};
    static char big[KIB(64) + 2];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        parse_text("", wrong[i].text, modules);
        if (complaint_count != 1 || strncmp(complaints, wrong[i].complaint, strlen(wrong[i].complaint)) != 0) {
            fail_msg("'%s': %d complaints:\n%s", wrong[i].text, complaint_count, complaints);
        }
        assert_int_equal(config.vms[0].bad, strncmp(complaints, "1|a|", 4) == 0);
        assert_false(config.vms[1].bad);
    }
    memset(big, '\n', sizeof(big) - 1);
    parse_text("", big, modules);
    assert_string_equal(complaints, "1||config|longer than 64K\n");
    memset(big, 'x', 600);
    big[700] = '\0';
    parse_text("", big, modules);
    assert_string_equal(complaints, "1||config|line 1: line longer than 511 characters\n");
    for (u32 i = 0; i < 600; i++) {
        big[i] = i % 2 == 0 ? 'x' : '\n';
    }
    parse_text("", big, modules);
    assert_int_equal(complaint_count, 22);
    assert_non_null(strstr(complaints, "1||config|line 21: too many errors: the rest is not read\n"));
    parse_text("", "nonsense=1\nstrict=0", modules);
    assert_string_equal(complaints, "1||nonsense|line 1: unknown key ignored, did you mean console?\n");
    parse_text("", "\xEF\xBB\xBF[vm b]\nvcpus=2", modules); /* a byte-order mark */
    assert_string_equal(complaints, "");
    assert_int_equal(config.vms[1].vcpus, 2);
    parse_text("", "\xEF\xBB\xBF", modules);
    assert_string_equal(complaints, "");
    const char *two[] = {"config", "kernel vm=a", "config", NULL};
    parse_text("", "", two);
    assert_string_equal(complaints, "2||config|there is one already\n");
    config_text_size = 0;
}

static void test_grub_quotes(void **state)
{
    struct config_word word;
    const char *line = "  \"k=a b\"\tx\\'y\\\"z\\\\w a\\b \"\" 'q r's t\\";

    (void)state;
    assert_true(config_next_word(&line, &word));
    assert_string_equal(word.text, "k=a b");
    assert_true(word.quoted);
    assert_true(config_next_word(&line, &word));
    assert_string_equal(word.text, "x'y\"z\\w");
    assert_false(word.quoted);
    assert_true(config_next_word(&line, &word));
    assert_string_equal(word.text, "a\\b");
    assert_true(config_next_word(&line, &word));
    assert_string_equal(word.text, "");
    assert_true(config_next_word(&line, &word));
    assert_string_equal(word.text, "q rs");
    assert_true(config_next_word(&line, &word));
    assert_string_equal(word.text, "t\\");
    assert_false(config_next_word(&line, &word));
    parse_one("", "kernel \"vm=a b\"");
    assert_string_equal(complaints, "0|vm0|vm|bad value 'a b': a name is 1 to 31 letters, digits, '.', '-', '_'\n");
    parse_one("", "kernel \"vm=web\" \"--\" -- x");
    assert_string_equal(config.vms[0].name, "web");
    assert_string_equal(config.vms[0].modules[0].cmdline, "x");
}

static void test_roles_and_paths(void **state)
{
    const char *modules[] = {"/boot/vmlinuz kernel vm=linux -- console=ttyS0", "initrd", "/boot/rtos.elf",
                             "(hd0)/b/rtos.elf", "vm=k1 mem=2M", "module -- first  one", "tool kernel", "-- only args", NULL};

    (void)state;
    parse("", modules);
    assert_string_equal(complaints, "");
    assert_int_equal(config.vm_count, 6);
    assert_string_equal(config.vms[0].name, "linux");
    assert_int_equal(config.vms[0].module_count, 2);
    assert_int_equal(config.vms[0].modules[1].role, ROLE_INITRD);
    assert_int_equal(config.vms[0].modules[1].boot_module, 1);
    assert_string_equal(config.vms[1].name, "rtos.elf");
    assert_string_equal(config.vms[2].name, "vm2");
    assert_string_equal(config.vms[3].name, "k1");
    assert_int_equal(config.vms[3].mem_bytes, MIB(2));
    assert_int_equal(config.vms[3].modules[1].role, ROLE_MODULE);
    assert_string_equal(config.vms[3].modules[1].cmdline, "first  one");
    assert_string_equal(config.vms[4].name, "tool");
    assert_string_equal(config.vms[5].name, "vm5");
    assert_string_equal(config.vms[5].modules[0].cmdline, "only args");
}

static void test_firmware(void **state)
{
    const char *modules[] = {"kernel vm=k", "firmware vm=fw mem=32M vcpus=2", "module", "/b/bios.bin firmware", NULL};

    (void)state;
    parse("", modules);
    assert_string_equal(complaints, "");
    assert_int_equal(config.vm_count, 3);
    assert_false(vm_config_firmware(&config.vms[0]));
    assert_true(vm_config_firmware(&config.vms[1]));
    assert_int_equal(config.vms[1].mem_bytes, MIB(32));
    assert_int_equal(config.vms[1].module_count, 2);
    assert_string_equal(config.vms[2].name, "bios.bin");
    assert_true(vm_config_firmware(&config.vms[2]));
}

static void test_bad_lines_leave_the_others_alone(void **state)
{
    const char *modules[] = {"kernel vm=a mem=x", "kernel vm=b", "kernel vm=b", "initrd", "kernal vm=c", "initrd",
                             "initrd vm=a", NULL};

    (void)state;
    parse("", modules);
    assert_int_equal(config.vm_count, 3);
    assert_true(config.vms[0].bad);
    assert_false(config.vms[1].bad);
    assert_true(config.vms[2].bad);
    assert_int_equal(config.errors, 5);
    assert_non_null(strstr(complaints, "2|b|vm|two VMs have this name\n"));
    assert_int_equal(config.vms[2].module_count, 2);
    const char *keys_on_initrd[] = {"kernel vm=a", "initrd mem=1M", NULL};
    parse("", keys_on_initrd);
    assert_string_equal(complaints, "1|a|mem|belongs on the kernel's line\n");
    assert_true(config.vms[0].bad);
}

static void test_overrides_win(void **state)
{
    (void)state;
    parse_one("vm.web.2.mem=9M vm.web.2.timeout=2s", "kernel vm=web.2 mem=5M");
    assert_string_equal(complaints, "");
    assert_int_equal(config.vms[0].mem_bytes, MIB(9));
    assert_int_equal(config.vms[0].timeout_ns, 2000000000ULL);
}

static void test_copies(void **state)
{
    const char *modules[] = {"kernel vm=web mem=8M copies=3 -- quiet", "initrd", "kernel vm=web-3 start=manual", NULL};
    const char *many[] = {"kernel vm=a copies=64", "kernel vm=b copies=2", NULL};

    (void)state;
    parse("focus=web vm.web.mem=9M", modules);
    assert_string_equal(complaints, "0|web|copies|web-3 cannot be a copy's name: another VM has it\n");
    assert_int_equal(config.vm_count, 3);
    assert_string_equal(config.vms[2].name, "web-2");
    assert_int_equal(config.vms[2].mem_bytes, MIB(9));
    assert_int_equal(config.vms[2].module_count, 2);
    assert_string_equal(config.vms[2].modules[0].cmdline, "quiet");
    assert_false(config.vms[2].manual);
    assert_true(config.vms[1].manual);
    parse_one("vm.c-2.mem=16M vm.c.mem=9M vm.c-2.share=50%", "kernel vm=c mem=8M copies=3"); /* one copy's own */
    assert_string_equal(complaints, "");
    assert_int_equal(config.vms[0].mem_bytes, MIB(9));
    assert_int_equal(config.vms[1].mem_bytes, MIB(16));
    assert_int_equal(config.vms[1].share, 50);
    assert_int_equal(config.vms[2].mem_bytes, MIB(9));
    parse_one("vm.c-2.mem=1 vm.c-3.mem=9M vm.c-2.copies=2 vm.c-2.vm=d vm. \"vm.c-2.mem=1M", "kernel vm=c mem=8M copies=2");
    assert_string_equal(complaints, "-1||vm.|write vm.NAME.KEY=VALUE\n-1||vm.c-2.mem|quote without an end\n"
                                    "-1|c-2|mem|1 is out of range 1M..1024G\n"
                                    "-1||mem|no VM is named c-3, did you mean c-2?\n-1|c-2|copies|a copy has no copies\n"
                                    "-1|c-2|vm|a VM is named on its module line\n");
    assert_true(!config.vms[0].bad && config.vms[1].bad);
    parse_one("vm.a-2.gdb=com3", "kernel vm=a gdb=com2 copies=2");
    assert_string_equal(complaints, "");
    parse_one("", "kernel vm=abcdefghijabcdefghijabcdefghij copies=2");
    assert_string_equal(complaints, "0|abcdefghijabcdefghijabcdefghij|copies|abcdefghijabcdefghijabcdefghij-2 cannot be a "
                                    "copy's name: too long\n");
    assert_int_equal(config.vm_count, 1);
    parse("", many);
    assert_string_equal(complaints, "0|a|copies|too many VMs (64)\n1|b|copies|too many VMs (64)\n");
    assert_int_equal(config.vm_count, VM_MAX);
    assert_string_equal(config.vms[VM_MAX - 1].name, "a-63");
}

static void test_limits(void **state)
{
    const char *modules[VM_MAX + 2] = {0};
    char line[VM_CMDLINE_MAX + 64];

    (void)state;
    for (u32 i = 0; i <= VM_MAX; i++) {
        modules[i] = "kernel";
    }
    parse("", modules);
    assert_string_equal(complaints, "64||kernel|too many VMs (64)\n");
    assert_int_equal(config.vm_count, VM_MAX);
    assert_string_equal(config.vms[63].name, "vm63");
    for (u32 i = 1; i <= VM_MODULES_MAX; i++) {
        modules[i] = "module";
    }
    modules[VM_MODULES_MAX + 1] = NULL;
    parse("", modules);
    assert_string_equal(complaints, "16|vm0|module|too many modules for one VM (16)\n");
    memset(line, 'x', sizeof(line));
    memcpy(line, "kernel -- ", 10);
    line[10 + VM_CMDLINE_MAX - 1] = '\0';
    parse_one("", line);
    assert_string_equal(complaints, "");
    assert_int_equal(strlen(config.vms[0].modules[0].cmdline), VM_CMDLINE_MAX - 1);
    line[10 + VM_CMDLINE_MAX - 1] = 'x';
    line[10 + VM_CMDLINE_MAX] = '\0';
    parse_one("", line);
    assert_string_equal(complaints, "0|vm0|--|guest command line longer than 2047 characters\n");
    memcpy(line, "kernel mem", 10);
    line[10] = '=';
    parse_one("", line);
    assert_string_equal(complaints, "0|vm0|mem|word longer than 255 characters\n");
}

static void test_distance(void **state)
{
    (void)state;
    assert_int_equal(config_distance("", ""), 0);
    assert_int_equal(config_distance("vcpu", "vcpus"), 1);
    assert_int_equal(config_distance("kitten", "sitting"), 3);
    assert_int_equal(config_distance("abc", ""), 3);
    assert_int_equal(config_distance("", "abcd"), 4);
}

/* Every setter's refusal is in the table above; every key has a help and a default. */
static void test_table_is_complete(void **state)
{
    (void)state;
    for (u32 i = 0; i < config_key_count; i++) {
        assert_true(config_keys[i].help[0] != '\0' && config_keys[i].default_text[0] != '\0');
        assert_ptr_equal(config_find_key(config_keys[i].name, config_keys[i].scope), &config_keys[i]);
        bool seen = config_keys[i].set == NULL;
        for (size_t j = 0; j < ARRAY_SIZE(errors); j++) {
            char field[64];
            (void)snprintf(field, sizeof(field), "|%s|", config_keys[i].name);
            seen = seen || strstr(errors[j].complaint, field) != NULL;
        }
        assert_true(seen);
    }
}

/* The table that is printed says every key as a user would write it. */
static void test_show(void **state)
{
    char text[512], small[8];

    (void)state;
    parse_one("", "kernel");
    config_show_vm(&config.vms[0], text, sizeof(text));
    assert_string_equal(text, "mem=128M vcpus=1 type=auto mode=auto modules=1 timeout-ms=0 share=100% start=auto pin=all load=auto entry=auto "
                              "require=off copies=1 on-exit=stop on-crash=report watchdog-ms=0 uart=com1 trace=none gdb=none");
    config_show_mote(&config, text, sizeof(text));
    assert_string_equal(text, "console=uart:0x3f8,115200 log=info on-idle=halt strict=on focus=first escape=^] cpus=all irqchip=hardware selftest=off");
    parse_one("console=com2,9600,fb log=debug on-idle=exit:7 strict=off focus=a escape=none cpus=3 irqchip=software selftest=on",
              "kernel vm=a mem=8M vcpus=2 type=flat mode=long timeout=3s share=50% start=manual pin=0,2-3,255 load=1M entry=0x100008 "
              "require=1 copies=1 on-exit=restart:4 on-crash=halt watchdog=1500ms uart=com3,com1 trace=exits gdb=com3,wait");
    assert_int_equal(complaint_count, 0);
    config_show_vm(&config.vms[0], text, sizeof(text));
    assert_string_equal(text, "mem=8M vcpus=2 type=flat mode=long modules=1 timeout-ms=3000 share=50% start=manual pin=0,2-3,255 load=0x100000 "
                              "entry=0x100008 require=on copies=1 on-exit=restart:4 on-crash=halt watchdog-ms=1500 uart=com3,com1 trace=exits gdb=com3,wait");
    config_show_mote(&config, text, sizeof(text));
    assert_string_equal(text, "console=uart:0x2f8,9600,fb log=debug on-idle=exit:7 strict=off focus=a escape=none cpus=3 irqchip=software selftest=on");
    config_show_vm(&config.vms[0], small, sizeof(small));
    assert_string_equal(small, "mem=8M ");
    parse_one("console=none on-idle=exit:vm", "kernel uart=none on-crash=restart mem=1028K");
    config_show_vm(&config.vms[0], text, sizeof(text));
    assert_non_null(strstr(text, "mem=1028K vcpus=1 "));
    assert_non_null(strstr(text, " on-crash=restart watchdog-ms=0 uart=none "));
    config_show_mote(&config, text, sizeof(text));
    assert_non_null(strstr(text, "console=none log=info on-idle=exit:vm "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_every_vm_key),
        cmocka_unit_test(test_policies),
        cmocka_unit_test(test_debugger_ports), cmocka_unit_test(test_every_mote_key),
        cmocka_unit_test(test_console_is_a_list),
        cmocka_unit_test(test_strict_off_only_warns),
        cmocka_unit_test(test_text_module),
        cmocka_unit_test(test_text_errors),
        cmocka_unit_test(test_show),
        cmocka_unit_test(test_grub_quotes),
        cmocka_unit_test(test_roles_and_paths),
        cmocka_unit_test(test_firmware),
        cmocka_unit_test(test_bad_lines_leave_the_others_alone),
        cmocka_unit_test(test_overrides_win),
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_distance),
        cmocka_unit_test(test_table_is_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
