// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Transmit: a tap's own buffers, reserved, filled by the program, submitted,
 * and back when the card has sent them; and received frames, forwarded by
 * reference. Everything that a program says of a frame is in the descriptor,
 * each word of which is read once; what was read is checked and used.
 */
#include <linux/bitops.h>
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
	/* a thread that saw part of them may have given one back: the others go all the same */
	for (i = 0; i < n; )
		i += max(ntzc_tap_release(tap, handles + i, n - i), 1);
}

/* What a run of descriptors is checked against: of one pool and one target, looked up once */
struct ntzc_tx_bounds {
	struct m_buf *bufs;
	u32 *held;
	u32 mask;
	u32 size;
	u32 base;	/* mask of an offset, for the buffer's start */
	u32 frame_max;	/* or a buffer's size, if that is less */
	u32 longer;	/* what a frame after the headroom may have more than NTZC_PAD_FRAME */
	u64 tail;	/* of a descriptor that says no more than where to */
};

/* A descriptor as a program wrote it, each word read once: it may lie where it can be rewritten */
struct ntzc_tx_words {
	u32 handle;
	u32 offset;
	u64 time;	/* must be zero */
	u64 len;	/* and the hash above it, which must be zero */
	u64 tail;	/* original length, tag, flags, target, hash type */
};

/* The length, and the hash above it */
static __always_inline u64 ntzc_tx_read_len(const struct ntzc_desc *d)
{
	u64 len = READ_ONCE(((const u64 *)d)[2]);

	BUILD_BUG_ON(sizeof(*d) != 4 * sizeof(u64) ||
		     offsetof(struct ntzc_desc, len) != 2 * sizeof(u64) ||
		     offsetof(struct ntzc_desc, orig_len) != 3 * sizeof(u64));
	return IS_ENABLED(CONFIG_CPU_BIG_ENDIAN) ? rol64(len, 32) : len;
}

static __always_inline struct ntzc_tx_words ntzc_tx_read(const struct ntzc_desc *d)
{
	return (struct ntzc_tx_words) {
		.handle = READ_ONCE(d->handle),
		.offset = READ_ONCE(d->offset),
		.time = READ_ONCE(d->timestamp),
		.len = ntzc_tx_read_len(d),
		.tail = READ_ONCE(((const u64 *)d)[3]),
	};
}

/* Whether a descriptor says more than handle, offset and length, and where to */
static __always_inline bool ntzc_tx_says_more(const struct ntzc_desc *d, u64 plain)
{
	return (READ_ONCE(((const u64 *)d)[3]) ^ plain) | READ_ONCE(d->timestamp);
}

/* Whether more is said of a frame than may be: where it is and goes, and a tag with its flag */
static bool ntzc_tx_malformed(const struct ntzc_tx_words *w, u64 plain)
{
	const union {
		u64 words[4];
		struct ntzc_desc d;
	} said = { .words = { [3] = w->tail } }, may = { .words = { [3] = plain } };

	return w->time || w->len >> 32 || said.d.orig_len || said.d.hash_type ||
	       said.d.queue != may.d.queue || said.d.flags & ~NTZC_TX_VLAN ||
	       (said.d.vlan_tci && !(said.d.flags & NTZC_TX_VLAN));
}

static __always_inline bool ntzc_tx_holds(const struct ntzc_tx_bounds *b, u32 handle)
{
	/* acquire: as in ntzc_tap_held() */
	return smp_load_acquire(&b->held[handle & b->mask]) == handle;
}

/* The offset in the buffer; larger than that if it is in another one */
static __always_inline u32 ntzc_tx_place(const struct ntzc_tx_bounds *b, const struct m_buf *m,
					 u32 offset)
{
	return offset - (m->desc.offset & b->base);
}

static __always_inline void ntzc_tx_describe(const struct ntzc_tx_bounds *b, struct m_buf *m,
					     const struct ntzc_tx_words *w, u32 len)
{
	b->held[w->handle & b->mask] = NTZC_MARK_NONE;
	m->desc.offset = w->offset;
	m->desc.len = len;
	((u64 *)&m->desc)[3] = w->tail;
}

/*
 * One with a tag, or short, or elsewhere in its buffer, or wrong: looked at anew, as the
 * program may have changed it. Return: its length, or an errno.
 */
static noinline long ntzc_tx_take_odd(const struct ntzc_tx_bounds *b, const struct ntzc_desc *d,
				      struct m_buf **out)
{
	const struct ntzc_tx_words w = ntzc_tx_read(d);
	struct m_buf *m = &b->bufs[w.handle & b->mask];
	u32 need = max_t(u32, w.len, NTZC_PAD_FRAME);

