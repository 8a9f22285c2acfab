"""Exit statistics and traces: counts agree with what the guest did, records tell when and why, pictures are made of them."""

import collections
import itertools
import json
import os
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest

from machine import ROOT
from test_monitor import PROMPT, Session, beats, consecutive, wait_beats

FLAT = "type=flat mode=long load=0x100000 mem=8M"
# What tests/guests/counts.c does, by the name of the exit; the kit asks for the vendor once.
DONE = {"CPUID": 301, "HYPERCALL": 200, "IO": 100, "MSR_READ": 71, "MSR_WRITE": 50, "NPF": 40, "HLT": 1}
WHERE = {"CPUID": {0, 1}, "HYPERCALL": {0x4D540002}, "IO": {0x300}, "MSR_READ": {0x1B, 0xC0000080}, "MSR_WRITE": {0xC0000080},
         "NPF": {0x3F000000}}
LINE_QUEUE = 32000  # bytes that wait for a serial line: UART16550_QUEUE
TRACE_RECORDS = 2048  # that are kept of a vCPU: VCPU_TRACE_RECORDS
PICTURE = ROOT / "tests" / "tools" / "trace_picture.py"


def records(s, vm):
    trace = s.json(f"trace {vm} show --json")
    assert trace["vm"] == vm and trace["hz"] > 1000000
    return [dict(zip(trace["fields"], r)) for r in trace["records"]]


def check_pictures(m, tmp_path):
    """The tool reads the serial line as it was captured, and its files hold every record."""
    capture = tmp_path / "serial.txt"
    capture.write_bytes(m.output)
    run = subprocess.run([PICTURE, capture, "--json", tmp_path / "t.json", "--svg", tmp_path / "t.svg"], capture_output=True,
                         text=True, check=True)
    count = int(run.stdout.split()[0])
    events = json.loads((tmp_path / "t.json").read_text())["traceEvents"]
    names = {e["args"]["name"] for e in events if e["ph"] == "M"}
    assert {"CPUs", "CPU 0", "VM a", "VM b", "vCPU 0"} <= names
    exits = [e for e in events if e["ph"] == "X" and e["cat"] == "exit" and e["pid"] != 0]
    assert len(exits) == count and all(e["dur"] >= 0 and e["ts"] >= 0 for e in exits)
    assert collections.Counter(e["name"] for e in exits)["CPUID"] >= DONE["CPUID"]
    picture = ElementTree.parse(tmp_path / "t.svg").getroot()
    titles = [t.text for t in picture.iter("{http://www.w3.org/2000/svg}title")]
    assert len(titles) == 2 * count
    assert sum(t.startswith("a.0 IO 0x300 at 0x10") for t in titles) == DONE["IO"]
    empty = tmp_path / "empty.txt"
    empty.write_text("MOTE: nothing\n")
    assert subprocess.run([PICTURE, empty], capture_output=True, check=False).returncode == 1


