# One Makefile, not recursive; dependencies are written by the compiler; everything lands under build/.
OUT     ?= build
CFLAGS  ?= -O2 -g
prefix  ?= /usr/local
libdir  ?= $(prefix)/lib
pythondir ?= $(prefix)/lib/python3/dist-packages
VERSION := $(shell sed -n 's/.*LIAISON_VERSION_TEXT "\(.*\)"/\1/p' proto/version.h)
DEBS    := gcc libc6-dev make pkg-config bison flex protobuf-c-compiler openssl \
           $(patsubst %,lib%-dev,protobuf-c ssl zmq3 lmdb jansson seccomp)
TESTDEBS := libcmocka-dev python3 python3-zmq python3-protobuf protobuf-compiler stunnel4 procps sslscan mandoc testssl.sh \
           softhsm2 opensc libengine-pkcs11-openssl # keys in tokens
PKGS    := openssl libprotobuf-c libzmq lmdb jansson libseccomp
WARN    := -Wall -Wextra -Wshadow -Wconversion -Wformat=2 -Wvla -Wundef -Wpointer-arith -Wwrite-strings \
           -Wstrict-prototypes -Wmissing-prototypes $(if $(WERROR),-Werror)
SANFLAG := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer)
PKGINC  := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
BASE     = -std=c17 -D_GNU_SOURCE -I. -I$(OUT) $(PKGINC) -fPIC -fvisibility=hidden \
           -fstack-protector-strong $(or $(SANFLAG),-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2) -MMD -MP
