// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Ports: what a driver registers, and how taps find it. A port's receive pool
 * exists while somebody uses it: the running card, or a tap. port->lock guards
 * the pool and the taps; RTNL guards the interface, and up and down.
 */
#include <linux/dma-mapping.h>
#include <linux/etherdevice.h>
#include <linux/idr.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/nsproxy.h>
#include <linux/poll.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>
#include <net/net_namespace.h>

#include "core.h"

/* receive buffers beyond the card's rings: what taps may hold while traffic flows */
#define NTZC_RESERVE		2048u
/* descriptors of a ring, until the driver says otherwise */
#define NTZC_DEFAULT_SLOTS	512u
/* what a card may append to the longest frame: two VLAN tags and the FCS */
#define NTZC_FRAME_SLACK	12u
/* what an sk_buff that points at a buffer looks for at its end, see filter.c; zero */
#define NTZC_BUF_TAIL		((u32)SKB_DATA_ALIGN(sizeof(struct skb_shared_info)))

/* attached ports by id; guarded by RTNL */
static DEFINE_IDR(ntzc_ports);

static void ntzc_port_last(struct kref *ref)
{
	kfree(container_of(ref, struct ntzc_port, ref));
}

/** ntzc_port_put() - drop a reference */
void ntzc_port_put(struct ntzc_port *port)
{
	kref_put(&port->ref, ntzc_port_last);
}

/** ntzc_buf_size_for() - Return: the smallest buffer for such frames, bytes. */
u32 ntzc_buf_size_for(unsigned int frame_max)
{
	u32 need = NTZC_HEADROOM + frame_max + NTZC_FRAME_SLACK + NTZC_BUF_TAIL;

	return max_t(u32, roundup_pow_of_two(need), NTZC_MIN_BUF);
}

static u32 ntzc_port_default_bufs(const struct ntzc_port *port)
{
	return port->rx_slots + max(NTZC_RESERVE, port->rx_slots);
}

/* A batch more than the card's rings: with fewer, nothing could be delivered */
static u32 ntzc_port_least_bufs(const struct ntzc_port *port)
{
	return port->rx_slots + NTZC_BATCH;
}

/**
 * ntzc_port_pool_get() - use the port's receive pool, made if there is none
 * @port: the port
 *
 * Context: process, port->lock held. Return: the pool, or an ERR_PTR: -ENOMEM.
 */
struct ntzc_pool *ntzc_port_pool_get(struct ntzc_port *port)
{
	if (!port->pool_users) {
		/* what was chosen for fewer or smaller rings must not starve these */
		u32 n = port->n_bufs ? max(port->n_bufs, ntzc_port_least_bufs(port)) :
				       ntzc_port_default_bufs(port);
		u32 size = port->buf_size ?: ntzc_buf_size_for(port->frame_max);
		struct ntzc_pool *pool = ntzc_pool_create(port, n, size);

		if (IS_ERR(pool))
			return pool;
		port->rx_pool = pool;
	}
	port->pool_users++;
	return port->rx_pool;
}

/* Whether taps count on the port as it is, attached or about to be. Under port->lock. */
static bool ntzc_port_in_use(const struct ntzc_port *port)
{
	return port->pool_users > port->up;
}

/** ntzc_port_pool_put() - end a use of the pool. Context: process, port->lock held. */
void ntzc_port_pool_put(struct ntzc_port *port)
{
	if (--port->pool_users)
		return;
	ntzc_pool_put(port->rx_pool);
	port->rx_pool = NULL;
}

/**
 * ntzc_port_create() - what a driver's probe does first
 * @setup: the card
 *
 * Nobody sees the port before ntzc_port_attach().
 * Context: process. Return: the port, or an ERR_PTR: -EINVAL, -ENOMEM.
 */
struct ntzc_port *ntzc_port_create(const struct ntzc_port_setup *setup)
{
	struct ntzc_port *port;
	unsigned int i;

