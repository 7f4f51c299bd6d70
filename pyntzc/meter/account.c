// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A trial's life and its accounts: a bit for each frame says whether it has come,
 * so that duplicates and losses are exact, however late or often a frame comes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define PART_BITS	7	/* a power of two is cut into so many parts, as a power of two */
#define PARTS		(1u << PART_BITS)
#define MAX_FRAMES	((uint64_t)1 << 32)	/* numbers have 32 bits */
#define MAX_RATE	1000000000u

static bool plan_is_good(const struct ntzc_meter_plan *plan)
{
	return plan->frame_len >= NTZC_METER_MIN_FRAME &&
	       plan->frame_len <= NTZC_METER_MAX_FRAME &&
	       plan->frames && plan->frames <= MAX_FRAMES &&
	       plan->rate_fps <= MAX_RATE && !plan->reserved;
}

int ntzc_meter_create(const struct ntzc_meter_plan *plan, struct ntzc_meter **meter)
{
	struct ntzc_meter *m;

	if (!plan_is_good(plan))
		return -EINVAL;
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->plan = *plan;
	m->seen = calloc((plan->frames + 63) / 64, sizeof(*m->seen));
	m->latencies = calloc(NTZC_METER_BUCKETS, sizeof(*m->latencies));
	if (!m->seen || !m->latencies || meter_frame_init(m)) {
		ntzc_meter_destroy(m);
		return -ENOMEM;
	}
	*meter = m;
	return 0;
}

void ntzc_meter_destroy(struct ntzc_meter *meter)
{
	if (!meter)
		return;
	free(meter->template);
	free(meter->latencies);
	free(meter->seen);
	free(meter);
}

void ntzc_meter_stop(struct ntzc_meter *meter)
{
	atomic_store_explicit(&meter->stop, true, memory_order_relaxed);
}

unsigned int ntzc_meter_bucket(__u64 latency_ns)
{
	unsigned int shift;

	if (latency_ns < PARTS)
		return (unsigned int)latency_ns;
	shift = 63 - PART_BITS - (unsigned int)__builtin_clzll(latency_ns);
	return (shift + 1) * PARTS + (unsigned int)(latency_ns >> shift) - PARTS;
}

static void count_latency(struct ntzc_meter *meter, uint64_t sent_ns, uint64_t received_ns)
{
	struct ntzc_meter_result *r = &meter->result;
	uint64_t latency_ns;

	if (received_ns < sent_ns) {
		r->backward++;
		return;
	}
	latency_ns = received_ns - sent_ns;
	if (r->received == r->backward + 1 || latency_ns < r->latency_min_ns)
		r->latency_min_ns = latency_ns;
	if (latency_ns > r->latency_max_ns)
		r->latency_max_ns = latency_ns;
	meter->latencies[ntzc_meter_bucket(latency_ns)]++;
}

static void count_whole(struct ntzc_meter *meter, uint32_t seq, uint32_t len, uint64_t sent_ns,
			uint64_t received_ns)
{
	struct ntzc_meter_result *r = &meter->result;
	uint64_t *word = &meter->seen[seq / 64], bit = (uint64_t)1 << seq % 64;

	if (*word & bit) {
		r->duplicates++;
		return;
	}
	*word |= bit;
	r->received++;
	r->received_bytes += len;
	if (seq < meter->next_seq)
		r->reordered++;
	else
		meter->next_seq = (uint64_t)seq + 1;
	if (r->received == 1)
		r->first_rx_ns = received_ns;
	r->last_rx_ns = received_ns;
	count_latency(meter, sent_ns, received_ns);
}

void ntzc_meter_account(struct ntzc_meter *meter, const unsigned char *frame, __u32 len,
			__u64 received_ns, int checksum_bad)
{
	struct ntzc_meter_result *r = &meter->result;
	uint64_t sent_ns = 0;
	uint32_t seq = 0;

	switch (meter_frame_look(meter, frame, len, &seq, &sent_ns)) {
	case METER_WHOLE:
		if (checksum_bad)
			r->corrupt++;
		else
			count_whole(meter, seq, len, sent_ns, received_ns);
		break;
	case METER_CORRUPT:
		r->corrupt++;
		break;
	case METER_STALE:
		r->stale++;
		break;
	case METER_FOREIGN:
		r->foreign++;
		break;
	}
}

void ntzc_meter_result(const struct ntzc_meter *meter, struct ntzc_meter_result *result,
		       __u64 *latencies)
{
	unsigned int i;

	*result = meter->result;
	for (i = 0; i < NTZC_METER_BUCKETS; i++)
		latencies[i] = meter->latencies[i];
}
