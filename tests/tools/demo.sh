#!/bin/sh
# Build $1/demo.iso: Debian's Linux next to a 512-byte guest. Extra module lines for one more VM come from the variable VM,
# as `make run VM='path/to/image kernel vm=mine mem=16M'`.
set -eu
build=$1
cat > "$build/demo.cfg" <<EOF
multiboot2 /boot/mote.elf console=com1,115200 focus=linux on-idle=poweroff
module2 /boot/vmlinuz kernel vm=linux mem=256M -- console=ttyS0 panic=-1
module2 /boot/initrd.gz initrd
module2 /boot/tick.bin kernel vm=tick type=flat mode=real load=0x7c00 mem=4M
EOF
extra=""
if [ -n "${VM:-}" ]; then
    image=${VM%% *}
    extra=$image
    echo "module2 /boot/$(basename "$image") ${VM#* }" >> "$build/demo.cfg"
fi
echo boot >> "$build/demo.cfg"
# shellcheck disable=SC2086
iso/mkiso.sh "$build/demo.iso" "$build/mote.elf" "$build/demo.cfg" "$build/linux/vmlinuz" "$build/linux/initrd.gz" \
    "$build/guests/tick.bin" $extra
