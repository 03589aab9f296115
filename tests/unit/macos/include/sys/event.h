/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdint.h>
#include <time.h>

struct kevent {
	uintptr_t ident;
	int16_t filter;
	uint16_t flags;
	uint32_t fflags;
	intptr_t data;
	void *udata;
};

#define EVFILT_READ	(-1)
#define EVFILT_WRITE	(-2)
#define EV_ADD		0x0001
#define EV_ERROR	0x4000
#define EV_EOF		0x8000
#define NOTE_LOWAT	0x0001

#define EV_SET(k, i, f, l, ff, d, u) do {			\
	struct kevent *k_ = (k);				\
	k_->ident = (uintptr_t)(i);				\
	k_->filter = (f);					\
	k_->flags = (l);					\
	k_->fflags = (ff);					\
	k_->data = (d);						\
	k_->udata = (u);					\
} while (0)

int kqueue(void);
int kevent(int queue, const struct kevent *changes, int nchanges, struct kevent *events, int nevents,
	   const struct timespec *timeout);
