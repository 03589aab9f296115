/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nets.c: VMs with networks, through colinuxd and the real worker in its real
 * sandbox: forwards that are open when vm.create returns, ports that are not
 * free, ports below 1024 and the policy for them, port.* at run time; a NIC's device.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../unit.h"
#include "client.h"

#define USER	12345

static struct daemon d;
static struct client c;

/* A socket bound to this port (0: any) of 127.0.0.1; -1: it is not free. */
static int bound(int type, uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, type, 0);

	if (!bind(fd, (struct sockaddr *)&a, sizeof(a)))
		return fd;
	close(fd);
	return -1;
}

static uint16_t port_of(int fd)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);

	CHECK(!getsockname(fd, (struct sockaddr *)&a, &len));
	return ntohs(a.sin_port);
}

static uint16_t spare(int type)
{
	int fd = bound(type, 0);
	uint16_t port = port_of(fd);

	close(fd);
	return port;
}

static uint16_t spare_low(void)
{
	for (uint16_t port = 1000; port > 500; port--) {
		int fd = bound(SOCK_STREAM, port);

		if (fd < 0)
			continue;
		close(fd);
		return port;
	}
	CHECK(0, "no free port below 1024");
	return 1000;
}

static int connects(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), err = connect(fd, (struct sockaddr *)&a, sizeof(a));

	close(fd);
	return !err;
}

#define NET_AS(what, forwards)	"{\"name\":\"a\",\"memory\":67108864,\"kernel\":{\"path\":\"%s/kernel\"}," \
			"\"cmdline\":\"" what "\",\"nets\":[{\"mode\":\"nat\",\"mac\":\"52:54:00:01:02:03\"," \
			"\"forwards\":[" forwards "]}]}"
#define NET(forwards)	NET_AS("boot", forwards)
#define NIC(device)	"{\"name\":\"a\",\"memory\":67108864,\"kernel\":{\"path\":\"%s/kernel\"}," \
			"\"cmdline\":\"net-late\",\"nets\":[{\"mode\":\"nat\",\"mac\":\"52:54:00:01:02:03\"," \
			"\"device\":\"" device "\",\"forwards\":[]}]}"
#define FORWARD		"{\"protocol\":\"%s\",\"hostAddress\":\"127.0.0.1\",\"hostPort\":%u,\"guestPort\":%u}"

static void forwards(void)
{
	uint16_t tcp = spare(SOCK_STREAM), udp = spare(SOCK_DGRAM);
	json_t *r;

	DO(&c, "vm.create", NET(FORWARD "," FORWARD), d.dir, "tcp", tcp, 25, "udp", udp, 53);
	CHECK(bound(SOCK_DGRAM, udp) == -1, "the udp port is open");
	/* libslirp accepts in the closed sandbox, many at once, though no guest answers yet. */
	for (int i = 0; i < 20; i++)
		CHECK(connects(tcp), "connection %d", i);
	DO(&c, "vm.start", NAME("a"));
	CHECK(connects(tcp));
	r = call(&c, "port.list", NAME("a"));
	CHECK(json_array_size(json_object_get(r, "forwards")) == 2);
	json_decref(r);
	DO(&c, "vm.delete", "{\"name\":\"a\",\"force\":true}");
	CHECK(!connects(tcp), "it ends with the VM");
}

static void at_run_time(void)
{
	uint16_t port = spare(SOCK_STREAM), low = spare_low();
	int other = bound(SOCK_STREAM, 0);
	struct client u;

	CHECK(!listen(other, 1));
	client_open(&u, &d, USER);
	DO(&u, "vm.create", NET(""), d.dir);
	DO(&u, "port.add", "{\"name\":\"a\",\"forward\":" FORWARD "}", "tcp", port, 25);
	CHECK(connects(port));
	FAILS("BUSY", "already", &u, "port.add", "{\"name\":\"a\",\"forward\":" FORWARD "}", "tcp", port, 26);
	FAILS("BUSY", "127.0.0.1:", &u, "port.add", "{\"name\":\"a\",\"forward\":" FORWARD "}", "tcp",
	      port_of(other), 26);
	FAILS("PERM", "below 1024", &u, "port.add", "{\"name\":\"a\",\"forward\":" FORWARD "}", "tcp", low, 26);
	FAILS("NOENT", "not forwarded", &u, "port.remove", "{\"name\":\"a\",\"forward\":" FORWARD "}", "tcp", port, 26);
	DO(&u, "port.remove", "{\"name\":\"a\",\"forward\":" FORWARD "}", "tcp", port, 25);
	CHECK(!connects(port));
	DO(&u, "vm.delete", "{\"name\":\"a\",\"force\":true}");
	client_close(&u);
	close(other);
}

/* One clear message, and no VM. */
static void in_use(void)
{
	int other = bound(SOCK_DGRAM, 0);
	char text[64];

	snprintf(text, sizeof(text), "port 127.0.0.1:%u/udp of the host is in use", port_of(other));
	FAILS("BUSY", text, &c, "vm.create", NET(FORWARD), d.dir, "udp", port_of(other), 53);
	FAILS("NOENT", "", &c, "vm.get", NAME("a"));
	FAILS("INVAL", "mac 1", &c, "vm.create", "{\"name\":\"a\",\"memory\":67108864,\"kernel\":{\"path\":\"%s/kernel\"},"
	      "\"nets\":[{\"mode\":\"nat\",\"mac\":\"1\",\"forwards\":[]}]}", d.dir);
	close(other);
}

