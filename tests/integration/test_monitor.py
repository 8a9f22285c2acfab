"""The monitor and the consoles, operated over the serial line while guests run."""

import os
import re

import pytest

from session import ESCAPE, PROMPT, Session, beats, consecutive, wait_beats

BEAT = "type=flat mode=long load=0x100000 mem=8M"
CMDLINE = "console=com1 on-idle=poweroff"
COMMANDS = ["vms", "vm", "start", "pause", "resume", "stop", "restart", "kill", "focus", "log", "regs", "mem", "walk",
            "exits", "trace", "frames", "cpus", "audit", "help", "move", "reenable", "panic", "poweroff", "reboot"]


@pytest.fixture
def two(machine, guest):
    def boot(backend, **options):
        return machine(backend=backend, modules=[(guest("beat"), f"kernel vm={vm} {BEAT}") for vm in "ab"],
                       cmdline=options.pop("cmdline", CMDLINE), **options)
    return boot


@pytest.mark.backends("svm", "bochs-vmx")
def test_scripted_session(two, backend):
    """Row 72: every command, over the serial line, while guests run; JSON parses; what is wrong is said in one line."""
    m = two(backend)
    m.wait_for(r"^\[b\] beat 2$")
    s = Session(m).enter()

    assert [line.split()[0] for line in s.run("help")] == COMMANDS
    assert s.run("help mem") == ["mem NAME GPA LEN     guest-physical memory"]
    vms = s.json("vms --json")
    assert [(v["name"], v["state"], v["vcpus"], v["mem_mib"], v["restarts"]) for v in vms] == [
        ("a", "running", 1, 8, 0), ("b", "running", 1, 8, 0)]
    assert all(v["exits"] > 100 for v in vms)
    table = s.run("vms")
    assert table[0].split() == ["NAME", "STATE", "VCPUS", "MEM", "EXITS", "RESTARTS"]
    assert [row.split()[:4] for row in table[1:]] == [["a", "running", "1", "8M"], ["b", "running", "1", "8M"]]
    vm = s.run("vm a")
    assert vm[0] == "a: running, 1 vCPUs, 8M, image flat, 0 restarts"
    assert re.fullmatch(r"  vcpu 0: \w+, cpu 0, 0 moves, ran \d+ us, \d+ exits", vm[1])
    exits = s.json("exits --json")
    assert set(exits) == {"a", "b"} and exits["a"][0]["IO"]["count"] > 10 and exits["a"][0]["HLT"]["count"] > 10
    assert set(s.json("exits b --json")) == {"b"}
    assert s.run("exits b")[0] == "b:"
    frames = s.json("frames --json")
    assert 0 < frames["free"] < frames["total"]
    assert s.run("frames")[0].startswith(f"frames of 4 KiB: {frames['total']} in all")
    one = s.json("vm b --json")
    assert (one["name"], one["state"], one["mem_mib"], one["image"], len(one["vcpu"])) == ("b", "running", 8, "flat", 1)
    assert one["vcpu"][0]["cpu"] == 0 and one["vcpu"][0]["exits"] > 100
    assert [entry["usage"].split()[0] for entry in s.json("help --json")] == COMMANDS
    assert s.json("help mem --json") == [{"usage": "mem NAME GPA LEN", "help": "guest-physical memory"}]
    cpus = s.json("cpus --json")
    assert [(c["cpu"], c["state"]) for c in cpus] == [(0, "online")] and cpus[0]["ticks"] > 0
    assert s.run("cpus")[1].split()[0] == "0"
    audit = s.run("audit")
    assert audit[-1] == "leaked: 0 frames" and re.fullmatch(r"a: \d{4,} frames", audit[0])

    held = s.json("audit --json")
    assert held["leaked"] == 0 and held["vms"]["a"] == held["vms"]["b"] > 2000

    assert s.run("regs a.0") == ["ok"]
    regs = m.events("a", "regs")
    assert any(0x100000 <= int(e["rip"], 16) < 0x200000 for e in regs if "rip" in e)
    memory = s.run("mem a 0x400000 20")
    assert memory[0].startswith("000000400000  a7 b0 a7 b0 00 00") and len(memory) == 2
    assert s.run("mem a 0xFF000000 16") == ["0000ff000000  not memory"]
    assert s.run("mem a 0x7ffffc 16") == ["0000007ffffc  00 00 00 00" + 12 * "   " + "  ....", "000000800000  not memory"]
    assert s.run("walk a 0x100123") == ["0x100123 -> 0x100123"]
    assert s.run("walk a 0x8000000000000000") == ["0x8000000000000000 is not mapped"]
    shown = beats(m.text, "a")[-1]
    log = s.run("log a")[:-1]  # whole lines, from the start if all of it is still kept; but the last may be half of one
    numbers = [int(line.removeprefix("beat ")) for line in log if line != "fresh starts=1 memory=clean"]
    assert consecutive(numbers) and numbers[-1] >= shown - 1
    assert numbers[0] > 0 or log[0] == "fresh starts=1 memory=clean"

    for line, want in {"vm nobody --json": "no VM 'nobody'; try vms", "exits aa --json": "no VM 'aa', did you mean a?",
                       "help sing --json": "no command 'sing'; try help", "log a --json": "usage: log NAME",
                       "trace a what --json": "usage: trace NAME on|off|show [--json]", "vms x --json": "usage: vms [--json]",
                       "pause --json": "usage: pause NAME", '"\\" --json': "no command '\"\\\"'; try help"}.items():
        assert s.json(line) == {"error": want}
    wrong = {
        "vmz": "error: no command 'vmz', did you mean vms?",
        "rsume a": "error: no command 'rsume', did you mean resume?", "sing": "error: no command 'sing'; try help",
        "?": "error: no command '?'; try help", "vm .": "error: no VM '.'; try vms",
        "help sing": "error: no command 'sing'; try help", "kill aa": "error: no VM 'aa', did you mean a?",
        "kill": "error: usage: kill NAME", "kill a b": "error: usage: kill NAME",
        "1 2 3 4 5 6 7": "error: more than 6 words", "start a": None, "resume a": None, "regs a.7": None,
        "reenable": "error: a lives", "move a 7": None, "move a.3 0": None,
        "move a x": "error: usage: move NAME[.VCPU] CPU",
        "mem a zero 16": "error: usage: mem NAME GPA LEN, LEN 1..4096", "walk a here": "error: not an address",
        "mem a 0 0": "error: usage: mem NAME GPA LEN, LEN 1..4096", "mem a 0 4097": "error: usage: mem NAME GPA LEN, LEN 1..4096",
        "regs " + "n" * 40: "error: usage: regs NAME[.VCPU]",
    }
    for command in ["vm", "start", "pause", "resume", "stop", "restart", "kill", "focus", "log", "regs", "exits"]:
        wrong[f"{command} nobody"] = "error: no VM 'nobody'; try vms"
    wrong["mem nobody 0 1"] = wrong["walk nobody 0"] = wrong["kill nobody"]
    for line, want in wrong.items():
        got = s.run(line)
        assert len(got) == 1 and got[0].startswith("error: ") and got[0] == (want or got[0]), (line, got)

    assert s.run("   vms   --json   ")[0].startswith("[{")
    assert beats(m.text, "a") == list(range(len(beats(m.text, "a"))))  # nobody was disturbed by any of this
    assert s.state("a") == s.state("b") == "running"
    m.send("poweroff\r")
    assert m.finish() == 0


