// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a tap holds: a mark per buffer, set by delivery and cleared under
 * tap->hold_lock. A reference is dropped only where a mark was set, so that no
 * program can release what it does not hold.
 */
#include <linux/poll.h>
#include <linux/timekeeping.h>
#include <linux/uidgid.h>

#include "core.h"

/** ntzc_tap_readable() - Return: whether a frame waits in any channel. Tap attached. */
bool ntzc_tap_readable(const struct ntzc_tap *tap)
{
	unsigned int i;

	for (i = 0; i < tap->n_chans; i++)
		if (tap->chans[i] && ntzc_chan_waiting(tap->chans[i]))
			return true;
	return false;
}

/*
 * Under hold_lock. Counts what comes of one queue after another; all comes of one if the tap
 * has no other, its @only one. Return: handles dealt with, from the first on.
 */
static __always_inline unsigned int ntzc_tap_release_rx(struct ntzc_tap *tap, const u32 *handles,
							unsigned int n, bool only)
{
	struct ntzc_pool *pool = tap->rx_pool;
	struct m_buf *done[NTZC_BATCH] __uninitialized;
	struct m_buf *bufs = pool->bufs, **free = done;
	const u32 *at = handles, *end = handles + n, *since = handles;
	u32 *held = tap->rx_held, mask = pool->mask;
	u8 queue = only ? __ffs64(tap->queues) : 0;

#pragma GCC unroll 4
	for (; at != end; at++) {
		/* no mark here is that of transmit memory */
		u32 handle = *at, *mark = &held[handle & mask];
		struct m_buf *m = &bufs[handle & mask];

		/* acquire: as in ntzc_tap_held() */
		if (unlikely(smp_load_acquire(mark) != handle))
			break;
		WRITE_ONCE(*mark, NTZC_MARK_NONE);
		if (!only && unlikely(m->desc.queue != queue)) {
			if (at != since)
				ntzc_tap_released(tap, queue, at - since);
			queue = m->desc.queue;
			since = at;
		}
		if (unlikely(!m_buf_unref(m)))
			continue;
		/* as in ntzc_chan_take() */
		WRITE_ONCE(m->desc.handle, ntzc_handle_next(handle, false));
		*free++ = m;
	}
	if (at != since)
		ntzc_tap_released(tap, queue, at - since);
	ntzc_pool_restore(pool, done, free - done);
	return at - handles;
}

static unsigned int ntzc_tap_release_tx(struct ntzc_tap *tap, const u32 *handles, unsigned int n)
{
	struct ntzc_pool *pool = ntzc_tap_tx_pool(tap);
	struct m_buf *done[NTZC_BATCH] __uninitialized;
	unsigned int i;

	if (!pool)
		return 0;
	for (i = 0; i < n && handles[i] & NTZC_HANDLE_TX; i++) {
		if (!ntzc_tap_held(pool, tap->tx_held, handles[i]))
			break;
		tap->tx_held[handles[i] & pool->mask] = NTZC_MARK_NONE;
		done[i] = ntzc_tap_buf(pool, handles[i]);
	}
	tap->tx_reserved -= i;
	ntzc_pool_free(pool, done, i);
	if (i && wq_has_sleeper(&tap->targets[0].queue->tx_wait))
		ntzc_wake_up_poll_all(&tap->targets[0].queue->tx_wait, EPOLLOUT | EPOLLWRNORM);
	return i;
}

/**
 * ntzc_tap_release_held() - give back what the tap holds, under its lock
 * @tap: the tap, attached
 * @handles: received frames and reserved transmit buffers, in any order
 * @n: how many, 1 to NTZC_BATCH
 *
 * Context: hold_lock held. Return: handles dealt with, from the first on.
 */
unsigned int ntzc_tap_release_held(struct ntzc_tap *tap, const u32 *handles, unsigned int n)
{
	unsigned int done = 0, more;

	do {
		if (handles[done] & NTZC_HANDLE_TX)
			more = ntzc_tap_release_tx(tap, handles + done, n - done);
		else if (tap->n_used == 1)
			more = ntzc_tap_release_rx(tap, handles + done, n - done, true);
		else
			more = ntzc_tap_release_rx(tap, handles + done, n - done, false);
		done += more;
	} while (more && done < n);
	return done;
}

/**
 * ntzc_tap_release() - give back what the tap holds
 * @tap: the tap, attached
 * @handles: as for ntzc_tap_release_held()
 * @n: how many, 1 to NTZC_BATCH
 *
 * Context: process.
 * Return: handles dealt with, from the first on, or -ESTALE if the first is
 * not held.
 */
int ntzc_tap_release(struct ntzc_tap *tap, const u32 *handles, unsigned int n)
{
	unsigned int done;

	spin_lock_bh(&tap->hold_lock);
	done = ntzc_tap_release_held(tap, handles, n);
	spin_unlock_bh(&tap->hold_lock);
	return done ? done : -ESTALE;
}

/**
 * ntzc_tap_reclaim_chan() - take back what is in one release ring, as it stands now
 * @c: the channel
 *
 * Of what is nothing to give back, about a batch is looked at: the rest can wait, as
 * what a program writes there must not be others' work.
 *
 * Context: as ntzc_tap_reclaim().
 */
