"""Registers belong to the guest that wrote them (rows 18, 22): three VMs in turns on one CPU."""

import re

OWN = {"own-msrs", "own-fpu", "own-debug-cr2", "own-xcr0"}


def test_registers_are_the_guests_own(machine, guest, backend):
    names = ["a", "b", "c"]
    m = machine(backend=backend, cpus=1, modules=[
        (guest("owner"), f"kernel vm={name} type=flat mode=long load=0x100000 mem=8M") for name in names])
    assert m.finish(timeout=120) == 0
    for name in names:
        checks = m.checks(name)
        assert set(checks) == OWN
        assert all(ok for ok, _ in checks.values()), checks
        assert int(re.search(r"turns=(\d+)", checks["own-msrs"][1]).group(1)) > 300
    assert len({m.checks(name)["own-fpu"][1] for name in names}) == 2  # with AVX and without, side by side
