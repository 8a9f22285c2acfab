"""Every format of image starts as its specification says: the payloads of tests/guests/boot report registers and the
information block, all of them as VMs of one boot, and an image that is refused costs only its own VM."""

import pytest

from machine import BUILD

BOOT = BUILD / "guests" / "boot"
MULTIBOOT = ["mb1_elf32", "mb1_flags0", "mb1_elf64", "mb1_aout", "mb1_aout_elf32", "mb1_aout_elf64", "mb2_elf32",
             "mb2_elf64", "mb2_raw"]
CMDLINE = "console=com1 on-idle=exit:vm"
TYPES = {"mb1_elf32": " type=auto", "mb1_elf64": " type=mb1", "mb2_elf64": " type=mb2", "bz64": " type=linux"}  # the others' is found


def kernels():
    modules = []
    for name in MULTIBOOT:
        modules += [(BOOT / name, f"kernel vm={name} mem=8M timeout=120s{TYPES.get(name, '')} -- one \"two  three\" modules=2 mem=8"),
                    (BOOT / "plain_elf32", "module -- hello w"), (BOOT / "mb2_raw", "module")]
    modules += [(BOOT / "plain_elf32", "kernel vm=plain_elf32 mem=8M timeout=120s type=elf")]
    for name in ("bz32", "bz64"):
        modules += [(BOOT / name, f"kernel vm={name} mem=8M timeout=120s{TYPES.get(name, '')} -- one \"two  three\""),
                    (BOOT / "plain_elf32", "initrd")]
    return modules


@pytest.mark.backends("svm", "svm-uefi", "bochs-vmx", "bochs-svm")
def test_every_format(machine, backend):
    m = machine(backend=backend, cmdline=CMDLINE, modules=kernels())
    assert m.finish(timeout=120) == 0
    for vm in MULTIBOOT + ["plain_elf32", "bz32", "bz64"]:
        lines = m.said(vm)
        failed = [line for line in lines if line.startswith("CHECK") and " FAIL" in line]
        assert not failed, f"{vm}: {failed}"
        assert any(line.startswith("DONE pass=") and line.endswith(" fail=0") for line in lines), f"{vm}: {lines[-5:]}"
        assert [e["reason"] for e in m.events(vm, "exit")] == ["hypercall"]
        assert m.events(vm, "freed")[0]["leaked-frames"] == "0"
        if vm != "plain_elf32":
            assert any(line.endswith("cmdline=one \"two  three\"" + (" modules=2 mem=8" if vm[0] == "m" else ""))
                       for line in lines), vm
    assert any(line == "mb2: rsdp tag=15 size=44" or line == "mb2: rsdp tag=14 size=28"
               for line in m.said("mb2_elf32"))


def broken(workdir):
    """(file, options, part of the complaint) for every image that a loader must refuse."""
    workdir.mkdir(parents=True, exist_ok=True)
    vmlinuz = (BOOT / "bz64").read_bytes()
    elf = (BOOT / "mb1_elf32").read_bytes()
    plain = bytearray((BOOT / "plain_elf32").read_bytes())
    overlap = bytearray(plain)
    offset = int.from_bytes(plain[28:32], "little") + 32  # the second program header
    overlap[offset + 12:offset + 16] = (0x100800).to_bytes(4, "little")
    outside = bytearray(plain)
    outside[offset + 12:offset + 16] = (0x1000000).to_bytes(4, "little")
    images = {
        "short-bz": (vmlinuz[:3000], "", "bzImage is truncated: header says"),
        "short-elf": (elf[:5000], "", "ELF file is truncated: segment 0"),
        "overlap": (bytes(overlap), "type=elf", "overlaps an earlier one at 0x100000"),
        "outside": (bytes(outside), "type=elf", "lies outside the VM's 8M of memory"),
        "text": (b"This is no kernel.\n" * 40, "", "the module is no kernel"),
        "flat-high": (b"\xf4" * 512, "type=flat mode=prot load=0x10000000", "lies outside the VM's 8M of memory"),
        "not-linux": (elf, "type=linux", "no Linux bzImage"),
    }
    modules = []
    for name, (data, options, _) in images.items():
        path = workdir / name
        path.write_bytes(data)
        modules.append((path, f"kernel vm={name} mem=8M {options}"))
    return modules, {name: text for name, (_, _, text) in images.items()}


@pytest.mark.backends("svm", "bochs-vmx")
def test_refused_images_cost_only_themselves(machine, backend, tmp_path):
    modules, complaints = broken(tmp_path / "images")
    modules.append((BOOT / "mb1_elf32", "kernel vm=good mem=8M timeout=60s -- x"))
    m = machine(backend=backend, cmdline=CMDLINE, modules=modules)
    m.finish(timeout=60)
    for vm, text in complaints.items():
        found = [line for line in m.lines if line.startswith(f"MOTE: vm={vm} ") and text in line]
        assert len(found) == 1, f"{vm}: {[line for line in m.lines if f'vm={vm} ' in line]}"
        assert not m.events(vm, "start")
    assert any(line.startswith("DONE pass=") and line.endswith(" fail=0") for line in m.said("good"))