	if (!setup->max_queues || setup->max_queues > NTZC_MAX_QUEUES)
		return ERR_PTR(-EINVAL);
	port = kzalloc(struct_size(port, queues, setup->max_queues + 1), GFP_KERNEL);
	if (!port)
		return ERR_PTR(-ENOMEM);
	kref_init(&port->ref);
	mutex_init(&port->lock);
	INIT_LIST_HEAD(&port->taps);
	INIT_LIST_HEAD(&port->pools);
	INIT_LIST_HEAD(&port->mappings);
	port->ops = setup->ops;
	port->priv = setup->priv;
	port->netdev = setup->netdev;
	port->dma_dev = setup->dma_dev;
	port->dma_max = dma_max_mapping_size(setup->dma_dev);
	port->numa_node = dev_to_node(setup->dma_dev);
	strscpy(port->bus, dev_name(setup->dma_dev), sizeof(port->bus));
	port->frame_max = ETH_FRAME_LEN;
	port->max_queues = setup->max_queues;
	port->n_queues = setup->max_queues;
	port->rx_slots = port->n_queues * NTZC_DEFAULT_SLOTS;
	for (i = 0; i <= port->max_queues; i++) {
		port->queues[i].port = port;
		port->queues[i].index = i;
		spin_lock_init(&port->queues[i].tx_lock);
		init_waitqueue_head(&port->queues[i].tx_wait);
	}
	ntzc_stack_init(port);
	return port;
}
EXPORT_SYMBOL_GPL(ntzc_port_create);

static void ntzc_port_wake_all(struct ntzc_port *port)
{
	struct ntzc_tap *tap;
	unsigned int i;

	list_for_each_entry(tap, &port->taps, link)
		ntzc_wake_up_poll_all(&tap->rx_wait, EPOLLIN | EPOLLHUP | EPOLLERR);
	for (i = 0; i < port->max_queues; i++)
		ntzc_wake_up_poll_all(&port->queues[i].tx_wait, EPOLLOUT | EPOLLHUP | EPOLLERR);
}

static void ntzc_port_stop_tx(struct ntzc_port *port)
{
	unsigned int i;

	ntzc_stack_down(port);
	for (i = 0; i < port->max_queues; i++) {
		struct ntzc_queue *q = &port->queues[i];

		spin_lock_bh(&q->tx_lock);
		WRITE_ONCE(q->tx_up, false);
		spin_unlock_bh(&q->tx_lock);
	}
}

static void ntzc_port_leave(struct ntzc_port *port)
{
	unsigned int i;

	rtnl_lock();
	idr_remove(&ntzc_ports, port->id);
	mutex_lock(&port->lock);
	/* who is told of the end has read all: polls may go on, but deliver no more */
	for (i = 0; i <= port->max_queues; i++)
		ntzc_queue_clear(&port->queues[i]);
	synchronize_net();
	WRITE_ONCE(port->gone, true);
	ntzc_port_stop_tx(port);
	WRITE_ONCE(port->netdev, NULL);
	ntzc_port_wake_all(port);
	mutex_unlock(&port->lock);
	rtnl_unlock();
	synchronize_net();	/* pairs with rcu_read_lock() in ntzc_pool_feed() */
}

/**
 * ntzc_port_attach() - let taps find the port
 * @port: the port; its netdev is registered
 *
 * Context: process. Return: 0 or a negative errno.
 */
int ntzc_port_attach(struct ntzc_port *port)
{
	int id, err;

	rtnl_lock();
	id = idr_alloc_cyclic(&ntzc_ports, port, 0, 0, GFP_KERNEL);
	if (id >= 0)
		port->id = id;
	rtnl_unlock();
	if (id < 0)
		return id;
	err = ntzc_sysfs_create(port);
	if (err)
		ntzc_port_leave(port);
	return err;
}
EXPORT_SYMBOL_GPL(ntzc_port_attach);

