/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nic.c: a network whose NAT is behind a NIC's device: on a device that is a
 * socket pair, of which the test has the NIC's end; then, where the machine allows
 * it, on a macvtap as colinux-macvtap makes it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../unit.h"
#include "netfront.h"
#include "wire.h"

#define DEVICE		"/dev/colinux-nic/525400c00001"
#define FOREIGN		"/dev/colinux-nic/another-users"
#define NIC_OF(device)	"[{\"mode\":\"nat\",\"device\":\"" device "\",\"mac\":\"52:54:00:01:02:03\",\"forwards\":[]}]"
#define NIC		NIC_OF(DEVICE)
#define HEAD		sizeof(struct virtio_net_hdr)
#define QUIET_MS	100

static int nic = -1, device = -1;	/* the socket pair */
static unsigned int asked, offload;	/* flags of TUNSETIFF, TUNSETOFFLOAD */
static int head_size;
static uint8_t heard[70000];
static ssize_t heard_len;

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
	int fds[2];
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
	va_end(args);
	if (!strcmp(path, FOREIGN)) {
		errno = EACCES;
		return -1;
	}
	if (strcmp(path, DEVICE))
		return __real_open(path, flags, mode);
	CHECK((flags & (O_ACCMODE | O_NONBLOCK | O_CLOEXEC)) == (O_RDWR | O_NONBLOCK | O_CLOEXEC));
	CHECK(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds));
	nic = fds[0];
	return device = fds[1];
}

int __real_fstat(int fd, struct stat *s);
int __wrap_fstat(int fd, struct stat *s);
int __wrap_fstat(int fd, struct stat *s)
{
	int err = __real_fstat(fd, s);

	if (fd == device)
		s->st_mode = S_IFCHR | 0600;
	return err;
}

int __real_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, void *arg)
{
	if (fd != device)
		return __real_ioctl(fd, request, arg);
	if (request == TUNSETIFF)
		asked = (unsigned short)((struct ifreq *)arg)->ifr_flags;
	else if (request == TUNSETVNETHDRSZ)
		head_size = *(int *)arg;
	else if (request == TUNSETOFFLOAD)
		__atomic_store_n(&offload, (unsigned int)(uintptr_t)arg, __ATOMIC_SEQ_CST);
	else
		CHECK(0, "%lx", request);
	return 0;
}

static void nic_up(void)
{
	set_up_with(NIC, 0);
	meet();
	CHECK(!connected());
}

static void nic_down(void)
{
	close(nic);
	nic = device = -1;
	leave();
}

/* The next frame that came out at the NIC, behind its header; false: none within so many ms. */
static bool hear(int fd, int ms)
{
	heard_len = readable(fd, ms) ? recv(fd, heard, sizeof(heard), 0) : -1;
	return heard_len > 0;
}

/* The frame in `wire`, from the NIC, described so. */
static void say(struct virtio_net_hdr v)
{
	static uint8_t both[sizeof(v) + sizeof(wire)];

	memcpy(both, &v, sizeof(v));
	memcpy(both + sizeof(v), wire, wire_len);
	CHECK(send(nic, both, sizeof(v) + wire_len, 0) == (ssize_t)(sizeof(v) + wire_len));
}

/* ---- birth ---------------------------------------------------------------------------- */

