"""Where GRUB finds a guest's image makes no difference to the guest (row 69). Mote reads no file system: GRUB does."""

import gzip
import subprocess

import pytest


def fat_disk(path, files):
    """A disk of 4 MiB with a FAT file system on it, and the files."""
    with open(path, "wb") as image:
        image.truncate(4 << 20)
    subprocess.run(["mformat", "-i", str(path), "::"], check=True)
    subprocess.run(["mcopy", "-i", str(path), *map(str, files), "::"], check=True)


@pytest.mark.backends("svm", "svm-uefi", "bochs-vmx", "bochs-svm")
def test_same_guest_from_everywhere(machine, guest, backend, tmp_path):
    """As a module on the CD, compressed there, and (QEMU) as a file on a disk: one output."""
    options = "type=flat mode=long load=0x100000 mem=8M"
    packed, disk = tmp_path / "packed.gz", tmp_path / "disk.img"
    packed.write_bytes(gzip.compress(guest("hello").read_bytes()))
    modules = [(guest("hello"), f"kernel vm=cd {options}"), (packed, f"kernel vm=gz {options}")]
    more = {}
    if not backend.startswith("bochs"):
        fat_disk(disk, [guest("hello")])
        more = {"grub": ["search --file --set=disk /hello.bin", f"module2 ($disk)/hello.bin kernel vm=disk {options}"],
                "extra": ["-boot", "d", "-drive", f"if=none,id=files,format=raw,file={disk}", "-device", "ide-hd,drive=files,bus=ide.1"]}
    m = machine(backend=backend, modules=modules, cmdline="console=com1 on-idle=exit:vm", **more)
    assert m.finish(timeout=120) == 0
    said = {vm: m.said(vm) for vm in ["cd", "gz"] + ["disk"] * bool(more)}
    assert said["cd"][0] == "hello from long mode" and all(lines == said["cd"] for lines in said.values()), said
