// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Transmit: a tap's own buffers, reserved, filled by the program, submitted,
 * and back when the card has sent them; and received frames, forwarded by
 * reference. Everything that a program says of a frame is in the descriptor,
 * which the caller copied once; only that copy is checked and used.
 */
#include <linux/dma-mapping.h>
#include <linux/if_ether.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/slab.h>

#include "core.h"

#define NTZC_DEFAULT_TX_BUFS	512

/**
 * ntzc_tx_setup() - give the tap transmit memory
 * @tap: the tap, attached
 * @arg: checked for reserved fields by the caller; output fields are filled in
 *
 * Context: process. Return: 0, or -EBUSY, -EINVAL, -ENODEV, -ENOMEM.
 */
int ntzc_tx_setup(struct ntzc_tap *tap, struct ntzc_tx_setup *arg)
{
	struct ntzc_port *port = tap->port;
	struct ntzc_pool *pool;
	int err = -EBUSY;
	u32 least;

	mutex_lock(&tap->hold_lock);
	mutex_lock(&port->lock);
	if (tap->tx_pool)
		goto unlock;
	err = -ENODEV;
	if (port->gone)
		goto unlock;
	err = -EINVAL;
	least = ntzc_buf_size_for(port->frame_max);
	if (arg->buf_size && arg->buf_size < least)
		goto unlock;
	pool = ntzc_pool_create(port, arg->n_bufs ?: NTZC_DEFAULT_TX_BUFS,
				arg->buf_size ?: least, true);
	err = PTR_ERR_OR_ZERO(pool);
	if (err)
		goto unlock;
	tap->tx_held = kvzalloc(pool->size, GFP_KERNEL_ACCOUNT);
	if (!tap->tx_held) {
		ntzc_pool_put(pool);
		err = -ENOMEM;
		goto unlock;
	}
	arg->n_bufs = pool->size;
	arg->buf_size = 1u << pool->shift;
	arg->headroom = NTZC_HEADROOM;
	arg->tx_bytes = (u64)pool->size << pool->shift;
	/* the marks come first; pairs with the acquire in ntzc_tap_tx_pool() */
	smp_store_release(&tap->tx_pool, pool);
unlock:
	mutex_unlock(&port->lock);
	mutex_unlock(&tap->hold_lock);
	return err;
}

/**
 * ntzc_tx_reserve() - take free transmit buffers for the program to fill
 * @tap: the tap, with transmit memory
 * @d: filled in: handle, offset, len (the room there), all else zero
 * @n: how many, at most NTZC_BATCH
 *
 * Context: process. Return: how many, 0 if none is free.
 */
int ntzc_tx_reserve(struct ntzc_tap *tap, struct ntzc_desc *d, unsigned int n)
{
	struct ntzc_pool *pool = tap->tx_pool;
	struct m_buf *m[NTZC_BATCH];
	unsigned int i;

	mutex_lock(&tap->hold_lock);
	n = ntzc_pool_alloc(pool, m, n, 0);
	for (i = 0; i < n; i++) {
		tap->tx_held[m_buf_index(m[i])] = 1;
		d[i] = (struct ntzc_desc) {
			.handle = m[i]->desc.handle,
			.offset = (m_buf_index(m[i]) << pool->shift) + NTZC_HEADROOM,
			.len = m[i]->size - NTZC_HEADROOM,
		};
	}
	tap->tx_reserved += n;
	mutex_unlock(&tap->hold_lock);
	return n;
}

/**
 * ntzc_tx_unreserve() - take back buffers that the program was never told of
 * @tap: the tap
 * @d: as ntzc_tx_reserve() filled it in
 * @n: how many
 *
 * Context: process.
 */
void ntzc_tx_unreserve(struct ntzc_tap *tap, const struct ntzc_desc *d, unsigned int n)
{
	u32 handles[NTZC_BATCH];
	unsigned int i;

	for (i = 0; i < n; i++)
		handles[i] = d[i].handle;
	ntzc_tap_release(tap, handles, n);
}

/* Fields that the sender must leave zero, and flags that mean nothing */
static bool ntzc_tx_malformed(const struct ntzc_desc *d)
{
	return d->timestamp || d->hash || d->orig_len || d->queue || d->hash_type ||
	       d->flags & ~NTZC_TX_VLAN || (d->vlan_tci && !(d->flags & NTZC_TX_VLAN));
}

