/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fake_guest.c: a guest in a few lines.  The first word of its command line
 * says what it does; it finds its rings as Linux does, in start_info, and
 * speaks on them as Linux does (pieces, and notices only when needed).
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../../../kext/include/xen/io/console.h"
#include "../../../kext/include/xen/io/xs_wire.h"
#include "../../../kext/include/xen/xen.h"
#include "fake.h"

#define VIRT_BASE	0xffffffff80000000ull

static struct xencons_interface *con;
static struct xenstore_domain_interface *xs;
static char event[4096];		/* the newest watch event: path\0token\0 */

#define LOAD(x)		__atomic_load_n(&(x), __ATOMIC_ACQUIRE)
#define STORE(x, v)	__atomic_store_n(&(x), (v), __ATOMIC_SEQ_CST)

static void say(const char *text)
{
	size_t len = strlen(text);

	while (len) {
		co_u32 prod = con->out_prod, room = (co_u32)sizeof(con->out) - (prod - LOAD(con->out_cons));

		if (!room) {
			fake_wait();
			continue;
		}
		while (room && len) {
			con->out[MASK_XENCONS_IDX(prod, con->out)] = *text++;
			prod++;
			room--;
			len--;
		}
		STORE(con->out_prod, prod);
		fake_notify(CO_PORT_CONSOLE);
	}
}

static void xs_put(const void *data, size_t len)
{
	const char *from = data;

	while (len) {
		co_u32 prod = xs->req_prod, room = XENSTORE_RING_SIZE - (prod - LOAD(xs->req_cons)), old = prod;

		if (!room) {
			fake_wait();
			continue;
		}
		for (; room && len; room--, len--)
			xs->req[MASK_XENSTORE_IDX(prod++)] = *from++;
		STORE(xs->req_prod, prod);
		if (old <= LOAD(xs->req_cons))
			fake_notify(CO_PORT_XENSTORE);
	}
}

static void xs_get(void *data, size_t len)
{
	char *to = data;

	while (len) {
		co_u32 cons = xs->rsp_cons, have = LOAD(xs->rsp_prod) - cons;

		if (!have) {
			fake_wait();
			continue;
		}
		for (; have && len; have--, len--)
			*to++ = xs->rsp[MASK_XENSTORE_IDX(cons++)];
		STORE(xs->rsp_cons, cons);
		fake_notify(CO_PORT_XENSTORE);
	}
}

/* One message to us; watch events are kept aside.  Returns its type. */
static co_u32 xs_message(char *payload)
{
	struct xsd_sockmsg head;

	for (;;) {
		xs_get(&head, sizeof(head));
		xs_get(payload, head.len);
		payload[head.len] = 0;
		if (head.type != XS_WATCH_EVENT)
			return head.type;
		memcpy(event, payload, head.len + 1);
	}
}

co_u32 fake_xs_call(co_u32 type, const char *data, size_t len, char *payload)
{
	struct xsd_sockmsg head = { .type = type, .req_id = 7, .len = (co_u32)len };

	xs_put(&head, sizeof(head));
	xs_put(data, len);
	return xs_message(payload);
}

static void shut_down(co_u32 why)
{
	struct co_vcpu_run run = { .exit = CO_EXIT_SHUTDOWN, .detail = why };

	fake_exit(&run);
}

/* The worker's thread has it, while its main one is held up in dev_events. */
static void say_last(const char *text)
{
	struct co_vcpu_run run = { .exit = CO_EXIT_CONSOLE, .nports = (co_u32)strlen(text) }, none = { 0 };

	memcpy(run.text, text, run.nports);
	fake_exit(&run);
	/* When the second of these is taken over, the first has been asked for: so the text is handed on. */
	fake_exit(&none);
	fake_exit(&none);
}

/* Echoes what is typed; 1: a 'r' came. */
static int echo(void)
{
	char text[2] = "";
	int found = 0;

	while (con->in_cons != LOAD(con->in_prod)) {
		text[0] = con->in[MASK_XENCONS_IDX(con->in_cons, con->in)];
		STORE(con->in_cons, con->in_cons + 1);
		say(text);
		found |= text[0] == 'r';
	}
	fake_notify(CO_PORT_CONSOLE);
	return found;
}

