# Bringing Leat to where it runs: client library, install, Debian package, container image.

PREFIX     ?= /usr/local
BINDIR     ?= $(PREFIX)/bin
LIBDIR     ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR     ?= $(PREFIX)/share/man
DATADIR    ?= $(PREFIX)/share/leat
# What belongs to the machine and not to a prefix, unless somebody installs into a home.
SYSCONFDIR ?= $(if $(filter /usr /usr/local,$(PREFIX)),/etc,$(PREFIX)/etc)
UNITDIR    ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d

# --- the client library ---------------------------------------------------------------------------

# Its number changes when a program linked with the one before would not run any more.
SOVERSION := 0
CLIENT_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(filter-out proto/acks.c proto/batch.c,$(wildcard proto/*.c)))
CLIENT_LIBRARY := $(BUILD)/lib/libleat.so.$(VERSION) $(BUILD)/lib/libleat.a

$(BUILD)/lib/libleat.so.$(VERSION): $(CLIENT_OBJECTS) deploy/libleat.map
	@mkdir -p $(@D)
	@echo "LINK $@"
	$(CC) $(ALL_CFLAGS) -shared -o $@ $(CLIENT_OBJECTS) -Wl,-soname,libleat.so.$(SOVERSION) \
	    -Wl,--version-script=deploy/libleat.map -Wl,-z,defs -Wl,--as-needed \
	    $$(pkg-config --libs libzmq msgpack) $(LDFLAGS)

# One object whose other names are hidden, so that they cannot meet names of the program.
$(BUILD)/lib/libleat.a: $(CLIENT_OBJECTS) deploy/libleat.map
	@mkdir -p $(@D)
	@echo "AR   $@"
	$(LD) -r -o $(@D)/libleat.o $(CLIENT_OBJECTS)
	sed -n 's/^ *\(leat_[a-z_]*\);$$/\1/p' deploy/libleat.map >$(@D)/libleat.names
	objcopy --keep-global-symbols=$(@D)/libleat.names $(@D)/libleat.o
	rm -f $@
	ar rcs $@ $(@D)/libleat.o

# --- man pages ------------------------------------------------------------------------------------

# A command's page is its help text; a setting's is the table of settings.
COMMANDS  := $(shell grep -o '{&[a-z]*_manual' services/leat/main.c | tr -dc 'a-z_\n' | sed 's/_manual//')
STAGES    := $(patsubst leat-%,%,$(filter leat-%,$(PROGRAMS)))
MAN_PAGES := $(addprefix $(BUILD)/man/,leat.1 leat.conf.5 leat-stages.7 \
               $(COMMANDS:%=leat-%.1) $(STAGES:%=leat-%.1))

$(COMMANDS:%=$(BUILD)/man/leat-%.1): $(BUILD)/man/leat-%.1: $(BUILD)/bin/leat
	@mkdir -p $(@D)
	$< help --roff $* >$@

$(STAGES:%=$(BUILD)/man/leat-%.1):
	@mkdir -p $(@D)
	echo '.so man7/leat-stages.7' >$@

$(BUILD)/man/leat.conf.5: deploy/man/leat.conf.5.in deploy/man/settings.awk $(BUILD)/bin/leat
	@mkdir -p $(@D)
	env -i $(BUILD)/bin/leat config | awk -f deploy/man/settings.awk >$@.settings
	sed -e 's|@VERSION@|$(VERSION)|' -e '/^@SETTINGS@$$/{r $@.settings' -e 'd}' $< >$@
	rm $@.settings

# The commands in leat(1) are those of `leat help`: "  send     send records from ...".
$(BUILD)/man/leat.1: deploy/man/leat.1.in $(BUILD)/bin/leat
	@mkdir -p $(@D)
	$(BUILD)/bin/leat help | sed -n '/^Commands/,/^$$/s/^  \([a-z]*\)  *\(.*\)/.TP\n.BR leat\\-\1 (1)\n\2/p' >$@.commands
	sed -e 's|@VERSION@|$(VERSION)|' -e '/^@COMMANDS@$$/{r $@.commands' -e 'd}' $< >$@
	rm $@.commands

$(BUILD)/man/%: deploy/man/%.in Makefile
	@mkdir -p $(@D)
	sed -e 's|@VERSION@|$(VERSION)|' $< >$@

# --- install --------------------------------------------------------------------------------------

UNITS_IN := $(wildcard deploy/systemd/*.in)
PLACES   := sed -e 's|@PREFIX@|$(PREFIX)|g' -e 's|@BINDIR@|$(BINDIR)|g' -e 's|@LIBDIR@|$(LIBDIR)|g' \
                -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|g' -e 's|@SYSCONFDIR@|$(SYSCONFDIR)|g' \
                -e 's|@VERSION@|$(VERSION)|g'
INSTALL  := install

.PHONY: client-library man install install-programs install-library install-system uninstall
client-library: $(CLIENT_LIBRARY)

man: $(MAN_PAGES)

install: install-programs install-library install-system

# The programs and what they cannot do without: all that a container image needs.
install-programs: $(BINARIES) $(SHARED)
	$(INSTALL) -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(DATADIR)
	$(INSTALL) -m 755 $(BINARIES) $(DESTDIR)$(BINDIR)
	$(INSTALL) -m 644 $(SHARED) $(DESTDIR)$(DATADIR)

install-library: $(CLIENT_LIBRARY)
	$(INSTALL) -d $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(INCLUDEDIR)/leat
	$(INSTALL) -m 644 $(CLIENT_LIBRARY) $(DESTDIR)$(LIBDIR)
	ln -sf libleat.so.$(VERSION) $(DESTDIR)$(LIBDIR)/libleat.so.$(SOVERSION)
	ln -sf libleat.so.$(SOVERSION) $(DESTDIR)$(LIBDIR)/libleat.so
	$(INSTALL) -m 644 proto/error.h $(DESTDIR)$(INCLUDEDIR)/leat/error.h
	sed -e 's|"proto/error.h"|<leat/error.h>|' proto/leat.h >$(DESTDIR)$(INCLUDEDIR)/leat.h
	chmod 644 $(DESTDIR)$(INCLUDEDIR)/leat.h
	$(PLACES) deploy/leat.pc.in >$(DESTDIR)$(LIBDIR)/pkgconfig/leat.pc

# Settings that are there stay as they are.
install-system: $(MAN_PAGES)
	$(INSTALL) -d $(DESTDIR)$(UNITDIR) $(DESTDIR)$(SYSUSERSDIR) $(DESTDIR)$(SYSCONFDIR)/leat
	$(INSTALL) -d $(DESTDIR)$(MANDIR)/man1 $(DESTDIR)$(MANDIR)/man5 $(DESTDIR)$(MANDIR)/man7
	for page in $(MAN_PAGES); do \
	    $(INSTALL) -m 644 $$page $(DESTDIR)$(MANDIR)/man$${page##*.} || exit 1; done
	for unit in $(UNITS_IN:deploy/systemd/%.in=%); do \
	    $(PLACES) deploy/systemd/$$unit.in >$(DESTDIR)$(UNITDIR)/$$unit || exit 1; done
	$(INSTALL) -m 644 deploy/systemd/leat.sysusers $(DESTDIR)$(SYSUSERSDIR)/leat.conf
	test -e $(DESTDIR)$(SYSCONFDIR)/leat/leat.conf || \
	    $(INSTALL) -m 644 deploy/settings/leat.conf $(DESTDIR)$(SYSCONFDIR)/leat/leat.conf

# Settings, journal and store stay: they are not ours.
uninstall:
	rm -f $(addprefix $(DESTDIR)$(BINDIR)/,$(PROGRAMS))
	rm -f $(addprefix $(DESTDIR)$(DATADIR)/,$(notdir $(SHARED)))
	rm -f $(addprefix $(DESTDIR)$(LIBDIR)/,libleat.a libleat.so libleat.so.$(SOVERSION) \
	    libleat.so.$(VERSION) pkgconfig/leat.pc)
	rm -f $(DESTDIR)$(INCLUDEDIR)/leat.h $(DESTDIR)$(INCLUDEDIR)/leat/error.h
	rm -f $(foreach page,$(notdir $(MAN_PAGES)),$(DESTDIR)$(MANDIR)/man$(subst .,,$(suffix $(page)))/$(page))
	rm -f $(UNITS_IN:deploy/systemd/%.in=$(DESTDIR)$(UNITDIR)/%) $(DESTDIR)$(SYSUSERSDIR)/leat.conf
	-rmdir $(DESTDIR)$(DATADIR) $(DESTDIR)$(INCLUDEDIR)/leat 2>/dev/null

# --- package and image ----------------------------------------------------------------------------

IMAGE ?= leat

.PHONY: deb image test-deploy
deb:
	@deploy/build-deb $(VERSION)

# REVISION tells in the image's labels what it was made from; other variables of the command line
# (BASE=…, PLATFORM=linux/arm64) as deploy/Dockerfile has them.
image:
	docker build -f deploy/Dockerfile -t $(IMAGE):$(VERSION) -t $(IMAGE):latest \
	    --build-arg VERSION=$(VERSION) \
	    --build-arg REVISION="$$(git rev-parse --short HEAD 2>/dev/null || echo unknown)" \
	    $(if $(BASE),--build-arg BASE=$(BASE)) $(if $(PLATFORM),--platform $(PLATFORM)) .

# Needs no package: what a machine cannot do is skipped and said.
test-deploy:
	@tests/deploy/run
