// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The host's network stack beside the taps, where the administrator wants it
 * (NTZC_STACK_COPY): it gets a copy of each received frame, and what it sends is
 * copied into a receive buffer, shown to the taps that asked for it, and sent
 * from there.
 *
 * What the host sends comes from the port's host queue, which no card knows. Its
 * tx_lock makes senders take turns, and so the queue's channels have one
 * producer; the port's receive pool cannot go while it is held and tx_up is set.
 * It is taken before a card queue's tx_lock. Its tx_full says that the
 * interface's transmit queue was stopped, and that completions are to look.
 */
#include <linux/etherdevice.h>
#include <linux/if_vlan.h>
#include <linux/module.h>
#include <linux/rtnetlink.h>
#include <linux/skbuff.h>

#include "core.h"

/* The card's queue that sends for the host: the interface has one, too */
static struct ntzc_queue *ntzc_stack_queue(struct ntzc_port *port)
{
	return &port->queues[0];
}

/** ntzc_stack_init() - make the host queue of a new port */
void ntzc_stack_init(struct ntzc_port *port)
{
	/* of a class of its own: it is taken around that of a card's queue */
	spin_lock_init(&ntzc_port_host_queue(port)->tx_lock);
}

/* ---- what the card received ---- */

static enum pkt_hash_types ntzc_stack_hash_type(u8 hash_type)
{
	switch (hash_type) {
	case NTZC_HASH_IPV4:
	case NTZC_HASH_IPV6:
		return PKT_HASH_TYPE_L3;
	default:
		return PKT_HASH_TYPE_L4;
	}
}

static struct sk_buff *ntzc_stack_skb(struct ntzc_queue *q, struct net_device *dev,
				      const struct m_buf *m)
{
	struct sk_buff *skb = napi_alloc_skb(q->napi, m_buf_len(m));
	const struct ntzc_desc *d = &m->desc;

	if (unlikely(!skb))
		return NULL;
	skb_put_data(skb, m_buf_data(m), m_buf_len(m));
	skb->protocol = eth_type_trans(skb, dev);
	if (d->flags & NTZC_RX_VLAN)
		__vlan_hwaccel_put_tag(skb, htons(ETH_P_8021Q), d->vlan_tci);
	if (d->flags & NTZC_RX_L4_OK && dev->features & NETIF_F_RXCSUM)
		skb->ip_summed = CHECKSUM_UNNECESSARY;
	if (d->hash_type != NTZC_HASH_NONE && dev->features & NETIF_F_RXHASH)
		skb_set_hash(skb, d->hash, ntzc_stack_hash_type(d->hash_type));
	return skb;
}

/**
 * ntzc_stack_copy() - copy received frames for the host
 * @q: the queue
 * @m: the frames
 * @n: how many
 * @skbs: the copies are added here, for ntzc_stack_receive()
 *
 * Before the taps get the frames, as they may be gone after that.
 * Context: the queue's poll.
 */
void ntzc_stack_copy(struct ntzc_queue *q, struct m_buf **m, unsigned int n,
		     struct list_head *skbs)
{
	struct net_device *dev = READ_ONCE(q->port->netdev);
	unsigned int i, copied = 0;

	if (unlikely(!dev))
		return;
	for (i = 0; i < n; i++) {
		struct sk_buff *skb = ntzc_stack_skb(q, dev, m[i]);

		if (unlikely(!skb))
			continue;
		list_add_tail(&skb->list, skbs);
		copied++;
	}
	q->stack_frames += copied;
	q->stack_dropped += n - copied;
}

/**
 * ntzc_stack_receive() - hand copies to the host
 * @q: the queue
 * @skbs: the copies
 *
 * After the taps got the frames: the host may answer before this returns, and the
 * taps are to see that later. Context: the queue's poll.
 */
void ntzc_stack_receive(struct ntzc_queue *q, struct list_head *skbs)
{
	struct sk_buff *skb, *next;

	list_for_each_entry_safe(skb, next, skbs, list) {
		skb_list_del_init(skb);
		napi_gro_receive(q->napi, skb);
	}
}

/* ---- what the host sends ---- */

/* Buffers that the host leaves to the rings: a batch for each, or half of the few that there are */
static u32 ntzc_stack_leaves(const struct ntzc_port *port)
{
	u32 spare = port->rx_pool->size - min(port->rx_pool->size, port->rx_slots);

	return min(port->n_queues * NTZC_BATCH, spare / 2);
}

static bool ntzc_stack_has_buffer(const struct ntzc_port *port)
{
	return READ_ONCE(port->rx_pool->n_free) > ntzc_stack_leaves(port);
}

