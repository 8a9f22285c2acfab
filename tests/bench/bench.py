#!/usr/bin/env python3
"""Count what things cost, in instructions and bytes: exits on both vendors, alone and beside other VMs, a
boot of Linux, Mote's own, image size, memory. Prints a table, writes build/x86_64/bench.json, and fails when a figure is above its bar or rises
more than 2 % over tests/bench/baseline.json. Instructions are counted by the guest's TSC under `qemu -icount shift=0` and
in Bochs, where each tick is one."""

import argparse
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "integration"))
from machine import BUILD, ELF, Machine  # noqa: E402

BASELINE = pathlib.Path(__file__).with_name("baseline.json")
ICOUNT = ["-icount", "shift=0,sleep=off"]
# Bochs' CPU does the frequent work of a local APIC by itself, or is told not to.
BACKENDS = {"svm": {"cpu": "EPYC,+svm,+npt", "extra": ICOUNT}, "bochs-vmx": {},
            "bochs-vmx-software": {"backend": "bochs-vmx", "cmdline": "console=com1 on-idle=exit:vm irqchip=software"}}
PAYLOAD = (str(BUILD / "guests" / "cost.bin"), "kernel vm=cost type=flat mode=long load=0x100000 mem=16M")
TOLERANCE = 1.02
# Figures that vary with what the compiler, the clock and the guest's own random numbers do are not compared.
STATED_ONLY = re.compile(r"^(boot|size)\.|\.linux-")

# Operation as the guest sees it: what it must not exceed, and the aim; the same on each vendor.
BARS = {
    "cpuid": (250, 150), "hypercall": (250, 150), "rdmsr-apic-base": (300, 200), "wrmsr-efer": (300, 200),
    "x2apic-eoi": (300, 180), "x2apic-tpr": (300, 180), "lapic-mmio-read": (900, 500), "lapic-mmio-write": (900, 500),
    "port-pic": (450, 300), "port-nobody": (450, 300), "deadline-arm": (500, 300), "self-ipi": (900, 500),
    "halt-to-timer": (2500, 1500),
    "first-touch": (8, 8),  # no exit: the reading of the clock, and the access itself
    # Linux from its entry to /init: instructions of the host per million of the guest's own.
    "linux-quiet": (10000, ""), "linux-log": (50000, ""),
}
# Where the hardware helps, these make no exit.
NO_EXIT = {f"bochs-vmx.{name}": (8, 8) for name in ("x2apic-eoi", "x2apic-tpr", "lapic-mmio-read", "lapic-mmio-write")}
# Beside how many tiny VMs these must cost the same, and with how many vCPUs in the VM itself.
NEIGHBOURS = (1, 16, 63)  # 64 VMs are the most
VCPUS = 8
SAME = ("cpuid", "port-pic", "port-nobody", "lapic-mmio-read", "x2apic-tpr")


def costs(name, vcpus=1, neighbours=0, **options):
    """The COST lines of the payload, and the host's event of its own boot."""
    workdir = BUILD / "bench" / name
    modules = [(PAYLOAD[0], f"{PAYLOAD[1]} vcpus={vcpus}")]
    if neighbours:
        modules.append((str(BUILD / "guests" / "idle.bin"),
                        f"kernel vm=idle type=flat mode=real load=0x7c00 mem=1M copies={neighbours}"))
    with Machine(workdir, modules=modules, **options) as m:
        m.wait_for(r"DONE pass=\d+ fail=0", timeout=300)
        found = dict(re.findall(r"COST (\S+) (\d+)", m.text))
        boot = m.events(kind="boot")[0]
        if len(m.events(kind="start")) != neighbours + 1:
            raise SystemExit(f"{name}: not all VMs started, see {workdir}")
    return {operation: int(ticks) for operation, ticks in found.items()}, boot


