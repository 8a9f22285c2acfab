"""Bad input from guests: each deed gets one clear line that names the VM and the cause, that VM alone stops, a healthy
neighbour goes on to its end, and all frames come back. What a user types wrong is in test_config.py, images that are none
in test_loaders.py."""

import re

import pytest

# In the order of the table in tests/guests/crimes.c: (VM, how it ends, reason, detail of the line).
DEEDS = [
    ("triple", "crash", "triple-fault", {}),
    ("fetch", "crash", "unmapped", {"gpa": "0x3f000000", "access": "fetch"}),
    ("tables", "crash", "unmapped", {"access": "page-walk"}),
    ("rom", "crash", "unmapped", {"gpa": "0xe8000", "access": "fetch"}),
    ("entry", "crash", "entry-failed", {"qualification": r"0x[0-9a-f]+", "hw-reason": r"0x[0-9a-f]+"}),
    ("spin", "crash", "timeout", {}),
    ("ports", "exit", "hypercall", {"code": "0"}),
    ("msrs", "exit", "hypercall", {"code": "0"}),
    ("hole", "exit", "hypercall", {"code": "0"}),
    ("reset", "exit", "reset", {}),
    ("halt", "exit", "halt", {}),
]
# Bochs's SVM panics on a guest's triple fault and has no exit while IF is off (emulators.md 3.4.8, 3.4.10).
NOT_ON = {"bochs-svm": {"triple", "spin"}}
CHECKS = {
    "rom": {"rom-holds-tables", "rom-write-dropped"},
    "ports": {"unclaimed-ports-read-ones"},
    "msrs": {"msrs-listed"},
    "hole": {"hole-byte", "hole-word", "hole-dword", "hole-qword", "hole-page-crossing", "hole-write-ignored"},
}
SPIN_MS = {"svm": 3000, "bochs-vmx": 1000, "bochs-svm": 1000}  # QEMU's time is the host's, which may be busy
ENTRY_FAILED = {"svm": "0xffffffff", "bochs-svm": "0xffffffffffffffff", "bochs-vmx": "0x80000021"}


def deed_modules(guest, backend):
    modules = []
    for name, *_ in DEEDS:
        runs = name not in NOT_ON.get(backend, ())
        timeout = f" timeout={SPIN_MS[backend]}ms" if runs and name == "spin" else ""
        modules.append((guest("crimes" if runs else "hello"), f"kernel vm={name} type=flat mode=long load=0x100000 mem=4M{timeout}"))
    return modules


def check_deed(m, name, kind, reason, detail):
    ends = [e for e in m.events(name) if e.get("ev") in ("exit", "crash")]
    assert len(ends) == 1, f"{name}: {ends}"
    assert (ends[0]["ev"], ends[0]["reason"]) == (kind, reason), f"{name}: {ends[0]}"
    for key, value in detail.items():
        assert re.fullmatch(value, ends[0][key]), f"{name}: {ends[0]}"
    checks = m.checks(name)
    assert set(checks) == CHECKS.get(name, set()), f"{name}: {checks}"
    assert all(ok for ok, _ in checks.values()), f"{name}: {checks}"


@pytest.mark.parametrize("backend,cpus", [("svm", 2), ("bochs-vmx", 1), ("bochs-svm", 1)])
def test_deeds_cost_only_their_vm(machine, guest, backend, cpus):
    modules = deed_modules(guest, backend)
    modules.append((guest("counter"), "kernel vm=healthy type=flat mode=long load=0x100000 mem=8M"))
    m = machine(backend=backend, cpus=cpus, cmdline="console=com1 on-idle=exit:vm selftest=on", modules=modules)
    assert m.finish(timeout=180) != 0
    for name, kind, reason, detail in DEEDS:
        if name not in NOT_ON.get(backend, ()):
            check_deed(m, name, kind, reason, detail)
    assert m.events("entry", "crash")[0]["hw-reason"] == ENTRY_FAILED[backend]
    assert [e["after-ms"] for e in m.events("spin", "crash")] == ([] if "spin" in NOT_ON.get(backend, ()) else [str(SPIN_MS[backend])])
    assert m.counts("healthy") == list(range(20))
    assert [e["reason"] for e in m.events("healthy", "exit")] == ["hypercall"]
    freed = m.events(kind="freed")
    assert {e["vm"] for e in freed} == {name for name, *_ in DEEDS} | {"healthy"}
    assert {e["leaked-frames"] for e in freed} == {"0"}
    assert "PANIC" not in m.text.upper()
