#!/bin/sh
# A guest of Mote's under gdb, in QEMU, over the host's COM2 on a socket: the payload debuggee with its symbols, two CPUs, stopped at
# its first instruction; or, with GUEST=linux, Debian's Linux while it boots, SYMBOLS=vmlinux its symbols if there are any. `c` in gdb
# goes on, Ctrl-C stops, `detach` leaves the guest running, `quit` ends it all.
set -eu
build=$1
dir=$build/debug-guest/${GUEST:-debuggee}
mkdir -p "$dir"
debuggee="type=flat mode=long load=0x100000 mem=8M vcpus=2"
linux="mem=256M"
if [ "${GUEST:-debuggee}" = linux ]; then
    symbols=${SYMBOLS:-}
    linux="$linux gdb=com2"
    [ -z "$symbols" ] || linux="$linux,wait"
else
    symbols=$build/guests/debuggee.elf
    debuggee="$debuggee gdb=com2,wait"
fi
cat > "$dir/grub.cfg" <<END
multiboot2 /boot/mote.elf console=com1,115200 focus=linux on-idle=poweroff
module2 /boot/vmlinuz kernel vm=linux $linux -- console=ttyS0 panic=-1 nokaslr
module2 /boot/initrd.gz initrd
module2 /boot/debuggee.bin kernel vm=debuggee $debuggee
boot
END
iso/mkiso.sh "$dir/demo.iso" "$build/mote.elf" "$dir/grub.cfg" "$build/linux/vmlinuz" "$build/linux/initrd.gz" \
    "$build/guests/debuggee.bin"
rm -f "$dir/com1.txt" "$dir/com2"
qemu-system-x86_64 -machine q35 -cpu max -smp 2 -m 512 -nic none -vga none -display none -no-reboot \
    -cdrom "$dir/demo.iso" -serial "file:$dir/com1.txt" -serial "unix:$dir/com2,server=on,wait=off" &
qemu=$!
trap 'kill $qemu 2>/dev/null || true' EXIT
echo "the consoles' output goes to $dir/com1.txt"
until grep -q " ev=gdb " "$dir/com1.txt" 2>/dev/null; do
    kill -0 $qemu
    sleep 0.2
done
# shellcheck disable=SC2086
gdb -q -ex "set pagination off" -ex "set architecture i386:x86-64" -ex "set remotetimeout 30" -ex "target remote $dir/com2" \
    ${GDB_ARGS:-} $symbols
