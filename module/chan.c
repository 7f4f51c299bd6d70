// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Channels: one queue's way into one tap. The producing side belongs to the
 * queue's poll; what comes back through the release ring is taken out under
 * tap->hold_lock. Rings and their indices lie in memory that the tap may map:
 * the kernel keeps its own index to itself, and checks what it reads.
 */
#include <linux/mm.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "core.h"

/** ntzc_chan_bytes() - Return: length of the rings' mapping, bytes. */
size_t ntzc_chan_bytes(const struct ntzc_chan *c)
{
	return PAGE_ALIGN((u8 *)(c->release + c->release_mask + 1) - (u8 *)c->rings);
}

/**
 * ntzc_chan_destroy() - free a channel
 * @c: the channel, in no set of taps; or NULL
 */
void ntzc_chan_destroy(struct ntzc_chan *c)
{
	if (!c)
		return;
	vfree(c->rings);
	kfree(c);
}

/**
 * ntzc_chan_create() - an empty channel
 * @tap: whose
 * @q: from where
 * @ring_size: descriptors, a power of two
 * @quota: frames that may be held
 *
 * Context: process. Return: the channel, or NULL without memory.
 */
struct ntzc_chan *ntzc_chan_create(struct ntzc_tap *tap, struct ntzc_queue *q, u32 ring_size,
				   u32 quota)
{
	struct ntzc_chan *c = kzalloc(sizeof(*c), GFP_KERNEL_ACCOUNT);
	u32 release_size = roundup_pow_of_two(quota);
	size_t bytes;

	if (!c)
		return NULL;
	/* neither can overflow: both sizes are bounded, see ntzc_tap_check() */
	bytes = NTZC_RING_ENTRIES + (size_t)ring_size * sizeof(*c->ring) +
		(size_t)release_size * sizeof(*c->release);
	c->rings = __vmalloc(PAGE_ALIGN(bytes), NTZC_GFP_ACCOUNT | __GFP_ZERO);
	if (!c->rings) {
		kfree(c);
		return NULL;
	}
	c->ring = (void *)c->rings + NTZC_RING_ENTRIES;
	c->release = (u32 *)(c->ring + ring_size);
	c->tap = tap;
	c->queue = q;
	c->mask = ring_size - 1;
	c->release_mask = release_size - 1;
	c->quota = quota;
	c->fanout = tap->fanout;
	return c;
}

/** ntzc_chan_waiting() - Return: frames that the channel's reader can take. */
u32 ntzc_chan_waiting(const struct ntzc_chan *c)
{
	/* acquire: the descriptors come after; pairs with ntzc_chan_publish() */
	u32 n = smp_load_acquire(&c->prod) - READ_ONCE(c->rings->rx.cons);

	/* more only if the program spoiled its index */
	return n <= c->mask + 1 ? n : 0;
}

/* Frames of the batch that stay wanted when only the first @n of them have room */
static u64 ntzc_first_bits(u64 bits, unsigned int n)
{
	u64 rest = bits;

	while (n--)
		rest &= rest - 1;
	return bits & ~rest;
}

/**
 * ntzc_chan_admit() - see which of the wanted frames there is room for
 * @c: the channel; its want is reduced to those, the others are counted by cause
 * @may: frames that may leave the queue
 *
 * Context: the queue's poll.
 */
void ntzc_chan_admit(struct ntzc_chan *c, u64 may)
{
	u64 want = c->want & may;
	unsigned int n = hweight64(want), take;
	u32 space = ntzc_ring_space(&c->rings->rx, c->prod, c->mask + 1);
	u32 held = c->prod - READ_ONCE(c->released);
	u32 left = held < c->quota ? c->quota - held : 0;

	if (unlikely(want != c->want))
		c->lost_pool += hweight64(c->want & ~may);
	take = min3(n, space, left);
	if (unlikely(take < n)) {
		if (space <= left)
			c->lost_ring += n - take;
		else
			c->lost_quota += n - take;
		want = ntzc_first_bits(want, take);
	}
	c->want = want;
}

/*
 * A descriptor but for its time. Word by word: field by field, or with a time that
 * is overwritten, it would be half as much again. Return: the handle, out of the first.
 */
static __always_inline u32 ntzc_desc_copy(struct ntzc_desc *to, const struct ntzc_desc *from)
{
	u64 *t = (u64 *)to;
	const u64 *f = (const u64 *)from;
	u64 head = f[0];

	BUILD_BUG_ON(sizeof(*to) != 4 * sizeof(u64) ||
		     offsetof(struct ntzc_desc, handle) != 0 ||
		     offsetof(struct ntzc_desc, timestamp) != sizeof(u64));
	t[0] = head;
	t[2] = f[2];
	t[3] = f[3];
	return IS_ENABLED(CONFIG_CPU_BIG_ENDIAN) ? upper_32_bits(head) : lower_32_bits(head);
}

/* Fill places of the ring that do not wrap */
static __always_inline void ntzc_chan_fill(const struct ntzc_chan *c, struct ntzc_desc *d,
					   struct m_buf **m, unsigned int n, u64 now, u64 mono)
{
	const u32 mask = c->tap->rx_pool->mask;
	u32 *held = c->tap->rx_held;
	struct m_buf **end = m + n;

