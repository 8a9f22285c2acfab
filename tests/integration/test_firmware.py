"""The role firmware: a machine that starts at the reset vector with an image of its own."""

TOP = """data-segments-zero cs-selector pe-clear edx-is-the-signature read-at-the-top top-is-read-only
top-refuses-a-locked-write low-copy low-copy-is-ram top-is-another-memory code-in-the-low-copy far-jump-reloads-the-base
option-rom-area-empty hole-reads-ones""".split()


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