/**
 * ntzc_port_detach() - the card is going
 * @port: the port
 *
 * Taps see -ENODEV and EPOLLHUP from now on; what they hold stays theirs until
 * they close. Of the driver's ops only stop is called after this returns.
 *
 * Context: process, may sleep.
 */
void ntzc_port_detach(struct ntzc_port *port)
{
	ntzc_sysfs_remove(port);
	ntzc_port_leave(port);
}
EXPORT_SYMBOL_GPL(ntzc_port_detach);

/**
 * ntzc_port_destroy() - end DMA to the port's memory and leave it
 * @port: the port, down and detached, or never attached
 *
 * Taps that are still open keep the memory, and the port's structure, alive.
 * Context: process.
 */
void ntzc_port_destroy(struct ntzc_port *port)
{
	struct ntzc_pool *pool;

	WARN_ON_ONCE(port->up);
	ntzc_map_drop_port(port);
	mutex_lock(&port->lock);
	WRITE_ONCE(port->gone, true);
	list_for_each_entry(pool, &port->pools, link)
		ntzc_pool_unmap(pool);
	mutex_unlock(&port->lock);
	ntzc_port_put(port);
}
EXPORT_SYMBOL_GPL(ntzc_port_destroy);

/* The pool is there: start the card. Under RTNL and port->lock. */
static int ntzc_port_start(struct ntzc_port *port)
{
	unsigned int i;
	int err;

	err = port->ops->start(port);
	if (err) {
		for (i = 0; i < port->max_queues; i++)
			ntzc_rx_drop_spare(&port->queues[i]);
		return err;
	}
	port->up = true;
	for (i = 0; i < port->n_queues; i++) {
		struct ntzc_queue *q = &port->queues[i];

		spin_lock_bh(&q->tx_lock);
		WRITE_ONCE(q->tx_up, !port->gone);
		WRITE_ONCE(q->tx_full, false);
		spin_unlock_bh(&q->tx_lock);
	}
	ntzc_stack_up(port);
	return 0;
}

static void ntzc_port_stop(struct ntzc_port *port)
{
	unsigned int i;

	ntzc_port_stop_tx(port);
	port->ops->stop(port);
	port->up = false;
	for (i = 0; i < port->max_queues; i++) {
		WARN_ON_ONCE(port->queues[i].posted);
		ntzc_rx_drop_spare(&port->queues[i]);
	}
	ntzc_port_wake_all(port);
}

/* Whether the pool fills the rings and leaves a batch for the taps, with buffers that are enough */
static bool ntzc_port_serves(const struct ntzc_pool *pool, unsigned int rx_slots,
			     unsigned int frame_max)
{
	return pool->size >= rx_slots + NTZC_BATCH &&
	       1u << pool->shift >= ntzc_buf_size_for(frame_max);
}

/**
 * ntzc_port_up() - bring the card up
 * @port: the port
 * @rx_slots: receive descriptors of all rings; the pool is sized for them
 *
 * Calls &ntzc_port_ops.start. A pool that taps use already stays as it is.
 *
 * Context: process, RTNL held.
 * Return: 0, -ENODEV after detach, -EBUSY if that pool has too few buffers for
 * the rings or too small ones for the port's frames, -ENOMEM, or what start returned.
 */
int ntzc_port_up(struct ntzc_port *port, unsigned int rx_slots)
{
	struct ntzc_pool *pool;
	int err;

	mutex_lock(&port->lock);
	err = -ENODEV;
	if (port->gone)
		goto unlock;
	err = -EBUSY;
	if (port->rx_pool && !ntzc_port_serves(port->rx_pool, rx_slots, port->frame_max))
		goto unlock;
	port->rx_slots = rx_slots;
	pool = ntzc_port_pool_get(port);
	err = PTR_ERR_OR_ZERO(pool);
	if (err)
		goto unlock;
	err = ntzc_port_start(port);
	if (err)
		ntzc_port_pool_put(port);
unlock:
	mutex_unlock(&port->lock);
	return err;
}
EXPORT_SYMBOL_GPL(ntzc_port_up);

