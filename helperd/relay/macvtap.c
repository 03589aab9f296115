/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * macvtap.c: colinux-macvtap NIC OWNERUID, inside the virtual host only, as root.
 *
 * A NIC that QEMU has plugged becomes one VM's: a macvtap on it, whose device its
 * worker opens (conet_tap_linux.c).  The virtual host itself is to have no address
 * there, and not to touch the frames.  Prints the device's path; exit 1: a reason
 * on stderr, and no macvtap is left behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MTU_MOST	65521	/* that QEMU's libslirp takes */
#define QUEUE		1000u	/* frames that wait for the worker */
#define PATIENCE	100	/* times 50 ms: until the kernel has made the device */

struct request {
	struct nlmsghdr head;
	struct ifinfomsg info;
	char attributes[256];
};

static char made[IFNAMSIZ];	/* the macvtap, once it is there */

static void request_link(int type, const char *name, unsigned int flags);

__attribute__((noreturn, format(printf, 1, 2)))
static void fail(const char *format, ...)
{
	char name[IFNAMSIZ];
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	memcpy(name, made, sizeof(name));
	made[0] = 0;
	if (name[0])
		request_link(RTM_DELLINK, name, 0);
	exit(1);
}

/* ---- rtnetlink ------------------------------------------------------------------ */

static struct rtattr *put(struct request *r, unsigned short type, const void *data, size_t len)
{
	struct rtattr *a = (struct rtattr *)((char *)r + NLMSG_ALIGN(r->head.nlmsg_len));

	a->rta_type = type;
	a->rta_len = (unsigned short)RTA_LENGTH(len);
	if (len)
		memcpy(RTA_DATA(a), data, len);
	r->head.nlmsg_len = NLMSG_ALIGN(r->head.nlmsg_len) + (unsigned int)RTA_ALIGN(a->rta_len);
	return a;
}

/* The attributes since this one lie in it. */
static void close_nest(struct request *r, struct rtattr *nest)
{
	nest->rta_len = (unsigned short)((char *)r + r->head.nlmsg_len - (char *)nest);
}

/* Sends it and waits for the kernel's word: 0 or an errno. */
static int ask(struct request *r)
{
	struct { struct nlmsghdr head; struct nlmsgerr error; char rest[1024]; } answer;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), err = 0;
	ssize_t n;

	r->head.nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	if (fd < 0 || send(fd, r, r->head.nlmsg_len, 0) < 0)
		return errno;
	n = recv(fd, &answer, sizeof(answer), 0);
	if (n < 0)
		err = errno;
	else if ((size_t)n < sizeof(answer.head) + sizeof(answer.error) || answer.head.nlmsg_type != NLMSG_ERROR)
		err = EPROTO;
	else
		err = -answer.error.error;
	close(fd);
	return err;
}

static struct request begin(int type)
{
	return (struct request){ .head = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)),
					   .nlmsg_type = (unsigned short)type } };
}

static void make_macvtap(const char *nic, unsigned int index, unsigned int mtu, const char *name)
{
	struct request r = begin(RTM_NEWLINK);
	unsigned int mode = MACVLAN_MODE_PASSTHRU, queue = QUEUE;
	struct rtattr *info, *data;
	int err;

	r.head.nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL;
	put(&r, IFLA_IFNAME, name, strlen(name) + 1);
	put(&r, IFLA_LINK, &index, sizeof(index));
	put(&r, IFLA_MTU, &mtu, sizeof(mtu));
	put(&r, IFLA_TXQLEN, &queue, sizeof(queue));
	info = put(&r, IFLA_LINKINFO, NULL, 0);
	put(&r, IFLA_INFO_KIND, "macvtap", 7);
	data = put(&r, IFLA_INFO_DATA, NULL, 0);
	put(&r, IFLA_MACVLAN_MODE, &mode, sizeof(mode));
	close_nest(&r, data);
	close_nest(&r, info);
	err = ask(&r);
	if (err == EEXIST)
		fail("%s: there is a %s already", nic, name);
	if (err)
		fail("%s: no macvtap can be made: %s", nic, strerror(err));
	strcpy(made, name);
}

