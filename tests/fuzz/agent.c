/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The line between the worker and the agent in the guest, each end against a
 * hostile other.  Whatever is said, nobody sends more than he was given credit
 * for, and what a client asks is answered once.
 *
 * Input: the first byte's lowest bit chooses whose end is tried.  Then records:
 * a byte & 7: 0 bytes as they are (n, bytes); 1 an index of the ring gone wild
 * (which, 4 bytes); 2 and 3 what the end's own side does (what, n); else a
 * frame (type, stream, session, n, bytes).
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz.h"
#include "../../helperd/agent/agent.h"
#include "../../helperd/worker/agent.h"
#include "../../kext/include/xen/io/console.h"
#include "device.h"
#include "log.h"
#include "xenstore.h"

/* ---- the worker's end ---------------------------------------------------------------- */

static const struct wk_xenbus_ops *ops;
static void *dev;
static struct xencons_interface *page;
static uint64_t given, told;
static unsigned int asked, answered, starts;
static int killed, wild;
static wk_xs_source_fn lane;
static void *lane_arg;

struct wk_xenbus *wk_xenbus_new(struct wk *w, const char *type, uint32_t id, const struct wk_xenbus_ops *o, void *d)
{
	(void)w;
	MUST(!strcmp(type, "console") && id == 1);
	ops = o;
	dev = d;
	return (struct wk_xenbus *)&ops;
}

void wk_xenbus_free(struct wk_xenbus *x)
{
	(void)x;
}

int wk_xenbus_front(struct wk_xenbus *x, const char *node, const char *format, ...)
{
	(void)x;
	(void)node;
	(void)format;
	return 0;
}

int wk_xenbus_page(const struct wk_xenbus *x, const char *node, void **at)
{
	(void)x;
	(void)node;
	*at = page;
	return 0;
}

int wk_xenbus_port(struct wk_xenbus *x, const char *node, wk_port_fn fn, void *arg, uint32_t *port)
{
	struct wk *w = *(struct wk **)dev;

	(void)x;
	(void)node;
	*port = 9;
	w->ports[9].fn = fn;
	w->ports[9].arg = arg;
	return 0;
}

int wk_xenbus_refuse(struct wk_xenbus *x, const char *format, ...)
{
	(void)x;
	(void)format;
	return -1;
}

void wk_xs_source(struct wk_xs *xs, const char *path, wk_xs_source_fn fn, void *arg)
{
	(void)xs;
	MUST(!strcmp(path, WK_HOME "/" FRAME_LANE_NODE));
	lane = fn;
	lane_arg = arg;
}

void wk_kill(struct wk *w, const char *why)
{
	(void)w;
	MUST(why && why[0]);
	killed = 1;
}

void wk_port_raise(struct wk *w, uint32_t port)
{
	(void)w;
	MUST(port == 9);
}

bool wk_crowded(const struct wk *w)
{
	(void)w;
	return false;
}

void wk_tell(struct wk *w, json_t *o)
{
	const char *event = json_string_value(json_object_get(o, "event"));

	(void)w;
	MUST(event);
	if (!strcmp(event, "exec.data"))
		told += json_string_length(json_object_get(o, "data")) / 4 * 3 - 2;
	else
		MUST(!strcmp(event, "exec.exit"));
	MUST(told <= starts * 2ull * FRAME_WINDOW + given);
	json_decref(o);
}

void wk_reply(struct wk *w, json_int_t id, json_t *result)
{
	(void)w;
	MUST(id == 7 && result && answered < asked);
	answered++;
	starts += json_object_get(result, "exec") != NULL;
	json_decref(result);
}

void wk_fail(struct wk *w, json_int_t id, const struct err *e)
{
	(void)w;
	MUST(id == 7 && e->code && e->text[0] && answered < asked);
	for (const char *p = e->text; *p; p++)
		MUST((unsigned char)*p >= 0x20 && *p != 0x7f);
	answered++;
}

