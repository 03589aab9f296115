/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * session.c: the commands that run, their input and output, and their ends.
 *
 * A session is over when its command has ended and what it had written is
 * sent.  Whoever it left in the background may still hold the pipes: nobody
 * waits for those.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "agent.h"

#define SESSION_CREDIT	16384u		/* given back in such pieces, or when all is written */
#define SESSION_HUSH_MS	50u
#define SESSION_FORGOTTEN UINT32_MAX	/* the host knows it no more; its number may come again */

struct session {
	uint32_t id;			/* 0: free */
	pid_t pid;			/* 0: reaped */
	bool tty, exited, ended, eof;
	int status;
	int in, out[2];			/* -1: closed */
	int poll_in, poll_out[2];	/* indices; -1: not waited for */
	uint32_t credit[2];		/* bytes that may be sent of stdout, stderr */
	uint64_t kill_due;		/* after ended; 0: done */
	uint64_t hush;			/* a terminal that nobody has open: not read before this time */
	uint32_t at, have, taken;	/* of input; taken: not yet given back */
	uint8_t input[FRAME_WINDOW];
};

static struct session *sessions[FRAME_SESSIONS];

static struct session *session_find(uint32_t id)
{
	for (unsigned int i = 0; i < FRAME_SESSIONS; i++)
		if (sessions[i] && sessions[i]->id == id)
			return sessions[i];
	return NULL;
}

static void session_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void session_close_in(struct session *s)
{
	/* A terminal's two directions are one descriptor. */
	if (s->in != s->out[0])
		session_close(&s->in);
	s->in = -1;
}

static void session_close_out(struct session *s, int which)
{
	if (which == 0 && s->in == s->out[0])
		s->in = -1;
	session_close(&s->out[which]);
}

/* ---- start ------------------------------------------------------------------ */

/* The next NUL-terminated text of a frame; NULL: there is none. */
static char *session_text(char **at, const char *end)
{
	char *text = *at, *nul = memchr(text, 0, (size_t)(end - text));

	*at = nul ? nul + 1 : *at;
	return nul ? text : NULL;
}

static bool session_parse(struct spawn *sp, const struct frame *f, char *text)
{
	unsigned int words = frame_get16(f->data + 5), environment = frame_get16(f->data + 7);
	char *at = text, *end = text + (f->len - FRAME_EXEC_HEAD);
	bool whole;

	if (words > FRAME_ARGS_MAX || environment > FRAME_ARGS_MAX)
		return false;
	memcpy(text, f->data + FRAME_EXEC_HEAD, (size_t)(end - text));
	sp->tty = f->data[0] & FRAME_EXEC_TTY;
	sp->input = f->data[0] & FRAME_EXEC_STDIN;
	sp->columns = (uint16_t)frame_get16(f->data + 1);
	sp->rows = (uint16_t)frame_get16(f->data + 3);
	sp->user = session_text(&at, end);
	sp->folder = sp->user ? session_text(&at, end) : NULL;
	whole = sp->folder;
	for (unsigned int i = 0; whole && i < words; i++)
		whole = (sp->words[i] = session_text(&at, end));
	for (unsigned int i = 0; whole && i < environment; i++)
		whole = (sp->environment[i] = session_text(&at, end));
	return whole;
}

static void session_start(const struct frame *f)
{
	static char text[FRAME_DATA_MAX];
	static char *words[FRAME_ARGS_MAX + 1], *environment[FRAME_ARGS_MAX + 1];
	struct spawn sp = { .words = words, .environment = environment };
	struct session *s = NULL;
	unsigned int slot = 0;
	int err;

	memset(words, 0, sizeof(words));
	memset(environment, 0, sizeof(environment));
	while (slot < FRAME_SESSIONS && sessions[slot])
		slot++;
	if (!f->id || f->id == SESSION_FORGOTTEN || session_find(f->id) || f->len < FRAME_EXEC_HEAD || !session_parse(&sp, f, text)) {
		agent_send_text(FRAME_FAILED, f->id, "the request is malformed");
		return;
	}
	if (slot < FRAME_SESSIONS)
		s = calloc(1, sizeof(*s));
	if (!s) {
		agent_send_text(FRAME_FAILED, f->id, slot < FRAME_SESSIONS ? "out of memory" :
				"too many commands run at once");
		return;
	}
	err = spawn_command(&sp);
	if (err) {
		free(s);
		agent_send_text(FRAME_FAILED, f->id, strerror(err));
		return;
	}
	s->id = f->id;
	s->pid = sp.pid;
	s->tty = sp.tty;
	s->in = sp.in;
	s->out[0] = sp.out;
	s->out[1] = sp.err;
	s->credit[0] = s->credit[1] = FRAME_WINDOW;
	sessions[slot] = s;
	agent_send(FRAME_STARTED, 0, s->id, NULL, 0);
}

