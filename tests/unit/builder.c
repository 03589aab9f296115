/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tests of helperd/worker/builder: what a guest finds, and hostile images. */
#include <stdlib.h>
#include <string.h>

#include "mkelf.h"
#include "unit.h"
#include "../../helperd/worker/builder/builder.h"
#include "../../kext/include/xen/xen.h"

#define MIB		(1ull << 20)
#define FRAME		0x000ffffffffff000ull

struct domain {
	uint8_t *memory, *kernel, *initrd;
	size_t kernel_len;
	struct wk_builder_in in;
	struct wk_builder_out out;
	int rc;
};

/* Every buffer is exact, so that ASan stops one byte outside. */
static struct domain build(const struct mkelf *spec, uint64_t mib, size_t initrd)
{
	struct domain d = { 0 };

	d.kernel = mkelf(spec, &d.kernel_len);
	d.memory = calloc(1, mib * MIB);
	d.initrd = malloc(initrd ? initrd : 1);
	memset(d.initrd, 0x5a, initrd);
	d.in = (struct wk_builder_in){
		.memory = d.memory, .memory_bytes = mib * MIB,
		.kernel = d.kernel, .kernel_bytes = d.kernel_len,
		.initrd = d.initrd, .initrd_bytes = initrd,
		.cmdline = "console=hvc0 root=/dev/xvda1",
		.shared_info_gfn = mib * MIB / 4096,
		.console_port = CO_PORT_CONSOLE, .xenstore_port = CO_PORT_XENSTORE,
	};
	d.rc = wk_builder_build(&d.in, &d.out);
	return d;
}

static void drop(struct domain *d)
{
	free(d->memory);
	free(d->kernel);
	free(d->initrd);
}

/* The entry that maps va, 0 if a level is missing; collects all flags. */
static uint64_t walk(const struct domain *d, uint64_t va, uint64_t *seen)
{
	uint64_t gfn = d->out.cr3_gfn, e = 0;

	for (int shift = 39; shift >= 12; shift -= 9) {
		memcpy(&e, d->memory + gfn * 4096 + (va >> shift & 511) * 8, 8);
		if (!(e & 1))
			return 0;
		*seen |= e & ~FRAME;
		gfn = (e & FRAME) >> 12;
		if (gfn >= d->in.memory_bytes / 4096)
			return 0;
	}
	return e;
}

static const struct wk_builder_region *region(const struct domain *d, const char *name)
{
	for (uint32_t i = 0; i < d->out.nregions; i++)
		if (!strcmp(d->out.regions[i].name, name))
			return &d->out.regions[i];
	return NULL;
}

static int in_region(const struct domain *d, const char *name, uint64_t gfn)
{
	const struct wk_builder_region *r = region(d, name);

	return r && gfn * 4096 >= r->start && gfn * 4096 < r->end;
}

static const struct start_info *info(const struct domain *d)
{
	return (const void *)(d->memory + (d->out.rsi - MK_VIRT_BASE));
}

/* Everything that must hold of any domain that was built. */
static void check_domain(const struct domain *d)
{
	uint64_t seen = 0, end = 0, pages = d->in.memory_bytes / 4096, mapped;
	const struct start_info *si;

	CHECK(d->rc == 0, "%d %s", d->rc, d->out.why);
	if (d->rc)
		return;
	si = info(d);
	/* The ABI's promise: 512 KB above the stack, then up to a 4 MB boundary. */
	mapped = (region(d, "stack")->end / 4096 + 128 + 1023) / 1024 * 1024;
	CHECK(!walk(d, MK_VIRT_BASE + mapped * 4096, &seen));
	for (uint64_t gfn = 0; gfn < mapped; gfn++) {
		uint64_t e = walk(d, MK_VIRT_BASE + gfn * 4096, &seen);
		int table = in_region(d, "page tables", gfn) ||
			    in_region(d, "p2m tables", gfn);

		if (gfn >= pages ? e != 0 : (e & FRAME) >> 12 != gfn ||
		    (e & ~FRAME) != (table ? 0x61u : 0x63u)) {
			CHECK(0, "frame %llu maps as %llx", (unsigned long long)gfn,
			      (unsigned long long)e);
			break;
		}
	}
	for (uint64_t pfn = 0; pfn < pages; pfn++) {
		uint64_t e = walk(d, si->mfn_list + pfn * 8, &seen), value;

		memcpy(&value, d->memory + (e & FRAME) + pfn * 8 % 4096, 8);
		if (!(e & 2) || value != pfn) {
			CHECK(0, "p2m[%llu] = %llu", (unsigned long long)pfn,
			      (unsigned long long)value);
			break;
		}
	}
	CHECK(!(seen & 4), "an entry has the U bit");
	CHECK(!walk(d, 0, &seen) && !walk(d, HYPERVISOR_VIRT_START, &seen));
	for (uint32_t i = 0; i < d->out.nregions; i++) {
		CHECK(d->out.regions[i].start >= end && d->out.regions[i].end > d->out.regions[i].start,
		      "region %s", d->out.regions[i].name);
		end = d->out.regions[i].end;
	}
	CHECK(!strcmp(si->magic, "xen-3.0-x86_64"));
	CHECK(si->nr_pages == pages && si->shared_info == pages * 4096);
	CHECK(si->pt_base == MK_VIRT_BASE + d->out.cr3_gfn * 4096);
	CHECK(si->nr_pt_frames == (region(d, "page tables")->end -
				   region(d, "page tables")->start) / 4096);
	CHECK(si->console.domU.mfn == d->out.console_gfn && si->console.domU.evtchn == 2);
	CHECK(!strcmp((const char *)si->cmd_line, d->in.cmdline));
	CHECK(d->out.rsp == MK_VIRT_BASE + region(d, "stack")->end);
	CHECK(d->out.rip == MK_VIRT_BASE + MK_LOAD + 0x40);
	CHECK(!memcmp(d->memory + MK_LOAD, d->kernel + 0x1000, 0x1000));
	CHECK(!memcmp(d->memory + MK_LOAD + 0x2000, d->kernel + 0x2000, 0x1000));
}

