// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The life of a tap, which is one open file: create, attach to a port and its
 * queues, destroy. Attach runs under tap->setup_lock; what joins or leaves a
 * port does so under port->lock, and joins under RTNL.
 */
#include <linux/cred.h>
#include <linux/idr.h>
#include <linux/mm.h>
#include <linux/rtnetlink.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "core.h"

#define NTZC_DEFAULT_RING	2048
#define NTZC_DEFAULT_QUOTA_MIN	64

static DEFINE_IDA(ntzc_tap_ids);

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
	tap->id = ida_alloc(&ntzc_tap_ids, GFP_KERNEL_ACCOUNT);
	if (tap->id < 0) {
		kfree(tap);
		return NULL;
	}
	mutex_init(&tap->read_lock);
	mutex_init(&tap->setup_lock);
	spin_lock_init(&tap->hold_lock);
	init_waitqueue_head(&tap->rx_wait);
	INIT_LIST_HEAD(&tap->link);
	tap->pid = get_pid(task_tgid(current));
	tap->uid = current_uid();
	get_task_comm(tap->comm, current);
	return tap;
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
static void ntzc_tap_drop_all(struct ntzc_pool *pool, u32 *held)
{
	struct m_buf *done[NTZC_BATCH];
	unsigned int n = 0;
	u32 i;

	for (i = 0; i < pool->size; i++) {
		if (held[i] == NTZC_MARK_NONE)
			continue;
		held[i] = NTZC_MARK_NONE;
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
	tap->n_used = 0;
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

static void ntzc_tap_leave(struct ntzc_tap *tap, struct ntzc_port *port)
{
	if (tap->promisc)
		ntzc_tap_end_promisc(tap);
	/* polls look no more for the tap's rings; the grace period is unlink's */
	if (tap->tx_pool)
		WRITE_ONCE(tap->tx_pool->tap, NULL);
	mutex_lock(&port->lock);
	ntzc_tap_unlink(tap, tap->n_chans);
	ntzc_losses_keep(tap);
	ntzc_tap_drop_all(tap->rx_pool, tap->rx_held);
	list_del(&tap->link);
	WRITE_ONCE(port->n_taps, port->n_taps - 1);
	ntzc_port_pool_put(port);
	mutex_unlock(&port->lock);

	if (tap->tx_pool)
		ntzc_tap_drop_all(tap->tx_pool, tap->tx_held);
	ntzc_tx_teardown(tap);
	ntzc_tap_free_chans(tap);
	ntzc_pool_put(tap->rx_pool);
	ntzc_port_put(port);
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

	if (port)
		ntzc_tap_leave(tap, port);
	ntzc_filter_drop(tap);
	put_pid(tap->pid);
	ida_free(&ntzc_tap_ids, tap->id);
	kfree(tap);
}

/* Put defaults in place of zeros, then see whether it can be had */
static int ntzc_tap_check(const struct ntzc_tap *tap, struct ntzc_port *port,
			  struct ntzc_attach *arg)
{
	const struct ntzc_pool *pool = port->rx_pool;
	u64 all = port->n_queues == 64 ? ~0ull : BIT_ULL(port->n_queues) - 1;
	u32 reserve = pool->size > port->rx_slots ? pool->size - port->rx_slots : 0;
	u32 n_chans;

	if (!arg->queues)
		arg->queues = all;
	if (!arg->ring_size)
		arg->ring_size = NTZC_DEFAULT_RING;
	if (!arg->desc_size)
		arg->desc_size = sizeof(struct ntzc_desc);
	n_chans = hweight64(arg->queues) + !!(arg->flags & NTZC_ATTACH_HOST);
	/* half the reserve in all: one tap that hoards leaves as much to the others */
	arg->quota = ntzc_port_quota(port, arg->quota,
				     max_t(u32, reserve / 2 / max_t(u32, n_chans, 1),
					   NTZC_DEFAULT_QUOTA_MIN));
	/* more than there are cannot be held */
	arg->quota = min(arg->quota, pool->size);
	if (arg->queues & ~all || !is_power_of_2(arg->ring_size) ||
	    arg->ring_size > NTZC_MAX_RING || arg->desc_size != sizeof(struct ntzc_desc) ||
	    arg->clock > NTZC_CLOCK_TAI || arg->busy_poll_us > NTZC_MAX_BUSY_POLL_US)
		return -EINVAL;
	return ntzc_port_fanout_fits(port, tap->uid, arg) ? 0 : -EINVAL;
}

static bool ntzc_tap_alloc_chan(struct ntzc_tap *tap, unsigned int i, struct ntzc_queue *q,
				const struct ntzc_attach *arg)
{
	tap->chans[i] = ntzc_chan_create(tap, q, arg->ring_size, arg->quota);
	tap->n_used += !!tap->chans[i];
	return tap->chans[i];
}

static int ntzc_tap_alloc_chans(struct ntzc_tap *tap, struct ntzc_port *port,
				const struct ntzc_attach *arg)
{
	unsigned int n = port->n_queues, i;

	tap->chans = kcalloc(n + 1, sizeof(tap->chans[0]), GFP_KERNEL_ACCOUNT);
	tap->rx_held = ntzc_pool_marks(port->rx_pool);
	if (!tap->chans || !tap->rx_held)
		return -ENOMEM;
	tap->n_chans = n + 1;
	for (i = 0; i < n; i++)
		if (arg->queues & BIT_ULL(i) &&
		    !ntzc_tap_alloc_chan(tap, i, &port->queues[i], arg))
			return -ENOMEM;
	if (arg->flags & NTZC_ATTACH_HOST &&
	    !ntzc_tap_alloc_chan(tap, n, ntzc_port_host_queue(port), arg))
		return -ENOMEM;
	return 0;
}

static void ntzc_tap_tell(const struct ntzc_tap *tap, const struct ntzc_port *port,
			  struct ntzc_attach *arg)
{
	const struct ntzc_chan *c = tap->chans[__ffs64(arg->queues)];
	const struct ntzc_pool *pool = port->rx_pool;

	arg->port_id = port->id;
	arg->buf_size = 1u << pool->shift;
	arg->n_bufs = pool->size;
	arg->headroom = NTZC_HEADROOM;
	arg->frame_max = port->frame_max;
	arg->rx_bytes = (u64)pool->size << pool->shift;
	arg->n_queues = port->n_queues;
	arg->rings_bytes = ntzc_chan_bytes(c);
	arg->release_offset = (u8 *)c->release - (u8 *)c->rings;
	arg->release_size = c->release_mask + 1;
	arg->tap_id = tap->id;
}

/* See whether the port can be had as it is, and keep it so. Under RTNL and port->lock. */
static int ntzc_tap_reserve(struct ntzc_tap *tap, struct ntzc_port *port, struct ntzc_attach *arg)
{
	struct ntzc_pool *pool;
	int err;

	if (port->gone)
		return -ENODEV;
	pool = ntzc_port_pool_get(port);
	if (IS_ERR(pool))
		return PTR_ERR(pool);
	err = ntzc_tap_check(tap, port, arg);
	if (err) {
		ntzc_port_pool_put(port);
		return err;
	}
	ntzc_pool_get(pool);
	tap->rx_pool = pool;
	return 0;
}

/* Under RTNL and port->lock */
static int ntzc_tap_join(struct ntzc_tap *tap, struct ntzc_port *port, struct ntzc_attach *arg)
{
	int err;

	if (port->gone)
		return -ENODEV;
	/* others may have joined meanwhile */
	if (!ntzc_port_fanout_fits(port, tap->uid, arg))
		return -EINVAL;
	tap->targets[0].port = port;
	tap->targets[0].queue = &port->queues[__ffs64(arg->queues)];
	tap->n_targets = 1;
	/* last of what delivery looks at: polls find the tap from here on */
	err = ntzc_tap_link(tap);
	if (err) {
		/* some queues may have delivered before another refused */
		ntzc_tap_drop_all(tap->rx_pool, tap->rx_held);
		tap->n_targets = 0;
		return err;
	}
	list_add_tail(&tap->link, &port->taps);
	/* whoever waits for this may send at once: the tap gets it */
	WRITE_ONCE(port->n_taps, port->n_taps + 1);
	ntzc_rx_greet(port);
	ntzc_tap_tell(tap, port, arg);
	return 0;
}

/* Find the port, and have it stay as the tap wants it. Return: the port, or an ERR_PTR. */
static struct ntzc_port *ntzc_tap_find(struct ntzc_tap *tap, struct ntzc_attach *arg)
{
	struct ntzc_port *port;
	int err = -ENODEV;

	rtnl_lock();
	port = ntzc_port_find(arg->name, arg->ifindex);
	if (port) {
		mutex_lock(&port->lock);
		err = ntzc_tap_reserve(tap, port, arg);
		mutex_unlock(&port->lock);
		if (err)
			ntzc_port_put(port);
	}
	rtnl_unlock();
	return err ? ERR_PTR(err) : port;
}

/* Have the port deliver */
static int ntzc_tap_begin(struct ntzc_tap *tap, struct ntzc_port *port, struct ntzc_attach *arg)
{
	int err;

	rtnl_lock();
	mutex_lock(&port->lock);
	err = ntzc_tap_join(tap, port, arg);
	mutex_unlock(&port->lock);
	if (!err) {
		tap->missed = ntzc_port_missed(port);
		if (arg->flags & NTZC_ATTACH_PROMISC)
			tap->promisc = !dev_set_promiscuity(port->netdev, 1);
		/* all else of the tap comes first; pairs with ntzc_tap_port() */
		smp_store_release(&tap->port, port);
	}
	rtnl_unlock();
	return err;
}

/* Under setup_lock */
static int ntzc_tap_attach_new(struct ntzc_tap *tap, struct ntzc_attach *arg)
{
	struct ntzc_port *port = ntzc_tap_find(tap, arg);
	int err;

	if (IS_ERR(port))
		return PTR_ERR(port);
	tap->fanout = arg->fanout;
	tap->clock = arg->clock;
	tap->busy_poll_us = arg->busy_poll_us;
	tap->queues = arg->queues;
	err = ntzc_tap_alloc_chans(tap, port, arg);
	if (!err)
		err = ntzc_tap_begin(tap, port, arg);
	if (!err)
		return 0;
	ntzc_tap_free_chans(tap);
	mutex_lock(&port->lock);
	ntzc_port_pool_put(port);
	mutex_unlock(&port->lock);
	ntzc_pool_put(tap->rx_pool);
	tap->rx_pool = NULL;
	ntzc_port_put(port);
	return err;
}

/**
 * ntzc_tap_attach() - bind a tap to a port and have frames delivered to it
 * @tap: the tap
 * @arg: checked for reserved fields by the caller; output fields are filled in
 *
 * Rings and marks are charged to the caller's memory cgroup, which may make it wait for them as
 * long as it pleases. So they are had without a lock that others need.
 *
 * Context: process, no locks held.
 * Return: 0, or -EBUSY, -EINVAL, -ENODEV, -ENOMEM.
 */
int ntzc_tap_attach(struct ntzc_tap *tap, struct ntzc_attach *arg)
{
	int err;

	mutex_lock(&tap->setup_lock);
	if (!tap->port)
		err = ntzc_tap_attach_new(tap, arg);
	else
		err = READ_ONCE(tap->port->gone) ? -ENODEV : -EBUSY;
	mutex_unlock(&tap->setup_lock);
	return err;
}
