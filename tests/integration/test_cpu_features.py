"""CPUID as the guest reads it, judged here by bits that the manuals name; XCR0 and MSRs by the guest."""

import re

from test_cpu import FLAT, reported

CHECKS = {"osxsave-clear", "osxsave-set", "xcr0-all", "xcr0-hidden", "xsave-sizes", "xcr-index", "xsetbv-user", "xsetbv-off",
          "xcr0-kept", "msr-values", "msr-ecx-only", "msr-tsc", "msr-tsc-write", "msr-writes", "rdtscp-aux", "msr-storm"}
EAX, EBX, ECX, EDX = range(4)
# (leaf, subleaf, register): bits that a guest must not see, because they promise what Mote does not give.
HIDDEN = {
    (1, 0, ECX): {"MONITOR": 3, "VMX": 5, "SMX": 6, "EIST": 7, "TM2": 8, "PCID": 17, "OSXSAVE": 27},
    (1, 0, EDX): {"DS": 21, "ACPI": 22, "TM": 29, "PBE": 31},
    (7, 0, EBX): {"SGX": 2, "HLE": 4, "INVPCID": 10, "RTM": 11, "RDT-M": 12, "MPX": 14, "RDT-A": 15, "PT": 25},
    (7, 0, ECX): {"PKU": 3, "OSPKE": 4, "WAITPKG": 5, "CET_SS": 7, "LA57": 16, "ENQCMD": 29, "PKS": 31},
    (7, 0, EDX): {"UINTR": 5, "PCONFIG": 18, "CET_IBT": 20, "IBRS": 26, "STIBP": 27, "ARCH_CAPABILITIES": 29, "SSBD": 31},
    (0xD, 1, EAX): {"XSAVES": 3},
    (0x80000001, 0, ECX): {"SVM": 2, "ExtApic": 3, "OSVW": 9, "IBS": 10, "SKINIT": 12, "WDT": 13, "TOPOEXT": 22,
                           "PerfCtr": 23, "MONITORX": 29},
}
# Bits that every CPU with VMX or SVM and long mode has, and the hypervisor's own.
SHOWN = {
    (1, 0, ECX): {"SSE3": 0, "CX16": 13, "XSAVE": 26, "HYPERVISOR": 31},
    (1, 0, EDX): {"FPU": 0, "PSE": 3, "TSC": 4, "MSR": 5, "PAE": 6, "CX8": 8, "APIC": 9, "SEP": 11, "MTRR": 12, "PGE": 13, "CMOV": 15,
                  "MCE": 7, "MCA": 14, "PAT": 16, "FXSR": 24, "SSE": 25, "SSE2": 26},
    (0x80000001, 0, EDX): {"SYSCALL": 11, "NX": 20, "RDTSCP": 27, "LM": 29},
}
VENDOR = {"svm": b"AuthenticAMD", "bochs-svm": b"AuthenticAMD", "bochs-vmx": b"GenuineIntel"}
LEAVES = {0, 1, 2, 4, 7, 0xB, 0xD, 0x15, 0x16, 0x40000000, 0x40000001, 0x40000010, 0x40000100, 0x40000101} | set(range(0x80000000, 0x80000009))


def leaves_of(m, vm):
    found = {}
    for match in re.finditer(rf"^\[{vm}\] CPUID (\w+) (\w+) (\w+) (\w+) (\w+) (\w+)$", m.text, re.MULTILINE):
        leaf, sub, *registers = (int(group, 16) for group in match.groups())
        found[leaf, sub] = registers
    return found


def text(*words):
    return b"".join(word.to_bytes(4, "little") for word in words)


def judge(cpuid, backend, tsc_hz):
    zero = [0, 0, 0, 0]
    for (leaf, sub, register), bits in HIDDEN.items():
        value = cpuid.get((leaf, sub), zero)[register]
        assert not [name for name, bit in bits.items() if value >> bit & 1], f"leaf {leaf:#x}"
    for (leaf, sub, register), bits in SHOWN.items():
        assert not [name for name, bit in bits.items() if not cpuid[leaf, sub][register] >> bit & 1], f"leaf {leaf:#x}"
    a, b, c, d = cpuid[0, 0]
    assert a == 0x16 and text(b, d, c) == VENDOR[backend]
    assert cpuid[1, 0][EBX] >> 24 == 0 and cpuid[1, 0][EBX] >> 16 & 0xFF == 1  # APIC id, one logical processor
    for sub, kind in ((0, 1), (1, 2)):  # one thread, one core; x2APIC id 0
        assert cpuid[0xB, sub] == [0, 1, sub | kind << 8, 0]
    assert cpuid[0x16, 0][:3] == [tsc_hz // 1000000, tsc_hz // 1000000, 0]
    denominator, numerator, crystal, _ = cpuid[0x15, 0]
    assert abs(crystal * numerator // denominator - tsc_hz) < 100
    a, b, c, d = cpuid[0x40000000, 0]
    assert text(b, c, d) == b"KVMKVMKVM\0\0\0" and a >= 0x40000001
    assert a < 0x40000010 or cpuid[0x40000010, 0][EAX] == tsc_hz // 1000
    a, b, c, d = cpuid[0x40000100, 0]
    assert text(b, c, d) == b"MoteMoteMote" and a >= 0x40000101
    assert cpuid[0x80000000, 0][EAX] == 0x80000008
    assert cpuid[0x80000008, 0][EAX] >> 8 & 0xFF == 48 and 36 <= cpuid[0x80000008, 0][EAX] & 0xFF <= 48
    assert (0x8000000A, 0) not in cpuid
    assert {leaf for leaf, _ in cpuid} <= LEAVES


def test_features(machine, guest, backend):
    """Rows 15, 16, 17, 21; a neighbour on the same CPU notices nothing."""
    m = machine(backend=backend, modules=[
        (guest("features"), f"kernel vm=f {FLAT}"),
        (guest("counter"), "kernel vm=other type=flat mode=long load=0x100000 mem=8M timeout=60s")])
    # QEMU does not intercept XSETBV, and looks for an MSR's intercept with all of RCX.
    quirks = {"xcr0-hidden", "msr-ecx-only"} if backend == "svm" else set()
    assert m.finish(timeout=100) == (1 if quirks else 0)
    assert set(reported(m, "f", excused=quirks)) == CHECKS
    tsc_hz = int(re.search(r"tsc-hz=(\d+)", m.text).group(1))
    judge(leaves_of(m, "f"), backend, tsc_hz)
    refused = [line for line in m.lines if "ev=msr-refused" in line]
    assert 0 < len(refused) <= 16
    assert "[other] count 19" in m.lines
