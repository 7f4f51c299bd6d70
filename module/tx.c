// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Transmit: a tap's own buffers, reserved, filled by the program, submitted,
 * and back when the card has sent them; and received frames, forwarded by
 * reference. Everything that a program says of a frame is in the descriptor,
 * which the caller copied once; only that copy is checked and used.
 */
#include <linux/dma-mapping.h>
#include <linux/if_ether.h>
#include <linux/module.h>
#include <linux/poll.h>

#include "core.h"

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
	struct m_buf *m[NTZC_BATCH] __uninitialized;
	unsigned int i;

	spin_lock_bh(&tap->hold_lock);
	n = ntzc_pool_alloc(pool, m, n, 0);
	for (i = 0; i < n; i++) {
		tap->tx_held[m_buf_index(m[i])] = m[i]->desc.handle;
		d[i] = (struct ntzc_desc) {
			.handle = m[i]->desc.handle,
			.offset = (m_buf_index(m[i]) << pool->shift) + NTZC_HEADROOM,
			.len = m[i]->size - NTZC_HEADROOM,
		};
	}
	tap->tx_reserved += n;
	spin_unlock_bh(&tap->hold_lock);
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
	u32 handles[NTZC_BATCH] __uninitialized;
	unsigned int i;

	for (i = 0; i < n; i++)
		handles[i] = d[i].handle;
	ntzc_tap_release(tap, handles, n);
}

/* Nothing is said of the frame but where it is and where it goes: true of most */
static __always_inline bool ntzc_tx_plain(const struct ntzc_desc *d)
{
	static const struct ntzc_desc said = { .len = ~0u, .queue = 0xff };
	const u64 *word = (const u64 *)d, *may = (const u64 *)&said;

	BUILD_BUG_ON(sizeof(*d) != 4 * sizeof(u64) ||
		     offsetof(struct ntzc_desc, timestamp) != sizeof(u64));
	return !((word[1] & ~may[1]) | (word[2] & ~may[2]) | (word[3] & ~may[3]));
}

/* Fields that the sender must leave zero, and flags that mean nothing */
static noinline bool ntzc_tx_malformed(const struct ntzc_desc *d)
{
	return d->timestamp | d->hash | d->orig_len | d->hash_type ||
	       d->flags & ~NTZC_TX_VLAN || (d->vlan_tci && !(d->flags & NTZC_TX_VLAN));
}

/* What a run of descriptors is checked against: of one pool, looked up once */
struct ntzc_tx_bounds {
	struct m_buf *bufs;
	u32 *held;
	u32 mask;
	u32 shift;
	u32 frame_max;
};

/* A buffer of the tap's own: take it from the program and describe the frame in it */
static __always_inline int ntzc_tx_take_own(const struct ntzc_tx_bounds *b,
					    const struct ntzc_desc *d, struct m_buf **out)
{
	u32 index = d->handle & b->mask, size = 1u << b->shift;
	u32 in = d->offset - (index << b->shift), need = max_t(u32, d->len, NTZC_PAD_FRAME);
	struct m_buf *m = &b->bufs[index];

	if (unlikely(b->held[index] != d->handle))
		return -ESTALE;
	/* in wraps if the offset is of a buffer before this one */
	if (unlikely(d->len < NTZC_MIN_FRAME || d->len > b->frame_max || in >= size ||
		     need > size - in))
		return -EINVAL;
	b->held[index] = NTZC_MARK_NONE;
	m->desc.offset = d->offset;
	m->desc.len = need;
	m->desc.vlan_tci = d->vlan_tci;
	m->desc.flags = d->flags;
	if (unlikely(need > d->len))
		memset(m_buf_data(m) + d->len, 0, need - d->len);
	*out = m;
	return 0;
}

/* A received frame that the tap holds: its hold becomes the transmit's reference */
static __always_inline int ntzc_tx_take_received(const struct ntzc_tx_bounds *b,
						 const struct ntzc_desc *d, struct m_buf **out)
{
	u32 index = d->handle & b->mask;
	struct m_buf *m = &b->bufs[index];

	/* acquire: as in ntzc_tap_held() */
	if (unlikely(smp_load_acquire(&b->held[index]) != d->handle))
		return -ESTALE;
	if (unlikely(d->offset != m->desc.offset || d->len != m->desc.len || d->flags ||
		     d->len > b->frame_max))
		return -EINVAL;
	WRITE_ONCE(b->held[index], NTZC_MARK_NONE);
	*out = m;
	return 0;
}

