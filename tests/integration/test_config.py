"""What a user types wrong costs one clear line, which names the VM and the cause, and at most that VM."""

import pytest

from machine import BUILD

PLAIN = BUILD / "guests" / "boot" / "plain_elf32"
CMDLINE = "console=com1 on-idle=exit:vm"

# Options of one VM's line, and what the complaint must say.
WRONG = {
    "typo": ("vcpu=2", 'key=vcpu why="unknown key, did you mean vcpus?"'),
    "many": ("vcpus=33", "more vCPUs than allowed (32)"),
    "value": ("mem=64Q", "bad value '64Q': not a size such as 64M"),
    "small": ("mem=512K", "512K is out of range 1M..1024G"),
    "huge": ("mem=900G", "more than the machine has free"),
    "type": ("type=exe", "bad value 'exe': none of auto linux mb2 mb1 elf flat"),
    "later": ("net=lan0", "not in this version"),
    "shared": ("shm=ring0:1M", 'key=shm why="not in this version'),
    "disk": ("blk=disk.img", 'key=blk why="not in this version'),
    "random": ("rng=on", 'key=rng why="not in this version'),
    "device": ("pci=00:1f.2", 'key=pci why="not in this version'),
    "time": ("timeout=10", "not a time such as 10s or 500ms"),
    "scope": ("log=debug", "belongs on the hypervisor line"),
    "serial": ("uart=com5", "bad value 'com5': a list of com1 com2 com3 com4, or none; did you mean com1?"),
    "watch": ("watchdog=2", "bad value '2': not a time such as 10s or 500ms"),
    "where": ("pin=200", "pin"),
    "console": ("gdb=com1", 'key=gdb why="com1 is a console (console=), did you mean com2?"'),
    "absent": ("gdb=com4", 'key=gdb why="no UART answers at com4 (not found), and there is no other one"'),
    "taken": ("gdb=com4", 'key=gdb why="com4 is the debugger port of absent, did you mean com2?"'),
}


@pytest.mark.backends("svm", "bochs-vmx")
def test_wrong_lines_cost_only_themselves(machine, backend):
    modules = [(PLAIN, f"kernel vm={vm} type=elf {'' if 'mem=' in options else 'mem=8M'} {options}")
               for vm, (options, _) in WRONG.items()]
    modules.append((PLAIN, "kernel vm=good mem=8M type=elf timeout=60s"))
    modules.append((PLAIN, "kernel vm=good mem=8M type=elf"))
    modules.append((PLAIN, "kernal vm=role"))
    modules.append((PLAIN, "initrd"))
    m = machine(backend=backend, cmdline=CMDLINE + " colour=red vm.nobody.mem=1M", modules=modules)
    m.finish(timeout=60)
    for vm, (_, text) in WRONG.items():
        about = [line for line in m.lines if line.startswith(f"MOTE: vm={vm} ")]
        assert any(text in line for line in about), f"{vm}: {about}"
        assert not m.events(vm, "exit"), vm  # it never ran
    for text in ["line=hypervisor key=colour why=\"unknown key, did you mean ",
                 "line=hypervisor key=mem why=\"no VM is named nobody",
                 "key=kernal why=\"unknown role, did you mean kernel?\"", "key=initrd why=\"no kernel line before it\"",
                 "vm=good ev=config-error", "why=\"two VMs have this name\""]:
        assert any(text in line for line in m.lines), text
    assert len(m.events("good", "start")) == 1
    assert any(line.startswith("DONE pass=") and line.endswith(" fail=0")
               or line.startswith("[good] DONE pass=") and line.endswith(" fail=0") for line in m.lines)


@pytest.mark.backends("svm")
def test_no_module(machine, backend):
    m = machine(backend=backend, cmdline=CMDLINE)
    assert m.finish(timeout=60) != 0
    assert any("no module" in line or "no VM" in line for line in m.lines), m.text


@pytest.mark.backends("svm")
def test_no_options_at_all(machine, backend):
    """A bare ELF kernel becomes a VM; a second one, too."""
    m = machine(backend=backend, cmdline=CMDLINE,
                modules=[(BUILD / "guests" / "boot" / "mb1_elf32", ""), (BUILD / "guests" / "boot" / "mb2_elf64", "")])
    assert m.finish(timeout=60) == 0
    assert [e["type"] for e in m.events(kind="start")] == ["mb1", "mb2"]


@pytest.mark.backends("svm", "bochs-vmx")
def test_hypervisor_line_wins_and_strict_off_warns(machine, backend):
    m = machine(backend=backend, cmdline=CMDLINE + " strict=0 vm.a.mem=6M",
                modules=[(BUILD / "guests" / "boot" / "mb1_elf32", "kernel vm=a mem=8M colour=red -- mem=6")])
    assert m.finish(timeout=60) == 0
    assert any("unknown key ignored" in line for line in m.lines)
    assert m.events("a", "start")[0]["mem"] == "6M"


TEXT = """# a long set-up
on-idle=exit:vm log=debug
[vm a]      # one of two
mem=6M timeout=61s
vcpus=2
[vm b]
mem=7M
vcpu=2
[vm c]
mem=7M
"""


@pytest.mark.backends("svm", "bochs-vmx")
def test_text_module(machine, backend, tmp_path):
    """The role config: below module lines, which are below the hypervisor line; what is wrong in it is told with its line."""
    text = tmp_path / "mote.conf"
    text.write_text(TEXT)
    kernel = BUILD / "guests" / "boot" / "mb1_elf32"
    m = machine(backend=backend, cmdline="console=com1 log=warn on-idle=exit:vm vm.a.timeout=62s",
                modules=[(kernel, "kernel vm=a vcpus=1 -- mem=6"), (text, "config"), (kernel, "kernel vm=b mem=8M")])
    assert m.finish(timeout=60) == 1
    assert [(e["vm"], e["mem"], e["vcpus"]) for e in m.events(kind="start")] == [("a", "6M", "1")]
    assert m.events("a", "config")[0]["timeout-ms"] == "62000"
    assert m.events("a", "exit")[0]["code"] == "0"
    errors = [line for line in m.lines if " ev=config-error " in line]
    assert errors == ['MOTE: vm=b ev=config-error line=module-1 key=vcpu why="line 8: unknown key, did you mean vcpus?"',
                      'MOTE: ev=config-error line=module-1 key=config why="line 9: no VM is named c, did you mean a?"']
