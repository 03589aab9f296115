/* SPDX-License-Identifier: GPL-2.0-or-later */
/* wire.c: see wire.h. */
#include <arpa/inet.h>

#include "wire.h"

uint8_t wire[3000];
uint32_t wire_len;

void wire_build(bool v6, uint8_t protocol, uint32_t payload, const char *to)
{
	uint8_t *ip = wire + ETH_LEN, *l4 = ip + (v6 ? IP6_LEN : IP4_LEN);
	uint32_t len = (protocol == PROTO_TCP ? TCP_LEN : UDP_LEN) + payload;

	for (size_t i = 0; i < sizeof(wire); i++)
		wire[i] = (uint8_t)(i * 11 + 5);
	wire[12] = v6 ? 0x86 : 0x08;
	wire[13] = v6 ? 0xdd : 0x00;
	if (v6) {
		ip[0] = 0x60;
		ip[4] = (uint8_t)(len >> 8);
		ip[5] = (uint8_t)len;
		ip[6] = protocol;
		inet_pton(AF_INET6, to, ip + 24);
	} else {
		ip[0] = 0x45;
		ip[2] = (uint8_t)((len + IP4_LEN) >> 8);
		ip[3] = (uint8_t)(len + IP4_LEN);
		ip[6] = 0x40;
		ip[7] = 0;
		ip[9] = protocol;
		inet_pton(AF_INET, to, ip + 16);
	}
	if (protocol == PROTO_TCP) {
		l4[12] = 0x50;
		l4[13] = TCP_ACK;
	} else {
		l4[4] = (uint8_t)(len >> 8);
		l4[5] = (uint8_t)len;
	}
	wire_len = (uint32_t)(l4 - wire) + len;
}
