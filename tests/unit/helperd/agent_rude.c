/* SPDX-License-Identifier: GPL-2.0-or-later */
/* agent_rude.c: the second console of a guest that knows no manners. */
#include <string.h>
#include <unistd.h>

#include "../../../kext/include/xen/io/xs_wire.h"
#include "line.h"
#include "../unit.h"

static uint8_t said[65536];		/* what a guest without an agent heard */
static size_t heard;

static void guest_says(const void *data, size_t len)
{
	const char *from = data;

	for (size_t i = 0; i < len; i++) {
		while (page->out_prod - page->out_cons == sizeof(page->out))
			half_notify(PORT);
		page->out[MASK_XENCONS_IDX(page->out_prod++, page->out)] = from[i];
	}
	half_notify(PORT);
	loop_once(half.loop, 0);
	while (page->in_prod != page->in_cons) {
		if (heard < sizeof(said))
			said[heard++] = (uint8_t)page->in[MASK_XENCONS_IDX(page->in_cons, page->in)];
		page->in_cons++;
		if (!((page->in_prod - page->in_cons) % 16))
			half_notify(PORT);
	}
}

static void guest_frame(uint8_t type, uint8_t stream, uint32_t id, const void *data, uint16_t len)
{
	static uint8_t frame[FRAME_HEAD + FRAME_DATA_MAX];

	guest_says(frame, frame_put(frame, type, stream, id, data, len));
}

static unsigned int heard_types[FRAME_TYPES];

static void count(void *arg, const struct frame *f)
{
	(void)arg;
	heard_types[f->type]++;
}

static void guest_hears(void)
{
	static struct frame_in in;

	memset(&in, 0, sizeof(in));
	memset(heard_types, 0, sizeof(heard_types));
	frame_eat(&in, said, heard, count, NULL);
	heard = 0;
}

static void hello(void)
{
	guest_frame(FRAME_HELLO, 0, 0, "\1\0\0\0abcdefgh", 12);
	CHECK(wk_agent_connected(&half));
}

static void hello_of_another(void)
{
	guest_frame(FRAME_HELLO, 0, 0, "\1\0\0\0abcdefgi", 12);
	CHECK(wk_agent_connected(&half));
}

static void run_one(void)
{
	exit_code = exit_signal = -1;
	failure[0] = 0;
	line_ask(5, "exec.start", line_shell("x"));
	guest_frame(FRAME_STARTED, 0, (uint32_t)0, NULL, 0);	/* of nobody's */
}

static void lies_end_the_liar_s_commands_only(void)
{
	static uint8_t big[FRAME_DATA_MAX];
	static const struct { uint8_t type, stream; uint16_t len; const char *data; int times; } lies[] = {
		{ FRAME_DATA, 1, FRAME_DATA_MAX, (char *)big, 5 },	/* beyond its credit */
		{ FRAME_DATA, 3, 4, "abcd", 1 },
		{ FRAME_DATA, 0, 4, "abcd", 1 },
		{ FRAME_CREDIT, 0, 4, "\1\0\0\0", 1 },
		{ FRAME_CREDIT, 0, 4, "\377\377\377\377", 1 },
		{ FRAME_CREDIT, 1, 4, "\1\0\0\0", 1 },
		{ FRAME_CREDIT, 0, 3, "abc", 1 },
		{ FRAME_EXIT, 0, 0, "", 1 },
		{ FRAME_EXIT, 0, 200, (char *)big, 1 },
	};
	uint32_t id = 0;

	line_plug();
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		hello();
		run_one();
		id++;
		guest_frame(FRAME_STARTED, 0, id, NULL, 0);
		CHECK(answered == 5 && !failure[0] && exec_id == id);
		heard = 0;
		taken = false;
		for (int k = 0; k < lies[i].times; k++)
			guest_frame(lies[i].type, lies[i].stream, id, lies[i].data, lies[i].len);
		CHECK(failure[0] && !wk_agent_connected(&half), "%zu", i);
		guest_hears();
		CHECK(heard_types[FRAME_RESET] == 1, "%zu", i);
		taken = true;
		/* Not connected, it has no word. */
		guest_frame(FRAME_EXIT, 0, id, "\0\0", 2);
		CHECK(exit_code < 0);
	}
	CHECK(!half_killed[0]);
	line_down();
}

