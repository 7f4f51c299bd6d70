// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Taps: one open file each. What a tap holds is a mark per buffer, set by
 * delivery and cleared here under tap->hold_lock; a reference is dropped only
 * where a mark was set, so that no program can release what it does not hold.
 * Attach and detach replace the queues' sets of taps under port->lock, by RCU.
 */
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "core.h"

#define NTZC_DEFAULT_RING	2048
#define NTZC_DEFAULT_QUOTA_MIN	64

/** ntzc_chan_waiting() - Return: frames that the channel's reader can take. */
u32 ntzc_chan_waiting(const struct ntzc_chan *c)
{
	/* acquire: the descriptors come after; pairs with ntzc_chan_publish() */
	return smp_load_acquire(&c->prod) - READ_ONCE(c->cons);
}

/** ntzc_tap_readable() - Return: whether a frame waits in any channel. Tap attached. */
bool ntzc_tap_readable(const struct ntzc_tap *tap)
{
	unsigned int i;

	for (i = 0; i < tap->n_chans; i++)
		if (tap->chans[i] && ntzc_chan_waiting(tap->chans[i]))
			return true;
	return false;
}

/**
 * ntzc_tap_create() - a tap that is attached to nothing
 *
 * Return: the tap, or NULL without memory.
 */
struct ntzc_tap *ntzc_tap_create(void)
{
	struct ntzc_tap *tap = kzalloc(sizeof(*tap), GFP_KERNEL_ACCOUNT);

	if (!tap)
		return NULL;
	mutex_init(&tap->read_lock);
	mutex_init(&tap->hold_lock);
	init_waitqueue_head(&tap->rx_wait);
	INIT_LIST_HEAD(&tap->link);
	return tap;
}

static void ntzc_chan_destroy(struct ntzc_chan *c)
{
	if (!c)
		return;
	vfree(c->ring);
	kfree(c);
}

static struct ntzc_chan *ntzc_chan_create(struct ntzc_tap *tap, struct ntzc_queue *q,
					  u32 ring_size, u32 quota)
{
	struct ntzc_chan *c = kzalloc(sizeof(*c), GFP_KERNEL_ACCOUNT);

	if (!c)
		return NULL;
	c->ring = __vmalloc(array_size(ring_size, sizeof(*c->ring)),
			    GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!c->ring) {
		kfree(c);
		return NULL;
	}
	c->tap = tap;
	c->queue = q;
	c->mask = ring_size - 1;
	c->quota = quota;
	return c;
}

static struct ntzc_taps *ntzc_queue_taps(struct ntzc_queue *q)
{
	return rcu_dereference_protected(q->taps, lockdep_is_held(&q->port->lock));
}

static int ntzc_queue_add(struct ntzc_queue *q, struct ntzc_chan *c)
{
	struct ntzc_taps *old = ntzc_queue_taps(q), *new;
	unsigned int n = old ? old->n : 0;

	if (n == NTZC_MAX_TAPS)
		return -EBUSY;
	new = kzalloc(struct_size(new, chan, n + 1), GFP_KERNEL);
	if (!new)
		return -ENOMEM;
	if (n)
		memcpy(new->chan, old->chan, n * sizeof(new->chan[0]));
	new->chan[n] = c;
	new->n = n + 1;
	rcu_assign_pointer(q->taps, new);
	if (old)
		kfree_rcu(old, rcu);
	return 0;
}

static void ntzc_queue_remove(struct ntzc_queue *q, struct ntzc_chan *c)
{
	struct ntzc_taps *old = ntzc_queue_taps(q), *new = NULL;
	unsigned int i, n = 0;

	/* closing a file cannot fail */
	if (old->n > 1)
		new = kzalloc(struct_size(new, chan, old->n - 1),
			      GFP_KERNEL | __GFP_NOFAIL);
	for (i = 0; i < old->n; i++)
		if (old->chan[i] != c)
			new->chan[n++] = old->chan[i];
	if (new)
		new->n = n;
	rcu_assign_pointer(q->taps, new);
	kfree_rcu(old, rcu);
}