static void request_link(int type, const char *name, unsigned int flags)
{
	struct request r = begin(type);
	int err;

	r.info.ifi_flags = r.info.ifi_change = flags;
	put(&r, IFLA_IFNAME, name, strlen(name) + 1);
	err = ask(&r);
	if (err)
		fail("%s: it cannot be %s: %s", name, type == RTM_DELLINK ? "removed" : "set up", strerror(err));
}

/* ---- the NIC ----------------------------------------------------------------------- */

static void set(const char *family, const char *name, const char *key, const char *value)
{
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/%s", family, name, key);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return;		/* a kernel without IPv6 */
	if (fd < 0 || write(fd, value, 1) != 1)
		fail("%s: %s cannot be set: %s", name, key, strerror(errno));
	close(fd);
}

/*
 * Until the worker opens its device, frames come to this kernel.  Of IPv6 it is to
 * know nothing there: no address, no router's advice, no reports.  And nobody is to
 * find its other NICs' addresses there, which may be the guest's here.
 */
static void silence(const char *name)
{
	set("ipv6", name, "disable_ipv6", "1");
	set("ipv4", name, "arp_ignore", "8");
}

/* Its largest MTU, and frames as they come: the emulated CPU would be slow to join small ones. */
static unsigned int prepare(const char *nic)
{
	struct ethtool_value gro = { ETHTOOL_SGRO, 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r = { .ifr_mtu = MTU_MOST };
	unsigned int mtu;

	strcpy(r.ifr_name, nic);
	/* Refused: what it has by itself is the most already. */
	if (fd < 0 || (ioctl(fd, SIOCSIFMTU, &r) && ioctl(fd, SIOCGIFMTU, &r)))
		fail("%s: it has no MTU: %s", nic, strerror(errno));
	mtu = (unsigned int)r.ifr_mtu;
	r.ifr_data = (char *)&gro;
	if (ioctl(fd, SIOCETHTOOL, &r))
		fail("%s: frames are joined there (GRO): %s", nic, strerror(errno));
	close(fd);
	return mtu;
}

static void give(const char *path, uid_t owner)
{
	struct timespec pause = { 0, 50000000 };
	struct stat s;

	for (int i = 0; stat(path, &s) || !S_ISCHR(s.st_mode); i++) {
		if (i == PATIENCE)
			fail("%s has not come", path);
		nanosleep(&pause, NULL);
	}
	if (chown(path, owner, (gid_t)-1) || chmod(path, 0600))
		fail("%s cannot be given to %u: %s", path, (unsigned int)owner, strerror(errno));
}

int main(int argc, char **argv)
{
	char name[IFNAMSIZ], path[32], *end = "";
	unsigned long owner = argc == 3 ? strtoul(argv[2], &end, 10) : 0;
	unsigned int index, mtu;

	if (argc != 3 || !argv[2][0] || *end || owner > 0xfffffffe || strlen(argv[1]) >= IFNAMSIZ)
		fail("Usage: colinux-macvtap NIC OWNERUID");
	index = if_nametoindex(argv[1]);
	if (!index)
		fail("%s: there is no such NIC", argv[1]);
	snprintf(name, sizeof(name), "mvt%u", index);
	silence(argv[1]);
	mtu = prepare(argv[1]);
	make_macvtap(argv[1], index, mtu, name);
	silence(name);
	/* All groups: the guest's own addresses are not known here, nor whom IPv6 asks for them. */
	request_link(RTM_NEWLINK, argv[1], IFF_UP);
	request_link(RTM_NEWLINK, name, IFF_UP | IFF_PROMISC | IFF_ALLMULTI);
	snprintf(path, sizeof(path), "/dev/tap%u", if_nametoindex(name));
	give(path, (uid_t)owner);
	puts(path);
	return fflush(stdout) ? 1 : 0;
}
