"""Linux with several vCPUs on few CPUs: every CPU found, real work in parallel, time that runs as it should, no complaint.

Every combination takes an hour on two cores; MOTE_FULL=1 asks for it. Otherwise a few stand for the rest.
"""

import hashlib
import os
import re
import time

import pytest

from test_monitor import Session

PROMPT = r"mote-linux# "
# The clock-source watchdog is left out: QEMU's TSC is not invariant, and a busy machine shows long pauses.
COMPLAINTS = "call trace|BUG:|soft lockup|hard lockup|rcu.*stall|not responding|bad FPU state|segfault|general protection"

# kernel, backend, vCPUs, CPUs
CHOSEN = [("vmlinuz", "svm", 2, 1), ("vmlinuz", "svm", 4, 2), ("vmlinuz-std", "svm", 2, 2), ("vmlinuz", "bochs-vmx", 2, 1),
          ("vmlinuz", "bochs-svm", 2, 1)]
ALL = [(kernel, "svm", vcpus, cpus) for kernel in ("vmlinuz", "vmlinuz-std") for vcpus in (1, 2, 4) for cpus in (1, 2)]
ALL += [row for row in CHOSEN if row not in ALL]
ALL += [("vmlinuz", "svm", 4, 2)] * 19  # with the one above: 20 boots out of 20


def work(m, mib):
    """Four checksums at once, each of its own data."""
    m.send("for i in 1 2 3 4; do (echo $i; dd if=/dev/zero bs=64k count=%d 2>/dev/null) | sha256sum "
           ">/tmp/$i & done; wait\n" % (mib * 16))
    m.send("for i in 1 2 3 4; do echo; echo sum$i=$(cat /tmp/$i); done; echo all-do''ne\n")
    m.wait_for(r"^all-done$", timeout=200)
    sums = dict(re.findall(r"^sum(\d)=([0-9a-f]{64})", m.text, re.MULTILINE))
    assert sums == {str(i): hashlib.sha256(b"%d\n" % i + bytes(mib << 20)).hexdigest() for i in range(1, 5)}


def sleep_one(m, tries=15):
    """A sleep of a second, without what its process takes: the best of a few, as QEMU's time is a busy machine's."""
    best = 0
    for n in range(tries):
        m.send("read a x </proc/uptime; sleep 0; read b x </proc/uptime; sleep 1; read c x </proc/uptime\n")
        m.send(f"echo sl''ept{n} $a $b $c\n")
        match = m.wait_for(rf"^slept{n} ([\d.]+) ([\d.]+) ([\d.]+)\n", timeout=60)  # the whole line: half a number is another
        a, b, c = (float(text) for text in match.groups())
        best = min(best, c - b - (b - a), key=lambda slept: abs(slept - 1))
        if abs(best - 1) <= 0.05:
            break
    return best


def uptime(m, tag):
    """In seconds, and the clock source. The prompt behind it tells that the line's end has come: without it Mote would
    show the line again when the monitor has the wire."""
    m.send(f"echo t{tag[0]}''{tag[1:]} $(cut -d' ' -f1 /proc/uptime) $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)\n")
    match = m.wait_for(rf"^t{tag} ([\d.]+) (\S+)\n+{PROMPT}", timeout=60)
    return float(match.group(1)), match.group(2)


def pause(m, seconds):
    """The monitor stops the VM for longer than Linux would let a CPU be stuck: its clock goes on, never back, and it says nothing."""
    s = Session(m)
    # A CPU that idles forgives; these are busy.
    m.send("echo 2 >/proc/sys/kernel/watchdog_thresh; (while [ ! -e /tmp/stop ]; do :; done) & (p=0; "
           "while [ ! -e /tmp/stop ]; do n=$(date +%s); [ $n -lt $p ] && echo ba''ck; p=$n; done) &\n")
    before, source = uptime(m, "before")
    s.enter()
    assert s.run("pause linux") == ["ok"]
    time.sleep(1)
    exits = s.json("exits --json")
    time.sleep(seconds)
    assert s.json("exits --json") == exits  # nothing runs
    assert s.run("resume linux") == ["ok"]
    m.send("\x1dn")
    after, source_now = uptime(m, "after")
    assert after - before >= 0.9 * seconds and source_now == source, (before, after, source_now)
    m.send("sleep 3; touch /tmp/stop; echo 10 >/proc/sys/kernel/watchdog_thresh; echo do''ne-pausing\n")
    m.wait_for(r"^done-pausing\n", timeout=60)
    assert "\nback\n" not in m.text


@pytest.mark.parametrize("kernel,where,vcpus,cpus", ALL if os.environ.get("MOTE_FULL") else CHOSEN)
def test_linux_smp(machine, linux, kernel, where, vcpus, cpus):
    m = machine(backend=where, cpus=cpus, memory=768, cmdline="console=com1 on-idle=poweroff",
                modules=linux(f"vm=linux mem=512M vcpus={vcpus}", kernel=kernel))
    m.wait_for(rf"^linux-init: 6\.\d+\.\d+-\S+-amd64 cpus={vcpus} mem=\d+kB", timeout=300)
    m.wait_for(PROMPT, timeout=60)
    m.send("echo cp''us=$(nproc)\n")
    assert m.wait_for(r"^cpus=(\d+)\n", timeout=60).group(1) == str(vcpus)
    work(m, 1 if where.startswith("bochs") else 64 if os.environ.get("MOTE_FULL") else 8)
    slept = sleep_one(m)
    assert 0.95 <= slept <= 1.05, slept
    pause(m, 65 if os.environ.get("MOTE_FULL") and where == "svm" else 7)
    m.send(f"dmesg | grep -iE '{COMPLAINTS}'; echo complaints=$(dmesg | grep -ciE '{COMPLAINTS}')\n")
    assert m.wait_for(r"^complaints=(\d+)\n", timeout=60).group(1) == "0"
    # In Bochs, where a boot of Linux takes a minute, this one shows the reset that test_linux.py shows on svm.
    command, reason = ("reboot", "reset") if where.startswith("bochs") else ("poweroff", "poweroff")
    m.send(f"{command} -f\n")
    assert m.finish(timeout=120) == 0
    assert [e["reason"] for e in m.events("linux", "exit")] == [reason]
    assert m.events("linux", "freed")[0]["leaked-frames"] == "0"
