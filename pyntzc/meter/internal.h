/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the meter share. */
#ifndef NTZC_METER_INTERNAL_H
#define NTZC_METER_INTERNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "meter.h"

#define METER_BATCH	64

/* What to make of a frame that came in */
enum meter_kind {
	METER_WHOLE,	/* of this trial */
	METER_CORRUPT,
	METER_STALE,	/* of another one */
	METER_FOREIGN,
};

/*
 * The sending thread owns @result's sent, send_ns, late_max_ns and send_cpu_ns;
 * the receiving one has the rest, with @seen, @latencies and @next_seq. What one
 * tells the other is atomic. @template is not changed after creation.
 */
struct ntzc_meter {
	struct ntzc_meter_plan plan;
	struct ntzc_meter_result result;
	unsigned char *template;	/* a frame whose number and time are 0 */
	uint32_t template_sum;		/* of what its UDP checksum covers */
	uint64_t *seen;			/* a bit for each frame */
	uint64_t *latencies;
	uint64_t next_seq;		/* one more than the greatest number so far */

	atomic_bool stop;
	atomic_bool receiving;		/* the sender waits for it */
	atomic_bool all_sent;		/* released after @n_sent and @settled_ns */
	_Atomic uint64_t n_sent;
	_Atomic uint64_t settled_ns;	/* the receiver waits no longer than that */
};

int meter_frame_init(struct ntzc_meter *meter);
enum meter_kind meter_frame_look(const struct ntzc_meter *meter, const unsigned char *frame,
				 uint32_t len, uint32_t *seq, uint64_t *sent_ns);

static inline uint64_t meter_clock(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline uint64_t meter_now(void)
{
	return meter_clock(CLOCK_MONOTONIC);
}

static inline bool meter_stopped(struct ntzc_meter *meter)
{
	return atomic_load_explicit(&meter->stop, memory_order_relaxed);
}

#endif /* NTZC_METER_INTERNAL_H */
