/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * host.c: /dev/colinux as a whole: what host.info and host.doctor tell.
 *
 * The device is opened when it is needed and kept open only while VMs exist,
 * so the module can be loaded after colinuxd and unloaded before it ends.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "dev.h"
#include "hd.h"

static const struct { co_u64 bit; const char *name; } hd_host_features[] = {
	{ CO_FEATURE_VMX_ON, "vmx-on" }, { CO_FEATURE_SVME, "svme" }, { CO_FEATURE_LA57, "la57" },
	{ CO_FEATURE_HOST_PTI, "host-pti" }, { CO_FEATURE_USER_VIEW, "user-view" },
	{ CO_FEATURE_TSC_STABLE, "tsc-stable" }, { CO_FEATURE_PCID, "pcid" },
	{ CO_FEATURE_CET, "cet" }, { CO_FEATURE_HYPERVISOR, "hypervisor" },
	{ CO_FEATURE_XSAVE, "xsave" }, { CO_FEATURE_UMIP, "umip" },
	{ CO_FEATURE_IBPB, "ibpb" }, { CO_FEATURE_RSB, "rsb" }, { CO_FEATURE_VERW, "verw" },
};

static const struct { co_u64 bit; const char *name, *text; } hd_host_obstacles[] = {
	{ CO_OBSTACLE_NOT_LONG_MODE, "not-long-mode", "the CPU is not in 64-bit mode" },
	{ CO_OBSTACLE_FRED, "fred", "FRED is on: interrupts cannot be raised again (boot with fred=off)" },
	{ CO_OBSTACLE_SLOT_IN_USE, "slot-in-use", "the host uses the monitor's part of the address space" },
	{ CO_OBSTACLE_NO_TSC, "no-tsc", "the CPU has no usable time stamp counter" },
	{ CO_OBSTACLE_XEN_HOST, "xen-host", "the host is itself a Xen PV guest" },
};

#define HD_COUNT(a)	(sizeof(a) / sizeof((a)[0]))

static int hd_host_open(struct hd *hd, struct err *e)
{
	int fd = dev_open(hd->device);

	if (fd >= 0)
		return fd;
	switch (fd) {
	case -CO_ENODEV:
		return err_set(e, CO_ENODEV, "%s is absent: the module colinux is not loaded", hd->device);
	case -CO_EPERM:
		return err_set(e, CO_EPERM, "%s: access is refused (colinuxd must run as root)", hd->device);
	default:
		return err_set(e, -fd, "%s cannot be opened: %s", hd->device, err_text(-fd));
	}
}

static int hd_host_greet(struct hd *hd, int fd, struct co_hello *h, struct err *e)
{
	int err = dev_hello(fd, h);

	/* A wrong version is told in the struct, or the call's number is unknown. */
	if (!err && h->abi_version != CO_ABI_VERSION)
		err = -CO_EABI;
	if (err == -CO_EABI)
		return err_set(e, CO_EABI, "%s: the loaded module speaks ABI %u, this colinuxd ABI %u (build %s)",
			       hd->device, h->abi_version, CO_ABI_VERSION, HD_BUILD);
	if (err)
		return err_set(e, -err, "%s does not answer: %s", hd->device, err_text(-err));
	h->cpu_vendor[sizeof(h->cpu_vendor) - 1] = 0;
	h->cpu_brand[sizeof(h->cpu_brand) - 1] = 0;
	h->build_id[sizeof(h->build_id) - 1] = 0;
	return 0;
}

int hd_host_hello(struct hd *hd, struct co_hello *h, struct err *e)
{
	int fd = hd->control >= 0 ? hd->control : hd_host_open(hd, e), err;

	if (fd < 0)
		return fd;
	err = hd_host_greet(hd, fd, h, e);
	if (fd != hd->control)
		dev_close(fd);
	return err;
}

/* Before the first VM: opens the device and refuses a host that cannot run any. */
int hd_host_control(struct hd *hd, struct err *e)
{
	struct co_hello h;
	int fd, err;

	if (hd->control >= 0)
		return 0;
	fd = hd_host_open(hd, e);
	if (fd < 0)
		return fd;
	err = hd_host_greet(hd, fd, &h, e);
	for (size_t i = 0; !err && i < HD_COUNT(hd_host_obstacles); i++)
		if (h.obstacles & hd_host_obstacles[i].bit)
			err = err_set(e, CO_ECPU, "%s", hd_host_obstacles[i].text);
	if (err) {
		dev_close(fd);
		return err;
	}
	hd->control = fd;
	return 0;
}

void hd_host_idle(struct hd *hd)
{
	for (struct hd_vm *vm = hd->vms; vm; vm = vm->next)
		if (vm->handle >= 0)
			return;
	dev_close(hd->control);
	hd->control = -1;
}

static json_t *hd_host_hex(co_u64 value)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%llx", value);
	return json_string(text);
}

