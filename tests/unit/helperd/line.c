/* SPDX-License-Identifier: GPL-2.0-or-later */
/* line.c: see line.h. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "line.h"
#include "proto.h"

/* Here what is not so ends the test: its harness does not work. */
#define CHECK(cond)								\
	do {									\
		if (!(cond)) {							\
			printf("not ok %s:%d: %s\n", __FILE__, __LINE__, #cond); \
			exit(1);						\
		}								\
	} while (0)

struct xencons_interface *page;
int line = -1;			/* the terminal's other end */
pid_t agent;
char output[2][ROOM];
size_t got[2];
json_int_t answered, exec_id, exit_code, exit_signal;
char failure[ERR_TEXT];
bool taken = true;		/* whoever gets output gives credit for it */
bool crowded;			/* colinuxd does not read */
unsigned int told;		/* events with output */

bool wk_crowded(const struct wk *w)
{
	(void)w;
	return crowded;
}

void wk_reply(struct wk *w, json_int_t id, json_t *result)
{
	(void)w;
	answered = id;
	failure[0] = 0;
	if (json_object_get(result, "exec"))
		exec_id = json_integer_value(json_object_get(result, "exec"));
	json_decref(result);
}

void wk_fail(struct wk *w, json_int_t id, const struct err *e)
{
	(void)w;
	answered = id;
	snprintf(failure, sizeof(failure), "%s", e->text);
}

void line_ask(json_int_t id, const char *method, json_t *params)
{
	CHECK(params);
	wk_agent_call(&half, id, method, params);
	json_decref(params);
}

void wk_tell(struct wk *w, json_t *o)
{
	const char *event = json_string_value(json_object_get(o, "event"));
	const json_t *data = json_object_get(o, "data");
	int err = !strcmp("stderr", data ? json_string_value(json_object_get(o, "stream")) : "");
	static unsigned char raw[FRAME_DATA_MAX + 8];
	long n;

	(void)w;
	if (!strcmp(event, "exec.data")) {
		told++;
		n = proto_base64_decode(json_string_value(data), json_string_length(data), raw);
		CHECK(n > 0 && got[err] + (size_t)n < ROOM);
		memcpy(output[err] + got[err], raw, (size_t)n);
		got[err] += (size_t)n;
		output[err][got[err]] = 0;
		if (taken)
			line_ask(0, "exec.credit", json_pack("{s:O, s:b, s:I}", "exec", json_object_get(o, "exec"),
							"stderr", err, "bytes", (json_int_t)n));
	} else {
		CHECK(!strcmp(event, "exec.exit"));
		snprintf(failure, sizeof(failure), "%s", json_object_get(o, "error") ?
			 json_string_value(json_object_get(o, "error")) : "");
		exit_signal = json_integer_value(json_object_get(o, "signal"));
		exit_code = json_object_get(o, "code") ? json_integer_value(json_object_get(o, "code")) : -2;
	}
	json_decref(o);
}

/* ---- the guest's kernel ------------------------------------------------------------- */

void line_move(void)
{
	char data[512];
	uint32_t have = page->in_prod - page->in_cons, room = sizeof(page->out) - (page->out_prod - page->out_cons);
	ssize_t n;
	bool notice = false;

	if (have && line >= 0) {
		/* Sixteen bytes a notice, as Linux does it. */
		for (n = 0; n < 16 && (uint32_t)n < have; n++)
			data[n] = page->in[MASK_XENCONS_IDX(page->in_cons + (uint32_t)n, page->in)];
		n = write(line, data, (size_t)n);
		if (n > 0) {
			page->in_cons += (uint32_t)n;
			notice = true;
		}
	}
	if (room && line >= 0) {
		n = read(line, data, room < sizeof(data) ? room : sizeof(data));
		for (ssize_t i = 0; i < n; i++)
			page->out[MASK_XENCONS_IDX(page->out_prod++, page->out)] = data[i];
		notice |= n > 0;
	}
	if (notice)
		half_notify(PORT);
	loop_once(half.loop, notice ? 0 : 1);
}

void line_run(unsigned int ms)
{
	uint64_t end = loop_now() + ms;

	while (loop_now() < end)
		line_move();
}

void line_plug(void)
{
	half_up();
	half.agent = wk_agent_new(&half);
	half_grant(100, 7, 0);
	page = half_page(7);
	half_write("console/1/ring-ref", "100");
	half_write("console/1/port", "%u", PORT);
	half_write("console/1/state", "3");
	CHECK(!strcmp(half_read("/local/domain/0/backend/console/1/1/state"), "4"));
}

void line_agent(void)
{
	char name[64];
	struct termios t;

	line = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
	CHECK(line >= 0 && !grantpt(line) && !unlockpt(line) && !ptsname_r(line, name, sizeof(name)));
	tcgetattr(line, &t);
	cfmakeraw(&t);
	tcsetattr(line, TCSANOW, &t);
	agent = fork();
	if (!agent) {
		close(line);
		execl(AGENT, AGENT, name, NULL);
		_exit(1);
	}
}

void line_kill(void)
{
	kill(agent, SIGKILL);
	waitpid(agent, NULL, 0);
	close(line);
	line = -1;
}

void line_up(void)
{
	line_plug();
	line_agent();
	UNTIL(wk_agent_connected(&half));
}

void line_down(void)
{
	if (line >= 0)
		line_kill();
	wk_agent_free(half.agent);
	half_down();
}

void line_start(json_t *params)
{
	got[0] = got[1] = 0;
	output[0][0] = output[1][0] = 0;
	exit_code = exit_signal = -1;
	answered = -1;
	line_ask(5, "exec.start", params);
	UNTIL(answered == 5);
}

json_t *line_shell(const char *script)
{
	return json_pack("{s:[s, s, s], s:b}", "argv", "sh", "-c", script, "stdin", 1);
}

void line_write(const char *data, size_t len, int eof)
{
	char *text = malloc(len / 3 * 4 + 8);

	proto_base64_encode((const unsigned char *)data, len, text);
	answered = -1;
	line_ask(6, "exec.write", json_pack("{s:I, s:s, s:b}", "exec", exec_id, "data", text, "eof", eof));
	free(text);
}

