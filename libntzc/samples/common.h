/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the samples need: numbers from the command line, time, and a clean end. */
#ifndef NTZC_SAMPLES_COMMON_H
#define NTZC_SAMPLES_COMMON_H

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libntzc.h"

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
	(void)number;
	stop = 1;
}

/* No SA_RESTART: a call that waits returns, and the loop sees the flag */
static inline void end_on_signals(void)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_handler = on_signal;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static inline int fail(const char *what, int err)
{
	fprintf(stderr, "%s: %s (%s)\n", what, ntzc_strerror(err), strerror(-err));
	return 1;
}

/* "5", or "5-9" where @high is given. Return: 0, or -EINVAL. */
static inline int parse_range(const char *text, uint64_t min, uint64_t max,
			      uint64_t *low, uint64_t *high)
{
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	*low = strtoull(text, &end, 10);
	if (high) {
		*high = *low;
		if (*end == '-' && end[1] >= '0' && end[1] <= '9')
			*high = strtoull(end + 1, &end, 10);
		if (*high < *low || *high > max)
			return -EINVAL;
	}
	return *end || errno || *low < min || *low > max ? -EINVAL : 0;
}

static inline uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline uint16_t load_be16(const unsigned char *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline void store_be16(unsigned char *p, uint16_t value)
{
	p[0] = (unsigned char)(value >> 8);
	p[1] = (unsigned char)value;
}

#endif /* NTZC_SAMPLES_COMMON_H */
