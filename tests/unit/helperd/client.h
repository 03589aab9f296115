/* SPDX-License-Identifier: GPL-2.0-or-later */
/* client.h: a small JSON-RPC client, and colinuxd on the fake device. */
#ifndef CLIENT_H
#define CLIENT_H

#include <jansson.h>
#include <string.h>
#include <sys/types.h>

#define VM(name, what)	"{\"name\":\"" name "\",\"memory\":67108864,\"kernel\":{\"path\":\"" KERNEL "\"}," \
			"\"cmdline\":\"" what "\"}"
/* The same for others than root, who may not be able to enter the checkout. */
#define VMF(name, what)	"{\"name\":\"" name "\",\"memory\":67108864,\"kernel\":{\"path\":\"%s/kernel\"}," \
			"\"cmdline\":\"" what "\"}"
#define NAME(name)	"{\"name\":\"" name "\"}"

struct daemon {
	char dir[64], socket[96], device[96], state[96], ports[96];
	const char *worker, *program;	/* NULL: the real ones */
	const char *patience;		/* ms for guests when it ends, NULL: none */
	const char *log;		/* the file that gets what it logs; NULL: our stderr does */
	pid_t pid;
};

struct client {
	int fd;
	char *in;
	size_t len;
	json_t *events;			/* that came while an answer was awaited */
	int next;
};

void daemon_dir(struct daemon *d);			/* its folder, if there is none */
void daemon_start(struct daemon *d, const char *mood);	/* text of the device file */
int daemon_end(struct daemon *d, int signo);		/* wait status */
int daemon_descriptors(const struct daemon *d);		/* that it has open */
void daemon_forget(struct daemon *d);			/* removes its folder */

/* As uid (0: us): connects and says hello. */
void client_open(struct client *c, const struct daemon *d, uid_t uid);
int client_try(struct client *c, const struct daemon *d, uid_t uid);	/* -1: was refused */
void client_close(struct client *c);
void client_send(struct client *c, const char *line);
json_t *client_line(struct client *c);			/* next line; NULL: closed */

/* "method" and the params' text; returns the result, or NULL with the error's name kept. */
json_t *call(struct client *c, const char *method, const char *params, ...)
	__attribute__((format(printf, 3, 4)));
extern char call_name[32], call_text[512];		/* of the last error */

/* The next event of that name. */
json_t *wait_event(struct client *c, const char *name);
/* Reads console.data until text has come. */
int wait_text(struct client *c, const char *text);
/* Polls vm.get until the state is this; the vm. */
json_t *wait_state(struct client *c, const char *name, const char *state);

/* A member's text, or "". */
const char *text(const json_t *o, const char *key);

/* A call that must work; its result is not needed. */
#define DO(...)		do { json_t *r_ = call(__VA_ARGS__); CHECK(r_, "%s: %s", call_name, call_text); json_decref(r_); } while (0)
/* One that must fail with this name, its text holding part. */
#define FAILS(name, part, ...)							\
	do {									\
		json_t *r_ = call(__VA_ARGS__);					\
		CHECK(!r_ && !strcmp(call_name, name) && strstr(call_text, part), "%s: %s", call_name, call_text); \
		json_decref(r_);						\
	} while (0)

#endif
