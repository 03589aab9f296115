/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conet_filter.c: the guest does not reach this host's loopback.
 *
 * Called by conet_slirp.c for every frame.  libslirp takes the gateway's
 * address for loopback, and has a switch against it, but with that switch an
 * answer to a local client of a udp forward could not go back either.  So what
 * may go to the host itself is said here: answers, DHCP, ping.  libslirp's DNS
 * address is the host's resolver, on any port; often that is on the loopback:
 * only names may be asked there.
 */
#include <string.h>

#include "conet_slirp.h"

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

static bool conet_to4(const struct conet_filter *f, const uint8_t *ip, uint32_t len, struct conet_to *to)
{
	uint32_t head = (ip[0] & 15u) * 4;

	/* Linux takes 0.0.0.0 for loopback. */
	if (head < IP4_LEN || head > len || ip[16] == 127 || ip[16] == 0)
		return false;
	to->host = !memcmp(ip + 16, &f->gateway, 4) || !memcmp(ip + 16, "\377\377\377\377", 4);
	to->dns = !memcmp(ip + 16, &f->nameserver4, 4);
	to->fragment = conet_get16(ip + 6) & 0x3fff;
	to->protocol = ip[9];
	to->l4 = ip + head;
	to->len = len - head;
	return true;
}

static bool conet_to6(const struct conet_filter *f, const uint8_t *ip, uint32_t len, struct conet_to *to)
{
	static const uint8_t zero[10], all_nodes[16] = { 0xff, 2, [15] = 1 };

	/* ::, ::1, and IPv4 addresses in IPv6 form. */
	if (!memcmp(ip + 24, zero, sizeof(zero)) && (!conet_get16(ip + 34) || conet_get16(ip + 34) == 0xffff))
		return false;
	to->dns = !memcmp(ip + 24, &f->nameserver, 16);
	to->host = !memcmp(ip + 24, all_nodes, 16) || (!memcmp(ip + 24, &f->prefix, 8) && !to->dns);
	to->v6 = true;
	to->protocol = ip[6];
	to->l4 = ip + IP6_LEN;
	to->len = len - IP6_LEN;
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
	default:
		return true;
	}
	if (!to.host && !to.dns)
		return true;
	if (to.fragment)
		return false;
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

void conet_filter_note(struct conet_filter *f, const uint8_t *frame, uint32_t len, int64_t now)
{
	const uint8_t *ip = frame + ETH_LEN;
	struct conet_headers h;
	uint16_t ours, theirs;
	unsigned int i;

	if (!conet_headers(frame, len, &h) || h.protocol != PROTO_UDP ||
	    (h.v6 ? memcmp(ip + 8, &f->prefix, 8) : memcmp(ip + 12, &f->gateway, 4)) ||
	    (h.v6 && !memcmp(ip + 8, &f->nameserver, 16)))
		return;
	theirs = conet_get16(frame + h.l4);
	ours = conet_get16(frame + h.l4 + 2);
	if (!h.v6 && theirs == DHCP_SERVER && ours == DHCP_CLIENT)
		return;
	for (i = 0; i < CONET_PEERS; i++)
		if (f->peers[i].v6 == h.v6 && f->peers[i].ours == ours && f->peers[i].theirs == theirs)
			break;
	if (i == CONET_PEERS)
		i = f->next++ % CONET_PEERS;
	f->peers[i].v6 = h.v6;
	f->peers[i].ours = ours;
	f->peers[i].theirs = theirs;
	f->peers[i].until = now + CONET_PEER_MS;
}
