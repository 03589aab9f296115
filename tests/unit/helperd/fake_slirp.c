/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fake_slirp.c: a libslirp that only remembers what it has been asked for. */
#include <slirp/libslirp.h>

size_t fake_mtu, fake_mru;

Slirp *slirp_new(const SlirpConfig *config, const SlirpCb *calls, void *opaque)
{
	(void)calls;
	fake_mtu = config->version ? config->if_mtu : 0;
	fake_mru = config->version ? config->if_mru : 0;
	return opaque;
}
