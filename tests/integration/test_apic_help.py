"""Local APICs with and without the hardware's help, on the same CPUs: the same payloads must see the same machine, and the
counts of exits tell who did the work (issue 3; rows 38 to 41)."""

import pytest
from session import Session
from test_apic import ABUSE, FOUR_CPUS, ONE_CPU, verdict

FLAT = "type=flat mode=long load=0x100000 mem=16M"
SOFTWARE = "console=com1 on-idle=exit:vm irqchip=software"
PRIORITY_ONLY = "corei5_arrandale_m520"  # keeps the task priority, delivers nothing
ROUNDS = 1000  # of tests/guests/helped.c, in each mode
CHECKS = {f"{mode}-{what}" for mode in ("xapic", "x2apic") for what in ("registers", "interrupts")}


def helped_exits(machine, guest, backend, cmdline="console=com1 on-idle=poweroff", **options):
    """What the payload's work cost: exits by their reason. Beside another VM, so that its lines are told from the monitor's."""
    m = machine(backend=backend, cmdline=cmdline, modules=[
        (guest("helped"), f"kernel vm=a {FLAT}"), (guest("hello"), "kernel vm=b type=flat mode=long load=0x100000 mem=4M")], **options)
    m.wait_for(r"^MOTE: vm=b ev=freed ", timeout=150)
    m.wait_for(r"^\[a\] worked\n", timeout=150)
    checks = m.checks("a")
    assert set(checks) == CHECKS and all(ok for ok, _ in checks.values()), checks
    s = Session(m).enter()
    (exits,) = s.json("exits a --json")["a"]
    m.send("poweroff\r")
    assert m.finish() == 0
    return {reason: row["count"] for reason, row in exits.items()}


@pytest.mark.backends("bochs-vmx")
def test_work_without_exits(machine, guest, backend):
    """Reads, task priorities and ends of interrupt never leave the guest, nor does a self-IPI through the page; what remains
    is the self-IPI of x2APIC mode, and the few accesses that set things up."""
    exits = helped_exits(machine, guest, backend)
    assert exits.get("CR", 0) == exits.get("PRIORITY", 0) == exits.get("EOI", 0) == 0, exits
    assert exits.get("NPF", 0) + exits.get("CHIP_WRITE", 0) < 20 and exits.get("MSR_READ", 0) < 20, exits
    assert 2 * ROUNDS <= exits["MSR_WRITE"] < 2 * ROUNDS + 20, exits


@pytest.mark.backends("svm", "bochs-vmx")
def test_work_in_software(machine, guest, backend):
    exits = helped_exits(machine, guest, backend, cmdline="console=com1 on-idle=poweroff irqchip=software")
    assert exits["CR"] >= 2 * 5 * ROUNDS and exits["NPF"] >= 10 * ROUNDS, exits
    assert exits["MSR_READ"] >= 7 * ROUNDS and exits["MSR_WRITE"] >= 5 * ROUNDS, exits
    assert not {"PRIORITY", "EOI", "CHIP_WRITE"} & set(exits)


@pytest.mark.backends("bochs-vmx")
def test_priority_alone(machine, guest, backend):
    """A CPU that only keeps the task priority: no exit but when it falls below that of a request that waits."""
    exits = helped_exits(machine, guest, backend, cpu=PRIORITY_ONLY)
    assert exits.get("CR", 0) == 0 and exits["PRIORITY"] == 2 * ROUNDS, exits
    assert "EOI" not in exits and "CHIP_WRITE" not in exits
    m = machine(backend=backend, cpu=PRIORITY_ONLY, modules=[(guest("apic"), f"kernel vm=a {FLAT}")])
    verdict(m, ONE_CPU)


@pytest.mark.backends("svm", "bochs-svm")
def test_cr8_alone(machine, guest, backend):
    """CPUs that keep CR8 and nothing else: reads never exit; writes do at first, while a request waits for it to fall, and while
    the register has bits that CR8 has not, as it has 15 times of 16."""
    exits = helped_exits(machine, guest, backend)
    assert 4 * ROUNDS < exits["CR"] < 6 * ROUNDS, exits


@pytest.mark.backends("bochs-vmx")
def test_the_same_in_software(machine, guest, backend):
    """test_apic.py's payloads on a CPU that could help."""
    m = machine(backend=backend, cmdline=SOFTWARE, cpus=2, modules=[
        (guest("apic"), f"kernel vm=a pin=0 {FLAT}"), (guest("apic_abuse"), f"kernel vm=b pin=1 {FLAT}"),
        (guest("ipi"), f"kernel vm=i vcpus=4 {FLAT}")])
    assert m.finish(timeout=300) == 0
    for name, expected in (("a", ONE_CPU), ("b", ABUSE), ("i", FOUR_CPUS)):
        checks = m.checks(name)
        assert set(checks) == expected and all(ok for ok, _ in checks.values()), (name, checks)


def test_bad_value(machine, guest):
    m = machine(cmdline="console=com1 on-idle=exit:vm irqchip=fast", modules=[(guest("hello"), f"kernel vm=a {FLAT}")])
    assert m.finish() != 0
    (error,) = m.events(kind="config-error")
    assert error["key"] == "irqchip" and error["why"] == "\"bad value 'fast': neither hardware nor software\""
