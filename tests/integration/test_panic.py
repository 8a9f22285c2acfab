"""What a bug of Mote's shows: asked for at the monitor with selftest=on, in three ways, on the serial line and on the screen."""

import re
import time

import pytest

from screen import Qmp, read_ppm, recognise
from test_monitor import Session
from test_screen import serial_lines, vbe_elf  # noqa: F401 (a fixture)

BEAT = "type=flat mode=long load=0x100000 mem=8M"
FUNCTIONS = {"assert": "bug_assert", "fault": "bug_fault", "stack": "descend"}
MESSAGE = {"assert": r"asked for at the monitor", "fault": r"exception=#PF vector=14 error=0x0 cr2=0xfffff00000000bad",
           "stack": r"exception=#DF vector=8 error=0x0 cr2=0x[0-9a-f]+"}
TRAPPED = ["rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r15", "rip", "rflags", "cs", "ss"]


def panic(m, way):
    """Ask for it; the lines from the panic's first on."""
    m.wait_for(r"^\[b\] beat 2\n", timeout=120)
    Session(m).enter()
    m.send(f"panic {way}\r")
    m.wait_for(r"^MOTE: verdict=panic code=5\n")
    lines = [line for line in m.lines if line]
    return lines[next(i for i, line in enumerate(lines) if line.startswith("MOTE: panic ")):]


def check(lines, way):
    assert re.fullmatch(rf"MOTE: panic cpu=0 {MESSAGE[way]}", lines[0]), lines[0]
    registers = dict(re.findall(r"\b(\w+)=([0-9a-f]{4,16})\b", "\n".join(lines[1:])))
    assert {"cr0", "cr2", "cr3", "cr4", "rsp", "rflags", *(TRAPPED if way != "assert" else ())} <= set(registers)
    names = [re.fullmatch(r"MOTE: backtrace \d+ 0xffffffff8[0-9a-f]{7} (\w+)\+0x[0-9a-f]+", line).group(1)
             for line in lines if line.startswith("MOTE: backtrace ")]
    assert FUNCTIONS[way] in names, names
    if way != "stack":  # there the list is full of the one function
        assert names.index(FUNCTIONS[way]) < names.index("run_panic") < names.index("sched_loop"), names
    else:
        assert names.count("descend") > 20


@pytest.mark.parametrize("backend,way", [*(("svm", way) for way in FUNCTIONS), ("bochs-vmx", "stack"), ("bochs-svm", "fault")])
def test_panic_on_the_serial_line(machine, guest, backend, way):
    """Message, registers, a backtrace with names, the verdict; every CPU stops, and the machine ends with code 5."""
    m = machine(backend=backend, cpus=2, cmdline="console=com1 on-idle=exit:vm selftest=on",
                modules=[(guest("beat"), f"kernel vm=a pin=0 {BEAT}"), (guest("beat"), f"kernel vm=b pin=1 {BEAT}")])
    lines = panic(m, way)
    check(lines, way)
    assert m.finish() == 5
    after = m.text[m.text.index("MOTE: verdict=panic"):]
    assert after.strip() == "MOTE: verdict=panic code=5", after


def test_panic_on_the_screen(machine, guest, vbe_elf):  # noqa: F811
    """The same text stands on the framebuffer when the machine is off."""
    qmp = Qmp()
    m = machine(backend="svm", vga="std", grub=["insmod all_video", "set gfxpayload=1024x768x32"], elf=vbe_elf, exit_device=False,
                cmdline="console=com1,fb on-idle=poweroff selftest=on", extra=[*qmp.options, "-no-shutdown"],
                modules=[(guest("beat"), f"kernel vm={vm} {BEAT}") for vm in "ab"])
    qmp.connect()
    check(panic(m, "fault"), "fault")
    deadline = time.monotonic() + 60
    while qmp.command("query-status")["status"] != "shutdown":  # it is drawing its last, and goes off
        assert time.monotonic() < deadline
        time.sleep(0.1)
    path = m.workdir / "screen.ppm"
    qmp.command("screendump", filename=str(path))
    lines = [line for line in recognise(*read_ppm(path)) if line]
    assert lines[-1] == "MOTE: verdict=panic code=5"
    assert lines == serial_lines(m, 128)[-len(lines):]
    check(lines[next(i for i, line in enumerate(lines) if line.startswith("MOTE: panic ")):], "fault")


@pytest.mark.backends("svm")
def test_no_panic_by_accident(machine, guest, backend):
    m = machine(backend=backend, cmdline="console=com1 on-idle=poweroff",
                modules=[(guest("beat"), f"kernel vm={vm} {BEAT}") for vm in "ab"])
    m.wait_for(r"^\[b\] beat 1\n")
    s = Session(m).enter()
    assert s.run("panic fault") == ["error: only with selftest=on"]
    m.send("poweroff\r")
    assert m.finish() == 0
