# SPDX-License-Identifier: GPL-2.0-or-later
#
# make install, make uninstall; included by the top Makefile.  With DESTDIR only
# files are put there (for packages); without it the module is built by DKMS for
# the running kernel and loaded, and colinuxd is started.  Nothing else in this
# tree ever loads a module into the running kernel.

LIB_DIR := $(DESTDIR)$(PREFIX)/lib/colinux
UNIT_DIR := $(DESTDIR)$(PREFIX)/lib/systemd/system
# DKMS looks for sources here, whatever PREFIX is.
DKMS_DIR := $(DESTDIR)/usr/src/colinux-$(VERSION)

ifeq ($(shell uname -s),Darwin)
include helperd/install/darwin.mk
else
.PHONY: install install-files uninstall
install: install-files
ifeq ($(DESTDIR),)
	@command -v dkms >/dev/null || DEBIAN_FRONTEND=noninteractive \
		apt-get -qq install -y --no-install-recommends dkms >/dev/null
	dkms add -m colinux -v $(VERSION)
	dkms install -m colinux -v $(VERSION)
	modprobe colinux
	@if [ -d /run/systemd/system ]; then \
		systemctl daemon-reload && systemctl enable --now colinuxd.service; \
	else echo "no systemd here: start $(PREFIX)/lib/colinux/colinuxd yourself"; fi
endif

install-files:
	@[ -x $(BUILD)/bin/colinux-worker ] && [ -s $(BUILD)/vhost/default ] || $(MAKE) all
	$(submake) cli install BUILD=$(BUILD) PREFIX=$(PREFIX) DESTDIR=$(DESTDIR)
	install -d $(LIB_DIR)/images $(UNIT_DIR) $(DKMS_DIR)/helperd/proto
	install -m 755 $(BUILD)/bin/colinuxd $(BUILD)/bin/colinux-worker $(BUILD)/bin/colinux-agent $(LIB_DIR)/
	install -m 644 $(BUILD)/images/shell.initrd $(LIB_DIR)/images/
	cd $(BUILD)/vhost && for file in default $$(cat default)/vmlinuz $$(cat default)/initrd; do \
		install -D -m 644 $$file $(LIB_DIR)/vhost/$$file || exit 1; done
	install -m 755 $(BUILD)/vhost/qemu_net.so $(LIB_DIR)/vhost/
	sed 's|@LIB@|$(PREFIX)/lib/colinux|' helperd/install/colinuxd.service > $(UNIT_DIR)/colinuxd.service
	install -D -m 644 helperd/install/modules-load.conf $(DESTDIR)/etc/modules-load.d/colinux.conf
	rm -rf $(DKMS_DIR)/kext
	cp -R kext $(DKMS_DIR)/kext
	install -m 644 helperd/proto/errors.def $(DKMS_DIR)/helperd/proto/
	sed "s|@VERSION@|$(VERSION)|; s|@BUILD_ID@|$$(cat $(BUILD)/helperd/build_id)|" helperd/install/dkms.conf > $(DKMS_DIR)/dkms.conf

uninstall:
ifeq ($(DESTDIR),)
	@if [ -d /run/systemd/system ]; then systemctl disable --now colinuxd.service || true; fi
	@if [ -d /sys/module/colinux ]; then rmmod colinux; fi
	@if command -v dkms >/dev/null; then dkms remove -m colinux -v $(VERSION) --all || true; fi
endif
	rm -rf $(LIB_DIR) $(DKMS_DIR) $(DESTDIR)$(PREFIX)/share/colinux $(DESTDIR)/var/lib/colinux
	rm -f $(DESTDIR)$(PREFIX)/bin/colinux $(UNIT_DIR)/colinuxd.service \
		$(DESTDIR)/etc/modules-load.d/colinux.conf
	@for dir in $(UNIT_DIR) $(DESTDIR)$(PREFIX)/lib/systemd; do \
		if [ -d $$dir ]; then rmdir --ignore-fail-on-non-empty $$dir; fi; done
ifeq ($(DESTDIR),)
	@if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
endif
endif
