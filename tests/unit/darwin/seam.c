/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tests of the seam on Darwin, group by group, on the doubles of its KPIs. */
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "test.h"

static void pause_ns(long ns)
{
	struct timespec t = { 0, ns };

	nanosleep(&t, NULL);
}

/* ---- alloc, misc, user, debug, time -------------------------------------------------- */

static void alloc(void)
{
	co_u64 held = co_os_held_pages(), i;
	unsigned char *p = co_os_alloc(5 * 4096 - 7);

	CHECK(p && !((co_u64)p & 4095) && co_os_held_pages() == held + 5);
	for (i = 0; i < 5 * 4096; i++)
		if (p[i])
			break;
	CHECK(i == 5 * 4096);
	CHECK(co_os_hfn(p + 4096) == ((co_u32)((co_u64)p >> 12) + 1));
	co_os_free(p, 5 * 4096 - 7);
	co_os_free(NULL, 4096);
	CHECK(!co_os_alloc(3ull << 30) && !co_os_alloc(0) && !co_os_alloc(~0ull));
	CHECK(co_os_held_pages() == held);
}

static void misc(void)
{
	co_u64 words[512] = { 0 }, *page = co_os_alloc(4096);

	page[3] = 77;
	page[511] = 78;
	CHECK(!co_os_phys_read((co_u64)page, words, 4096) && words[3] == 77 && words[511] == 78);
	CHECK(!co_os_phys_read((co_u64)page + 24, words, 8) && words[0] == 77);
	CHECK(co_os_phys_read((co_u64)page + 4, words, 8) == -CO_EFAULT);
	CHECK(co_os_phys_read((co_u64)page + 4088, words, 16) == -CO_EFAULT);
	co_os_free(page, 4096);
	CHECK(co_os_memory_total() == 8ull << 30);
	CHECK(co_os_memory_free() == ((1ull << 18) + (1ull << 16) + (1ull << 19)) << 12);
	CHECK(co_os_cpus() == 3);
}

static void user(void)
{
	char there[16] = "hello", here[16] = "";

	xnu_user(there, sizeof(there));
	CHECK(!co_os_copy_in(here, (co_u64)there, 6) && !strcmp(here, "hello"));
	CHECK(!co_os_copy_out((co_u64)there, "bye", 4) && !strcmp(there, "bye"));
	CHECK(co_os_copy_in(here, (co_u64)there, 17) == -CO_EFAULT);
	CHECK(co_os_copy_out((co_u64)there - 1, here, 4) == -CO_EFAULT);
	CHECK(co_os_copy_in(here, 0xffffff8000000000ull, 4) == -CO_EFAULT);
	xnu_user_clear();
}

static void debug(void)
{
	char long_one[400];

	co_os_log("%s %u", "a line", 7);
	CHECK(!strcmp(xnu_log(), "colinux: a line 7\n"));
	memset(long_one, 'x', sizeof(long_one) - 1);
	long_one[sizeof(long_one) - 1] = 0;
	co_os_log("%s", long_one);
	CHECK(strlen(xnu_log()) == 255 + strlen("colinux: \n"));
}

static void timekeeping(void)
{
	co_u64 a = co_os_now_ns(), b, sec;
	co_u32 nsec;

	xnu_asleep(5000000000ull);
	b = co_os_now_ns();
	CHECK(b >= a + 5000000000ull && co_os_now_ns() >= b);
	co_os_wall(&sec, &nsec);
	CHECK(sec >= (co_u64)time(NULL) - 1 && nsec < 1000000000);
	CHECK(co_os_tsc_khz() == 2400000 && co_os_tsc_stable());
}

static void interrupted(void)
{
	co_u64 news;
	int i, n;

	for (i = n = 0; i < 200; i++)
		n += co_os_interrupted();
	CHECK(!n);
	xnu_signal(1);
	CHECK(co_os_interrupted());
	xnu_signal(0);
	xnu_exit(1);
	CHECK(co_os_interrupted());
	xnu_exit(0);
	xnu_end_task(1);		/* no signal tells of it: seen after a while */
	for (i = n = 0; i < 32; i++)
		n += co_os_interrupted();
	CHECK(n == 1);
	xnu_end_task(0);
	co_os_yield();
	news = co_os_news();
	co_os_nap(0, NULL, NULL, NULL);	/* not at all */
	CHECK(co_os_news() != news);	/* every look is one */
	CHECK(!co_os_alone());
	co_os_move(0);
}

