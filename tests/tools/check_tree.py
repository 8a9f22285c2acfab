#!/usr/bin/env python3
"""Check the tree's own rules (design.md): layers, contract headers, sizes, vendor and ISA words. Prints one line per
violation and a closing count; exits 1 when there is any."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Longest prefix wins. A file may include its own layer and lower ones; a set names exceptions among equals.
LAYERS = [
    ("kernel/init/", 8), ("vm/board/", 7), ("vm/load/", 7), ("vm/dev/", 6), ("vm/gdb/", 6), ("vm/", 5), ("vcpu/", 4), ("drivers/", 4),
    ("kernel/lib/", 0), ("boot/boot_info.h", 0), ("kernel/base/", 1), ("kernel/x86_64/", 1), ("mm/", 2), ("kernel/", 3),
    ("boot/", 8),
]
# Neither of these sees the other, though they share a layer.
APART = [("vcpu/", "drivers/"), ("vm/board/", None), ("vm/load/", None)]
DEVICE_SEES = {"vm/bus.h", "vm/gmem.h", "vm/irqline.h"}  # of vm/ and vcpu/; besides their own folder
CONTRACTS = {"kernel": ROOT / "kernel/x86_64/arch", "vcpu": ROOT / "vcpu/x86_64/arch", "mm": ROOT / "mm/x86_64/arch"}
COMPILER_HEADERS = {"stdarg.h", "stdbool.h", "stddef.h", "stdint.h"}

FILE_LINES_MAX = 420
FUNCTION_LINES_MAX = 60
NESTING_MAX = 4
PARAMETERS_MAX = 6
LINE_MAX = 132

VENDOR = re.compile(r"\b\w*(?:vmx|vmcs|svm|vmcb)\w*", re.IGNORECASE)
VENDOR_MAY = re.compile(r"^(vcpu/x86_64/(vmx|svm)/|vcpu/x86_64/backends\.c$|kernel/x86_64/(regs|msr|msr_index|insn|cpuid)\.h$)")
ISA = re.compile(r"\b(x86\w*|rip|rflags|cr[0348]|efer|lapic|ioapic|apic|gdt|idt|msr|cpuid|eax|rax)\b", re.IGNORECASE)
ISA_FREE = re.compile(r"^(vm|kernel|mm)/[^/]+\.[ch]$")
ISA_KEYWORDS_OK = re.compile(r'rip=0x')  # interface.md fixes this key of the crash line


def sources():
    for folder in ("boot", "kernel", "mm", "drivers", "vcpu", "vm"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".c", ".h", ".def"):
                yield path.relative_to(ROOT).as_posix(), path.read_text()


def layer_of(name):
    best = max((p for p in LAYERS if name.startswith(p[0])), key=lambda p: len(p[0]), default=None)
    return best[1] if best else None


def strip_comments(text):
    keep_lines = lambda m: re.sub(r"[^\n]", " ", m.group(0))
    text = re.sub(r"/\*.*?\*/", keep_lines, text, flags=re.DOTALL)
    return re.sub(r'"(\\.|[^"\\\n])*"', '""', text)


def check_includes(name, text):
    for number, line in enumerate(text.split("\n"), 1):
        match = re.match(r'#include\s+([<"])([^>"]+)[>"]', line)
        if not match:
            continue
        kind, target = match.groups()
        if kind == "<":
            if target not in COMPILER_HEADERS and not target.startswith("arch/"):
                yield f"{name}:{number}: <{target}> is no contract header"
            continue
        if not (ROOT / target).exists():
            yield f"{name}:{number}: \"{target}\" is not repository-relative"
            continue
        mine, theirs = layer_of(name), layer_of(target)
        if theirs is not None and mine is not None and theirs > mine:
            if target == "boot/boot_main.h" and name.startswith("kernel/init/"):
                continue
            yield f"{name}:{number}: L{mine} includes \"{target}\" of L{theirs}"
        for left, right in APART:
            if right and ((name.startswith(left) and target.startswith(right)) or
                          (name.startswith(right) and target.startswith(left))):
                yield f"{name}:{number}: {left} and {right} do not see each other"
        if name.startswith("vm/dev/") and target.startswith(("vm/", "vcpu/")) and not target.startswith("vm/dev/") \
                and target not in DEVICE_SEES:
            yield f"{name}:{number}: a device sees only {', '.join(sorted(DEVICE_SEES))}, not \"{target}\""
        if name.startswith("vm/load/") and target.startswith("vm/board/"):
            yield f"{name}:{number}: a loader does not see the board"


def check_words(name, text):
    plain = text if not name.endswith(".c") else text
    for number, line in enumerate(plain.split("\n"), 1):
        if VENDOR.search(line) and not VENDOR_MAY.match(name):
            yield f"{name}:{number}: vendor word \"{VENDOR.search(line).group(0)}\""
        if ISA_FREE.match(name) and name != "vm/abi.h" and ISA.search(ISA_KEYWORDS_OK.sub("", line)):
            yield f"{name}:{number}: ISA word \"{ISA.search(ISA_KEYWORDS_OK.sub('', line)).group(0)}\" in neutral code"


def functions(text):
    """(first line, lines, deepest nesting, parameters, name) of each function body, by the house style of braces."""
    lines = strip_comments(text).split("\n")
    start = None
    for number, line in enumerate(lines):
        if line == "{" and number and not lines[number - 1].startswith((" ", "#")) or (line == "{" and lines[number - 1].strip().endswith(")")):
            start = number
        elif line.startswith("}") and start is not None:
            header = ""
            back = start - 1
            while back >= 0 and lines[back].strip() and not lines[back].startswith(("}", "#")) and not lines[back].endswith(";"):
                header = lines[back] + " " + header
                back -= 1
            match = re.search(r"(\w+)\((.*)\)", header)
            body = lines[start + 1:number]
            depth = max((len(l) - len(l.lstrip())) // 4 for l in body if l.strip()) if any(l.strip() for l in body) else 0
            parameters = 0 if not match or match.group(2).strip() in ("", "void") else match.group(2).count(",") + 1
            yield start, number - start - 1, depth, parameters, match.group(1) if match else "?"
            start = None


def check_sizes(name, text):
    lines = text.split("\n")
    if len(lines) > FILE_LINES_MAX:
        yield f"{name}: {len(lines)} lines (max {FILE_LINES_MAX})"
    for number, line in enumerate(lines, 1):
        if len(line) > LINE_MAX:
            yield f"{name}:{number}: {len(line)} columns (max {LINE_MAX})"
    if not name.endswith(".c"):
        return
    for start, size, _, parameters, function in functions(text):
        if size > FUNCTION_LINES_MAX:
            yield f"{name}:{start}: {function}() has {size} lines (max {FUNCTION_LINES_MAX})"
        if parameters > PARAMETERS_MAX:
            yield f"{name}:{start}: {function}() has {parameters} parameters (max {PARAMETERS_MAX})"


def check_hygiene(name, text):
    for number, line in enumerate(text.split("\n"), 1):
        if re.search(r"\b(TODO|FIXME|XXX)\b", line):
            yield f"{name}:{number}: unfinished work"
        if re.match(r"\s*//|.*;\s*//", line):
            yield f"{name}:{number}: // comment"
        if line != line.rstrip():
            yield f"{name}:{number}: trailing blanks"
        if "__x86_64__" in line or re.match(r"#\s*if.*\bARCH\b", line):
            yield f"{name}:{number}: #if for an ISA"


def main():
    problems, files, sizes = [], 0, []
    for name, text in sources():
        files += 1
        for check in (check_includes, check_words, check_sizes, check_hygiene):
            problems += check(name, text)
        sizes += [f[1] for f in functions(text)] if name.endswith(".c") else []
    for problem in problems:
        print(problem)
    small = 100 * sum(1 for s in sizes if s <= 30) // max(1, len(sizes))
    print(f"tree: {files} files, {len(sizes)} functions, {small} % of at most 30 lines, {len(problems)} violations")
    if small < 90:
        print("tree: fewer than 90 % of the functions have at most 30 lines")
        problems.append("sizes")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
