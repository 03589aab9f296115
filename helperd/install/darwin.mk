# SPDX-License-Identifier: GPL-2.0-or-later
#
# make install, make uninstall on macOS; included by install.mk.  Loading is the
# person's own step, since macOS wants the kext approved first: README, "On a Mac".

KEXT_DIR := $(DESTDIR)/Library/Extensions
DAEMON := $(DESTDIR)/Library/LaunchDaemons/org.colinux.colinuxd.plist

.PHONY: install uninstall
install:
	@[ -x $(BUILD)/kext/darwin/colinux.kext/Contents/MacOS/colinux ] || $(MAKE) kext-darwin
	@[ -x $(BUILD)/bin/colinux-worker ] || $(MAKE) helper
	$(submake) cli install BUILD=$(BUILD) PREFIX=$(PREFIX) DESTDIR=$(DESTDIR)
	install -d $(LIB_DIR) $(KEXT_DIR) $(dir $(DAEMON))
	install -m 755 $(BUILD)/bin/colinuxd $(BUILD)/bin/colinux-worker $(LIB_DIR)/
	rm -rf $(KEXT_DIR)/colinux.kext
	cp -R $(BUILD)/kext/darwin/colinux.kext $(KEXT_DIR)/
	sed 's|@LIB@|$(PREFIX)/lib/colinux|' helperd/install/org.colinux.colinuxd.plist >$(DAEMON)
ifeq ($(DESTDIR),)
	chown -R root:wheel $(KEXT_DIR)/colinux.kext $(DAEMON)
	@echo "now: kmutil load -p $(KEXT_DIR)/colinux.kext, and approve it; then"
	@echo "launchctl bootstrap system $(DAEMON)"
endif

uninstall:
ifeq ($(DESTDIR),)
	-launchctl bootout system/org.colinux.colinuxd
	-kmutil unload -b org.colinux.kext
endif
	rm -rf $(LIB_DIR) $(KEXT_DIR)/colinux.kext $(DESTDIR)$(PREFIX)/share/colinux
	rm -f $(DESTDIR)$(PREFIX)/bin/colinux $(DAEMON)
