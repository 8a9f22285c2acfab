# Mote: build/$(ARCH)/mote.elf is the kernel, build/$(ARCH)/mote.iso the bootable image. `make help` lists the targets.
ARCH := x86_64
BUILD := build/$(ARCH)
CC := gcc
NASM := nasm
LD := ld
NM := nm

# A folder's neutral code lies at its root, the ISA's in $(ARCH)/ below it.
FOLDERS := boot kernel/lib kernel/base kernel kernel/init mm drivers vcpu vm vm/gdb vm/dev vm/load vm/board
SOURCE_DIRS := $(FOLDERS) $(addsuffix /$(ARCH),$(FOLDERS)) $(patsubst %/,%,$(wildcard vcpu/$(ARCH)/*/))
C_SOURCES := $(wildcard $(addsuffix /*.c,$(SOURCE_DIRS)))
ASM_SOURCES := $(wildcard $(addsuffix /*.asm,$(SOURCE_DIRS)))
OBJECTS := $(C_SOURCES:%=$(BUILD)/%.o) $(ASM_SOURCES:%=$(BUILD)/%.o)

VERSION := 0.1.0
COMMIT := $(shell git rev-parse --short=7 HEAD 2>/dev/null || echo unknown)

CPPFLAGS := -I. -Ikernel/$(ARCH) -Ivcpu/$(ARCH)
CFLAGS := -std=gnu17 -O2 -g -ffunction-sections -fdata-sections -ffreestanding -fno-common -fno-pic -mno-red-zone -mgeneral-regs-only -mcmodel=kernel \
	-fno-omit-frame-pointer -fno-asynchronous-unwind-tables -fcf-protection=none \
	-fstack-protector-strong -mstack-protector-guard=global \
	-ffile-prefix-map=$(CURDIR)=. \
	-Wall -Wextra -Werror -Wconversion -Wsign-conversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wundef \
	-Wvla -Wcast-qual -Wpointer-arith -Wswitch-enum -Wframe-larger-than=1024
LDFLAGS := -nostdlib -static --gc-sections -z noexecstack -z max-page-size=4096 --build-id=none --fatal-warnings \
	--orphan-handling=error -T linker.ld

# `make V=1` shows the commands.
Q := $(if $(V),,@)
SHOW = $(if $(V),@:,@printf '%-5s %s\n' '$(1)' '$(2)')

.DELETE_ON_ERROR:
.PHONY: all clean help
all: $(BUILD)/mote.elf

# Rebuild everything when the compiler or the flags change.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D); echo '$(CC) $(CPPFLAGS) $(CFLAGS)' | cmp -s - $@ || echo '$(CC) $(CPPFLAGS) $(CFLAGS)' >$@
$(BUILD)/version: FORCE
	@mkdir -p $(@D); echo '$(VERSION) $(COMMIT)' | cmp -s - $@ || echo '$(VERSION) $(COMMIT)' >$@
.PHONY: FORCE
FORCE:

$(BUILD)/%.c.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call SHOW,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@
$(BUILD)/%.asm.o: %.asm
	@mkdir -p $(@D)
	$(call SHOW,NASM,$<)
	$(Q)$(NASM) -f elf64 -I ./ -w+all -Werror -MD $(@:.o=.d) $< -o $@

# The one file that knows the version.
$(BUILD)/kernel/base/version.c.o: $(BUILD)/version
$(BUILD)/kernel/base/version.c.o: CPPFLAGS += -DMOTE_VERSION='"$(VERSION)"' -DMOTE_COMMIT='"$(COMMIT)"' -DMOTE_ARCH='"$(ARCH)"'
# Or the compiler turns the loop in memset() into a call to memset().
$(BUILD)/kernel/lib/string.c.o: CFLAGS += -fno-builtin $(if $(findstring clang,$(CC)),,-fno-tree-loop-distribute-patterns)

# Two links: the first has an empty symbol table and gives the addresses of the text, which lies in front of the table
# and so does not move when the table gets its size.
SYMBOLS = LC_ALL=C $(NM) $(1) | LC_ALL=C sort | awk -f kernel/base/ksyms.awk
$(BUILD)/ksyms0.asm: kernel/base/ksyms.awk
	@mkdir -p $(@D); awk -f $< </dev/null >$@
$(BUILD)/ksyms1.asm: $(BUILD)/mote0.elf kernel/base/ksyms.awk
	$(Q)$(call SYMBOLS,$<) >$@
$(BUILD)/ksyms%.o: $(BUILD)/ksyms%.asm
	$(Q)$(NASM) -f elf64 $< -o $@
$(BUILD)/mote0.elf: $(OBJECTS) $(BUILD)/ksyms0.o linker.ld
	$(Q)$(LD) $(LDFLAGS) $(filter %.o,$^) -o $@
$(BUILD)/mote.elf: $(OBJECTS) $(BUILD)/ksyms1.o linker.ld
	$(call SHOW,LD,$@)
	$(Q)$(LD) $(LDFLAGS) -Map=$(BUILD)/mote.map $(filter %.o,$^) -o $@
	@$(call SYMBOLS,$@) | cmp - $(BUILD)/ksyms1.asm

clean: ## remove everything that was built
	rm -rf build

help: ## list the targets
	@echo 'make              the kernel, $(BUILD)/mote.elf'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | sort -u | awk -F '\t' '{ printf "make %-12s %s\n", $$1, $$2 }'

-include $(OBJECTS:.o=.d)
include tests/unit/unit.mk
-include iso/iso.mk
-include tests/tests.mk
