/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kext's start and stop, and the kmod_info by which XNU finds them: data, set
 * by the compiler; nothing here or elsewhere wants a constructor.
 *
 * Words of the boot arguments (nvram boot-args) stand where Linux has parameters of
 * the module: colinux_protect=wp|none, colinux_view=auto|on|off.
 */
#include "seam.h"
#include "../../core/core.h"

lck_grp_t *co_darwin_group;

static int parameters(co_u32 *protect, int *view)
{
	char word[16];

	*protect = CO_PROTECT_WP;
	*view = -1;
	memset(word, 0, sizeof(word));
	if (PE_parse_boot_argn("colinux_protect", word, sizeof(word) - 1)) {
		if (!strcmp(word, "none"))
			*protect = CO_PROTECT_NONE;
		else if (strcmp(word, "wp")) {
			co_os_log("colinux_protect=%s is neither wp nor none", word);
			return -CO_EINVAL;
		}
	}
	memset(word, 0, sizeof(word));
	if (PE_parse_boot_argn("colinux_view", word, sizeof(word) - 1)) {
		if (!strcmp(word, "on"))
			*view = 1;
		else if (!strcmp(word, "off"))
			*view = 0;
		else if (strcmp(word, "auto")) {
			co_os_log("colinux_view=%s is none of auto, on, off", word);
			return -CO_EINVAL;
		}
	}
	return 0;
}

static int refuse(const char *what)
{
	co_os_log("not loaded: %s", what);
	return KERN_FAILURE;
}

kern_return_t co_darwin_start(kmod_info_t *ki, void *data);
kern_return_t co_darwin_start(kmod_info_t *ki, void *data)
{
	const char *what = "its boot arguments";
	co_u32 protect;
	int view;

	(void)ki, (void)data;
	if (parameters(&protect, &view))
		return refuse(what);
	co_darwin_group = lck_grp_alloc_init("colinux", LCK_GRP_ATTR_NULL);
	if (!co_darwin_group)
		return refuse("no lock group");
	what = "the TSC's frequency is not known";
	if (co_darwin_time_start())
		goto group;
	what = "no lock for timers";
	if (co_darwin_timer_start())
		goto group;
	what = "no memory for each CPU's FPU state, or more CPUs than 64";
	if (co_darwin_world_start())
		goto timer;
	what = "the local APIC cannot be mapped";
	if (co_darwin_apic_start())
		goto world;
	what = "no memory for the monitor";
	if (co_core_start(protect, view))
		goto apic;
	if (co_host.obstacles & CO_OBSTACLE_SLOT_IN_USE)
		co_os_log("no guest can run: the kernel uses top-level slot %u, the monitor's", MON_SLOT);
	what = "/dev/colinux cannot be made";
	if (co_darwin_manager_start())
		goto core;
	co_os_log("protect=%s, user view %s", protect == CO_PROTECT_WP ? "wp" : "none",
		  co_host.user_view ? "on" : "off");
	return KERN_SUCCESS;
core:
	co_core_stop();
apic:
	co_darwin_apic_stop();
world:
	co_darwin_world_stop();
timer:
	co_darwin_timer_stop();
group:
	lck_grp_free(co_darwin_group);
	return refuse(what);
}

kern_return_t co_darwin_stop(kmod_info_t *ki, void *data);
kern_return_t co_darwin_stop(kmod_info_t *ki, void *data)
{
	(void)ki, (void)data;
	if (co_darwin_manager_stop())
		return KERN_FAILURE;
	/*
	 * Whoever was the last in a timer or a close has let go of our locks, but may
	 * still be on his way out of our text, which goes when this returns.
	 */
	IOSleep(100);
	co_core_stop();
	co_darwin_apic_stop();
	co_darwin_world_stop();
	co_darwin_timer_stop();
	lck_grp_free(co_darwin_group);
	if (co_os_held_pages())
		co_os_log("%llu pages leaked", co_os_held_pages());
	return KERN_SUCCESS;
}

kmod_info_t kmod_info = {
	.info_version = KMOD_INFO_VERSION,
	.id = ~0u,
	.name = "org.colinux.kext",
	.version = CO_VERSION,
	.reference_count = -1,
	.start = co_darwin_start,
	.stop = co_darwin_stop,
};

/* Ours in kpi/ and Apple's are the same. */
_Static_assert(sizeof(kmod_info_t) == 196, "kmod_info");
_Static_assert(sizeof(struct cdevsw) == 112, "cdevsw");
_Static_assert(sizeof(struct vm_statistics64) == 152, "vm_statistics64");
_Static_assert(sizeof(clock_sec_t) == 8 && sizeof(boolean_t) == 4 && sizeof(dev_t) == 4, "types");
