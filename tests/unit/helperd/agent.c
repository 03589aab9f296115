/* SPDX-License-Identifier: GPL-2.0-or-later */
/* agent.c: the worker's end of the second console and the real agent: commands, ends, checks. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "line.h"
#include "../unit.h"

/* ---- commands ------------------------------------------------------------------------- */

static void streams_and_exit_code_are_the_command_s(void)
{
	line_up();
	line_start(line_shell("echo out; echo err >&2; exit 7"));
	UNTIL(exit_code >= 0);
	CHECK(exit_code == 7 && !strcmp(output[0], "out\n") && !strcmp(output[1], "err\n"), "%s%s", output[0], output[1]);
	line_start(line_shell("kill -TERM $$"));
	UNTIL(exit_signal == SIGTERM);
	line_start(json_pack("{s:[s]}", "argv", "no-such-program"));
	UNTIL(exit_code == 127);
	CHECK(strstr(output[1], "no-such-program: not found"));
	line_start(json_pack("{s:[s], s:s}", "argv", "true", "user", "no-such-user"));
	UNTIL(exit_code == 125);
	CHECK(strstr(output[1], "no user no-such-user"));
	line_start(json_pack("{s:[s, s, s], s:[s], s:s}", "argv", "sh", "-c", "echo $A $HOME; pwd", "env", "A=b c", "cwd", "/etc"));
	UNTIL(exit_code == 0);
	CHECK(!strcmp(output[0], "b c /root\n/etc\n"), "%s", output[0]);
	/* What is left in the background holds up nobody. */
	line_start(line_shell("sleep 1000 & echo $!"));
	UNTIL(exit_code == 0);
	kill(atoi(output[0]), SIGKILL);
	line_down();
}

static void much_goes_through_in_both_directions(void)
{
	static char data[3 << 20];
	unsigned int seed = 7;
	size_t at = 0;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)((seed = seed * 1103515245 + 12345) >> 16);
	line_up();
	line_start(line_shell("cat"));
	while (at < sizeof(data)) {
		size_t n = sizeof(data) - at < 40000 ? sizeof(data) - at : 40000;

		line_write(data + at, n, at + n == sizeof(data));
		UNTIL(answered == 6);
		CHECK(!failure[0], "%s", failure);
		at += n;
	}
	UNTIL(exit_code == 0);
	CHECK(got[0] == sizeof(data) && !memcmp(output[0], data, sizeof(data)));
	line_down();
}

static void nobody_buffers_without_bound(void)
{
	static char data[40000];

	line_up();
	/* A client that does not read: no more than the window comes, and the rest after all. */
	taken = false;
	line_start(line_shell("head -c 1000000 /dev/zero; head -c 300000 /dev/zero >&2"));
	UNTIL(got[0] == FRAME_WINDOW);
	line_run(100);
	CHECK(got[0] == FRAME_WINDOW && !got[1] && exit_code < 0);
	taken = true;
	line_ask(0, "exec.credit", json_pack("{s:I, s:b, s:i}", "exec", exec_id, "stderr", 0, "bytes", FRAME_WINDOW));
	UNTIL(exit_code == 0);
	CHECK(got[0] == 1000000 && got[1] == 300000);
	/* A command that does not read: the write waits, and ends with it. */
	line_start(line_shell("sleep 1000"));
	for (int i = 0; i < 8; i++) {
		line_write(data, sizeof(data), 0);
		line_run(20);
	}
	CHECK(answered == 6 && strstr(failure, "4 writes wait"), "%s", failure);
	line_ask(7, "exec.signal", json_pack("{s:I, s:i}", "exec", exec_id, "signal", SIGKILL));
	UNTIL(exit_signal == SIGKILL);
	line_write(data, 10, 0);
	CHECK(answered == 6 && strstr(failure, "has ended"));
	line_down();
}

