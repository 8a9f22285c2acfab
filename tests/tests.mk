# What a user and a developer type besides `make`: run, test, check, doctor, bench, debug. Everything that needs packages
# goes through deps.sh first; then a second make, so that the tree is read with the tools in place.
PYTEST := /usr/bin/python3 -m pytest
LINUX := $(BUILD)/linux
JOBS ?= $(shell nproc)
MEMORY ?= 512
CPUS ?= 2
SERIAL_HINT := leave with Ctrl-] q (Mote) or Ctrl-A x (QEMU)

.PHONY: deps doctor demo run run-vmx debug debug-guest test check bench integration
deps:
	@tests/tools/deps.sh

doctor: ## say what is missing on this machine
	@tests/tools/doctor.sh

demo:
	@tests/tools/fetch-linux.sh $(LINUX)
	@$(MAKE) --no-print-directory -j$(JOBS) iso guests
	@tests/tools/demo.sh $(BUILD)

run: deps ## boot the demo in QEMU: Linux and a small guest side by side
	@$(MAKE) --no-print-directory demo
	@echo "== $(SERIAL_HINT)"
	@qemu-system-x86_64 -machine q35 -cpu max -smp $(CPUS) -m $(MEMORY) -nic none -vga none -display none \
		-no-reboot -cdrom $(BUILD)/demo.iso -serial mon:stdio

run-vmx: deps ## the same in Bochs, on emulated Intel VMX (slow)
	@$(MAKE) --no-print-directory demo
	@tests/tools/run-bochs.py $(BUILD)/demo.iso

debug: deps ## the demo in QEMU, stopped, with gdb attached to the hypervisor
	@$(MAKE) --no-print-directory demo
	@tests/tools/debug.sh $(BUILD)

debug-guest: deps ## a guest in QEMU, two CPUs, with gdb attached to it over COM2 (GUEST=linux: Linux)
	@tests/tools/fetch-linux.sh $(LINUX)
	@$(MAKE) --no-print-directory -j$(JOBS) iso guests
	@tests/tools/debug-guest.sh $(BUILD)

test: deps ## everything that needs no hardware: unit tests, fuzzers, emulators (MOTE_FULL=1: every combination)
	@$(MAKE) --no-print-directory -j$(JOBS) all iso guests
	@tests/tools/fetch-linux.sh $(LINUX) std
	@$(MAKE) --no-print-directory -j$(JOBS) unit-programs
	@$(MAKE) --no-print-directory unit fuzz
	@$(MAKE) --no-print-directory integration

integration: # one machine more than CPUs: a fifth of the time a machine sleeps until its guests' next tick
	$(PYTEST) -q -n $$(($(JOBS) + 1)) --dist load tests/integration $(PYTEST_ARGS)

check: deps ## both compilers, clang-tidy, cppcheck, layers, sizes, vendor words, W^X
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@$(MAKE) --no-print-directory -j$(JOBS) all CC=clang BUILD=build/clang
	@tests/tools/check.sh $(BUILD)

# A plugin for the QEMU of this machine.
$(BUILD)/insn_share.so: tests/bench/insn_share.c
	@mkdir -p $(@D)
	gcc -O2 -Wall -Wextra -Werror -shared -fPIC -fvisibility=hidden $< -o $@

bench: deps ## count what an exit costs, a boot of Linux, sizes, boot instructions
	@tests/tools/fetch-linux.sh $(LINUX)
	@$(MAKE) --no-print-directory $(BUILD)/insn_share.so
	@$(MAKE) --no-print-directory -j$(JOBS) all iso guests
	@/usr/bin/python3 tests/bench/bench.py $(BUILD)

include tests/guests/guests.mk
