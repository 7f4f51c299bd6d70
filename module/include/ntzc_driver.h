/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a NIC driver needs of NTZC's core. The driver owns the card and its
 * rings; the core owns the packet memory, the taps, and who holds what.
 *
 * A driver's life, call by call (the core's calls into the driver are indented):
 *
 *   probe:   port = ntzc_port_create(&setup)
 *            register_netdev(netdev)
 *            ntzc_port_attach(port)             taps may come from now on
 *   open:    ntzc_port_up(port, rx_slots)       under RTNL; makes the pool
 *                ops->start(port)               rings on, interrupts on
 *   poll:    ntzc_rx_deliver(), ntzc_rx_refill(), ntzc_tx_complete()
 *                ops->transmit(queue, ...)      from a tap's submit
 *                ops->refill(queue)             buffers are to be had again
 *   stop:    ntzc_port_down(port)               under RTNL
 *                ops->stop(port)                all buffers back
 *   remove:  ntzc_port_detach(port)             taps see ENODEV; no ops->transmit any more
 *            unregister_netdev(netdev)          stops the port if it is up
 *            ntzc_port_destroy(port)
 *
 * Buffers have exactly one owner at a time: what ntzc_rx_refill() gave belongs
 * to the driver until it hands it to ntzc_rx_deliver() or ntzc_rx_return();
 * what ops->transmit accepted, until ntzc_tx_complete().
 */
#ifndef NTZC_DRIVER_H
#define NTZC_DRIVER_H

#include <linux/cache.h>
#include <linux/netdevice.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include "m_buf.h"

/** NTZC_BATCH - the most packets in one call of ntzc_rx_deliver() */
#define NTZC_BATCH	64

/** NTZC_SPARE - free buffers that a queue may keep to itself */
#define NTZC_SPARE	(2 * NTZC_BATCH)

/**
 * ntzc_glance() - read a counter that its one writer moves without a thought of readers
 * @counter: the counter
 *
 * For statistics alone: nothing may be decided by it. What is decided by a value
 * that is read without its lock is written by WRITE_ONCE().
 */
#define ntzc_glance(counter)	data_race(READ_ONCE(counter))

struct ntzc_port;
struct ntzc_taps;

/**
 * struct ntzc_hw_stats - what only the card knows
 * @rx_missed: frames dropped for want of a buffer
 * @rx_errors: frames rejected by the card or the driver
 * @resets: times that the driver reset a hung card
 */
struct ntzc_hw_stats {
	u64 rx_missed;
	u64 rx_errors;
	u64 resets;
};

/**
 * struct ntzc_losses - frames that a port's taps did not get, by cause
 * @ring: a tap's ring was full
 * @quota: a tap held its quota
 * @pool: the pool had no buffer to spare
 * @filtered: a tap's filter refused it
 */
struct ntzc_losses {
	u64 ring;
	u64 quota;
	u64 pool;
	u64 filtered;
};

/**
 * struct ntzc_port_ops - what the core asks of a driver
 * @start: bring rings and interrupts up, fill the receive rings.
 *	Context: process, RTNL held. Return: 0 or a negative errno.
 * @stop: quiesce; give every receive buffer to ntzc_rx_return() and every
 *	transmit buffer to ntzc_tx_complete(). Context: process, RTNL held.
 * @refill: ntzc_rx_refill() came up short before, and now there are buffers:
 *	have the queue's poll run soon. Context: any, may be called when the
 *	port is down; must not sleep.
 * @transmit: queue packets, all of one pool, in order and ring the doorbell once.
 *	@dma is NULL, or has the address of each packet's first byte for this card, as the
 *	packets belong to another port. Context: &ntzc_queue.tx_lock held,
 *	bottom halves off, port up. Return: how many were taken, from the first on.
 * @wake: reap transmit completions soon, even if the card would wait for
 *	more to moderate its interrupts. Context: as @refill.
 * @stats: add the card's counters up. Context: process, may sleep.
 */
struct ntzc_port_ops {
	int (*start)(struct ntzc_port *port);
	void (*stop)(struct ntzc_port *port);
	void (*refill)(struct ntzc_queue *q);
	unsigned int (*transmit)(struct ntzc_queue *q, struct m_buf **m, const dma_addr_t *dma,
				 unsigned int n);
	void (*wake)(struct ntzc_queue *q);
	void (*stats)(struct ntzc_port *port, struct ntzc_hw_stats *stats);
};

/**
 * struct ntzc_queue - one receive queue and its transmit twin
 * @port: whose
 * @index: in the port
 * @priv: the driver's
 * @napi: the poll that serves the queue, for busy polling; set by the driver
 *	before ntzc_port_up(), unchanged while the port is up
 *
 * The rest is the core's. Receive fields are written by the queue's poll alone.
 */