void ntzc_tap_reclaim_chan(struct ntzc_chan *c)
{
	struct m_buf *done[NTZC_BATCH] __uninitialized;
	struct ntzc_tap *tap = c->tap;
	unsigned int n, looks = c->release_mask / NTZC_BATCH + 1;
	u64 bad = 0;

	/* a bound, as the program may go on filling it */
	while (looks-- && bad < NTZC_BATCH &&
	       ntzc_ring_filled(&c->rings->release, READ_ONCE(c->release_cons))) {
		spin_lock_bh(&tap->hold_lock);
		bad -= c->bad_release;
		n = ntzc_chan_reclaim(c, done, NTZC_BATCH);
		bad += c->bad_release;
		spin_unlock_bh(&tap->hold_lock);
		ntzc_pool_restore(tap->rx_pool, done, n);
	}
}

/**
 * ntzc_tap_reclaim() - take back what the program put in its release rings
 * @tap: the tap, attached
 *
 * Context: any but hard interrupts, no locks held.
 */
void ntzc_tap_reclaim(struct ntzc_tap *tap)
{
	unsigned int i;

	for (i = 0; i < tap->n_chans; i++)
		if (tap->chans[i])
			ntzc_tap_reclaim_chan(tap->chans[i]);
}

/**
 * ntzc_tap_get_stats() - read the tap's counters
 * @tap: the tap, attached
 * @st: zeroed by the caller
 *
 * Context: process, RTNL held. Counters that move meanwhile may be read a little apart.
 */
void ntzc_tap_get_stats(struct ntzc_tap *tap, struct ntzc_tap_stats *st)
{
	struct ntzc_pool *pool = ntzc_tap_tx_pool(tap);
	unsigned int i;

	/* a card that is gone has no counter any more */
	if (!tap->port->gone)
		st->missed = ntzc_port_missed(tap->port) - tap->missed;
	spin_lock_bh(&tap->hold_lock);
	for (i = 0; i < tap->n_chans; i++) {
		const struct ntzc_chan *c = tap->chans[i];
		u32 prod;

		if (!c)
			continue;
		prod = READ_ONCE(c->prod);
		st->received += ntzc_glance(c->received);
		st->received_bytes += ntzc_glance(c->received_bytes);
		st->lost_ring += ntzc_glance(c->lost_ring);
		st->lost_quota += ntzc_glance(c->lost_quota);
		st->lost_pool += ntzc_glance(c->lost_pool);
		st->waiting += ntzc_chan_waiting(c);
		st->filtered += ntzc_glance(c->filtered);
		st->bad_release += c->bad_release;
		/* a program that looks at its ring's entries may be quicker than we tell of them */
		st->held += max_t(s32, prod - c->released, 0);
	}
	st->released = st->received - st->held;
	st->bad_submit = tap->tx_door.bad_submit;
	st->tx_submitted = tap->tx_submitted;
	st->tx_forwarded = tap->tx_forwarded;
	st->tx_reserved = tap->tx_reserved;
	if (pool) {
		spin_lock_bh(&pool->lock);
		st->tx_completed = pool->tx_completed;
		st->tx_failed = pool->tx_failed;
		st->tx_in_flight = pool->in_flight;
		st->tx_free = pool->n_free;
		spin_unlock_bh(&pool->lock);
	}
	spin_unlock_bh(&tap->hold_lock);
}

/* Since when the tap has held the frame that it has held longest, ns ago; 0 if none */
static u64 ntzc_tap_oldest(const struct ntzc_tap *tap)
{
	const struct ntzc_pool *pool = tap->rx_pool;
	u64 now = ktime_get_ns(), oldest = now;
	u32 i;

	for (i = 0; i < pool->size; i++)
		if (READ_ONCE(tap->rx_held[i]) != NTZC_MARK_NONE)
			oldest = min(oldest, READ_ONCE(pool->bufs[i].desc.timestamp));
	return now - oldest;
}

/**
 * ntzc_tap_get_info() - tell who holds what
 * @port: the port
 * @info: tap_id: the lowest of interest; filled in
 *
 * Context: process, RTNL held. Return: 0, or -ENOENT if there is no such tap.
 */
int ntzc_tap_get_info(struct ntzc_port *port, struct ntzc_tap_info *info)
{
	struct ntzc_tap *tap, *next = NULL;

	mutex_lock(&port->lock);
	list_for_each_entry(tap, &port->taps, link)
		if (tap->id >= info->tap_id && (!next || tap->id < next->id))
			next = tap;
	tap = next;
	if (tap) {
		ntzc_tap_reclaim(tap);
		info->tap_id = tap->id;
		info->pid = pid_vnr(tap->pid);
		info->uid = from_kuid_munged(current_user_ns(), tap->uid);
		info->flags = (rcu_access_pointer(tap->filter) ? NTZC_TAP_FILTER : 0) |
			      (READ_ONCE(tap->promisc) ? NTZC_TAP_PROMISC : 0) |
			      (tap->chans[tap->n_chans - 1] ? NTZC_TAP_HOST : 0);
		info->fanout = tap->fanout;
		info->queues = tap->queues;
		info->ring_size = tap->chans[__ffs64(tap->queues)]->mask + 1;
		info->quota = tap->chans[__ffs64(tap->queues)]->quota;
		strscpy(info->comm, tap->comm, sizeof(info->comm));
		ntzc_tap_get_stats(tap, &info->stats);
		info->oldest_ns = ntzc_tap_oldest(tap);
	}
	mutex_unlock(&port->lock);
	return tap ? 0 : -ENOENT;
}
