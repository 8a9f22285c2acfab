"""A session with the monitor over the serial line, and the guest beat that it operates."""

import json
import os
import re
import time

from machine import SLOWNESS, whole_lines

ESCAPE = "\x1d"
PROMPT = "mote> "


def typed_line(line):
    """What a terminal shows of a line with backspaces in it, up to the cursor or to the last character."""
    shown, at = [], 0
    for c in line:
        if c == "\b":
            at -= 1
        else:
            shown[at:at + 1] = c
            at += 1
    text = "".join(shown)
    return text[:max(at, len(text.rstrip()))]


class Session:
    """Types commands and collects what the monitor answers; whole lines of guests and events may come in between."""

    def __init__(self, machine):
        self.m = machine

    def enter(self):
        start = len(self.m.text)
        self.m.send(ESCAPE + "m")
        self.m.wait_for(r"^mote> ", start=start)
        return self

    def monitor_lines(self, start):
        """The monitor's lines since start. One that was cut by another's line shows again after it: it counts once, and
        not while it is still on its way. (No answer is empty: the prompt alone never follows the command at once.)"""
        lines, cut = [], False
        shown = self.m.text[start:].split("\n")
        for at, line in enumerate(shown):
            if not line:
                continue
            if line.startswith("MOTE: ") or re.match(r"\[[\w.:-]+\] ", line):
                cut = True
                continue
            if cut and lines and line.startswith(lines[-1]):
                lines.pop()
            elif cut and lines and at == len(shown) - 1 and lines[-1].startswith(line):
                break
            cut = False
            lines.append(line)
        return [typed_line(line) for line in lines]

    def mark(self):
        """Where the line begins that is being printed: the prompt, or another's."""
        return self.m.text.rfind("\n") + 1

    def answered(self, start, timeout=60, prompts=1):
        """Wait for the prompt that follows what was typed at start; the lines between."""
        deadline = time.monotonic() + timeout * 4
        while True:
            lines = self.monitor_lines(start)
            ends = [i for i, line in enumerate(lines) if line.startswith(PROMPT)]
            if lines and lines[-1] == PROMPT and len(ends) > prompts:
                return lines[:-1]
            assert time.monotonic() < deadline, "no prompt after:\n" + "\n".join(lines)
            with self.m.lock:
                self.m.lock.wait(timeout=0.2)

    def paste(self, commands, timeout=60):
        """Type many commands at once; each must answer ok. The monitor reads the next one when the last is done."""
        with self.m.lock:
            start = len(self.m.output)
        os.write(self.m.master, "".join(f"{command}\r" for command in commands).encode())
        deadline = time.monotonic() + timeout * SLOWNESS[self.m.backend]
        while True:
            with self.m.lock:
                shown = self.m.output[start:]
                answers = len(re.findall(rb"\nok\r+(?=\n)", shown))  # QEMU's terminal doubles line ends
                if answers >= len(commands) or b"\nerror: " in shown or time.monotonic() > deadline:
                    break
                self.m.lock.wait(timeout=0.2)
        assert b"\nerror: " not in shown and answers == len(commands), shown.decode(errors="replace")

    def run(self, line, timeout=60):
        start = self.mark()
        self.m.send(line + "\r")
        shown = self.answered(start, timeout)
        assert shown[0] == PROMPT + line, shown
        return shown[1:]

    def json(self, line):
        return json.loads("\n".join(self.run(line)))

    def state(self, vm):
        return {entry["name"]: entry for entry in self.json("vms --json")}[vm]["state"]

    def wait_state(self, vm, state, tries=100):
        for _ in range(tries):
            if self.state(vm) == state:
                return
        raise AssertionError(f"{vm} is {self.state(vm)}, not {state}")


def beats(text, vm):
    """The numbers that the VM printed."""
    return [int(line.removeprefix("beat ")) for line in whole_lines(text, vm) if re.fullmatch(r"beat \d+", line)]


def wait_beats(m, vm, count):
    """Wait until the VM has printed count more numbers from now on; they follow each other without a gap."""
    start = len(m.text)
    for _ in range(count):
        start = m.wait_for(rf"^\[{vm}\] beat \d+\n", start=start).end()
    return start


def consecutive(numbers):
    return numbers == list(range(numbers[0], numbers[0] + len(numbers)))