/* ---- end ---------------------------------------------------------------------- */

static void session_free(struct session **slot)
{
	struct session *s = *slot;

	session_close_in(s);
	session_close_out(s, 0);
	session_close_out(s, 1);
	free(s);
	*slot = NULL;
}

static void session_check_over(struct session **slot)
{
	struct session *s = *slot;
	uint8_t how[2];

	if (!s->exited || s->out[0] >= 0 || s->out[1] >= 0)
		return;
	how[0] = WIFSIGNALED(s->status);
	how[1] = (uint8_t)(WIFSIGNALED(s->status) ? WTERMSIG(s->status) : WEXITSTATUS(s->status));
	if (s->id != SESSION_FORGOTTEN)
		agent_send(FRAME_EXIT, 0, s->id, how, sizeof(how));
	session_free(slot);
}

/* Nobody listens any more: what a person's terminal does when it is closed. */
static void session_end(struct session *s)
{
	if (s->ended)
		return;
	s->ended = true;
	session_close_in(s);
	session_close_out(s, 0);
	session_close_out(s, 1);
	if (s->pid) {
		kill(-s->pid, SIGHUP);
		kill(-s->pid, SIGCONT);
		s->kill_due = agent_now() + AGENT_GRACE_MS;
	}
}

void session_reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (unsigned int i = 0; i < FRAME_SESSIONS; i++)
			if (sessions[i] && sessions[i]->pid == pid) {
				sessions[i]->pid = 0;
				sessions[i]->kill_due = 0;
				sessions[i]->exited = true;
				sessions[i]->status = status;
			}
}

/* The host has forgotten all of them. */
void session_end_all(void)
{
	for (unsigned int i = 0; i < FRAME_SESSIONS; i++)
		if (sessions[i]) {
			session_end(sessions[i]);
			sessions[i]->id = SESSION_FORGOTTEN;
		}
}

/* ---- what the host says ----------------------------------------------------------- */

static void session_input(struct session *s, const struct frame *f)
{
	uint32_t at = s->at + s->have, n = f->len;

	if (n > FRAME_WINDOW - s->have)
		n = FRAME_WINDOW - s->have;	/* more than we gave credit for */
	for (uint32_t i = 0; i < n; i++)
		s->input[(at + i) % FRAME_WINDOW] = f->data[i];
	s->have += n;
}

static void session_resize(struct session *s, const struct frame *f)
{
	struct winsize size = { 0 };

	size.ws_col = (unsigned short)frame_get16(f->data);
	size.ws_row = (unsigned short)frame_get16(f->data + 2);
	if (s->tty && s->out[0] >= 0)
		ioctl(s->out[0], TIOCSWINSZ, &size);
}

void session_frame(const struct frame *f)
{
	struct session *s;

	if (f->type == FRAME_EXEC) {
		session_start(f);
		return;
	}
	/* One that has just ended is asked for now and then. */
	s = f->id == SESSION_FORGOTTEN ? NULL : session_find(f->id);
	if (!s)
		return;
	if (f->type == FRAME_DATA && f->stream == 0 && !s->eof)
		session_input(s, f);
	else if (f->type == FRAME_EOF)
		s->eof = true;
	else if (f->type == FRAME_CREDIT && f->len == 4 && (f->stream == 1 || f->stream == 2))
		s->credit[f->stream - 1] += frame_get32(f->data);
	else if (f->type == FRAME_WINDOW_SIZE && f->len == 4)
		session_resize(s, f);
	else if (f->type == FRAME_SIGNAL && f->len == 1 && s->pid)
		kill(-s->pid, f->data[0]);
	else if (f->type == FRAME_END)
		session_end(s);
}