/* ---- mutex, wait -------------------------------------------------------------------------- */

static struct co_os_mutex *mutex;

static void *try_it(void *arg)
{
	*(int *)arg = co_os_mutex_trylock(mutex);
	if (*(int *)arg)
		co_os_mutex_unlock(mutex);
	return NULL;
}

static void mutexes(void)
{
	pthread_t t;
	int got = 9;

	mutex = co_os_mutex_new();
	co_os_mutex_lock(mutex);
	pthread_create(&t, NULL, try_it, &got);
	pthread_join(t, NULL);
	CHECK(got == 0);
	co_os_mutex_unlock(mutex);
	pthread_create(&t, NULL, try_it, &got);
	pthread_join(t, NULL);
	CHECK(got == 1);
	co_os_mutex_free(mutex);
}

static struct co_os_wait *wait;
static int flag, rounds;

static int flagged(void *arg)
{
	return __atomic_load_n((int *)arg, __ATOMIC_SEQ_CST);
}

static void *waker(void *arg)
{
	(void)arg;
	for (int i = 0; i < rounds; i++) {
		while (flagged(&flag))
			sched_yield();
		xnu_dawdle();
		__atomic_store_n(&flag, 1, __ATOMIC_SEQ_CST);
		co_os_wait_wake(wait);
	}
	return NULL;
}

/* A wake-up that is lost hangs this test, and its limit ends it. */
static void no_lost_wake_up(void)
{
	pthread_t t;

	wait = co_os_wait_new();
	rounds = 3000;
	pthread_create(&t, NULL, waker, NULL);
	for (int i = 0; i < rounds; i++) {
		CHECK(co_os_wait_until(wait, flagged, &flag) == 0);
		__atomic_store_n(&flag, 0, __ATOMIC_SEQ_CST);
	}
	pthread_join(t, NULL);
	co_os_wait_free(wait);
}

static void *wait_for_ever(void *arg)
{
	static int never;

	*(int *)arg = co_os_wait_until(wait, flagged, &never);
	return NULL;
}

static void signals_end_waits(void)
{
	pthread_t t;
	int ret = 1;

	wait = co_os_wait_new();
	pthread_create(&t, NULL, wait_for_ever, &ret);
	while (!xnu_sleepers())
		sched_yield();
	co_os_wait_wake(wait);			/* for nothing: it goes on sleeping */
	pause_ns(1000000);
	xnu_signal(1);
	pthread_join(t, NULL);
	CHECK(ret == -CO_EINTR);
	ret = 1;				/* and one that came before */
	xnu_signals_noted();
	wait_for_ever(&ret);
	CHECK(ret == -CO_EINTR);
	xnu_signal(0);
	co_os_wait_free(wait);
}

/* ---- timer ---------------------------------------------------------------------------------- */

static struct { int cancelled, generation, late, fired, early; co_u64 due; } shot;

static void on_timer(void *arg)
{
	int generation = __atomic_load_n(&shot.generation, __ATOMIC_SEQ_CST);

	if (__atomic_load_n(&shot.cancelled, __ATOMIC_SEQ_CST))
		shot.late = 1;
	if (arg)
		pause_ns(100000);
	if (generation != __atomic_load_n(&shot.generation, __ATOMIC_SEQ_CST))
		shot.late = 1;		/* cancel did not wait for us */
	if (co_os_now_ns() < __atomic_load_n(&shot.due, __ATOMIC_SEQ_CST))
		shot.early = 1;
	__atomic_fetch_add(&shot.fired, 1, __ATOMIC_SEQ_CST);
}

