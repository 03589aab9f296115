/* SPDX-License-Identifier: GPL-2.0-or-later */
/* disks.c: files that are no disks, disks that are in use, no memory, and persistent grants. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../unit.h"
#include "../../../kext/include/xen/grant_table.h"
#include "front.h"

#define BACK	"/local/domain/0/backend/vbd/1/51712"
#define QEMU	"qemu-system-x86_64"

static struct err why;
static int fail_at;			/* the n-th allocation from now fails; 0: none */

void *__real_calloc(size_t count, size_t size);
void *__real_malloc(size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_malloc(size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t size);

static int fails(void)
{
	return fail_at && !--fail_at;
}

void *__wrap_calloc(size_t count, size_t size) { return fails() ? NULL : __real_calloc(count, size); }
void *__wrap_malloc(size_t size) { return fails() ? NULL : __real_malloc(size); }
char *__wrap_strdup(const char *text) { return fails() ? NULL : __real_strdup(text); }
char *__wrap_strndup(const char *text, size_t n) { return fails() ? NULL : __real_strndup(text, n); }

/* Opens the disks of this JSON text in a worker of its own; the error's code. */
static int try(struct wk *w, const char *disks, ...) __attribute__((format(printf, 2, 3)));
static int try(struct wk *w, const char *disks, ...)
{
	char text[8192];
	va_list args;

	va_start(args, disks);
	vsnprintf(text, sizeof(text), disks, args);
	va_end(args);
	memset(w, 0, sizeof(*w));
	memset(&why, 0, sizeof(why));
	w->setup = json_pack("{s:o}", "disks", json_loads(text, 0, NULL));
	return -wk_disks_open(w, &why);
}

static void done(struct wk *w)
{
	wk_disks_free(w);
	json_decref(w->setup);
}

#define RW	"[{\"name\":\"data\",\"path\":\"%s\",\"readOnly\":false}]"
#define RO	"[{\"name\":\"data\",\"path\":\"%s\",\"readOnly\":true}]"

/* try() that must fail with this code, and tell disk, path and this. */
#define REFUSED(error, words, disks, path, ...)					\
	do {									\
		struct wk refused;						\
		int code = try(&refused, disks, path, ##__VA_ARGS__);		\
		CHECK(code == (error) && strstr(why.text, words), "%d %s", code, why.text);	\
		CHECK(strstr(why.text, "disk data: ") && strstr(why.text, path), "%s", why.text); \
		done(&refused);							\
	} while (0)

static void files_that_are_no_disks(void)
{
	static const char sized[] = "[{\"name\":\"data\",\"path\":\"%s\",\"readOnly\":false,\"size\":%lld}]";
	char path[128];
	struct wk w;

	front_files(1 << 20);
	REFUSED(CO_EDISK, "No such file", RW, "/nowhere/disk");
	REFUSED(CO_EDISK, "neither a file nor a block device", RW, "/dev/null");
	REFUSED(CO_EDISK, "neither a file nor a block device", RO, "/tmp");
	snprintf(path, sizeof(path), "%s/fifo", front_dir);
	CHECK(!mkfifo(path, 0600));
	REFUSED(CO_EDISK, "neither a file nor a block device", RO, path);
	unlink(path);
	CHECK(!truncate(front_path[0], 0));
	REFUSED(CO_EDISK, "is empty", RW, front_path[0]);
	CHECK(!truncate(front_path[0], 513));
	REFUSED(CO_EDISK, "513 bytes, which is not a multiple of 512", RW, front_path[0]);
	REFUSED(CO_EDISK, "has 1048576 bytes, not 1048577", sized, front_path[1], 1048577ll);
	REFUSED(CO_EDISK, "has 1048576 bytes, not 0", sized, front_path[1], 0ll);
	REFUSED(CO_EDISK, "1000 bytes, which is not a multiple", sized, front_path[1], 1000ll);
	CHECK(!try(&w, sized, front_path[1], 512000ll), "%s", why.text);
	CHECK(w.disks->disk[0].file.sectors == 1000);
	done(&w);
	CHECK(try(&w, "[{\"name\":\"data\",\"path\":\"disk\",\"readOnly\":false}]") == CO_EINVAL);
	CHECK(strstr(why.text, "must be absolute"));
	done(&w);
	CHECK(try(&w, "[{\"name\":\"\",\"path\":\"/x\",\"readOnly\":false}]") == CO_EINVAL);
	done(&w);
	CHECK(try(&w, "[{\"name\":\"%050d\",\"path\":\"/x\",\"readOnly\":false}]", 0) == CO_EINVAL);
	done(&w);
	CHECK(try(&w, "[{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}]") == CO_ELIMIT);
	done(&w);
}

/* As somebody who is not root. */
static void files_of_others(void)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		struct wk w;

		unit_bad = 0;
		front_files(1 << 20);
		CHECK(!chmod(front_path[0], 0444) && !chmod(front_path[1], 0) && !chmod(front_dir, 0755));
		CHECK(!setresuid(12345, 12345, 12345));
		REFUSED(CO_EDISK, "can only be read (Permission denied)", RW, front_path[0]);
		REFUSED(CO_EDISK, "Permission denied", RW, front_path[1]);
		REFUSED(CO_EDISK, "Permission denied", RO, front_path[1]);
		CHECK(!try(&w, RO, front_path[0]), "%s", why.text);
		done(&w);
		_exit(unit_bad != 0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void one_writer_or_many_readers(void)
{
	struct wk a, b;

	front_files(1 << 20);
	CHECK(!try(&a, RW, front_path[0]));
	REFUSED(CO_EBUSY, "is in use by another VM", RW, front_path[0]);
	REFUSED(CO_EBUSY, "is in use by another VM", RO, front_path[0]);
	CHECK(!try(&b, RW, front_path[1]));
	done(&b);
	done(&a);
	CHECK(!try(&a, RO, front_path[0]) && !try(&b, RO, front_path[0]));
	REFUSED(CO_EBUSY, "is in use by another VM", RW, front_path[0]);
	done(&a);
	done(&b);
	/* Twice in one VM is as bad. */
	CHECK(try(&a, "[{\"name\":\"a\",\"path\":\"%s\",\"readOnly\":false},"
		  "{\"name\":\"b\",\"path\":\"%s\",\"readOnly\":false}]", front_path[0], front_path[0]) == CO_EBUSY);
	CHECK(strstr(why.text, "disk b: "));
	done(&a);
	CHECK(!try(&a, RW, front_path[0]));
	done(&a);
}

/* A QEMU whose guest has the file as its disk, and does not run; what it says comes from a pipe. */
static pid_t qemu_start(const char *path, bool read_only, int *from)
{
	char drive[200];
	static const char question[] = "info status\n";
	int fds[2], in[2];
	pid_t pid;

	snprintf(drive, sizeof(drive), "if=virtio,format=raw,read-only=%s,file=%s",
		 read_only ? "on" : "off", path);
	/* It answers once all is set up. */
	if (pipe(fds) || pipe(in) || write(in[1], question, sizeof(question) - 1) < 0)
		abort();
	pid = fork();
	if (!pid) {
		dup2(in[0], 0);
		dup2(fds[1], 1);
		dup2(fds[1], 2);
		close(fds[0]);
		alarm(120);
		execlp(QEMU, QEMU, "-m", "32", "-display", "none", "-S", "-nodefaults", "-monitor", "stdio",
		       "-drive", drive, NULL);
		_exit(127);
	}
	close(fds[1]);
	close(in[0]);
	close(in[1]);
	*from = fds[0];
	return pid;
}

/* Its first words: an answer once the file is open, or why it is not. */
static bool qemu_opens(int from)
{
	char text[2048] = "";
	size_t at = 0;
	ssize_t n;

	while (at < sizeof(text) - 1 && !strstr(text, "VM status") &&
	       (n = read(from, text + at, sizeof(text) - 1 - at)) > 0)
		at += (size_t)n;
	CHECK(strstr(text, "VM status") || strstr(text, "lock"), "%s", text);
	return strstr(text, "VM status");
}

static bool with_qemu(const char *path, bool read_only)
{
	int from;
	pid_t pid = qemu_start(path, read_only, &from);
	bool opens = qemu_opens(from);

	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(from);
	return opens;
}

static void qemu_and_we_keep_each_other_out(void)
{
	struct wk w;
	int from;
	pid_t pid;

	front_files(1 << 20);
	CHECK(!try(&w, RW, front_path[0]));
	CHECK(!with_qemu(front_path[0], false) && !with_qemu(front_path[0], true));
	done(&w);
	CHECK(!try(&w, RO, front_path[0]));
	CHECK(!with_qemu(front_path[0], false) && with_qemu(front_path[0], true));
	done(&w);
	pid = qemu_start(front_path[0], false, &from);
	CHECK(qemu_opens(from));
	REFUSED(CO_EBUSY, "is in use by another VM", RW, front_path[0]);
	REFUSED(CO_EBUSY, "is in use by another VM", RO, front_path[0]);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(from);
	pid = qemu_start(front_path[0], true, &from);
	CHECK(qemu_opens(from));
	REFUSED(CO_EBUSY, "is in use by another VM", RW, front_path[0]);
	CHECK(!try(&w, RO, front_path[0]), "%s", why.text);
	done(&w);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(from);
}

static void every_allocation_fails_once(void)
{
	int n = 0, failed;

	front_files(1 << 20);
	do {
		int code;

		half_up();
		half.setup = json_pack("{s:[{s:s, s:s, s:b}]}", "disks", "name", "data", "path", front_path[0],
				       "readOnly", 0);
		fail_at = ++n;
		code = -wk_disks_open(&half, &why);
		if (!code)
			code = -wk_disks_serve(&half, &why);
		failed = !fail_at;
		fail_at = 0;
		/* A node for which there was no memory is logged; the VM lives. */
		CHECK(!code || (failed && code == CO_ENOMEM), "%d: %d %s", n, code, why.text);
		front_down();
	} while (failed);
	CHECK(n > 20, "%d", n);
}

static uint16_t flags_of(uint32_t ref)
{
	struct grant_entry_v1 e;

	memcpy(&e, half.grants + ref, sizeof(e));
	return e.flags;
}

static void connect_persistent(void)
{
	half_write("vbd/51712/state", "1");
	CHECK(!half_until(BACK "/state", "2"));
	half_write("vbd/51712/feature-persistent", "1");
	front_connect(0);
	CHECK(!half_until(BACK "/state", "4"));
}

/* A grant that is to be used again is seen in use by its guest, until its driver has closed. */
static void grants_are_kept_where_both_want_it(void)
{
	const uint16_t in_use = GTF_reading | GTF_writing, all = in_use | GTF_readonly;

	front_files(1 << 20);
	front_up("[{\"name\":\"root\",\"path\":\"%s\",\"readOnly\":false,\"persistentGrants\":true}]",
		 front_path[0]);
	CHECK(!strcmp(half_read(BACK "/feature-persistent"), "1"));
	/* A frontend that knows of no such thing. */
	CHECK(front_do(0, (struct front_io){ BLKIF_OP_WRITE, 0, 0, 1, 0, 0, 0 }) == BLKIF_RSP_OKAY && !(flags_of(FRONT_REF) & all));
	connect_persistent();
	half_grant(FRONT_REF + 30, FRONT_GFN + 30, GTF_readonly);
	for (int round = 0; round < 20; round++) {
		for (uint32_t i = 0; i < 31 * CO_PAGE_SIZE; i++)
			((uint8_t *)front_data(0))[i] = (uint8_t)(round + i * 7 + (i >> 9));
		CHECK(front_do(0, (struct front_io){ BLKIF_OP_WRITE, 8, 0, 11, 0, 0, 0 }) == BLKIF_RSP_OKAY);
		CHECK(front_do(0, (struct front_io){ BLKIF_OP_WRITE, 96, 11, 20, 0, 0, 1 }) == BLKIF_RSP_OKAY);
		CHECK(front_do(0, (struct front_io){ BLKIF_OP_READ, 8, 100, 31, 0, 0, 1 }) == BLKIF_RSP_OKAY);
		CHECK(!memcmp(front_data(0), front_data(100), 31 * CO_PAGE_SIZE), "%d", round);
		for (uint32_t i = 0; i < 30; i++)
			CHECK((flags_of(FRONT_REF + i) & all) == in_use && (flags_of(FRONT_REF + 100 + i) & all) == in_use);
		CHECK((flags_of(FRONT_REF + 30) & all) == (GTF_reading | GTF_readonly));
	}
	CHECK(!(flags_of(FRONT_REF + 31) & all) && !(flags_of(FRONT_REF + 99) & all));
	/* What is marked, and then taken back all the same, is nobody's. */
	half_take_back(FRONT_REF + 5);
	CHECK(front_do(0, (struct front_io){ BLKIF_OP_WRITE, 8, 5, 1, 0, 0, 0 }) == BLKIF_RSP_ERROR);
	CHECK(!flags_of(FRONT_REF + 5));
	/* Only when nothing runs any more are they given back. */
	host_hang_at = 8 * 512;
	front_ask(0, &(struct front_io){ BLKIF_OP_WRITE, 8, 40, 1, 0, 0, 0 });
	front_push(0);
	while (!wk_disk_busy(&half.disks->disk[0]))
		loop_once(half.loop, 1);
	half_write("vbd/51712/state", "5");
	half_run(50);
	CHECK((flags_of(FRONT_REF) & all) == in_use);
	__atomic_store_n(&host_hang_at, -1, __ATOMIC_SEQ_CST);
	CHECK(!half_until(BACK "/state", "5"));
	for (uint32_t i = 0; i < FRONT_PAGES; i++)
		CHECK(!(flags_of(FRONT_REF + i) & in_use), "%u", i);
	front_down();
}

/* Nobody has asked for it on this disk, whatever the guest says. */
static void grants_are_not_kept_by_default(void)
{
	front_files(1 << 20);
	front_up(RW, front_path[0]);
	CHECK(!strcmp(half_read(BACK "/feature-persistent"), "0"));
	connect_persistent();
	CHECK(front_do(0, (struct front_io){ BLKIF_OP_WRITE, 0, 0, 11, 0, 0, 0 }) == BLKIF_RSP_OKAY);
	CHECK(!(flags_of(FRONT_REF) & (GTF_reading | GTF_writing)));
	front_down();
}

int main(void)
{
	alarm(300);
	RUN(files_that_are_no_disks);
	RUN(files_of_others);
	RUN(one_writer_or_many_readers);
	RUN(qemu_and_we_keep_each_other_out);
	RUN(every_allocation_fails_once);
	/* By threads: they can be held up. */
	host_direct = false;
	RUN(grants_are_kept_where_both_want_it);
	host_direct = true;
	RUN(grants_are_not_kept_by_default);
	unlink(front_path[0]);
	unlink(front_path[1]);
	rmdir(front_dir);
	UNIT_END();
}
