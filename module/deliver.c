// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Delivery: a queue's set of taps, and how a batch of frames reaches them. Sets
 * are replaced whole, under port->lock, by RCU. A batch is at most 64 frames,
 * so that who gets what is one word of bits per tap.
 */
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>

#include "core.h"

static struct ntzc_taps *ntzc_queue_taps(struct ntzc_queue *q)
{
	return rcu_dereference_protected(q->taps, lockdep_is_held(&q->port->lock));
}

static void ntzc_queue_set_taps(struct ntzc_queue *q, struct ntzc_taps *new)
{
	struct ntzc_taps *old = ntzc_queue_taps(q);

	rcu_assign_pointer(q->taps, new);
	WRITE_ONCE(q->n_taps, new ? new->n : 0);
	if (old)
		kfree_rcu(old, rcu);
}

/* Where a channel goes: behind the others of its fan-out group, or last */
static unsigned int ntzc_taps_place(const struct ntzc_taps *taps, const struct ntzc_chan *c)
{
	unsigned int i;

	for (i = taps->n; c->fanout && i > 0; i--)
		if (taps->chan[i - 1]->fanout == c->fanout)
			return i;
	return taps->n;
}

/**
 * ntzc_queue_add() - deliver to one more channel
 * @q: the queue
 * @c: the channel
 *
 * Context: process, port->lock held. Return: 0, -EBUSY, -ENOMEM.
 */
int ntzc_queue_add(struct ntzc_queue *q, struct ntzc_chan *c)
{
	struct ntzc_taps *old = ntzc_queue_taps(q), *new;
	unsigned int n = old ? old->n : 0, at = old ? ntzc_taps_place(old, c) : 0;

	if (n == NTZC_MAX_TAPS)
		return -EBUSY;
	new = kzalloc(struct_size(new, chan, n + 1), GFP_KERNEL);
	if (!new)
		return -ENOMEM;
	if (n) {
		memcpy(new->chan, old->chan, at * sizeof(new->chan[0]));
		memcpy(&new->chan[at + 1], &old->chan[at], (n - at) * sizeof(new->chan[0]));
	}
	new->chan[at] = c;
	new->n = n + 1;
	ntzc_queue_set_taps(q, new);
	return 0;
}

/**
 * ntzc_queue_remove() - deliver to a channel no more
 * @q: the queue
 * @c: the channel; polls that have begun may still use it
 *
 * Context: process, port->lock held.
 */
void ntzc_queue_remove(struct ntzc_queue *q, struct ntzc_chan *c)
{
	struct ntzc_taps *old = ntzc_queue_taps(q), *new = NULL;
	unsigned int i;

	if (!old)
		return;	/* the card is gone */
	if (old->n > 1) {
		/* closing a file cannot fail */
		new = kzalloc(struct_size(new, chan, old->n - 1), GFP_KERNEL | __GFP_NOFAIL);
		for (i = 0; i < old->n; i++)
			if (old->chan[i] != c)
				new->chan[new->n++] = old->chan[i];
	}
	ntzc_queue_set_taps(q, new);
}

/**
 * ntzc_queue_clear() - deliver to nobody any more
 * @q: the queue
 *
 * Context: process, port->lock held; polls that have begun may still deliver.
 */
void ntzc_queue_clear(struct ntzc_queue *q)
{
	ntzc_queue_set_taps(q, NULL);
}

/* Each frame's references: one for each tap that gets it, and the caller's own */
static void ntzc_share_refs(struct m_buf **m, u64 claimed, const struct ntzc_taps *taps,
			    unsigned int own)
{
	u8 refs[NTZC_BATCH] __uninitialized;
	unsigned int i, t, n;
	bool same = true;
	u64 rest;

	for (t = 0; t < taps->n; t++)
		same &= taps->chan[t]->want == claimed;
	if (likely(same && !(claimed & (claimed + 1)))) {
		/* all taps get the first ones, without a gap */
		n = fls64(claimed);
#pragma GCC unroll 4
		for (i = 0; i < n; i++)
			atomic_set(&m[i]->refs, taps->n + own);
		return;
	}
	memset(refs, own, sizeof(refs));
	for (t = 0; t < taps->n; t++)
		for (rest = taps->chan[t]->want; rest; rest &= rest - 1)
			refs[__ffs64(rest)]++;
	for (rest = claimed; rest; rest &= rest - 1) {
		i = __ffs64(rest);
		atomic_set(&m[i]->refs, refs[i]);
	}
}

/* The driver's run of the poll, on the clock that the tap wants */
static u64 ntzc_chan_time(const struct ntzc_chan *c, u64 mono)
{
	switch (c->tap->clock) {
	case NTZC_CLOCK_MONOTONIC:
		return mono;
	case NTZC_CLOCK_TAI:
		return ktime_to_ns(ktime_mono_to_any(ns_to_ktime(mono), TK_OFFS_TAI));
	default:
		return ktime_to_ns(ktime_mono_to_real(ns_to_ktime(mono)));
	}
}

/* Some frames of a batch, those that the channel wants */
static void ntzc_chan_deliver_some(struct ntzc_chan *c, struct m_buf **m, u64 now, u64 mono)
{
	struct m_buf *some[NTZC_BATCH] __uninitialized;
	unsigned int n = 0;
	u64 want, bytes = 0;

	for (want = c->want; want; want &= want - 1) {
		some[n] = m[__ffs64(want)];
		bytes += m_buf_len(some[n++]);
	}
	if (n)
		ntzc_chan_publish(c, some, n, bytes, now, mono);
}

/**
 * ntzc_deliver() - give each tap the frames that it wants and has room for
 * @q: the queue
 * @taps: its set of taps
 * @m: frames in order of arrival, described
 * @n: how many, at most NTZC_BATCH
 * @bytes: of all of them
 * @may: frames that may leave the queue, a bit each
 * @own: references that the caller keeps of each frame; the one that it has
 *	passes to a tap if it keeps none
 *
 * Context: the queue's poll, under rcu_read_lock(). Return: frames that a tap
 * got, a bit each.
 */
u64 ntzc_deliver(struct ntzc_queue *q, const struct ntzc_taps *taps, struct m_buf **m,
		 unsigned int n, u64 bytes, u64 may, unsigned int own)
{
	u64 all = GENMASK_ULL(n - 1, 0), claimed = 0, mono = ktime_get_ns();
	bool noted = false;
	unsigned int t;

	if (likely(!ntzc_select(q, taps, m, n)))
		for (t = 0; t < taps->n; t++)
			taps->chan[t]->want = all;
	for (t = 0; t < taps->n; t++) {
		ntzc_chan_admit(taps->chan[t], may);
		claimed |= taps->chan[t]->want;
	}
	if (taps->n + own > 1)
		ntzc_share_refs(m, claimed, taps, own);
	for (t = 0; t < taps->n; t++) {
		struct ntzc_chan *c = taps->chan[t];
		u64 now = ntzc_chan_time(c, mono);

		if (likely(c->want == all)) {
			ntzc_chan_publish(c, m, n, bytes, now, noted ? 0 : mono);
			noted = true;	/* of all of them, for all */
		} else {
			ntzc_chan_deliver_some(c, m, now, mono);
		}
	}
	return claimed;
}