LINK     = $(CC) $(CFLAGS) $(SANFLAG) $(LDFLAGS) -Wl,-z,relro,-z,now,--as-needed
LIBS     = $(shell pkg-config --libs $(PKGS)) -lpthread
obj      = $(patsubst %.c,$(OUT)/%.o,$(wildcard $(addsuffix /*.c,$1)))
bin      = $(patsubst %.c,$(OUT)/%,$(wildcard $1/*.c))
PB      := $(patsubst %.proto,$(OUT)/%.pb-c.o,$(wildcard proto/*.proto))
GRAM    := $(patsubst %,$(OUT)/%.o,$(basename $(wildcard broker/conf/*.[yl])))
GEN_H   := $(PB:.o=.h) $(patsubst %.proto,$(OUT)/%.pb-c.h,$(wildcard broker/core/*.proto)) $(patsubst %.y,$(OUT)/%.h,$(wildcard broker/conf/*.y)) $(OUT)/liaison-codes.h
ROWS    := $(patsubst %.proto,$(OUT)/%.pb-c.o,$(wildcard broker/core/*.proto))
PROTO   := $(call obj,proto) $(PB)
LIB     := $(filter-out %/example.o,$(call obj,client/lib)) $(PROTO)
MAINS   := $(patsubst %,$(OUT)/%.o,broker/main client/cli/main client/audit/main client/lib/example)
JUDGE   := $(call obj,broker/conf broker/rules) $(GRAM) # of old entries: the broker's own
PROGS   := $(addprefix $(OUT)/,liaisond liaison liaison-audit)
UNITS   := $(call bin,tests/unit)
FUZZERS := $(call bin,tests/fuzz)
BENCHES := $(call bin,tests/bench)
TOOLS   := $(addprefix $(OUT)/tests/fault/,traffic log_maker strict edit_store judge_note meta_flips hold_reader)
FAULTS  := $(TOOLS) $(OUT)/tests/fault/strict-seeded \
           $(addprefix $(OUT)/tests/fault/liaisond-,lying rekeying flush lenient hasty)
SHIM    := $(OUT)/tests/fault/disk.so
MAN1    := $(wildcard certs/*.1 client/cli/*.1 client/audit/*.1)
E2E     := $(wildcard tests/e2e/[0-9]*)
FAULTTESTS := $(wildcard tests/fault/[0-9]*) # the cases of faults, by number
OURS    := $(sort $(filter-out $(PB),$(LIB)) $(call obj,broker broker/* client/* tests/unit tests/fuzz tests/bench tests/fault))

all: $(PROGS) $(OUT)/libliaison.so.1 $(OUT)/libliaison.a
$(OUT)/liaisond:      $(call obj,broker broker/*) $(GRAM) $(ROWS) $(PROTO)
$(OUT)/liaison:       $(call obj,client/cli client/json) $(LIB)
$(OUT)/liaison-audit: $(call obj,client/audit client/json) $(JUDGE) $(LIB)
$(OUT)/parts.a: $(filter-out $(MAINS),$(sort $(call obj,broker broker/* client/*) $(GRAM) $(ROWS) $(PROTO))) # all but the main()s
$(OUT)/libliaison.a: $(OUT)/liaison.o
$(OUT)/%.a: ; rm -f $@ && $(AR) qcs $@ $^
$(OUT)/liaison.o: $(LIB) ; $(LD) -r -o $@ $^ && objcopy --localize-hidden $@ # its inner names clash with nobody's
$(OUT)/libliaison.so.1: $(LIB) client/lib/liaison.map
	$(LINK) -shared -Wl,-soname,libliaison.so.1,--version-script=client/lib/liaison.map $(if $(SAN),,-Wl,-z,defs) \
	    -o $@ $(LIB) $(shell pkg-config --libs openssl libprotobuf-c)
$(UNITS) $(FUZZERS) $(BENCHES) $(TOOLS): %: %.o $(OUT)/parts.a
$(OUT)/tests/fault/strict-seeded: $(addprefix $(OUT)/tests/fault/,strict.o valid_seeded.o) $(OUT)/parts.a # for 02-mutants
$(OUT)/tests/fault/valid_seeded.c: proto/valid.c tests/fault/valid.sed ; @mkdir -p $(@D) && sed -f tests/fault/valid.sed $< >$@
$(OUT)/tests/fault/valid_seeded.o: %.o: %.c | $(GEN_H) ; $(CC) $(BASE) -w $(CFLAGS) -c -o $@ $<
$(OUT)/tests/fault/liaisond-lying: $(OUT)/tests/fault/lying_commit.o $(OUT)/broker/main.o $(OUT)/parts.a # for 04-kill9 alone
$(OUT)/tests/fault/liaisond-lying: LDLIBS += $(patsubst %,-Xlinker --wrap=%,log_scrub $(addprefix store_,begin commit abort close))
$(OUT)/tests/fault/liaisond-flush: $(OUT)/tests/fault/flush.o $(OUT)/broker/main.o $(OUT)/parts.a # for 02-traps
$(OUT)/tests/fault/liaisond-hasty: $(OUT)/tests/fault/hasty.o $(OUT)/broker/main.o $(OUT)/parts.a # for 05-another-tree, 19-keys
$(OUT)/tests/fault/liaisond-hasty: LDLIBS += -Xlinker --wrap=core_new -Xlinker --wrap=notary_wait
$(OUT)/tests/fault/liaisond-rekeying: $(OUT)/tests/fault/rekeying.o $(OUT)/broker/main.o $(OUT)/parts.a # for 11-tls
$(OUT)/tests/fault/liaisond-rekeying: LDLIBS += -Xlinker --wrap=stream_new
$(OUT)/tests/fault/liaisond-lenient: $(OUT)/tests/fault/lenient.o $(OUT)/broker/main.o $(OUT)/parts.a # for 07-hostile
$(OUT)/tests/fault/liaisond-lenient: LDLIBS += $(patsubst %,-Xlinker --wrap=%,session_fire session_end session_wake tally_add)
$(SHIM): tests/fault/disk.c ; @mkdir -p $(@D) && $(CC) $(subst $(SANFLAG),,$(BASE)) $(WARN) -fvisibility=default -O2 -g -shared -o $@ $< -ldl
$(OUT)/tests/fault/meta_flips: LDLIBS += -Xlinker --wrap=store_lock
$(UNITS): LDLIBS += -lcmocka
$(FUZZERS): LDLIBS += -fsanitize=fuzzer
$(OUT)/tests/fuzz/fuzz_rows: LDLIBS += $(patsubst %,-Xlinker --wrap=store_%,get put scan)
$(OUT)/tests/unit/test_notary $(OUT)/tests/unit/test_notary_hand: \
    LDLIBS += $(patsubst %,-Xlinker --wrap=%,write pwrite fsync fdatasync rename unlink link send)
$(OUT)/tests/unit/test_store: LDLIBS += -Wl,--wrap=mdb_txn_commit
$(PROGS) $(UNITS) $(FUZZERS) $(BENCHES) $(FAULTS): ; $(LINK) -pie -o $@ $^ $(LIBS) $(LDLIBS)

$(OURS): $(OUT)/%.o: %.c | $(GEN_H) ; @mkdir -p $(@D) && $(CC) $(BASE) $(WARN) $(CFLAGS) -c -o $@ $<
$(PB) $(ROWS) $(GRAM): %.o: %.c | $(GEN_H) ; $(CC) $(BASE) -w $(CFLAGS) -c -o $@ $< # written by tools: no house warnings
$(OUT)/%.pb-c.c $(OUT)/%.pb-c.h: %.proto ; @mkdir -p $(@D) && protoc-c --c_out=$(OUT) $<
$(OUT)/%.c $(OUT)/%.h: %.y ; @mkdir -p $(@D) && bison -Wall -Werror --defines=$(OUT)/$*.h -o $(OUT)/$*.c $<
$(OUT)/%.c: %.l ; @mkdir -p $(@D) && flex -o $@ $<
$(OUT)/liaison-codes.h: proto/liaison.proto # enum Code under its C names; installed beside liaison.h
	@mkdir -p $(@D) && awk 'BEGIN {print "#pragma once\nenum liaison_code {"} /^enum Code/ {on = 1} /^}/ {on = 0} \
	    on && $$2 == "=" {sub(/^CODE_/, "", $$1); print "    LIAISON_" $$1 " = " $$3 + 0 ","} END {print "};"}' $< >$@

check: layers all $(UNITS) $(BENCHES) $(FAULTS) $(SHIM)
	@OUT=$(OUT) tests/run $(UNITS) $(E2E) $(FAULTTESTS)
test: testdeps ; $(MAKE) check
demo: deps ; $(MAKE) all && OUT=$(OUT) tests/e2e/demo
bench: all $(BENCHES) ; @OUT=$(OUT) tests/bench/run
asan: testdeps ; $(MAKE) check OUT=build/asan-$(CC) SAN=address,undefined WERROR=1 CFLAGS="-O1 -g"
tsan: testdeps ; TSAN_OPTIONS=suppressions=$(CURDIR)/tests/tsan.supp $(MAKE) check OUT=build/tsan-$(CC) SAN=thread WERROR=1
fuzz: ; $(MAKE) CC=clang OUT=build/fuzz SAN=address,undefined,fuzzer-no-link fuzzers && FOR=$(or $(FOR),10) tests/fuzz/run
fuzz-%: # the same for one; finds stay in build/fuzz/finds, seeds lie in tests/data/fuzz/NAME
	$(MAKE) CC=clang OUT=build/fuzz SAN=address,undefined,fuzzer-no-link build/fuzz/tests/fuzz/fuzz_$*
	FOR=$(or $(FOR),60) tests/fuzz/run $*
fuzz-seeded: ; FOR=$(or $(FOR),60) tests/fault/fuzz-seeded
fault-seeded: ; tests/fault/cases-seeded
fuzzers: $(FUZZERS)
lint: ; cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
	    --suppress=missingIncludeSystem -I. -I$(OUT) broker client proto
valgrind: all $(addprefix $(OUT)/tests/unit/,test_seal test_lib test_flags) ; @FULL=1 OUT=$(OUT) tests/e2e/52-valgrind
layers: ; @tests/layers
deps: ; @tests/deps $(DEBS)
testdeps: ; @tests/deps $(DEBS) $(TESTDEBS)
install: all
	install -D -t $(DESTDIR)$(prefix)/bin $(PROGS) certs/liaison-ca
	install -D -m644 -t $(DESTDIR)$(prefix)/share/liaison certs/liaison-ca.cnf certs/liaison-ca-authorities.sh certs/liaison-ca-registry.sh
	install -D -m644 -t $(DESTDIR)$(prefix)/include client/lib/liaison.h $(OUT)/liaison-codes.h
	install -D -m644 -t $(DESTDIR)$(libdir) $(OUT)/libliaison.a $(OUT)/libliaison.so.1
	ln -sf libliaison.so.1 $(DESTDIR)$(libdir)/libliaison.so
	install -d $(DESTDIR)$(libdir)/pkgconfig
	sed -e 's|@prefix@|$(prefix)|' -e 's|@libdir@|$(libdir)|' -e 's|@version@|$(VERSION)|' client/lib/liaison.pc.in \
	    >$(DESTDIR)$(libdir)/pkgconfig/liaison.pc
	install -D -m644 -t $(DESTDIR)$(pythondir) client/python/liaison.py
	install -d $(DESTDIR)$(prefix)/lib/systemd/system $(DESTDIR)$(prefix)/share/doc/liaison
	sed 's|/usr/bin/liaisond|$(prefix)/bin/liaisond|' debian/liaisond.service \
	    >$(DESTDIR)$(prefix)/lib/systemd/system/liaisond.service
	install -D -m644 debian/liaisond.sysusers $(DESTDIR)$(prefix)/lib/sysusers.d/liaisond.conf
	install -m644 -t $(DESTDIR)$(prefix)/share/doc/liaison README.md CHANGELOG.md LICENSE proto/PROTOCOL.md proto/liaison.proto
	install -m644 certs/README.md $(DESTDIR)$(prefix)/share/doc/liaison/registrar.md
	$(OUT)/liaisond template >$(DESTDIR)$(prefix)/share/doc/liaison/liaisond.conf
	install -D -m644 -t $(DESTDIR)$(prefix)/share/man/man1 $(MAN1)
	install -D -m644 -t $(DESTDIR)$(prefix)/share/man/man5 broker/conf/liaisond.conf.5
	install -D -m644 -t $(DESTDIR)$(prefix)/share/man/man8 broker/liaisond.8
	install -D -m644 client/cli/liaison.bash $(DESTDIR)$(prefix)/share/bash-completion/completions/liaison
hostile: all $(BENCHES) ; @OUT=$(OUT) tests/bench/siege
deb: ; @OUT=$(OUT) tests/deb
clean: ; rm -rf build
-include $(shell find $(OUT) -path $(OUT)/deb -prune -o -name '*.d' -type f -print 2>/dev/null)
.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all check test demo bench hostile asan tsan fuzz fuzz-seeded fault-seeded fuzzers lint valgrind layers deps testdeps install deb clean