static void a_terminal_has_a_size(void)
{
	line_up();
	line_start(json_pack("{s:[s, s, s], s:b, s:b, s:i, s:i}", "argv", "sh", "-c",
			"stty -echo; stty size; read x; stty size; tty >/dev/null && echo yes", "tty", 1, "stdin", 1,
			"columns", 91, "rows", 33));
	UNTIL(strstr(output[0], "33 91"));
	line_ask(7, "exec.resize", json_pack("{s:I, s:i, s:i}", "exec", exec_id, "columns", 101, "rows", 44));
	line_write("\n", 1, 0);
	UNTIL(exit_code == 0);
	CHECK(strstr(output[0], "44 101") && strstr(output[0], "yes"), "%s", output[0]);
	line_start(json_pack("{s:[s], s:b, s:b}", "argv", "cat", "tty", 1, "stdin", 1));
	line_write("end of it\n", 10, 1);
	UNTIL(exit_code == 0);
	CHECK(strstr(output[0], "end of it"));
	/* A command that lets go of its terminal goes on, and may come back to it. */
	line_start(json_pack("{s:[s, s, s], s:b}", "argv", "sh", "-c",
			     "exec <&- >&- 2>&-; sleep 0.3; echo back >/dev/tty; exit 6", "tty", 1));
	UNTIL(exit_code != -1);
	CHECK(exit_code == 6 && strstr(output[0], "back"), "%lld %s", (long long)exit_code, output[0]);
	line_down();
}

static void a_command_ends_with_its_client(void)
{
	pid_t pid;

	line_up();
	line_start(line_shell("trap '' HUP; echo $$; sleep 1000"));
	UNTIL(strchr(output[0], '\n'));
	pid = atoi(output[0]);
	CHECK(pid > 1 && !kill(pid, 0));
	line_ask(0, "exec.end", json_pack("{s:I}", "exec", exec_id));
	/* It does not want to: then it is made to. */
	UNTIL(kill(pid, 0));
	UNTIL(exit_signal == SIGKILL);
	line_down();
}

static void many_at_once(void)
{
	json_int_t ids[FRAME_SESSIONS];

	line_up();
	for (unsigned int i = 0; i < FRAME_SESSIONS; i++) {
		line_start(line_shell("read x; exit $x"));
		CHECK(!failure[0]);
		ids[i] = exec_id;
	}
	line_start(line_shell("true"));
	CHECK(strstr(failure, "32 commands run"), "%s", failure);
	for (unsigned int i = FRAME_SESSIONS; i--; ) {
		exec_id = ids[i];
		exit_code = -1;
		line_write("9\n", 2, 1);
		UNTIL(exit_code == 9);
	}
	line_down();
}

/* A line that others could write to would let them speak for root's commands. */
static void nobody_else_has_a_word_on_the_line(void)
{
	struct stat s;
	char name[64];
	int how;
	pid_t pid;

	line_up();
	CHECK(!ptsname_r(line, name, sizeof(name)) && !stat(name, &s) && (s.st_mode & 0777) == 0600);
	CHECK(!chmod(name, 0666));
	pid = fork();
	if (!pid)
		_exit(setuid(12345) ? 0 : open(name, O_RDWR | O_NOCTTY) < 0 ? errno : 0);
	CHECK(waitpid(pid, &how, 0) == pid && WIFEXITED(how) && WEXITSTATUS(how) == EBUSY, "%x", (unsigned int)how);
	line_down();
}

/* ---- the agent comes and goes ------------------------------------------------------------ */

