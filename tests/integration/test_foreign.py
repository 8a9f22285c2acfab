"""Systems of other people than Linux's, as Debian packs them."""

import re

import pytest

from machine import BUILD


@pytest.mark.backends("svm")
def test_memtest(machine, backend):
    """memtest86+ in 64 and in 32 bits (bzImages that are no Linux) tests its memory and finds it good."""
    m = machine(backend=backend, modules=[
        (BUILD / "linux" / f"memtest{bits}", f"kernel vm=m{bits} mem=16M -- console=ttyS0,115200") for bits in (64, 32)])
    for vm in ("m64", "m32"):
        m.wait_for(rf"^\[{vm}\] .*Memtest86\+ v\d", timeout=60)
        m.wait_for(rf"^\[{vm}\] .*#(?:[3-9]|10) +\[\w+", timeout=180)  # by then some have found no error
        assert set(re.findall(r"Errors: +(\d+)", m.text)) == {"0"}
    assert [e for e in m.events() if e.get("ev") in ("exit", "crash", "error")] == []
