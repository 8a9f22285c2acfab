"""What the firmware says of the machine is wrong: GRUB's own command acpi puts another MADT in place of the machine's."""

import re
import struct

import pytest

ABSENT = [0x40, 0x77, 0xFE]  # APIC ids that no CPU here has
FAR = 0x12345  # one that the APICs of these machines cannot address


def table(signature, body):
    data = bytearray(struct.pack("<4sIBB6s8sI4sI", signature, 36 + len(body), 3, 0, b"MOTE  ", b"WRONG   ", 1, b"MOTE", 1) + body)
    data[9] = -sum(data) & 0xFF
    return bytes(data)


def local_apic(apic, flags=1):
    return struct.pack("<BBBBI", 0, 8, apic & 0xFF, apic & 0xFF, flags)


def local_x2apic(apic):
    return struct.pack("<BBHIII", 9, 16, 0, apic, 1, apic)


def madt(cpus, rest=b""):
    io = struct.pack("<BBBBII", 1, 12, 0, 0, 0xFEC00000, 0) + struct.pack("<BBBBIH", 2, 10, 0, 0, 2, 0)
    return table(b"APIC", struct.pack("<II", 0xFEE00000, 1) + b"".join(cpus) + io + rest)


TWO = [local_apic(0), local_apic(1)]
WRONG = {  # name: (the MADT, or None for none at all; the CPUs that come up, ids that are left out)
    "absent": (madt(TWO + [local_apic(i) for i in ABSENT]), 2, ABSENT),
    "absent-x2": (madt(TWO + [local_x2apic(FAR)]), 2, [FAR]),
    "twice": (madt(TWO + TWO), 2, []),
    "disabled": (madt([local_apic(0), local_apic(1, flags=0)]), 1, []),
    "endless": (madt(TWO, rest=b"\0\0" * 8), 2, []),
    "cut": (madt(TWO, rest=local_apic(0x40)[:5]), 2, []),
    "checksum": (madt(TWO)[:-1] + b"\xA5", 1, []),
    "none": (None, 1, []),
}


def boot(machine, guest, tmp_path, backend, wrong):
    tables, commands = [], ["insmod acpi", "acpi --exclude=APIC"]
    if wrong is not None:
        (tmp_path / "madt").write_bytes(wrong)
        tables = [tmp_path / "madt"]
        commands[1] += " (cd)/boot/madt"
    return machine(backend=backend, cpus=2, grub=commands, files=tables,
                   modules=[(guest("hello"), "kernel vm=t0 type=flat mode=long load=0x100000 mem=8M")])


@pytest.mark.parametrize("name,backend", [(name, "svm") for name in WRONG] + [("absent", "bochs-vmx"), ("none", "bochs-svm")])
def test_wrong_madt(machine, guest, tmp_path, backend, name):
    """A CPU that does not answer is left out, with a line; one that is named twice is one; the guest runs in any case."""
    wrong, online, absent = WRONG[name]
    m = boot(machine, guest, tmp_path, backend, wrong)
    assert m.finish(timeout=120) == 0
    assert len(re.findall(r"^MOTE: cpu=\d+ apic=\d+ online$", m.text, re.MULTILINE)) == online
    out = re.findall(r'^MOTE: log=warn cpu apic=(\d+) left-out why="(.*)"$', m.text, re.MULTILINE)
    assert out == [(str(apic), "not supported" if apic == FAR else "timed out") for apic in absent]
    lost = "checksum" if name == "checksum" else "none" if wrong is None else None
    assert ("acpi tables-used=2 tables-bad=1" in m.text) == (lost == "checksum")
    assert ("acpi madt=none: one CPU, no interrupt lines" in m.text) == (lost is not None)
    assert "CHECK arithmetic ok 1+1=2" in m.lines
