/* SPDX-License-Identifier: GPL-2.0-or-later */
/* wire.h: one frame, for tests of what looks at frames. */
#ifndef WIRE_H
#define WIRE_H

#include "conet.h"

extern uint8_t wire[3000];
extern uint32_t wire_len;

/* A TCP (ACK) or UDP packet to this address, with nothing in it that was there before. */
void wire_build(bool v6, uint8_t protocol, uint32_t payload, const char *to);

#endif