	/* short bodies: the loop's own work would be a fifth */
#pragma GCC unroll 8
	for (; m != end; m++, d++) {
		struct m_buf *one = *m;
		u32 handle = ntzc_desc_copy(d, &one->desc);

		d->timestamp = now;
		if (mono)
			WRITE_ONCE(one->desc.timestamp, mono);
		/* last: a program that guesses the handle may release it from here on.
		 * The count and the copy come first; pairs with ntzc_tap_held()
		 */
		smp_store_release(&held[handle & mask], handle);
	}
}

/**
 * ntzc_chan_publish() - put frames into the ring and wake who waits for them
 * @c: the channel, with room
 * @m: the frames; their references are taken
 * @n: how many
 * @bytes: of all of them
 * @now: for their descriptors, ns of the tap's clock
 * @mono: the same on the monotonic clock: since when they are held; 0 if that was noted
 *
 * Context: the queue's poll.
 */
void ntzc_chan_publish(struct ntzc_chan *c, struct m_buf **m, unsigned int n, u64 bytes, u64 now,
		       u64 mono)
{
	u32 prod = c->prod, at = prod & c->mask, run = min(n, c->mask + 1 - at);

	/* the choice is made once for the run */
	if (likely(mono))
		ntzc_chan_fill(c, &c->ring[at], m, run, now, mono);
	else
		ntzc_chan_fill(c, &c->ring[at], m, run, now, 0);
	if (unlikely(run < n))
		ntzc_chan_fill(c, c->ring, m + run, n - run, now, mono);
	c->received += n;
	c->received_bytes += bytes;
	/* the descriptors come first; pairs with ntzc_chan_waiting() */
	smp_store_release(&c->prod, prod + n);
	ntzc_ring_publish(&c->rings->rx, prod + n);
	if (wq_has_sleeper(&c->tap->rx_wait))
		wake_up_interruptible_poll(&c->tap->rx_wait, EPOLLIN | EPOLLRDNORM);
}

/*
 * Take back handles that do not wrap. What the program wrote is read once. What the tap
 * holds may be of another of its channels, unless this is its @only one. Buffers that
 * nobody holds any more go to @done; most others have more holders if @shared. Return:
 * where @done ends.
 */
static __always_inline struct m_buf **ntzc_chan_take_all(struct ntzc_chan *c, const u32 *release,
							 unsigned int n, bool only, bool shared,
							 struct m_buf **done)
{
	const struct ntzc_pool *pool = c->tap->rx_pool;
	const u32 mask = pool->mask, *end = release + n;
	const u8 queue = c->queue->index;
	u32 *held = c->tap->rx_held;
	struct m_buf *bufs = pool->bufs;
	unsigned int bad = 0;

#pragma GCC unroll 8
	for (; release != end; release++) {
		u32 handle = READ_ONCE(*release), *mark = &held[handle & mask];
		struct m_buf *m = &bufs[handle & mask];

		/* acquire: as in ntzc_tap_held() */
		if (unlikely(smp_load_acquire(mark) != handle ||
			     (!only && m->desc.queue != queue))) {
			bad++;
			continue;
		}
		WRITE_ONCE(*mark, NTZC_MARK_NONE);
		if (shared ? likely(!m_buf_unref_shared(m)) : unlikely(!m_buf_unref(m)))
			continue;
		/* as m_buf_retire() does, without a look at what is known */
		WRITE_ONCE(m->desc.handle, ntzc_handle_next(handle, false));
		*done++ = m;
	}
	c->bad_release += bad;
	WRITE_ONCE(c->released, c->released + n - bad);
	return done;
}

/* What holds for all of them is looked at once */
static struct m_buf **ntzc_chan_take(struct ntzc_chan *c, const u32 *release, unsigned int n,
				     struct m_buf **done)
{
	/* a guess: both ways are right for all */
	bool shared = READ_ONCE(c->queue->n_taps) > 1;

	if (c->tap->n_used > 1)
		return ntzc_chan_take_all(c, release, n, false, shared, done);
	return shared ? ntzc_chan_take_all(c, release, n, true, true, done) :
			ntzc_chan_take_all(c, release, n, true, false, done);
}

/**
 * ntzc_chan_reclaim() - take back what the program put in the release ring
 * @c: the channel
 * @done: buffers that nobody holds any more, retired, for the caller to free
 * @max: entries to look at, at most; the length of @done
 *
 * Context: tap->hold_lock held. Return: how many buffers.
 */
unsigned int ntzc_chan_reclaim(struct ntzc_chan *c, struct m_buf **done, unsigned int max)
{
	u32 cons = c->release_cons, mask = c->release_mask, at = cons & mask, run;
	u32 n = ntzc_ring_filled(&c->rings->release, cons);
	struct m_buf **end = done;

	if (likely(n <= mask + 1)) {
		n = min(n, max);
		run = min(n, mask + 1 - at);
		end = ntzc_chan_take(c, &c->release[at], run, end);
		if (unlikely(run < n))
			end = ntzc_chan_take(c, c->release, n - run, end);
	} else {
		/* the index is spoiled: none of the entries means anything */
		c->bad_release++;
	}
	WRITE_ONCE(c->release_cons, cons + n);
	ntzc_ring_consume(&c->rings->release, cons + n);
	return end - done;
}