/* Frames through libslirp in the closed sandbox: good ones, then thousands that are not. */
static void frames(void)
{
	json_t *vm;

	DO(&c, "vm.create", NET_AS("net", ""), d.dir);
	DO(&c, "console.attach", NAME("a"));
	DO(&c, "vm.start", NAME("a"));
	CHECK(wait_text(&c, "net good"));
	DO(&c, "vm.delete", "{\"name\":\"a\",\"force\":true}");
	DO(&c, "vm.create", NET_AS("bad-net", ""), d.dir);
	DO(&c, "vm.start", NAME("a"));
	vm = wait_state(&c, "a", "failed");
	CHECK(strstr(text(vm, "reason"), "broke a network ring"), "%s", text(vm, "reason"));
	json_decref(vm);
	DO(&c, "vm.delete", NAME("a"));
}

/* ---- a NIC's device: here a tap device, which asks for the same of the sandbox ---- */

static int raw = -1;

/* Who answers at the other end: ARP, and one ping.  The frame goes back as it came, turned round. */
static void *gateway(void *arg)
{
	static const uint8_t its[6] = { 0x52, 0x55, 10, 0, 2, 2 };
	uint8_t f[2000], mac[6], address[4];
	ssize_t n;

	(void)arg;
	while ((n = recv(raw, f, sizeof(f), 0)) > 0) {
		bool arp = n >= 42 && f[12] == 8 && f[13] == 6 && f[21] == 1;

		if (!arp && (n < 42 || f[12] != 8 || f[13] != 0 || f[23] != 1 || f[34] != 8))
			continue;
		memcpy(mac, f + 6, 6);
		memcpy(f, mac, 6);
		memcpy(f + 6, its, 6);
		memcpy(address, f + (arp ? 28 : 26), 4);
		memcpy(f + (arp ? 28 : 26), f + (arp ? 38 : 30), 4);
		memcpy(f + (arp ? 38 : 30), address, 4);
		if (arp) {
			f[21] = 2;
			memcpy(f + 32, mac, 6);
			memcpy(f + 22, its, 6);
		} else {
			f[34] = 0;
		}
		send(raw, f, (size_t)n, 0);
	}
	return NULL;
}

/* The index of the newest tap device; 0: there is none. */
static unsigned int newest(void)
{
	struct if_nameindex *all = if_nameindex();
	unsigned int index = 0;

	for (struct if_nameindex *i = all; i && i->if_index; i++)
		if (!strncmp(i->if_name, "tap", 3) && i->if_index > index)
			index = i->if_index;
	if_freenameindex(all);
	return index;
}

static void device(void)
{
	struct sockaddr_ll a = { .sll_family = AF_PACKET, .sll_protocol = htons(3) };
	struct ifreq r = { .ifr_flags = IFF_UP };
	unsigned int before = newest();
	pthread_t thread;
	struct client u;
	int fd = open("/dev/net/tun", O_RDWR);

	client_open(&u, &d, USER);
	FAILS("PERM", "/kernel is not this user's", &u, "vm.create", NIC("%s/kernel"), d.dir, d.dir);
	client_close(&u);
	raw = socket(AF_PACKET, SOCK_RAW, htons(3));
	if (fd < 0 || raw < 0) {
		printf("# no tap device here\n");
		return;
	}
	close(fd);
	client_open(&u, &d, 0);
	DO(&u, "vm.create", NIC("/dev/net/tun"), d.dir);
	a.sll_ifindex = (int)newest();
	CHECK((unsigned int)a.sll_ifindex > before && if_indextoname((unsigned int)a.sll_ifindex, r.ifr_name));
	CHECK(!ioctl(raw, SIOCSIFFLAGS, &r) && !bind(raw, (struct sockaddr *)&a, sizeof(a)));
	CHECK(!pthread_create(&thread, NULL, gateway, NULL));
	FAILS("STATE", "outside the virtual host", &u, "port.add", "{\"name\":\"a\",\"forward\":" FORWARD "}", "tcp",
	      2525, 25);
	DO(&u, "console.attach", NAME("a"));
	DO(&u, "vm.start", NAME("a"));
	CHECK(wait_text(&u, "net good"));
	DO(&u, "vm.delete", "{\"name\":\"a\",\"force\":true}");
	/* Its device went with the VM: the socket says so. */
	pthread_join(thread, NULL);
	close(raw);
	client_close(&u);
}

static void write_policy(const char *what, uint16_t port, mode_t mode)
{
	FILE *f = fopen(d.ports, "w");

	fprintf(f, "# who may\n\n%s", "nonsense\n1 2 3\n");
	fprintf(f, what, USER, port);
	fclose(f);
	chmod(d.ports, mode);
}

