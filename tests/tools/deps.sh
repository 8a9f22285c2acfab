#!/bin/sh
# Install what is missing on Debian 12, or, without the right to, print the one line that does it and stop.
# With --check only report. The list is the only one; README and CI refer to it.
set -eu
packages="make gcc libc6-dev nasm binutils clang llvm lld libclang-rt-14-dev clang-tidy cppcheck gdb libcmocka-dev
python3 python3-pytest python3-pytest-xdist grub-common grub-pc-bin grub-efi-amd64-bin xorriso mtools dosfstools
qemu-system-x86 ovmf seabios bochs bochsbios vgabios bochs-term busybox-static cpio gzip xz-utils"
missing=""
for p in $packages; do
    dpkg-query -W -f '${db:Status-Status}\n' "$p" 2>/dev/null | grep -qx installed || missing="$missing $p"
done
[ -n "$missing" ] || exit 0
line="apt-get update && apt-get install -y --no-install-recommends$missing"
if [ "${1:-}" = --check ]; then
    echo "missing packages:$missing"
    echo "install them with: sudo sh -c '$line'"
    exit 1
fi
if [ "$(id -u)" = 0 ]; then
    run=""
elif sudo -n true 2>/dev/null; then
    run="sudo"
else
    echo "Mote needs some Debian packages. As root, run this line, then try again:"
    echo "  $line"
    exit 1
fi
echo "installing:$missing"
# shellcheck disable=SC2086
if ! $run apt-get update -qq || ! $run env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null; then
    echo "Mote needs these packages, and apt could not install them: it says above why. Is the network there?" >&2
    exit 1
fi
