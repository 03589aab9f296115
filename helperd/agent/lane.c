/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lane.c: input by way of xenstore.
 *
 * Linux takes 16 bytes from a console's ring for each interrupt, and 4096 from
 * xenstore's for a handful.  So the agent offers to fetch the host's DATA and
 * EOF there: FETCH says that some wait, and each read of one node brings the
 * next bytes of a second stream of frames, until it brings none.  Any kernel
 * that has this console has this device; without it all comes by the console.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "agent.h"

#define LANE_DEVICE	"/dev/xen/xenbus"
#define LANE_XS_READ	2u
#define LANE_MOST	4096u

struct lane_head {			/* xenstore's, in the machine's byte order */
	uint32_t type, id, transaction, len;
};

static int lane_fd = -1, lane_poll = -1;
static bool lane_broken;		/* it has failed once: never again */
static bool lane_asked;			/* an answer is under way */
static bool lane_again;			/* it may be an empty one from before the last FETCH */
static struct frame_in lane_in;
static union {
	struct lane_head head;
	uint8_t bytes[sizeof(struct lane_head) + LANE_MOST];
} lane_answer;
static size_t lane_have;

/* A connection of its own each time: answers to the last one's questions are lost with it. */
void lane_begin(void)
{
	if (lane_fd >= 0)
		close(lane_fd);
	lane_fd = lane_broken ? -1 : open(LANE_DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	lane_asked = lane_again = false;
	lane_have = 0;
	memset(&lane_in, 0, sizeof(lane_in));
}

bool lane_usable(void)
{
	return lane_fd >= 0;
}

static void lane_fail(void)
{
	lane_broken = true;
	agent_begin();
}

static void lane_ask(void)
{
	struct {
		struct lane_head head;
		char node[sizeof(FRAME_LANE_NODE)];
	} __attribute__((packed)) ask = { { LANE_XS_READ, 1, 0, sizeof(FRAME_LANE_NODE) }, FRAME_LANE_NODE };

	lane_again = false;
	if (write(lane_fd, &ask, sizeof(ask)) != sizeof(ask))
		lane_fail();
	else
		lane_asked = true;
}

void lane_fetch(void)
{
	lane_again = true;
	if (lane_fd >= 0 && !lane_asked)
		lane_ask();
}

void lane_wait(struct agent_polls *p)
{
	lane_poll = lane_asked ? agent_poll_add(p, lane_fd, POLLIN) : -1;
}

void lane_run(const struct agent_polls *p)
{
	ssize_t n;

	if (lane_poll < 0 || !p->fds[lane_poll].revents)
		return;
	for (;;) {
		bool head = lane_have >= sizeof(struct lane_head);
		size_t whole = sizeof(struct lane_head) + (head ? lane_answer.head.len : 0);

		if (head && lane_have == whole)
			break;
		n = read(lane_fd, lane_answer.bytes + lane_have, whole - lane_have);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		lane_have += n > 0 ? (size_t)n : 0;
		if (n <= 0 || (lane_have >= sizeof(struct lane_head) && (lane_answer.head.type != LANE_XS_READ ||
									 lane_answer.head.len > LANE_MOST))) {
			lane_fail();
			return;
		}
	}
	lane_have = 0;
	lane_asked = false;
	if (!lane_answer.head.len) {
		if (lane_again)
			lane_ask();
		return;
	}
	/* The next question is under way while this answer is worked on. */
	lane_ask();
	if (lane_fd < 0)
		return;
	frame_eat(&lane_in, lane_answer.bytes + sizeof(struct lane_head), lane_answer.head.len, agent_frame, NULL);
	if (lane_in.lost)
		agent_begin();
}