	*out = m;
	if (ntzc_tx_malformed(&w, b->tail))
		return -EINVAL;
	if (b->held[w.handle & b->mask] != w.handle)
		return -ESTALE;
	if (w.len < NTZC_MIN_FRAME || w.len > b->frame_max ||
	    ntzc_tx_place(b, m, w.offset) > b->size - need)
		return -EINVAL;
	ntzc_tx_describe(b, m, &w, need);
	memset(m_buf_data(m) + w.len, 0, need - w.len);
	return need;
}

/*
 * A buffer of the tap's own: take it from the program and describe the frame in it. The
 * descriptor is read a word at a time, each as it is needed: all of them in registers at
 * once would be a fifth more work. Return: the frame's length, or an errno.
 */
static __always_inline long ntzc_tx_take_own(const struct ntzc_tx_bounds *b,
					     const struct ntzc_desc *d, struct m_buf **out)
{
	struct ntzc_tx_words w = { .tail = b->tail };
	struct m_buf *m;

	if (unlikely(ntzc_tx_says_more(d, b->tail)))
		return ntzc_tx_take_odd(b, d, out);
	w.handle = READ_ONCE(d->handle);
	if (unlikely(b->held[w.handle & b->mask] != w.handle))
		return ntzc_tx_take_odd(b, d, out);
	w.len = ntzc_tx_read_len(d);
	if (unlikely(w.len - NTZC_PAD_FRAME > b->longer))
		return ntzc_tx_take_odd(b, d, out);
	m = &b->bufs[w.handle & b->mask];
	w.offset = READ_ONCE(d->offset);
	if (unlikely(ntzc_tx_place(b, m, w.offset) != NTZC_HEADROOM))
		return ntzc_tx_take_odd(b, d, out);
	ntzc_tx_describe(b, m, &w, w.len);
	*out = m;
	return w.len;
}

/* Why a received frame was not taken, looked at anew. Return: an errno. */
static noinline int ntzc_tx_refuse_received(const struct ntzc_tx_bounds *b,
					    const struct ntzc_desc *d)
{
	const struct ntzc_tx_words w = ntzc_tx_read(d);

	if (ntzc_tx_malformed(&w, b->tail))
		return -EINVAL;
	return ntzc_tx_holds(b, w.handle) ? -EINVAL : -ESTALE;
}

/*
 * A received frame that the tap holds: its hold becomes the transmit's reference. Its tag, if
 * it has one, was recorded when it came in. Return: the frame's length, or some errno.
 */
static __always_inline long ntzc_tx_take_received(const struct ntzc_tx_bounds *b,
						  const struct ntzc_desc *d, struct m_buf **out)
{
	struct m_buf *m;
	u32 handle;
	u64 len;

	if (unlikely(ntzc_tx_says_more(d, b->tail)))
		return -EINVAL;
	handle = READ_ONCE(d->handle);
	if (unlikely(!ntzc_tx_holds(b, handle)))
		return -EINVAL;
	m = &b->bufs[handle & b->mask];
	len = ntzc_tx_read_len(d);
	if (unlikely(READ_ONCE(d->offset) != m->desc.offset || len != m->desc.len ||
		     len > b->frame_max))
		return -EINVAL;
	WRITE_ONCE(b->held[handle & b->mask], NTZC_MARK_NONE);
	*out = m;
	return len;
}

/*
 * Take descriptors from the program as far as they are of one pool, for one target, and
 * well formed. Return: how many; if there are fewer, @err says why.
 */
static __always_inline unsigned int
ntzc_tx_take_run(const struct ntzc_tx_bounds *b, const struct ntzc_desc *d, unsigned int n,
		 bool own, struct m_buf **m, u64 *bytes, int *err)
{
	struct m_buf **at = m, **end = m + n;
	u64 sum = 0;
	long len = 0;

	for (; at != end; at++, d++) {
		/* one of the other pool or for another target ends the run: it is not held here */
		len = own ? ntzc_tx_take_own(b, d, at) : ntzc_tx_take_received(b, d, at);
		if (unlikely(len < 0))
			break;
		sum += len;
	}
	*err = own || likely(len >= 0) ? len : ntzc_tx_refuse_received(b, d);
	*bytes = sum;
	return at - m;
}

