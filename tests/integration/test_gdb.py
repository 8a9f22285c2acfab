"""The key gdb=: a real gdb over COM2 on flat guests and on Linux; bad packets, floods, wrong lines."""

import os
import re
import subprocess

import pytest

from debugger import Gdb, Line, packet
from machine import BUILD, ROOT
from session import ESCAPE, Session
from test_monitor import wait_beats

FLAT = "type=flat mode=long load=0x100000 mem=8M"
ELF = BUILD / "guests" / "debuggee.elf"


@pytest.fixture
def attach(machine):
    """attach(backend, modules, files): a machine with the debugger's line, and a function that starts a gdb on it."""
    opened = []

    def start(backend, modules, **options):
        line = Line()
        opened.append(line)
        m = machine(backend=backend, modules=modules, extra=line.options(backend), **options)

        def gdb(*files):
            opened.append(Gdb(m, line, *files))
            return opened[-1]
        return m, line, gdb

    yield start
    for one in reversed(opened):
        one.close()


def addresses(text):
    """Of the instructions that x/i shows."""
    return [int(a, 16) for a in re.findall(r"^(?:=>)?\s*0x([0-9a-f]+)", text, re.MULTILINE)]


def step_through(g):
    """Each instruction of steps(), an exit, a device and a shadow among them, is one step; the flags it pushes are the guest's."""
    g.run("break steps")
    assert "Breakpoint 2, steps ()" in g.run("continue", timeout=120)
    code = addresses(g.run("x/12i $rip"))
    shadow = 7  # behind MOV SS there is no trap: the next instruction belongs to the step
    for number, address in enumerate(code):
        if number == shadow and g.value("$rip") != address:
            continue
        assert g.value("$rip") == address, (number, hex(address), g.run("info registers"))
        if number == 10:
            assert g.value("$rax & 0x100") == 0 and g.value("$rax & 2") == 2
        g.run("stepi")
    assert "guest_main" in g.run("info symbol $rip")


def watch(g):
    """Breakpoints and watchpoints in the CPU's debug registers, four at most."""
    g.run("hbreak tick")
    assert re.search(r"hit .*, tick ", g.run("continue", timeout=120))
    assert re.search(r"hit .*, tick ", g.run("continue", timeout=120))
    g.run("delete")
    n = g.value("n")
    g.run("watch rounds")
    out = g.run("continue", timeout=120)
    assert re.search(r"hit Hardware watchpoint \d+: rounds$", out, re.MULTILINE) and g.value("rounds") == n, out
    g.run("delete")
    g.run("rwatch quit")
    assert re.search(r"hit Hardware read watchpoint \d+: quit\s+Value = 0$", g.run("continue", timeout=120), re.MULTILINE)
    g.run("awatch other_rounds")  # with one for reads: each of two threads meets its own
    out = g.run("continue", timeout=120)
    assert "Hardware read watchpoint" in out or "Hardware access (read/write) watchpoint" in out, out
    g.run("delete")
    for at in range(5):
        g.run(f"hbreak *{0x100000 + at}")
    assert "Could not insert hardware breakpoint" in g.run("continue")
    g.run("delete")


def own_watchpoint(g):
    """The guest has one on what it writes in each round: it does nothing while gdb has one, and is the guest's again after that."""
    def hits_of_a_round(command):
        g.run(command)
        assert re.search(r"hit .*, tick ", g.run("continue", timeout=120))
        before = g.value("own_hits"), g.value("watched")
        assert re.search(r"hit .*, tick ", g.run("continue", timeout=120))
        g.run("delete")
        assert g.value("watched") == before[1] + 1
        return g.value("own_hits") - before[0]

    g.run("set var own_watch = 1")
    assert hits_of_a_round("break tick") in (0, 1)  # in this round or in the next it takes effect
    assert [hits_of_a_round(command) for command in ("break tick", "hbreak tick", "break tick", "hbreak tick")] == [1, 0, 1, 0]
    g.run("set var own_watch = 0")


def control_registers(g):
    """By the rules of the guest's own instructions: what they refuse is an error and changes nothing."""
    before = {name: g.value(f"(unsigned long){name}") for name in ("$cr0", "$cr3", "$cr4", "$efer")}
    for name, value in (("$cr0", "$cr0 & 0x7fffffff"), ("$cr3", "1ULL << 62"), ("$cr4", "$cr4 | 0x2000"), ("$efer", "0")):
        assert "Could not write register" in g.run(f"set var {name} = {value}"), name
    assert {name: g.value(f"(unsigned long){name}") for name in before} == before
    g.run("set var $cr0 = $cr0 | 0x10000")
    g.run("set var $cr3 = $cr3 | 0x8")
    assert g.value("$cr0 & 0x10000") != 0 and g.value("$cr3 & 0x8") == 8


