// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a tap needs to send: memory of its own, rings if it wants them, and
 * other ports to send to. Set up once each under tap->setup_lock, and published
 * with release to calls that may run beside it.
 */
#include <linux/mm.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>

#include "core.h"

#define NTZC_DEFAULT_TX_BUFS	512

/* Transmit memory must be known to all targets' devices. Under setup_lock. */
static int ntzc_tx_map_targets(struct ntzc_tap *tap, struct ntzc_pool *pool)
{
	unsigned int i;

	for (i = 1; i < tap->n_targets; i++) {
		struct ntzc_mapping *map = ntzc_map_get(pool, tap->targets[i].port);

		/* what is gone is told when it is sent to */
		if (IS_ERR(map) && PTR_ERR(map) != -ENODEV)
			return PTR_ERR(map);
		tap->targets[i].tx = IS_ERR(map) ? NULL : map;
	}
	return 0;
}

/*
 * The memory is charged to the caller's memory cgroup, which may make it wait as long as it
 * pleases: no lock that others need is held. Under setup_lock.
 */
static struct ntzc_pool *ntzc_tx_create_pool(struct ntzc_port *port,
					     const struct ntzc_tx_setup *arg)
{
	u32 least = ntzc_buf_size_for(READ_ONCE(port->frame_max));
	struct ntzc_pool *pool;
	int err;

	if (READ_ONCE(port->gone))
		return ERR_PTR(-ENODEV);
	if (arg->buf_size && arg->buf_size < least)
		return ERR_PTR(-EINVAL);
	pool = ntzc_pool_alloc_new(port, arg->n_bufs ?: NTZC_DEFAULT_TX_BUFS,
				   arg->buf_size ?: least, true);
	if (IS_ERR(pool))
		return pool;
	mutex_lock(&port->lock);
	err = port->gone ? -ENODEV : ntzc_pool_add(pool);
	mutex_unlock(&port->lock);
	if (err) {
		ntzc_pool_discard(pool);
		return ERR_PTR(err);
	}
	return pool;
}

/* Under setup_lock */
static int ntzc_tx_equip(struct ntzc_tap *tap, struct ntzc_pool *pool, struct ntzc_tx_setup *arg)
{
	int err = -ENOMEM;

	arg->n_bufs = pool->size;
	arg->buf_size = 1u << pool->shift;
	arg->headroom = NTZC_HEADROOM;
	arg->tx_bytes = (u64)pool->size << pool->shift;
	arg->rings_bytes = 0;
	arg->ring_size = 0;
	arg->free_offset = 0;
	arg->reserved0 = 0;
	tap->tx_held = ntzc_pool_marks(pool);
	if (!tap->tx_held)
		return -ENOMEM;
	if (arg->flags & NTZC_TX_RINGS && ntzc_tx_door_create(tap, pool, arg))
		goto free_held;
	err = ntzc_tx_map_targets(tap, pool);
	if (err)
		goto free_door;
	return 0;

free_door:
	ntzc_tx_door_destroy(tap);
free_held:
	kvfree(tap->tx_held);
	tap->tx_held = NULL;
	return err;
}

/**
 * ntzc_tx_setup() - give the tap transmit memory
 * @tap: the tap, attached
 * @arg: checked for reserved fields by the caller; output fields are filled in
 *
 * Context: process. Return: 0, or -EBUSY, -EINVAL, -ENODEV, -ENOMEM.
 */
int ntzc_tx_setup(struct ntzc_tap *tap, struct ntzc_tx_setup *arg)
{
	struct ntzc_pool *pool;
	int err = -EBUSY;

	mutex_lock(&tap->setup_lock);
	if (tap->tx_pool)
		goto unlock;
	pool = ntzc_tx_create_pool(tap->port, arg);
	err = PTR_ERR_OR_ZERO(pool);
	if (err)
		goto unlock;
	err = ntzc_tx_equip(tap, pool, arg);
	if (err) {
		ntzc_pool_put(pool);
		goto unlock;
	}
	WRITE_ONCE(pool->tap, tap);
	/* marks, rings and that come first; pairs with the acquire in ntzc_tap_tx_pool() */
	smp_store_release(&tap->tx_pool, pool);
	if (tap->tx_door.rings)
		ntzc_tx_door_empty(tap);	/* nothing to send, but buffers to be had */
unlock:
	mutex_unlock(&tap->setup_lock);
	return err;
}

/* Under setup_lock */
static int ntzc_tx_new_target(struct ntzc_tap *tap, struct ntzc_port *port)
{
	struct ntzc_target *target = &tap->targets[tap->n_targets];
	struct ntzc_mapping *rx, *tx = NULL;
	unsigned int i;

	for (i = 0; i < tap->n_targets; i++)
		if (tap->targets[i].port == port)
			return i ? -EBUSY : -EINVAL;
	if (tap->n_targets == NTZC_MAX_TARGETS)
		return -EBUSY;
	rx = ntzc_map_get(tap->rx_pool, port);
	if (IS_ERR(rx))
		return PTR_ERR(rx);
	if (tap->tx_pool)
		tx = ntzc_map_get(tap->tx_pool, port);
	if (IS_ERR(tx))
		return PTR_ERR(tx);
	kref_get(&port->ref);
	target->port = port;
	mutex_lock(&port->lock);
	port->n_senders++;
	target->queue = &port->queues[tap->targets[0].queue->index % port->n_queues];
	mutex_unlock(&port->lock);
	target->rx = rx;
	target->tx = tx;
	/* all else of the target comes first; pairs with ntzc_tx_target() */
	smp_store_release(&tap->n_targets, tap->n_targets + 1);
	return tap->n_targets - 1;
}

/**
 * ntzc_tx_add_target() - let the tap send to another port
 * @tap: the tap, attached
 * @arg: checked for reserved fields by the caller; output fields are filled in
 *
 * Context: process, no locks held. Return: 0, or -EBUSY, -EINVAL, -ENODEV, -ENOMEM.
 */
int ntzc_tx_add_target(struct ntzc_tap *tap, struct ntzc_tx_target *arg)
{
	struct ntzc_port *port;
	int n;

	rtnl_lock();
	port = ntzc_port_find(arg->name, arg->ifindex);
	rtnl_unlock();
	if (!port)
		return -ENODEV;
	mutex_lock(&tap->setup_lock);
	n = ntzc_tx_new_target(tap, port);
	mutex_unlock(&tap->setup_lock);
	if (n >= 0) {
		arg->target = n;
		arg->port_id = port->id;
		arg->frame_max = READ_ONCE(port->frame_max);
		arg->reserved0 = 0;
	}
	ntzc_port_put(port);
	return min(n, 0);
}

static void ntzc_tx_drop_target(struct ntzc_port *port)
{
	mutex_lock(&port->lock);
	port->n_senders--;
	mutex_unlock(&port->lock);
	ntzc_port_put(port);
}

/**
 * ntzc_tx_teardown() - free all of that
 * @tap: the tap, which holds nothing any more; polls do not know it
 */
void ntzc_tx_teardown(struct ntzc_tap *tap)
{
	unsigned int i;

	ntzc_tx_door_destroy(tap);
	kvfree(tap->tx_held);
	if (tap->tx_pool)
		ntzc_pool_put(tap->tx_pool);
	for (i = 1; i < tap->n_targets; i++)
		ntzc_tx_drop_target(tap->targets[i].port);
}
