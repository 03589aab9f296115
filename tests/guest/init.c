// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The polite guest's /init: mounts what programs expect, prints markers that
 * the tests wait for, runs what the command line says, powers off.
 *
 *   co.run=/workload,avx2   program and arguments, commas between; repeatable
 *   co.stay                 do not power off: an interactive shell follows
 *   co.end=halt|reboot|panic|spin-user|spin-kernel   instead of power-off
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char cmdline[4096];

/* Without a session of its own, a program may make one, with a terminal. */
static int run_in(int session, char *const argv[])
{
	int status, pid = fork();

	if (pid == 0) {
		if (session)
			setsid();
		execv(argv[0], argv);
		printf("co-init: %s: %m\n", argv[0]);
		fflush(stdout);
		_exit(127);
	}
	if (pid < 0)
		return 126;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int run(char *const argv[])
{
	return run_in(1, argv);
}

static int busybox(const char *applet, const char *a, const char *b)
{
	char *argv[] = { "/bin/busybox", (char *)applet, (char *)a, (char *)b, NULL };

	return run(argv);
}

/* Modules come in a second archive, in the order of /modules/order. */
static void load_modules(void)
{
	FILE *f = fopen("/modules/order", "r");
	char line[256];

	while (f && fgets(line, sizeof(line), f)) {
		char path[300];
		int fd;

		line[strcspn(line, "\n")] = 0;
		snprintf(path, sizeof(path), "/modules/%.*s", (int)strcspn(line, " "), line);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || (syscall(SYS_finit_module, fd,
				       strchr(line, ' ') ? strchr(line, ' ') + 1 : "", 0) < 0 &&
			       errno != EEXIST))
			printf("co-init: module %s: %m\n", path);
		close(fd);
	}
	if (f)
		fclose(f);
}

static void disks(void)
{
	if (access("/dev/ram0", F_OK))
		return;
	if (busybox("mke2fs", "-F", "/dev/ram0") || mount("/dev/ram0", "/disk", "ext4", 0, NULL))
		printf("co-init: /disk: %m\n");
	if (busybox("mkswap", "/dev/ram1", NULL))
		printf("co-init: mkswap failed\n");
}

static void run_list(char *list)
{
	char *argv[32], *s = list;
	int n = 0, code;

	while (n < 31 && (argv[n] = strsep(&s, ",")))
		n++;
	argv[n] = NULL;
	printf("co-init: run %s\n", argv[0]);
	fflush(stdout);
	code = run(argv);
	printf("co-init: exit %d %s\n", code, argv[0]);
	fflush(stdout);
}

static void end(const char *how)
{
	sync();
	if (!strcmp(how, "halt"))
		reboot(RB_HALT_SYSTEM);
	else if (!strcmp(how, "reboot"))
		reboot(RB_AUTOBOOT);
	else if (!strcmp(how, "panic"))
		busybox("sh", "-c", "echo c >/proc/sysrq-trigger");
	else if (!strcmp(how, "spin-user"))
		for (;;)
			;
	else if (!strcmp(how, "spin-kernel"))	/* hogs the kernel side, never sleeps */
		for (;;)
			busybox("dd", "if=/dev/zero", "of=/dev/null");
	else
		reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

int main(void)
{
	const char *how = "off";
	struct timespec up;
	int stay = 0, fd, ran = 0;
	char *s, *word;

	mkdir("/proc", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	mount("tmpfs", "/tmp", "tmpfs", 0, NULL);
	fd = open("/dev/console", O_RDWR);
	if (fd >= 0) {
		dup2(fd, 0);
		dup2(fd, 1);
		dup2(fd, 2);
	}
	clock_gettime(CLOCK_BOOTTIME, &up);
	printf("co-init: up %ld.%03ld tsc %llu\n", (long)up.tv_sec, up.tv_nsec / 1000000,
	       __builtin_ia32_rdtsc());
	fflush(stdout);
	fd = open("/proc/cmdline", O_RDONLY);
	if (fd >= 0 && read(fd, cmdline, sizeof(cmdline) - 1) < 0)
		cmdline[0] = 0;
	load_modules();
	disks();
	printf("co-init: ready\n");
	fflush(stdout);
	for (s = cmdline; (word = strsep(&s, " \n"));) {
		if (!strncmp(word, "co.run=", 7)) {
			run_list(word + 7);
			ran = 1;
		} else if (!strncmp(word, "co.end=", 7)) {
			how = word + 7;
		} else if (!strcmp(word, "co.stay")) {
			stay = 1;
		}
	}
	while (stay) {
		char *argv[] = { "/bin/busybox", "setsid", "-c", "/bin/busybox", "sh", NULL };

		run_in(0, argv);
	}
	printf("co-init: end %s%s\n", how, ran ? "" : " (nothing to run)");
	fflush(stdout);
	end(how);
	return 1;
}
