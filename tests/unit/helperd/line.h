/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * line.h: the worker's end of the second console on half a worker, the kernel
 * of its guest, and the real agent behind a pseudo terminal.
 */
#ifndef LINE_H
#define LINE_H

#include "../../../helperd/agent/frame.h"
#include "../../../kext/include/xen/io/console.h"
#include "half.h"

#define PORT		9u
#define PATIENCE_MS	20000u
#define ROOM		(4u << 20)

extern struct xencons_interface *page;
extern pid_t agent;
extern int line;			/* the terminal's other end; -1: no agent */
extern char output[2][ROOM];		/* of the newest command */
extern size_t got[2];
extern json_int_t answered, exec_id, exit_code, exit_signal;
extern char failure[ERR_TEXT];
extern bool taken;			/* whoever gets output gives credit for it */
extern bool crowded;			/* colinuxd does not read */
extern unsigned int told;		/* events with output */

void line_plug(void);			/* no agent yet */
void line_agent(void);
void line_kill(void);
void line_up(void);			/* both, and they have met */
void line_down(void);
void line_move(void);			/* a little of everything */
void line_run(unsigned int ms);
void line_ask(json_int_t id, const char *method, json_t *params);	/* steals params */
void line_start(json_t *params);	/* exec.start, and waits for its answer */
json_t *line_shell(const char *script);
void line_write(const char *data, size_t len, int eof);

#define UNTIL(cond)								\
	do {									\
		uint64_t end_ = loop_now() + PATIENCE_MS;			\
		while (!(cond) && loop_now() < end_)				\
			line_move();							\
		CHECK(cond);							\
	} while (0)

#endif