static void client(struct wk *w, uint8_t what, uint8_t n)
{
	static const char *const methods[] = {
		"exec.start", "exec.write", "exec.credit", "exec.end", "exec.signal", "exec.resize",
	};
	const char *method = methods[what % 6];
	json_t *params = json_pack("{s:[s, s], s:b, s:i, s:s, s:b, s:i, s:b, s:i}", "argv", "sh", "-c", "stdin", 1,
				   "exec", n % 4, "data", n & 1 ? "aGVsbG8gd29ybGQh" : "", "eof", n & 8,
				   "bytes", n * 300, "stderr", n & 16, "signal", n);

	if (!strcmp(method, "exec.credit"))
		given += n * 300;
	else if (strcmp(method, "exec.end"))
		asked++;
	wk_agent_call(w, 7, method, params);
	json_decref(params);
}

static void probed(void *arg, bool ok, const char *why)
{
	MUST(arg == &page && (ok || strlen(why) < ERR_TEXT));
	answered++;
}

/* Whatever the guest writes: the worker takes it, and the guest reads some of what it is told. */
static void guest_says(struct wk *w, const uint8_t *data, size_t n)
{
	for (size_t i = 0; i < n && page->out_prod - page->out_cons < sizeof(page->out); i++)
		page->out[MASK_XENCONS_IDX(page->out_prod++, page->out)] = (char)data[i];
	w->ports[9].fn(w->ports[9].arg);
	for (int i = 0; i < 64 && page->in_cons != page->in_prod; i++)
		page->in_cons++;
	loop_once(w->loop, 0);
}

static void worker_end(const uint8_t *data, size_t size)
{
	struct wk w = { .loop = loop_new(), .name = "fuzz" };
	uint8_t frame[FRAME_HEAD + 256];
	size_t at = 0;

	page = calloc(1, 4096);
	given = told = asked = answered = starts = 0;
	killed = wild = 0;
	w.agent = wk_agent_new(&w);
	MUST(w.agent && !ops->connect(dev, NULL));
	while (at + 6 <= size && !killed) {
		const uint8_t *r = data + at;
		size_t n = r[1] < size - at - 2 ? r[1] : size - at - 2;

		switch (r[0] & 7) {
		case 0:
			guest_says(&w, r + 2, n);
			at += 2 + n;
			break;
		case 1:
			memcpy(r[1] & 1 ? &page->out_prod : &page->in_cons, r + 2, 4);
			wild = 1;
			guest_says(&w, r, 0);
			at += 6;
			break;
		case 2:
			client(&w, r[1], r[2]);
			at += 3;
			break;
		case 3:
			if (r[1] & 2) {
				char *room = malloc(r[2] + 1);
				int got = lane(lane_arg, room, r[2]);

				MUST(got >= 0 && got <= r[2]);
				free(room);
				at += 3;
				break;
			}
			asked++;
			wk_agent_probe(&w, 25, r[1] & 1 ? "220 " : NULL, r[2], probed, &page);
			at += 3;
			break;
		default:
			n = r[4] < size - at - 5 ? r[4] : size - at - 5;
			guest_says(&w, frame, frame_put(frame, r[1] % (FRAME_TYPES + 1), r[2] % 4, r[3] % 5, r + 5,
							(uint16_t)n));
			at += 5 + n;
		}
	}
	MUST(!killed || wild);
	if (size && data[0] & 16)
		ops->disconnect(dev);
	wk_agent_free(w.agent);
	MUST(answered <= asked);
	loop_free(w.loop);
	free(page);
}

/* ---- the agent's end ---------------------------------------------------------------------- */

static uint64_t may[2], sent[2];
static int command[3];			/* the command's ends of its pipes */

uint64_t agent_now(void)
{
	return 1000;
}

int agent_poll_add(struct agent_polls *p, int fd, short events)
{
	MUST(p->count < AGENT_POLLS && fd >= 0);
	p->fds[p->count] = (struct pollfd){ .fd = fd, .events = events };
	return (int)p->count++;
}

void agent_poll_by(struct agent_polls *p, uint64_t due)
{
	(void)p;
	(void)due;
}

void agent_send(uint8_t type, uint8_t stream, uint32_t id, const void *data, size_t len)
{
	(void)id;
	(void)data;
	MUST(type && type < FRAME_TYPES && len <= FRAME_DATA_MAX);
	if (type == FRAME_STARTED)
		may[0] += FRAME_WINDOW, may[1] += FRAME_WINDOW;
	if (type == FRAME_DATA) {
		MUST(stream == 1 || stream == 2);
		sent[stream - 1] += len;
		MUST(sent[stream - 1] <= may[stream - 1]);
	}
}

