/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pause in which frames gather, so that what is counted is the work of full
 * batches: as long as the host needs to send many, which it says in the variable
 * NTZC_PAUSE_MS of the environment; else 60 ms.
 */
#ifndef NTZC_GATHER_H
#define NTZC_GATHER_H

#include <stdlib.h>
#include <time.h>

static inline void gather_pause(void)
{
	static struct timespec pause;

	if (!pause.tv_sec && !pause.tv_nsec) {
		const char *told = getenv("NTZC_PAUSE_MS");
		long ms = told ? atol(told) : 60;

		pause = (struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
	}
	nanosleep(&pause, NULL);
}

#endif
