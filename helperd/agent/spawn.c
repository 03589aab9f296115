/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * spawn.c: a command's process: who it is, where, with what environment.
 *
 * Users come from the guest's own passwd and group files; a static program
 * has no other way.  What goes wrong between fork and exec is told on the
 * command's stderr, with a shell's exit codes: 127 not found, 126 not to be
 * run, 125 anything else.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "agent.h"

#define SPAWN_PATH	"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define SPAWN_SELF	"@agent"	/* as a command: this program */
#define SPAWN_GROUPS	64

static void __attribute__((noreturn, format(printf, 2, 3))) spawn_fail(int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	dprintf(STDERR_FILENO, "colinux: ");
	vdprintf(STDERR_FILENO, format, args);
	dprintf(STDERR_FILENO, "\n");
	va_end(args);
	_exit(code);
}

/* By name, or by number: then it need not be in passwd. */
static struct passwd spawn_user(const char *name)
{
	static struct passwd nobody = { .pw_dir = (char *)"/", .pw_shell = (char *)"/bin/sh" };
	FILE *file = fopen("/etc/passwd", "re");
	struct passwd *p = NULL;
	char *end;
	unsigned long uid = strtoul(name, &end, 10);
	bool number = *name && !*end && uid < UINT32_MAX;

	while (file && (p = fgetpwent(file)))
		if (!strcmp(p->pw_name, name) || (number && p->pw_uid == uid))
			return *p;	/* the file stays open: its buffer holds the texts */
	if (!number)
		spawn_fail(125, "there is no user %s in the guest", name);
	nobody.pw_name = (char *)(uintptr_t)name;
	nobody.pw_uid = nobody.pw_gid = (uid_t)uid;
	return nobody;
}

static void spawn_become(const struct passwd *p)
{
	gid_t groups[SPAWN_GROUPS] = { p->pw_gid };
	FILE *file = fopen("/etc/group", "re");
	size_t count = 1;
	struct group *g;

	while (file && count < SPAWN_GROUPS && (g = fgetgrent(file)))
		for (char **m = g->gr_mem; *m; m++)
			if (!strcmp(*m, p->pw_name) && g->gr_gid != p->pw_gid) {
				groups[count++] = g->gr_gid;
				break;
			}
	if (file)
		fclose(file);
	if (setgroups(count, groups) || setresgid(p->pw_gid, p->pw_gid, p->pw_gid) ||
	    setresuid(p->pw_uid, p->pw_uid, p->pw_uid))
		spawn_fail(125, "cannot become user %s: %s", p->pw_name, strerror(errno));
}

static void spawn_environment(const struct spawn *s, const struct passwd *p)
{
	clearenv();
	setenv("PATH", SPAWN_PATH, 1);
	setenv("HOME", p->pw_dir, 1);
	setenv("USER", p->pw_name, 1);
	setenv("LOGNAME", p->pw_name, 1);
	setenv("SHELL", p->pw_shell && *p->pw_shell ? p->pw_shell : "/bin/sh", 1);
	if (s->tty)
		setenv("TERM", "vt100", 1);
	for (char **e = s->environment; *e; e++)
		if (putenv(*e))
			spawn_fail(125, "out of memory");
}

static void __attribute__((noreturn)) spawn_child(const struct spawn *s, int in, int out, int err)
{
	struct passwd p;
	sigset_t none;

	setsid();
	if (s->tty && ioctl(in, TIOCSCTTY, 0))
		_exit(125);
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
		_exit(125);
	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	umask(022);
	p = spawn_user(*s->user ? s->user : "root");
	spawn_environment(s, &p);
	spawn_become(&p);
	/* After the change of user, which forgets it: nothing outlives the line to its reader. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (*s->folder ? chdir(s->folder) : chdir(p.pw_dir) && chdir("/"))
		spawn_fail(125, "%s: %s", s->folder, strerror(errno));
	if (!s->words[0]) {
		const char *shell = getenv("SHELL"), *slash = strrchr(shell, '/');
		char name[64];

		/* The dash in front makes it read the login's files. */
		snprintf(name, sizeof(name), "-%s", slash ? slash + 1 : shell);
		execl(shell, name, NULL);
		spawn_fail(126, "%s: %s", shell, strerror(errno));
	}
	if (!strcmp(s->words[0], SPAWN_SELF))
		execv("/proc/self/exe", s->words);
	else
		execvp(s->words[0], s->words);
	spawn_fail(errno == ENOENT ? 127 : 126, "%s: %s", s->words[0],
		   errno == ENOENT ? "not found in the guest" : strerror(errno));
}

static void spawn_close(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static int spawn_nonblock(int fd)
{
	return fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

static int spawn_tty(struct spawn *s, int *slave)
{
	struct winsize size = { .ws_col = s->columns, .ws_row = s->rows };
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	char name[64];

	*slave = -1;
	if (master >= 0 && !grantpt(master) && !unlockpt(master) && !ptsname_r(master, name, sizeof(name)) &&
	    (*slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC)) >= 0 &&
	    !ioctl(master, TIOCSWINSZ, &size) && !spawn_nonblock(master)) {
		s->in = s->out = master;
		s->err = -1;
		return 0;
	}
	spawn_close((int[]){ master, *slave }, 2);
	return -1;
}

/* fds: stdin's two ends, stdout's, stderr's. */
static int spawn_pipes(struct spawn *s, int fds[6])
{
	if (s->input) {
		if (pipe2(fds, O_CLOEXEC) || spawn_nonblock(fds[1]))
			return -1;
	} else if ((fds[0] = open("/dev/null", O_RDONLY | O_CLOEXEC)) < 0) {
		return -1;
	}
	if (pipe2(fds + 2, O_CLOEXEC) || pipe2(fds + 4, O_CLOEXEC) ||
	    spawn_nonblock(fds[2]) || spawn_nonblock(fds[4]))
		return -1;
	s->in = fds[1];
	s->out = fds[2];
	s->err = fds[4];
	return 0;
}

int spawn_command(struct spawn *s)
{
	int fds[6] = { -1, -1, -1, -1, -1, -1 }, slave = -1, err;

	if (s->tty ? spawn_tty(s, &slave) : spawn_pipes(s, fds)) {
		err = errno;
		spawn_close(fds, 6);
		return err ? err : EIO;
	}
	s->pid = fork();
	err = errno;
	if (s->pid == 0 && s->tty)
		spawn_child(s, slave, slave, slave);
	if (s->pid == 0)
		spawn_child(s, fds[0], fds[3], fds[5]);
	if (s->tty)
		close(slave);
	else
		spawn_close((int[]){ fds[0], fds[3], fds[5] }, 3);
	if (s->pid > 0)
		return 0;
	spawn_close((int[]){ s->out, s->tty ? -1 : s->in, s->err }, 3);
	return err;
}
