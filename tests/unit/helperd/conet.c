/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conet.c: the whole network of a worker, its thread and libslirp, with a
 * frontend of a few lines: DHCP, ping, forwards, a frontend that goes and comes.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <slirp/libslirp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../unit.h"
#include "netfront.h"

#define FRONT		"device/vif/0"
#define PATIENCE	400		/* times 50 ms */

static bool slirp_keeps;

int __real_slirp_remove_hostxfwd(Slirp *slirp, const struct sockaddr *host, socklen_t len, int flags);
int __wrap_slirp_remove_hostxfwd(Slirp *slirp, const struct sockaddr *host, socklen_t len, int flags);
int __wrap_slirp_remove_hostxfwd(Slirp *slirp, const struct sockaddr *host, socklen_t len, int flags)
{
	return slirp_keeps ? -1 : __real_slirp_remove_hostxfwd(slirp, host, len, flags);
}

#define NAT(forwards)	"[{\"mode\":\"nat\",\"mac\":\"52:54:00:01:02:03\",\"forwards\":[" forwards "]}]"

/* ---- frames ------------------------------------------------------------------------ */

static void announce_arp(void)
{
	uint8_t f[42] = { 0 };

	memset(f, 0xff, 6);
	memcpy(f + 6, mac, 6);
	memcpy(f + 12, "\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01", 10);
	memcpy(f + 22, mac, 6);
	inet_pton(AF_INET, "10.0.2.15", f + 28);
	inet_pton(AF_INET, "10.0.2.2", f + 38);
	transmit(f, sizeof(f));
	for (int n = 0; n < 20 && receive(PATIENCE) && conet_type(got, got_len) != 0x0806; n++)
		;
	CHECK(conet_type(got, got_len) == 0x0806 && got[21] == 2, "no answer by ARP");
}

/* ---- the tests ----------------------------------------------------------------------- */

static void dhcp(void)
{
	uint8_t f[600], discover[300] = { 1, 1, 6, 0, 0x12, 0x34, 0x56, 0x78 }, *udp;
	bool named = false;

	set_up_with(NAT(""), 0);
	CHECK(!strcmp(half_read(FRONT "/mac"), "52:54:00:01:02:03"));
	meet();
	CHECK(!connected());
	memcpy(discover + 28, mac, 6);
	memcpy(discover + 236, "\x63\x82\x53\x63\x35\x01\x01\xff", 8);
	transmit(f, udp_frame(f, "0.0.0.0", "255.255.255.255", 68, 67, discover, sizeof(discover)));
	udp = receive_ip(PROTO_UDP);
	CHECK(udp && conet_get16(udp + 2) == 68 && !memcmp(udp + 8 + 16, "\x0a\x00\x02\x0f", 4));
	for (uint32_t i = 0; udp && i + 4 < got_len; i++)
		named = named || !memcmp(got + i, "half", 4);
	CHECK(named, "the VM's name is the guest's hostname");
	CHECK(half_raised[PORT] > 0, "the guest was not told");
	leave();
}

static void ping(void)
{
	uint8_t f[100], *icmp = f + ETH_LEN + IP4_LEN;
	uint16_t sum;

	set_up_with(NAT(""), 0);
	meet();
	CHECK(!connected());
	announce_arp();
	memset(icmp, 0, 16);
	icmp[0] = 8;
	sum = (uint16_t)~conet_sum(icmp, 16, 0);
	memcpy(icmp + 2, &sum, 2);
	transmit(f, ip_frame(f, "10.0.2.15", "10.0.2.2", PROTO_ICMP, 16));
	icmp = receive_ip(PROTO_ICMP);
	CHECK(icmp && icmp[0] == 0);
	leave();
}

static int udp_socket(uint16_t *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	CHECK(!bind(fd, (struct sockaddr *)&a, len) && !getsockname(fd, (struct sockaddr *)&a, &len));
	*port = ntohs(a.sin_port);
	return fd;
}