/* Whether the card has less than that many frames of the host */
static bool ntzc_stack_sends_below(struct ntzc_port *port, u32 n)
{
	const struct ntzc_host *host = &port->host;
	u64 done = READ_ONCE(ntzc_stack_queue(port)->tx_done);

	return host->place[(host->sent - n) % NTZC_HOST_IN_FLIGHT] <= done;
}

/*
 * Whether the next frame had better wait, as things are now. Only for what the card is
 * sending, as nothing else will end the wait; a frame that then finds no buffer is lost.
 */
static bool ntzc_stack_must_wait(struct ntzc_port *port)
{
	if (port->host.pending)
		return true;
	if (!ntzc_stack_sends_below(port, NTZC_HOST_IN_FLIGHT))
		return true;
	return !ntzc_stack_has_buffer(port) && !ntzc_stack_sends_below(port, 1);
}

/* A checksum that came out as 0, which would mean that there is none */
static void ntzc_stack_fix_csum(const struct sk_buff *skb, u8 *data)
{
	__sum16 *sum;

	if (skb->ip_summed != CHECKSUM_PARTIAL)
		return;
	sum = (__sum16 *)(data + skb_checksum_start_offset(skb) + skb->csum_offset);
	if (!*sum)
		*sum = CSUM_MANGLED_0;
}

/* Fill a buffer with the frame as it is to be on the wire. Return: the packet, or NULL. */
static struct m_buf *ntzc_stack_fill(struct ntzc_port *port, struct sk_buff *skb)
{
	u32 len = max_t(u32, skb->len, NTZC_PAD_FRAME);
	struct m_buf *m;
	u8 *data;

	if (unlikely(skb->len < NTZC_MIN_FRAME || skb->len > port->frame_max ||
		     !ntzc_stack_has_buffer(port)))
		return NULL;
	m = m_buf_alloc(port->rx_pool);
	if (unlikely(!m))
		return NULL;
	m_buf_received(m, ntzc_port_host_queue(port)->index, len, 0, NTZC_HASH_NONE,
		       NTZC_RX_HOST);
	data = m_buf_data(m);
	/* also fills in a checksum that was left to us */
	skb_copy_and_csum_dev(skb, data);
	ntzc_stack_fix_csum(skb, data);
	memset(data + skb->len, 0, len - skb->len);
	if (skb_vlan_tag_present(skb))
		m_buf_set_vlan(m, skb_vlan_tag_get(skb));
	return m;
}

/* Let the taps that asked for it hold the frame, too */
static void ntzc_stack_show(struct ntzc_queue *from, struct m_buf *m)
{
	const struct ntzc_taps *taps;
	unsigned int t;

	rcu_read_lock();
	taps = rcu_dereference(from->taps);
	if (taps) {
		for (t = 0; t < taps->n; t++)
			ntzc_tap_reclaim_chan(taps->chan[t]);
		ntzc_deliver(from, taps, &m, 1, m_buf_len(m), BIT_ULL(0), 1);
	}
	rcu_read_unlock();
}

/* Give the pending frame to the card. Return: whether it is pending no more. */
static bool ntzc_stack_push(struct ntzc_port *port)
{
	struct ntzc_queue *q = ntzc_stack_queue(port);
	struct ntzc_host *host = &port->host;
	struct m_buf *m = host->pending;
	u32 len = m_buf_len(m);
	bool sent = false;

	spin_lock(&q->tx_lock);
	if (likely(q->tx_up)) {
		if (unlikely(m->pool->need_sync))
			dma_sync_single_for_device(port->dma_dev, m_buf_dma(m), len, DMA_TO_DEVICE);
		sent = port->ops->transmit(q, &m, NULL, 1);
	}
	if (sent) {
		WRITE_ONCE(q->tx_frames, q->tx_frames + 1);
		q->tx_bytes += len;
		host->place[host->sent++ % NTZC_HOST_IN_FLIGHT] = q->tx_frames;
		host->pending = NULL;
	}
	spin_unlock(&q->tx_lock);
	return sent;
}

/* The queue was stopped: see whether it can go on. Under the host queue's tx_lock. */
static void ntzc_stack_resume(struct ntzc_port *port)
{
	struct net_device *dev = READ_ONCE(port->netdev);

	if (port->host.pending && !ntzc_stack_push(port))
		return;
	if (ntzc_stack_must_wait(port))
		return;
	WRITE_ONCE(ntzc_port_host_queue(port)->tx_full, false);
	if (likely(dev))
		netif_wake_queue(dev);
}

/*
 * Stop the queue, then look again: a completion that came between would not be
 * followed by another that wakes it. Under the host queue's tx_lock.
 */
static void ntzc_stack_wait(struct ntzc_port *port, struct net_device *dev)
{
	netif_stop_queue(dev);
	WRITE_ONCE(ntzc_port_host_queue(port)->tx_full, true);
	smp_mb(); /* pairs with the barrier before ntzc_stack_completed() */
	ntzc_stack_resume(port);
}