def test_counts_and_records(machine, guest, backend, tmp_path):
    """Row 80: the counts are the guest's own numbers; trace=exits records from the first entry; trace on and off while a VM
    runs; the table, the JSON and the pictures; no frame is lost."""
    m = machine(backend=backend, cpus=2, cmdline="console=com1 on-idle=poweroff vm.a.trace=exits",
                modules=[(guest("counts"), f"kernel vm=a pin=0 {FLAT}"), (guest("beat"), f"kernel vm=b pin=1 {FLAT}")])
    m.wait_for(r"^\[b\] beat 1\n")
    s = Session(m).enter()
    while s.json("vm a --json")["vcpu"][0]["state"] != "BLOCKED":
        pass
    (counted,) = s.json("exits a --json")["a"]
    assert {name: counted[name]["count"] for name in DONE} == DONE
    assert set(counted) - set(DONE) <= {"INTR", "TIMER", "NMI", "NOTHING", "INTR_WINDOW", "LTR"}
    assert all(row["timed"] == row["count"] and row["cycles"] > 0 for row in counted.values())
    seen = records(s, "a")
    assert {name: sum(r["reason"] == name for r in seen) for name in DONE} == DONE
    for name, where in WHERE.items():
        assert {r["where"] for r in seen if r["reason"] == name} == where, name
    assert all(r["vcpu"] == 0 and r["cpu"] == 0 and 0x100000 <= r["pc"] < 0x200000 for r in seen)
    assert all(r["entered"] + r["ran"] + r["served"] <= after["entered"] for r, after in zip(seen, seen[1:]))
    assert sum(r["served"] for r in seen if r["reason"] == "CPUID") == counted["CPUID"]["cycles"]

    assert records(s, "b") == [] and s.run("trace b show") == ["no records; try trace b on"]
    (untimed,) = s.json("exits b --json")["b"]
    assert untimed["IO"]["count"] > 10 and {row["timed"] for row in untimed.values()} == {0}
    assert s.run("trace b on") == ["ok"]
    wait_beats(m, "b", 3)
    assert s.run("trace b off") == ["ok"]
    wait_beats(m, "b", 1)
    traced = records(s, "b")
    assert {"IO", "HLT"} <= {r["reason"] for r in traced} and {r["cpu"] for r in traced} == {1}
    wait_beats(m, "b", 2)
    assert records(s, "b") == traced
    table = s.run("trace b show")
    assert len(table) == min(16, len(traced)) and all(line.startswith("  vcpu 0 cpu 1: ") for line in table)
    assert s.run("exits a")[0] == "a:" and any(line.endswith(" cycles each") for line in s.run("exits a"))
    assert s.run("trace b") == s.run("trace b maybe") == ["error: usage: trace NAME on|off|show [--json]"]
    check_pictures(m, tmp_path)
    assert s.run("kill b") == ["ok"]
    s.wait_state("b", "stopped")
    assert s.run("audit")[-1] == "leaked: 0 frames"
    m.send("poweroff\r")
    assert m.finish() == 0


@pytest.mark.backends("svm", "bochs-vmx")
def test_long_answer(machine, guest, backend):
    """An answer of several times the line's queue comes in portions: the VMs of the monitor's CPU count on meanwhile, what is typed
    is kept, and the list is whole. Ctrl-C ends it, and it is JSON still."""
    m = machine(backend=backend, cmdline="console=com1 on-idle=poweroff vm.a.trace=exits",
                modules=[(guest("beat"), f"kernel vm={vm} pin=0 {FLAT}") for vm in "ab"])
    m.wait_for(r"^\[a\] beat 1\n")
    s = Session(m).enter()
    while sum(row["count"] for row in s.json("exits a --json")["a"][0].values()) < TRACE_RECORDS + 100:
        pass
    free = s.json("frames --json")["free"]
    start = s.mark()
    m.send("trace a show --json\rmem b 0x400000 4096\rvms --json\r")
    shown = s.answered(start, prompts=3, timeout=120)
    trace, memory, vms = [list(lines) for first, lines in itertools.groupby(shown, lambda line: line.startswith(PROMPT)) if not first]
    seen = json.loads("\n".join(trace))["records"]
    assert len(seen) > 2000 and sum(map(len, trace)) > 2 * LINE_QUEUE
    assert all(r[2] + r[3] + r[4] <= after[2] for r, after in zip(seen, seen[1:]))
    assert len(memory) == 256 and memory[0].startswith("000000400000  a7 b0 a7 b0")
    assert [(v["name"], v["state"]) for v in json.loads("\n".join(vms))] == [("a", "running"), ("b", "running")]
    text = m.text[start:]
    between = text[text.index('"records":[\n'):text.index("\n]}\n")]
    assert all(len(beats(between, vm)) >= 3 for vm in "ab")
    assert all(consecutive(beats(m.text, vm)) for vm in "ab")

    start = s.mark()
    os.write(m.master, b"trace a show --json\r\x03")
    (head, *cut) = s.answered(start, timeout=120)
    assert head == PROMPT + "trace a show --json" and len(json.loads("\n".join(cut))["records"]) < len(seen)
    assert s.json("frames --json")["free"] == free
    m.send("poweroff\r")
    assert m.finish() == 0
