"""Systems of other people than Linux's, as Debian packs them."""

import re

import pytest

from machine import BUILD


@pytest.mark.backends("svm", "bochs-vmx")
def test_memtest(machine, backend):
    """memtest86+ in 64 and in 32 bits (bzImages that are no Linux) tests its memory and finds it good. In Bochs the one of 32."""
    kinds = (64, 32) if backend == "svm" else (32,)
    m = machine(backend=backend, modules=[
        (BUILD / "linux" / f"memtest{bits}", f"kernel vm=m{bits} mem=8M -- console=ttyS0,115200") for bits in kinds])
    for bits in kinds:
        line = rf"^\[m{bits}\] " if len(kinds) > 1 else ""
        m.wait_for(rf"{line}.*Memtest86\+ v\d", timeout=60)
        m.wait_for(rf"{line}.*#(?:[3-9]|10) +\[\w+", timeout=180)  # by then some have found no error
        assert set(re.findall(r"Errors: +(\d+)", m.text)) == {"0"}
    assert [e for e in m.events() if e.get("ev") in ("exit", "crash", "error")] == []


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


@pytest.mark.backends("svm")
def test_xen_starts_linux(machine, linux, backend):
    """Xen as a guest starts Debian's Linux as its dom0, in ring 3, up to a shell; the guest's guest powers the VM off. Without
    SMAP: an IRET of ring 3 faults with it in QEMU."""
    xen = BUILD / "linux" / "foreign-xen"
    if not xen.exists():
        pytest.skip("Debian's mirror did not have it")
    (kernel, _), (initrd, _) = linux(kernel="vmlinuz-std")
    options = "xen console=com1 com1=115200,8n1 no-real-mode smap=0 dom0_mem=256M"
    m = machine(backend=backend, memory=768, modules=[
        (xen, f"kernel vm=xen mem=384M -- {options}"), (kernel, "module -- dom0 console=hvc0 panic=-1 quiet"), (initrd, "module -- initrd")])
    m.wait_for(r"^linux-init: 6\.\d+\.\d+-\S+ cpus=1 mem=\d+kB\n", timeout=300)
    m.wait_for(r"mote-linux# ", timeout=120)
    m.send("cat /sys/hypervisor/type; echo to''ken\n")
    m.wait_for(r"^xen\n+token\n", timeout=60)
    m.send("poweroff -f\n")
    assert m.finish(timeout=120) == 0
    assert [e["reason"] for e in m.events("xen", "exit")] == ["poweroff"]
