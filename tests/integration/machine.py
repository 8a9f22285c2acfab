"""Run Mote in an emulator: build an ISO, boot it, read its serial line, type into it, take its verdict.

A backend is an emulator with a CPU: svm (QEMU, BIOS), svm-uefi (QEMU, OVMF), bochs-vmx, bochs-svm. The verdict comes
from the serial line and, where the emulator has one, from its exit status; the two must agree.
"""

import codecs
import fcntl
import io
import os
import pathlib
import pty
import re
import select
import shutil
import subprocess
import termios
import threading
import time
import tty

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "x86_64"
ELF = BUILD / "mote.elf"

# Emulator speed differs by an order of magnitude and machines are shared: time-outs are generous, counts decide.
SLOWNESS = {"svm": 1, "svm-uefi": 2, "bochs-vmx": 4, "bochs-svm": 4}
QEMU_STATUS_BASE = 0x10  # isa-debug-exit: status = ((0x10 + code) << 1) | 1
# Debian's Bochs points at a VGA BIOS of another package, which may be missing; QEMU's does as well.
VGA_BIOS = next((p for p in ("/usr/share/bochs/VGABIOS-lgpl-latest", "/usr/share/seabios/vgabios-stdvga.bin") if os.path.exists(p)), "")
PIPE_BYTES = 1 << 20
BOCHS_CPU = {"bochs-vmx": "corei7_skylake_x", "bochs-svm": "ryzen"}


class Timeout(AssertionError):
    """The machine did not show what was waited for."""


def counted(backend, shift):
    """For QEMU's CPUs, which are threads of a busy machine: each instruction takes 2^shift ns, so that time is exact and one CPU does
    the same each time. It is so in Bochs."""
    return ["-icount", f"shift={shift},sleep=off"] if backend.startswith("svm") else []


def whole_lines(text, vm):
    """What follows "[vm] " in the lines of text; of a line and one right behind it that begins with it, the second. A line whose
    end has not come yet is none: half a number is another one."""
    shown = re.findall(rf"^\[{re.escape(vm)}\] (.*)\n", text, re.MULTILINE)
    return [line for line, after in zip(shown, shown[1:] + [""]) if not line or not after.startswith(line)]