static bool logged(const char *part)
{
	FILE *f = fopen(d.log, "r");
	char line[1024];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		found = strstr(line, part);
	if (f)
		fclose(f);
	return found;
}

static void low_ports(void)
{
	static const struct { const char *line; mode_t mode; int yes; } rows[] = {
		{ "%u 127.0.0.1 %u tcp\n", 0644, 1 },
		{ "  %u\t127.0.0.1  %u tcp # mail\n", 0600, 1 },
		{ "%u 127.0.0.1 %u tcp\n", 0664, 0 },
		{ "%u 127.0.0.1 %u tcp\n", 0646, 0 },
		{ "%u 127.0.0.1 %u udp\n", 0644, 0 },
		{ "%u 127.0.0.2 %u tcp\n", 0644, 0 },
		{ "%u1 127.0.0.1 %u tcp\n", 0644, 0 },
		{ "%u 127.0.0.1 %u1 tcp\n", 0644, 0 },
		{ "%u 127.0.0.1 %u tcp more\n", 0644, 0 },
		{ "#%u 127.0.0.1 %u tcp\n", 0644, 0 },
		{ "", 0644, 0 },
	};
	uint16_t port = spare_low();
	struct client u;
	static char fill[256], text[700];
	char owned[64];

	client_open(&u, &d, USER);
	snprintf(owned, sizeof(owned), "%u 127.0.0.1 %u tcp", USER, port);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		write_policy(rows[i].line, port, rows[i].mode);
		if (rows[i].yes) {
			DO(&u, "vm.create", NET(FORWARD), d.dir, "tcp", port, 25);
			CHECK(connects(port), "%s", rows[i].line);
			/* The right went with the sandbox: nothing more is opened by it. */
			FAILS("PERM", "below 1024", &u, "port.add", "{\"name\":\"a\",\"forward\":" FORWARD "}", "tcp",
			      port - 1, 26);
			DO(&u, "vm.delete", "{\"name\":\"a\",\"force\":true}");
		} else {
			FAILS("PERM", owned, &u, "vm.create", NET(FORWARD), d.dir, "tcp", port, 25);
		}
	}
	/* A line of any length is one line: what stands at its end is no line of its own. */
	for (size_t i = 0; i < sizeof(fill) - 1; i++)
		fill[i] = i % 3 ? 'x' : ' ';
	snprintf(text, sizeof(text), "%s%%u 127.0.0.1 %%u tcp\n", fill);
	write_policy(text, port, 0644);
	FAILS("PERM", "ports allows it (its line 5 is refused", &u, "vm.create", NET(FORWARD), d.dir, "tcp", port, 25);
	CHECK(logged("ports, line 5 is refused: it has more than 255 bytes"));
	text[0] = '#';
	write_policy(text, port, 0644);
	FAILS("PERM", "ports allows it", &u, "vm.create", NET(FORWARD), d.dir, "tcp", port, 25);
	CHECK(!strstr(call_text, "refused"), "%s", call_text);
	/* The others count as ever. */
	snprintf(text, sizeof(text), "%s\n%%u 127.0.0.1 %%u tcp #%s\n", fill, fill);
	write_policy(text, port, 0644);
	DO(&u, "vm.create", NET(FORWARD), d.dir, "tcp", port, 25);
	DO(&u, "vm.delete", "{\"name\":\"a\",\"force\":true}");
	/* Somebody else's file, and a link to a good one. */
	write_policy("%u 127.0.0.1 %u tcp\n", port, 0644);
	CHECK(!chown(d.ports, USER, USER));
	FAILS("PERM", owned, &u, "vm.create", NET(FORWARD), d.dir, "tcp", port, 25);
	unlink(d.ports);
	FAILS("PERM", owned, &u, "vm.create", NET(FORWARD), d.dir, "tcp", port, 25);
	/* root needs no policy, and its worker has none of its rights either. */
	DO(&c, "vm.create", NET(FORWARD), d.dir, "tcp", port, 25);
	CHECK(connects(port));
	FAILS("PERM", "below 1024", &c, "port.add", "{\"name\":\"a\",\"forward\":" FORWARD "}", "tcp", port - 1, 26);
	DO(&c, "vm.delete", "{\"name\":\"a\",\"force\":true}");
	client_close(&u);
}

int main(void)
{
	char command[512], log[96];

	alarm(300);
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (geteuid()) {
		printf("not ok nets: it must run as root (it becomes other users)\n");
		return 1;
	}
	daemon_dir(&d);
	snprintf(log, sizeof(log), "%s/log", d.dir);
	d.log = log;
	daemon_start(&d, "");
	snprintf(command, sizeof(command), "install -m 644 '%s' '%s/kernel'", KERNEL, d.dir);
	CHECK(system(command) == 0);
	client_open(&c, &d, 0);
	RUN(forwards);
	RUN(at_run_time);
	RUN(in_use);
	RUN(frames);
	RUN(device);
	RUN(low_ports);
	client_close(&c);
	CHECK(daemon_end(&d, SIGTERM) == 0);
	snprintf(command, sizeof(command), "%s/kernel", d.dir);
	unlink(command);
	unlink(log);
	daemon_forget(&d);
	UNIT_END();
}