static void debian_layout(void)
{
	struct mkelf spec = mkelf_debian();
	struct domain d = build(&spec, 256, 3 * 4096 + 17);
	const struct start_info *si = info(&d);
	uint64_t l4 = d.out.cr3_gfn, e;

	check_domain(&d);
	CHECK(si->flags == SIF_MOD_START_PFN);
	CHECK(si->mfn_list == MK_INIT_P2M);
	CHECK(si->first_p2m_pfn * 4096 == region(&d, "p2m")->start);
	CHECK((si->first_p2m_pfn + si->nr_p2m_frames) * 4096 == region(&d, "p2m tables")->end);
	CHECK(si->store_mfn == d.out.xenstore_gfn && si->store_evtchn == 1);
	CHECK(si->mod_start * 4096 == region(&d, "initrd")->start);
	CHECK(si->mod_len == 3 * 4096 + 17);
	CHECK(!memcmp(d.memory + si->mod_start * 4096, d.initrd, si->mod_len));
	CHECK(!d.memory[si->mod_start * 4096 + si->mod_len]);
	/* Linux counts on L4, L3, L2, L1 in a row. */
	memcpy(&e, d.memory + l4 * 4096 + 511 * 8, 8);
	CHECK((e & FRAME) >> 12 == l4 + 1);
	memcpy(&e, d.memory + (l4 + 1) * 4096 + 510 * 8, 8);
	CHECK((e & FRAME) >> 12 == l4 + 2);
	memcpy(&e, d.memory + (l4 + 2) * 4096, 8);
	CHECK((e & FRAME) >> 12 == l4 + 3);
	CHECK(region(&d, "shared_info")->start == 256 * MIB);
	CHECK(region(&d, "grant table")->end == 256 * MIB + 33 * 4096);
	drop(&d);
}

static void no_xenstore(void)
{
	struct mkelf spec = mkelf_debian();
	struct domain d = build(&spec, 18, 0);	/* the map goes past the RAM */

	memset(d.memory, 0, 18 * MIB);
	d.in.xenstore_port = 0;
	d.rc = wk_builder_build(&d.in, &d.out);
	check_domain(&d);
	CHECK(!info(&d)->store_mfn && !info(&d)->store_evtchn && !d.out.xenstore_gfn);
	CHECK(!info(&d)->mod_start && !info(&d)->mod_len);
	drop(&d);
}

/* Kernels before 4.x ask for neither an INIT_P2M address nor a PFN. */
static void old_kernel(void)
{
	struct mkelf spec = mkelf_debian();
	struct domain d;
	const uint8_t *page;

	spec.init_p2m = 0;
	spec.mod_start_pfn = 0;
	spec.hypercall_page = MK_VIRT_BASE + MK_LOAD + 0x3000;
	d = build(&spec, 128, 5000);
	check_domain(&d);
	if (!d.rc) {
		const struct start_info *si = info(&d);

		CHECK(!si->flags && !si->first_p2m_pfn && !si->nr_p2m_frames);
		CHECK(si->mfn_list == MK_VIRT_BASE + region(&d, "p2m")->start);
		CHECK(si->mod_start == MK_VIRT_BASE + region(&d, "initrd")->start);
		page = d.memory + MK_LOAD + 0x3000;
		CHECK(!memcmp(page + 17 * 32, "\x51\x41\x53\xb8\x11\0\0\0\x0f\x05\x41\x5b\x59\xc3", 14));
		CHECK(!memcmp(page + 23 * 32, "\x51\x41\x53\x50\xb8\x17\0\0\0\x0f\x05\x0f\x0b", 13));
	}
	drop(&d);
}