/*
 * Take descriptors from the program as far as they are of one pool, for one target, and
 * well formed. Return: how many; if there are fewer, @err says why, or 0.
 */
static __always_inline unsigned int
ntzc_tx_take_run(const struct ntzc_tx_bounds *b, const struct ntzc_desc *d, unsigned int n,
		 bool own, struct m_buf **m, u64 *bytes, int *err)
{
	const u32 tx = own ? NTZC_HANDLE_TX : 0;
	const u8 target = d->queue;
	unsigned int k;
	u64 sum = 0;

	for (k = 0; k < n; k++) {
		if ((d[k].handle & NTZC_HANDLE_TX) != tx || d[k].queue != target)
			break;
		*err = -EINVAL;
		if (unlikely(!ntzc_tx_plain(&d[k]) && ntzc_tx_malformed(&d[k])))
			break;
		*err = own ? ntzc_tx_take_own(b, &d[k], &m[k]) :
			     ntzc_tx_take_received(b, &d[k], &m[k]);
		if (unlikely(*err))
			break;
		sum += m[k]->desc.len;
	}
	*bytes = sum;
	return k;
}

static unsigned int ntzc_tx_take(struct ntzc_tap *tap, const struct ntzc_desc *d, unsigned int n,
				 u32 frame_max, struct m_buf **m, u64 *bytes, int *err)
{
	const bool own = d->handle & NTZC_HANDLE_TX;
	const struct ntzc_pool *pool = own ? tap->tx_pool : tap->rx_pool;
	struct ntzc_tx_bounds b = { .frame_max = frame_max };

	*err = ntzc_tx_malformed(d) ? -EINVAL : -ESTALE;
	if (!pool)
		return 0;
	b.bufs = pool->bufs;
	b.mask = pool->mask;
	b.shift = pool->shift;
	*err = 0;
	if (!own) {
		b.held = tap->rx_held;
		return ntzc_tx_take_run(&b, d, n, false, m, bytes, err);
	}
	b.held = tap->tx_held;
	n = ntzc_tx_take_run(&b, d, n, true, m, bytes, err);
	tap->tx_reserved -= n;
	return n;
}

/* The card did not want it: the program holds it again */
static void ntzc_tx_untake(struct ntzc_tap *tap, struct m_buf *m)
{
	u32 handle = m->desc.handle;

	if (m->pool->tx) {
		tap->tx_held[m_buf_index(m)] = handle;
		tap->tx_reserved++;
	} else {
		WRITE_ONCE(tap->rx_held[m_buf_index(m)], handle);
	}
}

/*
 * Received frames were accepted: they no longer count against their queues'
 * quotas. Not before: a poll would use up the room of those that come back.
 */
static void ntzc_tx_forwarded(struct ntzc_tap *tap, const u8 *queues, unsigned int n)
{
	unsigned int i, run;

	for (i = 0; i < n; i += run) {
		struct ntzc_chan *c = tap->chans[queues[i]];

		for (run = 1; i + run < n && queues[i + run] == queues[i]; run++)
			;
		WRITE_ONCE(c->released, c->released + run);
	}
	tap->tx_forwarded += n;
}

/* Where a run of packets goes, and as what the device there knows them */
struct ntzc_tx_run {
	struct ntzc_queue *q;
	const dma_addr_t *dma;	/* NULL: as the pool's own device does */
	bool need_sync;
};

static void ntzc_tx_sync(const struct ntzc_tx_run *run, struct m_buf **m, unsigned int n)
{
	struct device *dev = run->q->port->dma_dev;
	unsigned int i;

	for (i = 0; i < n; i++)
		dma_sync_single_for_device(dev, run->dma ? run->dma[i] : m_buf_dma(m[i]),
					   m_buf_len(m[i]), DMA_TO_DEVICE);
}

/* Under tx_lock. Return: how many the driver took. */
static unsigned int ntzc_tx_transmit(const struct ntzc_tx_run *run, struct m_buf **m,
				     unsigned int n)
{
	const struct ntzc_port_ops *ops = run->q->port->ops;
	struct ntzc_queue *q = run->q;
	unsigned int sent = ops->transmit(q, m, run->dma, n);

	if (likely(sent == n))
		return sent;
	/*
	 * Say that the ring is full, then look again: a completion that came
	 * between would not be followed by another that clears the flag.
	 */
	WRITE_ONCE(q->tx_full, true);
	smp_mb(); /* pairs with the release in ntzc_tx_complete() */
	sent += ops->transmit(q, m + sent, run->dma ? run->dma + sent : NULL, n - sent);
	if (sent == n)
		WRITE_ONCE(q->tx_full, false);
	return sent;
}

