#!/bin/sh
# Say what this machine has and lacks for building and testing Mote.
set -u
. /etc/os-release
echo "system:  ${PRETTY_NAME:-unknown}"
[ "${VERSION_CODENAME:-}" = bookworm ] || echo "         (Mote is developed on Debian 12 bookworm; elsewhere package names may differ)"
echo "cores:   $(nproc)"
echo "memory:  $(awk '/MemTotal/ { printf "%d MiB", $2 / 1024 }' /proc/meminfo)"
if "$(dirname "$0")/deps.sh" --check; then
    echo "tools:   all there"
    for t in "gcc --version" "clang --version" "nasm -v" "qemu-system-x86_64 --version" "gdb --version" "xorriso --version"; do
        echo "         $($t 2>/dev/null | head -n 1)"
    done
fi
