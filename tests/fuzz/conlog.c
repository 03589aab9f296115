/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A lying worker writes the head of the console's log; colinuxd reads on.
 * Input: the first cursor, then turns of a head (8 bytes) and a room (1 byte).
 */
#include "fuzz.h"
#include "conlog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conlog *c = malloc(sizeof(*c));
	uint64_t cursor, dropped = 0;

	MUST(c);
	memset(c, 'x', sizeof(*c));
	if (size >= 8) {
		memcpy(&cursor, data, 8);
		for (size_t at = 8; at + 9 <= size; at += 9) {
			uint64_t before = cursor, head;
			size_t room = (size_t)data[at + 8] << (data[at + 8] & 7), n;
			char *out = malloc(room ? room : 1);

			memcpy(&head, data + at, 8);
			c->head = head;
			n = conlog_read(c, &cursor, out, room, &dropped);
			MUST(n <= room && head - cursor <= CONLOG_BYTES);
			MUST(cursor - before == n || cursor == head || n == room ||
			     head - before > CONLOG_BYTES);
			free(out);
		}
	}
	free(c);
	return 0;
}
