#!/usr/bin/env python3
"""Where the host's instructions go between an exit and the next entry: traces every instruction of the image under QEMU
while the payload of tests/guests/cost.c runs, and prints the frequent paths from VMRUN to VMRUN, by function."""

import argparse
import bisect
import collections
import os
import re
import subprocess
import sys
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "integration"))
from machine import BUILD, ELF, Machine  # noqa: E402

IMAGE = "0xffffffff80000000+0x1000000"
TRACED = re.compile(rb"\[[0-9a-f]+/([0-9a-f]{16})/")


def symbols():
    """Addresses and names of the functions, sorted."""
    out = subprocess.run(["nm", "-n", str(ELF)], check=True, capture_output=True, text=True).stdout
    found = [(int(a, 16), n) for a, t, n in (line.split() for line in out.split("\n") if len(line.split()) == 3)
             if t in "tT"]
    return [a for a, _ in found], [n for _, n in found]


def entry_point(symbol):
    """The address of VMRUN in svm_enter."""
    out = subprocess.run(["objdump", "-d", f"--disassemble={symbol}", str(ELF)], check=True, capture_output=True, text=True)
    return int(re.search(r"^(ffff[0-9a-f]+):.*\bvmrun\b", out.stdout, re.MULTILINE).group(1), 16)


def paths(stream, entry):
    """Counts of each sequence of host addresses between two entries."""
    counts, path = collections.Counter(), None
    for line in stream:
        match = TRACED.search(line)
        if not match:
            continue
        address = int(match.group(1), 16)
        if path is not None:
            path.append(address)
        if address == entry:
            if path is not None and len(path) < 50000:
                counts[tuple(path)] += 1
            path = []
    return counts


def report(path, count, table):
    addresses, names = table
    runs = collections.Counter()
    for address in path:
        runs[names[bisect.bisect_right(addresses, address) - 1]] += 1
    print(f"--- {len(path)} instructions, {count} times")
    for name, number in runs.most_common():
        print(f"    {number:5} {name}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--least", type=int, default=150, help="leave out paths taken less often")
    parser.add_argument("--payload", default=str(BUILD / "guests" / "cost.bin"))
    args = parser.parse_args()
    workdir = BUILD / "profile"
    workdir.mkdir(parents=True, exist_ok=True)
    fifo = workdir / "trace"
    fifo.unlink(missing_ok=True)
    os.mkfifo(fifo)
    payload = (args.payload, "kernel vm=cost type=flat mode=long load=0x100000 mem=16M")
    extra = ["-singlestep", "-d", "exec,nochain", "-D", str(fifo), "-dfilter", IMAGE]
    with Machine(workdir, cpu="EPYC,+svm,+npt", modules=[payload], extra=extra) as m:
        with open(fifo, "rb") as stream:
            counts = paths(stream, entry_point("svm_enter"))
        m.finish(timeout=300)
    table = symbols()
    for path, count in counts.most_common():
        if count >= args.least:
            report(path, count, table)


if __name__ == "__main__":
    main()