def exits():
    """Each operation's cost on each vendor; alone, beside VMs, with more vCPUs."""
    figures, wrong, boot = {}, [], None
    for backend, options in BACKENDS.items():
        options = {"backend": backend} | options
        alone, event = costs(backend, **options)
        boot = boot or event
        figures |= {f"{backend}.{name}": ticks for name, ticks in alone.items()}
        if backend == "bochs-vmx-software":
            continue
        others = {f"beside {n} VMs": {"neighbours": n} for n in (NEIGHBOURS if backend == "svm" else NEIGHBOURS[-1:])}
        others[f"with {VCPUS} vCPUs"] = {"vcpus": VCPUS}
        for where, more in others.items():
            there, _ = costs(f"{backend}-{where.replace(' ', '-')}", **more, **options)
            wrong += [f"{backend}.{name} is {there[name]} {where}, {alone[name]} alone"
                      for name in SAME if there[name] > alone[name] + 2]
            print(f"{backend} {where}: " + " ".join(f"{name}={there[name]}" for name in SAME))
    return figures, wrong, boot


def linux_shares():
    """The host's share of a Linux boot, counted by a plugin of QEMU's: with "quiet", and with the whole log on the UART."""
    symbols = subprocess.run(["nm", str(ELF)], check=True, capture_output=True, text=True).stdout
    text = "-".join(re.search(rf"^(\w+) T kernel_text_{end}$", symbols, re.MULTILINE).group(1) for end in ("start", "end"))
    figures = {}
    for name, more in (("linux-quiet", " quiet"), ("linux-log", "")):
        out = BUILD / "bench" / f"{name}.count"
        out.unlink(missing_ok=True)
        plugin = ["-plugin", f"{BUILD / 'insn_share.so'},text={text},out={out}"]
        modules = [(str(BUILD / "linux" / "vmlinuz"), f"kernel vm=linux mem=256M -- console=ttyS0 panic=-1{more}"),
                   (str(BUILD / "linux" / "initrd.gz"), "initrd")]
        with Machine(BUILD / "bench" / name, cpu="EPYC,+svm,+npt", extra=ICOUNT + plugin, modules=modules) as m:
            m.wait_for(r"^linux-init: ", timeout=400)
        host, guest = (int(n) for n in re.match(r"host (\d+) guest (\d+)$", out.read_text()).groups())
        if guest < 10**8:
            raise SystemExit(f"{name}: {guest} instructions are no boot of Linux")
        figures[f"svm.{name}"] = host * 10**6 // guest
    return figures


def sizes():
    """Bytes of the image: what is loaded, and what is code and constant data."""
    out = subprocess.run(["size", str(ELF)], check=True, capture_output=True, text=True).stdout.split("\n")[1].split()
    return {"size.text": int(out[0]), "size.data": int(out[1]), "size.bss": int(out[2])}


def judge(figures, baseline):
    """Print all figures; returns what is wrong with them."""
    wrong = []
    print(f"{'figure':36} {'now':>12} {'bar':>6} {'aim':>6} {'baseline':>12}")
    for name, value in sorted(figures.items()):
        bar, aim = BARS.get(name.split(".", 1)[1], ("", "")) if name.split(".")[0] in BACKENDS else ("", "")
        bar, aim = NO_EXIT.get(name, (bar, aim))
        old = baseline.get(name)
        print(f"{name:36} {value:12} {bar:>6} {aim:>6} {old if old is not None else '-':>12}")
        if bar != "" and value > bar:
            wrong.append(f"{name} is {value}, above its bar of {bar}")
        if old is not None and value > old * TOLERANCE + 1 and not STATED_ONLY.search(name):
            wrong.append(f"{name} rose from {old} to {value}")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", nargs="?", default=str(BUILD))
    parser.add_argument("--save", action="store_true", help="make today's figures the baseline")
    args = parser.parse_args()
    figures, wrong, boot = exits()
    figures |= linux_shares()
    figures |= sizes()
    figures["boot.memory-taken-kib"] = int(boot["taken-kib"])
    figures["boot.instructions-to-first-guest"] = int(boot["boot-ticks"])
    (pathlib.Path(args.build) / "bench.json").write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n")
    wrong += judge(figures, json.loads(BASELINE.read_text()) if BASELINE.exists() else {})
    if args.save:
        BASELINE.write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n")
    for line in wrong:
        print(f"bench: {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