/* The map grows with the kernel, up to what Linux can have. */
static void large_kernel(void)
{
	struct mkelf spec = mkelf_debian();
	struct domain d;

	spec.load_memsz = 200 * MIB;
	d = build(&spec, 512, 4096);
	check_domain(&d);
	drop(&d);
	spec.load_memsz = 600 * MIB;
	d = build(&spec, 1024, 0);
	CHECK(d.rc == -CO_EKERNEL && strstr(d.out.why, "too large"), "%d %s", d.rc, d.out.why);
	drop(&d);
}

/* Every frame count from "nothing fits" to "it fits" must be decided cleanly. */
static void every_size(void)
{
	struct mkelf spec = mkelf_debian();
	size_t len;
	uint8_t *kernel = mkelf(&spec, &len);
	int fitted = 0;

	for (uint64_t pages = 1; pages < 4400; pages += pages < 4000 ? 97 : 1) {
		uint8_t *memory = calloc(pages, 4096);
		struct wk_builder_in in = {
			.memory = memory, .memory_bytes = pages * 4096,
			.kernel = kernel, .kernel_bytes = len,
			.initrd = kernel, .initrd_bytes = len,
			.shared_info_gfn = pages, .console_port = 2,
		};
		struct wk_builder_out out;
		int rc = wk_builder_build(&in, &out);

		CHECK(rc == 0 || rc == -CO_EMEMORY || rc == -CO_EINITRD);
		CHECK(rc == 0 ? !out.why[0] : out.why[0]);
		CHECK(!fitted || rc == 0, "%llu pages", (unsigned long long)pages);
		fitted |= rc == 0;
		free(memory);
	}
	CHECK(fitted);
	free(kernel);
}

static void expect(struct mkelf spec, int rc, const char *words)
{
	struct domain d = build(&spec, 64, 0);

	CHECK(d.rc == rc && strstr(d.out.why, words), "%d %s", d.rc, d.out.why);
	drop(&d);
}

static void hostile_notes(void)
{
	struct mkelf k;

#define BAD(field, value, words) \
	(k = mkelf_debian(), k.field = (value), expect(k, -CO_EKERNEL, words))
	BAD(no_notes, 1, "no Xen notes");
	BAD(no_notes, 1, "CONFIG_XEN_PV");
	BAD(no_entry, 1, "CONFIG_XEN_PV");
	BAD(virt_base, 0, "VIRT_BASE");
	BAD(virt_base, 0x1000, "VIRT_BASE");
	BAD(virt_base, MK_VIRT_BASE + 8, "VIRT_BASE");
	BAD(virt_base, 0xfffffffffffff000ull, "VIRT_BASE");
	BAD(virt_base, 0xffff820000000000ull, "VIRT_BASE");
	BAD(entry, 0, "entry");
	BAD(entry, MK_VIRT_BASE, "entry");
	BAD(entry, MK_VIRT_BASE + MK_LOAD + 4 * 4096, "entry");
	BAD(entry, ~0ull, "entry");
	BAD(hypercall_page, MK_VIRT_BASE + MK_LOAD + 8, "hypercall page");
	BAD(hypercall_page, MK_VIRT_BASE + MK_LOAD + 0x4000, "hypercall page");
	BAD(hypercall_page, 0xfffffffffffff000ull, "hypercall page");
	BAD(hypercall_page, 0x1000, "hypercall page");
	BAD(init_p2m, 0x1000, "INIT_P2M");
	BAD(init_p2m, MK_VIRT_BASE, "INIT_P2M");
	BAD(init_p2m, HYPERVISOR_VIRT_START, "INIT_P2M");
	BAD(init_p2m, 1ull << 47, "INIT_P2M");
	BAD(hv_start_low, HYPERVISOR_VIRT_END, "hole");
	BAD(xen_version, "xen-2.0", "xen-3.0");
	BAD(xen_version, "x", "xen-3.0");
	BAD(features, "!supervisor_mode_kernel", "feature");
	BAD(features, "pae_pgdir_above_4gb|!auto_translated_physmap", "feature");
	BAD(features, "!", "feature");
	BAD(features, "!pae_pgdir_above_4gb_", "feature");
#undef BAD
	k = mkelf_debian();
	k.features = "auto_translated_physmap||!pae_pgdir_above_4gb|";
	expect(k, 0, "");
}