/* Stop delivery to the tap; after it returns, no poll knows the tap. Under port->lock. */
static void ntzc_tap_unlink(struct ntzc_tap *tap, unsigned int n_chans)
{
	struct ntzc_chan *c;
	unsigned int i;

	for (i = 0; i < n_chans; i++) {
		c = tap->chans[i];
		if (c)
			ntzc_queue_remove(c->queue, c);
	}
	synchronize_net();
}

static int ntzc_tap_link(struct ntzc_tap *tap)
{
	unsigned int i;
	int err;

	for (i = 0; i < tap->n_chans; i++) {
		struct ntzc_chan *c = tap->chans[i];

		if (!c)
			continue;
		err = ntzc_queue_add(c->queue, c);
		if (err) {
			ntzc_tap_unlink(tap, i);
			return err;
		}
	}
	return 0;
}

/* Drop the references of all marks that are set. Nobody else uses the tap any more. */
static void ntzc_tap_drop_all(struct ntzc_pool *pool, u8 *held)
{
	struct m_buf *done[NTZC_BATCH];
	unsigned int n = 0;
	u32 i;

	for (i = 0; i < pool->size; i++) {
		if (!held[i])
			continue;
		held[i] = 0;
		if (!m_buf_unref(&pool->bufs[i]))
			continue;
		done[n++] = &pool->bufs[i];
		if (n == NTZC_BATCH) {
			ntzc_pool_free(pool, done, n);
			n = 0;
		}
		cond_resched();
	}
	ntzc_pool_free(pool, done, n);
}

static void ntzc_tap_free_chans(struct ntzc_tap *tap)
{
	unsigned int i;

	for (i = 0; i < tap->n_chans; i++)
		ntzc_chan_destroy(tap->chans[i]);
	kfree(tap->chans);
	kvfree(tap->rx_held);
	tap->chans = NULL;
	tap->n_chans = 0;
	tap->rx_held = NULL;
}

static void ntzc_tap_end_promisc(struct ntzc_tap *tap)
{
	struct ntzc_port *port = tap->port;

	rtnl_lock();
	if (tap->promisc && port->netdev)
		dev_set_promiscuity(port->netdev, -1);
	rtnl_unlock();
}

/**
 * ntzc_tap_destroy() - give back all that the tap holds, and free it
 * @tap: the tap; its file has no user left
 *
 * What the card is still sending comes back by itself later.
 *
 * Context: process, no locks held.
 */
void ntzc_tap_destroy(struct ntzc_tap *tap)
{
	struct ntzc_port *port = tap->port;

	if (port) {
		if (tap->promisc)
			ntzc_tap_end_promisc(tap);
		mutex_lock(&port->lock);
		ntzc_tap_unlink(tap, tap->n_chans);
		ntzc_tap_drop_all(tap->rx_pool, tap->rx_held);
		list_del(&tap->link);
		port->n_taps--;
		ntzc_port_pool_put(port);
		mutex_unlock(&port->lock);

		if (tap->tx_pool) {
			ntzc_tap_drop_all(tap->tx_pool, tap->tx_held);
			kvfree(tap->tx_held);
			ntzc_pool_put(tap->tx_pool);
		}
		ntzc_tap_free_chans(tap);
		ntzc_pool_put(tap->rx_pool);
		ntzc_port_put(port);
	}
	kfree(tap);
}

static int ntzc_tap_check(const struct ntzc_port *port, struct ntzc_attach *arg)
{
	const struct ntzc_pool *pool = port->rx_pool;
	u64 all = port->n_queues == 64 ? ~0ull : BIT_ULL(port->n_queues) - 1;
	u32 reserve = pool->size > port->rx_slots ? pool->size - port->rx_slots : 0;

	if (!arg->queues)
		arg->queues = all;
	if (!arg->ring_size)
		arg->ring_size = NTZC_DEFAULT_RING;
	if (!arg->desc_size)
		arg->desc_size = sizeof(struct ntzc_desc);
	/* half the reserve in all: one tap that hoards leaves as much to the others */
	if (!arg->quota)
		arg->quota = max_t(u32, reserve / 2 / max_t(u32, hweight64(arg->queues), 1),
				   NTZC_DEFAULT_QUOTA_MIN);

	if (arg->queues & ~all || !is_power_of_2(arg->ring_size) ||
	    arg->ring_size > NTZC_MAX_RING || arg->desc_size != sizeof(struct ntzc_desc))
		return -EINVAL;
	return 0;
}

