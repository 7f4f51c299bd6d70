/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A queue: its receive and its transmit ring. What belongs to whom is said
 * with each field, and which locks there are at the head of igb.h.
 */
#ifndef NTZC_IGB_RING_H
#define NTZC_IGB_RING_H

#include "desc.h"
#include "ntzc_driver.h"

#define NTZC_IGB_MIN_RING	64	/* descriptors; a power of two */
#define NTZC_IGB_MAX_RING	4096
#define NTZC_IGB_RX_RING	1024	/* by default: 690 us of the shortest frames */
#define NTZC_IGB_TX_RING	512
#define NTZC_IGB_REFILL		32	/* empty receive slots that are worth a doorbell */
#define NTZC_IGB_MARK		32	/* descriptors between requests for write-back */
#define NTZC_IGB_NO_VLAN	U32_MAX	/* no tag is in the card's transmit context */

struct ntzc_igb;
struct ntzc_igb_vector;

/**
 * struct ntzc_igb_rx - a receive ring; written by the poll alone
 * @desc: the descriptors
 * @buf: the buffer of each; two more entries let the poll prefetch past the end
 * @tail: the doorbell, RDT
 * @mask: descriptors - 1
 * @next: the oldest descriptor that the card has; free-running
 * @fill: the oldest that it has not; free-running, at most @mask ahead of @next
 * @max_len: longest frame to deliver, bytes
 * @in_frame: the last descriptor was not the last of its frame
 * @starved: the last refill came up short
 * @dropped: frames rejected here
 * @dma: the ring's address for the card
 */
struct ntzc_igb_rx {
	union ntzc_igb_rx_desc *desc;
	struct m_buf **buf;
	void __iomem *tail;
	u32 mask;
	u32 next;
	u32 fill;
	u32 max_len;
	bool in_frame;
	bool starved;
	u64 dropped;
	dma_addr_t dma;
};

/**
 * struct ntzc_igb_mark - a descriptor whose write-back was requested
 * @desc: the first descriptor after it; free-running
 * @pkt: the first packet after it; free-running
 */
struct ntzc_igb_mark {
	u32 desc;
	u32 pkt;
};

/**
 * struct ntzc_igb_tx - a transmit ring
 * @ring: the descriptors
 * @pkts: packets in order, context descriptors left out; twice as long as the
 *	ring, so that those being completed are not overwritten once @head is published
 * @marks: as long as the ring
 * @doorbell: TDT
 * @mask: descriptors - 1
 * @dma: the ring's address for the card
 *
 * The producer's, under queue->tx_lock:
 * @tail: the oldest free descriptor; free-running
 * @pkt_tail: packets so far; free-running
 * @vlan: the tag in the card's context, or NTZC_IGB_NO_VLAN
 * @ctx: the context, in place
 * @open: the card takes frames: the ring runs and the link is up
 * @n_refused: of @refused
 * @refused: packets accepted while not @open, to be completed unsent by the poll
 * @mark_tail: marks so far; published by the producer with release, pairs with
 *	the acquire in ntzc_igb_tx_clean()
 *
 * The consumer's:
 * @head: the oldest descriptor that the card has; published with release, pairs
 *	with the acquire in ntzc_igb_transmit()
 * @mark_head: the oldest mark not yet seen done
 * @pkt_head: the oldest packet not yet completed
 *
 * The watchdog's:
 * @seen_head: @head when it last looked
 * @idle: times that it found @head unmoved
 */
struct ntzc_igb_tx {
	union ntzc_igb_tx_desc *ring;
	struct m_buf **pkts;
	struct ntzc_igb_mark *marks;
	void __iomem *doorbell;
	u32 mask;
	dma_addr_t dma;

	u32 tail ____cacheline_aligned;
	u32 pkt_tail;
	u32 vlan;
	u32 ctx;
	bool open;
	u32 n_refused;
	u32 mark_tail;
	struct m_buf *refused[NTZC_BATCH];

	u32 head ____cacheline_aligned;
	u32 mark_head;
	u32 pkt_head;
	u32 seen_head;
	u32 idle;
};

/**
 * struct ntzc_igb_queue - what &ntzc_queue.priv points to
 * @rx: receive ring
 * @tx: transmit ring
 * @q: the core's side
 * @igb: the card
 * @vec: whose poll serves it
 * @index: of the queue
 */
struct ntzc_igb_queue {
	struct ntzc_igb_rx rx;
	struct ntzc_queue *q;
	struct ntzc_igb *igb;
	struct ntzc_igb_vector *vec;
	u32 index;
	struct ntzc_igb_tx tx ____cacheline_aligned;
};

#endif /* NTZC_IGB_RING_H */