static void settings(void)
{
	static const struct { const char *nets; int code; const char *text; } rows[] = {
		{ NIC_OF("/dev/nobody-has-this"), CO_ENOENT, "/dev/nobody-has-this: there is no such NIC" },
		{ NIC_OF("/dev/null"), CO_EINVAL, "/dev/null is not a macvtap" },
		{ NIC_OF(FOREIGN), CO_EPERM, FOREIGN " is not this user's" },
		{ NIC_OF("/dev/shm"), CO_EIO, "/dev/shm: Is a directory" },
		{ NIC_OF("tap0"), CO_EINVAL, "whole path: not tap0 of mode nat" },
		{ "[{\"mode\":\"tap\",\"device\":\"/dev/null\",\"mac\":\"52:54:00:01:02:03\",\"forwards\":[]}]",
		  CO_EINVAL, "for mode nat" },
		{ "[{\"mode\":\"nat\",\"device\":\"" DEVICE "\",\"mac\":\"52:54:00:01:02:03\",\"forwards\":[{}]}]",
		  CO_EINVAL, DEVICE ": forwards are made where" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		set_up_with(rows[i].nets, -rows[i].code);
		CHECK(strstr(failed.text, rows[i].text), "%s", failed.text);
	}
	nic_up();
	CHECK(asked == (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR), "%x", asked);
	CHECK(head_size == HEAD && offload == (TUN_F_CSUM | TUN_F_TSO4), "%d %x", head_size, offload);
	CHECK(call("port.add", "tcp", 2525, 25) == CO_ESTATE &&
	      strstr(failed.text, "half: its forwards are made outside the virtual host"), "%s", failed.text);
	CHECK(call("port.remove", "tcp", 2525, 25) == CO_ESTATE && call("port.list", "tcp", 1, 1) == CO_ESTATE);
	nic_down();
}

/* A regular file is opened, and refused for what it is. */
static void no_device(void)
{
	char path[] = "/var/tmp/colinux-nic-XXXXXX", nets[200];
	int fd = mkstemp(path);

	snprintf(nets, sizeof(nets), NIC_OF("%s"), path);
	set_up_with(nets, -CO_EINVAL);
	CHECK(strstr(failed.text, path) && strstr(failed.text, "is not a macvtap device"), "%s", failed.text);
	close(fd);
	unlink(path);
}

/* ---- from the guest ------------------------------------------------------------------- */

/* Bytes at..at+n of the UDP packet in `wire`, as a fragment. */
static void transmit_piece(uint16_t at, uint16_t n, uint16_t more)
{
	static uint8_t frame[3000];
	uint8_t *ip = frame + ETH_LEN;
	uint16_t sum;

	memcpy(frame, wire, ETH_LEN + IP4_LEN);
	memcpy(ip + IP4_LEN, wire + ETH_LEN + IP4_LEN + at, n);
	conet_put16(ip + 2, (uint16_t)(IP4_LEN + n));
	conet_put16(ip + 6, (uint16_t)(at / 8 | more));
	memset(ip + 10, 0, 2);
	sum = (uint16_t)~conet_sum(ip, IP4_LEN, 0);
	memcpy(ip + 10, &sum, 2);
	transmit(frame, ETH_LEN + IP4_LEN + n);
}

static void out(void)
{
	static const uint8_t empty[HEAD];
	struct conet_headers h;

	nic_up();
	/* Larger than the guest's MTU, and one frame: its checksum is made here. */
	wire_build(false, PROTO_UDP, 2900, "192.0.2.1");
	transmit(wire, wire_len);
	CHECK(conet_headers(wire, wire_len, &h));
	conet_complete(wire, &h);
	CHECK(hear(nic, 20000) && heard_len == (ssize_t)(HEAD + wire_len));
	CHECK(!memcmp(heard, empty, HEAD) && !memcmp(heard + HEAD, wire, wire_len));
	/* What comes in pieces goes out whole. */
	transmit_piece(0, 1480, IP4_MORE);
	transmit_piece(1480, 1428, 0);
	CHECK(hear(nic, 20000) && heard_len == (ssize_t)(HEAD + wire_len));
	CHECK(!memcmp(heard + HEAD + ETH_LEN + IP4_LEN, wire + ETH_LEN + IP4_LEN, 2908));
	/* It is to be answered with large segments. */
	wire_build(false, PROTO_TCP, 4, "192.0.2.1");
	CHECK(conet_headers(wire, wire_len, &h));
	memcpy(wire + h.l4 + 12, "\x60\x02", 2);
	memcpy(wire + h.l4 + TCP_LEN, "\002\004\005\264", 4);
	transmit(wire, wire_len);
	CHECK(hear(nic, 20000) && conet_get16(heard + HEAD + h.l4 + TCP_LEN + 2) == 21844);
	/* What may not go to the host is answered here. */
	wire_build(false, PROTO_TCP, 0, "10.0.2.2");
	wire[h.l4 + 13] = TCP_SYN;
	transmit(wire, wire_len);
	CHECK(receive(400) && got_len == h.l4 + TCP_LEN && got[h.l4 + 13] == (TCP_RST | TCP_ACK));
	wire_build(false, PROTO_UDP, 10, "10.0.2.2");
	transmit(wire, wire_len);
	wire_build(false, PROTO_TCP, 0, "127.0.0.1");
	transmit(wire, wire_len);
	CHECK(!hear(nic, QUIET_MS), "they came out");
	nic_down();
}

/* ---- to the guest --------------------------------------------------------------------- */

static union netif_rx_sring_entry *answer(RING_IDX i)
{
	for (int n = 0; n < 400 && (int32_t)(__atomic_load_n(&rx->rsp_prod, __ATOMIC_ACQUIRE) - i) <= 0; n++)
		poll(NULL, 0, 50);
	CHECK((int32_t)(rx->rsp_prod - i) > 0, "nothing came in");
	return (union netif_rx_sring_entry *)(rx + 1) + i % 256;
}

static void large(struct virtio_net_hdr v, uint16_t segment)
{
	RING_IDX i = __atomic_load_n(&rx->rsp_prod, __ATOMIC_ACQUIRE);
	struct netif_extra_info x;
	uint16_t flags;

	wire_build(false, PROTO_TCP, 2900, "10.0.2.15");
	say(v);
	flags = answer(i)->rsp.flags;
	CHECK(answer(i)->rsp.status == (int)wire_len);
	CHECK(flags == (NETRXF_extra_info | NETRXF_csum_blank | NETRXF_data_validated), "%x", flags);
	memcpy(&x, answer(i + 1), sizeof(x));
	CHECK(x.type == XEN_NETIF_EXTRA_TYPE_GSO && x.u.gso.size == segment, "%u", x.u.gso.size);
	rx_cons = i + 2;
}

static void in(void)
{
	struct virtio_net_hdr gso = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
				      .gso_size = 1000 };
	uint8_t *ip = wire + ETH_LEN, *udp = ip + IP4_LEN;

	nic_up();
	large((struct virtio_net_hdr){ 0 }, 1460);
	large(gso, 1000);
	/* A client of a forward asks, and is answered. */
	wire_build(false, PROTO_UDP, 10, "10.0.2.15");
	memcpy(ip + 12, "\x0a\x00\x02\x02", 4);
	memcpy(udp, "\x9c\x40\x00\x35", 4);
	say((struct virtio_net_hdr){ 0 });
	CHECK(receive(400) && got_len == wire_len && !memcmp(got, wire, wire_len));
	wire_build(false, PROTO_UDP, 10, "10.0.2.2");
	memcpy(udp, "\x00\x35\x9c\x40", 4);
	transmit(wire, wire_len);
	CHECK(hear(nic, 20000) && heard_len == (ssize_t)(HEAD + wire_len), "no answer to who has asked");
	nic_down();
}