class Machine:
    """One boot of Mote. Use as a context manager, or start() and close()."""

    def __init__(self, workdir, backend="svm", cmdline="console=com1 on-idle=exit:vm", modules=(), cpus=1, memory=512,
                 cpu=None, elf=ELF, extra=(), media="cdrom", vga="none", grub=(), files=(),
                 exit_device=True, sift=None):
        self.workdir = pathlib.Path(workdir)
        self.backend = backend
        self.cmdline = cmdline
        self.modules = list(modules)  # (path of the file, module line)
        self.cpus = cpus
        self.memory = memory
        self.cpu = cpu
        self.elf = elf
        self.extra = list(extra)
        self.media = media  # QEMU: how the ISO is attached: cdrom, disk, usb
        self.vga = vga  # QEMU: the graphics card
        self.exit_device = exit_device  # QEMU: it ends with the verdict at once
        self.grub = grub  # commands for GRUB before it boots Mote
        self.files = [str(path) for path in files]  # more files for /boot
        self.sift = sift  # of the text that has come, what is to be kept; for output that is too much
        self.output = b""
        self.shown = ""  # the output as text; an end of line is one newline
        self.decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-8")("replace"), translate=True)
        self.process = None
        self.master = self.slave = None
        self.lock = threading.Condition()

    # --- life -----------------------------------------------------------------------------------------------------

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.close()

    def start(self):
        self.workdir.mkdir(parents=True, exist_ok=True)
        iso = self._build_iso()
        if self.backend.startswith("bochs"):
            self._start_bochs(iso)
        else:
            self._start_qemu(iso)
        return self

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.process.wait()
        if self.master is not None:
            self.reader.join(timeout=5)
            os.close(self.master)
            self.master = None
        (self.workdir / "serial.txt").write_bytes(self.output or self.shown.encode())

    def _build_iso(self):
        lines = [f"multiboot2 /boot/mote.elf {self.cmdline} {os.environ.get('MOTE_APPEND', '')}".rstrip()]
        files = list(self.files)
        for number, (path, args) in enumerate(self.modules):
            name = f"m{number}-{pathlib.Path(path).name}"
            staged = self.workdir / name
            if not staged.exists():
                os.symlink(pathlib.Path(path).resolve(), staged)
            files.append(str(staged))
            lines.append(f"module2 /boot/{name} {args}")
        config = self.workdir / "grub.cfg"
        config.write_text("\n".join([*lines, *self.grub, "boot", ""]))
        iso = self.workdir / "test.iso"
        subprocess.run([str(ROOT / "iso" / "mkiso.sh"), str(iso), str(self.elf), str(config), *files], check=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return iso

    def _start_qemu(self, iso):
        command = ["qemu-system-x86_64", "-machine", "q35", "-cpu", self.cpu or "max", "-smp", str(self.cpus),
                   "-m", str(self.memory), "-nic", "none", "-vga", self.vga, "-display", "none", "-monitor", "none",
                   "-no-reboot", *self._qemu_media(iso)]
        if self.exit_device:
            command += ["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
        if self.backend == "svm-uefi":
            variables = self.workdir / "vars.fd"
            shutil.copyfile("/usr/share/OVMF/OVMF_VARS_4M.fd", variables)
            command += ["-drive", "if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd",
                        "-drive", f"if=pflash,format=raw,file={variables}"]
        command += self.extra
        self._open_pty()
        self._spawn(command + ["-serial", "stdio"], self.slave, self.slave)

    def _qemu_media(self, iso):
        drive = f"if=none,id=boot,format=raw,file={iso}"
        return {"cdrom": ["-cdrom", str(iso)],
                "disk": ["-drive", drive, "-device", "ide-hd,drive=boot,bootindex=0"],
                "usb": ["-drive", drive, "-device", "qemu-xhci", "-device", "usb-storage,drive=boot,bootindex=0"]}[self.media]

    def _start_bochs(self, iso):
        self._open_pty()
        config = self.workdir / "bochsrc"
        config.write_text("\n".join([
            f"cpu: model={self.cpu or BOCHS_CPU[self.backend]}, count={self.cpus}, ips=50000000, "
            "reset_on_triple_fault=0, ignore_bad_msrs=0",
            f"memory: guest={self.memory}, host={self.memory}",
            "romimage: file=/usr/share/bochs/BIOS-bochs-latest",
            f"vgaromimage: file={VGA_BIOS}",
            "display_library: rfb, options=\"timeout=0\"",
            f"ata0-master: type=cdrom, path={iso}, status=inserted",
            "boot: cdrom",
            "floppy_bootsig_check: disabled=1",
            "clock: sync=none",
            f"com1: enabled=1, mode=term, dev={os.ttyname(self.slave)}",
            "port_e9_hack: enabled=1",
            f"log: {self.workdir / 'bochs.log'}",
            "panic: action=fatal", "error: action=ignore", "info: action=ignore", "debug: action=ignore", "",
        ] + self.extra))
        (self.workdir / "bochs.commands").write_text("c\n")
        with open(self.workdir / "bochs.out", "wb") as out:
            self._spawn(["bochs", "-q", "-f", str(config), "-rc", str(self.workdir / "bochs.commands")],
                        subprocess.DEVNULL, out)

    def _open_pty(self):
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave, termios.TCSANOW)

    def _spawn(self, command, stdin, stdout):
        (self.workdir / "command.txt").write_text(" ".join(command) + "\n")
        environment = {k: v for k, v in os.environ.items() if k != "DISPLAY"}
        self.process = subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=subprocess.STDOUT, env=environment,
                                        cwd=self.workdir)
        # Bochs drops what a full terminal does not take: nothing that a test does may keep its reader waiting.
        self.drain = subprocess.Popen(["cat"], stdin=self.master, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        fcntl.fcntl(self.drain.stdout, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        """Until the emulator has ended, which closes the terminal, and all that it had printed has come."""
        data = None
        while data != b"":
            if not select.select([self.drain.stdout], [], [], 0.2)[0]:
                if self.slave is not None and self.process.poll() is not None:
                    os.close(self.slave)
                    self.slave = None
                continue
            data = os.read(self.drain.stdout.fileno(), 65536)
            with self.lock:
                text = self.decoder.decode(data, final=not data)
                self.shown += self.sift(text) if self.sift else text
                self.output += b"" if self.sift else data
                self.lock.notify_all()
            if self.sift:
                time.sleep(0.01)  # a line's bytes come one by one: not each alone is worth a look
        self.drain.stdout.close()
        self.drain.wait()

    # --- what it says ---------------------------------------------------------------------------------------------

    @property
    def text(self):
        with self.lock:
            return self.shown

    @property
    def lines(self):
        return self.text.split("\n")

    @property
    def prefixed(self):
        """Do guest lines carry "[name] "? With one VM they do not."""
        return sum(args.startswith("kernel") or not args for _, args in self.modules) > 1

    def said(self, vm):
        """The VM's lines. One that rested in the middle while another waited is shown again whole: that one counts."""
        return whole_lines(self.text, vm)

    def counts(self, vm):
        """The numbers of the lines "count N" of the payload counter."""
        return [int(line.removeprefix("count ")) for line in self.said(vm) if re.fullmatch(r"count \d+", line)]

    def wait_for(self, pattern, timeout=60, start=0):
        """Wait until pattern (a regular expression) shows; returns the match. timeout in seconds on the fastest backend."""
        deadline = time.monotonic() + timeout * SLOWNESS[self.backend]
        regex = re.compile(pattern, re.MULTILINE)
        while True:
            match = regex.search(self.text, start)
            if match:
                return match
            ended = self.process.poll() is not None and not self.reader.is_alive()
            if ended or time.monotonic() > deadline:
                match = regex.search(self.text, start)
                if match:
                    return match
                raise Timeout(f"{self.backend}: no /{pattern}/ {'before the end' if ended else 'in time'}; "
                              f"in {self.workdir}; the last lines:\n" + "\n".join(self.lines[-40:]))
            with self.lock:
                self.lock.wait(timeout=0.2)

    def send(self, text):
        """Type text, a few bytes at a time, as a fast typist: real UARTs have 16-byte FIFOs."""
        for i in range(0, len(text), 8):
            os.write(self.master, text[i:i + 8].encode())
            time.sleep(0.02 * SLOWNESS[self.backend])

    def finish(self, timeout=60):
        """Wait for the verdict and the emulator's end; returns the verdict's code after checking that both agree."""
        match = self.wait_for(r"^MOTE: verdict=(\w+) code=(\d+)\n", timeout)
        code = int(match.group(2))
        try:
            status = self.process.wait(timeout=30 * SLOWNESS[self.backend])
        except subprocess.TimeoutExpired as error:
            raise Timeout(f"the emulator goes on after its verdict {match.group(0).rstrip()}") from error
        if not self.backend.startswith("bochs") and "on-idle=exit" in self.cmdline:
            assert status == ((QEMU_STATUS_BASE + code) << 1 | 1), f"exit status {status}, verdict code {code}"
        self.reader.join(timeout=10)
        self.close()
        self._check_bochs_log()
        return code

    def _check_bochs_log(self):
        log = self.workdir / "bochs.log"
        if self.backend.startswith("bochs") and log.exists():
            panics = [line for line in log.read_text(errors="replace").split("\n")
                      if ">>PANIC<<" in line and "Shutdown port" not in line]
            assert not panics, "\n".join(panics)

    def events(self, vm=None, kind=None):
        """The event lines as dictionaries, in order; filtered by VM and by ev=."""
        found = []
        for line in self.lines:
            if not line.startswith("MOTE: "):
                continue
            fields = dict(re.findall(r"([\w-]+)=(\"[^\"]*\"|\S+)", line))
            if (vm is None or fields.get("vm") == vm) and (kind is None or fields.get("ev") == kind):
                found.append(fields)
        return found

    def checks(self, vm=None):
        """The payloads' report lines "CHECK name ok|FAIL detail" as {name: (ok, detail)}."""
        prefix = rf"\[{re.escape(vm)}\] " if vm else r"(?:\[\S+\] )?"
        return {m.group(1): (m.group(2) == "ok", m.group(3).strip())
                for m in re.finditer(rf"^{prefix}CHECK (\S+) (ok|FAIL)(.*)$", self.text, re.MULTILINE)}
