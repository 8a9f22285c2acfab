#!/bin/sh
# Build $1/demo.iso: Debian's Linux next to a 512-byte guest. Extra module lines for one more VM come from the variable VM,
# as `make run VM='path/to/image kernel vm=mine mem=16M'`.
set -eu
build=$1
set -f # no file names from its stars
# shellcheck disable=SC2086
set -- ${VM:-}
image=${1:-}
if [ $# -ne 0 ] && [ ! -f "$image" ]; then
    echo "VM='IMAGE kernel key=value ...': there is no file '$image'" >&2
    exit 1
fi
cat > "$build/demo.cfg" <<EOF
multiboot2 /boot/mote.elf console=com1,115200 focus=linux on-idle=poweroff
module2 /boot/vmlinuz kernel vm=linux mem=256M -- console=ttyS0 panic=-1
module2 /boot/initrd.gz initrd
module2 /boot/tick.bin kernel vm=tick type=flat mode=real load=0x7c00 mem=4M
EOF
extra=""
if [ $# -ne 0 ]; then # by a name of its own: it may be called as one of the demo's
    extra=$build/mine-$(basename "$image")
    ln -sf "$(realpath "$image")" "$extra"
    echo "module2 /boot/$(basename "$extra") ${VM#*"$image"}" >> "$build/demo.cfg"
fi
echo boot >> "$build/demo.cfg"
iso/mkiso.sh "$build/demo.iso" "$build/mote.elf" "$build/demo.cfg" "$build/linux/vmlinuz" "$build/linux/initrd.gz" \
    "$build/guests/tick.bin" ${extra:+"$extra"}
