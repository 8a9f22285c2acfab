#!/bin/sh
# The demo in QEMU, stopped at reset, with gdb attached and the kernel's symbols loaded. `c` in gdb goes on.
set -eu
build=$1
qemu-system-x86_64 -machine q35 -cpu max -smp 2 -m 512 -nic none -vga none -display none -no-reboot \
    -cdrom "$build/demo.iso" -serial "file:$build/debug-serial.txt" -S -gdb "tcp:127.0.0.1:${PORT:-1234}" &
qemu=$!
trap 'kill $qemu 2>/dev/null || true' EXIT
echo "serial output goes to $build/debug-serial.txt"
gdb -q -ex "set pagination off" -ex "target remote 127.0.0.1:${PORT:-1234}" -ex "hbreak kernel_main" ${GDB_ARGS:-} "$build/mote.elf"