struct ntzc_queue {
	struct ntzc_port *port;
	unsigned int index;
	unsigned int n_taps;		/* under port->lock; others read it for a guess */
	void *priv;
	struct napi_struct *napi;

	/* receive: the poll writes; others read for statistics */
	struct ntzc_taps __rcu *taps ____cacheline_aligned;
	u32 n_spare;
	u32 posted;			/* buffers that the driver has for the card */
	u32 wanted;			/* slots that the last refill left empty */
	u64 rx_frames;
	u64 rx_bytes;
	u64 rx_unclaimed;
	u64 rx_no_buffer;
	u64 stack_frames;		/* copied to the host's stack */
	u64 stack_dropped;		/* not copied, for want of memory */
	struct m_buf *spare[NTZC_SPARE];	/* free buffers kept for the next refill */

	/* tx_lock guards ops->transmit, the driver's producer side, and these */
	spinlock_t tx_lock ____cacheline_aligned;
	bool tx_up;			/* ops->transmit may be called */
	bool tx_full;			/* it came up short; completions clear this, unlocked */
	bool tx_behind;			/* completions are to have taps' transmit rings served */
	u64 tx_frames;
	u64 tx_bytes;

	/* transmit completions: the poll writes */
	u64 tx_done ____cacheline_aligned;
	u64 tx_sent;			/* of those */
	u64 tx_failed;			/* the others */
	u64 tx_failed_bytes;
	u32 tx_turn;			/* whose transmit rings are served first */
	wait_queue_head_t tx_wait;	/* for a free buffer, or room in the ring */
};

/** ntzc_queue_tx_bytes() - Return: bytes of frames that are sent or on their way, as a glance. */
static inline u64 ntzc_queue_tx_bytes(const struct ntzc_queue *q)
{
	u64 failed = ntzc_glance(q->tx_failed_bytes);

	/* a completion may be counted before its frame is */
	return max(ntzc_glance(q->tx_bytes), failed) - failed;
}

/**
 * struct ntzc_port_setup - what a driver tells of a card
 * @netdev: its interface
 * @dma_dev: the device that does DMA
 * @ops: see &struct ntzc_port_ops
 * @priv: the driver's, see ntzc_port_priv()
 * @max_queues: receive queues that the card has, at most NTZC_MAX_QUEUES
 */
struct ntzc_port_setup {
	struct net_device *netdev;
	struct device *dma_dev;
	const struct ntzc_port_ops *ops;
	void *priv;
	unsigned int max_queues;
};

/* port.c: the life of a port; each documented there */
struct ntzc_port *ntzc_port_create(const struct ntzc_port_setup *setup);
int ntzc_port_attach(struct ntzc_port *port);
void ntzc_port_detach(struct ntzc_port *port);
void ntzc_port_destroy(struct ntzc_port *port);
int ntzc_port_up(struct ntzc_port *port, unsigned int rx_slots);
void ntzc_port_down(struct ntzc_port *port);
int ntzc_port_check_frame(struct ntzc_port *port, unsigned int frame_max);
void ntzc_port_set_frame(struct ntzc_port *port, unsigned int frame_max);
int ntzc_port_check_rings(struct ntzc_port *port, unsigned int n_queues, unsigned int rx_slots);
void ntzc_port_set_slots(struct ntzc_port *port, unsigned int rx_slots);
int ntzc_port_set_queues(struct ntzc_port *port, unsigned int n_queues);
void *ntzc_port_priv(const struct ntzc_port *port);
struct ntzc_queue *ntzc_port_queue(struct ntzc_port *port, unsigned int index);
unsigned int ntzc_port_buf_size(const struct ntzc_port *port);

/* rx.c */
unsigned int ntzc_rx_refill(struct ntzc_queue *q, struct m_buf **m, unsigned int n);
void ntzc_rx_deliver(struct ntzc_queue *q, struct m_buf **m, unsigned int n, u64 bytes);
void ntzc_rx_return(struct ntzc_queue *q, struct m_buf **m, unsigned int n);

/* tx.c */
void ntzc_tx_complete(struct ntzc_queue *q, struct m_buf **m, unsigned int n, int status);

/* losses.c */
void ntzc_port_losses(struct ntzc_port *port, struct ntzc_losses *sum);

/* stack.c */
netdev_tx_t ntzc_stack_xmit(struct ntzc_port *port, struct sk_buff *skb);

#endif /* NTZC_DRIVER_H */