static int ntzc_tap_alloc_chans(struct ntzc_tap *tap, struct ntzc_port *port,
				const struct ntzc_attach *arg)
{
	unsigned int i;

	tap->chans = kcalloc(port->n_queues, sizeof(tap->chans[0]), GFP_KERNEL_ACCOUNT);
	tap->rx_held = kvzalloc(port->rx_pool->size, GFP_KERNEL_ACCOUNT);
	if (!tap->chans || !tap->rx_held)
		return -ENOMEM;
	tap->n_chans = port->n_queues;
	for (i = 0; i < tap->n_chans; i++) {
		if (!(arg->queues & BIT_ULL(i)))
			continue;
		tap->chans[i] = ntzc_chan_create(tap, &port->queues[i], arg->ring_size, arg->quota);
		if (!tap->chans[i])
			return -ENOMEM;
	}
	return 0;
}

static void ntzc_tap_tell(const struct ntzc_port *port, struct ntzc_attach *arg)
{
	const struct ntzc_pool *pool = port->rx_pool;

	arg->port_id = port->id;
	arg->buf_size = 1u << pool->shift;
	arg->n_bufs = pool->size;
	arg->headroom = NTZC_HEADROOM;
	arg->frame_max = port->frame_max;
	arg->rx_bytes = (u64)pool->size << pool->shift;
}

/* Under port->lock */
static int ntzc_tap_join(struct ntzc_tap *tap, struct ntzc_port *port, struct ntzc_attach *arg)
{
	struct ntzc_pool *pool;
	int err;

	pool = ntzc_port_pool_get(port);
	if (IS_ERR(pool))
		return PTR_ERR(pool);
	err = ntzc_tap_check(port, arg);
	if (err)
		goto put_pool;
	err = ntzc_tap_alloc_chans(tap, port, arg);
	if (!err)
		err = ntzc_tap_link(tap);
	if (err)
		goto free_chans;

	ntzc_pool_get(pool);
	tap->rx_pool = pool;
	tap->tx_queue = &port->queues[__ffs64(arg->queues)];
	list_add_tail(&tap->link, &port->taps);
	port->n_taps++;
	ntzc_tap_tell(port, arg);
	return 0;

free_chans:
	ntzc_tap_free_chans(tap);
put_pool:
	ntzc_port_pool_put(port);
	return err;
}

/**
 * ntzc_tap_attach() - bind a tap to a port and have frames delivered to it
 * @tap: the tap
 * @port: the port; on success the tap keeps the caller's reference
 * @arg: checked for reserved fields by the caller; output fields are filled in
 *
 * Context: process, RTNL held.
 * Return: 0, or -EBUSY, -EINVAL, -ENODEV, -ENOMEM.
 */
int ntzc_tap_attach(struct ntzc_tap *tap, struct ntzc_port *port, struct ntzc_attach *arg)
{
	int err = -EBUSY;

	mutex_lock(&tap->hold_lock);
	if (tap->port)
		goto unlock;
	mutex_lock(&port->lock);
	err = port->gone ? -ENODEV : ntzc_tap_join(tap, port, arg);
	mutex_unlock(&port->lock);
	if (err)
		goto unlock;
	if (arg->flags & NTZC_ATTACH_PROMISC)
		tap->promisc = !dev_set_promiscuity(port->netdev, 1);
	/* all else of the tap comes first; pairs with ntzc_tap_port() */
	smp_store_release(&tap->port, port);
unlock:
	mutex_unlock(&tap->hold_lock);
	return err;
}

