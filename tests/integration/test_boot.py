"""The machine comes up: CPUs with and without what Mote needs, CPU counts, memory sizes, media, firmware, page sizes."""

import re

import pytest

BOTH_FIRMWARES = pytest.mark.backends("svm", "svm-uefi")


def hello(guest, count=1, options="mem=8M"):
    return [(guest("hello"), f"kernel vm=t{i} type=flat mode=long load=0x100000 {options}") for i in range(count)]


def boots(m, vms=1, timeout=60):
    """Every VM ran to its end and gave everything back."""
    assert m.finish(timeout=timeout) == 0
    for i in range(vms):
        assert [e["code"] for e in m.events(f"t{i}", "exit")] == ["0"]
        assert m.events(f"t{i}", "freed")[0]["leaked-frames"] == "0"
        assert f"{f'[t{i}] ' if m.prefixed else ''}CHECK ud2 ok vector=6" in m.lines
    return next(e for e in m.events() if "version" in e)


# --- row 1: what the CPU must have ----------------------------------------------------------------------------------

REFUSALS = [
    ("svm", "qemu64,-svm", {"vmx": r"CPUID\.1:ECX\.VMX", "svm": r"CPUID\.80000001H:ECX\.SVM"}),
    ("svm", "qemu64,+svm,-npt", {"vmx": r"CPUID\.1:ECX\.VMX", "svm": r"CPUID\.8000000AH:EDX\.NP"}),
    ("svm-uefi", "max,-svm", {"vmx": r"CPUID\.1:ECX\.VMX", "svm": r"CPUID\.80000001H:ECX\.SVM"}),
    ("bochs-vmx", "core2_penryn_t9600", {"vmx": r"ENABLE_EPT|EPT \(bit 1 of secondary", "svm": r"CPUID\.80000001H:ECX\.SVM"}),
    ("bochs-vmx", "corei5_lynnfield_750", {"vmx": r"UNRESTRICTED_GUEST \(bit 7 of secondary", "svm": r"CPUID\.80000001H:ECX\.SVM"}),
]


@pytest.mark.parametrize("backend,cpu,missing", REFUSALS, ids=[cpu for _, cpu, _ in REFUSALS])
def test_refusal_names_the_missing_bit(machine, guest, backend, cpu, missing):
    m = machine(backend=backend, cpu=cpu, modules=hello(guest))
    assert m.finish(timeout=60) == 1
    refused = re.findall(r"^MOTE: refused backend=(\S+) missing=(.*)$", m.text, re.MULTILINE)
    assert [name for name, _ in refused] == list(missing)
    for name, text in refused:
        assert re.search(missing[name], text), text
    assert not m.events(kind="start")


@pytest.mark.parametrize("cpu,bit", [("qemu32", "long-mode"), ("max,-nx", "nx")])
def test_refusal_before_long_mode(machine, guest, cpu, bit):
    m = machine(backend="svm", cpu=cpu, modules=hello(guest))
    m.wait_for(rf"^MOTE: refused missing={bit}$", timeout=60)
    m.wait_for(r"^MOTE: verdict=fail code=1$", timeout=10)
    assert m.process.poll() is None  # it stopped; it did not fall over


PROBED = {
    "svm": r"vendor=AuthenticAMD revision=\d+ asids=16 levels=4 features=npt",
    "bochs-svm": r"vendor=AuthenticAMD revision=\d+ asids=32768 levels=4 features=npt",
    "bochs-vmx": r"vendor=GenuineIntel revision=0x[0-9a-f]+ asids=65536 levels=4 features=ept,ug,vpid",
}


def test_probe_says_what_there_is(machine, guest, backend):
    m = machine(backend=backend, modules=hello(guest))
    banner = boots(m)
    name = backend.replace("bochs-", "")
    assert banner["backend"] == name
    assert re.search(rf"^MOTE: backend={name} {PROBED[backend]}", m.text, re.MULTILINE)
    assert int(m.events(kind="boot")[0]["taken-kib"]) < 8192


@pytest.mark.backends("bochs-vmx")
@pytest.mark.parametrize("cpu", ["corei5_arrandale_m520", "corei7_haswell_4770", "tigerlake"])
def test_other_intel_cpus(machine, guest, backend, cpu):
    """No APICv and no A/D bits; A/D bits without XSAVES; CET's controls."""
    boots(machine(backend=backend, cpu=cpu, modules=hello(guest)))


@pytest.mark.backends("bochs-vmx")
def test_vmcs_selftest(machine, guest, backend):
    """Row 8: every VMCS field is written, read back, and read again after all others were written."""
    m = machine(backend=backend, modules=hello(guest))
    boots(m)
    fields, bad = re.search(r"vmcs-selftest fields=(\d+) bad=(\d+)", m.text).groups()
    assert int(fields) > 100 and bad == "0"


# --- row 2: every CPU -----------------------------------------------------------------------------------------------

