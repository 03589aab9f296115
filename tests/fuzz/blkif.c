/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest's block driver: nodes, grants, and ring pages of any content, served by one
 * thread step by step.  Nothing outside the guest's memory is touched (ASan sees what
 * preadv does), each request is answered once at most, and the VM lives.
 *
 * Input: records.  First byte & 3: 0 a node (which, n, bytes), 1 a grant (reference,
 * 8 bytes), 2 memory (page, offset / 8, n, bytes), 3 the requests up to the ring's
 * index, made larger by the second byte, are done.  Behind an odd port grants are kept.
 */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"

/* Its steps are static functions. */
#include "../../helperd/worker/block_io.c"

#include "xenstore.h"

#define PAGES	16u
#define SECTORS	64u
#define GRANTS	(CO_GRANT_FRAMES * CO_PAGE_SIZE)

static struct wk w;
static struct wk_disk disk;
static uint32_t answers;

void wk_kill(struct wk *worker, const char *why)
{
	(void)worker;
	(void)why;
	MUST(!"a disk kills no VM");
}

void *wk_frame(struct wk *worker, uint64_t gfn)
{
	return gfn < worker->ram_pages ? worker->memory + (gfn << CO_PAGE_SHIFT) : NULL;
}

void wk_port_bind(struct wk *worker, uint32_t port, wk_port_fn fn, void *arg)
{
	MUST(port > CO_PORT_CONSOLE && port < WK_PORTS);
	worker->ports[port].fn = fn;
	worker->ports[port].arg = arg;
}

void wk_port_raise(struct wk *worker, uint32_t port)
{
	MUST(worker == &w && port > CO_PORT_CONSOLE && port < WK_PORTS);
}

int dev_vm_map(int vm, co_u64 gfn, co_u64 pages, void **at);
int dev_vm_map(int vm, co_u64 gfn, co_u64 pages, void **at)
{
	(void)vm;
	(void)gfn;
	*at = calloc(pages, CO_PAGE_SIZE);
	return 0;
}

void xs_wire_event(struct xs_wire *x, const char *path, const char *token)
{
	(void)x;
	(void)path;
	(void)token;
}

int wk_disk_flush(const struct wk_disk_file *f)
{
	return fdatasync(f->fd) ? errno : 0;
}

int wk_disk_discard(const struct wk_disk_file *f, uint64_t sector, uint64_t count)
{
	MUST(f->fd >= 0 && count && sector < SECTORS && count <= SECTORS - sector);
	return 0;
}

void wk_aio_start(struct wk_disk *d)
{
	(void)d;
}

static void announce(void *dev, struct wk_xenbus *x)
{
	(void)dev;
	wk_xenbus_set(x, "sectors", "%u", SECTORS);
}

static void notice(void *arg)
{
	MUST(arg == &disk);
}

static int meet(void *dev, struct wk_xenbus *x)
{
	char protocol[32];
	void *ring;

	MUST(dev == &disk && !disk.ring);
	wk_xenbus_text(x, "protocol", protocol, sizeof(protocol));
	if (wk_xenbus_page(x, "ring-ref", &ring) ||
	    wk_xenbus_port(x, "event-channel", notice, &disk, &disk.port))
		return -1;
	disk.ring = ring;
	disk.keeps = disk.port & 1;
	disk.taken = disk.answered = disk.told = answers = 0;
	disk.broken = false;
	return 0;
}

static void part(void *dev)
{
	MUST(dev == &disk && disk.ring);
	wk_disk_stop(&disk);
	wk_grant_release(&w, disk.kept);
}

static void serve(uint32_t more)
{
	struct wk_disk_request *r;
	uint32_t before;

	if (!disk.ring)
		return;
	__atomic_fetch_add(&disk.ring->req_prod, more, __ATOMIC_SEQ_CST);
	while ((r = wk_disk_next(&disk))) {
		xen_s16 status;

		before = disk.answered;
		disk.running++;
		status = wk_disk_do(&disk, r);
		disk.alone = false;
		wk_disk_done(&disk, r, status);
		MUST(status <= 0 && status >= WK_DISK_RSP_LOST && disk.answered == before + 1);
		MUST(disk.taken - disk.answered < WK_DISK_ENTRIES && ++answers == disk.answered);
	}
	wk_disk_untold(&disk);
	MUST(!disk.running);
}

static void node(uint8_t which, const uint8_t *data, size_t n)
{
	static const char *const names[] = { "ring-ref", "event-channel", "protocol", "state" };
	char path[64], value[256];

	memcpy(value, data, n);
	value[n] = 0;
	snprintf(path, sizeof(path), WK_HOME "/device/vbd/51712/%s", names[which & 3]);
	if (which & 4)
		wk_xs_rm(w.xs, path);
	else
		wk_xs_write(w.xs, XS_GUEST, path, "%s", value);
}

static void records(const uint8_t *data, size_t size)
{
	size_t at = 0;

	while (at + 4 <= size) {
		const uint8_t *r = data + at;
		size_t n, to;

		switch (r[0] & 3) {
		case 0:
			n = r[2] < size - at - 3 ? r[2] : size - at - 3;
			node(r[1], r + 3, n);
			at += 3 + n;
			break;
		case 1:
			n = size - at - 2 < 8 ? size - at - 2 : 8;
			memcpy(w.grants + r[1], r + 2, n);
			at += 2 + n;
			break;
		case 2:
			n = r[3] < size - at - 4 ? r[3] : size - at - 4;
			to = (r[1] % PAGES) * CO_PAGE_SIZE + r[2] * 8u;
			memcpy(w.memory + to, r + 4, n < PAGES * CO_PAGE_SIZE - to ? n : PAGES * CO_PAGE_SIZE - to);
			at += 4 + n;
			break;
		default:
			serve(r[1]);
			at += 2;
		}
	}
	serve(0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct wk_xenbus_ops ops = { announce, meet, part, NULL };
	struct err e;

	memset(&w, 0, sizeof(w));
	memset(&disk, 0, sizeof(disk));
	w.loop = loop_new();
	w.ram_pages = PAGES;
	w.memory = calloc(PAGES, CO_PAGE_SIZE);
	w.xs = wk_xs_new(&w);
	MUST(!wk_grant_map(&w, &e) && !wk_xs_populate(w.xs, "fuzz", 1 << 20, 2));
	disk.w = &w;
	wk_disk_init(&disk);
	strcpy(disk.file.name, "fuzz");
	disk.file.path = "fuzz";
	disk.file.fd = memfd_create("fuzz", MFD_CLOEXEC);
	disk.file.direct = -1;
	disk.file.sectors = SECTORS;
	disk.file.discard = 4096;
	disk.complained = disk.accused = true;	/* quiet */
	MUST(!ftruncate(disk.file.fd, SECTORS * WK_DISK_SECTOR));
	disk.bus = wk_xenbus_new(&w, "vbd", 51712, &ops, &disk);
	records(data, size);
	wk_xenbus_free(disk.bus);
	wk_disk_end(&disk);
	close(disk.file.fd);
	wk_xs_free(w.xs);
	loop_free(w.loop);
	free(w.memory);
	free(w.grants);
	return 0;
}