/* Under the host queue's tx_lock, tx_up. Return: whether there was a buffer. */
static bool ntzc_stack_send(struct ntzc_port *port, struct sk_buff *skb)
{
	struct ntzc_queue *from = ntzc_port_host_queue(port);
	struct m_buf *m = ntzc_stack_fill(port, skb);

	if (unlikely(!m))
		return false;
	from->stack_frames++;
	ntzc_stack_show(from, m);
	ntzc_pool_launch(m->pool, &m, 1);
	port->host.pending = m;
	if (unlikely(!ntzc_stack_push(port)) || unlikely(ntzc_stack_must_wait(port)))
		ntzc_stack_wait(port, skb->dev);
	return true;
}

/**
 * ntzc_stack_xmit() - what a driver's ndo_start_xmit does
 * @port: the port
 * @skb: of the host's stack; may have fragments, a VLAN tag beside its data, and
 *	a checksum to be filled in
 *
 * Unless the administrator gave the host a part in the port, the frame is
 * dropped. The core stops and wakes the interface's transmit queue, of which
 * there is one.
 *
 * Context: bottom halves off, no hard interrupt. Return: as ndo_start_xmit.
 */
netdev_tx_t ntzc_stack_xmit(struct ntzc_port *port, struct sk_buff *skb)
{
	struct ntzc_queue *from = ntzc_port_host_queue(port);

	if (READ_ONCE(port->stack) == NTZC_STACK_OFF)
		goto drop;
	spin_lock(&from->tx_lock);
	if (unlikely(!from->tx_up))
		goto unlock;
	/* somebody sends although the queue is stopped */
	if (unlikely(from->tx_full)) {
		spin_unlock(&from->tx_lock);
		return NETDEV_TX_BUSY;
	}
	skb_tx_timestamp(skb);
	if (unlikely(!ntzc_stack_send(port, skb))) {
		from->stack_dropped++;
		goto unlock;
	}
	spin_unlock(&from->tx_lock);
	dev_consume_skb_any(skb);
	return NETDEV_TX_OK;

unlock:
	spin_unlock(&from->tx_lock);
drop:
	dev_core_stats_tx_dropped_inc(skb->dev);
	dev_kfree_skb_any(skb);
	return NETDEV_TX_OK;
}
EXPORT_SYMBOL_GPL(ntzc_stack_xmit);

/**
 * ntzc_stack_completed() - the card is done with frames, and the host waits
 * @port: the port
 *
 * Context: as ntzc_tx_complete().
 */
void ntzc_stack_completed(struct ntzc_port *port)
{
	struct ntzc_queue *from = ntzc_port_host_queue(port);

	spin_lock_bh(&from->tx_lock);
	if (from->tx_up && from->tx_full)
		ntzc_stack_resume(port);
	spin_unlock_bh(&from->tx_lock);
}

/**
 * ntzc_stack_up() - the card runs: let the host send
 * @port: the port, attached
 *
 * Context: process, RTNL and port->lock held.
 */
void ntzc_stack_up(struct ntzc_port *port)
{
	struct ntzc_queue *from = ntzc_port_host_queue(port);

	spin_lock_bh(&from->tx_lock);
	from->tx_up = !port->gone;
	spin_unlock_bh(&from->tx_lock);
	if (port->netdev)
		netif_tx_wake_all_queues(port->netdev);
}

/**
 * ntzc_stack_down() - stop the host's sending
 * @port: the port; its card's queues still run, or never did
 *
 * Context: process, RTNL and port->lock held.
 */
void ntzc_stack_down(struct ntzc_port *port)
{
	struct ntzc_queue *from = ntzc_port_host_queue(port);
	struct m_buf *m;

	if (port->netdev)
		netif_tx_disable(port->netdev);
	spin_lock_bh(&from->tx_lock);
	from->tx_up = false;
	WRITE_ONCE(from->tx_full, false);
	m = port->host.pending;
	port->host.pending = NULL;
	if (m)
		from->stack_dropped++;
	spin_unlock_bh(&from->tx_lock);
	if (m) {
		ntzc_pool_recall(m->pool, &m, 1);
		m_buf_free(m);
	}
}

/** ntzc_stack_get_stats() - add up what the host got and sent */
void ntzc_stack_get_stats(struct ntzc_port *port, struct ntzc_port_stats *st)
{
	const struct ntzc_queue *from = ntzc_port_host_queue(port);
	unsigned int i;

	for (i = 0; i < port->max_queues; i++) {
		st->stack_rx += ntzc_glance(port->queues[i].stack_frames);
		st->stack_dropped += ntzc_glance(port->queues[i].stack_dropped);
	}
	st->stack_tx = ntzc_glance(from->stack_frames);
	st->stack_dropped += ntzc_glance(from->stack_dropped);
}
