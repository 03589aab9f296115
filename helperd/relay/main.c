/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * main.c: colinux-relay, inside the virtual host only.  Joins each given
 * virtio-serial port to a connection of its own to colinuxd, whenever somebody
 * opens the port's other end.  It understands nothing of what it carries.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "relay.h"

struct relay {
	struct loop *loop;
	struct relay_port *ports;
	struct pollfd *polls;
	int count;
};

static void relay_signal(void *arg)
{
	struct relay *r = arg;

	for (int i = 0; i < r->count; i++)
		r->polls[i] = (struct pollfd){ .fd = r->ports[i].port };
	if (poll(r->polls, (nfds_t)r->count, 0) < 0)
		return;
	for (int i = 0; i < r->count; i++)
		if (r->polls[i].fd == r->ports[i].port)
			relay_port_look(&r->ports[i], r->polls[i].revents);
}

static void relay_quit(void *arg)
{
	loop_quit(((struct relay *)arg)->loop);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "socket", 1, NULL, 's' }, { "help", 0, NULL, 'h' }, { NULL, 0, NULL, 0 },
	};
	const char *socket = "/run/colinux/socket";
	struct relay r = { 0 };
	int c;

	log_open("colinux-relay", LOG_NOTICE);
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 's') {
			socket = optarg;
			continue;
		}
		fprintf(c == 'h' ? stdout : stderr, "Usage: colinux-relay [--socket PATH] PORT...\n");
		return c == 'h' ? 0 : 64;
	}
	if (optind == argc) {
		log_line(LOG_ERROR, "no port is given");
		return 64;
	}
	signal(SIGPIPE, SIG_IGN);
	r.loop = loop_new();
	r.ports = calloc((size_t)(argc - optind), sizeof(*r.ports));
	r.polls = calloc((size_t)(argc - optind), sizeof(*r.polls));
	/* Before the ports: SIGIO's default would end us. */
	if (!r.loop || !r.ports || !r.polls || loop_signal(r.loop, SIGIO, relay_signal, &r) ||
	    loop_signal(r.loop, SIGTERM, relay_quit, &r) || loop_signal(r.loop, SIGINT, relay_quit, &r)) {
		log_line(LOG_ERROR, "cannot start: %s", strerror(errno));
		return 71;
	}
	for (; optind < argc; optind++) {
		if (relay_port_open(&r.ports[r.count], r.loop, argv[optind], socket)) {
			log_line(LOG_ERROR, "%s: %s", argv[optind], strerror(errno));
			return 66;
		}
		r.count++;
	}
	relay_signal(&r);
	loop_run(r.loop);
	loop_free(r.loop);
	free(r.polls);
	free(r.ports);
	return 0;
}