static void no_callback_after_cancel(void)
{
	struct co_os_timer *t = co_os_timer_new(on_timer, &shot);
	int n = 0;

	for (int i = 0; i < 1500; i++) {
		__atomic_store_n(&shot.due, co_os_now_ns() + (co_u64)(i % 7) * 20000, __ATOMIC_SEQ_CST);
		__atomic_store_n(&shot.cancelled, 0, __ATOMIC_SEQ_CST);
		co_os_timer_arm(t, (co_u64)(i % 7) * 20000);
		pause_ns(i % 11 * 30000);
		co_os_timer_cancel(t);
		__atomic_fetch_add(&shot.generation, 1, __ATOMIC_SEQ_CST);
		__atomic_store_n(&shot.cancelled, 1, __ATOMIC_SEQ_CST);
		n += shot.fired != 0;
		if (i % 3 == 0) {		/* what is owed holds its end up */
			__atomic_store_n(&shot.cancelled, 0, __ATOMIC_SEQ_CST);
			co_os_timer_arm(t, 0);
			co_os_timer_free(t);
			__atomic_fetch_add(&shot.generation, 1, __ATOMIC_SEQ_CST);
			__atomic_store_n(&shot.cancelled, 1, __ATOMIC_SEQ_CST);
			t = co_os_timer_new(on_timer, &shot);
		}
	}
	CHECK(!shot.late && n > 100);
	co_os_timer_cancel(t);
	co_os_timer_free(t);
}

static void a_timer_fires_once_and_in_time(void)
{
	struct co_os_timer *t = co_os_timer_new(on_timer, NULL);

	memset(&shot, 0, sizeof(shot));
	for (int i = 1; i <= 50; i++) {
		shot.due = co_os_now_ns() + 300000;
		co_os_timer_arm(t, 900000000000ull);
		co_os_timer_arm(t, 300000);	/* an earlier time replaces the later one */
		while (__atomic_load_n(&shot.fired, __ATOMIC_SEQ_CST) < i)
			sched_yield();
	}
	pause_ns(3000000);
	CHECK(shot.fired == 50 && !shot.early);
	shot.due = co_os_now_ns() + 1200000000;	/* longer than one thread call */
	co_os_timer_arm(t, 1200000000);
	while (__atomic_load_n(&shot.fired, __ATOMIC_SEQ_CST) < 51)
		pause_ns(1000000);
	CHECK(!shot.early);
	/* The host sleeps through it: it is late by less than a second of being awake. */
	shot.due = co_os_now_ns() + 3600000000000ull;
	co_os_timer_arm(t, 3600000000000ull);
	xnu_asleep(3600000000000ull);
	while (__atomic_load_n(&shot.fired, __ATOMIC_SEQ_CST) < 52)
		pause_ns(1000000);
	CHECK(!shot.early);
	co_os_timer_free(t);
}

/* ---- pages ------------------------------------------------------------------------------------- */

static void mapped_pages_are_the_frames(void)
{
	co_u64 held = co_os_held_pages(), at, ro, part, i;
	struct co_os_ram *ram;

	CHECK(co_os_ram_create(600, &ram) == 0 && co_os_held_pages() >= held + 600);
	CHECK(co_os_ram_map(ram, NULL, 0, 600, 1, &at) == 0);
	CHECK(co_os_ram_map(ram, NULL, 100, 50, 0, &ro) == 0);
	for (i = 0; i < 600; i++)
		*(co_u64 *)(at + i * 4096 + 8) = i + 1;
	for (i = 0; i < 600; i++) {
		co_u64 *page = xnu_frame(co_os_ram_hfn(ram, i));

		if (!page || page[1] != i + 1)
			break;
	}
	CHECK(i == 600, "frame %llu", i);
	CHECK(*(co_u64 *)(ro + 49 * 4096 + 8) == 150 && xnu_maps() == 3);	/* and the APIC's */
	CHECK(co_os_ram_map(ram, NULL, 599, 1, 1, &part) == 0 && *(co_u64 *)(part + 8) == 600);
	co_os_ram_release(ram);
	CHECK(co_os_held_pages() == held && xnu_maps() == 1);
	/* A process that died with its mappings. */
	CHECK(co_os_ram_create(64, &ram) == 0 && co_os_ram_map(ram, NULL, 0, 64, 1, &at) == 0);
	xnu_task_dies();
	co_os_ram_release(ram);
	CHECK(co_os_held_pages() == held && xnu_maps() == 1);
}

#define PIECE	(1ull << 18)