/* A free port of this machine's. */
static uint16_t spare(void)
{
	uint16_t port;

	close(udp_socket(&port));
	return port;
}

static void udp_forward(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	uint16_t host = spare(), client, other;
	uint8_t f[200], *udp;
	char text[32] = "";
	int fd = udp_socket(&client), bystander = udp_socket(&other);

	set_up_with(NAT(""), 0);
	meet();
	CHECK(!connected());
	announce_arp();
	CHECK(!call("port.add", "udp", host, 53), "%s", failed.text);
	CHECK(call("port.add", "udp", host, 54) == CO_EBUSY && strstr(failed.text, "already"));
	a.sin_port = htons(host);
	CHECK(sendto(fd, "question", 8, 0, (struct sockaddr *)&a, sizeof(a)) == 8);
	udp = receive_ip(PROTO_UDP);
	CHECK(udp && conet_get16(udp) == client && conet_get16(udp + 2) == 53 && !memcmp(udp + 8, "question", 8));
	CHECK(udp && !memcmp(got + ETH_LEN + 12, "\x0a\x00\x02\x02", 4), "the client appears as the gateway");
	transmit(f, udp_frame(f, "10.0.2.15", "10.0.2.2", 53, client, "answer", 6));
	CHECK(readable(fd, 20000) && recv(fd, text, sizeof(text), 0) == 6 && !strcmp(text, "answer"));
	/* Nobody else on this machine's loopback hears the guest. */
	transmit(f, udp_frame(f, "10.0.2.15", "10.0.2.2", 53, other, "attack", 6));
	transmit(f, udp_frame(f, "10.0.2.15", "127.0.0.1", 53, other, "attack", 6));
	transmit(f, udp_frame(f, "10.0.2.15", "255.255.255.255", 53, other, "attack", 6));
	CHECK(!readable(bystander, 300));
	/* What libslirp keeps open is not said to be closed, and can be asked for again. */
	slirp_keeps = true;
	CHECK(call("port.remove", "udp", host, 53) == CO_EIO && strstr(failed.text, "did not close 127.0.0.1:"),
	      "%s", failed.text);
	slirp_keeps = false;
	CHECK(!call("port.remove", "udp", host, 53), "%s", failed.text);
	CHECK(call("port.remove", "udp", host, 53) == CO_ENOENT);
	close(fd);
	close(bystander);
	leave();
}

static void tcp_forward(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	uint16_t host = spare();
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	json_t *list;
	uint8_t *tcp;

	set_up_with(NAT(""), 0);
	meet();
	CHECK(!connected());
	announce_arp();
	a.sin_port = htons(host);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	CHECK(!bind(fd, (struct sockaddr *)&a, sizeof(a)) && !listen(fd, 1));
	CHECK(call("port.add", "tcp", host, 25) == CO_EBUSY && strstr(failed.text, "127.0.0.1:") &&
	      strstr(failed.text, "in use"), "%s", failed.text);
	close(fd);
	CHECK(!call("port.add", "tcp", host, 25), "%s", failed.text);
	call("port.list", "tcp", 1, 1);
	list = json_object_get(reply, "forwards");
	CHECK(json_array_size(list) == 1 &&
	      json_integer_value(json_object_get(json_array_get(list, 0), "hostPort")) == host);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(!connect(fd, (struct sockaddr *)&a, sizeof(a)));
	tcp = receive_ip(PROTO_TCP);
	CHECK(tcp && conet_get16(tcp + 2) == 25 && (tcp[13] & 0x3f) == TCP_SYN, "no SYN for the guest");
	close(fd);
	CHECK(call("port.add", "tcp", 1, 70000) == CO_EINVAL);
	leave();
}