/* A buffer of the tap's own: take it from the program and describe the frame in it */
static int ntzc_tx_take_own(struct ntzc_tap *tap, const struct ntzc_desc *d, struct m_buf **out)
{
	u32 in, need = max_t(u32, d->len, NTZC_PAD_FRAME);
	struct ntzc_pool *pool = tap->tx_pool;
	struct m_buf *m;

	m = pool ? ntzc_tap_unhold(pool, tap->tx_held, d->handle) : NULL;
	if (!m)
		return -ESTALE;
	in = d->offset & (m->size - 1);
	if (d->offset >> pool->shift != m_buf_index(m) ||
	    d->len < NTZC_MIN_FRAME || d->len > READ_ONCE(tap->port->frame_max) ||
	    need > m->size - in) {
		tap->tx_held[m_buf_index(m)] = 1;
		return -EINVAL;
	}
	tap->tx_reserved--;
	m->desc.offset = d->offset;
	m->desc.len = need;
	m->desc.vlan_tci = d->vlan_tci;
	m->desc.flags = d->flags;
	if (need > d->len)
		memset(m_buf_data(m) + d->len, 0, need - d->len);
	*out = m;
	return 0;
}

/* A received frame that the tap holds: its hold becomes the transmit's reference */
static int ntzc_tx_take_received(struct ntzc_tap *tap, const struct ntzc_desc *d,
				 struct m_buf **out)
{
	struct m_buf *m;

	m = ntzc_tap_unhold(tap->rx_pool, tap->rx_held, d->handle);
	if (!m)
		return -ESTALE;
	if (d->offset != m->desc.offset || d->len != m->desc.len || d->flags ||
	    d->len > READ_ONCE(tap->port->frame_max)) {
		WRITE_ONCE(tap->rx_held[m_buf_index(m)], 1);
		return -EINVAL;
	}
	*out = m;
	return 0;
}

static int ntzc_tx_take(struct ntzc_tap *tap, const struct ntzc_desc *d, struct m_buf **m)
{
	if (ntzc_tx_malformed(d))
		return -EINVAL;
	if (d->handle & NTZC_HANDLE_TX)
		return ntzc_tx_take_own(tap, d, m);
	return ntzc_tx_take_received(tap, d, m);
}

/* The card did not want it: the program holds it again */
static void ntzc_tx_untake(struct ntzc_tap *tap, struct m_buf *m)
{
	if (m->pool->tx) {
		tap->tx_held[m_buf_index(m)] = 1;
		tap->tx_reserved++;
	} else {
		WRITE_ONCE(tap->rx_held[m_buf_index(m)], 1);
	}
}

/*
 * Received frames were accepted: they no longer count against their queues'
 * quotas. Not before: a poll would use up the room of those that come back.
 */
static void ntzc_tx_forwarded(struct ntzc_tap *tap, const u8 *queues, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		struct ntzc_chan *c = tap->chans[queues[i]];

		WRITE_ONCE(c->released, c->released + 1);
	}
	tap->tx_forwarded += n;
}

static void ntzc_tx_sync(struct ntzc_pool *pool, struct m_buf **m, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		dma_sync_single_for_device(pool->port->dma_dev, m_buf_dma(m[i]), m_buf_len(m[i]),
					   DMA_TO_DEVICE);
}

/* Under tx_lock. Return: how many the driver took. */
static unsigned int ntzc_tx_transmit(struct ntzc_queue *q, struct m_buf **m, unsigned int n)
{
	const struct ntzc_port_ops *ops = q->port->ops;
	unsigned int sent = ops->transmit(q, m, n);

	if (likely(sent == n))
		return sent;
	/*
	 * Say that the ring is full, then look again: a completion that came
	 * between would not be followed by another that clears the flag.
	 */
	WRITE_ONCE(q->tx_full, true);
	smp_mb(); /* pairs with the release in ntzc_tx_complete() */
	sent += ops->transmit(q, m + sent, n - sent);
	if (sent == n)
		WRITE_ONCE(q->tx_full, false);
	return sent;
}

