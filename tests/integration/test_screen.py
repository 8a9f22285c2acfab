"""console=fb: the text on the screen, by BIOS (VBE and text mode) and by UEFI. In QEMU only: Bochs offers no picture of its
screen to a program.

By BIOS, GRUB sets a VBE mode only for a kernel whose multiboot2 header asks for one. Mote's does not ask: GRUB 2.06 then
jumps to address 0 where Bochs' own VGA BIOS is in use. The tests give the header that tag, in place of its list of wanted
information."""

import re
import struct
import time

import pytest

from machine import ELF
from screen import Qmp, read_ppm, recognise

BEAT = "type=flat mode=long load=0x100000 mem=8M"
QUIT = "\x1dq"
# Depths of colour in QEMU's VBE modes; under UEFI GRUB passes on what firmware has set.
TAG_INFO, TAG_SCREEN, TAG_ALIGN, OPTIONAL = 1, 5, 6, 1
SCREENS = [("svm", "1024x768x32", (1024, 768)), ("svm", "800x600x24", (800, 600)), ("svm-uefi", None, None)]


def serial_lines(m, cols):
    """The serial line's text as a screen of that width shows it."""
    lines = re.sub(r"\r+\n", "\n", m.output.decode("ascii")).rstrip("\n").split("\n")
    return [line[i:i + cols].rstrip() for line in lines for i in range(0, max(len(line), 1), cols)]


def picture(m, qmp, name):
    path = m.workdir / name
    qmp.command("screendump", filename=str(path))
    return read_ppm(path)


@pytest.fixture(scope="module")
def vbe_elf(tmp_path_factory):
    image = ELF.read_bytes()
    wanted = re.search(struct.pack("<HHI", TAG_INFO, OPTIONAL, 32) + b".{24}", image, re.DOTALL)
    screen = struct.pack("<HHIIIII", TAG_SCREEN, OPTIONAL, 20, 1024, 768, 32, 0) + struct.pack("<HHI", TAG_ALIGN, 0, 8)
    path = tmp_path_factory.mktemp("vbe") / "mote.elf"
    path.write_bytes(image[:wanted.start()] + screen + image[wanted.end():])
    return path


def start(machine, backend, guests, cmdline, grub=("insmod all_video",), elf=ELF):
    qmp = Qmp()
    m = machine(backend=backend, vga="std", grub=grub, cmdline=cmdline, modules=guests, extra=qmp.options, elf=elf)
    qmp.connect()
    return m, qmp


def same_text(m, qmp):
    """Stop the machine when both show the same: the guests print on, and the screen follows 20 ms behind. Returns the
    picture's size and its lines; below the last one the cursor's line is empty."""
    for _ in range(40):
        time.sleep(0.2)
        qmp.command("stop")
        time.sleep(0.3)  # what the serial line holds reaches us
        width, height, pixels = picture(m, qmp, "screen.ppm")
        try:
            lines = recognise(width, height, pixels)
        except (AssertionError, KeyError):
            lines = ["stopped while a character was drawn"]
        serial = serial_lines(m, width // 8)[-(len(lines) - 1):]
        if lines == serial + [""] * (len(lines) - len(serial)):
            return width, height, lines
        qmp.command("cont")
    raise AssertionError("the screen is not what was printed:\n" + "\n".join(lines) + "\n---\n" + "\n".join(serial))


@pytest.mark.parametrize("backend,mode,size", SCREENS)
def test_text_on_the_screen(machine, guest, vbe_elf, backend, mode, size):
    """All that the serial line shows stands on the screen too, cell by cell, also when it has scrolled."""
    grub = ["insmod all_video"] + ([f"set gfxpayload={mode}"] if mode else [])
    m, qmp = start(machine, backend, [(guest("beat"), f"kernel vm={vm} {BEAT}") for vm in "ab"],
                   "console=com1,fb on-idle=poweroff", grub, vbe_elf if mode else ELF)
    m.wait_for(r"^\[b\] beat 1$", timeout=120)
    width, height, lines = same_text(m, qmp)
    if size:
        assert (width, height) == size
    qmp.command("cont")
    m.wait_for(rf"^\[b\] beat {height // 16}$", timeout=120)
    width, height, lines = same_text(m, qmp)
    assert lines[-1] == "" and all(lines[:-1]) and not any(line.startswith("MOTE: version=") for line in lines)  # scrolled
    qmp.command("cont")
    m.send(QUIT)
    assert m.finish() == 0


@pytest.mark.backends("svm")
def test_text_mode(machine, guest, backend):
    """GRUB leaves a BIOS machine in text mode: characters and attributes at B8000h."""
    m, qmp = start(machine, backend, [(guest("hello"), f"kernel vm=t {BEAT}")], "console=com1,fb on-idle=halt")
    m.wait_for(r"^MOTE: verdict=pass code=0\n", timeout=120)
    serial = serial_lines(m, 80)[-24:]
    deadline = time.monotonic() + 60
    while True:  # the screen comes behind
        qmp.command("human-monitor-command", **{"command-line": "pmemsave 0xb8000 4000 text.bin"})
        cells = (m.workdir / "text.bin").read_bytes()
        rows = [cells[i:i + 160] for i in range(0, 4000, 160)]
        lines = [bytes(row[0::2]).decode("ascii").rstrip() for row in rows]
        if lines == serial + [""] * (25 - len(serial)):
            break
        assert time.monotonic() < deadline, (lines, serial)
        time.sleep(0.2)
    assert {row[i] for row in rows for i in range(1, 160, 2)} == {7}


@pytest.mark.backends("svm", "svm-uefi")
def test_without_a_screen(machine, guest, backend):
    """console=fb where there is none: one line says so, and the others go on."""
    m = machine(backend=backend, cmdline="console=fb,com1 on-idle=exit:vm", modules=[(guest("hello"), f"kernel vm=t {BEAT}")])
    assert m.finish(timeout=120) == 0
    assert sum("console=fb left out" in line for line in m.lines) == 1
    assert "MOTE: log=warn console=fb left out: the loader gave no screen" in m.lines
    assert m.checks()


@pytest.mark.backends("svm")
def test_screen_alone(machine, guest, vbe_elf, backend):
    """console=fb and nothing else."""
    m, qmp = start(machine, backend, [(guest("hello"), f"kernel vm=t {BEAT}")], "console=fb on-idle=halt strict=off colour=red",
                   ["insmod all_video"], vbe_elf)
    deadline = time.monotonic() + 120
    while True:
        time.sleep(1)
        try:
            lines = recognise(*picture(m, qmp, "screen.ppm"))
        except (AssertionError, KeyError):
            lines = []  # GRUB's screen, or half a line of ours
        if "MOTE: verdict=pass code=0" in lines:
            break
        assert time.monotonic() < deadline, lines
    assert any("CHECK ud2 ok" in line for line in lines)
    assert any(line.startswith("MOTE: ev=config-error line=hypervisor key=colour ") for line in lines)  # older than the screen
    assert "verdict" not in m.text