static void a_large_guest_is_one_range(void)
{
	static const co_u64 seen[] = { PIECE - 300, PIECE - 1, PIECE, PIECE + 63 };
	co_u64 held = co_os_held_pages(), at, all, i;
	struct co_os_ram *ram;

	CHECK(co_os_ram_create(2 * PIECE + 64, &ram) == 0);
	CHECK(co_os_ram_map(ram, NULL, PIECE - 300, 364, 1, &at) == 0);
	CHECK(co_os_ram_map(ram, NULL, 0, 2 * PIECE + 64, 1, &all) == 0);
	for (i = 0; i < 4; i++) {
		co_u64 *mine = (co_u64 *)(at + (seen[i] - (PIECE - 300)) * 4096);

		*mine = 1000 + i;
		CHECK(*(co_u64 *)(all + seen[i] * 4096) == 1000 + i);
		CHECK(*(co_u64 *)xnu_frame(co_os_ram_hfn(ram, seen[i])) == 1000 + i);
	}
	CHECK(xnu_maps() == 1 + 2 + 3);
	co_os_ram_release(ram);
	CHECK(co_os_held_pages() == held && xnu_maps() == 1);
}

/* Nothing is left behind, whichever allocation fails. */
static void pages_fail(void)
{
	co_u64 held = co_os_held_pages(), live = xnu_live(), at, n;
	struct co_os_ram *ram;
	int ok = 0;

	for (n = 1; !ok && n < 200; n++) {
		xnu_fail_nth(n);
		if (co_os_ram_create(24, &ram) == 0) {
			if (co_os_ram_map(ram, NULL, 0, 24, 1, &at) == 0)
				ok = 1;
			co_os_ram_release(ram);
		}
		xnu_fail_nth(0);
		CHECK(xnu_live() == live && co_os_held_pages() == held, "at %llu", n);
	}
	CHECK(ok && n > 8);
	CHECK(co_os_ram_create(PIECE + 1, &ram) == 0);
	for (n = 1, ok = 0; !ok && n < 20; n++) {
		live = xnu_live();
		xnu_fail_nth(n);
		ok = co_os_ram_map(ram, NULL, PIECE - 1, 2, 1, &at) == 0;
		xnu_fail_nth(0);
		CHECK(ok || xnu_live() == live, "at %llu", n);
	}
	CHECK(ok && n > 4);
	co_os_ram_release(ram);
}

static void *map_some(void *ram)
{
	co_u64 at;

	for (int i = 0; i < 20; i++)
		if (co_os_ram_map(ram, NULL, (co_u64)i, 2, 1, &at))
			return "failed";
	return NULL;
}

static void two_threads_map(void)
{
	struct co_os_ram *ram;
	pthread_t t[2];
	void *bad[2];

	CHECK(co_os_ram_create(64, &ram) == 0);
	for (int i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, map_some, ram);
	for (int i = 0; i < 2; i++) {
		pthread_join(t[i], &bad[i]);
		CHECK(!bad[i]);
	}
	CHECK(xnu_maps() == 41);
	co_os_ram_release(ram);
	CHECK(xnu_maps() == 1);
}

/* A worker that maps and maps is stopped before the kernel's memory is. */
static void mappings_are_bounded(void)
{
	struct co_os_ram *ram;
	co_u64 at;
	int n = 0, ret;

	CHECK(co_os_ram_create(4, &ram) == 0);
	while (!(ret = co_os_ram_map(ram, NULL, 0, 1, 1, &at)) && n < 5000)
		n++;
	CHECK(ret == -CO_ELIMIT && n == 256);
	co_os_ram_release(ram);
	CHECK(xnu_maps() == 1);
}

/* ---- world, apic ------------------------------------------------------------------------------- */

static u32 mxcsr(u32 v)
{
	u32 was;

	__asm__ volatile("stmxcsr %0" : "=m"(was));
	if (v)
		__asm__ volatile("ldmxcsr %0" : : "m"(v));
	return was;
}

static void world(void)
{
	u64 mask = co_host.xcr0_mask;

	xnu_on_cpu(1);
	for (int lazy = 0; lazy < 2; lazy++) {
		xnu_cr0 = 0x80050033 | (lazy ? 8 : 0);
		mxcsr(0x3f80);
		co_os_world_enter();
		CHECK(!xnu_interrupts() && xnu_preemption_level() == 1 && !(xnu_cr0 & 8) && co_os_cpu() == 1);
		mxcsr(0x1f80);
		co_passage_int(0xdd);		/* XNU sets TS */
		co_os_world_leave();
		CHECK(xnu_interrupts() && !xnu_preemption_level() && (xnu_cr0 & 8) == (lazy ? 8u : 0u));
		CHECK(mxcsr(0x1f80) == 0x3f80 && xnu_interrupt() == 0xdd);
	}
	if (co_host.has_xsave) {	/* a thread with more in XCR0 than when the kext was loaded */
		co_host.xcr0_mask = 3;
		xnu_xsetbvs = 0;
		co_os_world_enter();
		CHECK(xnu_xsetbvs == 1 && xnu_xcr0 == 3);
		co_os_world_leave();
		co_host.xcr0_mask = mask;
	}
	xnu_on_cpu(0);
}

