"""GDB on a VM of Mote's: a second serial line of the emulated machine, and a gdb that is told what to do, line by line."""

import os
import pty
import select
import signal
import socket
import subprocess
import threading
import time
import tty

from machine import SLOWNESS


class Line:
    """The far end of COM2: a pty for the emulator; what comes is kept, and passed on to whoever connects to the TCP port."""

    def __init__(self):
        self.master, slave = pty.openpty()
        tty.setraw(slave)
        self.slave = slave
        self.name = os.ttyname(slave)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.peer = None
        self.received = b""  # from Mote
        self.sent = b""      # by a gdb
        self.open = True
        self.thread = threading.Thread(target=self._pump, daemon=True)
        self.thread.start()

    def options(self, backend, port="2f8", irq=3):
        """For machine(extra=...)."""
        if backend.startswith("bochs"):
            return [f"com2: enabled=1, mode=term, dev={self.name}"]
        return ["-chardev", f"serial,id=gdb,path={self.name}",
                "-device", f"isa-serial,chardev=gdb,iobase=0x{port},irq={irq}"]

    def _pump(self):
        while self.open:
            peers = [self.peer] if self.peer else []
            for ready in select.select([self.master, self.listener, *peers], [], [], 0.2)[0]:
                if ready is self.listener:
                    if self.peer:  # one that died, and whose end has not been seen yet
                        self.peer.close()
                    self.peer = self.listener.accept()[0]
                elif ready is self.peer:
                    self._from_peer()
                elif ready is self.master:
                    data = os.read(self.master, 65536)
                    self.received += data
                    if self.peer:
                        try:
                            self.peer.sendall(data)
                        except OSError:
                            self.peer = None

    def _from_peer(self):
        try:
            data = self.peer.recv(65536)
        except OSError:
            data = b""
        if not data:
            self.peer.close()
            self.peer = None
        self.sent += data
        self.send(data)

    def send(self, data):
        while data:
            data = data[os.write(self.master, data):]

    def wait(self, wanted, start=0, timeout=60):
        """Until it came from Mote, since start."""
        deadline = time.monotonic() + timeout
        while wanted not in self.received[start:]:
            assert time.monotonic() < deadline, (wanted, self.received[start:][-500:])
            time.sleep(0.05)

    def close(self):
        self.open = False
        self.thread.join()
        if self.peer:
            self.peer.close()
        self.listener.close()
        os.close(self.master)
        os.close(self.slave)


def packet(text):
    """text, bytes or str, framed."""
    data = text.encode() if isinstance(text, str) else text
    return b"$" + data + b"#%02x" % (sum(data) & 0xFF)


class Gdb:
    """A gdb with a line of commands at a time; a marker behind each tells when it is done."""

    def __init__(self, machine, line, *files):
        self.line = line
        self.slowness = SLOWNESS[machine.backend]
        self.transcript = open(machine.workdir / "gdb.txt", "ab", buffering=0)
        self.process = subprocess.Popen(["gdb", "-q", "-nx", *map(str, files)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT)
        self.output = b""
        self.lock = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()
        self.number = 0
        for setting in ("confirm off", "pagination off", "width 0", "height 0", "remotetimeout 120", "tcp connect-timeout 120",
                        "architecture i386:x86-64", "style enabled off"):
            self.run(f"set {setting}")
        self.connected = self.run(f"target remote {line.address}", timeout=120)

    def _read(self):
        while True:
            data = os.read(self.process.stdout.fileno(), 65536)
            self.transcript.write(data)
            with self.lock:
                self.output += data
                self.lock.notify_all()
            if not data:
                self.transcript.close()
                return

    def start(self, command):
        """Give a command that need not end; finish() waits for it."""
        self.number += 1
        with self.lock:
            self.begin = len(self.output)
        self.process.stdin.write(f"{command}\necho \\ndone-{self.number}-\\n\n".encode())
        self.process.stdin.flush()

    def finish(self, timeout=60):
        marker = b"\ndone-%d-\n" % self.number
        deadline = time.monotonic() + timeout * self.slowness
        with self.lock:
            while marker not in self.output[self.begin:]:
                assert time.monotonic() < deadline and self.process.poll() is None, self.output.decode(errors="replace")[-3000:]
                self.lock.wait(0.2)
            return self.output[self.begin:].split(marker)[0].decode(errors="replace").replace("(gdb) ", "")

    def run(self, command, timeout=60):
        self.start(command)
        return self.finish(timeout)

    def go(self, command="continue"):
        """Let the guest run: gdb waits for it, and can be interrupted, once its packet is on the line."""
        start = len(self.line.sent)
        self.start(command)
        deadline = time.monotonic() + 60 * self.slowness
        while b"$vCont;" not in self.line.sent[start:]:
            assert time.monotonic() < deadline, self.output.decode(errors="replace")[-3000:]
            time.sleep(0.05)

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
        return self.finish(timeout=120)

    def value(self, expression):
        """A number, as gdb computes it."""
        text = self.run(f"output/d {expression}")
        return int(text.strip())

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()
