/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qemu_net.c: what is preloaded into QEMU, in front of a libslirp that tells. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <slirp/libslirp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../unit.h"

extern size_t fake_mtu, fake_mru;

static void mtu(void)
{
	static const struct { size_t mtu, mru, mtu2, mru2; } rows[] = {
		{ 0, 0, 65521, 65521 }, { 1400, 0, 1400, 65521 }, { 0, 9000, 65521, 9000 }, { 1500, 1500, 1500, 1500 },
	};
	SlirpConfig c, before;
	int x;

	memset(&c, 0, sizeof(c));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		c.version = 1;
		c.if_mtu = rows[i].mtu;
		c.if_mru = rows[i].mru;
		memcpy(&before, &c, sizeof(c));
		CHECK(slirp_new(&c, NULL, &x) == (Slirp *)&x);
		CHECK(fake_mtu == rows[i].mtu2 && fake_mru == rows[i].mru2, "%zu %zu", fake_mtu, fake_mru);
		CHECK(!memcmp(&before, &c, sizeof(c)), "the caller's is as it was");
	}
}

/* A structure that ends before the MTU, by a caller who knows no other. */
static void first_version(void)
{
	SlirpConfig *c = calloc(1, offsetof(SlirpConfig, if_mtu));	/* the sanitizer looks */
	int x;

	fake_mtu = 1;
	CHECK(slirp_new(c, NULL, &x) == (Slirp *)&x && fake_mtu == 0);
	free(c);
}

static void backlog(void)
{
	struct tcp_info t;
	socklen_t len = sizeof(t);

	for (int n = 1; n <= 500; n += 499) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		CHECK(!listen(fd, n) && !getsockopt(fd, IPPROTO_TCP, TCP_INFO, &t, &len));
		/* Of a socket that listens this is its backlog. */
		CHECK(n < 128 ? t.tcpi_sacked == 128 : t.tcpi_sacked >= 128, "%u", t.tcpi_sacked);
		close(fd);
	}
	CHECK(listen(-1, 1) == -1);
}

int main(void)
{
	RUN(mtu);
	RUN(first_version);
	RUN(backlog);
	UNIT_END();
}
