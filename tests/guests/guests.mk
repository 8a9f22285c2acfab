# Test guests. tests/guests/NAME.c is a payload over the kit (flat, long mode, load=0x100000); tests/guests/NAME.asm is a
# flat binary of NASM's -f bin. Both become $(BUILD)/guests/NAME.bin.
GUEST_FLAGS := -std=gnu17 -ffreestanding -fno-pic -mno-red-zone -mgeneral-regs-only -mcmodel=small -fno-stack-protector \
	-fno-builtin -fno-tree-loop-distribute-patterns -fcf-protection=none -O2 -g -Wall -Wextra -Werror -I.
GUEST_C := $(patsubst tests/guests/%.c,$(BUILD)/guests/%.bin,$(wildcard tests/guests/*.c))
GUEST_ASM := $(patsubst tests/guests/%.asm,$(BUILD)/guests/%.bin,$(wildcard tests/guests/*.asm))
GUEST_KIT := $(BUILD)/guests/kit/start.o $(BUILD)/guests/kit/kit.o $(BUILD)/guests/kit/apic.o

.PHONY: guests
guests: $(GUEST_C) $(GUEST_ASM)

$(BUILD)/guests/%.o: tests/guests/%.c $(wildcard tests/guests/kit/*.h tests/guests/hostile/*.h) vm/abi.h
	@mkdir -p $(@D)
	$(CC) $(GUEST_FLAGS) -c $< -o $@

$(BUILD)/guests/flood_rude.o: tests/guests/flood.c

$(BUILD)/guests/hostile.elf: $(BUILD)/guests/hostile/scene.o $(BUILD)/guests/hostile/stream.o $(BUILD)/guests/hostile/code.o

$(BUILD)/guests/hostile/code.o: tests/guests/hostile/code.asm
	@mkdir -p $(@D)
	nasm -f elf64 $< -o $@

$(BUILD)/guests/kit/start.o: tests/guests/kit/start.asm
	@mkdir -p $(@D)
	nasm -f elf64 $< -o $@

$(BUILD)/guests/%.elf: $(BUILD)/guests/%.o $(GUEST_KIT) tests/guests/kit/guest.ld
	$(LD) -nostdlib -static -z noexecstack -z max-page-size=4096 --no-warn-rwx-segments -T tests/guests/kit/guest.ld $(filter %.o,$^) -o $@

$(GUEST_C): $(BUILD)/guests/%.bin: $(BUILD)/guests/%.elf
	objcopy -O binary $< $@

$(GUEST_ASM): $(BUILD)/guests/%.bin: tests/guests/%.asm
	@mkdir -p $(@D)
	nasm -f bin -I tests/guests/ $< -o $@

.PRECIOUS: $(BUILD)/guests/%.elf $(BUILD)/guests/%.o
include tests/guests/boot/boot.mk