/**
 * ntzc_port_down() - take the card down
 * @port: the port, up
 *
 * Calls &ntzc_port_ops.stop. Taps stay attached and go on when it is up again.
 * Context: process, RTNL held.
 */
void ntzc_port_down(struct ntzc_port *port)
{
	mutex_lock(&port->lock);
	if (port->up) {
		ntzc_port_stop(port);
		ntzc_port_pool_put(port);
	}
	mutex_unlock(&port->lock);
}
EXPORT_SYMBOL_GPL(ntzc_port_down);

/**
 * ntzc_port_check_frame() - ask whether the longest frame can be changed
 * @port: the port
 * @frame_max: bytes without FCS
 *
 * Context: process, RTNL held.
 * Return: 0, -EINVAL if no buffer is that large, or the administrator chose smaller
 * ones; -EBUSY if taps use a pool of smaller buffers.
 */
int ntzc_port_check_frame(struct ntzc_port *port, unsigned int frame_max)
{
	u32 need = ntzc_buf_size_for(frame_max);
	int err = 0;

	mutex_lock(&port->lock);
	if (need > NTZC_MAX_BUF || (port->buf_size && port->buf_size < need))
		err = -EINVAL;
	else if (ntzc_port_in_use(port) && 1u << port->rx_pool->shift < need)
		err = -EBUSY;
	mutex_unlock(&port->lock);
	return err;
}
EXPORT_SYMBOL_GPL(ntzc_port_check_frame);

/**
 * ntzc_port_set_frame() - change the longest frame
 * @port: the port, down
 * @frame_max: bytes without FCS, as admitted by ntzc_port_check_frame()
 */
void ntzc_port_set_frame(struct ntzc_port *port, unsigned int frame_max)
{
	WRITE_ONCE(port->frame_max, frame_max);
}
EXPORT_SYMBOL_GPL(ntzc_port_set_frame);

/**
 * ntzc_port_check_rings() - ask whether the rings can be changed
 * @port: the port
 * @n_queues: the number of queues, as for ntzc_port_set_queues()
 * @rx_slots: receive descriptors of all of them
 *
 * Context: process, RTNL held.
 * Return: 0, or -EBUSY: taps are attached, or send to it, and the number of queues changes,
 * or the pool that taps use has too few buffers.
 */
int ntzc_port_check_rings(struct ntzc_port *port, unsigned int n_queues, unsigned int rx_slots)
{
	int err = 0;

	mutex_lock(&port->lock);
	if (n_queues != port->n_queues && (ntzc_port_in_use(port) || port->n_senders))
		err = -EBUSY;
	else if (ntzc_port_in_use(port) &&
		 !ntzc_port_serves(port->rx_pool, rx_slots, port->frame_max))
		err = -EBUSY;
	mutex_unlock(&port->lock);
	return err;
}
EXPORT_SYMBOL_GPL(ntzc_port_check_rings);

/**
 * ntzc_port_set_slots() - tell how large the rings will be
 * @port: the port, down
 * @rx_slots: as the next ntzc_port_up() will say
 *
 * For who attaches to a card that is down: the pool is made then. One that there is stays.
 *
 * Context: process, RTNL held or the port not attached yet.
 */
void ntzc_port_set_slots(struct ntzc_port *port, unsigned int rx_slots)
{
	mutex_lock(&port->lock);
	port->rx_slots = rx_slots;
	mutex_unlock(&port->lock);
}
EXPORT_SYMBOL_GPL(ntzc_port_set_slots);

/**
 * ntzc_port_set_queues() - change the number of queues in use
 * @port: the port, down
 * @n_queues: 1 to the port's max_queues
 *
 * Context: process, RTNL held or the port not attached yet.
 * Return: 0, -EINVAL, or -EBUSY while taps are attached, or send to it.
 */