/* ---- input and output --------------------------------------------------------------- */

/* Gives back what was written, or what nobody will read. */
static void session_give(struct session *s)
{
	uint8_t credit[4];

	if (!s->taken || (s->taken < SESSION_CREDIT && s->have))
		return;
	frame_put32(credit, s->taken);
	s->taken = 0;
	if (!s->ended)
		agent_send(FRAME_CREDIT, 0, s->id, credit, sizeof(credit));
}

static void session_write(struct session *s)
{
	while (s->have && s->in >= 0) {
		uint32_t run = FRAME_WINDOW - s->at;
		ssize_t n = write(s->in, s->input + s->at, s->have < run ? s->have : run);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			session_close_in(s);
			break;
		}
		s->at = (s->at + (uint32_t)n) % FRAME_WINDOW;
		s->have -= (uint32_t)n;
		s->taken += (uint32_t)n;
	}
	if (s->in < 0) {
		s->taken += s->have;
		s->have = 0;
	}
	if (s->eof && !s->have && s->in >= 0) {
		/* A terminal has no end: its reader sees one at this character. */
		if (s->tty && write(s->in, "\004", 1) < 0 && errno == EAGAIN)
			return;
		session_close_in(s);
	}
	session_give(s);
}

static void session_read(struct session *s, int which)
{
	static uint8_t data[FRAME_DATA_MAX];

	while (s->out[which] >= 0 && s->credit[which]) {
		size_t most = s->credit[which] < sizeof(data) ? s->credit[which] : sizeof(data);
		ssize_t n = read(s->out[which], data, most);

		if (n > 0) {
			s->credit[which] -= (uint32_t)n;
			agent_send(FRAME_DATA, (uint8_t)(which + 1), s->id, data, (size_t)n);
			/* Others want to be served too; what is left is polled for. */
			if (!s->exited)
				return;
		} else if (n < 0 && errno == EINTR) {
			continue;
		} else {
			/*
			 * A command about to exit, that has closed its terminal, or one that
			 * opens it again: closing our end would hang up on it.
			 */
			if (s->tty && !s->exited && errno == EIO)
				s->hush = agent_now() + SESSION_HUSH_MS;
			/* Still open and empty: closed only if its command has ended. */
			else if (n == 0 || errno != EAGAIN || s->exited)
				session_close_out(s, which);
			return;
		}
	}
}

void session_wait(struct agent_polls *p)
{
	for (unsigned int i = 0; i < FRAME_SESSIONS; i++) {
		struct session *s = sessions[i];

		if (!s)
			continue;
		s->poll_in = s->poll_out[0] = s->poll_out[1] = -1;
		if (s->in >= 0 && (s->have || s->eof))
			s->poll_in = agent_poll_add(p, s->in, POLLOUT);
		for (int k = 0; k < 2; k++)
			if (s->out[k] >= 0 && s->credit[k] && s->hush <= agent_now())
				s->poll_out[k] = agent_poll_add(p, s->out[k], POLLIN);
		if (s->kill_due)
			agent_poll_by(p, s->kill_due);
		if (s->hush > agent_now())
			agent_poll_by(p, s->hush);
		/* There is something to do that no descriptor tells. */
		if ((s->in < 0 && (s->have || s->taken)) || (s->exited && s->out[0] < 0 && s->out[1] < 0))
			agent_poll_by(p, 0);
	}
}

void session_run(const struct agent_polls *p)
{
	for (unsigned int i = 0; i < FRAME_SESSIONS; i++) {
		struct session *s = sessions[i];

		if (!s)
			continue;
		if ((s->poll_in >= 0 && p->fds[s->poll_in].revents) || (s->in < 0 && (s->have || s->taken)))
			session_write(s);
		for (int k = 0; k < 2; k++)
			if (s->exited || (s->poll_out[k] >= 0 && p->fds[s->poll_out[k]].revents))
				session_read(s, k);
		if (s->kill_due && agent_now() >= s->kill_due && s->pid) {
			s->kill_due = 0;
			kill(-s->pid, SIGKILL);
		}
		session_check_over(&sessions[i]);
	}
}