static void serve(int reboots)
{
	static const char watch[] = "control/shutdown\0shut";
	char payload[4097];

	if (fake_xs_call(XS_READ, "name", 5, payload) == XS_READ) {
		say("name ");
		say(payload);
		say("\r\n");
	}
	fake_xs_call(XS_WATCH, watch, sizeof(watch), payload);
	say("login: ");
	for (;;) {
		if (LOAD(xs->rsp_prod) != xs->rsp_cons) {
			struct xsd_sockmsg head;

			xs_get(&head, sizeof(head));
			xs_get(payload, head.len);
			if (fake_xs_call(XS_READ, "control/shutdown", 17, payload) == XS_READ &&
			    !strcmp(payload, "poweroff")) {
				say("\r\nPower down\r\n");
				shut_down(0);
				return;
			}
		}
		if (echo() && reboots) {
			shut_down(1);
			return;
		}
		fake_wait();
	}
}

static void flood(void)
{
	char line[64];

	for (int i = 0; i < 20000; i++) {
		snprintf(line, sizeof(line), "flood %05d of a line that is fifty bytes long...\r\n", i);
		say(line);
	}
	say("flood done\r\n");
}

/* A guest lets a thread of its worker's take much memory, in small pieces, and give it back. */
static void memory_of_a_thread(void)
{
	static void *pieces[256];

	for (int i = 0; i < 256; i++) {
		pieces[i] = malloc(65536);
		memset(pieces[i], i, 65536);
	}
	for (int i = 256; i--;)
		free(pieces[i]);
}

void fake_guest(co_u8 *memory, co_u64 start_info)
{
	struct start_info *si = (void *)(memory + (start_info - VIRT_BASE));
	char what[sizeof(si->cmd_line) + 1];

	memcpy(what, si->cmd_line, sizeof(si->cmd_line));
	what[sizeof(si->cmd_line)] = 0;
	con = (void *)(memory + (si->console.domU.mfn << CO_PAGE_SHIFT));
	xs = (void *)(memory + (si->store_mfn << CO_PAGE_SHIFT));
	say("Booting paravirtualized kernel on Xen\r\n");
	if (!strcmp(what, "crash")) {
		say("\033[31m[ 1.0] Kernel panic - not syncing: it is a test\033[0m\r\n");
		shut_down(3);
	} else if (!strcmp(what, "off")) {
		shut_down(0);
	} else if (!strcmp(what, "reboot")) {
		shut_down(1);
	} else if (!strcmp(what, "killed")) {
		fake_killed("the guest did what no guest may do");
	} else if (!strcmp(what, "die")) {
		raise(SIGKILL);
	} else if (!strcmp(what, "sigsys")) {
		syscall(SYS_socket, 1, 1, 0);
	} else if (!strcmp(what, "open")) {
		syscall(SYS_openat, -100, "/etc/passwd", 0);
	} else if (!strcmp(what, "memory")) {
		memory_of_a_thread();
		say("memory good\r\n");
		shut_down(0);
	} else if (!strcmp(what, "bad-console")) {
		STORE(con->out_prod, con->out_cons + 100000);
		fake_notify(CO_PORT_CONSOLE);
	} else if (!strcmp(what, "bad-xenstore")) {
		fake_hold(CO_PORT_CONSOLE);
		say_last("last words\r\n");
		STORE(xs->req_prod, 0x80000000u);
		fake_notify(CO_PORT_XENSTORE);
		fake_let_go();
	} else if (!strcmp(what, "net") || !strcmp(what, "net-late")) {
		/* Where notices are late it waits for each. */
		const char *why = fake_net(memory, what[3] ? 500 : 20000);

		say(why[0] ? "net bad: " : "net good");
		say(why);
		say("\r\n");
		serve(0);
	} else if (!strcmp(what, "bad-net")) {
		say(fake_net(memory, 20000));
		fake_net_break();
	} else if (!strcmp(what, "disk")) {
		const char *why = fake_disk(memory);

		say(why[0] ? "disk bad: " : "disk good");
		say(why);
		say("\r\n");
		serve(0);
	} else if (!strcmp(what, "flood")) {
		flood();
		serve(0);
	} else if (!strcmp(what, "again")) {
		serve(1);
	} else if (!strcmp(what, "boot")) {
		serve(0);
	}
	/* "stubborn" and whoever is done: idle for good. */
	for (;;)
		fake_wait();
}
