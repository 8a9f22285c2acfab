#!/usr/bin/env python3
"""Count what things cost, in instructions and bytes: exits on both vendors, boot, image size, memory. Prints a table,
writes build/x86_64/bench.json, and fails when a figure rises more than 2 % over tests/bench/baseline.json.
Instructions are counted by the guest's TSC under `qemu -icount shift=0` and in Bochs, where each tick is one."""

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
TOLERANCE = 1.02
# Figures that vary with what the compiler and the emulator's clock do are stated, not compared.
STATED_ONLY = re.compile(r"^(boot|size)\.")
CPUID_LIMIT = 400


def costs(backend, **options):
    """The COST lines of the payload on one backend."""
    workdir = BUILD / "bench" / backend
    payload = (BUILD / "guests" / "cost.bin", "kernel vm=cost type=flat mode=long load=0x100000 mem=16M")
    with Machine(workdir, backend=backend, modules=[payload], **options) as m:
        if m.finish(timeout=300) != 0:
            raise SystemExit(f"{backend}: the payload failed, see {workdir}")
        found = dict(re.findall(r"^COST (\S+) (\d+)$", m.text, re.MULTILINE))
        boot = m.events(kind="boot")[0]
    return {f"{backend}.{name}": int(ticks) for name, ticks in found.items()}, boot


def sizes():
    """Bytes of the image: what is loaded, and what is code and constant data."""
    out = subprocess.run(["size", str(ELF)], check=True, capture_output=True, text=True).stdout.split("\n")[1].split()
    return {"size.text": int(out[0]), "size.data": int(out[1]), "size.bss": int(out[2])}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", nargs="?", default=str(BUILD))
    parser.add_argument("--save", action="store_true", help="make today's figures the baseline")
    args = parser.parse_args()
    figures, boot = costs("svm", cpu="EPYC,+svm,+npt", extra=ICOUNT)
    figures |= costs("bochs-vmx")[0]
    figures |= sizes()
    figures["boot.memory-taken-kib"] = int(boot["taken-kib"])
    figures["boot.instructions-to-first-guest"] = int(boot["boot-ticks"])
    (pathlib.Path(args.build) / "bench.json").write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n")
    baseline = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    risen = []
    print(f"{'figure':36} {'now':>12} {'baseline':>12}")
    for name, value in sorted(figures.items()):
        old = baseline.get(name)
        print(f"{name:36} {value:12} {old if old is not None else '-':>12}")
        if old is not None and value > old * TOLERANCE + 1 and not STATED_ONLY.match(name):
            risen.append(f"{name} rose from {old} to {value}")
    for backend in ("svm", "bochs-vmx"):
        if figures[f"{backend}.cpuid"] > CPUID_LIMIT:
            risen.append(f"{backend}.cpuid is above {CPUID_LIMIT}")
    if args.save:
        BASELINE.write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n")
        return 0
    for line in risen:
        print(f"bench: {line}")
    return 1 if risen else 0


if __name__ == "__main__":
    sys.exit(main())
