// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The generator: frame n is due n / rate seconds after the first one. A thread
 * that was kept from running sends what became due meanwhile at once; by how much
 * it was late at most is part of the result.
 */
#include <errno.h>
#include <sched.h>

#include "internal.h"

#define NS		1000000000u
#define WAIT_MS		20	/* for room, before it looks whether the time is up */
#define DRAIN_MS	10000
#define SPIN_NS		50000	/* sleeping takes about that long */

struct generator {
	struct ntzc_meter *meter;
	struct ntzc_tap *tap;
	uint64_t start_ns;
	uint64_t sent;
};

/* Nanoseconds from the first frame's turn to frame @n's; seconds apart, to stay in 64 bits */
static uint64_t due_ns(const struct generator *g, uint64_t n)
{
	uint64_t rate = g->meter->plan.rate_fps;

	return n / rate * NS + n % rate * NS / rate;
}

/* How many frames are due @elapsed_ns after the start */
static uint64_t due_frames(const struct generator *g, uint64_t elapsed_ns)
{
	uint64_t rate = g->meter->plan.rate_fps;

	return elapsed_ns / NS * rate + elapsed_ns % NS * rate / NS + 1;
}

static bool time_is_up(const struct generator *g)
{
	uint64_t limit_ns = g->meter->plan.duration_ns;

	return limit_ns && meter_now() - g->start_ns >= limit_ns;
}

/* Wait for the next frame's turn. What is near is waited for awake, to be there in time. */
static void wait_turn(const struct generator *g)
{
	uint64_t at_ns = g->start_ns + due_ns(g, g->sent), now_ns = meter_now();
	struct timespec until;

	if (at_ns > now_ns + 2 * SPIN_NS) {
		at_ns -= SPIN_NS;
		if (at_ns > now_ns + (uint64_t)WAIT_MS * 1000000) /* and look up now and then */
			at_ns = now_ns + (uint64_t)WAIT_MS * 1000000;
		until.tv_sec = (time_t)(at_ns / NS);
		until.tv_nsec = (long)(at_ns % NS);
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
	}
}

/* Return: how many frames to send now, at most a batch; 0 to ask again */
static unsigned int next_frames(const struct generator *g)
{
	const struct ntzc_meter_plan *plan = &g->meter->plan;
	struct ntzc_meter_result *r = &g->meter->result;
	uint64_t left = plan->frames - g->sent, elapsed_ns, ready, late_ns;

	if (left > METER_BATCH)
		left = METER_BATCH;
	if (!plan->rate_fps)
		return (unsigned int)left;
	elapsed_ns = meter_now() - g->start_ns;
	ready = due_frames(g, elapsed_ns);
	if (ready <= g->sent) {
		wait_turn(g);
		return 0;
	}
	late_ns = elapsed_ns - due_ns(g, g->sent);
	if ((int64_t)late_ns > 0 && late_ns > r->late_max_ns)
		r->late_max_ns = late_ns;
	return (unsigned int)(ready - g->sent < left ? ready - g->sent : left);
}

/* Submit filled buffers; those that the card does not take in time go back */
static int submit(struct generator *g, const struct ntzc_desc *descs, unsigned int n)
{
	unsigned int done = 0;
	int ret = 0;

	while (done < n) {
		ret = ntzc_tap_submit(g->tap, descs + done, n - done, WAIT_MS);
		if (ret > 0) {
			done += (unsigned int)ret;
			continue;
		}
		if (ret != -EINTR && ret != -ENOSPC)
			break;
		ret = 0;
		if (meter_stopped(g->meter) || time_is_up(g))
			break;
	}
	g->sent += done;
	if (done < n)
		ntzc_tap_release_descs(g->tap, descs + done, n - done);
	return ret < 0 ? ret : 0;
}

/* Return: 0 or a negative errno */
static int send_batch(struct generator *g, unsigned int want)
{
	struct ntzc_desc descs[METER_BATCH];
	uint32_t len = g->meter->plan.frame_len;
	uint64_t now_ns;
	int i, n;

	n = ntzc_tap_reserve(g->tap, descs, want, WAIT_MS);
	if (n < 0)
		return n == -EINTR || n == -ENOBUFS ? 0 : n;
	now_ns = meter_now();
	for (i = 0; i < n; i++) {
		if (descs[i].len < len) {
			ntzc_tap_release_descs(g->tap, descs, (unsigned int)n);
			return -EINVAL;
		}
		descs[i].len = len;
		ntzc_meter_make(g->meter, (uint32_t)(g->sent + (uint64_t)i), now_ns,
				ntzc_tap_tx_data(g->tap, &descs[i]));
	}
	return submit(g, descs, (unsigned int)n);
}

/* All frames, or as many as the time and the card allow */
static int send_all(struct generator *g)
{
	const struct ntzc_meter_plan *plan = &g->meter->plan;
	unsigned int want;
	int err = 0;

	g->start_ns = meter_now();
	while (!err && g->sent < plan->frames && !meter_stopped(g->meter) && !time_is_up(g)) {
		want = next_frames(g);
		if (want)
			err = send_batch(g, want);
	}
	if (!err)
		err = ntzc_tap_drain(g->tap, DRAIN_MS);
	return err == -EINTR && meter_stopped(g->meter) ? 0 : err;
}

/* Tell the receiver how many frames to wait for, and until when */
static void tell(struct ntzc_meter *meter, uint64_t sent)
{
	atomic_store_explicit(&meter->n_sent, sent, memory_order_relaxed);
	atomic_store_explicit(&meter->settled_ns, meter_now() + meter->plan.settle_ns,
			      memory_order_relaxed);
	/* pairs with the acquire in finished(), receive.c */
	atomic_store_explicit(&meter->all_sent, true, memory_order_release);
}

int ntzc_meter_send(struct ntzc_meter *meter, struct ntzc_tap *tap)
{
	struct generator g = { .meter = meter, .tap = tap };
	uint64_t cpu_ns;
	int err;

	while (!atomic_load_explicit(&meter->receiving, memory_order_relaxed)) {
		if (meter_stopped(meter))
			return 0;
		sched_yield();
	}
	cpu_ns = meter_clock(CLOCK_THREAD_CPUTIME_ID);
	err = send_all(&g);
	meter->result.send_ns = meter_now() - g.start_ns;
	meter->result.send_cpu_ns = meter_clock(CLOCK_THREAD_CPUTIME_ID) - cpu_ns;
	meter->result.sent = g.sent;
	tell(meter, g.sent);
	return err;
}