/* A NIC that goes away costs no work, and the guest's frames are lost. */
static void gone(void)
{
	clock_t work;

	nic_up();
	close(nic);
	wire_build(false, PROTO_UDP, 10, "192.0.2.1");
	transmit(wire, wire_len);
	work = clock();
	poll(NULL, 0, 500);
	work = clock() - work;
	CHECK(work < CLOCKS_PER_SEC / 10, "%ld ms of work", (long)(work * 1000 / CLOCKS_PER_SEC));
	transmit(wire, wire_len);
	nic = device = -1;
	leave();
}

/* ---- notices -------------------------------------------------------------------------- */

static unsigned int notices(void)
{
	return __atomic_load_n(&half_raised[PORT], __ATOMIC_SEQ_CST);
}

/* The frame is taken; what Linux does then, if it looks, is to ask for the next notice. */
static void sent(RING_IDX n, bool looks)
{
	while (__atomic_load_n(&tx->rsp_prod, __ATOMIC_ACQUIRE) != n)
		;
	if (looks)
		__atomic_store_n(&tx->rsp_event, n + 1, __ATOMIC_SEQ_CST);
}

static void silence(void)
{
	unsigned int before;

	nic_up();
	wire_build(false, PROTO_UDP, 10, "192.0.2.1");
	/* Nothing comes in: a notice all the same, and one. */
	before = notices();
	post(wire, wire_len);
	notify();
	sent(1, false);
	poll(NULL, 0, QUIET_MS);
	CHECK(notices() == before + 1, "%u", notices() - before);
	__atomic_store_n(&tx->rsp_event, 2, __ATOMIC_SEQ_CST);
	poll(NULL, 0, QUIET_MS);
	CHECK(notices() == before + 1, "%u", notices() - before);
	/* A guest that sends on, and so has looked, needs none but the last. */
	before = notices();
	for (RING_IDX i = 2; i <= 51; i++) {
		post(wire, wire_len);
		notify();
		sent(i, i < 51);
	}
	poll(NULL, 0, QUIET_MS);
	CHECK(notices() > before && notices() < before + 25, "%u notices of 50 frames", notices() - before);
	/* What comes in is told at once, and both by one notice. */
	__atomic_store_n(&tx->rsp_event, 52, __ATOMIC_SEQ_CST);
	__atomic_store_n(&rx->rsp_event, rx->rsp_prod + 1, __ATOMIC_SEQ_CST);
	before = notices();
	say((struct virtio_net_hdr){ 0 });
	CHECK(receive(400));
	poll(NULL, 0, QUIET_MS);
	CHECK(notices() == before + 1, "%u", notices() - before);
	nic_down();
}

