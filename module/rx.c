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
#include <net/busy_poll.h>

#include "compat.h"
#include "core.h"

/*
 * How many of the batch may leave the queue: each that does must be replaced,
 * or the card's ring would drain. What remains is kept for the next refill.
 */
static u64 ntzc_rx_may_leave(const struct ntzc_queue *q, unsigned int n)
{
	/* without the pool's lock: if others are quicker, wanted makes up for it */
	u32 have = q->n_spare + READ_ONCE(q->port->rx_pool->n_free);
	u32 may = have < q->wanted ? 0 : min(n, have - q->wanted);

	return may ? GENMASK_ULL(may - 1, 0) : 0;
}

/* Keep free buffers for the next refill; those that do not fit go to the pool */
static void ntzc_rx_keep(struct ntzc_queue *q, struct m_buf **m, unsigned int n)
{
	unsigned int keep = min(n, NTZC_SPARE - q->n_spare);

	memcpy(&q->spare[q->n_spare], m, keep * sizeof(*m));
	q->n_spare += keep;
	ntzc_pool_restore(q->port->rx_pool, m + keep, n - keep);
}

/* Frames that no tap took */
static void ntzc_rx_keep_rest(struct ntzc_queue *q, struct m_buf **m, unsigned int n, u64 claimed)
{
	struct m_buf *rest[NTZC_BATCH] __uninitialized;
	unsigned int i, n_rest = 0;

	for (i = 0; i < n; i++)
		if (!(claimed & BIT_ULL(i)))
			rest[n_rest++] = m[i];
	q->rx_unclaimed += n_rest;
	ntzc_rx_keep(q, rest, n_rest);
}

/* Whether another refill like the last could leave others without buffers */
static bool ntzc_rx_runs_low(const struct ntzc_queue *q)
{
	return READ_ONCE(q->port->rx_pool->n_free) < q->wanted + NTZC_BATCH;
}

/*
 * Whether what waits in a release ring is wanted back, all of it: else what the
 * next refill can use is enough, and the ring a good place for the rest.
 */
static bool ntzc_rx_presses(const struct ntzc_queue *q, const struct ntzc_chan *c)
{
	return c->prod - READ_ONCE(c->released) + NTZC_BATCH > c->quota || ntzc_rx_runs_low(q);
}

static void ntzc_rx_reclaim_chan(struct ntzc_queue *q, struct ntzc_chan *c)
{
	unsigned int looks = c->release_mask / NTZC_BATCH + 1, room, n;
	struct m_buf *done[NTZC_BATCH] __uninitialized;
	u64 bad;

	/* when the pool runs low all goes there: this queue's next refill may be long in coming */
	room = ntzc_rx_runs_low(q) ? 0 :
	       min_t(unsigned int, NTZC_SPARE - q->n_spare, NTZC_BATCH);
	spin_lock(&c->tap->hold_lock);
	bad = c->bad_release;
	q->n_spare += ntzc_chan_reclaim(c, &q->spare[q->n_spare], room);
	/* bounds, as in ntzc_tap_reclaim_chan() */
	while (looks-- && c->bad_release - bad < NTZC_BATCH && ntzc_rx_presses(q, c) &&
	       ntzc_ring_filled(&c->rings->release, c->release_cons)) {
		n = ntzc_chan_reclaim(c, done, NTZC_BATCH);
		ntzc_pool_restore(q->port->rx_pool, done, n);
	}
	spin_unlock(&c->tap->hold_lock);
}

/* Take back what the queue's taps put in their release rings. Under rcu_read_lock(). */
static void ntzc_rx_reclaim(struct ntzc_queue *q, const struct ntzc_taps *taps)
{
	unsigned int t;

	for (t = 0; t < taps->n; t++) {
		struct ntzc_chan *c = taps->chan[t];

		if (ntzc_ring_filled(&c->rings->release, READ_ONCE(c->release_cons)))
			ntzc_rx_reclaim_chan(q, c);
	}
}

/*
 * The same of all queues, for when buffers run out: what programs gave back to
 * another queue may wait there for a poll that does not come. Under rcu_read_lock().
 */
