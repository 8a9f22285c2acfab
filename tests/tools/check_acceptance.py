#!/usr/bin/python3
"""tests/acceptance.md against the tree: every test that it names exists, and no row that issue 2 asks for is missing."""

import pathlib
import re
import sys

TESTS = pathlib.Path(__file__).resolve().parents[1]
REQUIRED = [*range(1, 6), *range(7, 10), 11, 12, 14, 15, *range(17, 20), 21, *range(23, 34), 36, *range(43, 48), 50, 52, 53, 55,
            70, 78]
ROW = re.compile(r"^\| *(\d+) *\|([^|]*)\|([^|]*)\|([^|]*)\|$")
BACKENDS = {"all", "svm", "svm-uefi", "bochs-vmx", "bochs-svm", "host"}


def exists(path, name):
    """A pytest function, or a cmocka test that is in its file's list."""
    if not path.is_file():
        return False
    pattern = rf"^def {name}\(" if path.suffix == ".py" else rf"(?:cmocka_unit_test\w*|TEST)\({name}\b"
    return re.search(pattern, path.read_text(), re.MULTILINE) is not None


def problems_of(number, line):
    match = ROW.match(line)
    if not match:
        return None, [f"line {number}: not a row"]
    row, found = int(match.group(1)), []
    tests = re.findall(r"`([^`]*)`", match.group(3))
    if not tests or re.sub(r"`[^`]*`", "", match.group(3)).strip(" ,"):
        found.append(f"line {number}: row {row} names no test, or more than tests")
    for test in tests:
        file, _, name = test.partition("::")
        if not re.fullmatch(r"\w+", name) or not exists(TESTS / file, name):
            found.append(f"line {number}: row {row}: there is no {test}")
    backends = {word.strip() for word in match.group(4).split(",")}
    if not backends <= BACKENDS:
        found.append(f"line {number}: row {row}: no such backends: {', '.join(sorted(backends - BACKENDS))}")
    return row, found


def main():
    problems, rows = [], []
    for number, line in enumerate((TESTS / "acceptance.md").read_text().split("\n"), 1):
        if re.match(r"^\| *\d", line):
            row, found = problems_of(number, line)
            problems += found
            rows += [row] if row is not None else []
    problems += [f"row {row} is missing" for row in REQUIRED if row not in rows]
    if rows != sorted(rows):
        problems.append("the rows are not in order")
    for problem in problems:
        print(f"tests/acceptance.md: {problem}")
    if not problems:
        print(f"acceptance: {len(set(rows))} rows, every test is there")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
