/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TCP and UDP between a guest and the rest, in both directions, with every byte
 * known in advance.  One program for both ends: it runs in guests, in the
 * virtual host and on the machine itself.
 *
 *   net serve PORT                     serves TCP and UDP until it is ended
 *   net send|recv HOST PORT BYTES [CONNECTIONS [check]]
 *   net ping HOST PORT COUNT           round trips of one byte over TCP
 *   net stall HOST PORT BYTES SECONDS  asks for bytes, reads after a while
 *   net refused HOST PORT COUNT        connections that nobody accepts
 *   net udp HOST PORT COUNT            datagrams of up to 8000 bytes, echoed
 *   net mx SERVER NAME tcp|udp         the mail exchanger of a name
 *   net named PORT NAME MX             a name server that knows one name
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHUNK	65536u
#define PERIOD	131071u		/* of the stream; odd, so that no two frames are alike */
#define PATIENCE_S	120

static uint8_t pattern[PERIOD + CHUNK];

static void die(const char *what)
{
	printf("net: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void wrong(const char *what, uint64_t at)
{
	printf("net: %s at byte %llu\n", what, (unsigned long long)at);
	exit(1);
}

static void fill(void)
{
	uint32_t x = 12345;

	for (uint32_t i = 0; i < PERIOD; i++) {
		x = x * 1664525 + 1013904223;
		pattern[i] = (uint8_t)(x >> 24);
	}
	memcpy(pattern + PERIOD, pattern, CHUNK);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int dial(const char *host, const char *port, int type)
{
	union { struct sockaddr any; struct sockaddr_in v4; struct sockaddr_in6 v6; } a = { 0 };
	struct timeval patience = { PATIENCE_S, 0 };
	int fd, one = 1, v6 = strchr(host, ':') != NULL;

	a.any.sa_family = v6 ? AF_INET6 : AF_INET;
	a.v4.sin_port = htons((uint16_t)atoi(port));	/* it lies at the same place in both */
	if (inet_pton(a.any.sa_family, host, v6 ? (void *)&a.v6.sin6_addr : (void *)&a.v4.sin_addr) != 1)
		die(host);
	fd = socket(a.any.sa_family, type, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (type == SOCK_STREAM)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (!connect(fd, &a.any, v6 ? sizeof(a.v6) : sizeof(a.v4)))
		return fd;
	close(fd);
	return -1;
}

static int dialed(const char *host, const char *port, int type)
{
	int fd = dial(host, port, type);

	if (fd < 0)
		die("connect");
	return fd;
}

static int listening(uint16_t port, int type)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int fd = socket(AF_INET6, type, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) || (type == SOCK_STREAM && listen(fd, 256)))
		die("bind");
	return fd;
}

/* ---- streams --------------------------------------------------------------- */

static void give(int fd, uint64_t bytes)
{
	for (uint64_t at = 0; at < bytes;) {
		uint64_t n = bytes - at < CHUNK ? bytes - at : CHUNK;
		ssize_t done = write(fd, pattern + at % PERIOD, n);

		if (done <= 0)
			die("write");
		at += (uint64_t)done;
	}
}

static void take(int fd, uint64_t bytes, int check)
{
	uint8_t data[CHUNK];

	for (uint64_t at = 0; at < bytes;) {
		uint64_t n = bytes - at < CHUNK ? bytes - at : CHUNK;
		ssize_t done = read(fd, data, n);

		if (done < 0)
			die("read");
		if (!done)
			wrong("the stream ends", at);
		if (check && memcmp(data, pattern + at % PERIOD, (size_t)done))
			wrong("the stream is wrong", at);
		at += (uint64_t)done;
	}
}

/* A client begins with a line: what it wants, and how much of it. */
static void ask(int fd, char what, uint64_t bytes)
{
	char line[64];
	int n = snprintf(line, sizeof(line), "%c%020llu\n", what, (unsigned long long)bytes);

	if (write(fd, line, (size_t)n) != n)
		die("ask");
}

static void serve_one(int fd)
{
	char line[23] = "", c;
	uint64_t n;
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	for (int at = 0; at < 22; at++)
		if (read(fd, line + at, 1) != 1)
			exit(0);
	n = strtoull(line + 1, NULL, 10);
	switch (line[0]) {
	case 's':		/* it sends, and hears that all was right */
		take(fd, n, 1);
		give(fd, 1);
		break;
	case 'S':		/* the same, for speed */
		take(fd, n, 0);
		give(fd, 1);
		break;
	case 'r':
		give(fd, n);
		break;
	case 'p':
		while (n-- && read(fd, &c, 1) == 1 && write(fd, &c, 1) == 1)
			;
		break;
	}
	exit(0);
}

static void serve_udp(int fd)
{
	uint8_t data[CHUNK];
	struct sockaddr_storage from;

	for (;;) {
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(fd, data, sizeof(data), 0, (struct sockaddr *)&from, &len);

		if (n >= 0 && sendto(fd, data, (size_t)n, 0, (struct sockaddr *)&from, len) < 0)
			continue;
	}
}

static void serve(uint16_t port)
{
	int tcp = listening(port, SOCK_STREAM), udp = listening(port, SOCK_DGRAM), fd;

	signal(SIGCHLD, SIG_IGN);
	if (!fork())
		serve_udp(udp);
	printf("net: serving\n");
	fflush(stdout);
	for (;;) {
		fd = accept(tcp, NULL, NULL);
		if (fd < 0)
			continue;
		if (!fork())
			serve_one(fd);
		close(fd);
	}
}

static void stream(char **arg, int receives)
{
	uint64_t bytes = strtoull(arg[2], NULL, 10);
	int count = arg[3] ? atoi(arg[3]) : 1, check = arg[3] && arg[4], status, bad = 0;
	double from = now();

	for (int i = 0; i < count; i++) {
		int fd;
		uint8_t c;

		if (fork())
			continue;
		fd = dialed(arg[0], arg[1], SOCK_STREAM);
		if (receives) {
			ask(fd, 'r', bytes);
			take(fd, bytes, check);
		} else {
			ask(fd, check ? 's' : 'S', bytes);
			give(fd, bytes);
			if (read(fd, &c, 1) != 1)
				die("the server has not had all of it");
		}
		_exit(0);
	}
	while (wait(&status) > 0)
		bad += status != 0;
	printf("net: %s %llu bytes %d times in %.3f s, %d failed\n", receives ? "received" : "sent",
	       (unsigned long long)bytes, count, now() - from, bad);
	exit(bad != 0);
}

static void ping(char **arg)
{
	int count = atoi(arg[2]), fd = dialed(arg[0], arg[1], SOCK_STREAM);
	double from;
	char c = 'x';

	ask(fd, 'p', (uint64_t)count);
	from = now();
	for (int i = 0; i < count; i++)
		if (write(fd, &c, 1) != 1 || read(fd, &c, 1) != 1)
			die("ping");
	printf("net: %d round trips of %.1f us\n", count, (now() - from) * 1e6 / count);
}

static void stall(char **arg)
{
	uint64_t bytes = strtoull(arg[2], NULL, 10);
	int fd = dialed(arg[0], arg[1], SOCK_STREAM);

	ask(fd, 'r', bytes);
	sleep((unsigned int)atoi(arg[3]));
	take(fd, bytes, 1);
	printf("net: received %llu bytes after a pause\n", (unsigned long long)bytes);
}

static void refused(char **arg)
{
	int count = atoi(arg[2]), got = 0;

	for (int i = 0; i < count; i++) {
		int fd = dial(arg[0], arg[1], SOCK_STREAM);

		/* Through NAT a refusal may come right after the connection. */
		if (fd < 0 || read(fd, &(char){ 0 }, 1) <= 0)
			got++;
		if (fd >= 0)
			close(fd);
	}
	printf("net: %d of %d connections refused\n", got, count);
	exit(got != count);
}

static void udp(char **arg)
{
	int count = atoi(arg[2]), fd = dialed(arg[0], arg[1], SOCK_DGRAM), got = 0;
	uint8_t data[CHUNK];

	for (int i = 0; i < count; i++) {
		size_t n = (size_t)(i * 797 % 8000 + 1);
		struct pollfd p = { .fd = fd, .events = POLLIN };

		/* A datagram may be lost: the next one is another question. */
		if (write(fd, pattern + i, n) != (ssize_t)n || poll(&p, 1, 5000) != 1)
			continue;
		got += read(fd, data, sizeof(data)) == (ssize_t)n && !memcmp(data, pattern + i, n);
	}
	printf("net: %d of %d datagrams came back\n", got, count);
	exit(got < count * 9 / 10);
}

/* ---- names ------------------------------------------------------------------------ */

static uint8_t *put_name(uint8_t *p, const char *name)
{
	while (*name) {
		size_t n = strcspn(name, ".");

		*p++ = (uint8_t)n;
		memcpy(p, name, n);
		p += n;
		name += n + (name[n] == '.');
	}
	*p++ = 0;
	return p;
}

static void mx(char **arg)
{
	int tcp = !strcmp(arg[2], "tcp"), fd = dialed(arg[0], "53", tcp ? SOCK_STREAM : SOCK_DGRAM);
	uint8_t q[600] = { 0, 0, 0x12, 0x34, 1, 0, 0, 1 }, *p = put_name(q + 14, arg[1]);
	char host[256] = "";
	ssize_t n;

	memcpy(p, "\0\017\0\1", 4);		/* MX, IN */
	n = p + 4 - (q + 2);
	q[1] = (uint8_t)n;
	if (tcp ? write(fd, q, (size_t)n + 2) != n + 2 : write(fd, q + 2, (size_t)n) != n)
		die("question");
	n = read(fd, q, sizeof(q));
	if (n < 0)
		die("answer");
	/* The name server of these tests answers with the exchanger as text in the last label. */
	for (uint8_t *e = q + n, *at = q + (tcp ? 2 : 0); at < e; at++)
		if (at + 4 < e && !memcmp(at, "mx--", 4)) {
			snprintf(host, sizeof(host), "%.*s", (int)at[-1], (char *)at);
			break;
		}
	printf("net: %s has the exchanger %s\n", arg[1], host);
	exit(!host[0]);
}

static size_t answer(uint8_t *q, size_t n, const char *name, const char *exchanger)
{
	uint8_t want[300], *p = put_name(want, name);
	size_t len = (size_t)(p - want);

	if (n < 12)
		return 0;
	q[2] = 0x84;
	q[3] = 0;
	if (n < 12 + len + 4 || memcmp(q + 12, want, len) || memcmp(q + 12 + len, "\0\017\0\1", 4)) {
		q[3] = 3;			/* no such name */
		return n;
	}
	q[7] = 1;
	p = q + 12 + len + 4;
	memcpy(p, "\300\014\0\017\0\1\0\0\0\074", 10);
	put_name(p + 14, exchanger);
	len = 2 + strlen(exchanger) + 2;
	p[10] = 0;
	p[11] = (uint8_t)len;
	p[12] = 0;
	p[13] = 10;
	return (size_t)(p + 12 + len - q);
}

static void named(uint16_t port, const char *name, const char *exchanger)
{
	int fds[2] = { listening(port, SOCK_DGRAM), listening(port, SOCK_STREAM) };
	uint8_t q[1024];

	printf("net: serving\n");
	fflush(stdout);
	for (;;) {
		struct pollfd p[2] = { { .fd = fds[0], .events = POLLIN }, { .fd = fds[1], .events = POLLIN } };
		struct sockaddr_storage from;
		socklen_t len = sizeof(from);
		ssize_t n;
		size_t m;

		poll(p, 2, -1);
		if (p[0].revents) {
			n = recvfrom(fds[0], q, 512, 0, (struct sockaddr *)&from, &len);
			m = n > 0 ? answer(q, (size_t)n, name, exchanger) : 0;
			if (m && sendto(fds[0], q, m, 0, (struct sockaddr *)&from, len) < 0)
				continue;
		}
		if (p[1].revents) {
			int fd = accept(fds[1], NULL, NULL);

			n = read(fd, q, 514);
			m = n > 2 ? answer(q + 2, (size_t)n - 2, name, exchanger) : 0;
			q[0] = (uint8_t)(m >> 8);
			q[1] = (uint8_t)m;
			if (m && write(fd, q, m + 2) < 0)
				n = 0;
			close(fd);
		}
	}
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";

	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	fill();
	if (!strcmp(what, "serve"))
		serve((uint16_t)atoi(argv[2]));
	else if (!strcmp(what, "named") && argc == 5)
		named((uint16_t)atoi(argv[2]), argv[3], argv[4]);
	else if (argc < 5)
		printf("net: usage is in its source\n");
	else if (!strcmp(what, "send") || !strcmp(what, "recv"))
		stream(argv + 2, what[0] == 'r');
	else if (!strcmp(what, "ping"))
		ping(argv + 2);
	else if (!strcmp(what, "stall") && argc == 6)
		stall(argv + 2);
	else if (!strcmp(what, "refused"))
		refused(argv + 2);
	else if (!strcmp(what, "udp"))
		udp(argv + 2);
	else if (!strcmp(what, "mx"))
		mx(argv + 2);
	return argc < 3;
}
