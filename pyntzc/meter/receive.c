// SPDX-License-Identifier: GPL-2.0-or-later
/* Where frames come in: the receiver of a trial, and the far end that sends them back. */
#include <errno.h>

#include "internal.h"

#define TICK_MS		20	/* to look whether it is over */
#define ROOM_MS		100	/* for room in the card's ring: then frames are dropped */

static bool finished(struct ntzc_meter *meter)
{
	if (meter_stopped(meter))
		return true;
	/* pairs with the release in tell(), send.c */
	if (!atomic_load_explicit(&meter->all_sent, memory_order_acquire))
		return false;
	return meter->result.received >=
		       atomic_load_explicit(&meter->n_sent, memory_order_relaxed) ||
	       meter_now() >= atomic_load_explicit(&meter->settled_ns, memory_order_relaxed);
}

int ntzc_meter_receive(struct ntzc_meter *meter, struct ntzc_tap *tap)
{
	uint64_t cpu_ns = meter_clock(CLOCK_THREAD_CPUTIME_ID);
	const struct ntzc_desc *descs;
	int i, n = 0;

	atomic_store_explicit(&meter->receiving, true, memory_order_relaxed);
	while (!finished(meter)) {
		n = ntzc_tap_view(tap, &descs, METER_BATCH, TICK_MS);
		if (n < 0 && n != -EINTR)
			break;
		for (i = 0; i < n; i++)
			ntzc_meter_account(meter, ntzc_tap_data(tap, &descs[i]), descs[i].len,
					   descs[i].timestamp,
					   descs[i].flags & (NTZC_RX_L3_BAD | NTZC_RX_L4_BAD));
		if (n > 0)
			ntzc_tap_done(tap, descs, (unsigned int)n);
	}
	meter->result.receive_cpu_ns = meter_clock(CLOCK_THREAD_CPUTIME_ID) - cpu_ns;
	return n < 0 && n != -EINTR ? n : 0;
}

/* Send a view back, or drop what the card does not take. Return: 0 or a negative errno. */
static int send_back(struct ntzc_meter *meter, struct ntzc_tap *tap,
		     const struct ntzc_desc *descs, unsigned int n)
{
	int ret;

	while (n) {
		ret = ntzc_tap_forward(tap, descs, n, 0, ROOM_MS);
		if (ret == -EINTR && !meter_stopped(meter))
			continue;
		if (ret <= 0) {
			ntzc_tap_done(tap, descs, n);
			return ret == -ENOSPC || ret == -EINTR ? 0 : ret;
		}
		meter->result.sent += (unsigned int)ret;
		/* the frames are gone; this frees their descriptors' places */
		ntzc_tap_take(tap, descs, (unsigned int)ret);
		descs += ret;
		n -= (unsigned int)ret;
	}
	return 0;
}

int ntzc_meter_reflect(struct ntzc_meter *meter, struct ntzc_tap *tap)
{
	const struct ntzc_desc *descs;
	int err = 0, n;

	while (!err && !meter_stopped(meter)) {
		n = ntzc_tap_view(tap, &descs, METER_BATCH, TICK_MS);
		if (n <= 0) {
			err = n == -EINTR ? 0 : n;
			continue;
		}
		meter->result.received += (unsigned int)n;
		err = send_back(meter, tap, descs, (unsigned int)n);
	}
	return err;
}