static noinline void ntzc_rx_reclaim_all(struct ntzc_port *port)
{
	const struct ntzc_taps *taps;
	unsigned int i, t;

	/* that of what the host sends is the last */
	for (i = 0; i <= port->max_queues; i++) {
		taps = rcu_dereference(port->queues[i].taps);
		for (t = 0; taps && t < taps->n; t++) {
			struct ntzc_chan *c = taps->chan[t];

			if (ntzc_ring_filled(&c->rings->release, READ_ONCE(c->release_cons)))
				ntzc_tap_reclaim_chan(c);
		}
	}
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
 * @bytes: of all of them
 *
 * The frames are the core's afterwards. Those that no tap takes are kept for
 * the next ntzc_rx_refill().
 *
 * Context: the queue's poll, bottom halves off.
 */
void ntzc_rx_deliver(struct ntzc_queue *q, struct m_buf **m, unsigned int n, u64 bytes)
{
	const struct ntzc_pool *pool = q->port->rx_pool;
	const struct ntzc_taps *taps;
	u64 all = GENMASK_ULL(n - 1, 0), claimed = 0, may;
	LIST_HEAD(skbs);

	if (unlikely(pool->need_sync))
		ntzc_rx_sync_for_cpu(pool, m, n);
	q->posted -= n;
	q->rx_frames += n;
	q->rx_bytes += bytes;

	if (unlikely(READ_ONCE(q->port->stack)))
		ntzc_stack_copy(q, m, n, &skbs);
	rcu_read_lock();
	taps = rcu_dereference(q->taps);
	if (taps) {
		ntzc_rx_reclaim(q, taps);
		may = ntzc_rx_may_leave(q, n);
		if (unlikely(may != all)) {
			ntzc_rx_reclaim_all(q->port);
			may = ntzc_rx_may_leave(q, n);
		}
		claimed = ntzc_deliver(q, taps, m, n, bytes, may, 0);
	}
	rcu_read_unlock();

	if (unlikely(claimed != all))
		ntzc_rx_keep_rest(q, m, n, claimed);
	if (unlikely(!list_empty(&skbs)))
		ntzc_stack_receive(q, &skbs);
}
EXPORT_SYMBOL_GPL(ntzc_rx_deliver);

/* Have release rings ask for a KICK, or not: the queues' polls may not come by themselves */
static void ntzc_rx_ask(struct ntzc_port *port, bool ask)
{
	const struct ntzc_taps *taps;
	unsigned int i, t;

	/* that of what the host sends is the last */
	for (i = 0; i <= port->max_queues; i++) {
		taps = rcu_dereference(port->queues[i].taps);
		for (t = 0; taps && t < taps->n; t++) {
			struct ntzc_ring *ring = &taps->chan[t]->rings->release;

			if (ask)
				ntzc_ring_ask(ring);
			else
				ntzc_ring_unask(ring);
		}
	}
}

/*
 * The pool has no more. Any tap of any queue may have put some in its release
 * ring: ask to be told of those to come, then look.
 */
static noinline void ntzc_rx_hungry(struct ntzc_queue *q)
{
	struct ntzc_pool *pool = q->port->rx_pool;

	rcu_read_lock();
	spin_lock_bh(&pool->lock);
	pool->hungry |= BIT_ULL(q->index);
	ntzc_rx_ask(q->port, true);
	spin_unlock_bh(&pool->lock);
	ntzc_rx_reclaim_all(q->port);
	rcu_read_unlock();
	q->rx_no_buffer++;
}

/**
 * ntzc_rx_greet() - tell taps that have joined if the pool has no more
 * @port: the port
 *
 * Context: process, port->lock held.
 */
void ntzc_rx_greet(struct ntzc_port *port)
{
	struct ntzc_pool *pool = port->rx_pool;

	rcu_read_lock();
	spin_lock_bh(&pool->lock);
	if (pool->hungry)
		ntzc_rx_ask(port, true);
	spin_unlock_bh(&pool->lock);
	rcu_read_unlock();
}

static noinline void ntzc_rx_fed(struct ntzc_queue *q)
{
	struct ntzc_pool *pool = q->port->rx_pool;

	rcu_read_lock();
	spin_lock_bh(&pool->lock);
	pool->hungry &= ~BIT_ULL(q->index);
	if (!pool->hungry)
		ntzc_rx_ask(q->port, false);
	spin_unlock_bh(&pool->lock);
	rcu_read_unlock();
}

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
	if (unlikely(got < n))
		ntzc_rx_hungry(q);
	else if (unlikely(q->wanted))
		ntzc_rx_fed(q);
	q->wanted = n - got;
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
	if (q->wanted)
		ntzc_rx_fed(q);
	ntzc_pool_restore(q->port->rx_pool, q->spare, q->n_spare);
	q->n_spare = 0;
	q->wanted = 0;
}

/**
 * ntzc_queue_busy_poll() - run the queue's poll once on this processor
 * @q: the queue
 *
 * Does nothing while another processor runs it, or the port is down.
 * Context: process.
 */
void ntzc_queue_busy_poll(struct ntzc_queue *q)
{
	struct napi_struct *napi = READ_ONCE(q->napi);
	unsigned int id;

	/* the NAPI is there until the driver has left; pairs with synchronize_net() in detach */
	rcu_read_lock();
	id = napi && !READ_ONCE(q->port->gone) ? READ_ONCE(napi->napi_id) : 0;
	rcu_read_unlock();
	if (id >= MIN_NAPI_ID)
		ntzc_napi_busy_loop(id);
}