static unsigned int ntzc_tx_take(struct ntzc_tap *tap, const struct ntzc_desc *d, unsigned int n,
				 bool own, const struct ntzc_target *target, struct m_buf **m,
				 u64 *bytes, int *err)
{
	const struct ntzc_pool *pool = own ? ntzc_tap_tx_pool(tap) : tap->rx_pool;
	const struct ntzc_desc plain = { .queue = target - tap->targets };
	struct ntzc_tx_bounds b = { .tail = ntzc_tx_read(&plain).tail };
	struct ntzc_tx_words w;

	if (unlikely(!pool)) {
		w = ntzc_tx_read(d);
		*err = ntzc_tx_malformed(&w, b.tail) ? -EINVAL : -ESTALE;
		return 0;
	}
	b.bufs = pool->bufs;
	b.mask = pool->mask;
	b.size = 1u << pool->shift;
	b.base = -b.size;
	b.frame_max = min(READ_ONCE(target->port->frame_max), b.size);
	b.longer = min(b.frame_max, b.size - NTZC_HEADROOM) - NTZC_PAD_FRAME;
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

/* The queues that received frames came in on. Return: whether it is one for all. */
static bool ntzc_tx_queues(struct m_buf **m, unsigned int n, u8 *queues)
{
	u8 first = m[0]->desc.queue;
	unsigned int i;

	queues[0] = first;
#pragma GCC unroll 4
	for (i = 1; i < n; i++)
		if (m[i]->desc.queue != first)
			break;
	if (likely(i == n))
		return true;
	for (i = 1; i < n; i++)
		queues[i] = m[i]->desc.queue;
	return false;
}

/*
 * Received frames were accepted: they no longer count against their queues'
 * quotas. Not before: a poll would use up the room of those that come back.
 */
static void ntzc_tx_forwarded(struct ntzc_tap *tap, const u8 *queues, bool one, unsigned int n)
{
	unsigned int i, run;

	tap->tx_forwarded += n;
	if (likely(one)) {
		ntzc_tap_released(tap, queues[0], n);
		return;
	}
	for (i = 0; i < n; i += run) {
		for (run = 1; i + run < n && queues[i + run] == queues[i]; run++)
			;
		ntzc_tap_released(tap, queues[i], run);
	}
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
	smp_mb(); /* pairs with that in ntzc_tx_complete() */
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
		WRITE_ONCE(q->tx_frames, q->tx_frames + sent);
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
	dma_addr_t dma[NTZC_BATCH] __uninitialized;
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
 * @d: the program's descriptors, where it may write still
 * @n: how many, 1 to NTZC_BATCH
 *
 * Context: hold_lock held, bottom halves off.
 * Return: how many were accepted, from the first on; or an errno for the first:
 * -EINVAL, -ESTALE, -ENOSPC (the ring is full), -ENETDOWN, -ENODEV.
 */
int ntzc_tx_send(struct ntzc_tap *tap, const struct ntzc_desc *d, unsigned int n)
{
	/* only where to look: if they change now, none of the descriptors fits */
	const struct ntzc_target *target = ntzc_tx_target(tap, READ_ONCE(d->queue));
	const bool own = READ_ONCE(d->handle) & NTZC_HANDLE_TX;
	struct m_buf *m[NTZC_BATCH] __uninitialized;
	u8 queues[NTZC_BATCH] __uninitialized;
	int err, sent;
	bool one = true;
	unsigned int i, k;
	u64 bytes;

	if (!target)
		return -EINVAL;
	k = ntzc_tx_take(tap, d, n, own, target, m, &bytes, &err);
	if (!k)
		return err;
	/* before they go: then they may be gone */
	if (!own)
		one = ntzc_tx_queues(m, k, queues);
	sent = ntzc_tx_push_to(target, m, k, bytes);
	if (unlikely(sent < (int)k)) {
		err = sent < 0 ? sent : -ENOSPC;
		sent = max(sent, 0);
		for (i = sent; i < k; i++)
			ntzc_tx_untake(tap, m[i]);
		ntzc_pool_recall(m[sent]->pool, m + sent, k - sent);
	}
	tap->tx_submitted += sent;
	if (!own && sent) {
		ntzc_tx_forwarded(tap, queues, one, min_t(unsigned int, sent, k));
		/* those of others are among them by now, perhaps: then it looks a little late */
		if (target == tap->targets)
			tap->tx_place = READ_ONCE(target->queue->tx_frames);
	}
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
	/* TX_SETUP makes the rings some time before they are the tap's */
	if (ntzc_tap_tx_pool(tap) && tap->tx_door.rings)
		ntzc_tx_door_rest(tap, 0);
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
	if (ntzc_tx_door_full(tap))
		return false;
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
		ntzc_wake_up_poll_all(&own->tx_wait, EPOLLOUT | EPOLLWRNORM);
}

/* Something is sent: serve the rings of taps that have forwarded, or that found no room */
static void ntzc_tx_resume(struct ntzc_queue *q)
{
	const struct ntzc_taps *taps = rcu_dereference(q->taps);
	unsigned int i, first;

	WRITE_ONCE(q->tx_behind, false);
	if (!taps)
		return;
	/* each in its turn is the first, and finds the most room */
	first = q->tx_turn++ % taps->n;
	for (i = 0; i < taps->n; i++) {
		struct ntzc_tap *tap = taps->chan[(first + i) % taps->n]->tap;

		/* it sends through the first of its queues */
		if (tap->targets[0].queue == q && ntzc_tap_tx_pool(tap) && tap->tx_door.rings)
			ntzc_tx_door_run(tap);
	}
}

/*
 * Most often all of a batch are of one pool: look at four at a time. Return: how many
 * of the packets, from the first on, are.
 */
static unsigned int ntzc_tx_alike(struct m_buf **m, unsigned int n)
{
	const struct ntzc_pool *pool = (*m)->pool;
	struct m_buf **at = m, **end = m + n;

	for (; end - at >= 4; at += 4)
		if (at[0]->pool != pool || at[1]->pool != pool || at[2]->pool != pool ||
		    at[3]->pool != pool)
			break;
	while (at != end && (*at)->pool == pool)
		at++;
	return at - m;
}

static bool ntzc_tx_is_awaited(struct ntzc_queue *q)
{
	/* no barrier: who falls asleep just now looks once more before, and finds room */
	return waitqueue_active(&q->tx_wait);
}

/*
 * Others wait for room in the card's ring beside the taps whose packets have landed, which would
 * fill it again: the host, which has little in it at a time; taps whose rings wait; programs that
 * sleep in a call, to whom the room is left as long as more packets will land. Under RCU.
 */
static noinline void ntzc_tx_share(struct ntzc_queue *q, struct m_buf **m, unsigned int n,
				   bool was_full)
{
	bool behind = READ_ONCE(q->tx_behind), later;
	unsigned int i, run;

	if (READ_ONCE(ntzc_port_host_queue(q->port)->tx_full))
		ntzc_stack_completed(q->port);
	/* who sends counts a little late: then nothing is taken to be on its way */
	later = was_full && !behind && READ_ONCE(q->tx_frames) > q->tx_done &&
		ntzc_tx_is_awaited(q);
	if (later)
		WRITE_ONCE(q->tx_behind, true);	/* all of the queue's rings are next */
	if (behind)
		ntzc_tx_resume(q);
	for (i = 0; i < n; i += run) {
		/* that long the pool is there, and its packets: see ntzc_pool_free_work() */
		struct ntzc_tap *tap = READ_ONCE(m[i]->pool->tap);

		run = ntzc_tx_alike(m + i, n - i);
		if (tap && (!later || tap->targets[0].queue != q))
			ntzc_tx_landed(tap, q);
	}
}

/* Whether somebody may wait for room beside the taps whose packets land */
static bool ntzc_tx_is_shared(struct ntzc_queue *q, bool was_full)
{
	return READ_ONCE(q->tx_behind) || READ_ONCE(ntzc_port_host_queue(q->port)->tx_full) ||
	       (was_full && ntzc_tx_is_awaited(q));
}

/* Packets are sent: free them, and tell the taps that they belong to */
static void ntzc_tx_land(struct ntzc_queue *q, struct m_buf **m, unsigned int n, int status,
			 bool was_full)
{
	bool shared = ntzc_tx_is_shared(q, was_full);
	unsigned int i, run;

	rcu_read_lock();
	for (i = 0; i < n; i += run) {
		struct ntzc_pool *pool = m[i]->pool;
		/* The tap is there as long: pairs with synchronize_net() in ntzc_tap_unlink() */
		struct ntzc_tap *tap = READ_ONCE(pool->tap);

		run = ntzc_tx_alike(m + i, n - i);
		ntzc_pool_land(pool, m + i, run, status);
		if (tap && likely(!shared))
			ntzc_tx_landed(tap, q);
	}
	if (unlikely(shared))
		ntzc_tx_share(q, m, n, was_full);
	rcu_read_unlock();
}

static noinline void ntzc_tx_count_failed(struct ntzc_queue *q, struct m_buf **m, unsigned int n)
{
	unsigned int i;

	q->tx_failed += n;
	for (i = 0; i < n; i++)
		q->tx_failed_bytes += m_buf_len(m[i]);
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
	bool was_full;

	WRITE_ONCE(q->tx_done, q->tx_done + n);
	if (likely(!status))
		q->tx_sent += n;
	else
		ntzc_tx_count_failed(q, m, n);
	/*
	 * The driver's freed slots, and tx_done, come first; pairs with those in
	 * ntzc_tx_transmit(), ntzc_tx_door_follows() and ntzc_stack_wait()
	 */
	smp_mb();
	was_full = READ_ONCE(q->tx_full);
	if (unlikely(was_full))
		WRITE_ONCE(q->tx_full, false);
	ntzc_tx_land(q, m, n, status, was_full);
	/* last: there is room in the rings by now */
	if (wq_has_sleeper(&q->tx_wait))
		ntzc_wake_up_poll_all(&q->tx_wait, EPOLLOUT | EPOLLWRNORM);
}
EXPORT_SYMBOL_GPL(ntzc_tx_complete);