@pytest.mark.backends("svm", "bochs-vmx")
def test_floods_and_editing(two, backend):
    """A line of 10 KB is cut and answered, garbage is ignored; history, completion, editing keys."""
    m = two(backend)
    m.wait_for(r"^\[b\] beat 1$")
    s = Session(m).enter()

    start = s.mark()
    os.write(m.master, b"x" * 10240)
    os.write(m.master, b"\r")
    m.wait_for("^error: a line", start=start, timeout=120)
    shown = s.answered(start)
    assert shown[-1] == "error: a line has at most 255 characters"
    assert all(line.strip("x") in (PROMPT, "") for line in shown[:-1]) and shown[0].startswith(PROMPT + "xxx")
    start = s.mark()
    os.write(m.master, bytes(b for b in range(128, 256)) + b"\x01\x02\x00\x7f\x1b[Z\x1bOP\x0b" + b"vms\r")
    m.wait_for("^NAME +STATE ", start=start)
    s.answered(start)
    assert s.state("a") == "running"

    s.run("vm a")
    s.run("vm b")
    assert command_line(s, "\x1b[A\x1b[A\r") == PROMPT + "vm a"
    assert command_line(s, "\x1b[A\x1b[A\x1b[B\x1b[B\x1b[B\x1b[A\r") == PROMPT + "vm a"
    assert command_line(s, "fra\t\r") == PROMPT + "frames "
    assert command_line(s, "exi\tb\t--j\t\r") == PROMPT + "exits b --json "
    assert command_line(s, "tra\ta\tsh\t--j\t\r") == PROMPT + "trace a show --json "
    start = s.mark()
    m.send("re\t")
    m.wait_for(r"^resume  restart  regs  (?:\w+  )*reboot  \n(?:.*\n)*?mote> re$", start=start)
    m.send("sum\ta\r")
    assert s.answered(start)[-1].startswith("error: ")  # it runs already
    assert command_line(s, "kill a\x15vms\r") == PROMPT + "vms"
    assert command_line(s, "kill a\x03vms\r") == PROMPT + "vms"
    assert command_line(s, "vmx\x7f\x08ms\r") == PROMPT + "vms"
    assert command_line(s, "kill a\x17\x17audi\x1b[H\x1b[3~\x1b[C\x1b[D\x1b[Fx\x1b[D\x1b[Dt\x05\x7f\x01a\x0b\x15vms\r") == PROMPT + "vms"
    assert command_line(s, "ms\x01v\r\n") == PROMPT + "vms"
    assert s.state("a") == "running"
    assert consecutive(beats(m.text, "a")) and consecutive(beats(m.text, "b"))


