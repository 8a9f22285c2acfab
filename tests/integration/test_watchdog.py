"""The key watchdog=: a guest that kicks lives, one that stops has crashed."""

from session import Session, beats, consecutive, wait_beats

# The entry points of tests/guests/kick.asm.
ENTRIES = ["live", "spin", "pausing", "dead", "idle", "never", "without"]
SENTENCES = {"spin": "it jumped to itself with interrupts off", "pausing": "it was running with interrupts off",
             "dead": "it waited in HLT with interrupts off", "idle": "it waited in HLT with interrupts on",
             "never": "it waited in HLT with interrupts off"}
# Periods of those that die, of live and of a, and how many beats, of 100 ms, a is paused. QEMU's time is the host's, which may be
# busy; Bochs' is its own.
PERIODS = {"svm": (1000, 3000, 4000, 45), "bochs-vmx": (500, 500, 1500, 20), "bochs-svm": (500, 500, 1500, 20)}
BEAT = "type=flat mode=long load=0x100000 mem=5M"


def line(name, options):
    return f"kernel vm={name} type=flat mode=long load=0x100000 entry={0x100000 + 8 * ENTRIES.index(name):#x} mem=2M {options}"


def test_watchdog(machine, guest, backend):
    """Silence is a crash with an autopsy, as often as on-crash= restarts the VM; a guest that kicks lives beyond its period; a
    pause from the monitor stops the watchdog's time; a neighbour loses no beat."""
    deaths = dict(SENTENCES)
    death_ms, live_ms, beat_ms, pause = PERIODS[backend]
    if backend == "bochs-svm":
        del deaths["spin"]  # Bochs 2.7 takes no host interrupt out of a guest that spins with IF=0 (emulators.md 3.4.8)
    modules = [(guest("kick"), line(name, f"watchdog={death_ms}ms on-crash=restart:2")) for name in deaths]
    modules += [(guest("kick"), line("live", f"watchdog={live_ms}ms")), (guest("kick"), line("without", "")),
                (guest("beat"), f"kernel vm=a {BEAT} watchdog={beat_ms}ms start=manual"), (guest("beat"), f"kernel vm=b {BEAT}")]
    m = machine(backend=backend, cmdline="console=com1 on-idle=poweroff", modules=modules)
    for name in deaths:
        m.wait_for(rf"^MOTE: vm={name} ev=gave-up restarts=2 .*\n")
    s = Session(m).enter()
    s.paste(["start a"])  # now that no report keeps the line, which a waits for, busy
    wait_beats(m, "a", 1)
    s.paste(["pause a"])
    wait_beats(m, "b", pause)
    s.paste(["resume a"])
    wait_beats(m, "a", 3)
    m.wait_for(r"^MOTE: vm=live ev=exit .*\n")
    m.send("poweroff\r")
    assert m.finish() == 1
    for name, sentence in deaths.items():
        crashes = m.events(name, "crash")
        kicks = "0" if name == "never" else "3"
        assert [(e["reason"], e["after-ms"], e["kicks"]) for e in crashes] == [("watchdog", str(death_ms), kicks)] * 3
        assert [e["why"].strip('"') for e in m.events(name, "autopsy") if "why" in e] == [sentence] * 3, name
        assert len(m.events(name, "start")) == 3 and not m.events(name, "exit"), name
    assert [e["code"] for e in m.events("live", "exit") + m.events("without", "exit")] == ["0", "0"]
    assert not m.events("a", "crash") and not m.events("live", "crash")
    assert consecutive(beats(m.text, "a")) and consecutive(beats(m.text, "b"))
    assert {e["leaked-frames"] for e in m.events(kind="freed")} == {"0"}
