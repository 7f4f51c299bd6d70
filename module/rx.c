// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Receive: from a driver's poll to the taps, and buffers to the card.
 *
 * Every function here is called by one queue's poll (or while it is stopped),
 * so a queue's receive fields and its channels' producer sides have one writer
 * and need no lock. What each frame costs is one store per tap of its
 * descriptor and one of its held mark; a reference count is written only when
 * there is more than one tap.
 */
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/timekeeping.h>

#include "core.h"

/*
 * How many of the batch may leave the queue: each that does must be replaced,
 * or the card's ring would drain. What remains is kept for the next refill.
 */
static unsigned int ntzc_rx_may_leave(const struct ntzc_queue *q, unsigned int n)
{
	/* without the pool's lock: if others are quicker, wanted makes up for it */
	u32 have = q->n_spare + READ_ONCE(q->port->rx_pool->n_free);

	return have < q->wanted ? 0 : min(n, have - q->wanted);
}

/* Frames that the channel can take now; what it cannot is counted by cause */
static unsigned int ntzc_chan_room(struct ntzc_chan *c, unsigned int n, unsigned int may)
{
	/* acquire: the reader has copied out of those slots; pairs with ntzc_read_chan() */
	u32 space = c->mask + 1 - (c->prod - smp_load_acquire(&c->cons));
	u32 held = c->prod - READ_ONCE(c->released);
	u32 left = held < c->quota ? c->quota - held : 0;
	unsigned int take = min3(may, space, left);

	if (likely(take == n))
		return take;
	c->lost_pool += n - may;
	if (space <= left)
		c->lost_ring += may - take;
	else
		c->lost_quota += may - take;
	return take;
}

/* Put the first frames into the ring and wake who waits for them */
static void ntzc_chan_publish(struct ntzc_chan *c, struct m_buf **m, unsigned int n)
{
	struct ntzc_desc *ring = c->ring;
	u8 *held = c->tap->rx_held;
	u32 prod = c->prod, mask = c->mask;
	u64 bytes = 0;
	unsigned int i;

	for (i = 0; i < n; i++) {
		const struct m_buf *one = m[i];

		ring[(prod + i) & mask] = one->desc;
		bytes += one->desc.len;
		/* last: a program that guesses the handle may release it from here on.
		 * The count and the copy come first; pairs with ntzc_tap_unhold()
		 */
		smp_store_release(&held[m_buf_index(one)], 1);
	}
	c->received += n;
	c->received_bytes += bytes;
	/* the descriptors come first; pairs with ntzc_chan_waiting() */
	smp_store_release(&c->prod, prod + n);
	if (wq_has_sleeper(&c->tap->rx_wait))
		wake_up_interruptible_poll(&c->tap->rx_wait, EPOLLIN | EPOLLRDNORM);
}

/* One reference for each tap that gets the frame. The driver's own passes to the first. */
static void ntzc_rx_share_refs(struct m_buf **m, unsigned int n, const struct ntzc_taps *taps)
{
	u8 refs[NTZC_BATCH] = { };
	unsigned int i, t;

	for (t = 0; t < taps->n; t++)
		for (i = 0; i < taps->chan[t]->take; i++)
			refs[i]++;
	for (i = 0; i < n && refs[i]; i++)
		refcount_set(&m[i]->refs, refs[i]);
}

/* Keep free buffers for the next refill; those that do not fit go to the pool */
static void ntzc_rx_keep(struct ntzc_queue *q, struct m_buf **m, unsigned int n)
{
	unsigned int keep = min(n, NTZC_SPARE - q->n_spare);

	memcpy(&q->spare[q->n_spare], m, keep * sizeof(*m));
	q->n_spare += keep;
	ntzc_pool_free(q->port->rx_pool, m + keep, n - keep);
}

static void ntzc_rx_sync_for_cpu(const struct ntzc_pool *pool, struct m_buf **m, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		dma_sync_single_for_cpu(pool->port->dma_dev, m_buf_dma(m[i]), m_buf_len(m[i]),
					DMA_FROM_DEVICE);
}