def command_line(s, keys):
    """What the command line showed in the end; when lines of others cut it, the last time."""
    start = s.mark()
    s.m.send(keys)
    return [line for line in s.answered(start) if line.startswith(PROMPT)][-1]


@pytest.mark.backends("svm", "bochs-vmx")
def test_life_from_the_monitor(two, backend):
    """Row 71 in part: pause freezes, resume goes on, restart and start give a fresh image and scrubbed memory, stop presses
    the button, kill ends at once, both for good; the neighbour counts on through all of it, and no frame is lost."""
    m = two(backend, cmdline=CMDLINE + " vm.a.on-exit=restart")
    m.wait_for(r"^\[a\] beat 2$")
    s = Session(m).enter()
    free = s.json("frames --json")["free"]

    assert s.run("pause a") == ["ok"]
    assert s.run("pause a")[0].startswith("error: ")
    assert s.state("a") == "paused"
    frozen = beats(m.text, "a")[-1]
    wait_beats(m, "b", 12)
    assert beats(m.text, "a")[-1] == frozen
    assert s.run("mem a 0x400000 4")[0].startswith("000000400000  a7 b0 a7 b0")
    assert s.run("regs a") == ["ok"]
    assert s.run("walk a 0x100000") == ["0x100000 -> 0x100000"]
    assert s.run("resume a") == ["ok"]
    m.wait_for(rf"^\[a\] beat {frozen + 3}$")
    assert consecutive(beats(m.text, "a"))

    start = len(m.text)
    assert s.run("restart a") == ["ok"]
    m.wait_for(r"^\[a\] fresh starts=1 memory=clean\n(?:.*\n)*?\[a\] beat 0$", start=start)
    assert s.run("start a")[0].startswith("error: ")

    start = len(m.text)
    assert s.run("stop a") == ["ok"]
    m.wait_for(r"^\[a\] button$", start=start)
    m.wait_for(r"^MOTE: vm=a ev=exit reason=poweroff code=0 ", start=start)
    s.wait_state("a", "stopped")
    for command in ["pause a", "resume a", "stop a", "kill a", "focus a", "regs a", "mem a 0 1", "walk a 0",
                    "exits a", "trace a show"]:
        assert s.run(command) == ["error: a does not live; try start a"], command
    assert s.run("restart a")[0].startswith("error: ")
    assert s.run("log a") == ["error: a does not live: a VM's last output goes with its memory"]

    start = len(m.text)
    assert s.run("start a") == ["ok"]
    m.wait_for(r"^\[a\] fresh starts=1 memory=clean$", start=start)

    start = s.mark()
    m.send("pause a\rkill a\rregs a\rpause a\rresume a\rmem a 0 16\rwalk a 0\rstop a\rrestart b\r")
    s.answered(start, prompts=9)
    m.wait_for(r"^MOTE: vm=a ev=exit reason=kill ", start=start)
    m.wait_for(r"^\[b\] fresh starts=1 memory=clean$", start=start)
    s.wait_state("a", "stopped")
    assert s.run("start a") == ["ok"]
    wait_beats(m, "a", 1)
    assert s.run("audit")[-1] == "leaked: 0 frames"
    assert s.json("frames --json")["free"] == free
    assert all(e["leaked-frames"] == "0" for e in m.events(kind="freed"))


