/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * log.c: the log lines of colinuxd, its workers and the relay.
 * Called from one thread at a time or from several: a line is one write().
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

static const char *log_who = "colinux";
static enum log_level log_most = LOG_NOTICE;

void log_open(const char *who, enum log_level most)
{
	log_who = who;
	log_most = most;
}

void log_clean(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
}

void log_line(enum log_level level, const char *format, ...)
{
	int saved = errno;
	char line[LOG_LINE];
	va_list args;
	size_t at;
	int n;

	if (level > log_most)
		return;
	at = (size_t)snprintf(line, sizeof(line), "<%d>%s: ", (int)level, log_who);
	va_start(args, format);
	n = vsnprintf(line + at, sizeof(line) - at - 1, format, args);
	va_end(args);
	if (n < 0)
		return;
	log_clean(line + at);
	at = strlen(line);
	line[at++] = '\n';
	/* A full or closed stderr loses the line: nobody may wait for a log. */
	if (write(STDERR_FILENO, line, at) < 0)
		errno = saved;
	errno = saved;
}