/**
 * ntzc_rx_deliver() - hand received frames to all taps of the queue
 * @q: the queue
 * @m: the frames, in order of arrival, each described by m_buf_received()
 * @n: how many, at most NTZC_BATCH
 *
 * The frames are the core's afterwards. Those that no tap takes are kept for
 * the next ntzc_rx_refill().
 *
 * Context: the queue's poll, bottom halves off.
 */
void ntzc_rx_deliver(struct ntzc_queue *q, struct m_buf **m, unsigned int n)
{
	const struct ntzc_pool *pool = q->port->rx_pool;
	unsigned int may, most = 0, i, t;
	const struct ntzc_taps *taps;
	u8 index = q->index;
	u64 now, bytes = 0;

	if (unlikely(pool->need_sync))
		ntzc_rx_sync_for_cpu(pool, m, n);
	now = ktime_get_real_ns();
	for (i = 0; i < n; i++) {
		struct m_buf *one = m[i];

		one->desc.timestamp = now;
		one->desc.queue = index;
		bytes += one->desc.len;
	}
	q->posted -= n;
	q->rx_frames += n;
	q->rx_bytes += bytes;

	rcu_read_lock();
	taps = rcu_dereference(q->taps);
	if (taps) {
		may = ntzc_rx_may_leave(q, n);
		for (t = 0; t < taps->n; t++) {
			struct ntzc_chan *c = taps->chan[t];

			c->take = ntzc_chan_room(c, n, may);
			most = max(most, c->take);
		}
		if (taps->n > 1)
			ntzc_rx_share_refs(m, most, taps);
		for (t = 0; t < taps->n; t++)
			if (taps->chan[t]->take)
				ntzc_chan_publish(taps->chan[t], m, taps->chan[t]->take);
	}
	rcu_read_unlock();

	if (most < n) {
		q->rx_unclaimed += n - most;
		ntzc_rx_keep(q, m + most, n - most);
	}
}
EXPORT_SYMBOL_GPL(ntzc_rx_deliver);

/**
 * ntzc_rx_refill() - free buffers for the card
 * @q: the queue
 * @m: where to put them; the card may write from m_buf_rx_dma() on
 * @n: how many are wanted
 *
 * The driver holds the one reference of each. If there are fewer than wanted,
 * &ntzc_port_ops.refill is called when there are more.
 *
 * Context: the queue's poll, or ops->start.
 * Return: how many there were, at most @n.
 */
unsigned int ntzc_rx_refill(struct ntzc_queue *q, struct m_buf **m, unsigned int n)
{
	struct ntzc_pool *pool = q->port->rx_pool;
	unsigned int got = min(n, q->n_spare), i;

	q->n_spare -= got;
	memcpy(m, &q->spare[q->n_spare], got * sizeof(*m));
	if (got < n)
		got += ntzc_pool_alloc(pool, m + got, n - got, BIT_ULL(q->index));
	if (unlikely(pool->need_sync))
		for (i = 0; i < got; i++)
			dma_sync_single_for_device(pool->port->dma_dev, m[i]->dma, m[i]->size,
						   DMA_FROM_DEVICE);
	q->posted += got;
	q->wanted = n - got;
	if (unlikely(got < n))
		q->rx_no_buffer++;
	return got;
}
EXPORT_SYMBOL_GPL(ntzc_rx_refill);

/**
 * ntzc_rx_return() - give back buffers that hold no frame for the taps
 * @q: the queue
 * @m: buffers from ntzc_rx_refill()
 * @n: how many
 *
 * For bad frames, and for all that the card had when it stops.
 *
 * Context: the queue's poll, or the queue is stopped.
 */
void ntzc_rx_return(struct ntzc_queue *q, struct m_buf **m, unsigned int n)
{
	q->posted -= n;
	ntzc_rx_keep(q, m, n);
}
EXPORT_SYMBOL_GPL(ntzc_rx_return);

/**
 * ntzc_rx_drop_spare() - give the queue's spare buffers to the pool
 * @q: the queue, stopped
 *
 * Context: process, port->lock held.
 */
void ntzc_rx_drop_spare(struct ntzc_queue *q)
{
	ntzc_pool_free(q->port->rx_pool, q->spare, q->n_spare);
	q->n_spare = 0;
	q->wanted = 0;
}