@pytest.mark.backends("svm", "bochs-vmx")
def test_started_by_hand(machine, guest, backend):
    """start=manual waits for its start, alone too; copies= makes VMs that live and die one by one; c.1 is no vCPU of a VM c."""
    m = machine(backend=backend, cmdline=CMDLINE + " vm.c.1-3.mem=9M",
                modules=[(guest("beat"), f"kernel vm=c.1 {BEAT} copies=3 start=manual")])
    m.wait_for(r"^MOTE: vm=c.1-3 ev=config .* start=manual ")
    s = Session(m).enter()
    assert [(v["name"], v["state"], v["mem_mib"]) for v in s.json("vms --json")] == [
        ("c.1", "stopped", 8), ("c.1-2", "stopped", 8), ("c.1-3", "stopped", 9)]
    assert m.events(kind="start") == []
    for name in ("c.1-2", "c.1"):
        assert s.run(f"start {name}") == ["ok"]
        m.wait_for(rf"^\[{name}\] beat 2$")
    assert s.run("regs c.1") == s.run("regs c.1.0") == ["ok"] and s.run("regs c.1.1") == ["error: out of range"]
    assert s.run("kill c.1") == ["ok"]
    s.wait_state("c.1", "stopped")
    wait_beats(m, "c.1-2", 3)
    assert (s.state("c.1-3"), s.state("c.1-2")) == ("stopped", "running")
    m.send(ESCAPE + "q")
    assert m.finish() == 0


@pytest.mark.backends("svm", "bochs-vmx")
def test_killed_neighbour_is_not_missed(machine, guest, backend):
    """Row 70: killing one VM, even one that spins with interrupts off, leaves the other's counter running. The monitor's reboot."""
    m = machine(backend=backend, cmdline=CMDLINE, modules=[
        (guest("spin"), "kernel vm=spin type=flat mode=real load=0x7c00 mem=4M"), (guest("beat"), f"kernel vm=b {BEAT}")])
    m.wait_for(r"^\[b\] beat 1$")
    s = Session(m).enter()
    assert s.run("pause spin") == ["ok"] and s.state("spin") == "paused"
    assert s.run("walk spin 0xffffffff") == ["0xffffffff -> 0xffffffff"]
    assert s.run("walk spin 0x100007c00") == ["0x100007c00 is beyond what the guest can address now"]
    assert s.run("resume spin") == ["ok"]
    assert s.run("kill spin") == ["ok"]
    m.wait_for(r"^MOTE: vm=spin ev=freed leaked-frames=0 ")
    wait_beats(m, "b", 5)
    assert s.run("start spin") == ["ok"] and s.state("spin") == "running"
    wait_beats(m, "b", 5)
    assert beats(m.text, "b") == list(range(len(beats(m.text, "b"))))
    start = len(m.text)
    m.send("reboot\r")
    m.wait_for(r"^MOTE: verdict=\w+ code=\d+\n", start=start)
    if backend == "svm":
        assert m.process.wait(timeout=60) == 0  # QEMU was asked to end then
    else:
        m.wait_for(r"^MOTE: version=.*\n", start=start, timeout=120)