/* Without a descriptor for it a client waits, without work for us, and the others are served. */
static void a_client_too_many_waits(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd, none = dup(0);
	struct rlimit all, few;
	uint16_t host = spare();
	uint8_t *tcp;
	clock_t work;

	set_up_with(NAT(""), 0);
	meet();
	CHECK(!connected());
	announce_arp();
	CHECK(!call("port.add", "tcp", host, 25), "%s", failed.text);
	a.sin_port = htons(host);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	close(none);
	getrlimit(RLIMIT_NOFILE, &all);
	few = (struct rlimit){ (rlim_t)none, all.rlim_max };
	CHECK(!setrlimit(RLIMIT_NOFILE, &few) && dup(0) == -1);
	CHECK(!connect(fd, (struct sockaddr *)&a, sizeof(a)));
	work = clock();
	poll(NULL, 0, 500);
	work = clock() - work;
	CHECK(work < CLOCKS_PER_SEC / 10, "%ld ms of work", (long)(work * 1000 / CLOCKS_PER_SEC));
	announce_arp();
	CHECK(rx->rsp_prod == rx_cons, "it was not accepted");
	CHECK(!setrlimit(RLIMIT_NOFILE, &all));
	tcp = receive_ip(PROTO_TCP);
	CHECK(tcp && conet_get16(tcp + 2) == 25 && (tcp[13] & 0x3f) == TCP_SYN, "no SYN for the guest");
	close(fd);
	leave();
}

/* Frontends come and go; what they write is read anew. */
static void comes_again(void)
{
	set_up_with(NAT(""), 0);
	half_write("vif/0/state", "4");
	CHECK(!half_until("/local/domain/0/backend/vif/1/0/state", "5"), "it has written nothing");
	half_write("vif/0/state", "1");
	CHECK(!half_until("/local/domain/0/backend/vif/1/0/state", "2"));
	meet();
	CHECK(!connected());
	announce_arp();
	half_write("vif/0/state", "5");
	CHECK(!half_until("/local/domain/0/backend/vif/1/0/state", "5") && !half.ports[PORT].fn);
	half_write("vif/0/state", "1");
	CHECK(!half_until("/local/domain/0/backend/vif/1/0/state", "2"));
	meet();
	CHECK(!connected());
	announce_arp();
	leave();
}

static void broken_ring(void)
{
	set_up_with(NAT(""), 0);
	meet();
	CHECK(!connected());
	__atomic_store_n(&tx->req_prod, 0x12345678u, __ATOMIC_SEQ_CST);
	notify();
	for (int n = 0; n < PATIENCE && !__atomic_load_n(&killed[0], __ATOMIC_SEQ_CST); n++)
		poll(NULL, 0, 50);
	CHECK(strstr(killed, "broke a network ring"), "%s", killed);
	leave();
}

static char tap_name[IFNAMSIZ];

static void set_up_tap(int expected)
{
	char nets[200];

	snprintf(nets, sizeof(nets), "[{\"mode\":\"tap\",\"tap\":\"%s\",\"mac\":\"52:54:00:01:02:03\",\"forwards\":[]}]",
		 tap_name);
	set_up_with(nets, expected);
}

/* A raw socket on a new tap device that is up; -1: this machine lets nobody make one. */
static int tap_device(void)
{
	int fd = open("/dev/net/tun", O_RDWR), raw = socket(AF_PACKET, SOCK_RAW, htons(3));
	struct ifreq r = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	struct sockaddr_ll a = { .sll_family = AF_PACKET, .sll_protocol = htons(3) };

	strcpy(r.ifr_name, tap_name);
	if (fd < 0 || raw < 0 || ioctl(fd, TUNSETIFF, &r) || ioctl(fd, TUNSETPERSIST, 1))
		return -1;
	close(fd);
	r.ifr_flags = IFF_UP;
	CHECK(!ioctl(raw, SIOCSIFFLAGS, &r));
	a.sll_ifindex = (int)if_nametoindex(tap_name);
	CHECK(!bind(raw, (struct sockaddr *)&a, sizeof(a)));
	return raw;
}

