/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * agent.h: the agent inside the guest: objects and prototypes, by file.
 *
 * It runs as root in the guest and does what the VM's owner asks through the
 * host: whoever reaches its console could type into the guest's root shell as
 * well.  It believes its peer, within the frames' own bounds; the peer
 * believes nothing (helperd/worker/agent.c).
 */
#ifndef AGENT_H
#define AGENT_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "frame.h"

#define AGENT_POLLS	(3u + 3u * FRAME_SESSIONS + FRAME_PROBES)
#define AGENT_GRACE_MS	5000u		/* between SIGHUP and SIGKILL */

/* main.c */
void agent_send(uint8_t type, uint8_t stream, uint32_t id, const void *data, size_t len);
void agent_send_text(uint8_t type, uint32_t id, const char *text);
uint64_t agent_now(void);		/* ms of the monotonic clock */
void agent_begin(void);			/* all that was is over; says HELLO again */
void agent_frame(void *arg, const struct frame *f);	/* one that the host has said */

/* What the loop waits for: who adds an entry looks at revents in its *_run. */
struct agent_polls {
	struct pollfd fds[AGENT_POLLS];
	unsigned int count;
	int timeout;			/* ms; -1: none */
};
int agent_poll_add(struct agent_polls *p, int fd, short events);	/* its index */
void agent_poll_by(struct agent_polls *p, uint64_t due);

/* session.c: commands that run */
void session_frame(const struct frame *f);
void session_wait(struct agent_polls *p);
void session_run(const struct agent_polls *p);
void session_reap(void);
void session_end_all(void);

/* spawn.c: a command's process */
struct spawn {
	bool tty, input;
	uint16_t columns, rows;
	const char *user, *folder;
	char **words, **environment;	/* each ends with NULL; no words: the login shell */
	pid_t pid;
	int in, out, err;		/* ours; -1: none; a tty has in and out only */
};
int spawn_command(struct spawn *s);	/* 0 or an errno */

/* probe.c: does a service answer? */
void probe_frame(const struct frame *f);
void probe_wait(struct agent_polls *p);
void probe_run(const struct agent_polls *p);
void probe_end_all(void);

/* lane.c: the host's DATA by way of xenstore, where there is one */
void lane_begin(void);
bool lane_usable(void);
void lane_fetch(void);
void lane_wait(struct agent_polls *p);
void lane_run(const struct agent_polls *p);

/* copy.c: `agent get PATH`, `agent put PATH`, run as commands like others */
int copy_main(int argc, char **argv);

#endif
