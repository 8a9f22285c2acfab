"""Stage 2 changed while its VM runs (rows 34, 48)."""

SELFTEST = "console=com1 on-idle=exit:vm selftest=on"


def test_rights(machine, guest, backend):
    """Four CPUs on four of the host's: what one takes away none of them has after the call; refusals; thousands of calls that leak
    nothing; events that meet an absent IDT arrive once each; code in what is data, and page tables given away, end the VM."""
    # Bochs 2.7 does not say in the IDT-vectoring information which virtual interrupt an exit cut short.
    software = " irqchip=software" if backend == "bochs-vmx" else ""
    m = machine(backend=backend, cpus=4, cmdline=SELFTEST + software,
                modules=[(guest("rights"), "kernel vm=r type=flat mode=long load=0x100000 mem=16M vcpus=4")])
    assert m.finish(timeout=180) == 1
    assert all(ok for ok, _ in m.checks().values()), m.checks()
    assert set(m.checks()) == {"cpus", "no-old-reads", "no-old-writes", "all-at-once", "refused", "ranges", "many-times",
                               "irq-without-idt", "int-without-idt", "exception-without-idt", "nmi-without-idt", "hide-refused"}
    end = m.events("r", "crash")[0]
    assert (end["reason"], end["access"]) == ("unmapped", "fetch" if backend == "bochs-vmx" else "page-walk"), end
    assert [e["leaked-frames"] for e in m.events("r", "freed")] == ["0"]
