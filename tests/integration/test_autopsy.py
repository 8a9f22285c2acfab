"""Guests that die in different ways, and what their owner is told."""

from machine import BUILD, counted

# The order of the entry points in tests/guests/die.asm: name, reason of the crash, the sentence (its beginning).
WAYS = [
    ("limit", "triple-fault", "IDT limit 0xf: no gate for vector 3 (#BP)"),
    ("empty", "triple-fault", "IDT entry of vector 6 (#UD) is empty"),
    ("type", "triple-fault", "IDT entry of vector 6 (#UD) has type 0x12, which is no gate"),
    ("selector", "triple-fault", "selector 0x80 in the gate of vector 6 (#UD) is beyond the GDT limit 0x37"),
    ("data", "triple-fault", "selector 0x10 in the gate of vector 6 (#UD) is no code segment"),
    ("handler", "triple-fault", "handler of vector 14 (#PF) at 0x700000000000: its level-4 page-table entry at gpa 0x"),
    ("stack", "triple-fault", "stack at 0x6ffffffffff8: its level-4 page-table entry at gpa 0x"),
    ("gdt", "triple-fault", "GDT entry 0x8 for vector 6 (#UD) at 0x600000000008: its level-4 page-table entry at gpa 0x"),
    ("canonical", "triple-fault", "stack at 0x"),
    ("tables", "unmapped", "code at 0x100"),
    ("fetch", "unmapped", "code at 0x3000000: gpa 0x3000000 is no memory"),
    ("entry", "entry-failed", "the CPU refused the state: CR0 bits 63:32 are set"),
    ("device", "emulation", "it used an instruction at a device, or where no memory is, that Mote cannot execute"),
    ("spin", "timeout", "it jumped to itself with interrupts off"),
    ("ist", "triple-fault", "TSS limit 0x3: no stack for vector 6 (#UD)"),
    ("ring", "triple-fault", "TSS limit 0x3: no stack for vector "),
    ("data_tables", "unmapped", "a page table for its data, below cr3=0x"),
    ("hole", "unmapped", "code at 0xa0000: gpa 0xa0000 is no memory"),
    ("pausing", "watchdog", "it was running with interrupts off"),
    ("wait_on", "timeout", "it waited in HLT with interrupts on"),
    ("dead", "watchdog", "it waited in HLT with interrupts off"),
    ("inner", "unmapped", "code at 0x8000000000: its level-3 page-table entry at gpa 0x3000000 is in no memory"),
]
# The same of tests/guests/die32.asm; all are triple faults. QEMU checks no segment's limit.
WAYS32 = [
    ("ring32", "stack entry of the TSS for vector 6 (#UD) has a null selector"),
    ("v86", "selector 0x8 in the stack entry of the TSS for vector 6 (#UD) is no writable data segment that is present"),
    ("limit32", "stack pointer 0x8000 is not within its segment's limit 0xfff"),
    ("task", "selector 0x10 in the task gate of vector 6 (#UD) is no TSS that is present"),
]
KEYS = {"spin": "timeout=1s", "pausing": "watchdog=1s", "wait_on": "timeout=1s", "dead": "watchdog=1s"}
MORE = {
    "canonical": "not a canonical address", "tables": "its level-4 page-table entry at gpa 0x3000000 is in no memory",
    "stack": "is not present",
}


def possible(reason, name, backend):
    """Bochs 2.7 has no exit for a triple fault under SVM, and takes no host interrupt out of `jmp $` (emulators.md 3.4)."""
    return backend != "bochs-svm" or (reason != "triple-fault" and name != "spin")


def of(m, name, field):
    return [e for e in m.events(name, "autopsy") if field in e]