/* A guest that has filled its ring does not wait for the time. */
static void full_ring(void)
{
	unsigned int before;

	nic_up();
	wire_build(false, PROTO_UDP, 10, "192.0.2.1");
	before = notices();
	for (int i = 0; i < 200; i++)
		post(wire, wire_len);
	notify();
	sent(200, false);
	CHECK(notices() == before + 1, "%u", notices() - before);
	nic_down();
}

/* The same without a thread: the loop itself has to come back for it. */
static void solo_silence(void)
{
	unsigned int before;

	solo = true;
	nic_up();
	wire_build(false, PROTO_UDP, 10, "192.0.2.1");
	before = notices();
	post(wire, wire_len);
	notify();
	loop_once(half.loop, 20000);
	CHECK(tx->rsp_prod == 1, "%u", tx->rsp_prod);
	for (int i = 0; i < 3 && notices() == before; i++)
		loop_once(half.loop, 20000);
	CHECK(notices() == before + 1, "%u", notices() - before);
	half_run(20);
	CHECK(notices() == before + 1, "%u", notices() - before);
	nic_down();
	solo = false;
}

/* What the loop would do later, done at once; nobody listens to a NIC that is silent. */
static void solo_look(void)
{
	unsigned int before;

	solo = true;
	nic_up();
	loop_once(half.loop, 0);
	wire_build(false, PROTO_UDP, 10, "192.0.2.1");
	before = notices();
	say((struct virtio_net_hdr){ 0 });
	CHECK(!wk_net_look(&half, true) && !rx->rsp_prod, "%u", rx->rsp_prod);
	loop_once(half.loop, 20000);
	CHECK(rx->rsp_prod == 1, "%u", rx->rsp_prod);
	__atomic_store_n(&rx->rsp_event, 2, __ATOMIC_SEQ_CST);

	post(wire, wire_len);
	notify();
	CHECK(!wk_net_look(&half, false) && tx->rsp_prod == 1 && hear(nic, 0), "%u", tx->rsp_prod);
	say((struct virtio_net_hdr){ 0 });
	say((struct virtio_net_hdr){ 0 });
	CHECK(!wk_net_look(&half, false) && rx->rsp_prod == 1, "%u", rx->rsp_prod);
	CHECK(!wk_net_look(&half, true) && rx->rsp_prod == 3, "%u", rx->rsp_prod);
	CHECK(notices() == before + 2, "%u", notices() - before);
	CHECK(!wk_net_look(&half, true));		/* silent again */
	say((struct virtio_net_hdr){ 0 });
	CHECK(!wk_net_look(&half, true) && rx->rsp_prod == 3, "%u", rx->rsp_prod);
	nic_down();
	solo = false;
}

