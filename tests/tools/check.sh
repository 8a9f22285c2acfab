#!/bin/sh
# The static checks, in one place. $1: the build folder. Every tool's findings are errors.
set -eu
build=$1
jobs=$(nproc)
/usr/bin/python3 tests/tools/check_tree.py
/usr/bin/python3 tests/tools/check_wx.py "$build/mote.elf"
/usr/bin/python3 tests/tools/check_acceptance.py
/usr/bin/python3 tests/tools/config_reference.py --check
sources=$(find boot kernel mm drivers vcpu vm -name '*.c' | sort)
flags="-I. -Ikernel/x86_64 -Ivcpu/x86_64"
# shellcheck disable=SC2086
cppcheck -q -j "$jobs" --error-exitcode=1 --std=c11 --platform=unix64 --enable=warning,performance,portability \
    --suppressions-list=tests/tools/cppcheck.suppress --inline-suppr $flags $sources
echo "cppcheck: clean"
words="-DMOTE_VERSION=\"0\" -DMOTE_COMMIT=\"0\" -DMOTE_ARCH=\"0\""
# A file a process: clang-tidy is single-threaded, and the files differ in cost. What it says besides findings is noise.
# shellcheck disable=SC2086
if ! printf '%s\n' $sources | xargs -P "$jobs" -I SOURCE clang-tidy --quiet --config-file=tests/tools/clang-tidy.yml SOURCE -- \
    -std=gnu17 -ffreestanding -fno-pic -mno-red-zone -mgeneral-regs-only -mcmodel=kernel $flags $words \
    >"$build/tidy.txt" 2>"$build/tidy.err"; then
    cat "$build/tidy.txt"
    grep -v 'warnings\? generated\|treated as errors\|^Suppressed\|^Use -header-filter' "$build/tidy.err" || true
    exit 1
fi
echo "clang-tidy: $(printf '%s\n' $sources | wc -l) files clean"
