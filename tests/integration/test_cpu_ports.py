"""Ports: nothing of the host's is there, the devices are the VM's own, and what resets or switches off ends this VM alone."""

from test_cpu import FLAT, reported

PORTS = {"trap-seams", "unclaimed-ones", "port-wrap", "pci-config", "pci-nothing", "reset-type", "a20-stays",
         "keyboard-self-test", "keyboard-a20", "pic-masks", "debug-port", "rep-loopback", "rep-dwords", "rep-zero-count"}
SEAMS = [0, 0x1FFF, 0x2000, 0x7FFF, 0x8000, 0xA000, 0xFFFF]


def test_ports(machine, guest, backend):
    """Rows 23, 26: all ports; a neighbour on the same CPU, which lives by its PIC and PIT, notices nothing."""
    m = machine(backend=backend, modules=[
        (guest("ports"), f"kernel vm=p {FLAT}"),
        (guest("counter"), "kernel vm=other type=flat mode=long load=0x100000 mem=8M timeout=60s")])
    assert m.finish(timeout=100) == 0
    assert set(reported(m, "p")) == PORTS
    assert m.counts("other") == list(range(20))


def out_code(port, value, size=1):
    """mov dx, port; mov eax, value; out dx, al|ax|eax (16-bit code)"""
    out = {1: b"\xee", 2: b"\xef", 4: b"\x66\xef"}[size]
    return b"\xba" + port.to_bytes(2, "little") + b"\x66\xb8" + value.to_bytes(4, "little") + out


def in_code(port):
    return b"\xba" + port.to_bytes(2, "little") + b"\xec"


HANG = b"\xeb\xfe"  # jmp $
REAL_LINE = "type=flat mode=real load=0x7c00 mem=1M timeout=60s"


def tiny(tmp_path, name, code):
    path = tmp_path / f"{name}.bin"
    path.write_bytes(code)
    return (path, f"kernel vm={name} {REAL_LINE}")


def test_every_seam_traps(machine, backend, tmp_path):
    """Row 24: log=debug shows what the host decoded of each access."""
    code = b"".join(out_code(port, 0x41 + i) + in_code(port) for i, port in enumerate(SEAMS)) + out_code(0xF4, 0)
    m = machine(backend=backend, cmdline="console=com1 on-idle=exit:vm log=debug", modules=[tiny(tmp_path, "seams", code)])
    assert m.finish(timeout=60) == 0
    seen = [(int(e["port"], 16), e["dir"], e["size"], int(e["value"], 16)) for e in m.events("seams") if e.get("exit") == "PIO"]
    expected = []
    for i, port in enumerate(SEAMS):
        expected += [(port, "out", "1", 0x41 + i), (port, "in", "1", 0)]
    assert seen == expected + [(0xF4, "out", "1", 0)]


# What ends a machine, and as what the host must see it: rows 23 and 27.
ENDS = {
    "cf9": (out_code(0xCF9, 0x02) + out_code(0xCF9, 0x06), "reset", "0"),
    "kbc": (out_code(0x64, 0xFE), "reset", "0"),
    "kbc-port": (out_code(0x64, 0xD1) + out_code(0x60, 0xFE), "reset", "0"),
    "fast": (out_code(0x92, 0x01), "reset", "0"),
    "off": (out_code(0x604, 0xABCD2000, 2), "poweroff", "0"),  # junk above AX
    "exit": (out_code(0xF4, 0xFFFFFF00), "port", "0"),
    "halt": (b"\xfa\xf4", "halt", "0"),
}


def test_ports_that_end_the_machine_end_one_vm(machine, guest, backend, tmp_path):
    modules = [tiny(tmp_path, name, code + HANG) for name, (code, _, _) in ENDS.items()]
    m = machine(backend=backend, modules=modules + [
        (guest("counter"), "kernel vm=other type=flat mode=long load=0x100000 mem=8M timeout=60s")])
    assert m.finish(timeout=60) == 0
    for name, (_, reason, code) in ENDS.items():
        assert [(e["reason"], e["code"]) for e in m.events(name, "exit")] == [(reason, code)], name
        assert [e["leaked-frames"] for e in m.events(name, "freed")] == ["0"], name
    assert m.counts("other") == list(range(20))
    assert m.text.index("[other] count 19") > max(m.text.index(f"vm={name} ev=freed") for name in ENDS)
