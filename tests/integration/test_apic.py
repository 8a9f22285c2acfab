"""The interrupt chips and the description of the machine as a guest sees them (rows 38-42, 77)."""

import re

import pytest

from machine import counted

ONE_CPU = {"xapic-sweep", "xapic-identity", "xapic-reserved-write", "reserved-vectors", "ipi-to-nobody", "eoi-of-nothing",
           "base-reset", "base-moved", "base-gp", "base-disabled", "base-x2apic", "xapic-priorities", "xapic-cr8",
           "x2apic-priorities", "x2apic-cr8", "x2apic-sweep", "x2apic-gp", "flood-pending", "timer-rate", "timer-periodic",
           "timer-one-shot", "timer-masked", "timer-shortest", "timer-deadline", "timer-deadline-past", "ioapic-edge",
           "ioapic-masked", "ioapic-level", "ioapic-nobody", "ioapic-pit", "xapic-beside-pic", "x2apic-beside-pic",
           "xapic-cr8-in-the-shade", "x2apic-cr8-in-the-shade"}


def verdict(m, expected):
    code = m.finish(timeout=150)
    checks = m.checks()
    assert all(ok for ok, _ in checks.values()), {k: v for k, v in checks.items() if not v[0]}
    assert set(checks) == expected
    assert code == 0
    assert all(e["leaked-frames"] == "0" for e in m.events(kind="freed"))


def test_apic(machine, guest, backend):
    m = machine(backend=backend, cpus=1, extra=counted(backend, 5),
                modules=[(guest("apic"), "kernel vm=a type=flat mode=long load=0x100000 mem=16M")])
    verdict(m, ONE_CPU)
    took = int(re.search(r"timer-periodic ok ticks=100 us=(\d+)", m.text).group(1))
    assert took < 1050000
    assert len(re.findall("reg 0x", m.text, re.MULTILINE)) == 64


ABUSE = {"timer-divisors", "timer-longest", "timer-zero", "timer-reserved-vector", "deadline-far", "deadline-past", "ioapic-to-nobody",
         "ioapic-reserved-vectors", "ioapic-no-register", "ioapic-goes-on", "software-disabled"}


def test_abuse(machine, guest, backend):
    """What no driver does; beside it, on the same CPU, a VM whose timer ticks go on to the last."""
    m = machine(backend=backend, cpus=1, modules=[
        (guest("apic_abuse"), "kernel vm=a type=flat mode=long load=0x100000 mem=16M"),
        (guest("counter"), "kernel vm=b type=flat mode=long load=0x100000 mem=8M")])
    verdict(m, ABUSE)
    assert m.counts("b") == list(range(20))


TABLES = {"rsdp", "madt-cpus", "madt-chips", "madt-overrides", "fadt-pm-timer", "fadt-reset-and-sci", "no-vga", "checksums", "absent",
          "memory-end", "dsdt-uarts", "watchdog", "watchdog-period"}


def test_tables(machine, guest, backend):
    """ACPI describes what is there, to VMs of different sizes."""
    keys = {"one": "", "four": "uart=com1,com4,com3 watchdog=1000s", "many": "uart=com1,com2"}
    sizes = {"one": (1, 24), "four": (4, 32), "many": (32, 48)}
    m = machine(backend=backend, cpus=2, modules=[
        (guest("tables"), f"kernel vm={name} vcpus={cpus} type=flat mode=long load=0x100000 mem={mib}M {keys[name]}")
        for name, (cpus, mib) in sizes.items()])
    assert m.finish(timeout=150) == 0
    for name, (cpus, mib) in sizes.items():
        checks = m.checks(name)
        assert set(checks) == TABLES and all(ok for ok, _ in checks.values()), (name, checks)
        said = dict(re.findall(rf"^\[{name}\] (cpus|memory|pci-devices) (\d+)$", m.text, re.MULTILINE))
        assert said == {"cpus": str(cpus), "memory": str(mib), "pci-devices": "1"}, name
        assert ("period=1000000" in checks["watchdog"][1]) == (name == "four")


FOUR_CPUS = {"start-cpus", "to-x2apic", "sipi-to-running", "init-stops", "init-then-sipi", "ipi-round-trips", "xapic-flat",
             "xapic-cluster", "x2apic-cluster"} | {
                 f"{mode}-{test}" for mode in ("xapic", "x2apic") for test in ("physical", "shorthands", "lowest", "nmi")}


def test_ipi(machine, guest, backend):
    """Every destination mode with four vCPUs, on two CPUs."""
    m = machine(backend=backend, cpus=2, modules=[
        (guest("ipi"), "kernel vm=i vcpus=4 type=flat mode=long load=0x100000 mem=16M")])
    verdict(m, FOUR_CPUS)


@pytest.mark.backends("svm", "bochs-vmx")
@pytest.mark.parametrize("vcpus", [32])
def test_many_vcpus(machine, guest, backend, vcpus):
    """32 vCPUs of one VM on two CPUs, all runnable at once: each does all of its work. Then 10^6 pending interrupts."""
    m = machine(backend=backend, cpus=2, modules=[
        (guest("many"), f"kernel vm=m vcpus={vcpus} type=flat mode=long load=0x100000 mem=16M")])
    verdict(m, {"many-cpus", "many-ids", "many-answers", "million-pending"})
    said = re.findall(r"^\[?m?\]? ?cpu (\d+) sum=(\d+)$", m.text, re.MULTILINE)
    assert sorted(int(cpu) for cpu, _ in said) == list(range(1, vcpus))
    assert {total for _, total in said} == {"1000000"}
