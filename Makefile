# SPDX-License-Identifier: GPL-2.0-or-later
#
# coLinux: everything starts here.  `make` builds, `make up` boots a guest,
# `make test` proves it.  What is missing on a Debian 12 machine is installed
# by the targets themselves, as root or through sudo; all output is in build/.

BUILD := $(CURDIR)/build
DENO := $(BUILD)/cli/deno

# What the product and its tests need; npm comes on top where there is none.
DEBIAN_PACKAGES := \
	build-essential gcc-12 pkg-config busybox-static cpio kmod xz-utils lz4 zstd \
	util-linux qemu-system-x86 \
	libjansson-dev liblzma-dev liblz4-dev libzstd-dev zlib1g-dev libseccomp-dev \
	libcap-dev libxen-dev clang

# Kernels of the virtual host: the first is the one that `make up` uses.
HOST_KERNELS := linux-image-cloud-amd64
# Kernels that `make test` boots, as hosts and as guests.
TEST_HOST_KERNELS := $(HOST_KERNELS) linux-image-6.12-cloud-amd64
TEST_GUEST_KERNELS := linux-image-amd64 linux-image-6.12-amd64

release = $$(cat $(BUILD)/cache/kernels/by-package/$(1))
kernel_main := $(DENO) run --no-config --quiet --no-prompt --allow-read --allow-write=$(BUILD) \
	--allow-run --allow-env --allow-sys=uid cli/image/kernel_main.ts $(BUILD)/cache

.PHONY: all
all: kernels

# ---- what must be there first ---------------------------------------------

.PHONY: packages
packages:
	@missing=; \
	for package in $(DEBIAN_PACKAGES); do \
		dpkg -s $$package 2>/dev/null | grep -q '^Status: .* installed$$' || \
			missing="$$missing $$package"; \
	done; \
	command -v npm >/dev/null || missing="$$missing npm"; \
	[ -z "$$missing" ] && exit 0; \
	sudo=; [ "$$(id -u)" = 0 ] || sudo="sudo"; \
	export DEBIAN_FRONTEND=noninteractive; \
	echo "installing:$$missing" >&2; \
	install="$$sudo apt-get -qq install -y --no-install-recommends $$missing"; \
	$$install >/dev/null || { $$sudo apt-get -qq update && $$install >/dev/null; }

.PHONY: tools
tools: packages
	@$(MAKE) --no-print-directory -C cli BUILD=$(BUILD) $(DENO)

.PHONY: kernels test-kernels
kernels: tools
	@$(kernel_main) $(HOST_KERNELS) >/dev/null
test-kernels: tools
	@$(kernel_main) $(TEST_HOST_KERNELS) >/dev/null
	@$(kernel_main) $(TEST_GUEST_KERNELS) >/dev/null

# ---- aids ------------------------------------------------------------------

# make raw [KVER= GUEST= CPU= SMP= MEM= APPEND= ARGS= QEMU_ARGS= LIMIT=]
.PHONY: raw
raw:
	@env $(foreach v,KVER GUEST CPU SMP MEM APPEND ARGS QEMU_ARGS LIMIT KO CODOM,\
		$(if $($(v)),$(v)='$($(v))')) tests/machine/raw.sh
