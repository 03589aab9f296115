# SPDX-License-Identifier: GPL-2.0-or-later
#
# coLinux: everything starts here.
#   make             builds all of it        make up      boots the mail server
#   make test        proves it               make check   style, types, house rules
#   make bench       measures it             make soak    the long tests
#   make tour        a walk through the code make clean   removes build/
#   make install [PREFIX= DESTDIR=], make uninstall
# What is missing on a Debian 12 machine is installed by the targets themselves,
# as root or through sudo.  All output is in build/.

BUILD := $(CURDIR)/build
DENO := $(BUILD)/cli/deno
PREFIX ?= /usr/local
DESTDIR ?=
VERSION := 0.1.0

# Where the machine's own certificates matter, npm needs to be told.
export NODE_EXTRA_CA_CERTS := $(or $(NODE_EXTRA_CA_CERTS),$(wildcard /etc/ssl/certs/ca-certificates.crt))

# What the product and its tests need; npm comes on top where there is none.
DEBIAN_PACKAGES := \
	build-essential gcc-12 git pkg-config python3 cpio kmod xz-utils lz4 zstd \
	util-linux qemu-system-x86 \
	libjansson-dev liblzma-dev liblz4-dev libzstd-dev zlib1g-dev libseccomp-dev \
	libcap-dev libslirp-dev libglib2.0-dev libxen-dev clang llvm mmdebstrap uidmap e2fsprogs \
	openssl iproute2 strace fio curl swaks libnet-ssleay-perl mutt

# Kernels of the virtual host: the first is the one that `make up` uses.
HOST_KERNELS := linux-image-cloud-amd64
# Kernels that `make test` boots, as hosts and as guests.
TEST_HOST_KERNELS := $(HOST_KERNELS) linux-image-6.12-cloud-amd64
TEST_GUEST_KERNELS := linux-image-amd64 linux-image-6.12-amd64

KERNELS := $(BUILD)/cache/kernels
deno_run := $(DENO) run --no-config --quiet --no-prompt --allow-read --allow-write --allow-run \
	--allow-env --allow-sys=uid
submake = $(MAKE) --no-print-directory -C

.PHONY: all
all: images

# ---- what must be there first ---------------------------------------------

.PHONY: packages tools
packages:
	@command -v dpkg-query >/dev/null || exit 0; missing=; \
	for package in $(DEBIAN_PACKAGES); do \
		dpkg-query -W -f='$${db:Status-Status}' $$package 2>/dev/null | grep -qx installed || \
			missing="$$missing $$package"; \
	done; \
	command -v npm >/dev/null || missing="$$missing npm"; \
	[ -z "$$missing" ] && exit 0; \
	sudo=; [ "$$(id -u)" = 0 ] || sudo="sudo DEBIAN_FRONTEND=noninteractive"; \
	export DEBIAN_FRONTEND=noninteractive; \
	echo "installing:$$missing" >&2; \
	install="$$sudo apt-get -qq -o Dpkg::Use-Pty=0 install -y --no-install-recommends $$missing"; \
	$$install >/dev/null 2>&1 || { $$sudo apt-get -qq update && $$install >/dev/null; }

tools: packages
	@$(submake) cli -s $(DENO)

# ---- the parts --------------------------------------------------------------

.PHONY: kernels test-kernels module test-modules helper cli images test-images
kernels: tools
	@$(deno_run) cli/image/kernel_main.ts $(BUILD)/cache $(HOST_KERNELS) >/dev/null
test-kernels: tools
	@$(deno_run) cli/image/kernel_main.ts $(BUILD)/cache \
		$(TEST_HOST_KERNELS) $(TEST_GUEST_KERNELS) >/dev/null

# $(call build_modules,PACKAGE...): colinux.ko for each one's kernel.
build_modules = for package in $(1); do \
		kver=$$(cat $(KERNELS)/by-package/$$package) && \
		$(submake) kext -s module BUILD=$(BUILD) KVER=$$kver \
			KDIR=$(KERNELS)/$$kver/headers/usr/src/linux-headers-$$kver || exit 1; \
	done
module: kernels
	@$(call build_modules,$(HOST_KERNELS))
test-modules: test-kernels
	@$(call build_modules,$(TEST_HOST_KERNELS))

# The kext for macOS: objects here, colinux.kext where Apple's linker is.
# KERNEL_HEADERS=, DARWIN_LD=: see kext/os/darwin/build.mk.
.PHONY: kext-darwin
kext-darwin: $(if $(shell command -v dpkg-query),packages)
	@$(submake) kext -s darwin BUILD=$(BUILD) VERSION=$(VERSION)
	@echo "build/kext/darwin: every symbol that the objects need is in kpi.txt, and no other"

helper: packages
	@$(submake) helperd all BUILD=$(BUILD)

cli: tools
	@$(submake) cli -s all BUILD=$(BUILD)

build_images = $(deno_run) cli/image/images_main.ts $(BUILD) \
	$$(cd $(KERNELS)/by-package && cat $(1))
images: module helper cli
	@$(call build_images,$(HOST_KERNELS))
test-images: test-modules helper cli
	@$(call build_images,$(TEST_HOST_KERNELS))

# ---- what people call -------------------------------------------------------

.PHONY: up test soak bench check tour
up: all
	@$(BUILD)/bin/colinux up configs/mailserver.jsonc

.PHONY: test-build
test-build: test-images
	@$(submake) tests/unit -s codom unbz BUILD=$(BUILD)
	@$(submake) tests/guest -s all BUILD=$(BUILD)
	@$(submake) tests/unit -s bed BUILD=$(BUILD)

# Some tests by name: make test T="unit machine/boot-6.1"
test: test-build
	@tests/run $(T)
soak: test-build
	@tests/run --soak $(T)
bench: test-build
	@tests/run --bench

check: all
	@$(submake) cli check BUILD=$(BUILD)
	@$(submake) helperd check BUILD=$(BUILD)
	@$(submake) tests/unit -s check-darwin BUILD=$(BUILD)
	@BUILD=$(BUILD) sh tests/runner/check.sh
	@sh tests/house.sh

tour:
	@git ls-files kext helperd cli | xargs awk '\
		/\* TOUR [0-9]+:/ { number = $$0; sub(/.*TOUR /, "", number); sub(/:.*/, "", number); \
			text = $$0; sub(/.*TOUR [0-9]+: */, "", text); line = FNR; open = 1 } \
		open && FNR != line && !/^ \*$$/ { more = $$0; sub(/^[ \t]*\*?\/? */, "", more); text = text " " more } \
		open && (/\*\// || /^ \*$$/) { sub(/ *\*\/.*/, "", text); \
			printf "%s\t%s:%d\t%s\n", number, FILENAME, line, text; open = 0 }' | \
	sort -n | awk -F'\t' '{ printf "%3d. %s\n     %s\n", $$1, $$3, $$2 }'

# ---- aids -------------------------------------------------------------------

# make raw [KVER= GUEST= CPU= SMP= MEM= APPEND= ARGS= QEMU_ARGS= LIMIT=]: a bare
# host, the module and one guest by codom, on this terminal.
.PHONY: raw clean
raw:
	@$(submake) tests/unit -s codom unbz BUILD=$(BUILD)
	@env $(foreach v,KVER GUEST CPU SMP MEM APPEND ARGS QEMU_ARGS LIMIT KO CODOM,\
		$(if $($(v)),$(v)='$($(v))')) tests/machine/raw.sh

clean:
	@if [ -x $(BUILD)/bin/colinux ]; then $(BUILD)/bin/colinux host stop --quiet || true; fi
	rm -rf $(BUILD)

include helperd/install/install.mk
