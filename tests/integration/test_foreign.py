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


@pytest.mark.backends("svm")
def test_systems(machine, backend):
    """Xen and GNU Mach (multiboot 2 and 1) and U-Boot (firmware, in 32 and in 64 bits) come as far as they do on the bare
    emulator: the first two to the lack of what they would start, U-Boot past its memory."""
    images = BUILD / "linux"
    if not all((images / f"foreign-{name}").exists() for name in ("xen", "gnumach", "uboot32", "uboot64")):
        pytest.skip("Debian's mirror did not have all of them")
    m = machine(backend=backend, memory=768, modules=[
        (images / "foreign-xen", "kernel vm=xen mem=64M -- xen console=com1 com1=115200,8n1 no-real-mode"),
        (images / "foreign-gnumach", "kernel vm=mach mem=32M -- console=com0"),
        (images / "foreign-uboot32", "firmware vm=u32 mem=64M"), (images / "foreign-uboot64", "firmware vm=u64 mem=64M")])
    m.wait_for(r"^\[xen\] \(XEN\) dom0 kernel not specified\. Check bootloader configuration\s*\n", timeout=180)
    m.wait_for(r"^\[mach\] panic .*: No bootstrap code loaded with the kernel!\s*\n", timeout=180)
    for vm in ("u32", "u64"):
        m.wait_for(rf"^\[{vm}\] DRAM:  64 MiB\s*\n", timeout=180)
    assert "[xen] (XEN) Command line: console=com1 com1=115200,8n1 no-real-mode" in m.lines
    assert "[mach] biosmem: 000000000000100000:000000000002000000, available" in m.lines
    assert "[u64] Jumping to 64-bit U-Boot: Note many features are missing" in m.lines
    assert [e for e in m.events() if e.get("ev") in ("crash", "error")] == []
