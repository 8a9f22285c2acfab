"""Nothing that a guest does reaches beyond its VM: VMs of the payload hostile, each with a seed of its own, beside one that counts."""

import pytest

from machine import counted
from session import beats, consecutive, wait_beats

SEEDS = {"svm": 32, "bochs-vmx": 12}
EXITS = 1000


@pytest.mark.backends("svm", "bochs-vmx")
def test_random_guests_harm_nobody_else(machine, guest, backend):
    """They end by themselves, or die of what they do; no frame is lost, and the neighbour counts on. On one CPU, as QEMU's races
    between several are no subject here; not in Bochs' SVM, which a guest's triple fault ends."""
    flat = "type=flat mode=long load=0x100000 mem=4M"
    m = machine(backend=backend, cpus=1, cmdline="console=com1 selftest=on",
                modules=[(guest("beat"), f"kernel vm=n {flat}"),
                         (guest("hostile"), f"kernel vm=h {flat} vcpus=4 copies={SEEDS[backend]} watchdog=5s")],  # which notices one whose CPU 0 was lost
                extra=counted(backend, 6))
    names = ["h", *(f"h-{i}" for i in range(2, SEEDS[backend] + 1))]
    for vm in names:
        m.wait_for(rf"^MOTE: vm={vm} ev=freed .*\n", timeout=300)
    wait_beats(m, "n", 3)
    m.close()
    assert "PANIC" not in m.text.upper()
    assert consecutive(beats(m.text, "n"))
    assert [e["leaked-frames"] for e in m.events(kind="freed")] == ["0"] * len(names)
    ends = [e for e in m.events() if e.get("ev") in ("exit", "crash")]
    assert sorted(e["vm"] for e in ends) == sorted(names)
    assert {e["reason"] for e in ends} <= {"hypercall", "port", "poweroff", "reset", "halt", "emulation", "unmapped", "triple-fault",
                                           "entry-failed", "unhandled", "watchdog"}
    assert sum(int(e["exits"]) for e in ends) > EXITS