def die(g):
    """A gdb is killed while its VM runs into a breakpoint; nobody hears of that."""
    g.run("break tick")
    g.run("hbreak steps")
    start = len(g.line.received)
    g.go()
    g.close()
    g.line.wait(b"$T05", start, 120 * g.slowness)


def let_go_without_gdb(m):
    """A VM that waits for a gdb at its first instruction does not run until one comes, or the monitor resumes it."""
    begin = len(m.text)
    s = Session(m).enter()
    assert s.run("start d") == ["ok"]
    m.wait_for(r"^MOTE: vm=d ev=gdb port=com2 start=waits\n", start=begin, timeout=120)
    assert s.state("d") == "held" and s.json("vms --json")[0]["exits"] == 0
    assert s.run("resume d") == ["ok"]
    begin = m.wait_for(r"^\[d\] debuggee runs\n", start=begin, timeout=120).end()
    assert s.run("restart d") == ["ok"]
    m.wait_for(r"^MOTE: vm=d ev=gdb port=com2 start=waits\n", start=begin, timeout=120)
    assert s.state("d") == "held"
    m.send("resume d\r")
    m.send(ESCAPE + "1")
    m.wait_for(r"^(\[d\] )?debuggee runs\n", start=begin, timeout=120)


def test_flat_guest(attach, guest, backend):
    """Two vCPUs as threads of a flat guest, with the symbols of its ELF: break, registers, memory, step, continue, interrupt,
    detach and a second gdb; the guest's own traps stay its own; its end is told."""
    m, _, gdb = attach(backend, [(guest("debuggee"), f"kernel vm=d vcpus=2 gdb=com2,wait {FLAT}")], cpus=2,
                       cmdline="console=com1")
    m.wait_for(r"^MOTE: vm=d ev=gdb port=com2 start=waits\n", timeout=120)
    g = gdb(ELF)
    assert "0x0000000000100000" in g.connected, g.connected
    assert "debuggee runs" not in m.text
    assert g.value("$rip") == 0x100000 and g.value("$cr0 & 1") == 1
    assert "parked" in g.run("info threads")
    g.run("break tick")
    assert "hit Breakpoint 1, tick (n=n@entry=1)" in g.run("continue", timeout=120)
    m.wait_for(r"^debuggee runs\n")
    assert g.value("rounds") == 0 and g.value("n") == 1 and g.value("$rdi") == 1
    g.run("set var $rdi = 1000")
    g.run("finish")
    assert g.value("rounds") == 1000
    step_through(g)

    threads = g.run("info threads")
    assert len(re.findall(r"^\*? +[12] +Thread [12] \(", threads, re.MULTILINE)) == 2, threads
    g.run("thread 2")
    assert g.value("$rip") in range(0x100000, 0x200000) and "other" in g.run("info symbol $rip")
    before = g.value("other_rounds")
    assert g.value("other_rounds") == before  # it stands, too
    g.run("thread 1")
    g.run("set var $xmm3 = 0x123456789abcdef")
    assert g.value("$xmm3") == 0x123456789ABCDEF
    assert "Cannot access memory" in g.run("x/x 0xffff800000000000")
    assert "Cannot access memory" in g.run("print *(char *)0x7000000")
    control_registers(g)
    g.run("delete")
    watch(g)
    own_watchpoint(g)

    while g.value("other_rounds") == before:  # it goes on, however short the while
        g.go()
        assert "received signal SIGINT" in g.interrupt()
    for i, c in enumerate(b"after\0"):
        g.run(f"set var text[{i}] = {c}")
    g.run("detach")
    g.close()

    die(gdb(ELF))
    s = Session(m).enter()
    assert s.state("d") == "held"
    assert s.run("resume d") == ["ok"] and s.state("d") == "running"
    assert s.run("resume d")[0].startswith("error: ")
    m.send(ESCAPE + "1")
    die(gdb(ELF))
    g = gdb(ELF)  # another one finds the VM as it is, without the breakpoints of the one before
    before = g.value("rounds")
    while g.value("rounds") < before + 2:
        g.go()
        assert "received signal SIGINT" in g.interrupt()
    assert g.value("quit") == 0 and g.value("debug_errors") == 0
    s.enter()  # where nobody is at the monitor, the machine ends with its last VM
    g.run("set var quit = 1")
    assert "exited normally" in g.run("continue", timeout=120)
    m.wait_for(r"^MOTE: vm=d ev=freed .*\n", timeout=120)
    assert [e["code"] for e in m.events("d", "exit")] == ["0"]
    assert {name: ok for name, (ok, _) in m.checks().items()} == {
        "traps-before": True, "second-cpu": True, "debug-registers": True, "traps-after": True}
    assert re.search(r"^\[d\] debuggee saw after\n", m.text, re.MULTILINE)
    assert m.events("d", "freed")[0]["leaked-frames"] == "0"
    let_go_without_gdb(m)


