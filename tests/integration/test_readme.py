"""What the README says works as written: its guest, its module lines, its commands' names, the keys of the console."""

import os
import pathlib
import pty
import re
import select
import shutil
import subprocess
import tempfile
import time

import pytest

from machine import BUILD, ROOT

README = (ROOT / "README.md").read_text()


def block(language, nth=0):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)[nth]


@pytest.fixture(scope="module")
def hello(tmp_path_factory):
    """The README's smallest guest, assembled by the README's command. In a folder that no other worker has."""
    folder = tmp_path_factory.mktemp("readme")
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


def typed(command, patterns, keys):
    """Run a command in a terminal, wait for each pattern in turn, then press the keys; what it showed, and its status."""
    master, slave = pty.openpty()
    process = subprocess.Popen(command, shell=True, cwd=ROOT, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
    os.close(slave)
    shown, deadline = "", time.monotonic() + 900
    try:
        while process.poll() is None:
            assert time.monotonic() < deadline, f"no {patterns[:1] or 'end'} in:\n{shown}"
            if not select.select([master], [], [], 1)[0]:
                continue
            try:
                shown += os.read(master, 65536).decode(errors="replace").replace("\r", "")
            except OSError:  # the last of those who held the terminal's other end is gone
                break
            while patterns and re.search(patterns[0], shown, re.MULTILINE):
                patterns = patterns[1:]
                if not patterns:
                    os.write(master, keys)
        assert not patterns, f"no {patterns[0]} in:\n{shown}"
        return shown, process.wait(timeout=120)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, 9)
        os.close(master)


def test_make_run(linux, hello):
    """The README's make run VM=... and make run-vmx: the lines that it promises, the guest's own, and how to leave."""
    line = re.search(r"`(make run VM=.*)` runs it", README).group(1).replace("hello.bin", str(hello), 1)
    lines = [re.sub(r"6\\\.1\\\.0\\-\d+|223764", r"[0-9.-]+", re.escape(line)) for line in block("text").splitlines()]
    wanted = [rf"^{line}" for line in lines if not line.startswith("MOTE")]
    shown, status = typed(line, [r"^== leave with Ctrl-\] q", r"^\[t1\] hello$", *wanted], b"\x1dq")
    assert status == 0 and re.search(r"^MOTE: verdict=\w+ code=0$", shown, re.MULTILINE), shown
    for promised in (line for line in lines if line.startswith("MOTE")):
        assert re.search(rf"^{promised}$", shown, re.MULTILINE), promised

    run = subprocess.run(["tests/tools/demo.sh", BUILD], cwd=ROOT, env={**os.environ, "VM": "no-file kernel vm=x"}, capture_output=True,
                         text=True, check=False)
    assert (run.returncode, run.stderr) == (1, "VM='IMAGE kernel key=value ...': there is no file 'no-file'\n")

    # The same demo in Bochs, where the small guest is there long before Linux is. (One test: both write the demo's ISO.)
    shown, status = typed("make run-vmx", [r"^\[tick\] tick: a 512-byte real-mode guest is alive, line 0$"], b"\x1dq")
    assert status == 0 and re.search(r"^MOTE: backend=vmx vendor=GenuineIntel ", shown, re.MULTILINE), shown
    assert re.search(r"^MOTE: verdict=\w+ code=0$", shown, re.MULTILINE), shown


def test_make_run_without_the_right_to_install():
    """As nobody, on a machine that has no package: the one line that installs them, and no more."""
    if os.getuid() != 0:
        pytest.skip("root alone can become nobody, who has no sudo")
    with tempfile.TemporaryDirectory() as name:  # the checkout may lie where nobody has no way to
        folder = pathlib.Path(name)
        (folder / "info").mkdir()
        (folder / "updates").mkdir()
        (folder / "status").touch()
        shutil.copy(ROOT / "tests" / "tools" / "deps.sh", folder)
        folder.chmod(0o755)
        run = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "./deps.sh"], cwd=folder,
                             env={**os.environ, "DPKG_ADMINDIR": name}, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert re.fullmatch(r"Mote needs some Debian packages\. As root, run this line, then try again:\n"
                        r"  apt-get update && apt-get install -y --no-install-recommends [a-z0-9 -]* qemu-system-x86 [a-z0-9 -]*\n",
                        run.stdout), run.stdout


def test_targets_exist():
    """Every make target that the README names is one that `make help` lists or that make can plan; each block has a test here."""
    assert re.findall(r"^```(\w+)\n", README, re.MULTILINE) == ["sh", "text", "text", "nasm"]
    assert block("sh") == "make run\nmake test\n"
    for target in sorted(set(re.findall(r"`make ([a-z-]+)", README)) | set(re.findall(r"^make ([a-z-]+)$", README, re.MULTILINE))):
        plan = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
        assert plan.returncode == 0, f"make {target}: {plan.stderr}"


def test_links_exist():
    for path in re.findall(r"\]\(([^)]+)\)", README):
        assert (ROOT / path).exists(), path
