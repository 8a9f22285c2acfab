"""Row 46: instructions on a device that stores equal the same instructions on RAM."""

import re

from machine import ROOT
from test_cpu import FLAT, reported
from test_cpu_ports import tiny


def forms():
    """The names in the payload's own source, ALU() spelt out."""
    source = (ROOT / "tests" / "guests" / "mmio.c").read_text()
    names = re.findall(r'\bF(?:32)?\("([\w-]+)"|\bFF\(\w+, "([\w-]+)"', source)
    alu = re.findall(r"\bALU\((\w+), 0x", source)
    suffixes = re.findall(r'#op "(-[\w-]+)"', source)
    assert len(alu) == 8 and len(suffixes) == 11
    return {a or b for a, b in names} | {op + suffix for op in alu for suffix in suffixes}


def test_device_memory_equals_ram(machine, guest, backend):
    m = machine(backend=backend, cmdline="console=com1 on-idle=exit:vm selftest=on",
                modules=[(guest("mmio"), f"kernel vm=m {FLAT}")])
    m.finish(timeout=100)
    checks = reported(m)
    assert set(checks) == forms() | {"device-stores"} and len(checks) > 240
    assert [e["reason"] for e in m.events("m", "exit")] == ["hypercall"]


def test_no_device_without_selftest(machine, guest, backend):
    """The device exists for tests only: elsewhere there is a hole, which reads as ones."""
    m = machine(backend=backend, modules=[(guest("mmio"), f"kernel vm=m {FLAT}")])
    assert m.finish(timeout=100) == 1
    assert m.checks()["device-stores"] == (False, "0xffffffffffffffff")


# With DS = A000h, where no memory is. The emulator lacks them: the VM stops, and the line says where.
LACKING = {
    "shld": b"\x0f\xa4\x16\x10\x00\x05", "mul": b"\xf7\x26\x10\x00", "imul": b"\x0f\xaf\x06\x10\x00",
    "bsf": b"\x0f\xbc\x06\x10\x00", "fld": b"\xd9\x06\x10\x00", "movups": b"\x0f\x10\x06\x10\x00", "lgdt": b"\x0f\x01\x16\x10\x00",
}


def test_forms_that_the_emulator_lacks_stop_one_vm(machine, guest, backend, tmp_path):
    # CR4.OSFXSR for MOVUPS; then the form; then an end that must not be reached.
    begin = b"\x66\xb8\x00\x06\x00\x00\x0f\x22\xe0\xb8\x00\xa0\x8e\xd8"
    modules = [tiny(tmp_path, name, begin + code + b"\xb0\x00\xe6\xf4") for name, code in LACKING.items()]
    m = machine(backend=backend, modules=modules + [
        (guest("counter"), "kernel vm=other type=flat mode=long load=0x100000 mem=8M timeout=60s")])
    assert m.finish(timeout=60) == 1
    for name in LACKING:
        crash = m.events(name, "crash")
        assert [(e["reason"], e["gpa"], e["rip"]) for e in crash] == [("emulation", "0xa0010", hex(0x7c00 + len(begin)))], name
        assert m.events(name, "freed")[0]["leaked-frames"] == "0"
    assert "[other] count 19" in m.lines
