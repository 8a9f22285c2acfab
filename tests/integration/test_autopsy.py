"""Guests that die in different ways, and what their owner is told."""

import pytest

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
]
MORE = {
    "canonical": "not a canonical address", "tables": "its level-4 page-table entry at gpa 0x3000000 is in no memory",
    "stack": "is not present",
}


@pytest.mark.backends("svm", "bochs-vmx")
def test_every_death_is_explained(machine, guest, backend):
    modules = [(guest("die"), f"kernel vm={name} type=flat mode=long load=0x100000 entry={0x100000 + 8 * i:#x} mem=4M"
                              f"{' timeout=1s' if name == 'spin' else ''}") for i, (name, _, _) in enumerate(WAYS)]
    modules.append((guest("triple"), "kernel vm=real type=flat mode=real load=0x7c00 mem=4M"))
    m = machine(backend=backend, cmdline="console=com1 on-idle=exit:vm selftest=on", modules=modules)
    m.finish(timeout=60)
    for name, reason, sentence in WAYS + [("real", "triple-fault", "IDT limit 0x0: no gate for vector 3 (#BP)")]:
        assert [e["reason"] for e in m.events(name, "crash")] == [reason], name
        report = m.events(name, "autopsy")
        why = [e["why"].strip('"') for e in report if "why" in e]
        assert len(why) == 1 and why[0].startswith(sentence) and MORE.get(name, "") in why[0], (name, why)
        assert [e for e in report if "insn" in e], name
    insn = {name: [e for e in m.events(name, "autopsy") if "insn" in e][0] for name, _, _ in WAYS}
    assert (insn["limit"]["insn"], insn["limit"]["length"], insn["limit"]["bits"]) == ("cc", "1", "64")
    assert insn["device"]["insn"] == "d903" and insn["spin"]["insn"] == "ebfe"
    assert insn["fetch"]["insn"] == "none" and insn["fetch"]["length"] == "0"
    walks = {name: [e for e in m.events(name, "autopsy") if e.get("walk") == "rip"] for name, _, _ in WAYS}
    assert walks["spin"][0]["gpa"] == walks["spin"][0]["va"] and len(walks["spin"][0]["entries"].split(",")) == 3
    assert walks["tables"][0]["error"] in ("0x0", "0x10")
    past = [e for e in m.events("device", "autopsy") if "exit" in e]
    assert past[-1]["exit"] == "NPF" and past[-1]["where"] == "0x3000000"
    past = [e for e in m.events("real", "autopsy") if "exit" in e]
    assert [e["exit"] for e in past[-3:]] == ["PIO", "PIO", "SHUTDOWN"] and past[-2]["where"] == "0x3f8"
