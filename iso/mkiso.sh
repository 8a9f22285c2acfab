#!/bin/sh
# mkiso.sh OUT.iso MOTE.elf GRUB_CFG [FILE...]: one hybrid ISO that boots by BIOS, by UEFI and from a USB stick. The kernel
# becomes /boot/mote.elf, each FILE /boot/<its name>, GRUB_CFG GRUB's configuration.
# Needs grub-mkrescue, grub-pc-bin, grub-efi-amd64-bin, xorriso, mtools, binutils. Only the GRUB modules that we use are put in:
# that makes it fast enough (a quarter of a second) to build one ISO per test.
set -eu

if [ $# -lt 3 ]; then
    echo "usage: $0 OUT.iso MOTE.elf GRUB_CFG [FILE...]" >&2
    exit 2
fi
out=$1 kernel=$2 cfg=$3
shift 3

for tool in grub-mkrescue xorriso mformat objcopy; do
    if ! command -v $tool >/dev/null; then
        echo "$0: $tool is missing: apt-get install grub-common grub-pc-bin grub-efi-amd64-bin xorriso mtools binutils" >&2
        exit 1
    fi
done

tree=$(mktemp -d)
log=$tree.log
trap 'rm -rf "$tree" "$log"' EXIT
mkdir -p "$tree/boot/grub" "$(dirname "$out")"
objcopy --strip-debug "$kernel" "$tree/boot/mote.elf" # GRUB would read every section
cp "$cfg" "$tree/boot/grub/grub.cfg"
for file in "$@"; do
    cp "$file" "$tree/boot/"
done

modules="normal multiboot2 iso9660 fat part_msdos part_gpt search search_fs_file configfile echo serial terminal all_video test ls cat reboot halt gzio minicmd acpi"
if ! grub-mkrescue --install-modules="$modules" --fonts= --locales= --themes= -o "$out" "$tree" \
    >"$log" 2>&1; then
    cat "$log" >&2
    exit 1
fi