int ntzc_port_set_queues(struct ntzc_port *port, unsigned int n_queues)
{
	int err = 0;

	if (!n_queues || n_queues > port->max_queues)
		return -EINVAL;
	mutex_lock(&port->lock);
	if (n_queues == port->n_queues)
		;
	else if (ntzc_port_in_use(port) || port->n_senders)
		err = -EBUSY;
	else
		port->n_queues = n_queues;
	ntzc_port_host_queue(port)->index = port->n_queues;
	mutex_unlock(&port->lock);
	return err;
}
EXPORT_SYMBOL_GPL(ntzc_port_set_queues);

/** ntzc_port_priv() - Return: the driver's own pointer. */
void *ntzc_port_priv(const struct ntzc_port *port)
{
	return port->priv;
}
EXPORT_SYMBOL_GPL(ntzc_port_priv);

/** ntzc_port_queue() - Return: the queue with that index, below max_queues. */
struct ntzc_queue *ntzc_port_queue(struct ntzc_port *port, unsigned int index)
{
	return &port->queues[index];
}
EXPORT_SYMBOL_GPL(ntzc_port_queue);

/** ntzc_port_buf_size() - Return: bytes in a receive buffer. Called from ops->start. */
unsigned int ntzc_port_buf_size(const struct ntzc_port *port)
{
	return 1u << port->rx_pool->shift;
}
EXPORT_SYMBOL_GPL(ntzc_port_buf_size);

/**
 * ntzc_port_configure() - change how the receive pool is made
 * @port: the port
 * @buf_size: bytes, or 0 for the default
 * @n_bufs: buffers, or 0 for the default
 *
 * A running card is stopped and started with a new pool, or if that fails with
 * one like before.
 * Context: process, RTNL held. Return: 0, -EBUSY, -EINVAL, -ENODEV, -ENOMEM.
 */
int ntzc_port_configure(struct ntzc_port *port, u32 buf_size, u32 n_bufs)
{
	u32 old_size = port->buf_size, old_bufs = port->n_bufs;
	bool was_up;
	int err = 0;

	if (buf_size && (!is_power_of_2(buf_size) || buf_size > NTZC_MAX_BUF ||
			 buf_size < ntzc_buf_size_for(port->frame_max)))
		return -EINVAL;
	if (n_bufs && (n_bufs < ntzc_port_least_bufs(port) ||
		       !ntzc_pool_possible(n_bufs, buf_size ?: ntzc_buf_size_for(port->frame_max))))
		return -EINVAL;

	mutex_lock(&port->lock);
	if (port->gone)
		err = -ENODEV;
	else if (ntzc_port_in_use(port))
		err = -EBUSY;
	if (err)
		goto unlock;
	was_up = port->up;
	if (was_up) {
		ntzc_port_stop(port);
		ntzc_port_pool_put(port);
	}
	port->buf_size = buf_size;
	port->n_bufs = n_bufs;
	if (!was_up)
		goto unlock;
	err = PTR_ERR_OR_ZERO(ntzc_port_pool_get(port));
	if (err) {
		port->buf_size = old_size;
		port->n_bufs = old_bufs;
		if (IS_ERR(ntzc_port_pool_get(port)))
			goto unlock;
	}
	if (ntzc_port_start(port)) {
		ntzc_port_pool_put(port);
		err = err ?: -EIO;
	}
unlock:
	mutex_unlock(&port->lock);
	return err;
}

/**
 * ntzc_port_find() - the port of an interface of the caller's network namespace
 * @name: the interface's name, or empty
 * @ifindex: its index, if @name is empty
 *
 * Context: process, RTNL held. Return: the port with a reference, or NULL.
 */
struct ntzc_port *ntzc_port_find(const char *name, u32 ifindex)
{
	struct net *net = current->nsproxy->net_ns;
	struct ntzc_port *port;
	int id;