int hd_host_info(struct hd *hd, json_t **result, struct err *e)
{
	json_t *features = json_array(), *obstacles = json_array();
	struct utsname os;
	struct co_hello h;
	int err = hd_host_hello(hd, &h, e);

	if (err) {
		json_decref(features);
		json_decref(obstacles);
		return err;
	}
	uname(&os);
	for (size_t i = 0; i < HD_COUNT(hd_host_features); i++)
		if (h.features & hd_host_features[i].bit)
			json_array_append_new(features, json_string(hd_host_features[i].name));
	for (size_t i = 0; i < HD_COUNT(hd_host_obstacles); i++)
		if (h.obstacles & hd_host_obstacles[i].bit)
			json_array_append_new(obstacles, json_string(hd_host_obstacles[i].name));
	*result = json_pack("{s:o, s:o, s:I, s:I, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:s, s:o, s:o,"
			    " s:o, s:I, s:I, s:I, s:o}",
		"cpuVendor", msg_string(h.cpu_vendor), "cpuBrand", msg_string(h.cpu_brand),
		"cpuSignature", (json_int_t)h.cpu_signature, "cpus", (json_int_t)h.cpus,
		"cr0", hd_host_hex(h.cr0), "cr3", hd_host_hex(h.cr3), "cr4", hd_host_hex(h.cr4),
		"efer", hd_host_hex(h.efer), "tscKhz", (json_int_t)h.tsc_khz,
		"memoryTotal", (json_int_t)h.memory_total, "memoryFree", (json_int_t)h.memory_free,
		"heldPages", (json_int_t)h.held_pages,
		"protect", h.protect == CO_PROTECT_WP ? "wp" : "none",
		"features", features, "obstacles", obstacles, "build", msg_string(h.build_id),
		"abi", (json_int_t)h.abi_version, "vms", (json_int_t)h.vms,
		"monitorBytes", (json_int_t)h.monitor_bytes, "kernel", msg_string(os.release));
	return *result ? 0 : err_set(e, CO_ENOMEM, "out of memory");
}

static void hd_host_check(json_t *list, const char *name, bool ok, const char *detail, const char *hint)
{
	json_t *c = json_pack("{s:s, s:b, s:o}", "name", name, "ok", (int)ok, "detail", msg_string(detail));

	if (c && !ok && hint)
		json_object_set_new(c, "hint", json_string(hint));
	json_array_append_new(list, c);
}

static void hd_host_checks(json_t *list, const struct co_hello *h)
{
	char text[160];

	snprintf(text, sizeof(text), "module build %s, helper build %s", h->build_id, HD_BUILD);
	hd_host_check(list, "build", !strcmp(h->build_id, HD_BUILD), text,
		      "they understand each other (same ABI), but install both from one build");
	for (size_t i = 0; i < HD_COUNT(hd_host_obstacles); i++)
		if (h->obstacles & hd_host_obstacles[i].bit)
			hd_host_check(list, hd_host_obstacles[i].name, false, hd_host_obstacles[i].text,
				      err_hint(CO_ECPU));
	if (!h->obstacles)
		hd_host_check(list, "cpu", true, h->cpu_brand, NULL);
	hd_host_check(list, "protect", h->protect == CO_PROTECT_WP,
		      h->protect == CO_PROTECT_WP ? "wp: the monitor is write-protected while guests run"
		      : "none: a guest kernel can write the monitor; every VM here must be trusted alike",
		      "load the module with protect=wp (in an emulated virtual host none is the default)");
	hd_host_check(list, "user-view", true, h->features & CO_FEATURE_USER_VIEW
		      ? "on: this CPU leaks across the U bit, guest users run on a view without their kernel"
		      : "off: this CPU does not leak across the U bit", NULL);
	snprintf(text, sizeof(text), "%s%s%s", h->features & CO_FEATURE_IBPB ? "IBPB " : "",
		 h->features & CO_FEATURE_RSB ? "RSB " : "", h->features & CO_FEATURE_VERW ? "VERW " : "");
	hd_host_check(list, "barriers", true, h->features & CO_FEATURE_BARRIERS ? text
		      : "none between the worlds: this CPU asks for none, or the module was told so", NULL);
	hd_host_check(list, "tsc", h->features & CO_FEATURE_TSC_STABLE,
		      h->features & CO_FEATURE_TSC_STABLE ? "stable" : "the host calls its TSC unstable",
		      "guests' clocks cost a call; boot the host with tsc=reliable if you know better");
	snprintf(text, sizeof(text), "%llu of %llu MiB free, %llu pages held for %u VMs",
		 h->memory_free >> 20, h->memory_total >> 20, h->held_pages, h->vms);
	hd_host_check(list, "memory", h->memory_free >= CO_MIN_MEMORY, text, err_hint(CO_ENOMEM));
}

json_t *hd_host_doctor(struct hd *hd)
{
	json_t *list = json_array();
	struct co_hello h;
	char text[300];
	struct err e;

	if (!list)
		return NULL;
	snprintf(text, sizeof(text), "%s: %s", hd->worker, access(hd->worker, X_OK) ? strerror(errno) : "there");
	hd_host_check(list, "worker", access(hd->worker, X_OK) == 0, text, "reinstall coLinux");
	if (hd_host_hello(hd, &h, &e)) {
		hd_host_check(list, e.code == CO_EABI ? "abi" : "device", false, e.text, err_hint(e.code));
	} else {
		snprintf(text, sizeof(text), "%s answers, ABI %u", hd->device, h.abi_version);
		hd_host_check(list, "device", true, text, NULL);
		hd_host_checks(list, &h);
	}
	return json_pack("{s:o}", "checks", list);
}