static void noise_is_skipped(void)
{
	static char noise[100000];
	unsigned int seed = 3;

	line_plug();
	hello();
	for (int round = 0; round < 40; round++) {
		for (size_t i = 0; i < sizeof(noise); i++)
			noise[i] = (char)((seed = seed * 1103515245 + 12345) >> 16);
		for (size_t i = 0; i < sizeof(noise) - 32; i += 40 + seed % 9000)
			frame_put((uint8_t *)noise + i, (uint8_t)(1 + seed % 17), (uint8_t)seed, seed % 5, noise, 16);
		guest_says(noise, (size_t)(seed % sizeof(noise)));
	}
	/* However that ended: zeros enough for any frame, and it begins anew. */
	memset(noise, 0, sizeof(noise));
	guest_says(noise, FRAME_HEAD + FRAME_DATA_MAX);
	heard = 0;
	hello();
	guest_hears();
	CHECK(heard_types[FRAME_WELCOME] == 1);
	/* Hellos without end are heard, and cost no memory. */
	for (int i = 0; i < 20000; i++)
		guest_frame(FRAME_HELLO, 0, 0, "\1\0\0\0abcdefgh", 12);
	CHECK(wk_agent_connected(&half));
	guest_frame(FRAME_HELLO, 0, 0, "\2\0\0\0abcdefgh", 12);
	CHECK(!wk_agent_connected(&half));
	line_start(line_shell("true"));
	CHECK(strstr(failure, "speaks version 2, this worker 1"), "%s", failure);
	CHECK(!half_killed[0]);
	page->out_prod = page->out_cons + 5000;
	half_notify(PORT);
	CHECK(strstr(half_killed, "broke the second console's ring"));
	line_down();
	/* The other index, and no notice: it is seen by what is said to the guest. */
	line_plug();
	hello();
	guest_hears();
	CHECK(!half_killed[0]);
	page->in_cons = page->in_prod + 1;
	line_start(line_shell("true"));
	CHECK(strstr(half_killed, "broke the second console's ring"));
	line_down();
}

/* An agent that fetches from xenstore gets all of it, in order, and no more. */
static uint8_t fetched[200000];
static size_t nfetched;
static unsigned int ends;

static void collect(void *arg, const struct frame *f)
{
	(void)arg;
	if (f->type == FRAME_DATA) {
		memcpy(fetched + nfetched, f->data, f->len);
		nfetched += f->len;
	}
	ends += f->type == FRAME_EOF;
}

static int fetch(struct frame_in *in)
{
	static char path[] = FRAME_LANE_NODE;
	static char out[4096];
	struct xs_request r = { .type = XS_READ, .payload = path, .len = sizeof(path) };
	int n = wk_xs_request(half.xs, &r, out);

	frame_eat(in, out, n > 0 ? (size_t)n : 0, collect, NULL);
	line_run(2);
	return n;
}

