#!/usr/bin/env python3
"""Turn a captured trace into pictures: who ran where, and why it came back. The input is what the serial line showed of the
monitor's `trace NAME show --json`, for one VM or several; other lines may stand between. --json writes a file for Perfetto or
chrome://tracing, --svg a picture with a lane for each CPU."""

import argparse
import html
import json
import pathlib
import re
import sys

HEAD = re.compile(r'\{"vm":"([\w.-]+)","hz":(\d+),"fields":(\[[^\]]*\]),"records":\[$')
FIELDS = ["vcpu", "cpu", "entered", "ran", "served", "reason", "where", "pc"]
RECORD = re.compile(r'^,?(\[\d+,\d+,\d+,\d+,\d+,"\w+",\d+,\d+\])$')
GUEST_COLOURS = ["#4477aa", "#66ccee", "#228833", "#ccbb44", "#ee6677", "#aa3377", "#997700", "#555555"]
SERVED_COLOUR = "#bb2222"
LANE, TOP, LEFT, WIDTH = 40, 40, 70, 1200


def parse(text):
    """The records as dictionaries by time, with ticks per second. A line that was torn and shown again counts once."""
    vm, hz, found = None, None, {}
    for line in text.replace("\r", "").split("\n"):
        head, record = HEAD.search(line), RECORD.match(line)
        if head:
            if json.loads(head.group(3)) != FIELDS:
                raise ValueError(f"unknown fields {head.group(3)}")
            vm, hz = head.group(1), int(head.group(2))
        elif record and vm is not None:
            one = dict(zip(FIELDS, json.loads(record.group(1))), vm=vm)
            found[vm, one["vcpu"], one["entered"]] = one
        elif line == "]}":
            vm = None
    if hz is None:
        raise ValueError("no trace in it: show one with the monitor's `trace NAME show --json`")
    return sorted(found.values(), key=lambda r: r["entered"]), hz


def chrome(records, hz):
    """Trace events: a process for each VM with a thread for each vCPU, and one for the machine with a thread for each CPU."""
    start = min((r["entered"] for r in records), default=0)
    micros = lambda ticks: ticks * 1e6 / hz
    vms = sorted({r["vm"] for r in records})
    events = [{"ph": "M", "name": "process_name", "pid": 0, "tid": 0, "args": {"name": "CPUs"}}]
    events += [{"ph": "M", "name": "thread_name", "pid": 0, "tid": cpu, "args": {"name": f"CPU {cpu}"}}
               for cpu in sorted({r["cpu"] for r in records})]
    for pid, vm in enumerate(vms, 1):
        events.append({"ph": "M", "name": "process_name", "pid": pid, "tid": 0, "args": {"name": f"VM {vm}"}})
        events += [{"ph": "M", "name": "thread_name", "pid": pid, "tid": vcpu, "args": {"name": f"vCPU {vcpu}"}}
                   for vcpu in sorted({r["vcpu"] for r in records if r["vm"] == vm})]
    for r in records:
        who = f"{r['vm']}.{r['vcpu']}"
        left = r["entered"] + r["ran"]
        args = {"where": hex(r["where"]), "pc": hex(r["pc"]), "cpu": r["cpu"]}
        for pid, tid, name in ((vms.index(r["vm"]) + 1, r["vcpu"], "guest"), (0, r["cpu"], who)):
            events.append({"ph": "X", "cat": "guest", "name": name, "pid": pid, "tid": tid,
                           "ts": micros(r["entered"] - start), "dur": micros(r["ran"])})
            events.append({"ph": "X", "cat": "exit", "name": r["reason"], "pid": pid, "tid": tid,
                           "ts": micros(left - start), "dur": micros(r["served"]), "args": args})
    return {"traceEvents": events, "displayTimeUnit": "ns"}


def svg(records, hz):
    """A lane for each CPU: the guest's time in the colour of its vCPU, Mote's in red; pointing at a bar tells the reason."""
    start = min((r["entered"] for r in records), default=0)
    end = max((r["entered"] + r["ran"] + r["served"] for r in records), default=1)
    scale = WIDTH / max(end - start, 1)
    cpus = sorted({r["cpu"] for r in records})
    who = sorted({(r["vm"], r["vcpu"]) for r in records})
    colour = {one: GUEST_COLOURS[i % len(GUEST_COLOURS)] for i, one in enumerate(who)}
    height = TOP + LANE * len(cpus) + 20 * (len(who) + 1) + 20
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 20}" height="{height}" font-family="sans-serif" '
           'font-size="12">',
           f'<text x="{LEFT}" y="20">{len(records)} exits in {(end - start) * 1e6 / hz:.1f} us</text>']

    def bar(record, begin, ticks, fill, text):
        y = TOP + LANE * cpus.index(record["cpu"])
        out.append(f'<rect x="{LEFT + (begin - start) * scale:.2f}" y="{y}" width="{max(ticks * scale, 0.2):.2f}" '
                   f'height="{LANE - 8}" fill="{fill}"><title>{html.escape(text)}</title></rect>')

    for i, cpu in enumerate(cpus):
        out.append(f'<text x="10" y="{TOP + LANE * i + 20}">CPU {cpu}</text>')
    for r in records:
        name = f"{r['vm']}.{r['vcpu']}"
        bar(r, r["entered"], r["ran"], colour[r["vm"], r["vcpu"]], f"{name} ran {r['ran']} cycles")
        bar(r, r["entered"] + r["ran"], r["served"], SERVED_COLOUR,
            f"{name} {r['reason']} {r['where']:#x} at {r['pc']:#x}: {r['served']} cycles")
    legend = [(colour[one], f"{one[0]}.{one[1]} in its guest") for one in who] + [(SERVED_COLOUR, "Mote")]
    for i, (fill, text) in enumerate(legend):
        y = TOP + LANE * len(cpus) + 10 + 20 * i
        out.append(f'<rect x="{LEFT}" y="{y}" width="14" height="14" fill="{fill}"/>'
                   f'<text x="{LEFT + 22}" y="{y + 12}">{html.escape(text)}</text>')
    return "\n".join([*out, "</svg>", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("capture", type=pathlib.Path)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--svg", type=pathlib.Path)
    args = parser.parse_args()
    try:
        records, hz = parse(args.capture.read_text(errors="replace"))
    except ValueError as error:
        sys.exit(f"{args.capture}: {error}")
    if args.json:
        args.json.write_text(json.dumps(chrome(records, hz)))
    if args.svg:
        args.svg.write_text(svg(records, hz))
    print(f"{len(records)} exits of {len({(r['vm'], r['vcpu']) for r in records})} vCPUs")


if __name__ == "__main__":
    main()
