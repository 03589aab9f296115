/* SPDX-License-Identifier: GPL-2.0-or-later */
/* xenbus.c: grants and the handshake in xenstore, with polite and rude frontends. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "../unit.h"
#include "../../../kext/include/xen/grant_table.h"
#include "half.h"

#define FRONT	"device/toy/3"
#define BACK	"/local/domain/0/backend/toy/1/3"

static struct wk_xenbus *x;
static int announced, connected, disconnected, notices, busy;
static uint32_t port;
static void *page;

static void toy_notice(void *arg)
{
	(void)arg;
	notices++;
}

static void toy_announce(void *dev, struct wk_xenbus *bus)
{
	CHECK(dev == &port);
	wk_xenbus_set(bus, "colour", "%s", "red");
	wk_xenbus_front(bus, "number", "%d", 7);
	announced++;
}

static int toy_connect(void *dev, struct wk_xenbus *bus)
{
	(void)dev;
	if (wk_xenbus_page(bus, "ring-ref", &page))
		return wk_xenbus_refuse(bus, "its ring-ref is none");
	if (wk_xenbus_port(bus, "event-channel", toy_notice, NULL, &port))
		return wk_xenbus_refuse(bus, "its event-channel is none");
	connected++;
	return 0;
}

static void toy_disconnect(void *dev)
{
	(void)dev;
	CHECK(!half.ports[port].fn);
	disconnected++;
}

static bool toy_busy(void *dev)
{
	(void)dev;
	return busy > 0 && busy--;
}

static const struct wk_xenbus_ops toy = { toy_announce, toy_connect, toy_disconnect, toy_busy };

static void set_up(void)
{
	half_up();
	announced = connected = disconnected = notices = busy = 0;
	x = wk_xenbus_new(&half, "toy", 3, &toy, &port);
}

static void tear_down(void)
{
	wk_xenbus_free(x);
	half_down();
}

static void meet(void)
{
	half_grant(100, 7, 0);
	half_write("toy/3/ring-ref", "100");
	half_write("toy/3/event-channel", "9");
	half_write("toy/3/state", "3");
}

static void a_device_is_announced_whole(void)
{
	set_up();
	CHECK(announced == 1 && !wk_xenbus_connected(x));
	CHECK(!strcmp(half_read(FRONT "/backend"), BACK));
	CHECK(!strcmp(half_read(FRONT "/backend-id"), "0"));
	CHECK(!strcmp(half_read(FRONT "/state"), "1"));
	CHECK(!strcmp(half_read(FRONT "/number"), "7"));
	CHECK(!strcmp(half_read(BACK "/frontend"), WK_HOME "/" FRONT));
	CHECK(!strcmp(half_read(BACK "/frontend-id"), "1"));
	CHECK(!strcmp(half_read(BACK "/online"), "1"));
	CHECK(!strcmp(half_read(BACK "/colour"), "red"));
	CHECK(!strcmp(half_read(BACK "/state"), "2"));
	tear_down();
}

static void a_polite_frontend_connects_and_closes(void)
{
	set_up();
	meet();
	CHECK(connected == 1 && page == half_page(7) && port == 9);
	CHECK(!strcmp(half_read(BACK "/state"), "4") && wk_xenbus_connected(x));
	half_write("toy/3/state", "4");
	half_write("toy/3/state", "4");
	CHECK(connected == 1);
	half_notify(9);
	CHECK(notices == 1);
	busy = 2;
	half_write("toy/3/state", "5");
	CHECK(disconnected == 1 && !strcmp(half_read(BACK "/state"), "4"));
	half_notify(9);
	CHECK(notices == 1);
	CHECK(!half_until(BACK "/state", "5"));
	CHECK(!busy && disconnected == 1);
	half_write("toy/3/state", "6");
	CHECK(!strcmp(half_read(BACK "/state"), "6"));
	/* Pulled and put back: the next driver finds a new device. */
	CHECK(!half_until(FRONT "/state", ""));
	CHECK(!half_until(FRONT "/state", "1"));
	CHECK(!strcmp(half_read(FRONT "/number"), "7") && announced == 2);
	meet();
	CHECK(connected == 2 && !strcmp(half_read(BACK "/state"), "4"));
	tear_down();
}