static void an_agent_that_dies_is_followed_by_the_next(void)
{
	pid_t pid;

	line_up();
	for (int i = 0; i < 5; i++) {
		/* Killed in the middle of a frame, and with one to it under way. */
		line_start(line_shell("echo $$; exec cat /dev/zero"));
		UNTIL(strchr(output[0], '\n'));
		pid = atoi(output[0]);
		line_write("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 80, 0);
		line_run((unsigned int)i * 3);
		line_kill();
		line_agent();
		UNTIL(strstr(failure, "begun anew"));
		UNTIL(wk_agent_connected(&half));
		UNTIL(kill(pid, 0));
		line_start(line_shell("echo again"));
		UNTIL(exit_code == 0);
		CHECK(!strcmp(output[0], "again\n"));
	}
	line_down();
}

static void a_silent_agent_is_an_error(void)
{
	line_plug();
	line_start(line_shell("true"));
	CHECK(strstr(failure, "the agent of half does not answer: is colinux-agent running"), "%s", failure);
	/* One that comes while it is waited for is not too late. */
	line_ask(5, "exec.start", line_shell("exit 3"));
	line_agent();
	UNTIL(exit_code == 3);
	line_start(line_shell("sleep 1000"));
	kill(agent, SIGSTOP);
	UNTIL(strstr(failure, "does not answer"));
	CHECK(!wk_agent_connected(&half));
	/* It was only slow: everything begins anew. */
	kill(agent, SIGCONT);
	UNTIL(wk_agent_connected(&half));
	line_start(line_shell("exit 4"));
	UNTIL(exit_code == 4);
	/* The driver closes the line: the agent's end is told like any other. */
	line_start(line_shell("sleep 1000"));
	half_write("console/1/state", "6");
	CHECK(strstr(failure, "closed the line") && !wk_agent_connected(&half));
	line_down();
}

/* ---- checks of services -------------------------------------------------------------------- */

static int probe_ok = -1;
static char probe_why[200];

static void probed(void *arg, bool ok, const char *why)
{
	CHECK(arg == &probe_ok);
	probe_ok = ok;
	snprintf(probe_why, sizeof(probe_why), "%s", why);
}

static void probe(uint16_t port, const char *expect, uint32_t ms)
{
	probe_ok = -1;
	wk_agent_probe(&half, port, expect, ms, probed, &probe_ok);
	CHECK(probe_ok < 0);
	UNTIL(probe_ok >= 0);
}

/* A service on the loopback that greets whoever comes. */
static pid_t serve(const char *greeting, uint16_t *port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	pid_t pid;

	CHECK(!bind(fd, (struct sockaddr *)&at, len) && !listen(fd, 8) && !getsockname(fd, (struct sockaddr *)&at, &len));
	*port = ntohs(at.sin_port);
	pid = fork();
	while (!pid) {
		int c = accept(fd, NULL, NULL);

		if (write(c, greeting, strlen(greeting)) < 0)
			_exit(1);
		if (*greeting == '!')
			close(c);
	}
	close(fd);
	return pid;
}

static void services_are_checked(void)
{
	uint16_t port, mute;
	pid_t polite, silent;

	line_up();
	polite = serve("220 hello there\r\n", &port);
	silent = serve("", &mute);
	probe(port, "220 ", 20000);
	CHECK(probe_ok == 1, "%s", probe_why);
	probe(port, NULL, 20000);
	CHECK(probe_ok == 1, "%s", probe_why);
	probe(port, "221 ", 20000);
	CHECK(!probe_ok && !strncmp(probe_why, "it answers \"220 ", 16), "%s", probe_why);
	probe(mute, "220 ", 200);
	CHECK(!probe_ok && !strcmp(probe_why, "nothing was said in time"), "%s", probe_why);
	kill(polite, SIGKILL);
	waitpid(polite, NULL, 0);
	probe(port, "220 ", 20000);
	CHECK(!probe_ok && !strcmp(probe_why, "Connection refused"), "%s", probe_why);
	line_kill();
	probe(mute, "220 ", 100);
	CHECK(!probe_ok && strstr(probe_why, "does not answer"), "%s", probe_why);
	kill(silent, SIGKILL);
	waitpid(silent, NULL, 0);
	line_down();
}

int main(void)
{
	alarm(500);
	signal(SIGPIPE, SIG_IGN);
	RUN(streams_and_exit_code_are_the_command_s);
	RUN(much_goes_through_in_both_directions);
	RUN(nobody_buffers_without_bound);
	RUN(a_terminal_has_a_size);
	RUN(a_command_ends_with_its_client);
	RUN(many_at_once);
	RUN(nobody_else_has_a_word_on_the_line);
	RUN(an_agent_that_dies_is_followed_by_the_next);
	RUN(a_silent_agent_is_an_error);
	RUN(services_are_checked);
	UNIT_END();
}
