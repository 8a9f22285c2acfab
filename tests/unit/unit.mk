# Host unit tests (cmocka, ASan, UBSan) and fuzz targets (libFuzzer). Each tests/unit/test_NAME.c and
# tests/fuzz/fuzz_NAME.c names the pure modules that it is linked with in a line of the form
#   /* units: mm/frame.c kernel/lib/fmt.c */
HOST_CC ?= gcc
HOST_FLAGS := -std=gnu17 -g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all \
	-Wall -Wextra -Werror -I. -Itests/unit/include -Ikernel/$(ARCH) -Ivcpu/$(ARCH) -DMOTE_HOST=1
UNIT_TESTS := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_*.c))
FUZZERS := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
unit_sources = $(wildcard $(shell sed -n 's,^/\* units: \(.*\) \*/.*,\1,p' $(1)))
UNIT_HEADERS := $(shell find boot drivers kernel mm vcpu vm tests/unit -name '*.h' -o -name '*.def')
FUZZ_RUNS ?= 20000

# Each module is compiled once for all programs of a kind.
unit_objects = $(patsubst %.c,$(BUILD)/$(1)/obj/%.o,tests/$(1)/$(2).c tests/unit/host.c $(call unit_sources,tests/$(1)/$(2).c))

define unit_rule
$(BUILD)/unit/$(1): $(call unit_objects,unit,$(1))
	@echo 'HOST  $$@'; $(HOST_CC) $(HOST_FLAGS) $$^ -lcmocka -o $$@
endef
define fuzz_rule
$(BUILD)/fuzz/$(1): $(call unit_objects,fuzz,$(1))
	@echo 'FUZZ  $$@'; clang $(HOST_FLAGS) -fsanitize=fuzzer $$^ -o $$@
endef
$(BUILD)/unit/obj/%.o: %.c $(UNIT_HEADERS)
	@mkdir -p $(@D)
	@$(HOST_CC) $(HOST_FLAGS) -c $< -o $@
$(BUILD)/fuzz/obj/%.o: %.c $(UNIT_HEADERS)
	@mkdir -p $(@D)
	@clang $(HOST_FLAGS) -fsanitize=fuzzer-no-link -c $< -o $@
$(foreach t,$(UNIT_TESTS),$(eval $(call unit_rule,$(t))))
$(foreach t,$(FUZZERS),$(eval $(call fuzz_rule,$(t))))

# Run command $(2) for each program of $(1), as many at a time as there are CPUs; what each says comes in one piece when it ends.
in_parallel = printf '%s\n' $(1) | xargs -P $(JOBS) -I PROGRAM sh -c 'status=0; $(2) >PROGRAM.log 2>&1 || status=1; \
	flock $(BUILD)/unit.lock sh -c "echo == PROGRAM; cat PROGRAM.log"; exit $$status'

.PHONY: unit fuzz unit-programs
unit-programs: $(addprefix $(BUILD)/unit/,$(UNIT_TESTS)) $(addprefix $(BUILD)/fuzz/,$(FUZZERS))
unit: $(addprefix $(BUILD)/unit/,$(UNIT_TESTS))
	@$(call in_parallel,$^,PROGRAM)

fuzz: $(addprefix $(BUILD)/fuzz/,$(FUZZERS))
	@mkdir -p $(addsuffix .corpus,$^)
	@$(call in_parallel,$^,PROGRAM -runs=$(FUZZ_RUNS) -max_len=8192 -seed=1 -verbosity=0 -rss_limit_mb=4096 PROGRAM.corpus)
