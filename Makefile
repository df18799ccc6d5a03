# Leat. `make` builds build/bin; `make demo` shows it at work; `make test` tests it; `make help`.

VERSION := 0.1.0

# A variant is a build of its own in its own folder: release, san (ASan + UBSan and fault hooks,
# which the tests use), tsan, fuzz (clang with libFuzzer and both sanitizers).
VARIANT ?= release
ifeq ($(VARIANT),release)
BUILD    := build
OPTIMIZE := -O2
else ifeq ($(VARIANT),san)
BUILD    := build/san
OPTIMIZE := -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -DLEAT_TEST_HOOKS \
            -Wno-format-truncation # instrumented code makes gcc see truncations that are none
else ifeq ($(VARIANT),tsan)
BUILD    := build/tsan
OPTIMIZE := -O1 -fsanitize=thread -DLEAT_TEST_HOOKS -Wno-format-truncation # as above
else ifeq ($(VARIANT),fuzz)
BUILD    := build/fuzz
OPTIMIZE := -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
CC       := clang
WARNINGS :=
else
$(error VARIANT is release, san, tsan or fuzz, not "$(VARIANT)")
endif

CC       ?= cc
WARNINGS ?= -Wall -Wextra -Wshadow -Wconversion -Werror
PACKAGES := libzmq msgpack lmdb libpq hiredis libmicrohttpd libczmq sqlite3 libxxhash jansson libutf8proc libcurl zlib
# Asked once, and only when something is compiled: `make deps` must work before they are there.
PC_CFLAGS = $(eval PC_CFLAGS := $(shell pkg-config --cflags $(PACKAGES)))$(PC_CFLAGS)
PC_LIBS   = $(eval PC_LIBS := $(shell pkg-config --libs $(PACKAGES)))$(PC_LIBS)
CFLAGS   ?= -g
# No fused multiply-add anywhere: figures are the same bits on every processor.
ALL_CFLAGS = -std=c17 -ffp-contract=off -D_GNU_SOURCE -DLEAT_VERSION='"$(VERSION)"' -I. $(WARNINGS) $(OPTIMIZE) \
             -fPIC -pthread $(PC_CFLAGS) $(CFLAGS)
LIBS     = -Wl,--as-needed $(PC_LIBS) -lcsv -llinear -ldnnl -lgomp -lm -pthread $(LDFLAGS)

PROGRAMS := leat leat-ingest leat-cache leat-classify leat-regress leat-persist
SOURCES  := $(filter-out %/main.c,$(wildcard proto/*.c services/*.c services/*/*.c services/*/*/*.c))
MAINS    := $(wildcard services/*/main.c)
UNITS    := $(wildcard tests/unit/test_*.c)
BENCHES  := $(wildcard tests/bench/bench_*.c)
EXAMPLES := $(wildcard proto/examples/*.c)
# The fuzz targets, and the three programs they are linked into.
FUZZ     := $(filter-out %/libfuzzer.c %/corpus.c %/seeds.c,$(wildcard tests/fuzz/*.c))

OBJECTS  := $(SOURCES:%.c=$(BUILD)/%.o)
BINARIES := $(PROGRAMS:%=$(BUILD)/bin/%)
UNIT_BINARIES  := $(UNITS:tests/unit/%.c=$(BUILD)/tests/%) $(BUILD)/tests/test_corpus
BENCH_BINARIES := $(BENCHES:tests/bench/%.c=$(BUILD)/bench/%)
# What ships beside the programs: a build folder looks like an installation.
SHARED   := $(addprefix $(BUILD)/share/leat/,default.model default.json topics.json)
EXAMPLE_BINARIES := $(EXAMPLES:proto/examples/%.c=$(BUILD)/examples/%)

# What cannot be done is refused before anything is built for it.
ifneq ($(filter fuzz torture soak,$(MAKECMDGOALS)),)
ifneq ($(origin SECONDS),undefined)
ifeq ($(shell printf %s '$(SECONDS)' | grep -Ex '0*[1-9][0-9]*'),)
$(error --seconds must be a whole number of 1 or more, not "$(SECONDS)")
endif
endif
endif

.PHONY: all help deps build-deps unit units examples test lint format bench bench-programs demo fuzz fuzz-seeds model torture soak clean
.DELETE_ON_ERROR:

all: $(BINARIES) $(SHARED) $(EXAMPLE_BINARIES)

help:
	@echo 'make            build build/bin (needs the packages that make deps installs)'
	@echo 'make demo       install what is missing, build, and show Leat at work'
	@echo 'make test       install what is missing and run all tests'
	@echo 'make unit       build and run the unit tests of this VARIANT (release, san, tsan)'
	@echo 'make torture    SECONDS=n SEED=n: kill everything under load, and look at what is stored'
	@echo 'make soak       SECONDS=n: steady load; memory, descriptors and journal must stay flat'
	@echo 'make fuzz       look for inputs that do harm; SECONDS=n for all targets together'
	@echo 'make model      check the protocol with spin'
	@echo 'make lint       compiler warnings, clang-format, cppcheck'
	@echo 'make bench      measure; BENCH="name ..." runs only those'
	@echo 'make install    install under PREFIX ($(PREFIX)); make uninstall takes it away'
	@echo 'make image      the container image; make deb: Debian packages'
	@echo 'make test-deploy  try the deployment on a Docker engine'
	@echo 'make deps       install the Debian packages that building and testing need'
	@echo 'make clean      remove build/'

deps:
	@deploy/install-packages

build-deps:
	@deploy/install-packages build

# make V=1 shows the commands.
$(V).SILENT:

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	@echo "CC   $<"
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# clang knows no GCC target pragma.
ifeq ($(VARIANT),fuzz)
$(BUILD)/services/regress/kernel_avx2.o: OPTIMIZE += -mavx2
$(BUILD)/services/regress/kernel_avx512.o: OPTIMIZE += -mavx512f
$(BUILD)/services/classify/encoder/kernels_avx2.o: OPTIMIZE += -mavx2 -mfma
$(BUILD)/services/classify/encoder/kernels_avx512.o: OPTIMIZE += -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma
$(BUILD)/services/classify/encoder/kernels_vnni.o: OPTIMIZE += -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mfma
endif

# But in what encoders compute: it is not the same bits on every processor anyway.
$(BUILD)/services/classify/encoder/kernels%.o: OPTIMIZE += -ffp-contract=fast

# The SQL that persist carries inside: recompiled when a migration changes.
$(BUILD)/services/persist/migrations.o: $(wildcard deploy/migrations/*/*.sql)

