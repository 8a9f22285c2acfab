"""Fixtures: one machine per test, in its own folder under build/x86_64/tests; guests by name."""

import re

import pytest

from machine import BUILD, Machine

ALL = ["svm", "svm-uefi", "bochs-vmx", "bochs-svm"]
BOTH_VENDORS = ["svm", "bochs-vmx"]
FAST = ["svm"]


def pytest_generate_tests(metafunc):
    """A test that takes `backend` runs on every backend, or on those of its marker @pytest.mark.backends(...)."""
    own = any("backend" in m.args[0].split(",") for m in metafunc.definition.iter_markers("parametrize"))
    if "backend" in metafunc.fixturenames and not own:
        marker = metafunc.definition.get_closest_marker("backends")
        metafunc.parametrize("backend", marker.args if marker else ["svm", "bochs-vmx", "bochs-svm"])


def pytest_configure(config):
    config.addinivalue_line("markers", "backends(*names): run this test on these backends only")


@pytest.fixture
def machine(request):
    """A factory: machine(modules=[...], ...) boots Mote; all are closed at the end."""
    started = []

    def start(**options):
        name = re.sub(r"[^\w.-]+", "_", request.node.name)
        workdir = BUILD / "tests" / request.module.__name__ / f"{name}-{len(started)}"
        if workdir.exists():
            for entry in workdir.iterdir():
                entry.unlink()
        one = Machine(workdir, **options)
        started.append(one)
        return one.start()

    yield start
    for one in started:
        one.close()


@pytest.fixture
def guest():
    """The path of a built payload."""
    return lambda name: BUILD / "guests" / f"{name}.bin"


@pytest.fixture
def linux():
    """Module lines for Debian's kernel and the busybox initramfs: linux(options, cmdline, kernel)."""
    def modules(options="vm=linux mem=256M", cmdline="console=ttyS0 panic=-1", kernel="vmlinuz"):
        return [(BUILD / "linux" / kernel, f"kernel {options} -- {cmdline}"), (BUILD / "linux" / "initrd.gz", "initrd")]
    return modules
