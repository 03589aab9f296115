// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Frames for the attacks on a network's rings: a question about an address, a
 * ping, and noise that begins like something.  Called by hostile_ring_net.c.
 */
#include "hostile_ring.h"

const u8 our_mac[6] = { 0x52, 0x54, 0, 0x99, 0x88, 0x77 };
const u8 gateway_mac[6] = { 0x52, 0x55, 10, 0, 2, 2 };

void put_arp(u8 *p, u8 last)
{
	static const u8 head[] = { 8, 6, 0, 1, 8, 0, 6, 4, 0, 1 };
	static const u8 from[4] = { 10, 0, 2, 0 }, to[4] = { 10, 0, 2, 2 };

	memset(p, 0xff, 6);
	memcpy(p + 6, our_mac, 6);
	memcpy(p + 12, head, sizeof(head));
	memcpy(p + 22, our_mac, 6);
	memcpy(p + 28, from, 4);
	p[31] = last;
	memset(p + 32, 0, 6);
	memcpy(p + 38, to, 4);
}

static void put_sum(u8 *field, const u8 *p, u32 len)
{
	u32 sum = 0;

	field[0] = field[1] = 0;
	for (u32 i = 0; i < len; i++)
		sum += i & 1 ? p[i] : (u32)p[i] << 8;
	while (sum >> 16)
		sum = (sum >> 16) + (sum & 0xffff);
	field[0] = (u8)(~sum >> 8);
	field[1] = (u8)~sum;
}

void put_ping(u8 *p, u32 bytes)
{
	static const u8 head[] = { 8, 0, 0x45, 0, 0, 0, 0, 1, 0, 0, 64, 1, 0, 0, 10, 0, 2, 15, 10, 0, 2, 2, 8, 0 };

	memcpy(p, gateway_mac, 6);
	memcpy(p + 6, our_mac, 6);
	memcpy(p + 12, head, sizeof(head));
	p[16] = (u8)((20 + bytes) >> 8);
	p[17] = (u8)(20 + bytes);
	memset(p + 36, 0, bytes - 2);
	put_sum(p + 24, p + 14, 20);
	put_sum(p + 36, p + 34, bytes);
}

/* What a DHCP server looks at first. */
static void put_dhcp(u8 *p, u32 bytes)
{
	static const u8 head[] = { 1, 1, 6 }, cookie[] = { 0x63, 0x82, 0x53, 0x63, 53, 1 };

	if (bytes < 300)
		return;
	memcpy(p + 42, head, sizeof(head));
	memcpy(p + 42 + 236, cookie, sizeof(cookie));
}

static void put_ipv6(u8 *p, u8 protocol, u32 bytes)
{
	static const u8 gateway[16] = { 0xfd, 0x63, 0x6f, 0x4c, 0x69, 0x4e, [15] = 2 };

	p[12] = 0x86;
	p[13] = 0xdd;
	p[14] = 0x60;
	p[18] = (u8)(bytes >> 8);
	p[19] = (u8)bytes;
	p[20] = protocol;
	memcpy(p + 38, gateway, sizeof(gateway));
}

/* Frames that begin well, with fields that lie; they go no further than the gateway. */
u32 noisy_frame(u8 *p)
{
	static const u8 protocols[] = { 1, 6, 17, 58, 17, 17, 44, 255 };
	static const u16 ports[] = { 53, 67, 67, 69 };
	u32 bytes = 34 + (u32)random() % 1400, len = ETH_LEN + 20 + bytes;
	u64 r = random(), lies = random();

	put_ping(p, bytes);
	for (u32 i = 38; i < len; i++)
		p[i] = (u8)random();
	p[23] = protocols[r % 8];
	if (p[23] == 17) {
		p[36] = 0;
		p[37] = (u8)ports[r >> 8 & 3];
		p[38] = (u8)(bytes >> 8);
		p[39] = (u8)(lies & 1 ? lies >> 8 : bytes);
		put_dhcp(p, bytes);
	}
	if (lies & 2)
		p[14] = (u8)(lies >> 16);	/* version, and length of the header */
	if (lies & 4)
		p[16] = (u8)(lies >> 24), p[17] = (u8)(lies >> 32);
	if (lies & 8)
		p[20] = (u8)(r >> 16), p[21] = (u8)(r >> 24);
	if ((lies & 0x30) == 0x30)
		put_ipv6(p, protocols[r % 8], lies & 4 ? (u32)(r >> 20) % 3000 : bytes - 20);
	else if ((lies & 0x30) == 0x20)
		put_arp(p, (u8)r), p[14 + (r >> 20) % 8] = (u8)(r >> 32);
	else
		put_sum(p + 24, p + 14, 20);
	if (p[23] == 1)
		put_sum(p + 36, p + 34, bytes);
	return lies & 0x40 ? 1 + (u32)random() % len : len;
}
