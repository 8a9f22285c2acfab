"""The role firmware: a machine that starts at the reset vector with an image of its own."""

import re

import pytest

TOP = """data-segments-zero cs-selector pe-clear edx-is-the-signature read-at-the-top top-is-read-only
top-refuses-a-locked-write low-copy low-copy-is-ram top-is-another-memory code-in-the-low-copy far-jump-reloads-the-base
option-rom-area-empty hole-reads-ones ltr-from-rom code-segment-from-rom data-segment-from-rom""".split()


def test_reset_vector(machine, guest, backend):
    """Row 13: an image that ends at 4 GiB starts at FFFFFFF0h, prints, and finds ROM there and RAM below 1 MiB."""
    m = machine(backend=backend, modules=[(guest("firmware"), "firmware vm=rom mem=8M timeout=60s")])
    assert m.finish(timeout=60) == 0
    checks = m.checks()
    assert [f"{name}: {detail}" for name, (ok, detail) in checks.items() if not ok] == []
    assert set(checks) == set(TOP)
    assert "firmware runs at the top" in m.lines and "firmware is done" in m.lines
    assert [e["type"] for e in m.events("rom", "start")] == ["firmware"]
    assert [(e["reason"], e["code"]) for e in m.events("rom", "exit")] == [("port", "0")]


def test_seabios(machine, backend):
    """Row 13: Debian's SeaBIOS, in both of its sizes, finds the PC's memory and CPU and gets as far as a disk would be."""
    m = machine(backend=backend, modules=[("/usr/share/seabios/bios.bin", "firmware vm=small mem=32M"),
                                          ("/usr/share/seabios/bios-256k.bin", "firmware vm=large mem=64M")])
    for vm, bytes_ in (("small", 32 << 20), ("large", 64 << 20)):
        m.wait_for(rf"^\[{vm}\] No bootable device\.", timeout=90)
        said = [line.removeprefix(f"[{vm}] ") for line in m.lines if line.startswith(f"[{vm}] ")]
        assert any(line.startswith("SeaBIOS (version ") for line in said)
        assert f"RamSize: 0x{bytes_:08x} [cmos]" in said
        assert "Found 1 cpu(s) max supported 1 cpu(s)" in said
        assert "Found 1 serial ports" in said and "PS2 keyboard initialized" in said
        assert not any("WARNING" in line for line in said)
    assert [e for e in m.events() if e.get("ev") in ("exit", "crash", "error")] == []


def test_bochs_bios(machine, backend):
    """Row 13: Bochs' own BIOS counts memory and CPUs and looks for disks; it asks more of the keyboard than SeaBIOS does."""
    m = machine(backend=backend, modules=[("/usr/share/bochs/BIOS-bochs-latest", "firmware vm=bios mem=32M")])
    m.wait_for(r"No bootable device", timeout=90)
    assert "Keyboard error" not in m.text


@pytest.mark.backends("svm", "bochs-vmx")
def test_ovmf(machine, backend):
    """Row 13: Debian's OVMF comes up to its shell on COM1, finds the chipset and the memory, and switches the VM off."""
    m = machine(backend=backend, modules=[("/usr/share/ovmf/OVMF.fd", "firmware vm=uefi mem=128M")])
    m.wait_for(r"in \d seconds to skip", timeout=180)
    m.send("\r")
    m.wait_for(r"Shell> ", timeout=60)
    m.send("pci\r")
    m.wait_for(r"Device 7113 Prog Interface 0\s*\n", timeout=60)
    if backend == "svm":  # sixty lines take Bochs as long as a third of the boot
        m.send("memmap\r")
        m.wait_for(r"Total Memory: +127 MB \(133,824,512 Bytes\)\s*\n", timeout=60)  # but for the 384K below 1 MiB
    m.send("reset -s\r")
    assert m.finish() == 0
    assert "BdsDxe: starting Boot0001 \"EFI Internal Shell\"" in m.text
    assert re.findall(r"Vendor (\w+) Device (\w+) Prog", m.text) == [("8086", "1237"), ("8086", "7110"), ("8086", "7113")]
    assert [(e["reason"], e["code"]) for e in m.events("uefi", "exit")] == [("poweroff", "0")]
    assert "ev=msr-refused" not in m.text
