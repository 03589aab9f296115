/* SPDX-License-Identifier: GPL-2.0-or-later */
/* conet_tap_darwin.c: macOS has no tap or macvtap devices of its own. */
#ifdef __APPLE__
#include "conet.h"

int conet_tap_open(struct conet_net *n, const json_t *spec, struct err *e)
{
	(void)n;
	(void)spec;
	return err_set(e, CO_ENOSYS, "nets: macOS has no tap devices: use mode nat, with forwards");
}

int conet_nic_open(struct conet_net *n, const json_t *spec, struct err *e)
{
	(void)n;
	(void)spec;
	return err_set(e, CO_ENOSYS, "nets: macOS has no macvtap devices: use mode nat without a device");
}
#endif
