"""Read the text on QEMU's screen: a picture of it, cut into cells and compared with the glyphs of drivers/screen_font.def."""

import json
import re
import shutil
import socket
import tempfile

from machine import ROOT

CELL_WIDTH, CELL_HEIGHT, LEFT = 8, 16, 1
BLACK = (0, 0, 0)
GREY = (0xAA, 0xAA, 0xAA)


def glyphs():
    """{rows of a cell, each a tuple of 8 booleans: character}"""
    found = {}
    for name, rows in re.findall(r"^GLYPH\('(\\?.)', (.*)\)$", (ROOT / "drivers" / "screen_font.def").read_text(), re.MULTILINE):
        lines = [int(row, 2) for row in rows.split(", ")]
        cell = tuple(tuple(bool(lines[y // 2] >> (4 + LEFT - x) & 1) if LEFT <= x < LEFT + 5 else False for x in range(CELL_WIDTH))
                     for y in range(CELL_HEIGHT))
        found[cell] = name[-1]
    assert len(found) == 95
    return found


class Qmp:
    """QEMU's monitor. The socket is made first and QEMU given the name (a path has at most 107 bytes)."""

    def __init__(self):
        self.folder = tempfile.mkdtemp()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(f"{self.folder}/q")
        self.listener.listen()
        self.listener.settimeout(60)
        self.options = ["-qmp", f"unix:{self.folder}/q"]

    def connect(self):
        self.socket = self.listener.accept()[0]
        shutil.rmtree(self.folder)
        self.file = self.socket.makefile("rw")
        self.file.readline()
        self.command("qmp_capabilities")

    def command(self, name, **arguments):
        self.file.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
        self.file.flush()
        while True:
            answer = json.loads(self.file.readline())
            if "event" not in answer:
                assert "error" not in answer, answer
                return answer["return"]


def read_ppm(path):
    """(width, height, bytes of three per pixel)"""
    magic, size, depth, pixels = path.read_bytes().split(b"\n", 3)
    width, height = map(int, size.split())
    assert (magic, depth, len(pixels)) == (b"P6", b"255", width * height * 3)
    return width, height, pixels


def recognise(width, height, pixels):
    """The lines of text on a picture. Every pixel counts: a cell that is no glyph of ours in grey on black fails."""
    known = glyphs()
    lines = []
    for row in range(height // CELL_HEIGHT):
        line = ""
        for col in range(width // CELL_WIDTH):
            cell = []
            for y in range(CELL_HEIGHT):
                at = ((row * CELL_HEIGHT + y) * width + col * CELL_WIDTH) * 3
                part = pixels[at:at + CELL_WIDTH * 3]
                colours = [tuple(part[i:i + 3]) for i in range(0, len(part), 3)]
                assert all(c in (BLACK, GREY) for c in colours), (row, col, colours)
                cell.append(tuple(c == GREY for c in colours))
            line += known[tuple(cell)]
        lines.append(line.rstrip())
    return lines