CPU_COUNTS = [("svm", n) for n in (1, 2, 4, 16)] + [("svm-uefi", 4)] + [
    (b, n) for b in ("bochs-vmx", "bochs-svm") for n in (1, 2, 4)]


@pytest.mark.parametrize("backend,cpus", CPU_COUNTS)
def test_every_cpu(machine, guest, backend, cpus):
    m = machine(backend=backend, cpus=cpus, memory=512, modules=hello(guest, count=min(cpus, 4)))
    banner = boots(m, vms=min(cpus, 4), timeout=120)
    online = re.findall(r"^MOTE: cpu=(\d+) apic=(\d+) online$", m.text, re.MULTILINE)
    assert [int(cpu) for cpu, _ in online] == list(range(cpus))
    assert len({apic for _, apic in online}) == cpus
    assert banner["cpus"] == str(cpus)
    assert "left-out" not in m.text


@pytest.mark.backends("svm", "bochs-vmx")
def test_cpus_limit_and_pin(machine, guest, backend):
    modules = [(guest("hello"), "kernel vm=t0 type=flat mode=long load=0x100000 mem=8M pin=2"),
               (guest("hello"), "kernel vm=off type=flat mode=long load=0x100000 mem=8M pin=3")]
    m = machine(backend=backend, cpus=4, cmdline="console=com1 on-idle=exit:vm cpus=3", modules=modules)
    assert m.finish() == 1
    assert len(re.findall(r"^MOTE: cpu=\d+ apic=\d+ online$", m.text, re.MULTILINE)) == 3
    assert [e["code"] for e in m.events("t0", "exit")] == ["0"]
    assert "pinned to CPUs that are not online" in m.text


# --- memory ---------------------------------------------------------------------------------------------------------

@pytest.mark.backends("svm", "svm-uefi", "bochs-vmx")
def test_64_mib(machine, guest, backend):
    # OVMF itself does not start in 64 MiB.
    memory = 128 if backend == "svm-uefi" else 64
    banner = boots(machine(backend=backend, memory=memory, modules=hello(guest, options="mem=16M")))
    assert int(banner["mem"].rstrip("M")) in range(memory - 24, memory + 1)


def memory_guest(machine, guest, backend, memory, mem, checks):
    m = machine(backend=backend, memory=memory,
                modules=[(guest("memory"), f"kernel vm=t0 type=flat mode=long load=0x100000 mem={mem}")])
    assert m.finish(timeout=240) == 0
    seen = m.checks()
    assert set(seen) == checks and all(ok for ok, _ in seen.values()), seen
    assert m.events("t0", "freed")[0]["leaked-frames"] == "0"
    return m, {k: int(v) for k, v in m.events("t0", "memory")[0].items() if k.startswith("leaves")}, seen


def test_small_leaves(machine, guest, backend):
    """Row 43: 4 KiB leaves around the holes below 1 MiB, 2 MiB leaves above; no gigabyte is there to be mapped as one."""
    _, leaves, seen = memory_guest(machine, guest, backend, 128, "64M", {"low-pages", "low-end"})
    watched = backend == "bochs-vmx"  # the local APICs' page, where the hardware helps
    assert leaves == {"leaves-4k": 480 + watched, "leaves-2m": 31, "leaves-1g": 0}
    assert seen["low-pages"][1] == f"bytes={64 << 20} bad=0"


@BOTH_FIRMWARES
def test_more_than_4_gib(machine, guest, backend):
    """Row 43, 1 GiB leaves; RAM above 4 GiB of the machine and of the VM."""
    m, leaves, seen = memory_guest(machine, guest, backend, 6144, "4G", {"low-pages", "low-end", "high-pages"})
    assert leaves["leaves-1g"] in (2, 3) and leaves["leaves-4k"] == 480
    assert sum(n << s for n, s in zip((leaves["leaves-4k"], leaves["leaves-2m"], leaves["leaves-1g"]), (12, 21, 30))) == \
        (4 << 30) - (128 << 10)
    assert seen["high-pages"][1] == f"bytes={1 << 30} bad=0"
    assert int(next(e for e in m.events() if "version" in e)["mem"].rstrip("M")) in range(6080, 6145)


# --- media and firmware ---------------------------------------------------------------------------------------------

@BOTH_FIRMWARES
@pytest.mark.parametrize("media", ["disk", "usb"])
def test_media(machine, guest, backend, media):
    """The hybrid ISO as a disk and as a USB stick; as a CD it is everybody's."""
    boots(machine(backend=backend, media=media, modules=hello(guest)), timeout=120)


@pytest.mark.backends("svm", "svm-uefi")
def test_many_modules(machine, guest, backend):
    """GRUB puts modules low under UEFI: neither the AP trampoline nor the frame allocator may lie on one."""
    m = machine(backend=backend, cpus=4, modules=hello(guest, count=14, options="mem=4M"))
    banner = boots(m, vms=14, timeout=120)
    assert banner["cpus"] == "4"