/* ---- a true one ------------------------------------------------------------------------- */

/* The other end of a new tap device, as QEMU has it; -1: this machine lets nobody make one. */
static int cable(const char *name)
{
	struct ifreq r = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR);

	strcpy(r.ifr_name, name);
	if (fd < 0 || !ioctl(fd, TUNSETIFF, &r))
		return fd;
	close(fd);
	return -1;
}

static void macvtap(void)
{
	char name[IFNAMSIZ], command[300], path[64] = "", nets[200];
	int fd, i;
	FILE *f;

	snprintf(name, sizeof(name), "conic%u", (unsigned int)getpid() % 100000);
	fd = cable(name);
	snprintf(command, sizeof(command), MACVTAP " %s %u 2>&1", name, (unsigned int)geteuid());
	f = popen(command, "r");
	CHECK(f && fgets(path, sizeof(path), f), "it says nothing");
	if (f && pclose(f)) {
		CHECK(strstr(path, name), "%s", path);
		CHECK(fd < 0 || strstr(path, "no macvtap can be made"), "%s", path);
		printf("# no macvtap here: %s", path);
		close(fd);
		return;
	}
	path[strcspn(path, "\n")] = 0;
	snprintf(nets, sizeof(nets), NIC_OF("%s"), path);
	set_up_with(nets, 0);
	meet();
	CHECK(!connected());
	wire_build(false, PROTO_UDP, 2900, "192.0.2.1");
	memcpy(wire, "\x52\x54\x00\x12\x35\x02\x52\x54\x00\x01\x02\x03", 12);
	transmit(wire, wire_len);
	for (i = 0, heard_len = 0; i < 20 && heard_len != (ssize_t)wire_len && readable(fd, 20000); i++)
		heard_len = read(fd, heard, sizeof(heard));
	CHECK(heard_len == (ssize_t)wire_len && !memcmp(heard + 50, wire + 50, wire_len - 50), "nothing came out");
	/* To the guest's own address, which is not the NIC's, and to a group that nobody has joined. */
	for (int group = 0; group < 2; group++) {
		wire_build(false, PROTO_UDP, 3000 - 42, "10.0.2.15");
		memcpy(wire, group ? "\x33\x33\xff\x01\x02\x03\x52\x54\x00\x12\x35\x02" :
		       "\x52\x54\x00\x01\x02\x03\x52\x54\x00\x12\x35\x02", 12);
		CHECK(write(fd, wire, wire_len) == (ssize_t)wire_len);
		for (i = 0, got_len = 0; i < 20 && got_len != wire_len && receive(400); i++)
			;
		CHECK(got_len == wire_len && !memcmp(got, wire, wire_len), "nothing came in");
	}
	close(fd);
	poll(NULL, 0, QUIET_MS);
	CHECK(access(path, F_OK), "the device stays");
	transmit(wire, wire_len);
	leave();
}

int main(void)
{
	alarm(300);
	RUN(settings);
	RUN(no_device);
	RUN(out);
	RUN(in);
	RUN(gone);
	RUN(silence);
	RUN(full_ring);
	RUN(solo_silence);
	RUN(solo_look);
	RUN(macvtap);
	/* The threads of the networks still run: no leak is looked for behind them. */
	fflush(stdout);
	_exit(unit_failed != 0);
}