@pytest.mark.backends("svm", "bochs-vmx")
def test_stop_ends_with_force(machine, guest, backend):
    """The button is pressed; a VM that has not ended ten seconds later is ended. One that is killed first is, once."""
    m = machine(backend=backend, cmdline=CMDLINE, modules=[(guest("beat"), f"kernel vm=b {BEAT}"), *(
        (guest("spin"), f"kernel vm={vm} type=flat mode=real load=0x7c00 mem=4M") for vm in ("deaf", "killed"))])
    m.wait_for(r"^\[b\] beat 1\n")
    s = Session(m).enter()
    assert s.run("stop deaf") == ["ok"] and s.run("stop killed") == ["ok"]
    assert s.state("deaf") == "running"
    assert s.run("kill killed") == ["ok"]
    s.wait_state("killed", "stopped")
    m.wait_for(r"^MOTE: vm=deaf ev=freed leaked-frames=0 .*\n", timeout=120)
    assert [(e["vm"], e["reason"], e.get("stop")) for e in m.events(kind="exit")] == [
        ("killed", "kill", None), ("deaf", "kill", "not-obeyed")]
    wait_beats(m, "b", 3)
    assert s.run("audit")[-1] == "leaked: 0 frames"


@pytest.mark.backends("svm", "bochs-vmx")
def test_console_multiplexing(two, backend):
    """Row 73: whole lines with their VM's name, the switch key, input for the focus, the last output shown again."""
    m = two(backend, cmdline=CMDLINE + " focus=b")
    m.wait_for(r"^\[a\] beat 3\n")
    m.wait_for(r"^\[b\] beat 3\n")
    m.send("Q")
    m.wait_for(r"^\[b\] typed Q$")

    start = len(m.text)
    m.send(ESCAPE + "1")
    m.wait_for(r"^MOTE: console focus=a$", start=start)
    replay = m.text[start:m.text.index("MOTE: console focus=a", start)]
    again = [n for n in beats(replay, "a") if n in beats(m.text[:start], "a")]
    assert len(again) >= 3 and consecutive(again[-3:]), replay
    m.send("R")
    m.wait_for(r"^\[a\] typed R$", start=start)
    m.send(ESCAPE + "n")
    m.wait_for(r"^MOTE: console focus=b$", start=start)
    m.send("S")
    m.wait_for(r"^\[b\] typed S$", start=start)
    start = len(m.text)
    m.send(ESCAPE + "h")
    m.wait_for(r"^MOTE: console escape=\^\] .*m=monitor", start=start)

    s = Session(m).enter()
    start = len(m.text)
    m.send("focus a\r")
    m.wait_for(r"^\[a\] (?s:.*)^MOTE: console focus=a\n", start=start)
    again = beats(m.text[start:m.text.index("MOTE: console focus=a", start)], "a")
    assert len(again) >= 3 and consecutive(again[-3:])
    m.send("T")
    m.wait_for(r"^\[a\] typed T$", start=start)
    s.enter()
    for vm in "ab":  # it keeps its number; and the monitor has the keyboard, whatever focus= says
        start = len(m.text)
        assert s.run(f"restart {vm}") == ["ok"]
        m.wait_for(rf"^\[{vm}\] beat 0\n", start=start)
    assert s.state("b") == "running"
    for key, vm in ("1a", "2b"):
        start = len(m.text)
        m.send(ESCAPE + key)
        m.wait_for(rf"^MOTE: console focus={vm}\n", start=start)
    s.enter()
    assert s.run("kill a") == ["ok"]
    s.wait_state("a", "stopped")
    shown = m.lines[:-1]  # the last may still be on its way
    torn = [line for line in shown if not re.match(r"\[[ab]\] |MOTE: |mote> |monitor: |\[?\{|ok$|$", line)
            and shown.index(line) > shown.index("[a] beat 0")]
    assert torn == [], torn
    assert "typed" not in "".join(line for line in m.lines if line.startswith("[a]") and ("Q" in line or "S" in line))
    m.send(ESCAPE + "q")
    assert m.finish() == 0
