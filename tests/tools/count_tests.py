#!/usr/bin/env python3
"""Sum up what the tests of a log said: cmocka's and pytest's closing counts. Prints one line, "N passed, N failed, N skipped";
exits 1 when one failed or when there is nothing to count."""

import pathlib
import re
import sys


def main(path):
    text = pathlib.Path(path).read_text(errors="replace")
    passed = sum(int(n) for n in re.findall(r"^\[  PASSED  \] (\d+) test\(s\)\.$", text, re.MULTILINE))
    failed = sum(int(n) for n in re.findall(r"^\[  FAILED  \] \w*:? ?(\d+) test\(s\)", text, re.MULTILINE))
    skipped = 0
    for line in re.findall(r"^(?:=+ )?((?:\d+ \w+,? ?)+) in [\d.]+s.*$", text, re.MULTILINE):
        counts = {word: int(n) for n, word in re.findall(r"(\d+) (\w+)", line)}
        passed += counts.get("passed", 0)
        failed += counts.get("failed", 0) + counts.get("error", 0) + counts.get("errors", 0)
        skipped += counts.get("skipped", 0)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
