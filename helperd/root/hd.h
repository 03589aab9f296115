/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hd.h: colinuxd's own objects and prototypes, grouped by file.
 *
 * One thread.  Clients are known by the uid that the kernel gives for their
 * socket; a VM belongs to the uid that made it; a worker is believed in
 * nothing: what it says is bounded, checked against the contract's tables,
 * and only ever shown to its own owner.
 */
#ifndef HD_H
#define HD_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "co_abi.h"
#include "conlog.h"
#include "err.h"
#include "loop.h"
#include "msg.h"
#include "proto.h"

#ifndef HD_BUILD
#define HD_BUILD "unknown"
#endif

#define HD_CLIENTS_MAX		256u
#define HD_CLIENTS_PER_UID	64u
#define HD_INFLIGHT_MAX		32u
#define HD_GROUPS_MAX		256u
#define HD_OUT_LIMIT		(4u << 20)	/* a client is cut off above it */
#define HD_OUT_BUSY		(1u << 20)	/* above it nothing is read from the client */
#define HD_OUT_STREAM		(256u << 10)	/* above it console data waits in its log */
#define HD_STOP_MS		30000u

/* Takes an item out of a list that goes by `next`. */
#define HD_UNLINK(list, item)						\
	do {								\
		__typeof__(list) *at_ = &(list);			\
									\
		while (*at_ && *at_ != (item))				\
			at_ = &(*at_)->next;				\
		if (*at_)						\
			*at_ = (item)->next;				\
	} while (0)

struct hd_vm;
struct hd_client;
struct hd_exec;

struct hd_viewer {			/* one client that watches one console */
	struct hd_vm *vm;
	struct hd_client *client;
	uint64_t cursor, dropped;
	struct hd_viewer *next;		/* of the VM */
};

struct hd_owner {			/* as the kernel, or the system's database, tells */
	uid_t uid;
	gid_t gid;
	gid_t groups[HD_GROUPS_MAX];
	int ngroups;
};

struct hd_client {
	struct hd *hd;
	struct msg *msg;		/* NULL once closed */
	struct hd_owner owner;
	pid_t pid;
	bool hello, events, lines;
	unsigned int inflight;		/* requests not yet answered; each holds the client */
	struct hd_client *next;
};

struct hd_req {				/* a request that waits for its answer */
	struct hd_client *client;
	const struct proto_method *method;
	json_t *id, *params;
	unsigned int call;		/* number of the worker's call, 0: none */
	struct hd_req *next;
};

enum hd_state { HD_CREATED, HD_RUNNING, HD_READY, HD_STOPPED, HD_SAVED, HD_FAILED, HD_RESTARTING };
enum hd_policy { HD_NEVER, HD_ON_FAILURE, HD_ALWAYS };

struct hd_vm {
	struct hd *hd;
	char name[CO_NAME_LEN];
	uid_t uid;
	json_t *setup;			/* what the worker is told; kept for the next start */
	uint64_t memory;
	enum hd_policy policy;
	bool autostart;
	enum hd_state state;
	bool made;			/* vm.create has succeeded: others may see it */
	bool live;			/* has, or just had, a worker: hd_vm_ended is to come */
	bool starting, stopping, forced, deleting;
	struct hd_req *maker;		/* the vm.create, .start or .restart that waits for the worker */
	struct err failure;		/* what its building failed with; code 0: nothing */
	char reason[ERR_TEXT];
	int exit;			/* the guest's SHUTDOWN_ number, -1: none */
	char last_line[256];
	uint64_t started;		/* loop_now() of the start */

	/* running again */
	bool wanted;			/* it ran, and no client has ended it since */
	bool asked;			/* vm.restart ends it; its maker waits for the next start */
	bool renew;			/* it is unhealthy, and ends in order to start again */
	unsigned int restarts;		/* since a client started it */
	unsigned int row;		/* of these, those without a good time between */
	uint64_t well;			/* loop_now() of when it became ready (or ran), 0: it is not */
	char ill[ERR_TEXT];		/* what its health checks say, "": nothing */
	char waiting[ERR_TEXT];		/* what it is not ready for yet */
	struct loop_timer again_timer, news_timer;
	uint64_t told;			/* loop_now() of the last news */

	/* the device's side */
	int handle;			/* -1: none */
	co_u32 id;
	struct co_counters counters;
	uint64_t overhead_pages;

	/* the worker */
	pid_t pid;			/* 0: none, or reaped */
	struct msg *msg;		/* NULL: closed */
	int log_fd;
	struct loop_fd *log;
	char log_line[512];
	size_t log_len;
	unsigned int log_lines;
	char words[256];		/* the last line it logged */
	int wait_status;
	bool reaped, built, ended;
	bool untrue;			/* it broke the protocol: no more is heard of it */
	char kind[16];			/* how it says that it ended */
	struct loop_timer end_timer, stop_timer;

	int conlog_fd;
	struct conlog *conlog;
	struct hd_viewer *viewers;
	struct hd_exec *execs;		/* commands that run in it, or are being ended */
	struct hd_req *calls, *stops, *deletes;
	unsigned int next_call;
	struct hd_vm *next;
};

struct hd {
	struct loop *loop;
	const char *socket, *device, *worker, *state, *ports;
	unsigned int socket_mode, stop_ms;
	int listen_fd, control;		/* control: open while VMs exist, else -1 */
	struct loop_fd *listen;
	struct loop_timer rest_timer;	/* then it listens again */
	bool rested;			/* it had to once, and the log says so */
	struct hd_client *clients;
	unsigned int nclients;
	struct hd_vm *vms;
	bool leaving;
};

/* main.c */
void hd_leave(void *arg);
void hd_maybe_left(struct hd *hd);

