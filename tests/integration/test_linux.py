"""Debian's real kernel reaches a shell, takes typed input, powers off and reboots: each seen by the host as what it is."""

import os
import re

import pytest

from session import ESCAPE, Session

PROMPT = r"mote-linux# "


def shell(machine, linux, backend, options="vm=linux mem=256M", more=""):
    m = machine(backend=backend, modules=linux(options, f"console=ttyS0 panic=-1 {more}".rstrip()))
    m.wait_for(r"^(?:\[linux\] )?linux-init: 6\.\d+\.\d+-\S+-amd64 cpus=1 mem=\d+kB", timeout=240)
    m.wait_for(PROMPT, timeout=60)
    return m


@pytest.mark.backends("svm", "svm-uefi", "bochs-vmx", "bochs-svm")
def test_linux_shell_and_poweroff(machine, linux, backend):
    m = shell(machine, linux, backend)
    m.send("echo to''ken=$((6*7))\n")
    m.wait_for(r"^token=42$", timeout=60)
    m.send("poweroff -f\n")
    assert m.finish(timeout=120) == 0
    ends = [e for e in m.events("linux") if e.get("ev") in ("exit", "crash")]
    assert [e["reason"] for e in ends] == ["poweroff"]
    assert m.events("linux", "freed")[0]["leaked-frames"] == "0"


@pytest.mark.backends("svm")
def test_linux_reboot(machine, linux, backend):
    """And a second serial port, which Linux finds by ACPI, prints and hears at a console of its own; all of it with the PIC's
    interrupts beside the local APIC's."""
    m = shell(machine, linux, backend, "vm=linux mem=256M uart=com1,com2", "noapic")
    assert re.search(r"00:\d+: ttyS1 at I/O 0x2f8 \(irq = 3", m.text)
    m.send("grep ttyS0 /proc/interrupts\n")
    m.wait_for(r"^\[linux\] +4: +\d+ +XT-PIC +ttyS0\n")
    m.send("exec 3<>/dev/ttyS1; stty -echo <&3; echo to''com2 >&3; head -n 1 <&3; echo heard''it\n")
    m.wait_for(r"^\[linux:com2\] tocom2\n")
    m.send(f"{ESCAPE}2typed there\r")
    m.wait_for(r"^\[linux\] typed there\n")
    m.wait_for(r"^\[linux\] heardit\n")
    m.send(f"{ESCAPE}1")
    m.wait_for(r"^MOTE: console focus=linux\n")
    m.send("reboot -f\n")
    assert m.finish(timeout=120) == 0
    assert [e["reason"] for e in m.events("linux", "exit")] == ["reset"]


@pytest.mark.backends("svm")
def test_linux_works(machine, linux, backend):
    """Real work: a checksum of known data, a sleep, a pipe; devices by ACPI; and no complaint of the kernel's about its
    PC, as an error or a warning. That there is no MMCONFIG is none, nor what it says of a TSC and timers in QEMU, where an
    exit takes so long that Linux cannot calibrate them."""
    m = shell(machine, linux, backend)
    m.send("dd if=/dev/zero bs=1M count=16 2>/dev/null | sha256sum\n")
    m.wait_for(r"^080acf35a507ac9849cfcba47dc2ad83e01b75663a516279c8b9d243b719643e", timeout=120)
    start = len(m.text)
    m.send("dmesg -r | grep -E '^<[0-4]>' | grep -viE 'MMCONFIG|clocksource|tsc|hrtimer'; echo complaints-e''nd\n")
    end = m.wait_for(r"^complaints-end\n", timeout=60, start=start).start()
    assert re.findall(r"^<\d>.*", m.text[start:end], re.MULTILINE) == []
    for found in (r"PnP ACPI: found 2 devices", r"00:\d+: ttyS0 at I/O 0x3f8 \(irq = 4", r"rtc_cmos 00:\d+: registered as rtc0",
                  r"x86/PAT: Configuration \[0-7\]: WB  WC  UC- UC  WB  WP  UC- WT", r"PCI host bridge to bus 0000:00"):
        assert re.search(found, m.text), found
    m.send("poweroff -f\n")
    assert m.finish(timeout=120) == 0


def silence(m):
    """The device is opened and closed, so that nobody kicks: the VM crashes, and a fresh Linux starts. Where that one begins."""
    m.send("echo 1 >/dev/watchdog; echo s''ilent\n")
    start = m.wait_for(r"^MOTE: vm=linux ev=start(?s:.*)^MOTE: vm=linux ev=start .*\n", timeout=240).end()
    (crash,) = m.events("linux", "crash")
    assert (crash["reason"], crash["after-ms"]) == ("watchdog", "15000") and int(crash["kicks"]) >= 3
    assert "silent" in m.lines
    m.wait_for(PROMPT, timeout=240, start=start)
    return start


@pytest.mark.backends("svm", "bochs-vmx", *(["bochs-svm"] if os.environ.get("MOTE_FULL") else []))
def test_linux_watchdog_and_button(machine, linux, backend):
    """watchdog= with Debian's driver: it finds the table, and kicks until somebody opens the device, who then has to; silence is a
    crash, on-crash=restart a fresh Linux. Then the monitor's stop is the power button, and the VM stays down."""
    m = machine(backend=backend, cmdline="console=com1 on-idle=poweroff",
                modules=linux("vm=linux mem=256M watchdog=600s on-crash=restart on-exit=restart", "console=ttyS0 quiet"))
    m.wait_for(PROMPT, timeout=240)
    m.send("cd /lib/modules; insmod watchdog.ko; insmod wdat_wdt.ko timeout=15; cat /sys/class/watchdog/watchdog0/identity\n")
    m.wait_for(r"^wdat_wdt\n")
    m.send("sleep 17; echo a''wake $(cat /sys/class/watchdog/watchdog0/timeleft)\n")
    left = int(m.wait_for(r"^awake (\d+)\n", timeout=120).group(1))
    assert left <= 15 and not m.events("linux", "crash")
    start = silence(m)
    m.send("cd /lib/modules; insmod button.ko; insmod evdev.ko; exec 3</dev/input/event0; echo op''en\n")
    m.wait_for(r"^open\n", start=start)
    m.send("(hexdump -n 24 <&3; poweroff -f) &\n")
    assert Session(m).enter().run("stop linux") == ["ok"]
    m.wait_for(r"^MOTE: vm=linux ev=exit reason=poweroff code=0 .*\n", start=start)
    m.send(f"{ESCAPE}q")
    assert m.finish(timeout=120) == 0
    assert len(m.events("linux", "start")) == 2
    assert {e["leaked-frames"] for e in m.events("linux", "freed")} == {"0"}
