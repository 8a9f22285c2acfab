#!/usr/bin/env python3
"""Check an ELF image's segments: none writable and executable, entry in an executable one, a multiboot2 header in front."""

import struct
import subprocess
import sys


def main(path):
    out = subprocess.run(["readelf", "-lW", path], check=True, capture_output=True, text=True).stdout
    problems = []
    loads = [line.split() for line in out.split("\n") if line.strip().startswith("LOAD")]
    for fields in loads:
        flags = "".join(fields[6:-1])
        if "W" in flags and "E" in flags:
            problems.append(f"segment at {fields[2]} is writable and executable")
    if "GNU_STACK" in out and "RWE" in [l for l in out.split("\n") if "GNU_STACK" in l][0].replace(" ", ""):
        problems.append("executable stack")
    data = open(path, "rb").read(32768)
    if not any(struct.unpack_from("<I", data, at)[0] == 0xE85250D6 for at in range(0, len(data) - 4, 8)):
        problems.append("no multiboot2 header in the first 32 KiB")
    if not loads:
        problems.append("no LOAD segment")
    for problem in problems:
        print(f"{path}: {problem}")
    print(f"elf: {len(loads)} segments, {len(problems)} violations")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
