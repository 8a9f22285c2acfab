"""What the CPU is to a guest: modes, instructions, hypercalls. The guest's own output decides."""

import re

FLAT = "type=flat mode=long load=0x100000 mem=8M timeout=100s"


def reported(m, vm=None, excused=()):
    """All checks of a payload: none failed but the excused ones, which must fail, and its last line counts them."""
    checks = m.checks(vm)
    assert [f"{name}: {detail}" for name, (ok, detail) in checks.items() if not ok and name not in excused] == []
    assert {name for name, (ok, _) in checks.items() if not ok} == set(excused)
    prefix = rf"\[{re.escape(vm)}\] " if vm else ""
    done = re.search(rf"^{prefix}DONE pass=(\d+) fail=(\d+)$", m.text, re.MULTILINE)
    assert done and int(done.group(1)) + int(done.group(2)) == len(checks), checks
    assert int(done.group(2)) == len(excused)
    return checks


# QEMU 7.2 decodes no WAITPKG, so its bytes are MFENCE; takes LOCK before CPUID; has no ICEBP, whose #UD no hypervisor
# sees.
QEMU_LACKS = {"umonitor": "ring0=-1 ring3=-1 placed=1", "umwait": "ring0=-1 ring3=-1 placed=1",
              "tpause": "ring0=-1 ring3=-1 placed=1", "icebp": "ring0=6 ring3=6 placed=1",
              "lock-cpuid": "ring0=-1 ring3=-1 placed=1"}
BOTH_VENDORS = """wbinvd invd wbnoinvd monitor mwait monitorx mwaitx umonitor umwait tpause getsec rsm rdpmc rdpru ud2 int3
icebp int-2 syscall sysret encls pconfig enclu invpcid xsetbv-off xsaves-off vmlaunch vmresume vmxoff vmfunc vmread vmwrite
vmptrld vmclear vmxon vmptrst invept invvpid vmrun vmload vmsave stgi clgi skinit invlpga clts invlpg rdtsc rdtscp pause
cpuid cpuid-66 cpuid-rex cpuid-2e-67 wbinvd-66 mov-cr0 mov-cr8 mov-cr5 mov-to-cr1 mov-dr0 mov-to-dr3 rdmsr-none wrmsr-none
lock-cpuid lock-nop hypercall-echo hypercall-unknown hypercall-exit-range hypercall-version hypercall-user
hypercall-32""".split()


def test_instructions_and_hypercalls(machine, guest, backend):
    """Rows 28 and 30: every instruction that could reach the host, in rings 0 and 3, and the hypercall ABI."""
    m = machine(backend=backend, modules=[(guest("instructions"), f"kernel vm=i {FLAT}")])
    quirks = QEMU_LACKS if backend == "svm" else {}
    assert m.finish(timeout=60) == (1 if quirks else 0)
    checks = reported(m, excused=quirks)
    assert {name: checks[name][1] for name in quirks} == quirks
    own = "vmmcall" if backend == "bochs-vmx" else "vmcall"  # the other vendor's
    assert list(checks) and set(checks) == set(BOTH_VENDORS) | {own}
    assert [e["reason"] for e in m.events("i", "exit")] == ["hypercall"]


REAL = """cs-zero ip segments-zero flags pe-clear int-through-ivt limit-gp operand-32 address-32 a20 breakpoint rep-insb rep-outsb
hypercall lmsw clts""".split()


def test_modes(machine, guest, backend):
    """Rows 11 and 12: a 16-bit program prints and halts; another goes through every mode and back."""
    m = machine(backend=backend, modules=[
        (guest("real"), "kernel vm=real type=flat mode=real load=0x7c00 mem=4M timeout=60s"),
        (guest("modes"), "kernel vm=modes type=flat mode=real load=0x7c00 mem=4M timeout=60s")])
    assert m.finish(timeout=60) == 0
    checks = m.checks("real")
    quirks = ["limit-gp", "breakpoint"] if backend == "svm" else []  # QEMU knows no limits, and would end at the breakpoint
    assert set(checks) == set(REAL) and [name for name, (ok, _) in checks.items() if not ok] == quirks
    assert "[real] 16 bits by REP OUTSB" in m.lines and "[real] now it halts" in m.lines
    assert [(e["reason"], e["code"]) for e in m.events("real", "exit")] == [("halt", "0")]
    assert "[modes] R P 2 A C L p r 7" in m.lines
    assert [(e["reason"], e["code"]) for e in m.events("modes", "exit")] == [("port", "0")]