void agent_send_text(uint8_t type, uint32_t id, const char *text)
{
	agent_send(type, 0, id, text, strlen(text));
}

/* Its processes are numbers: the oldest dies when the input says so. */
static pid_t born, dead;

int kill(pid_t pid, int signo)
{
	(void)signo;
	MUST(pid < 0 && -pid > dead && -pid <= born);
	return 0;
}

pid_t waitpid(pid_t pid, int *status, int options)
{
	static pid_t told_dead;

	MUST(pid == -1 && options);
	if (told_dead >= dead)
		return told_dead = dead, 0;
	*status = told_dead & 1 ? 9 : 0x300;
	return ++told_dead;
}

/* A command that says a little on both streams, and reads what it likes. */
int spawn_command(struct spawn *s)
{
	int fds[6];

	for (int i = 0; i < 3; i++)
		MUST(!pipe2(fds + 2 * i, O_NONBLOCK | O_CLOEXEC));
	for (char **w = s->words; *w; w++)
		MUST(strlen(*w) <= FRAME_DATA_MAX);
	for (char **e = s->environment; *e; e++)
		MUST(strlen(*e) <= FRAME_DATA_MAX);
	MUST(write(fds[3], fds, sizeof(fds)) > 0 && write(fds[5], fds, 5) > 0);
	for (int i = 0; i < 3; i++)
		if (command[i])
			close(command[i]);
	command[0] = fds[0];
	command[1] = fds[3];
	command[2] = fds[5];
	s->in = s->input ? fds[1] : -1;
	if (!s->input)
		close(fds[1]);
	s->out = fds[2];
	s->err = fds[4];
	s->pid = ++born;
	return 0;
}

static void host_frame(void *arg, const struct frame *f)
{
	struct agent_polls p = { .timeout = -1 };

	(void)arg;
	if (f->type == FRAME_CREDIT && f->len == 4 && (f->stream == 1 || f->stream == 2))
		may[f->stream - 1] += frame_get32(f->data);
	session_frame(f);
	session_wait(&p);
	MUST(poll(p.fds, p.count, 0) >= 0);
	session_run(&p);
}

static void agent_end(const uint8_t *data, size_t size)
{
	static struct frame_in in;
	uint8_t frame[FRAME_HEAD + 256];
	char junk[512] = "";
	size_t at = 0;

	signal(SIGPIPE, SIG_IGN);
	memset(&in, 0, sizeof(in));
	memset(may, 0, sizeof(may));
	memset(sent, 0, sizeof(sent));
	while (at + 6 <= size) {
		const uint8_t *r = data + at;
		size_t n = r[1] < size - at - 2 ? r[1] : size - at - 2;

		if (!(r[0] & 7)) {
			frame_eat(&in, r + 2, n, host_frame, NULL);
			at += 2 + n;
		} else if ((r[0] & 7) < 4) {
			if (command[0] && r[1] & 1)
				(void)!read(command[0], junk, sizeof(junk));
			if (command[1 + (r[1] & 1)])
				(void)!write(command[1 + (r[1] & 1)], junk, r[2]);
			if (r[1] & 2 && dead < born) {
				dead++;
				session_reap();
			}
			at += 3;
		} else {
			n = r[4] < size - at - 5 ? r[4] : size - at - 5;
			frame_eat(&in, frame, frame_put(frame, r[1] % (FRAME_TYPES + 1), r[2] % 4, r[3] % 5, r + 5,
							(uint16_t)n), host_frame, NULL);
			at += 5 + n;
		}
	}
	/* All die, and nothing is left of them. */
	for (int i = 0; i < 3; i++)
		if (command[i])
			close(command[i]), command[i] = 0;
	session_end_all();
	dead = born;
	session_reap();
	for (int i = 0; i < 2; i++) {
		struct agent_polls p = { .timeout = -1 };

		session_wait(&p);
		MUST(!i || !p.count);
		session_run(&p);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = fuzz_copy(data, size);

	log_open("fuzz", LOG_ERROR);
	if (size && copy[0] & 8)
		agent_end(copy, size);
	else
		worker_end(copy, size);
	free(copy);
	return 0;
}
