#!/bin/sh
# Put Debian's real cloud kernel and a busybox initramfs into the directory $1: vmlinuz, initrd.gz; with "std" as $2 the
# standard kernel as well, vmlinuz-std, the memory tester, memtest64 and memtest32, and other systems, foreign-*. Idempotent.
# The kernel package is downloaded and unpacked, never installed. The initramfs init is tests/guests/linux/init.
set -eu
out=$1
here=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$out"
out=$(cd "$out" && pwd)

work='' unpacked='' package=''
trap 'rm -rf "$work"' EXIT

# unpack PACKAGE PATTERN FILE: the one file of the package that the pattern names
unpack() {
    [ ! -s "$out/$3" ] || return 0
    if [ "$unpacked" != "$1" ]; then
        rm -rf "$work"
        work=$(mktemp -d)
        chmod 755 "$work"
        (cd "$work" && apt-get -o APT::Sandbox::User=root download -qq "$1") && dpkg-deb -x "$work"/*.deb "$work/root" || {
            echo "fetch-linux: no $1 from Debian's mirror (see above). Is the network there, and 'apt-get update' not long ago?" >&2
            return 1
        }
        unpacked=$1
    fi
    # shellcheck disable=SC2086
    cp "$work"/root/$2 "$out/$3.part" && mv "$out/$3.part" "$out/$3"
}

# packed PACKAGE PATTERN FILE: the same of a file that is compressed
packed() {
    [ ! -s "$out/$3" ] || return 0
    unpack "$1" "$2" "$3.gz" && gzip -d -c "$out/$3.gz" > "$out/$3.part" && mv "$out/$3.part" "$out/$3" && rm "$out/$3.gz"
}

# fetch PACKAGE FILE: the kernel that the metapackage depends on
fetch() {
    [ ! -s "$out/$2" ] || return 0
    package=$(apt-cache depends "$1" | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
    if [ -z "$package" ]; then
        echo "fetch-linux: apt knows no $1; run 'apt-get update' first" >&2
        exit 1
    fi
    unpack "$package" "boot/vmlinuz-*" "$2"
}

# The drivers that a watchdog and a power button want, of that very kernel.
modules="watchdog/watchdog watchdog/wdat_wdt acpi/button input/evdev"
for module in $modules; do
    [ -s "$out/${module#*/}.ko" ] || rm -f "$out/vmlinuz"
done
fetch linux-image-cloud-amd64 vmlinuz
for module in $modules; do
    unpack "$package" "lib/modules/*/kernel/drivers/$module.ko" "${module#*/}.ko"
done
if [ "${2:-}" = std ]; then
    fetch linux-image-amd64 vmlinuz-std
    unpack memtest86+ boot/memtest86+x64.bin memtest64
    unpack memtest86+ boot/memtest86+ia32.bin memtest32
    unpack u-boot-qemu usr/lib/u-boot/qemu-x86/u-boot.rom foreign-uboot32 &&
        unpack u-boot-qemu usr/lib/u-boot/qemu-x86_64/u-boot.rom foreign-uboot64 &&
        packed xen-hypervisor-4.17-amd64 boot/xen-4.17-amd64.gz foreign-xen &&
        packed gnumach-image-1.8-486 boot/gnumach-1.8-486.gz foreign-gnumach ||
        echo "fetch-linux: not all of Xen, GNU Mach and U-Boot; their test is left out" >&2
fi
if [ "$0" -nt "$out/initrd.gz" ] || [ "$here/tests/guests/linux/init" -nt "$out/initrd.gz" ] || [ ! -s "$out/initrd.gz" ]; then
    root=$(mktemp -d)
    mkdir -p "$root/bin" "$root/dev" "$root/lib/modules" "$root/proc" "$root/sys" "$root/tmp"
    cp "$out"/*.ko "$root/lib/modules"
    cp /bin/busybox "$root/bin/busybox"
    for applet in sh cat echo ls mount poweroff reboot halt sleep uname dmesg ps free date sha256sum head wc grep mkdir \
        mknod insmod stty getty cttyhack setsid hexdump devmem test true sed dd cut sort vi nproc yes; do
        ln -s busybox "$root/bin/$applet"
    done
    install -m 755 "$here/tests/guests/linux/init" "$root/init"
    (cd "$root" && find . | LC_ALL=C sort | cpio -o -H newc --quiet --reproducible -R 0:0 | gzip -9n) > "$out/initrd.gz.part"
    mv "$out/initrd.gz.part" "$out/initrd.gz"
    rm -rf "$root"
fi
