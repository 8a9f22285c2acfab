# The bootable image. ISO_CFG and ISO_FILES may be set to build another one.
ISO_CFG ?= iso/grub.cfg
ISO_FILES ?=

.PHONY: iso
iso: $(BUILD)/mote.iso ## the bootable image, build/x86_64/mote.iso (BIOS, UEFI, USB stick)

$(BUILD)/mote.iso: $(BUILD)/mote.elf $(ISO_CFG) $(ISO_FILES) iso/mkiso.sh
	$(call SHOW,ISO,$@)
	$(Q)iso/mkiso.sh $@ $(BUILD)/mote.elf $(ISO_CFG) $(ISO_FILES)