$(BUILD)/libservices.a: $(OBJECTS)
	@rm -f $@
	@echo "AR   $@"
	ar rcsP $@ $(OBJECTS)

$(BUILD)/bin/leat: $(BUILD)/services/leat/main.o $(BUILD)/libservices.a
	@mkdir -p $(@D)
	@echo "LINK $@"
	$(CC) $(ALL_CFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/bin/leat-%: $(BUILD)/services/%/main.o $(BUILD)/libservices.a
	@mkdir -p $(@D)
	@echo "LINK $@"
	$(CC) $(ALL_CFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/tests/%: $(BUILD)/tests/unit/%.o $(BUILD)/libservices.a
	@mkdir -p $(@D)
	@echo "LINK $@"
	$(CC) $(ALL_CFLAGS) -o $@ $^ $(LIBS) -lcmocka

$(BUILD)/tests/test_corpus: $(BUILD)/tests/fuzz/corpus.o $(FUZZ:%.c=$(BUILD)/%.o) $(BUILD)/libservices.a
	@mkdir -p $(@D)
	@echo "LINK $@"
	$(CC) $(ALL_CFLAGS) -o $@ $^ $(LIBS) -lcmocka

$(BUILD)/fuzz-seeds: $(BUILD)/tests/fuzz/seeds.o $(FUZZ:%.c=$(BUILD)/%.o) $(BUILD)/libservices.a
	@echo "LINK $@"
	$(CC) $(ALL_CFLAGS) -o $@ $^ $(LIBS)

# One program; tests/fuzz/run calls it by the names of the targets.
build/fuzz/bin/leat-fuzz: $(BUILD)/tests/fuzz/libfuzzer.o $(FUZZ:%.c=$(BUILD)/%.o) $(BUILD)/libservices.a
	@mkdir -p $(@D)
	@echo "LINK $@"
	$(CC) $(ALL_CFLAGS) -fsanitize=fuzzer -o $@ $^ $(LIBS)

$(BUILD)/bench/%: $(BUILD)/tests/bench/%.o $(BUILD)/libservices.a
	@mkdir -p $(@D)
	@echo "LINK $@"
	$(CC) $(ALL_CFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/examples/%: $(BUILD)/proto/examples/%.o $(BUILD)/libservices.a
	@mkdir -p $(@D)
	@echo "LINK $@"
	$(CC) $(ALL_CFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/share/leat/%: services/classify/models/%
	@mkdir -p $(@D)
	cp $< $@

$(BUILD)/share/leat/topics.json: services/classify/topics.json
	@mkdir -p $(@D)
	cp $< $@

units: $(UNIT_BINARIES) $(SHARED)

examples: $(EXAMPLE_BINARIES)

unit: units
	@tests/run --build $(BUILD) unit

test: deps
	$(MAKE) all units
	$(MAKE) VARIANT=san all units
	@tests/run

# Seconds of faults, and what they are drawn from.
torture soak: SECONDS ?= 300
SEED ?= 1

torture: deps
	$(MAKE) all 1>&2
	@TEST_BUILD=$(BUILD) tests/torture/torture --seconds $(SECONDS) --seed $(SEED)

soak: deps
	$(MAKE) all 1>&2
	@TEST_BUILD=$(BUILD) tests/torture/soak --seconds $(SECONDS)

bench-programs: all $(BENCH_BINARIES)

bench: deps
	$(MAKE) bench-programs
	@tests/bench/run $(BENCH)

demo: build-deps
	$(MAKE) all
	@deploy/demo

# SECONDS of fuzzing, all targets together.
fuzz:
	@deploy/install-packages fuzz
	$(MAKE) VARIANT=fuzz build/fuzz/bin/leat-fuzz
	@tests/fuzz/run --seconds $(or $(SECONDS),120)

fuzz-seeds: $(BUILD)/fuzz-seeds

# The protocol's model; spin is fetched when it is not there.
model:
	@deploy/install-packages model
	@tests/model/run

lint: deps
	@tests/lint

format:
	clang-format -i $$(git ls-files '*.c' '*.h')

clean:
	rm -rf build

include deploy/deploy.mk

-include $(OBJECTS:.o=.d) $(MAINS:%.c=$(BUILD)/%.d) $(UNITS:%.c=$(BUILD)/%.d) $(BENCHES:%.c=$(BUILD)/%.d) $(EXAMPLES:%.c=$(BUILD)/%.d) $(patsubst %.c,$(BUILD)/%.d,$(wildcard tests/fuzz/*.c))
