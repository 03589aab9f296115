/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fake_dev.c: lib/dev.c's double.  "/dev/colinux" is a plain file whose text
 * says how it misbehaves ("abi", "nomem", "obstacle", "deaf"), a VM's handle
 * is a memfd with the guest's memory, its special frames and one page of state, and the
 * vCPU is a thread that runs fake_guest.c.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dev.h"
#include "fake.h"

struct fake_state {
	co_u32 state, shutdown;
	char why[CO_WHY_LEN];
};

static pthread_mutex_t fake_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t fake_cond = PTHREAD_COND_INITIALIZER;
static co_u8 *fake_memory;
co_u64 *fake_grants;
static struct fake_state *fake_state;
static struct co_vm_set fake_set;
static struct co_vcpu_run fake_pending;
static int fake_started, fake_full, fake_dead, fake_held, fake_holds;
static co_u64 fake_events;		/* for the guest: bit n: port n */
static co_u64 fake_notified;		/* by the guest */
static int fake_notified_fd = -1;

int dev_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	return fd >= 0 ? fd : errno == EACCES ? -CO_EPERM : -CO_ENODEV;
}

void dev_close(int fd)
{
	if (fd >= 0)
		close(fd);
}

static int fake_mood(int control, const char *word)
{
	char text[64] = "";

	return pread(control, text, sizeof(text) - 1, 0) >= 0 && strstr(text, word);
}

int dev_hello(int control, struct co_hello *h)
{
	memset(h, 0, sizeof(*h));
	if (fake_mood(control, "deaf"))
		return -CO_EABI;
	h->abi_version = fake_mood(control, "abi") ? 77 : CO_ABI_VERSION;
	h->obstacles = fake_mood(control, "obstacle") ? CO_OBSTACLE_FRED : 0;
	h->protect = CO_PROTECT_WP;
	h->memory_total = 1ull << 30;
	h->memory_free = 1ull << 29;
	h->features = CO_FEATURE_TSC_STABLE;
	strcpy(h->cpu_brand, "fake");
	return 0;
}

int dev_vm_create(int control, struct co_vm_create *c)
{
	static co_u32 id;

	if (fake_mood(control, "nomem"))
		return -CO_ENOMEM;
	c->handle = memfd_create("fake-vm", MFD_CLOEXEC);
	if (c->handle < 0 || ftruncate(c->handle, (off_t)(c->memory_bytes + (CO_SPECIAL_FRAMES + 1) * CO_PAGE_SIZE)))
		return -CO_ENOMEM;
	c->id = ++id;
	return 0;
}

int dev_vm_destroy(int control, co_u32 id)
{
	(void)control;
	(void)id;
	return 0;
}

static struct fake_state *fake_state_of(int vm)
{
	struct stat s;
	void *p;

	if (fake_state)
		return fake_state;
	if (fstat(vm, &s))
		return NULL;
	p = mmap(NULL, CO_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, vm, s.st_size - (off_t)CO_PAGE_SIZE);
	return p == MAP_FAILED ? NULL : p;
}

static void fake_state_put(struct fake_state *s)
{
	if (s && s != fake_state)
		munmap(s, CO_PAGE_SIZE);
}

int dev_vm_map(int vm, co_u64 gfn, co_u64 pages, void **at)
{
	void *p = mmap(NULL, pages << CO_PAGE_SHIFT, PROT_READ | PROT_WRITE, MAP_SHARED, vm,
		       (off_t)(gfn << CO_PAGE_SHIFT));

	if (p == MAP_FAILED)
		return -CO_ENOMEM;
	fake_state = fake_state_of(vm);
	if (!gfn)
		fake_memory = p;
	else
		fake_grants = p;
	*at = p;
	return 0;
}

int dev_vm_set(int vm, const struct co_vm_set *start)
{
	(void)vm;
	fake_set = *start;
	return 0;
}

int dev_vm_status(int vm, struct co_vm_status *status)
{
	struct fake_state *s = fake_state_of(vm);

	memset(status, 0, sizeof(*status));
	if (!s)
		return -CO_EIO;
	status->state = s->state;
#ifdef PAIR
	status->guest_cpu = 1;
#else
	status->guest_cpu = ~0u;
#endif
	status->overhead_pages = 3;
	status->counters.passages = 42;
	memcpy(status->why, s->why, sizeof(s->why));
	fake_state_put(s);
	return 0;
}

/* The lock is held: makes the handle readable. */
static void fake_announce(void)
{
	static const co_u64 one = 1;

	if (fake_notified_fd >= 0 && write(fake_notified_fd, &one, sizeof(one)) < 0)
		perror("fake_announce");
}

int dev_vm_kill(int vm, const char *why)
{
	struct fake_state *s = fake_state_of(vm);

	if (!s)
		return -CO_EIO;
	if (!s->why[0])
		snprintf(s->why, sizeof(s->why), "%s", why);
	s->state = CO_VM_KILLED;
	fake_state_put(s);
	/* In the worker the vCPU comes back, whoever of its threads has asked. */
	pthread_mutex_lock(&fake_lock);
	fake_dead = 1;
	fake_announce();
	pthread_cond_broadcast(&fake_cond);
	pthread_mutex_unlock(&fake_lock);
	return 0;
}