	idr_for_each_entry(&ntzc_ports, port, id) {
		const struct net_device *dev = port->netdev;

		if (!net_eq(dev_net(dev), net))
			continue;
		if (name[0] ? strcmp(dev->name, name) : dev->ifindex != ifindex)
			continue;
		kref_get(&port->ref);
		return port;
	}
	return NULL;
}

/**
 * ntzc_port_find_id() - a port by its id
 * @id: the id
 * @exact: that one; or else the first that is not below it
 *
 * Context: process, RTNL held. Return: the port with a reference, or NULL.
 */
struct ntzc_port *ntzc_port_find_id(u32 id, bool exact)
{
	struct ntzc_port *port;
	int found = id;

	if (id > INT_MAX)
		return NULL;
	port = exact ? idr_find(&ntzc_ports, id) : idr_get_next(&ntzc_ports, &found);
	if (port)
		kref_get(&port->ref);
	return port;
}

/**
 * ntzc_port_find_netdev() - the port of an interface
 * @dev: the interface
 *
 * Context: process, RTNL held. Return: the port, valid as long as that is held, or NULL.
 */
struct ntzc_port *ntzc_port_find_netdev(const struct net_device *dev)
{
	struct ntzc_port *port;
	int id;

	idr_for_each_entry(&ntzc_ports, port, id)
		if (port->netdev == dev)
			return port;
	return NULL;
}

/**
 * ntzc_port_get_info() - describe a port
 * @port: the port, attached
 * @info: zeroed by the caller
 *
 * Context: process, RTNL held.
 */
void ntzc_port_get_info(struct ntzc_port *port, struct ntzc_port_info *info)
{
	const struct net_device *dev = port->netdev;

	info->id = port->id;
	if (net_eq(dev_net(dev), current->nsproxy->net_ns)) {
		info->ifindex = dev->ifindex;
		strscpy(info->name, dev->name, sizeof(info->name));
	}
	strscpy(info->bus, port->bus, sizeof(info->bus));
	ether_addr_copy(info->mac, dev->dev_addr);
	info->numa_node = port->numa_node;

	mutex_lock(&port->lock);
	info->n_queues = port->n_queues;
	info->max_queues = port->max_queues;
	info->headroom = NTZC_HEADROOM;
	info->frame_max = port->frame_max;
	info->n_taps = port->n_taps;
	if (port->rx_pool) {
		info->n_bufs = port->rx_pool->size;
		info->buf_size = 1u << port->rx_pool->shift;
		info->pool_bytes = ntzc_pool_bytes(port->rx_pool);
	} else {
		info->buf_size = port->buf_size ?: ntzc_buf_size_for(port->frame_max);
	}
	if (port->up)
		info->flags |= NTZC_PORT_UP;
	if (port->up && netif_carrier_ok(dev))
		info->flags |= NTZC_PORT_CARRIER;
	mutex_unlock(&port->lock);
}

/**
 * ntzc_port_missed() - frames that the card dropped for want of a buffer
 * @port: the port
 *
 * Context: process, RTNL held. Return: how many; 0 once the card is gone.
 */
u64 ntzc_port_missed(struct ntzc_port *port)
{
	struct ntzc_hw_stats hw = { };

	if (!port->gone)
		port->ops->stats(port, &hw);
	return hw.rx_missed;
}

/*
 * Whether the port has a member of the group that the new one does not fit to, or has none. One
 * of another user would have a share of the group's frames, and could let them rot.
 */
static bool ntzc_port_fanout_clash(struct ntzc_port *port, kuid_t uid,
				   const struct ntzc_attach *arg, bool same_port)
{
	const struct ntzc_tap *tap;

	list_for_each_entry(tap, &port->taps, link) {
		bool host = tap->chans[tap->n_chans - 1];

		if (tap->fanout != arg->fanout)
			continue;
		if (!same_port || tap->queues != arg->queues || !uid_eq(tap->uid, uid) ||
		    host != !!(arg->flags & NTZC_ATTACH_HOST))
			return true;
	}
	return false;
}