static void kicks(void)
{
	memset(xnu_apic, 0, sizeof(xnu_apic));
	xnu_on_cpu(0);
	co_os_kick(0);
	CHECK(!xnu_apic[0x300 / 4] && xnu_interrupts());
	co_os_kick(2);
	CHECK(xnu_apic[0x300 / 4] == 0xde && xnu_apic[0x310 / 4] == 5u << 24 && xnu_interrupts());
	xnu_apic[0x300 / 4] = 0;
	co_os_kick(7);				/* no such CPU */
	CHECK(!xnu_apic[0x300 / 4]);
	xnu_on_cpu(1);
	co_os_world_enter();
	co_os_nmi();
	co_os_world_leave();
	CHECK(xnu_apic[0x300 / 4] == 0x400 && xnu_apic[0x310 / 4] == 3u << 24);
	CHECK(unload());
	xnu_x2apic(1);
	CHECK(load());
	co_os_kick(2);
	CHECK(xnu_icr() == (5ull << 32 | 0xde));
	CHECK(unload());
	xnu_x2apic(0);
	xnu_apic[0x320 / 4] = 0x1004d;		/* other vectors */
	CHECK(load());
	co_os_kick(2);
	CHECK(xnu_apic[0x300 / 4] == 0x4e);
	xnu_on_cpu(0);
}

/* ---- start and stop ------------------------------------------------------------------------------- */

static void start_and_stop(void)
{
	co_u64 n;
	int ok = 0;

	CHECK(unload() && !xnu_live() && !xnu_device());
	for (n = 1; !ok && n < 100; n++) {
		xnu_fail_nth(n);
		ok = load();
		xnu_fail_nth(0);
		if (ok)
			CHECK(xnu_device() && unload());
		else
			CHECK(strstr(xnu_log(), "not loaded"));
		CHECK(!xnu_live() && !xnu_device(), "at %llu", n);
	}
	CHECK(ok && n > 15);
	xnu_no_tsc(1);
	CHECK(!load() && strstr(xnu_log(), "TSC") && !xnu_live());
	xnu_no_tsc(0);
	xnu_boot_arg("colinux_protect", "some");
	CHECK(!load() && !xnu_live());
	xnu_boot_arg("colinux_protect", "none");
	xnu_boot_arg("colinux_view", "sideways");
	CHECK(!load() && !xnu_live());
	xnu_boot_arg("colinux_view", "on");
	CHECK(load() && co_host.protect == CO_PROTECT_NONE && co_host.user_view == 1);
	CHECK(unload());
	xnu_boot_arg("colinux_protect", NULL);
	xnu_boot_arg("colinux_view", "auto");
	CHECK(load() && co_host.protect == CO_PROTECT_WP && !co_host.obstacles);
	CHECK(unload());
	xnu_root[MON_SLOT] = 0x1003;
	CHECK(load() && (co_host.obstacles & CO_OBSTACLE_SLOT_IN_USE));
	CHECK(unload() && !xnu_live());
	xnu_root[MON_SLOT] = 0;
	CHECK(load());
}

int main(void)
{
	if (!load())
		xnu_die("the kext cannot be loaded");
	RUN(alloc);
	RUN(misc);
	RUN(user);
	RUN(debug);
	RUN(timekeeping);
	RUN(interrupted);
	RUN(mutexes);
	RUN(no_lost_wake_up);
	RUN(signals_end_waits);
	RUN(no_callback_after_cancel);
	RUN(a_timer_fires_once_and_in_time);
	RUN(mapped_pages_are_the_frames);
	RUN(a_large_guest_is_one_range);
	RUN(pages_fail);
	RUN(two_threads_map);
	RUN(mappings_are_bounded);
	RUN(world);
	RUN(kicks);
	RUN(start_and_stop);
	UNIT_END();
}