/* Give a run of one pool's packets to the driver. Return: how many it took, or an errno. */
static int ntzc_tx_push(struct ntzc_tap *tap, struct m_buf **m, unsigned int n, u64 bytes)
{
	struct ntzc_queue *q = tap->tx_queue;
	struct ntzc_pool *pool = m[0]->pool;
	unsigned int i;
	int sent;

	ntzc_pool_launch(pool, m, n);
	spin_lock_bh(&q->tx_lock);
	if (!q->tx_up) {
		sent = READ_ONCE(q->port->gone) ? -ENODEV : -ENETDOWN;
	} else {
		if (unlikely(pool->need_sync))
			ntzc_tx_sync(pool, m, n);
		sent = ntzc_tx_transmit(q, m, n);
		/* those that were taken may be gone by now */
		for (i = sent; i < n; i++)
			bytes -= m_buf_len(m[i]);
		q->tx_frames += sent;
		q->tx_bytes += bytes;
	}
	spin_unlock_bh(&q->tx_lock);
	return sent;
}

/**
 * ntzc_tx_submit() - send frames
 * @tap: the tap, attached
 * @d: the program's descriptors, copied
 * @n: how many, 1 to NTZC_BATCH
 *
 * Context: process.
 * Return: how many were accepted, from the first on; or an errno for the first:
 * -EINVAL, -ESTALE, -ENOSPC (the ring is full), -ENETDOWN, -ENODEV.
 */
int ntzc_tx_submit(struct ntzc_tap *tap, const struct ntzc_desc *d, unsigned int n)
{
	struct m_buf *m[NTZC_BATCH];
	u8 queues[NTZC_BATCH];
	int err = 0, sent = 0;
	unsigned int i, k;
	u64 bytes = 0;

	mutex_lock(&tap->hold_lock);
	for (k = 0; k < n; k++) {
		/* one pool's at a time */
		if (k && (d[k].handle ^ d[0].handle) & NTZC_HANDLE_TX)
			break;
		err = ntzc_tx_take(tap, &d[k], &m[k]);
		if (err)
			break;
		bytes += m[k]->desc.len;
		queues[k] = m[k]->desc.queue;
	}
	if (!k)
		goto unlock;
	sent = ntzc_tx_push(tap, m, k, bytes);
	if (sent < (int)k) {
		err = sent < 0 ? sent : -ENOSPC;
		sent = max(sent, 0);
		for (i = sent; i < k; i++)
			ntzc_tx_untake(tap, m[i]);
		ntzc_pool_recall(m[sent]->pool, m + sent, k - sent);
	}
	tap->tx_submitted += sent;
	if (!(d[0].handle & NTZC_HANDLE_TX))
		ntzc_tx_forwarded(tap, queues, sent);
unlock:
	mutex_unlock(&tap->hold_lock);
	return sent ? sent : err;
}

/** ntzc_tx_can_reserve() - Return: whether TX_RESERVE and TX_SUBMIT would find room. */
bool ntzc_tx_can_reserve(const struct ntzc_tap *tap)
{
	const struct ntzc_pool *pool = ntzc_tap_tx_pool(tap);

	return pool && READ_ONCE(pool->n_free) && !READ_ONCE(tap->tx_queue->tx_full);
}

/** ntzc_tx_drained() - Return: whether the card has dealt with all the tap's own buffers. */
bool ntzc_tx_drained(const struct ntzc_tap *tap)
{
	const struct ntzc_pool *pool = ntzc_tap_tx_pool(tap);

	return !pool || !READ_ONCE(pool->in_flight);
}

/**
 * ntzc_tx_complete() - the card is done with packets
 * @q: the queue
 * @m: packets that ops->transmit took, in any order
 * @n: how many
 * @status: 0 if they were sent, or a negative errno
 *
 * Context: the queue's poll, or ops->stop; any that is alone on the queue.
 */
void ntzc_tx_complete(struct ntzc_queue *q, struct m_buf **m, unsigned int n, int status)
{
	unsigned int i, run;

	for (i = 0; i < n; i += run) {
		struct ntzc_pool *pool = m[i]->pool;

		for (run = 1; i + run < n && m[i + run]->pool == pool; run++)
			;
		ntzc_pool_land(pool, m + i, run, status);
	}
	q->tx_done += n;
	if (unlikely(status))
		q->tx_failed += n;
	/* the driver's freed slots come first; pairs with smp_mb() in ntzc_tx_transmit() */
	smp_store_release(&q->tx_full, false);
	if (wq_has_sleeper(&q->tx_wait))
		wake_up_interruptible_poll(&q->tx_wait, EPOLLOUT | EPOLLWRNORM);
}
EXPORT_SYMBOL_GPL(ntzc_tx_complete);