/**
 * ntzc_port_fanout_fits() - see whether a tap can join its fan-out group
 * @port: its port
 * @uid: who opened it
 * @arg: what it wants, queues filled in
 *
 * Context: process, RTNL and @port->lock held. Return: false if the group is on
 * another port, or another user's, or has other queues.
 */
bool ntzc_port_fanout_fits(struct ntzc_port *port, kuid_t uid, const struct ntzc_attach *arg)
{
	struct ntzc_port *other;
	int id;

	if (!arg->fanout)
		return true;
	if (ntzc_port_fanout_clash(port, uid, arg, true))
		return false;
	idr_for_each_entry(&ntzc_ports, other, id) {
		bool clash;

		if (other == port)
			continue;
		/* one within another: safe under RTNL, as nobody else nests them */
		mutex_lock_nested(&other->lock, SINGLE_DEPTH_NESTING);
		clash = ntzc_port_fanout_clash(other, uid, arg, false);
		mutex_unlock(&other->lock);
		if (clash)
			return false;
	}
	return true;
}

/* Held: some tap has a mark. In flight: being sent, and no tap has a mark. Under port->lock. */
static void ntzc_port_walk(const struct ntzc_port *port, struct ntzc_port_stats *st)
{
	const struct ntzc_pool *pool = port->rx_pool;
	const struct ntzc_tap *tap;
	u32 i;

	for (i = 0; i < pool->size; i++) {
		bool held = false;

		list_for_each_entry(tap, &port->taps, link)
			held |= READ_ONCE(tap->rx_held[i]) != NTZC_MARK_NONE;
		if (held)
			st->pool_held++;
		else if (ntzc_glance(pool->bufs[i].in_flight))
			st->pool_in_flight++;
		/* there may be millions, of 64 taps a queue */
		if (!(i % NTZC_BATCH))
			cond_resched();
	}
}

/**
 * ntzc_port_get_stats() - read a port's counters
 * @port: the port
 * @st: zeroed by the caller
 *
 * Context: process, RTNL held.
 */
void ntzc_port_get_stats(struct ntzc_port *port, struct ntzc_port_stats *st)
{
	struct ntzc_hw_stats hw = { };
	struct ntzc_tap *tap;
	unsigned int i;

	port->ops->stats(port, &hw);
	st->rx_missed = hw.rx_missed;
	st->rx_errors = hw.rx_errors;
	st->resets = hw.resets;

	mutex_lock(&port->lock);
	/* before the first count: what is taken back moves, to the card even */
	list_for_each_entry(tap, &port->taps, link)
		ntzc_tap_reclaim(tap);
	ntzc_stack_get_stats(port, st);
	for (i = 0; i < port->max_queues; i++) {
		const struct ntzc_queue *q = &port->queues[i];
		u64 done = READ_ONCE(q->tx_done);

		st->rx_frames += ntzc_glance(q->rx_frames);
		st->rx_bytes += ntzc_glance(q->rx_bytes);
		st->rx_unclaimed += ntzc_glance(q->rx_unclaimed);
		st->rx_no_buffer += ntzc_glance(q->rx_no_buffer);
		st->tx_frames += ntzc_glance(q->tx_sent);
		st->tx_bytes += ntzc_queue_tx_bytes(q);
		st->tx_failed += ntzc_glance(q->tx_failed);
		/* a completion may be counted before its frame is */
		st->tx_in_flight += max(ntzc_glance(q->tx_frames), done) - done;
		st->pool_card += ntzc_glance(q->posted);
		st->pool_free += ntzc_glance(q->n_spare);
	}
	if (port->rx_pool) {
		st->pool_size = port->rx_pool->size;
		st->pool_free += READ_ONCE(port->rx_pool->n_free);
		ntzc_port_walk(port, st);
	}
	mutex_unlock(&port->lock);
}
