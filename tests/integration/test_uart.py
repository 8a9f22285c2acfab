"""The key uart=: which serial ports a VM has, each with its interrupt and its console."""

from session import ESCAPE

# VM, its uart=, and its ports, the VM's console first.
VMS = [("one", "", [1]), ("four", "uart=com2,com1,com4,com3", [2, 1, 4, 3]), ("two", "uart=com2", [2]),
       ("pair", "uart=com1,com3", [1, 3]), ("none", "uart=none", [])]


def test_uarts(machine, guest, backend):
    """A VM has the ports that are named and no other; those that share a wire both interrupt; each has a console of its own that
    prints and hears."""
    modules = [(guest("uarts"), f"kernel vm={vm} type=flat mode=long load=0x100000 mem=4M {key}") for vm, key, _ in VMS]
    m = machine(backend=backend, modules=modules)
    consoles = []
    for vm, _, ports in VMS:
        m.wait_for(rf"^\[{vm}\] " + " ".join(f"com{n}={'yi' if n in ports else 'n-'}" for n in (1, 2, 3, 4)) + r" \n")
        for n in ports:
            consoles.append((vm if n == ports[0] else f"{vm}:com{n}", n))
            m.wait_for(rf"^\[{consoles[-1][0]}\] hello from com{n}\n")
    for index, (name, n) in reversed(list(enumerate(consoles, start=1))):
        m.send(f"{ESCAPE}{index}x")
        m.wait_for(rf"^\[{name}\] com{n} got x\n")
        if ":" not in name:  # the last of its VM's: it ends before another may
            m.wait_for(rf"^MOTE: vm={name} ev=exit .*\n")
    assert m.finish() == 2  # pair is the first that ends with another code than 0
    assert {vm: e["code"] for vm, _, _ in VMS for e in m.events(vm, "exit")} == {vm: str(len(ports)) for vm, _, ports in VMS}
    assert {vm: e["uart"] for vm, _, _ in VMS for e in m.events(vm, "config")} == {
        vm: key.removeprefix("uart=") or "com1" for vm, key, _ in VMS}
    assert {e["leaked-frames"] for e in m.events(kind="freed")} == {"0"}
