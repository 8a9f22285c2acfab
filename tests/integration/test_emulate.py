"""Instructions on memory that is no RAM, and port strings, inside a real guest: rows 26 and 46."""


def test_instructions_on_a_hole_equal_those_on_ram(machine, guest, backend):
    m = machine(backend=backend, modules=[(guest("emulate"), "kernel vm=e type=flat mode=long load=0x100000 mem=8M")])
    assert m.finish(timeout=120) == 0
    checks = m.checks()
    assert len(checks) > 70
    assert [name for name, (ok, _) in checks.items() if not ok] == []
    assert "rep outsb: one line" in m.lines


def test_task_switches(machine, guest, backend):
    """Row 30 in part: JMP, CALL, IRET, task gates by INT and by a fault, a refused target; before them ring 3 and back
    without a TSS of its own; LTR of what it must refuse, after which ring 3 and back works as before;
    an address to execute in a segment with a base; a port string of ring 3, by the TSS's map."""
    m = machine(backend=backend, modules=[(guest("task"), "kernel vm=t type=flat mode=prot load=0x100000 mem=8M")])
    quirks = ["base-breakpoint"] if backend == "svm" else []  # QEMU would end at it
    assert m.finish(timeout=60) == len(quirks)
    checks = m.checks()
    assert len(checks) == 35
    assert [name for name, (ok, _) in checks.items() if not ok] == quirks
