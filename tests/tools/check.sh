#!/bin/sh
# The static checks, in one place. $1: the build folder. Every tool's findings are errors.
set -eu
build=$1
jobs=$(nproc)
/usr/bin/python3 tests/tools/check_tree.py
/usr/bin/python3 tests/tools/check_wx.py "$build/mote.elf"
/usr/bin/python3 tests/tools/check_acceptance.py
sources=$(find boot kernel mm drivers vcpu vm -name '*.c')
flags="-I. -Ikernel/x86_64 -Ivcpu/x86_64 -Imm/x86_64"
cppcheck -q -j "$jobs" --error-exitcode=1 --std=c11 --platform=unix64 --enable=warning,performance,portability \
    --suppressions-list=tests/tools/cppcheck.suppress --inline-suppr $flags $sources
echo "cppcheck: clean"
echo $sources | xargs -P "$jobs" -n 8 clang-tidy --quiet --config-file=tests/tools/clang-tidy.yml 2>/dev/null >"$build/tidy.txt" \
    || { grep -v '^$' "$build/tidy.txt" | head -100; exit 1; }
echo "clang-tidy: clean"
