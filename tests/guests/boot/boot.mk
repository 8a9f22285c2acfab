# Kernels that report how they were started: one source, one program for each shape that a loader meets.
#   mb1_elf32 mb1_flags0 mb1_elf64       multiboot 1 by ELF headers
#   mb1_aout mb1_aout_elf32 mb1_aout_elf64  by the address fields: a raw file, and ELF files whose headers must not count
#   mb2_elf32 mb2_elf64 mb2_raw          multiboot 2, the last by address tags
#   plain_elf32                          no header: type=elf
#   bz32 bz64                            a bzImage with a 32-bit entry only, and with a 64-bit one
BOOT_GUESTS := mb1_elf32 mb1_flags0 mb1_elf64 mb1_aout mb1_aout_elf32 mb1_aout_elf64 mb2_elf32 mb2_elf64 mb2_raw plain_elf32 \
	bz32 bz64
BOOT_OUT := $(BUILD)/guests/boot
BOOT_FLAGS := -m32 -march=i686 -std=gnu17 -ffreestanding -fno-pic -fno-pie -mgeneral-regs-only -fno-stack-protector -fno-builtin \
	-fno-tree-loop-distribute-patterns -fcf-protection=none -O2 -Wall -Wextra -Werror -I.
BOOT_OBJECTS := $(addprefix $(BOOT_OUT)/,report.o console.o facts.o mb1.o mb2.o)
BZ_OBJECTS := $(addprefix $(BOOT_OUT)/,start_linux.o console.o linux.o)

guests: $(addprefix $(BOOT_OUT)/,$(BOOT_GUESTS))

start_flags_mb1_elf32 := -DMB1_FLAGS=3
start_flags_mb1_flags0 := -DMB1_FLAGS=0
start_flags_mb1_aout := -DMB1_FLAGS=0x10003
start_flags_mb2_elf32 := -DMB2=1
start_flags_mb2_raw := -DMB2=2
start_flags_plain_elf32 :=

$(BOOT_OBJECTS) $(BOOT_OUT)/linux.o: $(BOOT_OUT)/%.o: tests/guests/boot/%.c tests/guests/boot/report.h
	@mkdir -p $(@D)
	gcc $(BOOT_FLAGS) -c $< -o $@

$(BOOT_OUT)/start-%.o: tests/guests/boot/start.asm
	@mkdir -p $(@D)
	nasm -f elf32 $(start_flags_$*) $< -o $@

$(BOOT_OUT)/%.elf32: $(BOOT_OUT)/start-%.o $(BOOT_OBJECTS) tests/guests/boot/boot.ld
	$(LD) -m elf_i386 -nostdlib -static -z noexecstack -z max-page-size=4096 --no-warn-rwx-segments -T tests/guests/boot/boot.ld \
		$(filter %.o,$^) -o $@

$(addprefix $(BOOT_OUT)/,mb1_elf32 mb1_flags0 mb2_elf32 plain_elf32): %: %.elf32
	cp $< $@
$(BOOT_OUT)/mb1_elf64 $(BOOT_OUT)/mb2_elf64: %_elf64: %_elf32.elf32
	objcopy -I elf32-i386 -O elf64-x86-64 $< $@
$(BOOT_OUT)/mb1_aout $(BOOT_OUT)/mb2_raw: %: %.elf32
	objcopy -I elf32-i386 -O binary $< $@
# The entry in the ELF headers leads astray: only the address fields start these.
$(BOOT_OUT)/mb1_aout_elf32: $(BOOT_OUT)/mb1_aout.elf32
	objcopy -I elf32-i386 --set-start 0x100000 $< $@
$(BOOT_OUT)/mb1_aout_elf64: $(BOOT_OUT)/mb1_aout.elf32
	objcopy -I elf32-i386 -O elf64-x86-64 --set-start 0x100000 $< $@

# The same linker script, at the address that the bzImage's header prefers.
$(BOOT_OUT)/start_linux.o: tests/guests/boot/start_linux.asm
	@mkdir -p $(@D)
	nasm -f elf32 $< -o $@
$(BOOT_OUT)/bz.elf32: $(BZ_OBJECTS) tests/guests/boot/boot.ld
	$(LD) -m elf_i386 -nostdlib -static -z noexecstack -z max-page-size=4096 --no-warn-rwx-segments --defsym=BASE=0x200000 \
		-T tests/guests/boot/boot.ld $(filter %.o,$^) -o $@
$(BOOT_OUT)/bz.bin: $(BOOT_OUT)/bz.elf32
	objcopy -I elf32-i386 -O binary $< $@
$(BOOT_OUT)/bz32 $(BOOT_OUT)/bz64: $(BOOT_OUT)/bz%: tests/guests/boot/bzimage.asm $(BOOT_OUT)/bz.bin
	nasm -f bin -DXLF=$(if $(filter 64,$*),1,0) -DPAYLOAD='"$(BOOT_OUT)/bz.bin"' $< -o $@

.PRECIOUS: $(BOOT_OUT)/%.elf32 $(BOOT_OUT)/start-%.o
