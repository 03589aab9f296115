/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * main.c: colinuxd, the small root process between users and /dev/colinux.
 * Started by init, by the virtual host's init, or by hand.
 */
#ifdef __linux__
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dev.h"
#include "hd.h"
#include "log.h"

#ifdef __APPLE__
#define HD_SOCKET	"/var/run/colinux.socket"	/* no folder to be made anew after each boot */
#else
#define HD_SOCKET	"/run/colinux/socket"
#endif
#define HD_STATE	"/var/lib/colinux"
#define HD_PORTS	"/etc/colinux/ports.conf"

static const char hd_usage[] =
	"Usage: colinuxd [OPTION]...\n"
	"Runs VMs on /dev/colinux for the users who ask on a Unix socket.\n\n"
	"  --socket PATH       where to listen (" HD_SOCKET ")\n"
	"  --socket-mode MODE  of that socket, octal (0666: anybody may ask, each for his own VMs)\n"
	"  --device PATH       the module's device (" DEV_PATH ")\n"
	"  --worker PATH       the worker program (colinux-worker beside colinuxd)\n"
	"  --state FOLDER      where VMs that start with colinuxd are kept (" HD_STATE ")\n"
	"  --ports FILE        which ports below 1024 users may forward (" HD_PORTS ")\n"
	"  --stop-timeout MS   how long guests may take to power off when colinuxd ends (20000)\n"
	"  --debug             log more\n"
	"  --version           print the version and exit\n"
	"  --help              print this and exit\n";

#ifdef __linux__
int hd_self(char *path, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", path, size - 1);

	path[n > 0 ? n : 0] = 0;
	return n > 0 ? 0 : -1;
}
#endif

/* The worker lies beside us: same build, same place. */
static const char *hd_find_worker(void)
{
	static char path[4096];
	char *slash;

	if (hd_self(path, sizeof(path) - sizeof("colinux-worker")))
		return "colinux-worker";
	slash = strrchr(path, '/');
	strcpy(slash ? slash + 1 : path, "colinux-worker");
	return path;
}

void hd_maybe_left(struct hd *hd)
{
	if (!hd->leaving)
		return;
	for (struct hd_vm *vm = hd->vms; vm; vm = vm->next)
		if (vm->live)
			return;
	loop_quit(hd->loop);
}

/* The first signal asks the guests to power off, the second ends them. */
void hd_leave(void *arg)
{
	struct hd *hd = arg;
	uint64_t ms = hd->leaving ? 0 : hd->stop_ms;

	hd->leaving = true;
	for (struct hd_vm *vm = hd->vms, *next; vm; vm = next) {
		next = vm->next;
		vm->wanted = false;
		if (vm->state == HD_RESTARTING && !vm->live)
			hd_restart_cancel(vm);
		else
			hd_vm_ask_stop(vm, ms);
	}
	hd_maybe_left(hd);
}

static int hd_number(const char *text, int base, unsigned long most, unsigned int *out)
{
	char *end;
	unsigned long n = strtoul(text, &end, base);

	if (!*text || *end || n > most) {
		fprintf(stderr, "colinuxd: %s is not a number of 0 to %lu\n", text, most);
		return -1;
	}
	*out = (unsigned int)n;
	return 0;
}

static int hd_options(struct hd *hd, int argc, char **argv)
{
	static const struct option options[] = {
		{ "socket", 1, NULL, 's' }, { "socket-mode", 1, NULL, 'm' }, { "device", 1, NULL, 'd' },
		{ "worker", 1, NULL, 'w' }, { "state", 1, NULL, 'S' }, { "ports", 1, NULL, 'P' },
		{ "stop-timeout", 1, NULL, 't' }, { "debug", 0, NULL, 'D' },
		{ "version", 0, NULL, 'v' }, { "help", 0, NULL, 'h' }, { NULL, 0, NULL, 0 },
	};
	int c, err = 0;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 's': hd->socket = optarg; break;
		case 'm': err = hd_number(optarg, 8, 0777, &hd->socket_mode); break;
		case 'd': hd->device = optarg; break;
		case 'w': hd->worker = optarg; break;
		case 'S': hd->state = optarg; break;
		case 'P': hd->ports = optarg; break;
		case 't': err = hd_number(optarg, 10, 3600000, &hd->stop_ms); break;
		case 'D': log_open("colinuxd", LOG_DEBUG); break;
		case 'v': printf("colinuxd %s, protocol %u, ABI %u\n", HD_BUILD, proto_version(), CO_ABI_VERSION); exit(0);
		case 'h': fputs(hd_usage, stdout); exit(0);
		default: err = -1;
		}
		if (err)
			break;
	}
	if (!err && optind == argc)
		return 0;
	fputs(hd_usage, stderr);
	return -1;
}

int main(int argc, char **argv)
{
	struct hd hd = {
		.socket = HD_SOCKET, .device = DEV_PATH, .state = HD_STATE, .ports = HD_PORTS, .socket_mode = 0666, .stop_ms = 20000,
		.listen_fd = -1, .control = -1,
	};
	struct err e = { 0 };

	log_open("colinuxd", LOG_NOTICE);
	hd.worker = hd_find_worker();
	if (hd_options(&hd, argc, argv))
		return 64;
	signal(SIGPIPE, SIG_IGN);
	hd.loop = loop_new();
	if (!hd.loop || loop_signal(hd.loop, SIGCHLD, hd_spawn_reap, &hd) ||
	    loop_signal(hd.loop, SIGTERM, hd_leave, &hd) || loop_signal(hd.loop, SIGINT, hd_leave, &hd)) {
		log_line(LOG_ERROR, "cannot start: %s", strerror(errno));
		return 71;
	}
	if (hd_peer_listen(&hd, &e)) {
		log_line(LOG_ERROR, "%s", e.text);
		return 73;
	}
	log_line(LOG_NOTICE, "build %s listens on %s", HD_BUILD, hd.socket);
	hd_auto_start(&hd);
	loop_run(hd.loop);
	hd_life_free_all(&hd);
	hd_peer_close(&hd);
	loop_free(hd.loop);
	return 0;
}