def test_every_death_is_explained(machine, guest, backend):
    """Ten and more guests, ten and more ways to die: what the report says of each."""
    modules = [(guest("die"), f"kernel vm={name} type=flat mode=long load=0x100000 entry={0x100000 + 8 * i:#x} mem=4M {KEYS.get(name, '')}")
               for i, (name, reason, _) in enumerate(WAYS) if possible(reason, name, backend)]
    ways = [way for way in WAYS if possible(way[1], way[0], backend)]
    assert len(ways) >= 10
    if backend != "bochs-svm":
        modules.append((guest("triple"), "kernel vm=real type=flat mode=real load=0x7c00 mem=4M"))
        ways = ways + [("real", "triple-fault", "IDT limit 0x0: no gate for vector 3 (#BP)")]
        narrow = [(i, *way) for i, way in enumerate(WAYS32) if backend != "svm" or way[0] != "limit32"]
        modules += [(guest("die32"), f"kernel vm={name} type=flat mode=prot load=0x100000 entry={0x100000 + 8 * i:#x} mem=4M")
                    for i, name, _ in narrow]
        ways = ways + [(name, "triple-fault", sentence) for _, name, sentence in narrow]
    m = machine(backend=backend, cmdline="console=com1 on-idle=exit:vm selftest=on", modules=modules, extra=counted(backend, 4))
    m.finish(timeout=60)
    for name, reason, sentence in ways:
        assert [e["reason"] for e in m.events(name, "crash")] == [reason], name
        why = [e["why"].strip('"') for e in of(m, name, "why")]
        assert len(why) == 1 and why[0].startswith(sentence) and MORE.get(name, "") in why[0], (name, why)
        registers = m.events(name, "regs")
        assert {e["vcpu"] for e in registers} == {"0"} and {"rip", "cr3", "rax", "r15", "gdtr"} <= {k for e in registers for k in e}
    insn = {name: of(m, name, "insn")[0] for name, _, _ in ways}
    assert (insn["device"]["insn"], insn["device"]["op"], insn["device"]["memory"]) == ("d903", '"x87"', "0x3000000")
    assert (insn["data_tables"]["op"], insn["data_tables"]["memory"]) == ('"mov"', "0x8000000000")
    assert insn["fetch"]["insn"] == insn["hole"]["insn"] == "none" and insn["fetch"]["length"] == "0"
    walk = {name: [e for e in of(m, name, "walk") if e["walk"] == "rip"][0] for name, _, _ in ways if of(m, name, "walk")}
    assert walk["dead"]["gpa"] == walk["dead"]["va"] and len(walk["dead"]["entries"].split(",")) == 3
    assert walk["tables"]["error"] in ("0x0", "0x10")
    past = of(m, "device", "exit")
    assert past[-1]["exit"] == "NPF" and past[-1]["where"] == "0x3000000"
    if backend != "bochs-svm":
        assert (insn["limit"]["insn"], insn["limit"]["length"], insn["limit"]["bits"], insn["limit"]["op"]) == ("cc", "1", "64", '"int3"')
        assert insn["spin"]["insn"] == "ebfe" and insn["type"]["op"] == '"ud2"'
        past = of(m, "real", "exit")
        assert [e["exit"] for e in past[-3:]] == ["PIO", "PIO", "SHUTDOWN"] and past[-2]["where"] == "0x3f8"


def test_names_and_every_vcpu(machine, backend):
    """Of an ELF file the functions are named in which its CPUs were; all that ran tell their registers."""
    elf = BUILD / "guests" / "crash.elf"
    period = "3s" if backend == "svm" else "1s"  # QEMU's time is the host's, which may be busy
    m = machine(backend=backend, cpus=2, cmdline="console=com1 on-idle=exit:vm", modules=[
        (elf, "kernel vm=two type=elf vcpus=3 mem=16M"), (elf, f"kernel vm=silent type=elf vcpus=2 mem=64M watchdog={period}")])
    assert m.finish(timeout=60) == 1
    assert [e["reason"] for e in m.events("two", "crash") + m.events("silent", "crash")] == ["emulation", "watchdog"]
    names = {(vm, e["vcpu"]): e["symbol"].split("+") for vm in ("two", "silent") for e in of(m, vm, "symbol")}
    assert {who: name for who, (name, _) in names.items()} == {
        ("two", "0"): "touch_device", ("two", "1"): "spin_beside", ("silent", "0"): "stay_silent", ("silent", "1"): "spin_beside"}
    assert all(int(offset, 16) < 64 for _, offset in names.values())
    assert any("parked" in line for line in m.lines if line.startswith("MOTE: vm=two ev=regs vcpu=2 "))
    for vm in ("two", "silent"):
        for vcpu in ("0", "1"):
            told = [e for e in m.events(vm, "regs") if e["vcpu"] == vcpu]
            assert [e["rip"] for e in told if "rip" in e] and [e["rax"] for e in told if "rax" in e], (vm, vcpu)
    assert {e["vcpu"] for e in of(m, "silent", "why")} == {"0", "1"}
