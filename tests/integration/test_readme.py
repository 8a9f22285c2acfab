"""What the README says works as written: its guest, its module lines, its commands' names, the keys of the console."""

import re
import subprocess

import pytest

from machine import BUILD, ROOT

README = (ROOT / "README.md").read_text()


def block(language, nth=0):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)[nth]


@pytest.fixture(scope="module")
def hello():
    """The README's smallest guest, assembled by the README's command."""
    folder = BUILD / "tests" / "readme"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "hello.asm").write_text(block("nasm"))
    subprocess.run(["nasm", "-f", "bin", "hello.asm", "-o", "hello.bin"], cwd=folder, check=True)
    return folder / "hello.bin"


@pytest.mark.backends("svm", "bochs-vmx", "bochs-svm")
def test_smallest_guest(machine, hello, backend):
    options = re.search(r"hello\.bin (kernel vm=t1 .*)", block("text", 1)).group(1)
    m = machine(backend=backend, modules=[(hello, options)])
    assert m.finish() == 0
    assert re.search(r"^hello$", m.text, re.MULTILINE)
    assert [(e["reason"], e["code"]) for e in m.events("t1", "exit")] == [("port", "0")]


@pytest.mark.backends("svm")
def test_module_lines(machine, linux, hello, backend):
    """The README's set-up: Linux with two CPUs beside the small guest; both end, and so does the machine."""
    lines = block("text", 1).strip().split("\n")
    kernel = re.search(r"kernel vm=linux.*", lines[1]).group(0)
    m = machine(backend=backend, cpus=2, cmdline=lines[0].split(" ", 2)[2],
                modules=[(linux()[0][0], kernel), linux()[1], (hello, re.search(r"kernel vm=t1.*", lines[3]).group(0))])
    m.wait_for(r"^\[linux\] linux-init: .* cpus=2 ", timeout=240)
    m.wait_for(r"^\[linux\] mote-linux# ", timeout=60)
    m.send("poweroff -f\n")
    assert m.finish(timeout=120) == 0
    assert m.events("t1", "exit") and m.events("linux", "exit")[0]["reason"] == "poweroff"


@pytest.mark.backends("svm")
def test_keys_of_the_demo(machine, linux, guest, backend):
    """make run's demo: both guests show, h helps, n switches, m is the monitor, q ends the machine."""
    m = machine(backend=backend, cpus=2, cmdline="console=com1,115200 focus=linux on-idle=poweroff", modules=[
        *linux(), (guest("tick"), "kernel vm=tick type=flat mode=real load=0x7c00 mem=4M")])
    m.wait_for(r"^\[tick\] tick: a 512-byte real-mode guest is alive, line 0$", timeout=60)
    m.wait_for(r"^\[linux\] mote-linux# ", timeout=240)
    m.send("\x1dh")
    m.wait_for(r"^MOTE: console escape=\^\] .*q=quit", timeout=30)
    m.send("\x1dn")
    m.wait_for(r"^MOTE: console focus=tick$", timeout=30)
    m.send("\x1dm")
    m.wait_for(r"^mote> ", timeout=30)
    m.send("vms\r")
    m.wait_for(r"^tick +running", timeout=30)
    m.send("\x1dq")
    assert m.finish(timeout=60) == 0


def test_targets_exist():
    """Every make target that the README names is one that `make help` lists or that make can plan."""
    for target in sorted(set(re.findall(r"`make ([a-z-]+)", README)) | set(re.findall(r"^make ([a-z-]+)$", README, re.MULTILINE))):
        plan = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
        assert plan.returncode == 0, f"make {target}: {plan.stderr}"


def test_links_exist():
    for path in re.findall(r"\]\(([^)]+)\)", README):
        assert (ROOT / path).exists(), path
