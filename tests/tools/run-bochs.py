#!/usr/bin/env python3
"""Boot an ISO in Bochs on an emulated Intel CPU with VMX, this terminal being COM1. Leave with Ctrl-] q."""

import argparse
import os
import pathlib
import select
import sys
import tempfile
import termios
import tty

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from machine import Machine  # noqa: E402


class Demo(Machine):
    """A machine whose ISO is ready."""

    def __init__(self, workdir, iso, **options):
        super().__init__(workdir, **options)
        self.iso = pathlib.Path(iso).resolve()

    def _build_iso(self):
        return self.iso


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("iso")
    parser.add_argument("--backend", default="bochs-vmx", choices=["bochs-vmx", "bochs-svm"])
    parser.add_argument("--cpus", type=int, default=1)
    args = parser.parse_args()
    terminal = sys.stdin.fileno()
    saved = termios.tcgetattr(terminal) if os.isatty(terminal) else None
    with tempfile.TemporaryDirectory() as workdir, Demo(workdir, args.iso, backend=args.backend, cpus=args.cpus) as demo:
        shown = 0
        try:
            if saved:
                tty.setraw(terminal)
            while demo.process.poll() is None or shown < len(demo.output):
                new = demo.output[shown:]
                shown += len(new)
                os.write(sys.stdout.fileno(), new)
                if select.select([terminal], [], [], 0.05)[0]:
                    typed = os.read(terminal, 16)
                    if typed:
                        os.write(demo.master, typed)
        finally:
            if saved:
                termios.tcsetattr(terminal, termios.TCSADRAIN, saved)


if __name__ == "__main__":
    main()
