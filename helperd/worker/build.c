/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * build.c: from the files that the owner named to a domain in guest memory.
 *
 * The files are opened with nothing but the owner's own rights; they are read
 * in the closed sandbox, because a kernel image may be as hostile as a guest.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dev.h"
#include "loader.h"
#include "wk.h"

struct wk_file {
	const char *key, *path;
	int code;			/* of errors about it */
	int fd;				/* -1: not given */
	uint64_t size;			/* bytes to use */
};

static struct wk_file wk_kernel = { .key = "kernel", .code = CO_EKERNEL, .fd = -1 };
static struct wk_file wk_initrd = { .key = "initrd", .code = CO_EINITRD, .fd = -1 };

static int wk_file_size(const struct wk_file *f, const struct stat *s, uint64_t *size)
{
	off_t end = s->st_size;

	/* A block device's end is found by going there, on every system. */
	if (S_ISBLK(s->st_mode))
		end = lseek(f->fd, 0, SEEK_END);
	*size = (uint64_t)end;
	return end < 0 ? -1 : 0;
}

static int wk_file_open(struct wk *w, struct wk_file *f, struct err *e)
{
	const json_t *file = json_object_get(w->setup, f->key), *size = json_object_get(file, "size");
	struct stat s;
	uint64_t have;

	if (!file)
		return 0;
	f->path = json_string_value(json_object_get(file, "path"));
	f->size = (uint64_t)json_integer_value(size);
	/* O_NONBLOCK: a FIFO or a terminal must not hold us up before we see what it is. */
	f->fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (f->fd < 0)
		return err_set(e, f->code, "%s: %.180s: %s", f->key, f->path, strerror(errno));
	if (fstat(f->fd, &s) || (!S_ISREG(s.st_mode) && !S_ISBLK(s.st_mode)))
		return err_set(e, f->code, "%s: %.180s is neither a file nor a block device", f->key, f->path);
	if (wk_file_size(f, &s, &have))
		return err_set(e, f->code, "%s: %.180s: its size cannot be found: %s", f->key, f->path,
			       strerror(errno));
	if (size && (f->size > have || !f->size))
		return err_set(e, f->code, "%s: %.180s has %llu bytes, not %llu", f->key, f->path,
			       (unsigned long long)have, (unsigned long long)f->size);
	if (!size)
		f->size = have;
	if (!f->size)
		return err_set(e, f->code, "%s: %.180s is empty", f->key, f->path);
	return 0;
}

int wk_open_files(struct wk *w, struct err *e)
{
	int err = wk_file_open(w, &wk_kernel, e);

	return err ? err : wk_file_open(w, &wk_initrd, e);
}

static int wk_read_initrd(struct wk *w, void **data, struct err *e)
{
	struct wk_file *f = &wk_initrd;
	uint64_t memory = w->ram_pages << CO_PAGE_SHIFT, got = 0;

	*data = NULL;
	if (f->fd < 0)
		return 0;
	if (f->size >= memory)
		return err_set(e, CO_EINITRD, "initrd: %.150s: its %llu MiB do not fit into %llu MiB of memory",
			       f->path, (unsigned long long)f->size >> 20, (unsigned long long)memory >> 20);
	*data = malloc(f->size);
	if (!*data)
		return err_set(e, CO_ENOMEM, "no memory for the initrd's %llu bytes", (unsigned long long)f->size);
	while (got < f->size) {
		ssize_t n = pread(f->fd, (char *)*data + got, f->size - got, (off_t)got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(e, CO_EINITRD, "initrd: %.180s: %s", f->path,
				       n ? strerror(errno) : "it became shorter while it was read");
		got += (uint64_t)n;
	}
	return 0;
}

static int wk_build_domain(struct wk *w, const uint8_t *elf, size_t elf_len, const void *initrd, struct err *e)
{
	const char *cmdline = json_string_value(json_object_get(w->setup, "cmdline"));
	struct wk_builder_in in = {
		.memory = w->memory, .memory_bytes = w->ram_pages << CO_PAGE_SHIFT,
		.kernel = elf, .kernel_bytes = elf_len,
		.initrd = initrd, .initrd_bytes = initrd ? wk_initrd.size : 0,
		.cmdline = cmdline ? cmdline : "",
		.shared_info_gfn = CO_SHARED_INFO_GFN(w->ram_pages),
		.console_port = CO_PORT_CONSOLE, .xenstore_port = CO_PORT_XENSTORE,
	};
	struct co_vm_set set = { 0 };
	int err = wk_builder_build(&in, &w->out);

	if (err == -CO_EKERNEL)
		return err_set(e, CO_EKERNEL, "kernel: %.100s: %s", wk_kernel.path, w->out.why);
	if (err == -CO_EINITRD)
		return err_set(e, CO_EINITRD, "initrd: %.100s: %s", wk_initrd.path, w->out.why);
	if (err)
		return err_set(e, -err, "%s", w->out.why);
	set.rip = w->out.rip;
	set.rsp = w->out.rsp;
	set.rsi = w->out.rsi;
	set.cr3_gfn = w->out.cr3_gfn;
	err = dev_vm_set(w->vm, &set);
	return err ? err_set(e, -err, "the kernel module refuses the start state: %s", err_text(-err)) : 0;
}

static void wk_file_close(struct wk_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

int wk_build(struct wk *w, struct err *e)
{
	char why[WK_LOADER_ERR_LEN] = "";
	void *initrd = NULL;
	uint8_t *elf = NULL;
	size_t elf_len = 0;
	int err;

	err = wk_loader_open(wk_kernel.fd, wk_kernel.size, &elf, &elf_len, why);
	if (err)
		err_set(e, -err, "kernel: %.100s: %.140s", wk_kernel.path, why);
	if (!err)
		err = wk_read_initrd(w, &initrd, e);
	if (!err)
		err = wk_build_domain(w, elf, elf_len, initrd, e);
	free(elf);
	free(initrd);
	wk_file_close(&wk_kernel);
	wk_file_close(&wk_initrd);
	return err;
}