int dev_event(int vm, co_u32 port)
{
	(void)vm;
	pthread_mutex_lock(&fake_lock);
	fake_events |= 1ull << port;
	pthread_cond_broadcast(&fake_cond);
	pthread_mutex_unlock(&fake_lock);
	return 0;
}

/* The handle itself cannot be polled as the real one can. */
int dev_events_fd(int vm)
{
	(void)vm;
	if (fake_notified_fd < 0)
		fake_notified_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return fake_notified_fd;
}

static co_u32 fake_take(co_u32 *ports)
{
	co_u64 junk;
	co_u32 n = 0;

	if (read(fake_notified_fd, &junk, sizeof(junk)) < 0 && errno != EAGAIN)
		perror("fake_take");
	for (; fake_notified; fake_notified &= fake_notified - 1)
		ports[n++] = (co_u32)__builtin_ctzll(fake_notified);
	return n;
}

int dev_events(int vm, struct co_events *e)
{
	(void)vm;
	pthread_mutex_lock(&fake_lock);
	for (fake_holds = fake_held; fake_held;) {
		pthread_cond_broadcast(&fake_cond);
		pthread_cond_wait(&fake_cond, &fake_lock);
	}
	e->nports = fake_take(e->ports);
	pthread_mutex_unlock(&fake_lock);
	return 0;
}

static void *fake_thread(void *arg)
{
	(void)arg;
	fake_guest(fake_memory, fake_set.rsi);
	return NULL;
}

int dev_vcpu_run(int vm, struct co_vcpu_run *run)
{
	pthread_t thread;

	(void)vm;
	pthread_mutex_lock(&fake_lock);
	if (!fake_started) {
		fake_started = 1;
		pthread_create(&thread, NULL, fake_thread, NULL);
	}
	if (run->detail == CO_RUN_NAP) {	/* as on a host where nobody naps */
		run->exit = CO_EXIT_EVENT;
		run->detail = CO_RUN_STILL;
		pthread_mutex_unlock(&fake_lock);
		return 0;
	}
	while (!fake_full && !fake_dead && run->detail != CO_RUN_SOLO)
		pthread_cond_wait(&fake_cond, &fake_lock);
	for (co_u32 i = 0; run->detail == CO_RUN_SOLO && i < run->nports; i++)
		fake_events |= 1ull << run->ports[i];
	/* Solo, one thread is all there is: it cannot be held up, and has all in order. */
	if (run->detail == CO_RUN_SOLO)
		fake_holds = fake_held;
	if (fake_full) {
		*run = fake_pending;
	} else if (fake_dead) {
		run->exit = CO_EXIT_KILLED;
	} else {
		/* Its thread runs on, which the caller cannot know. */
		run->exit = CO_EXIT_EVENT;
		run->detail = CO_RUN_IDLE;
		run->nports = fake_take(run->ports);
	}
	fake_full = 0;
	pthread_cond_broadcast(&fake_cond);
	pthread_mutex_unlock(&fake_lock);
	return 0;
}

/* ---- what the guest does with its machine -------------------------------------- */

void fake_exit(const struct co_vcpu_run *run)
{
	pthread_mutex_lock(&fake_lock);
	while (fake_full)
		pthread_cond_wait(&fake_cond, &fake_lock);
	fake_pending = *run;
	fake_full = 1;
	fake_announce();
	pthread_cond_broadcast(&fake_cond);
	pthread_mutex_unlock(&fake_lock);
}

void fake_notify(co_u32 port)
{
	pthread_mutex_lock(&fake_lock);
	fake_notified |= 1ull << port;
	fake_announce();
	pthread_mutex_unlock(&fake_lock);
}

void fake_hold(co_u32 port)
{
	pthread_mutex_lock(&fake_lock);
	fake_held = 1;
	pthread_mutex_unlock(&fake_lock);
	fake_notify(port);
	pthread_mutex_lock(&fake_lock);
	while (!fake_holds)
		pthread_cond_wait(&fake_cond, &fake_lock);
	pthread_mutex_unlock(&fake_lock);
}

void fake_let_go(void)
{
	pthread_mutex_lock(&fake_lock);
	fake_held = 0;
	pthread_cond_broadcast(&fake_cond);
	pthread_mutex_unlock(&fake_lock);
}

void fake_wait(void)
{
	pthread_mutex_lock(&fake_lock);
	while (!fake_events)
		pthread_cond_wait(&fake_cond, &fake_lock);
	fake_events = 0;
	pthread_mutex_unlock(&fake_lock);
}

void fake_killed(const char *why)
{
	struct co_vcpu_run run = { .exit = CO_EXIT_KILLED };

	snprintf(fake_state->why, sizeof(fake_state->why), "%s", why);
	fake_state->state = CO_VM_KILLED;
	fake_exit(&run);
}