static void hostile_inputs(void)
{
	struct mkelf spec = mkelf_debian();
	struct domain d = build(&spec, 64, 64 * MIB);
	char line[1100];

	CHECK(d.rc == -CO_EINITRD && strstr(d.out.why, "initrd does not fit"), "%s", d.out.why);
	drop(&d);
	spec.load_memsz = 64 * MIB;
	d = build(&spec, 64, 0);
	CHECK(d.rc == -CO_EMEMORY && strstr(d.out.why, "does not fit in 64 MiB"), "%s", d.out.why);
	drop(&d);
	spec = mkelf_debian();
	d = build(&spec, 64, 100);
	memset(line, 'a', sizeof(line));
	d.in.cmdline = line;
	line[1023] = '\0';
	CHECK(wk_builder_build(&d.in, &d.out) == 0);
	line[1023] = 'a';
	line[1024] = '\0';
	CHECK(wk_builder_build(&d.in, &d.out) == -CO_ETOOBIG && d.out.why[0]);
	d.in.cmdline = NULL;
#define BAD(field, value, want) do {					\
		struct wk_builder_in bad = d.in;			\
		bad.field = (value);					\
		CHECK(wk_builder_build(&bad, &d.out) == (want) && d.out.why[0]); \
	} while (0)
	BAD(memory_bytes, 0, -CO_EMEMORY);
	BAD(memory_bytes, 4097, -CO_EMEMORY);
	BAD(memory_bytes, ~0ull << 12, -CO_EMEMORY);
	BAD(memory, NULL, -CO_EMEMORY);
	BAD(initrd_bytes, ~0ull, -CO_EINITRD);
	BAD(initrd_bytes, CO_MAX_MEMORY, -CO_EINITRD);
	BAD(initrd, NULL, -CO_EINITRD);
	BAD(shared_info_gfn, 100, -CO_EINVAL);
	BAD(shared_info_gfn, ~0ull, -CO_EINVAL);
	BAD(kernel_bytes, 0, -CO_EKERNEL);
	BAD(kernel_bytes, 3, -CO_EKERNEL);
#undef BAD
	drop(&d);
}

/* The check alone, on an exact copy, must be deterministic and in bounds. */
static int check_copy(const uint8_t *image, size_t len, const char **why)
{
	static char text[WK_BUILDER_WHY_LEN];
	uint8_t *copy = malloc(len ? len : 1);
	int rc;

	memcpy(copy, image, len);
	rc = wk_builder_check(copy, len, text);
	free(copy);
	*why = text;
	return rc;
}

static void every_truncation(void)
{
	struct mkelf spec = mkelf_debian();
	size_t len;
	uint8_t *kernel = mkelf(&spec, &len);
	const char *why;

	for (size_t n = 0; n < len; n++) {
		int rc = check_copy(kernel, n, &why);

		CHECK(rc == -CO_EKERNEL && why[0], "%zu bytes: %d", n, rc);
		if (n >= 4)
			CHECK(strstr(why, "truncated"), "%zu bytes: %s", n, why);
	}
	CHECK(check_copy(kernel, len, &why) == 0, "%s", why);
	free(kernel);
}

/* Each byte of headers and notes takes each hard value; then really built. */
static void every_byte(void)
{
	static const uint8_t values[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };
	struct mkelf spec = mkelf_debian();
	struct domain d;

	spec.hypercall_page = MK_VIRT_BASE + MK_LOAD + 0x1000;
	d = build(&spec, 20, 1000);
	CHECK(d.rc == 0, "%s", d.out.why);
	for (size_t at = 0; at < 0x600; at++) {
		uint8_t old = d.kernel[at];

		for (size_t v = 0; v < sizeof(values); v++) {
			d.kernel[at] = values[v];
			d.rc = wk_builder_build(&d.in, &d.out);
			CHECK(!d.rc == !d.out.why[0], "byte %zu = %u: %d", at,
			      values[v], d.rc);
		}
		d.kernel[at] = old;
	}
	drop(&d);
}

int main(void)
{
	RUN(debian_layout);
	RUN(no_xenstore);
	RUN(old_kernel);
	RUN(large_kernel);
	RUN(every_size);
	RUN(hostile_notes);
	RUN(hostile_inputs);
	RUN(every_truncation);
	RUN(every_byte);
	UNIT_END();
}