static void input_is_fetched(void)
{
	static char data[45000];
	static struct frame_in in;
	unsigned int asked = 0;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * 7 + (i >> 8));
	line_plug();
	/* Nobody has asked for it: by the ring. */
	hello();
	CHECK(fetch(&in) == 0);
	guest_frame(FRAME_LANE, 0, 0, NULL, 0);
	run_one();
	guest_frame(FRAME_STARTED, 0, 1, NULL, 0);
	heard = 0;
	for (size_t i = 0; i < 3; i++) {
		line_write(data, sizeof(data), i == 2);
		guest_says("", 0);
		/* The second write does not fit into the window: its rest waits for credit. */
		CHECK((answered == 6) == (i == 0));
		while (fetch(&in) > 0)
			;
		CHECK(nfetched == (i ? sizeof(data) * (i - 1) + FRAME_WINDOW : sizeof(data)), "%zu", nfetched);
		if (i)
			guest_frame(FRAME_CREDIT, 0, 1, "\310\257\0\0", 4);	/* 45000 */
		while (fetch(&in) > 0)
			;
		CHECK(nfetched == sizeof(data) * (i + 1) && answered == 6 && ends == (i == 2));
	}
	guest_hears();
	CHECK(!heard_types[FRAME_DATA] && !heard_types[FRAME_EOF]);
	asked = heard_types[FRAME_FETCH];
	CHECK(asked == 5 && !in.lost, "%u", asked);
	for (size_t i = 0; i < nfetched; i++)
		if ((char)fetched[i] != data[i % sizeof(data)]) {
			CHECK(0, "%zu", i);
			break;
		}
	/* What waits for one agent is not for the next. */
	line_write(data, 100, 0);
	hello_of_another();
	CHECK(fetch(&in) == 0 && !half_killed[0]);
	line_down();
}

/* A guest that was too slow to read WELCOME asks again; one that has begun anew has another number. */
static void a_hello_said_again_ends_nothing(void)
{
	static struct frame_in in;

	line_plug();
	hello();
	guest_frame(FRAME_LANE, 0, 0, NULL, 0);
	run_one();
	guest_frame(FRAME_STARTED, 0, 1, NULL, 0);
	CHECK(answered == 5 && exec_id == 1);
	line_write("input", 5, 0);
	heard = nfetched = 0;
	hello();
	guest_frame(FRAME_LANE, 0, 0, NULL, 0);
	guest_hears();
	CHECK(heard_types[FRAME_WELCOME] == 1, "%u", heard_types[FRAME_WELCOME]);
	CHECK(exit_code == -1 && !failure[0], "%s", failure);
	while (fetch(&in) > 0)
		;
	CHECK(nfetched == 5 && !memcmp(fetched, "input", 5), "%zu", nfetched);
	guest_frame(FRAME_EXIT, 0, 1, "\0\7", 2);
	CHECK(exit_code == 7);
	run_one();
	guest_frame(FRAME_STARTED, 0, 2, NULL, 0);
	hello_of_another();
	CHECK(strstr(failure, "begun anew"), "%s", failure);
	guest_hears();
	CHECK(heard_types[FRAME_WELCOME] == 1);
	line_down();
}

/* Single bytes that are there together are one event; the streams keep their order, ends are last. */
static void small_pieces_go_on_together(void)
{
	uint8_t frames[64 * (FRAME_HEAD + 2)];
	size_t len = 0;

	line_plug();
	hello();
	run_one();
	guest_frame(FRAME_STARTED, 0, 1, NULL, 0);
	got[0] = got[1] = told = 0;
	for (unsigned int i = 0; i < 60; i++)
		len += frame_put(frames + len, FRAME_DATA, i >= 20 && i < 40 ? 2 : 1, 1, (const char *)"abcdefghij" + i % 10, 1);
	len += frame_put(frames + len, FRAME_EXIT, 0, 1, "\0\3", 2);
	guest_says(frames, len);
	CHECK(told == 3 && exit_code == 3, "%u", told);
	CHECK(!strcmp(output[0], "abcdefghijabcdefghijabcdefghijabcdefghij") && !strcmp(output[1], "abcdefghijabcdefghij"));
	/* What colinuxd does not take ends commands, not the VM. */
	run_one();
	guest_frame(FRAME_STARTED, 0, 2, NULL, 0);
	crowded = true;
	guest_frame(FRAME_DATA, 1, 2, "x", 1);
	crowded = false;
	CHECK(strstr(failure, "does not keep up") && !wk_agent_connected(&half) && !half_killed[0], "%s", failure);
	line_down();
}

int main(void)
{
	alarm(300);
	RUN(lies_end_the_liar_s_commands_only);
	RUN(noise_is_skipped);
	RUN(input_is_fetched);
	RUN(a_hello_said_again_ends_nothing);
	RUN(small_pieces_go_on_together);
	UNIT_END();
}