@pytest.mark.backends("svm", "bochs-vmx")
def test_bad_packets(attach, guest, backend):
    """What is no packet of GDB's is answered as the protocol wants, or not at all; a flood costs neither the host nor the
    neighbour on the same CPU; then the VM is looked at, let go, stopped and killed by hand-made packets."""
    m, line, _ = attach(backend, [(guest("debuggee"), f"kernel vm=d vcpus=2 gdb=com2 {FLAT}"),
                                  (guest("beat"), f"kernel vm=n {FLAT}")], cpus=1)
    m.wait_for(r"^\[d\] debuggee runs\n", timeout=120)
    slow = 600 if backend.startswith("bochs") else 120

    def ask(data, reply):
        start = len(line.received)
        line.send(data)
        line.wait(reply, start, slow)

    def counts_on():
        wait_beats(m, "n", 2)

    ask(b"\x00\xff#00 nothing +++ $g#00", b"-")
    ask(b"$g#6", b"")
    ask(b"x$m100000", b"-")
    ask(packet("qSupported:swbreak+"), b"+$PacketSize=1000")
    counts_on()
    ask(packet("a" * 5000), b"+" + packet("E07"))
    ask(packet("?"), b"+" + packet("T02thread:1;"))
    ask(b"-", packet("T02thread:1;"))
    ask(packet("nonsense"), b"+$#00")
    ask(packet(b"X100000,4:}\x03"), b"+" + packet("E01"))
    ask(packet("m0000000000000000000001,1"), b"+" + packet("E01"))
    ask(packet("Hg99"), b"+" + packet("E01"))
    ask(packet("vCont;c:77"), b"+" + packet("E01"))
    for i in range(64):
        ask(packet(f"Z0,{0x200000 + i:x},1"), b"+" + packet("OK"))
    ask(packet("Z0,300000,1"), b"+" + packet("E0e"))
    for kind in ("1,200000,1", "2,200010,8", "3,200020,4", "4,200030,2"):
        ask(packet(f"Z{kind}"), b"+" + packet("OK"))
    ask(packet("Z1,300000,1"), b"+" + packet("E0e"))
    ask(packet("Z2,200040,0"), b"+" + packet("E01"))
    ask(packet("Z5,200040,1"), b"+$#00")
    ask(packet("z3,200020,4"), b"+" + packet("OK"))
    ask(packet("Z2,200041,7"), b"+" + packet("E0e"))
    ask(packet("m200000,4"), b"+" + packet("00000000"))
    flood = bytes((i * 7 + i // 251) & 0xFF for i in range(4000 if backend.startswith("bochs") else 100000)) + b"$" * 500 + b"-" * 500
    line.send(flood)
    counts_on()
    ask(packet("D"), b"+" + packet("OK"))
    counts_on()
    ask(packet("?"), b"+" + packet("T02thread:1;"))
    ask(packet("m200000,4"), b"+" + packet("00000000"))
    ask(packet("vCont;c"), b"+")
    ask(b"\x03", packet("T02thread:1;"))
    ask(packet("k"), b"+")
    m.wait_for(r"^MOTE: vm=d ev=freed .*\n", timeout=120)
    ask(packet("?"), b"+" + packet("W00"))
    ask(packet("g"), b"+" + packet("E03"))
    assert [e["reason"] for e in m.events("d", "exit")] == ["kill"]
    assert m.events("d", "freed")[0]["leaked-frames"] == "0"
    counts_on()


def symbols(workdir, addresses_of):
    """ELF files with a function each."""
    for name, address in addresses_of.items():
        source = f".text\n.globl {name}\n.type {name}, @function\n{name}: .skip 64\n"
        subprocess.run(["as", "-o", workdir / f"{name}.o"], input=source.encode(), check=True)
        subprocess.run(["ld", f"-Ttext=0x{address:x}", "-e", name, "-o", workdir / f"{name}.elf", workdir / f"{name}.o"], check=True)
        yield workdir / f"{name}.elf"


@pytest.mark.backends("svm", *(["bochs-svm", "bochs-vmx"] if os.environ.get("MOTE_FULL") else []))
def test_linux(attach, linux, backend, tmp_path):
    """Debian's kernel with two vCPUs: attach while it runs, registers, its memory by its own page tables, a breakpoint at a symbol
    that a shell command reaches, one in a debug register there, a watchpoint on the kernel's clock, steps, and on to the shell; after
    all that it powers off as ever."""
    m, line, gdb = attach(backend, linux("vm=linux mem=256M vcpus=2 gdb=com2", "console=ttyS0 panic=-1 nokaslr"), cpus=2)
    m.wait_for(r"mote-linux# ", timeout=300)
    m.send("for s in __x64_sys_sync jiffies_64 linux_banner; do echo sy''m $(grep \" $s$\" /proc/kallsyms) e''nd; done\n")
    m.wait_for(r"^sym \S+ \S linux_banner end\n", timeout=200)
    found = {name: int(a, 16) for a, name in re.findall(r"^sym ([0-9a-f]+) \S (\S+) end$", m.text, re.MULTILINE)}
    (elf,) = symbols(tmp_path, {"__x64_sys_sync": found["__x64_sys_sync"]})

    g = gdb(elf)
    assert len(re.findall(r"Thread [12] \((halted|ready)\)", g.run("info threads"))) == 2
    assert g.value("$cr0 & 0x80000001") == 0x80000001 and g.value("$cr3") != 0
    assert "Linux version 6." in g.run(f"x/s 0x{found['linux_banner']:x}")
    g.run("break *__x64_sys_sync")
    g.go()
    m.send("sync; echo sy''nced\n")
    assert "Breakpoint 1, " in g.finish(timeout=120)
    assert g.value("$rip == __x64_sys_sync") == 1 and g.value("$cs & 3") == 0
    assert "\nsynced\n" not in m.text
    code = addresses(g.run("x/2i $rip"))
    g.run("stepi")
    assert g.value("$rip") & (1 << 64) - 1 == code[1]
    for _ in range(20):
        g.run("stepi")
    g.run("delete")
    g.run(f"watch *(unsigned long *)0x{found['jiffies_64']:x}")
    assert "Hardware watchpoint 2: " in g.run("continue", timeout=120)
    g.run("delete")
    g.go()
    m.wait_for(r"^synced\n", timeout=60)
    assert "received signal SIGINT" in g.interrupt()
    g.run("hbreak *__x64_sys_sync")
    g.go()
    m.send("sync; echo ag''ain\n")
    assert "Breakpoint 3, " in g.finish(timeout=120)
    assert g.value("$rip == __x64_sys_sync") == 1
    g.run("delete")
    g.go()
    m.wait_for(r"^again\n", timeout=60)
    assert "received signal SIGINT" in g.interrupt()
    g.run("detach")
    m.send("poweroff -f\n")
    assert m.finish(timeout=120) == 0
    assert [e["reason"] for e in m.events("linux", "exit")] == ["poweroff"]


@pytest.mark.parametrize("name, commands, wanted", [
    ("debuggee", "break tick|continue|info threads|backtrace", ["Thread 1 hit Breakpoint 1, tick", "Thread 2 (", " in guest_main ()"]),
    ("linux", "stepi|info threads|print $cr0 & 1", [" 1    Thread 1 (", "$1 = 1\n"])], ids=["debuggee", "linux"])
def test_debug_guest(name, commands, wanted, tmp_path):
    """What make debug-guest runs, with a gdb that is told what to do."""
    script = tmp_path / "commands"
    script.write_text(commands.replace("|", "\n") + "\nquit\n")
    run = subprocess.run(["tests/tools/debug-guest.sh", BUILD], cwd=ROOT, capture_output=True, text=True, check=False,
                         env={**os.environ, "GDB_ARGS": f"-nx -batch -x {script}", "GUEST": name}, stdin=subprocess.DEVNULL)
    for text in wanted:
        assert text in run.stdout, run.stdout + run.stderr