/* Linux's netfront asks for its device again by itself. */
static void a_closed_frontend_that_begins_anew_is_served(void)
{
	set_up();
	meet();
	half_write("toy/3/state", "6");
	CHECK(!strcmp(half_read(BACK "/state"), "6") && disconnected == 1);
	half_write("toy/3/state", "1");
	CHECK(!strcmp(half_read(BACK "/state"), "2"));
	half_run(1200);
	CHECK(announced == 1 && !strcmp(half_read(FRONT "/state"), "1"));
	/* And one that never closed, after a crash of its kernel. */
	meet();
	half_write("toy/3/state", "1");
	CHECK(disconnected == 2 && !strcmp(half_read(BACK "/state"), "2"));
	meet();
	CHECK(connected == 3);
	tear_down();
}

static void nonsense_is_refused(void)
{
	static const struct { const char *ref, *channel; } rows[] = {
		{ "", "9" }, { "100", "" }, { "101", "9" }, { "102", "9" }, { "103", "9" }, { "104", "9" },
		{ "105", "9" }, { "106", "9" }, { "16384", "9" }, { "4294967296", "9" }, { "-1", "9" }, { "0x64", "9" },
		{ " 100", "9" }, { "100 ", "9" }, { "99999999999999999999", "9" },
		{ "100", "0" }, { "100", "1" }, { "100", "2" }, { "100", "64" }, { "100", "4294967295" },
		{ "100", "10" },
	};

	set_up();
	half_grant(102, 7, GTF_readonly);
	half_grant(103, HALF_PAGES, 0);
	half_grant(104, 7, GTF_sub_page);
	half_grant(105, 7, 0);
	((struct grant_entry_v1 *)half.grants)[105].domid = 1;
	half_grant(106, 7, GTF_accept_transfer);
	wk_port_bind(&half, 10, toy_notice, NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		half_grant(100, 7, 0);
		half_write("toy/3/ring-ref", "%s", rows[i].ref);
		half_write("toy/3/event-channel", "%s", rows[i].channel);
		half_write("toy/3/state", "3");
		CHECK(!connected && !wk_xenbus_connected(x), "%zu", i);
		CHECK(!strcmp(half_read(BACK "/state"), "5"), "%zu", i);
		CHECK(!half.ports[9].fn && half.ports[10].fn);
		half_write("toy/3/state", "1");
		CHECK(!strcmp(half_read(BACK "/state"), "2"), "%zu", i);
	}
	meet();
	CHECK(connected == 1);
	tear_down();
}

static void states_in_any_order_harm_nobody(void)
{
	static const char *const states[] = { "1", "3", "4", "5", "6", "0", "7", "x", "", "4294967296" };
	unsigned int seed = 1;

	set_up();
	half_grant(100, 7, 0);
	half_write("toy/3/ring-ref", "100");
	half_write("toy/3/event-channel", "9");
	for (int i = 0; i < 3000; i++) {
		seed = seed * 1103515245 + 12345;
		half_write("toy/3/state", "%s", states[(seed >> 16) % 10]);
		if (i % 100 == 0)
			busy = 3;
		if (i % 500 == 0)
			wk_xs_rm(half.xs, WK_HOME "/device");
		if (i % 500 == 0)
			meet();
		loop_once(half.loop, 0);
		CHECK(connected - disconnected == wk_xenbus_connected(x));
		CHECK(!half.ports[9].fn == !wk_xenbus_connected(x));
	}
	CHECK(connected > 30, "%d", connected);
	half_write("toy/3/state", "6");
	busy = 0;
	CHECK(!half_until(BACK "/state", "6"));
	CHECK(!half_until(BACK "/state", "2"));
	meet();
	CHECK(wk_xenbus_connected(x));
	tear_down();
}

static void a_grant_is_what_its_entry_says(void)
{
	set_up();
	half_grant(8, 3, 0);
	half_grant(9, 4, GTF_readonly);
	CHECK(wk_grant_frame(&half, 8, true) == half_page(3) && wk_grant_frame(&half, 8, false) == half_page(3));
	CHECK(!wk_grant_frame(&half, 9, true) && wk_grant_frame(&half, 9, false) == half_page(4));
	half_take_back(8);
	CHECK(!wk_grant_frame(&half, 8, false));
	CHECK(!wk_grant_frame(&half, 32 * 512, false) && !wk_grant_frame(&half, 0xffffffff, false));
	tear_down();
}

int main(void)
{
	alarm(300);
	RUN(a_grant_is_what_its_entry_says);
	RUN(a_device_is_announced_whole);
	RUN(a_polite_frontend_connects_and_closes);
	RUN(a_closed_frontend_that_begins_anew_is_served);
	RUN(nonsense_is_refused);
	RUN(states_in_any_order_harm_nobody);
	UNIT_END();
}
