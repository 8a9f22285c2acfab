"""Keys of interface.md's table whose effect no other test sees: what follows when a VM, or the last VM, has ended; who starts; who
hears. tests/acceptance.md, row 68, names the tests of the others."""

import re
import time

import pytest

LONG = "type=flat mode=long load=0x100000 mem=5M"
HOLE = f"{LONG} entry=0x100088"  # of tests/guests/die.asm: runs to where no memory is
VERDICT = r"^MOTE: verdict=(\w+) code=(\d+)\n"

pytestmark = pytest.mark.backends("svm", "bochs-vmx")


def stays(m, seconds=3):
    """The machine has said its verdict, and stands still with its power on: no guest prints any more."""
    time.sleep(seconds)
    assert m.process.poll() is None and " beat " not in m.text[m.text.index("MOTE: verdict="):]


def test_life_keys(machine, guest, backend):
    """on-exit=stop and restart:N, on-crash=report, timeout=, copies=, start=manual, vm.NAME.KEY=, log=info, on-idle=exit:CODE."""
    m = machine(backend=backend, cmdline="console=com1 log=info on-idle=exit:7 vm.again.on-exit=restart:2", modules=[
        (guest("hello"), f"kernel vm=once {LONG} on-exit=stop"), (guest("hello"), f"kernel vm=again {LONG} on-exit=stop"),
        (guest("die"), f"kernel vm=report {HOLE} on-crash=report"), (guest("spin"), "kernel vm=late type=flat mem=2M timeout=1s"),
        (guest("hello"), f"kernel vm=c {LONG} copies=2"), (guest("hello"), f"kernel vm=never {LONG} start=manual")])
    assert m.finish() == 7
    starts = {vm: len(m.events(vm, "start")) for vm in ("once", "again", "report", "late", "c", "c-2", "never")}
    assert starts == {"once": 1, "again": 3, "report": 1, "late": 1, "c": 1, "c-2": 1, "never": 0}
    assert [e["code"] for vm in ("once", "again", "c", "c-2") for e in m.events(vm, "exit")] == ["0"] * 6
    assert [(e["vm"], e["reason"]) for e in sorted(m.events(kind="crash"), key=lambda e: e["vm"])] == [
        ("late", "timeout"), ("report", "unmapped")]
    assert m.events("late", "crash")[0]["after-ms"] == "1000"
    table = {e["vm"]: e for e in m.events(kind="config") if "vm" in e}
    assert (table["again"]["on-exit"], table["late"]["timeout-ms"], table["c-2"]["copies"]) == ("restart:2", "1000", "2")
    assert table["never"]["start"] == "manual"
    mote = [e for e in m.events(kind="config") if "vm" not in e]
    assert len(mote) == 1 and (mote[0]["on-idle"], mote[0]["log"]) == ("exit:7", "info")
    assert "MOTE: log=info " in m.text and "MOTE: log=debug " not in m.text


def test_on_exit_poweroff(machine, guest, backend):
    """on-exit=poweroff ends the machine while others run, on-exit=restart goes on and on; escape=^A, focus= and log=warn."""
    m = machine(backend=backend, cmdline="console=com1,uart:0x1000 log=warn on-idle=halt escape=^A focus=b", modules=[
        (guest("hello"), f"kernel vm=again {LONG} on-exit=restart"), (guest("beat"), f"kernel vm=b {LONG}"),
        (guest("hello"), f"kernel vm=off {LONG} start=manual on-exit=poweroff")])
    start = 0
    for _ in range(25):  # more than a crash would be restarted
        start = m.wait_for(r"^MOTE: vm=again ev=start .*\n", start=start).end()
    m.wait_for(r"^\[b\] beat 1\n")
    m.send("\x1dm")  # the usual escape is a guest's now
    m.wait_for(r"^\[b\] typed m\n")
    assert "mote> " not in m.text
    m.send("\x01m")
    m.wait_for(r"^mote> ")
    m.send("start off\r")
    assert m.finish() == 0
    assert m.events("off", "exit")[0]["code"] == "0" and not m.events("b", "exit")
    assert "MOTE: log=info " not in m.text and "MOTE: log=warn console port=0x1000 does not answer" in m.text


def test_on_crash_halt(machine, guest, backend):
    """on-crash=halt stops the machine with its power on while others run."""
    m = machine(backend=backend, cmdline="console=com1 on-idle=poweroff", modules=[
        (guest("die"), f"kernel vm=last {HOLE} on-crash=halt"), (guest("beat"), f"kernel vm=b {LONG}")])
    assert m.wait_for(VERDICT).groups() == ("fail", "1")
    assert m.events("last", "crash")[0]["reason"] == "unmapped" and not m.events("b", "exit")
    stays(m)


def test_on_idle_halt(machine, guest, backend):
    m = machine(backend=backend, cmdline="console=com1 on-idle=halt", modules=[(guest("hello"), f"kernel vm=t {LONG}")])
    assert m.wait_for(VERDICT).groups() == ("pass", "0")
    stays(m)


def test_on_idle_reboot(machine, guest, backend):
    """on-idle=reboot: QEMU was asked to end then, Bochs boots again. escape=none: every byte is the guest's."""
    m = machine(backend=backend, cmdline="console=com1 on-idle=reboot escape=none", modules=[(guest("uarts"), f"kernel vm=t {LONG}")])
    m.wait_for(r"^hello from com1\n")
    m.send("\x1d")
    m.wait_for(r"^com1 got \x1d\n")
    assert m.wait_for(VERDICT).groups() == ("fail", "1")  # the payload's code is the number of its ports
    if backend == "svm":
        assert m.process.wait(timeout=60) == 0
    else:
        m.wait_for(r"^MOTE: version=(?s:.*)^MOTE: version=.*\n")


def test_require(machine, guest, backend):
    """require=1 on a VM that cannot start: none does. strict=1: an unknown key is such a cause."""
    m = machine(backend=backend, cmdline="console=com1 on-idle=exit:vm strict=1", modules=[
        (guest("hello"), f"kernel vm=good {LONG}"), (guest("hello"), f"kernel vm=needed {LONG} vcpu=2 require=1")])
    assert m.finish() == 1
    assert not m.events(kind="start")
    assert 'MOTE: vm=needed ev=error why="required, and cannot start: no VM starts"' in m.lines
    assert re.search(r"^MOTE: vm=needed ev=config-error .* key=vcpu ", m.text, re.MULTILINE)