/* peer.c; on macOS darwin.c */
/* Fills in uid, gid, groups and pid of whoever connected fd; else -1 and errno. */
int hd_peer_identity(int fd, struct hd_client *c);
/* Where colinuxd itself lies; else -1. */
int hd_self(char *path, size_t size);
int hd_peer_listen(struct hd *hd, struct err *e);
void hd_peer_close(struct hd *hd);
void hd_peer_send(struct hd_client *c, const json_t *value);	/* NULL: cuts the client off */
void hd_peer_event(struct hd_client *c, const char *name, json_t *params);	/* steals params */
void hd_peer_flow(struct hd_client *c);
void hd_peer_put(struct hd_client *c);
bool hd_peer_owns(const struct hd_client *c, const struct hd_vm *vm);

/* rpc.c */
void hd_rpc_line(struct hd_client *c, char *line, size_t len);
json_t *hd_rpc_error(const json_t *id, const struct err *e);	/* the answer's text; id NULL: none */
void hd_rpc_reply(struct hd_req *r, json_t *result);	/* steals both */
void hd_rpc_fail(struct hd_req *r, const struct err *e);	/* steals r */
void hd_rpc_drop(struct hd_req **list);	/* forgets them: colinuxd ends */

/* host.c */
int hd_host_hello(struct hd *hd, struct co_hello *h, struct err *e);
int hd_host_control(struct hd *hd, struct err *e);
void hd_host_idle(struct hd *hd);
int hd_host_info(struct hd *hd, json_t **result, struct err *e);
json_t *hd_host_doctor(struct hd *hd);

/* check.c */
int hd_check_create(const struct hd *hd, uid_t uid, const json_t *params, struct err *e);

/* vm.c: all vm_* take over r and answer it, now or later */
void hd_vm_create(struct hd_req *r);
void hd_vm_start(struct hd_req *r);
void hd_vm_stop(struct hd_req *r);
void hd_vm_restart(struct hd_req *r);
void hd_vm_delete(struct hd_req *r);
void hd_vm_list(struct hd_req *r);
void hd_vm_get(struct hd_req *r);
void hd_vm_forward(struct hd_req *r);
/* params have passed hd_check_create. */
struct hd_vm *hd_vm_new(struct hd *hd, const struct hd_owner *owner, const json_t *params, struct err *e);
struct hd_vm *hd_vm_of(struct hd_req *r);	/* whose name it gives; NULL: r is answered and gone */
json_t *hd_vm_json(struct hd_vm *vm);
void hd_vm_changed(struct hd_vm *vm);
void hd_vm_news(struct hd_vm *vm);	/* hd_vm_changed, soon: for what a worker can say at will */
void hd_vm_ask_stop(struct hd_vm *vm, uint64_t ms);

/* life.c: what happens to a VM by itself */
int hd_life_begin(struct hd_vm *vm, struct err *e);	/* a fresh domain and a worker for it */
void hd_life_run(struct hd_vm *vm);
void hd_life_built(struct hd_vm *vm, const struct err *e);	/* the worker's first answer */
void hd_life_running(struct hd_vm *vm);
void hd_life_ready(struct hd_vm *vm);
void hd_life_ended(struct hd_vm *vm);			/* the worker is gone for good */
void hd_life_over(struct hd_vm *vm);			/* so is the domain: what now? */
void hd_life_force(struct hd_vm *vm, const char *why);
void hd_life_free(struct hd_vm *vm);
void hd_life_free_all(struct hd *hd);

/* restart.c */
bool hd_restart_due(struct hd_vm *vm);			/* it has ended: does it run again? */
void hd_restart_at(struct hd_vm *vm, uint64_t ms);
void hd_restart_cancel(struct hd_vm *vm);		/* of one that waits to run again */
void hd_restart_ill(struct hd_vm *vm, const char *what);

/* auto.c */
int hd_auto_keep(const struct hd_vm *vm, const json_t *params, struct err *e);
void hd_auto_forget(const struct hd_vm *vm);
void hd_auto_start(struct hd *hd);

/* ports.c: 1: some forward needs a right of root's, and has it; 0: none does */
int hd_ports_check(const struct hd *hd, uid_t uid, const json_t *nets, struct err *e);

/* spawn.c */
int hd_spawn(struct hd_vm *vm, struct err *e);
void hd_spawn_kill(struct hd_vm *vm);
void hd_spawn_text(char *out, size_t size, const char *text);
void hd_spawn_reap(void *arg);
/* Steals params; r (or NULL: nobody waits) is the VM's to answer if this returns 0. */
int hd_spawn_call(struct hd_vm *vm, const char *method, json_t *params, struct hd_req *r);
void hd_spawn_clean(struct hd_vm *vm);

/* exec.c: commands in guests */
int hd_exec_check(struct hd_vm *vm, const struct hd_req *r, struct err *e);	/* may r be forwarded? */
int hd_exec_started(struct hd_vm *vm, struct hd_req *r, const json_t *result, struct err *e);
const char *hd_exec_event(struct hd_vm *vm, const char *name, const json_t *root);	/* NULL, or the breach */
void hd_exec_pump_client(struct hd_client *c);
void hd_exec_forget(struct hd_client *c);
void hd_exec_ended(struct hd_vm *vm);

/* console.c */
void hd_console_attach(struct hd_req *r);
void hd_console_detach(struct hd_req *r);
void hd_console_log(struct hd_req *r);
void hd_console_pump(struct hd_vm *vm);
void hd_console_pump_client(struct hd_client *c);
void hd_console_line(struct hd_vm *vm, const char *line);
void hd_console_forget(struct hd_client *c);
void hd_console_close(struct hd_vm *vm);

#endif
