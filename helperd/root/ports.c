/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ports.c: who may forward ports below 1024.  Called by life.c before a worker
 * is started.
 *
 * The administrator's file has lines of `USER ADDRESS PORT PROTOCOL`: a name or
 * a uid, a numeric address of this host, tcp or udp; # begins a comment.  A line
 * is believed whole or not at all, and the file only if nobody but root can have
 * written it.  root's own VMs need none.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hd.h"
#include "log.h"

#define HD_PORTS_LINE	255u	/* bytes of a line, its comment aside */
#define HD_PORTS_START	1024	/* where the kernel says nothing else */
#define HD_PORTS_MAX	256u	/* of one VM: each low one reads the file */

static long long hd_ports_start(void)
{
	FILE *f = fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start", "re");
	int start = HD_PORTS_START;

	if (f && fscanf(f, "%d", &start) != 1)
		start = HD_PORTS_START;
	if (f)
		fclose(f);
	return start;
}

/* NULL: there is no such file, or it is not to be believed. */
static FILE *hd_ports_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat s;
	FILE *f;

	if (fd < 0) {
		if (errno != ENOENT)
			log_line(LOG_WARNING, "%s: %s", path, strerror(errno));
		return NULL;
	}
	if (fstat(fd, &s) || !S_ISREG(s.st_mode) || s.st_uid != 0 || (s.st_mode & 022)) {
		log_line(LOG_WARNING, "%s is ignored: it must be a file of root's that nobody else may write", path);
		close(fd);
		return NULL;
	}
	f = fdopen(fd, "r");
	if (!f)
		close(fd);
	return f;
}

static bool hd_ports_user(const char *word, uid_t uid)
{
	char *end;
	unsigned long n = strtoul(word, &end, 10);
	const struct passwd *p;

	if (*word >= '0' && *word <= '9' && !*end)
		return n == uid;
	p = getpwnam(word);
	return p && p->pw_uid == uid;
}

static bool hd_ports_address(const char *a, const char *b)
{
	unsigned char x[16], y[16];

	if (inet_pton(AF_INET, a, x) == 1)
		return inet_pton(AF_INET, b, y) == 1 && !memcmp(x, y, 4);
	return inet_pton(AF_INET6, a, x) == 1 && inet_pton(AF_INET6, b, y) == 1 && !memcmp(x, y, 16);
}

static bool hd_ports_line(const char *line, uid_t uid, const char *address, long long port,
			  const char *protocol)
{
	char who[64], where[64], what[16], rest[2];
	int number;

	return sscanf(line, "%63s %63s %5d %15s %1s", who, where, &number, what, rest) == 4 &&
	       number == port && !strcmp(what, protocol) && hd_ports_address(where, address) &&
	       hd_ports_user(who, uid);
}

/* bad: the number of a line that cannot be one, 0: all can. */
static bool hd_ports_allowed(const char *path, uid_t uid, const char *address, long long port,
			     const char *protocol, unsigned int *bad)
{
	FILE *f = hd_ports_open(path);
	unsigned int number = 0;
	bool found = false;
	char *line = NULL;
	size_t room = 0;
	ssize_t len;

	*bad = 0;
	while (f && !found && (len = getline(&line, &room, f)) >= 0) {
		size_t end = strcspn(line, "#\n");

		number++;
		if (end > HD_PORTS_LINE || (line[end] == 0 && end != (size_t)len)) {
			log_line(LOG_WARNING, "%s, line %u is refused: it has more than %u bytes, or a NUL", path,
				 number, HD_PORTS_LINE);
			*bad = number;
			continue;
		}
		line[end] = 0;
		found = hd_ports_line(line, uid, address, port, protocol);
	}
	free(line);
	if (f)
		fclose(f);
	return found;
}

static int hd_ports_denied(const struct hd *hd, uid_t uid, const json_t *forward, long long start,
			   unsigned int bad, struct err *e)
{
	const char *address = json_string_value(json_object_get(forward, "hostAddress"));
	const char *protocol = json_string_value(json_object_get(forward, "protocol"));
	long long port = json_integer_value(json_object_get(forward, "hostPort"));
	char refused[48] = "";

	if (bad)
		snprintf(refused, sizeof(refused), " (its line %u is refused: too long)", bad);
	return err_set(e, CO_EPERM, "forward of port %.60s:%lld/%s: ports below %lld are the administrator's:"
		       " a line \"%u %.60s %lld %s\" in %s allows it%s", address, port, protocol, start, uid,
		       address, port, protocol, hd->ports, refused);
}

int hd_ports_check(const struct hd *hd, uid_t uid, const json_t *nets, struct err *e)
{
	long long start = hd_ports_start();
	size_t i, j, count = 0;
	json_t *net, *forward;
	int low = 0;

	json_array_foreach((json_t *)(uintptr_t)nets, i, net) {
		json_array_foreach(json_object_get(net, "forwards"), j, forward) {
			const char *address = json_string_value(json_object_get(forward, "hostAddress"));
			const char *protocol = json_string_value(json_object_get(forward, "protocol"));
			long long port = json_integer_value(json_object_get(forward, "hostPort"));
			unsigned int bad;

			if (++count > HD_PORTS_MAX)
				return err_set(e, CO_ELIMIT, "nets: more than %u forwards", HD_PORTS_MAX);
			if (port >= start)
				continue;
			if (uid && !hd_ports_allowed(hd->ports, uid, address, port, protocol, &bad))
				return hd_ports_denied(hd, uid, forward, start, bad, e);
			low = 1;
		}
	}
	return low;
}
