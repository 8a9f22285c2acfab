# Mote: build/$(ARCH)/mote.elf is the kernel, build/$(ARCH)/mote.iso the bootable image. `make help` lists the targets.
ARCH := x86_64
BUILD := build/$(ARCH)

.PHONY: all
all: $(BUILD)/mote.elf

include tests/unit/unit.mk
