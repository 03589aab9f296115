/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conet_filter.c: the guest does not reach this host's loopback.
 *
 * Called by conet_nat.c for every frame.  libslirp, ours or QEMU's, takes the
 * gateway's address and its own link-local one for loopback, and has a switch
 * against it, but with that switch an answer to a local client of a udp forward
 * could not go back either.  So what may go to the host itself is said here:
 * answers, DHCP, ping.  libslirp's DNS address is the host's resolver, on any
 * port; often that is on the loopback: only names may be asked there.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "conet.h"
#include "conet_filter.h"

#define CONET_PEER_MS	240000		/* as long as slirp remembers a udp socket */
#define DNS_SERVER	53u
#define DHCP_SERVER	67u
#define DHCP_CLIENT	68u

struct conet_to {			/* of one frame */
	bool host;			/* it goes to this very host */
	bool dns;			/* or to its resolver */
	bool v6, fragment;
	uint8_t protocol;
	const uint8_t *l4;
	uint32_t len;			/* bytes of l4 that are there */
};

void conet_filter_network(struct conet_filter *f, uint32_t n)
{
	char text[INET6_ADDRSTRLEN];
	uint32_t net = 0x0a000200u + (n << 8);

	f->gateway.s_addr = htonl(net + 2);
	f->nameserver4.s_addr = htonl(net + 3);
	snprintf(text, sizeof(text), "fd63:6f4c:694e:%x::", n);
	inet_pton(AF_INET6, text, &f->prefix);
	f->nameserver = f->prefix;
	f->nameserver.s6_addr[15] = 3;
}

static bool conet_to4(const struct conet_filter *f, const uint8_t *ip, uint32_t len, struct conet_to *to)
{
	uint32_t head = (ip[0] & 15u) * 4, total = conet_get16(ip + 2);

	/* What lies behind the packet's end is not what the NAT will see. */
	if (total < len)
		len = total;
	/* Linux takes 0.0.0.0 for loopback. */
	if (head < IP4_LEN || head > len || ip[16] == 127 || ip[16] == 0)
		return false;
	to->host = !memcmp(ip + 16, &f->gateway, 4) || !memcmp(ip + 16, "\377\377\377\377", 4);
	to->dns = !memcmp(ip + 16, &f->nameserver4, 4);
	to->fragment = conet_get16(ip + 6) & (IP4_MORE | IP4_OFFSET);
	to->protocol = ip[9];
	to->l4 = ip + head;
	to->len = len - head;
	return true;
}

static bool conet_to6(const struct conet_filter *f, const uint8_t *ip, uint32_t len, struct conet_to *to)
{
	static const uint8_t zero[10], all_nodes[16] = { 0xff, 2, [15] = 1 };
	uint32_t total = IP6_LEN + conet_get16(ip + 4);

	/* ::, ::1, and IPv4 addresses in IPv6 form. */
	if (!memcmp(ip + 24, zero, sizeof(zero)) && (!conet_get16(ip + 34) || conet_get16(ip + 34) == 0xffff))
		return false;
	to->dns = !memcmp(ip + 24, &f->nameserver, 16);
	to->host = !memcmp(ip + 24, all_nodes, 16) || (!memcmp(ip + 24, &f->prefix, 8) && !to->dns) ||
		   (ip[24] == 0xfe && (ip[25] & 0xc0) == 0x80);
	to->v6 = true;
	to->protocol = ip[6];
	to->l4 = ip + IP6_LEN;
	to->len = (total < len ? total : len) - IP6_LEN;
	return true;
}

static bool conet_answers(const struct conet_filter *f, const struct conet_to *to, int64_t now)
{
	for (unsigned int i = 0; i < CONET_PEERS; i++)
		if (f->peers[i].until > now && f->peers[i].v6 == to->v6 &&
		    f->peers[i].ours == conet_get16(to->l4) && f->peers[i].theirs == conet_get16(to->l4 + 2))
			return true;
	return false;
}

bool conet_filter_allows(const struct conet_filter *f, const uint8_t *frame, uint32_t len, int64_t now)
{
	const uint8_t *ip = frame + ETH_LEN;
	struct conet_to to = { 0 };

	switch (conet_type(frame, len)) {
	case ETH_IPV4:
		if (len < ETH_LEN + IP4_LEN || !conet_to4(f, ip, len - ETH_LEN, &to))
			return false;
		break;
	case ETH_IPV6:
		if (len < ETH_LEN + IP6_LEN || !conet_to6(f, ip, len - ETH_LEN, &to))
			return false;
		break;
	case ETH_ARP:
		return true;
	default:
		return false;
	}
	if (to.fragment)
		return false;
	if (!to.host && !to.dns)
		return true;
	if (to.dns && (to.protocol == PROTO_TCP || to.protocol == PROTO_UDP))
		return to.len >= UDP_LEN && conet_get16(to.l4 + 2) == DNS_SERVER;
	switch (to.protocol) {
	case PROTO_ICMP:
	case PROTO_ICMP6:
		return true;
	case PROTO_TCP:
		/* Of a connection that a client of a forward has made; slirp knows which. */
		return to.len >= TCP_LEN && (to.l4[13] & (TCP_SYN | TCP_ACK)) != TCP_SYN;
	case PROTO_UDP:
		return to.len >= UDP_LEN &&
		       ((!to.v6 && conet_get16(to.l4 + 2) == DHCP_SERVER) || conet_answers(f, &to, now));
	default:
		return false;
	}
}

/* The ports of a UDP packet of the host's, or of its first fragment; NULL: it is none. */
static const uint8_t *conet_from(const struct conet_filter *f, const uint8_t *frame, uint32_t len, bool *v6)
{
	const uint8_t *ip = frame + ETH_LEN;
	uint32_t head = IP6_LEN;

	*v6 = conet_type(frame, len) == ETH_IPV6;
	if (*v6) {
		if (len < ETH_LEN + IP6_LEN || ip[6] != PROTO_UDP || memcmp(ip + 8, &f->prefix, 8) ||
		    !memcmp(ip + 8, &f->nameserver, 16))
			return NULL;
	} else {
		if (conet_type(frame, len) != ETH_IPV4 || len < ETH_LEN + IP4_LEN || ip[9] != PROTO_UDP ||
		    memcmp(ip + 12, &f->gateway, 4) || (conet_get16(ip + 6) & IP4_OFFSET))
			return NULL;
		head = (ip[0] & 15u) * 4;
	}
	return head < IP4_LEN || ETH_LEN + head + UDP_LEN > len ? NULL : ip + head;
}

void conet_filter_note(struct conet_filter *f, const uint8_t *frame, uint32_t len, int64_t now)
{
	uint16_t ours, theirs;
	const uint8_t *udp;
	unsigned int i;
	bool v6;

	udp = conet_from(f, frame, len, &v6);
	if (!udp)
		return;
	theirs = conet_get16(udp);
	ours = conet_get16(udp + 2);
	if (!v6 && theirs == DHCP_SERVER && ours == DHCP_CLIENT)
		return;
	for (i = 0; i < CONET_PEERS; i++)
		if (f->peers[i].v6 == v6 && f->peers[i].ours == ours && f->peers[i].theirs == theirs)
			break;
	if (i == CONET_PEERS)
		i = f->next++ % CONET_PEERS;
	f->peers[i].v6 = v6;
	f->peers[i].ours = ours;
	f->peers[i].theirs = theirs;
	f->peers[i].until = now + CONET_PEER_MS;
}