/* Give a run to the driver. Return: how many packets it took, or an errno. */
static int ntzc_tx_push(const struct ntzc_tx_run *run, struct m_buf **m, unsigned int n, u64 bytes)
{
	struct ntzc_queue *q = run->q;
	unsigned int i;
	int sent;

	spin_lock_bh(&q->tx_lock);
	if (!q->tx_up) {
		sent = READ_ONCE(q->port->gone) ? -ENODEV : -ENETDOWN;
	} else {
		if (unlikely(run->need_sync))
			ntzc_tx_sync(run, m, n);
		sent = ntzc_tx_transmit(run, m, n);
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
 * ntzc_tx_target() - where a descriptor to send goes
 * @tap: the tap, attached
 * @number: ntzc_desc.queue
 *
 * Return: the target, or NULL if there is none of that number.
 */
const struct ntzc_target *ntzc_tx_target(const struct ntzc_tap *tap, unsigned int number)
{
	/* pairs with the release in ntzc_tx_new_target() */
	unsigned int n = smp_load_acquire(&tap->n_targets);

	return number < n ? &tap->targets[array_index_nospec(number, n)] : NULL;
}

/* Send a run to another port. Return: as ntzc_tx_push(). */
static int ntzc_tx_push_across(struct ntzc_queue *q, const struct ntzc_mapping *map,
			       struct m_buf **m, unsigned int n, u64 bytes)
{
	dma_addr_t dma[NTZC_TX_BATCH] __uninitialized;
	struct ntzc_tx_run run = { .q = q, .dma = dma };
	unsigned int i;

	if (!map)
		return -ENODEV;
	run.need_sync = map->need_sync;
	for (i = 0; i < n; i++)
		dma[i] = map->dma[m_buf_index(m[i])] + m_buf_headroom(m[i]);
	return ntzc_tx_push(&run, m, n, bytes);
}

static int ntzc_tx_push_to(const struct ntzc_target *target, struct m_buf **m, unsigned int n,
			   u64 bytes)
{
	struct ntzc_pool *pool = m[0]->pool;
	struct ntzc_tx_run run = { .q = target->queue, .need_sync = pool->need_sync };

	/* first of all: what is not sent, for whatever reason, the caller recalls */
	ntzc_pool_launch(pool, m, n);
	if (likely(pool->port == target->port))
		return ntzc_tx_push(&run, m, n, bytes);
	return ntzc_tx_push_across(target->queue, pool->tx ? target->tx : target->rx, m, n, bytes);
}

/**
 * ntzc_tx_send() - send frames
 * @tap: the tap, attached
 * @d: the program's descriptors, copied
 * @n: how many, 1 to NTZC_TX_BATCH
 *
 * Context: hold_lock held, bottom halves off.
 * Return: how many were accepted, from the first on; or an errno for the first:
 * -EINVAL, -ESTALE, -ENOSPC (the ring is full), -ENETDOWN, -ENODEV.
 */
int ntzc_tx_send(struct ntzc_tap *tap, const struct ntzc_desc *d, unsigned int n)
{
	const struct ntzc_target *target = ntzc_tx_target(tap, d[0].queue);
	struct m_buf *m[NTZC_TX_BATCH] __uninitialized;
	u8 queues[NTZC_TX_BATCH] __uninitialized;
	bool own = d[0].handle & NTZC_HANDLE_TX;
	int err, sent;
	unsigned int i, k;
	u64 bytes;

	if (!target)
		return -EINVAL;
	k = ntzc_tx_take(tap, d, n, READ_ONCE(target->port->frame_max), m, &bytes, &err);
	if (!k)
		return err;
	/* before they go: then they may be gone */
	for (i = 0; !own && i < k; i++)
		queues[i] = m[i]->desc.queue;
	sent = ntzc_tx_push_to(target, m, k, bytes);
	if (sent < (int)k) {
		err = sent < 0 ? sent : -ENOSPC;
		sent = max(sent, 0);
		for (i = sent; i < k; i++)
			ntzc_tx_untake(tap, m[i]);
		ntzc_pool_recall(m[sent]->pool, m + sent, k - sent);
	}
	tap->tx_submitted += sent;
	if (!(d[0].handle & NTZC_HANDLE_TX))
		ntzc_tx_forwarded(tap, queues, min_t(unsigned int, sent, k));
	return sent ? sent : err;
}

/**
 * ntzc_tx_submit() - send frames
 * @tap: the tap, attached
 * @d: the program's descriptors, copied
 * @n: how many, 1 to NTZC_TX_BATCH
 *
 * Context: process. Return: as ntzc_tx_send().
 */
int ntzc_tx_submit(struct ntzc_tap *tap, const struct ntzc_desc *d, unsigned int n)
{
	int sent;

	spin_lock_bh(&tap->hold_lock);
	sent = ntzc_tx_send(tap, d, n);
	spin_unlock_bh(&tap->hold_lock);
	return sent;
}

/** ntzc_tx_can_send() - Return: whether a buffer can be had, and sent. */
bool ntzc_tx_can_send(const struct ntzc_tap *tap)
{
	const struct ntzc_pool *pool = ntzc_tap_tx_pool(tap);
	/* pairs with the release in ntzc_tx_new_target() */
	unsigned int n = smp_load_acquire(&tap->n_targets), i;

	for (i = 0; i < n; i++)
		if (READ_ONCE(tap->targets[i].queue->tx_full))
			return false;
	if (!pool)
		return true;
	return READ_ONCE(pool->n_free) || ntzc_tx_door_offers(tap);
}

/** ntzc_tx_drained() - Return: whether the card has dealt with all the tap's own buffers. */
bool ntzc_tx_drained(const struct ntzc_tap *tap)
{
	const struct ntzc_pool *pool = ntzc_tap_tx_pool(tap);

	return !pool || !READ_ONCE(pool->in_flight);
}

/* A tap's own buffers are back, from whichever card */
static void ntzc_tx_landed(struct ntzc_tap *tap, const struct ntzc_queue *q)
{
	struct ntzc_queue *own = tap->targets[0].queue;

	if (tap->tx_door.rings)
		ntzc_tx_door_run(tap);
	/* there TX_RESERVE waits; @q's own are woken once for all */
	if (q != own && wq_has_sleeper(&own->tx_wait))
		wake_up_interruptible_poll(&own->tx_wait, EPOLLOUT | EPOLLWRNORM);
}

/* Packets of one pool are sent: free them, and tell the tap that they belong to */
static void ntzc_tx_land(struct ntzc_queue *q, struct ntzc_pool *pool, struct m_buf **m,
			 unsigned int n, int status)
{
	struct ntzc_tap *tap;

	rcu_read_lock();
	/*
	 * Before the packets land, as the pool may go with them. The tap is
	 * there as long: pairs with synchronize_net() in ntzc_tap_unlink().
	 */
	tap = READ_ONCE(pool->tap);
	ntzc_pool_land(pool, m, n, status);
	if (tap)
		ntzc_tx_landed(tap, q);
	rcu_read_unlock();
}

/**
 * ntzc_tx_complete() - the card is done with packets
 * @q: the queue
 * @m: packets that ops->transmit took, in any order
 * @n: how many
 * @status: 0 if they were sent, or a negative errno
 *
 * Context: the queue's poll, or ops->stop; any that is alone on the queue, and
 * does not hold its tx_lock.
 */
void ntzc_tx_complete(struct ntzc_queue *q, struct m_buf **m, unsigned int n, int status)
{
	unsigned int i, run;

	WRITE_ONCE(q->tx_done, q->tx_done + n);
	if (unlikely(status))
		q->tx_failed += n;
	/* the driver's freed slots come first; pairs with smp_mb() in ntzc_tx_transmit() */
	smp_store_release(&q->tx_full, false);
	for (i = 0; i < n; i += run) {
		struct ntzc_pool *pool = m[i]->pool;

		for (run = 1; i + run < n && m[i + run]->pool == pool; run++)
			;
		ntzc_tx_land(q, pool, m + i, run, status);
	}
	if (wq_has_sleeper(&q->tx_wait))
		wake_up_interruptible_poll(&q->tx_wait, EPOLLOUT | EPOLLWRNORM);
	/* after the barrier in wq_has_sleeper(); pairs with smp_mb() in ntzc_stack_wait() */
	if (unlikely(READ_ONCE(ntzc_port_host_queue(q->port)->tx_full)))
		ntzc_stack_completed(q->port);
}
EXPORT_SYMBOL_GPL(ntzc_tx_complete);
