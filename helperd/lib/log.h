/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * log: lines on stderr, "<level> text" (systemd's prefix), one write a line.
 * A worker's stderr is a pipe that colinuxd reads; colinuxd's own is the
 * journal's or the terminal's.
 */
#ifndef LIB_LOG_H
#define LIB_LOG_H

enum log_level { LOG_ERROR = 3, LOG_WARNING = 4, LOG_NOTICE = 5, LOG_DEBUG = 7 };

#define LOG_LINE	1024u

void log_open(const char *who, enum log_level most);
void log_line(enum log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Makes text from others fit for a log or a terminal: control characters become '?'. */
void log_clean(char *text);

#endif