/* Frames both ways, as on a wire; where there are no tap devices, the words for that. */
static void tap(void)
{
	uint8_t f[200], *udp = NULL;
	char command[64];
	bool heard = false;
	ssize_t n;
	int raw;

	snprintf(tap_name, sizeof(tap_name), "cotest%u", (unsigned int)getpid() % 100000);
	raw = tap_device();
	if (raw < 0) {
		set_up_tap(access("/dev/net/tun", F_OK) ? -CO_EIO : -CO_EPERM);
		CHECK(strstr(failed.text, tap_name) && strstr(failed.text, "as root"), "%s", failed.text);
		return;
	}
	set_up_tap(0);
	meet();
	CHECK(!connected());
	transmit(f, udp_frame(f, "192.0.2.15", "192.0.2.2", 1000, 2000, "out", 3));
	while (!heard && readable(raw, 20000) && (n = recv(raw, f, sizeof(f), 0)) > 0)
		heard = n == 45 && !memcmp(f + 42, "out", 3) && !memcmp(f + 6, mac, 6);
	CHECK(heard, "nothing came out of the tap device");
	CHECK(send(raw, f, udp_frame(f, "192.0.2.2", "192.0.2.15", 2000, 1000, "in", 2), 0) == 44);
	for (int i = 0; i < 20 && !(udp && conet_get16(udp) == 2000); i++)
		udp = receive_ip(PROTO_UDP);
	CHECK(udp && !memcmp(udp + 8, "in", 2), "nothing came in");
	/* The administrator takes it away: the guest goes on without it. */
	snprintf(command, sizeof(command), "ip link del %s", tap_name);
	CHECK(system(command) == 0);
	transmit(f, udp_frame(f, "192.0.2.15", "192.0.2.2", 1000, 2000, "out", 3));
	close(raw);
	leave();
}

static void refused_settings(void)
{
	char text[300];
	uint16_t port;
	int fd = udp_socket(&port);

	set_up_with("[{\"mode\":\"nat\",\"mac\":\"01:54:00:01:02:03\",\"forwards\":[]}]", -CO_EINVAL);
	CHECK(strstr(failed.text, "mac 01:54"));
	set_up_with("[{\"mode\":\"nat\",\"mac\":\"52:54:00:01:02\",\"forwards\":[]}]", -CO_EINVAL);
	set_up_with("[{\"mode\":\"tap\",\"mac\":\"52:54:00:01:02:03\",\"forwards\":[]}]", -CO_EINVAL);
	CHECK(strstr(failed.text, "name of a tap device"));
	snprintf(text, sizeof(text), NAT("{\"protocol\":\"udp\",\"hostAddress\":\"127.0.0.1\",\"hostPort\":%u,"
					 "\"guestPort\":53}"), port);
	set_up_with(text, -CO_EBUSY);
	snprintf(text, sizeof(text), "port 127.0.0.1:%u/udp of the host is in use", port);
	CHECK(!strcmp(failed.text, text), "%s", failed.text);
	set_up_with(NAT("{\"protocol\":\"tcp\",\"hostAddress\":\"192.0.2.77\",\"hostPort\":2525,\"guestPort\":25}"),
		    -CO_EINVAL);
	CHECK(strstr(failed.text, "no such address"), "%s", failed.text);
	set_up_with(NAT("{\"protocol\":\"tcp\",\"hostAddress\":\"here\",\"hostPort\":2525,\"guestPort\":25}"),
		    -CO_EINVAL);
	close(fd);
	/* Without a network, forwards are an error, but there are none to list. */
	half_up();
	CHECK(call("port.add", "tcp", 2525, 25) == CO_ESTATE);
	CHECK(!call("port.list", "tcp", 1, 1) && json_array_size(json_object_get(reply, "forwards")) == 0);
	leave();
}

int main(void)
{
	alarm(300);
	RUN(dhcp);
	RUN(ping);
	RUN(udp_forward);
	RUN(tcp_forward);
	RUN(a_client_too_many_waits);
	RUN(comes_again);
	RUN(broken_ring);
	RUN(tap);
	RUN(refused_settings);
	/* The threads of the networks still run: no leak is looked for behind them. */
	fflush(stdout);
	_exit(unit_failed != 0);
}