/* Under hold_lock. Return: handles dealt with, from the first on. */
static unsigned int ntzc_tap_release_rx(struct ntzc_tap *tap, const u32 *handles, unsigned int n)
{
	struct ntzc_chan *const *chans = tap->chans;
	struct ntzc_pool *pool = tap->rx_pool;
	struct m_buf *done[NTZC_BATCH];
	u8 *held = tap->rx_held;
	unsigned int i, n_done = 0;

	for (i = 0; i < n && !(handles[i] & NTZC_HANDLE_TX); i++) {
		struct m_buf *m = ntzc_tap_unhold(pool, held, handles[i]);
		struct ntzc_chan *c;

		if (unlikely(!m))
			break;
		c = chans[m->desc.queue];
		WRITE_ONCE(c->released, c->released + 1);
		if (m_buf_unref(m))
			done[n_done++] = m;
	}
	ntzc_pool_free(pool, done, n_done);
	return i;
}

static unsigned int ntzc_tap_release_tx(struct ntzc_tap *tap, const u32 *handles, unsigned int n)
{
	struct m_buf *done[NTZC_BATCH];
	unsigned int i;

	if (!tap->tx_pool)
		return 0;
	for (i = 0; i < n && handles[i] & NTZC_HANDLE_TX; i++) {
		done[i] = ntzc_tap_unhold(tap->tx_pool, tap->tx_held, handles[i]);
		if (!done[i])
			break;
	}
	tap->tx_reserved -= i;
	ntzc_pool_free(tap->tx_pool, done, i);
	if (i && wq_has_sleeper(&tap->tx_queue->tx_wait))
		wake_up_interruptible_poll(&tap->tx_queue->tx_wait, EPOLLOUT | EPOLLWRNORM);
	return i;
}

/**
 * ntzc_tap_release() - give back what the tap holds
 * @tap: the tap, attached
 * @handles: received frames and reserved transmit buffers, in any order
 * @n: how many, 1 to NTZC_BATCH
 *
 * Context: process.
 * Return: handles dealt with, from the first on, or -ESTALE if the first is
 * not held.
 */
int ntzc_tap_release(struct ntzc_tap *tap, const u32 *handles, unsigned int n)
{
	unsigned int done = 0, more;

	mutex_lock(&tap->hold_lock);
	do {
		if (handles[done] & NTZC_HANDLE_TX)
			more = ntzc_tap_release_tx(tap, handles + done, n - done);
		else
			more = ntzc_tap_release_rx(tap, handles + done, n - done);
		done += more;
	} while (more && done < n);
	mutex_unlock(&tap->hold_lock);
	return done ? done : -ESTALE;
}

/**
 * ntzc_tap_get_stats() - read the tap's counters
 * @tap: the tap, attached
 * @st: zeroed by the caller
 *
 * Context: process. Counters that move meanwhile may be read a little apart.
 */
void ntzc_tap_get_stats(struct ntzc_tap *tap, struct ntzc_tap_stats *st)
{
	unsigned int i;

	mutex_lock(&tap->hold_lock);
	for (i = 0; i < tap->n_chans; i++) {
		const struct ntzc_chan *c = tap->chans[i];
		u32 prod;

		if (!c)
			continue;
		prod = READ_ONCE(c->prod);
		st->received += c->received;
		st->received_bytes += c->received_bytes;
		st->lost_ring += c->lost_ring;
		st->lost_quota += c->lost_quota;
		st->lost_pool += c->lost_pool;
		st->waiting += prod - READ_ONCE(c->cons);
		st->held += prod - c->released;
	}
	st->released = st->received - st->held;
	st->tx_submitted = tap->tx_submitted;
	st->tx_forwarded = tap->tx_forwarded;
	st->tx_reserved = tap->tx_reserved;
	if (tap->tx_pool) {
		spin_lock_bh(&tap->tx_pool->lock);
		st->tx_completed = tap->tx_pool->tx_completed;
		st->tx_failed = tap->tx_pool->tx_failed;
		st->tx_in_flight = tap->tx_pool->in_flight;
		st->tx_free = tap->tx_pool->n_free;
		spin_unlock_bh(&tap->tx_pool->lock);
	}
	mutex_unlock(&tap->hold_lock);
}
