/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * wk.h: the worker's own objects and prototypes, grouped by file.
 *
 * A worker is one VM's user half: it runs the vCPU in a thread of its own (where
 * there is a second CPU for it) and serves the devices from the main thread's loop.
 * It trusts colinuxd, and nothing that lies in guest memory.
 */
#ifndef WK_H
#define WK_H

#include <jansson.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "builder/builder.h"
#include "co_abi.h"
#include "conlog.h"
#include "err.h"
#include "loop.h"
#include "msg.h"

#define WK_DOMID		1u
#define WK_HOME			"/local/domain/1"
#define WK_PORTS		64u	/* that can be bound: more come with more devices */

struct wk_ready;
struct wk_xs;
struct wk_console;
struct wk_vcpu;
struct wk_disks;
struct wk_agent;
struct conet;

typedef void (*wk_port_fn)(void *arg);

struct wk {
	struct loop *loop;
	struct msg *root;		/* colinuxd */
	json_t *setup;			/* what it told us about the VM */
	const char *name;
	uint64_t ram_pages;
	int vm;				/* the VM's handle */
	uint8_t *memory;		/* guest frames 0 .. ram_pages - 1 */
	uint64_t *grants;		/* its grant table; NULL before wk_grant_map */
	int conlog_fd;
	struct conlog *conlog;
	struct wk_builder_out out;
	struct wk_xs *xs;
	struct wk_console *console;
	struct wk_ready *ready;
	struct wk_vcpu *vcpu;
	struct wk_disks *disks;
	struct wk_agent *agent;
	struct conet *net;		/* NULL: the VM has no network */
	struct { wk_port_fn fn; void *arg; } ports[WK_PORTS];
	bool solo;			/* one CPU: the main thread runs the guest too */
	bool pair;			/* two: one for the guest, one for all else */
	bool built, over;
};

/* main.c */
void wk_end(struct wk *w, const char *kind, int exit, const char *format, ...)
	__attribute__((format(printf, 4, 5)));	/* tells colinuxd; the loop ends */
void wk_event(struct wk *w, const char *event, const char *line);	/* line may be NULL */
void wk_tell(struct wk *w, json_t *o);		/* any line to colinuxd; steals o, NULL: out of memory */
bool wk_crowded(const struct wk *w);	/* colinuxd is far behind with reading */
void wk_reply(struct wk *w, json_int_t id, json_t *result);		/* steals result */
void wk_fail(struct wk *w, json_int_t id, const struct err *e);

/* Breach of the guest's contract: the VM is killed with this reason. */
void wk_kill(struct wk *w, const char *why);
/* Guest frame's address here; NULL beyond the guest's RAM. */
void *wk_frame(struct wk *w, uint64_t gfn);
void wk_port_bind(struct wk *w, uint32_t port, wk_port_fn fn, void *arg);
void wk_port_raise(struct wk *w, uint32_t port);

/* build.c */
int wk_build(struct wk *w, struct err *e);	/* domain in memory, out filled in */
int wk_open_files(struct wk *w, struct err *e);	/* as the owner, before the sandbox closes */

/* vcpu.c */
struct wk_vcpu *wk_vcpu_new(struct wk *w);	/* NULL: out of resources */
int wk_vcpu_start(struct wk_vcpu *v, struct err *e);
void wk_vcpu_flush(struct wk_vcpu *v);		/* what it has said so far goes to the console */
/* Solo, in the main thread: the port is raised when the guest runs again.  false: not so. */
bool wk_vcpu_raise(struct wk_vcpu *v, uint32_t port);
void wk_vcpu_serve(struct wk_vcpu *v);		/* the loop, until the guest ends */

/* console.c */
struct wk_console *wk_console_new(struct wk *w, struct conlog *log, const char *ready);
void wk_console_connect(struct wk_console *c, void *page);
void wk_console_serve(void *console);			/* both directions of the ring */
void wk_console_put(struct wk_console *c, const char *text, size_t len);	/* as from the guest */
void wk_console_write(struct wk_console *c, json_int_t id, const json_t *params);
void wk_console_flush(struct wk_console *c);		/* tells colinuxd at once */
const char *wk_console_panic(const struct wk_console *c);	/* "" or the kernel's last cry */
void wk_console_free(struct wk_console *c);

/* block.c */
int wk_disks_open(struct wk *w, struct err *e);		/* as the owner, before the sandbox closes */
int wk_disks_serve(struct wk *w, struct err *e);	/* once xenstore is there */
void wk_disks_look(struct wk *w);			/* at answers, before the loop would */
void wk_disks_free(struct wk *w);

/* agent.c: the agent inside the guest, on the second console; NULL: none made */
struct wk_agent *wk_agent_new(struct wk *w);
void wk_agent_free(struct wk_agent *a);
bool wk_agent_connected(const struct wk *w);	/* it has said hello, and not fallen silent since */
void wk_agent_call(struct wk *w, json_int_t id, const char *method, const json_t *params);	/* exec.* */
void wk_agent_resize(struct wk *w, const json_t *params);	/* hvc0's size, if there is an agent */
/*
 * Connects to a port of the guest's loopback, and waits for the beginning of
 * what is said there (NULL: a connection is enough).  fn is called once, from
 * the loop: ok, or why not (a text that may be shown); never later than a few
 * seconds after timeout_ms.
 */
typedef void (*wk_agent_probed)(void *arg, bool ok, const char *why);
void wk_agent_probe(struct wk *w, uint16_t port, const char *expect, uint32_t timeout_ms,
		    wk_agent_probed fn, void *arg);

/* ready.c: tells colinuxd "waiting", "ready", "unhealthy" */
struct wk_ready *wk_ready_new(struct wk *w);		/* as the setup says; NULL: out of memory */
void wk_ready_start(struct wk *w);			/* the guest runs */
void wk_ready_console(struct wk *w);			/* its console has shown readyConsole */
void wk_ready_free(struct wk_ready *r);

/* conet.c */
int wk_net_open(struct wk *w, struct err *e);	/* as the owner, before the sandbox closes */
int wk_net_serve(struct wk *w, struct err *e);	/* once xenstore is there */
/* Solo and paired, what the loop would do later: the guest's frames go out, and with `reads`
 * others come in from a NIC that is talked to.  true: there is more to do already. */
bool wk_net_look(struct wk *w, bool reads);
bool wk_net_polled(struct wk *w);		/* some come by the loop only */
void wk_net_call(struct wk *w, const char *method, json_int_t id, const json_t *params);	/* port.* */

/* sandbox_<os>.c */
int wk_sandbox_drop(const json_t *setup, struct err *e);	/* becomes the owner, for good */
/* Only serving is possible from here on: memory of a guest, and what its networks need. */
int wk_sandbox_close(uint64_t memory, const json_t *nets, struct err *e);

#endif
