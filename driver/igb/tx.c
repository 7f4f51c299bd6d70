// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Transmit: the core's packets to the card, and back when they are sent.
 *
 * The producer runs under queue->tx_lock, the consumer is the queue's poll (or
 * whoever holds RTNL while that is not live). They meet at two indices:
 * mark_tail, published by the producer, and head, published by the consumer,
 * each with release. The card is asked to write back one descriptor in
 * NTZC_IGB_MARK and the last of each call; a mark remembers where that is and
 * how many packets precede it, so that completing costs nothing for a packet.
 */
#include <linux/if_ether.h>

#include "igb.h"

static u32 ntzc_igb_tx_room(const struct ntzc_igb_tx *tx)
{
	/* acquire: the slots were read before; pairs with the release in ntzc_igb_tx_clean() */
	u32 used = tx->tail - smp_load_acquire(&tx->head);

	/* one stays empty: a tail that meets the head would mean none at all */
	return tx->mask - used;
}

static bool ntzc_igb_tx_needs_tag(const struct ntzc_igb_tx *tx, const struct m_buf *m)
{
	return m_buf_has_vlan(m) && m->desc.vlan_tci != tx->vlan;
}

/* Have the card insert this tag into the frames that ask for it, datasheet 7.2.2.2 */
static void ntzc_igb_tx_context(struct ntzc_igb_tx *tx, u16 vlan, u32 at)
{
	union ntzc_igb_tx_desc *d = &tx->ring[at & tx->mask];

	d->vlan_maclen = cpu_to_le32((u32)vlan << IGB_TXD_VLAN_SHIFT |
				     ETH_HLEN << IGB_TXD_MACLEN_SHIFT);
	d->seed = 0;
	d->type = cpu_to_le32(IGB_TXD_CONTEXT);
	d->idx = cpu_to_le32(tx->ctx);
	tx->vlan = vlan;
}

/* Ask for write-back of the descriptor before @desc, which @pkt packets precede */
static void ntzc_igb_tx_mark(struct ntzc_igb_tx *tx, u32 *marks, u32 desc, u32 pkt)
{
	tx->ring[(desc - 1) & tx->mask].cmd |= cpu_to_le32(IGB_TXD_RS);
	tx->marks[(*marks)++ & tx->mask] = (struct ntzc_igb_mark){ .desc = desc, .pkt = pkt };
}

/* The card takes none: accept them all the same, to be completed unsent by the poll */
static unsigned int ntzc_igb_tx_refuse(struct ntzc_igb_queue *queue, struct m_buf **m,
				       unsigned int n)
{
	struct ntzc_igb_tx *tx = &queue->tx;

	n = min_t(unsigned int, n, NTZC_BATCH - tx->n_refused);
	memcpy(&tx->refused[tx->n_refused], m, n * sizeof(*m));
	WRITE_ONCE(tx->n_refused, tx->n_refused + n);
	ntzc_igb_kick(queue->vec);
	return n;
}

/*
 * Put packets into descriptors that do not wrap, up to one that needs another
 * tag than the card has. Return: how many.
 */
static __always_inline unsigned int ntzc_igb_tx_run(const struct ntzc_igb_tx *tx,
						    union ntzc_igb_tx_desc *d,
						    struct m_buf **pkts, struct m_buf **m,
						    const dma_addr_t *dma, unsigned int n)
{
	struct m_buf **at = m, **end = m + n;
	/* of one pool, and so of one size: with it, an offset is one in the buffer */
	u32 ctx = tx->ctx, in = (*m)->size - 1;

#pragma GCC unroll 2
	for (; at != end; at++, d++, pkts++) {
		struct m_buf *one = *at;
		u32 len = m_buf_len(one), cmd = IGB_TXD_FRAME;

		if (unlikely(m_buf_has_vlan(one))) {
			if (ntzc_igb_tx_needs_tag(tx, one))
				break;
			cmd |= IGB_TXD_VLE;
		}
		d->addr = cpu_to_le64(dma ? dma[at - m] : one->dma + (one->desc.offset & in));
		d->cmd = cpu_to_le32(cmd | len);
		d->status = cpu_to_le32(len << IGB_TXD_PAYLEN_SHIFT | ctx);
		*pkts = one;
	}
	return at - m;
}

/**
 * ntzc_igb_transmit() - queue packets and ring the doorbell once
 * @q: the queue
 * @m: packets
 * @dma: their addresses if they are another port's, or NULL
 * @n: how many
 *
 * Context: see &ntzc_port_ops.transmit. Return: how many were taken.
 */
unsigned int ntzc_igb_transmit(struct ntzc_queue *q, struct m_buf **m, const dma_addr_t *dma,
			       unsigned int n)
{
	struct ntzc_igb_queue *queue = q->priv;
	struct ntzc_igb_tx *tx = &queue->tx;
	u32 mask = tx->mask, tail = tx->tail, marks = tx->mark_tail, marked = tail, room;
	unsigned int done = 0;

	if (unlikely(!tx->open))
		return ntzc_igb_tx_refuse(queue, m, n);
	room = ntzc_igb_tx_room(tx);
	while (done < n && room) {
		u32 at, pkt = (tx->pkt_tail + done) & (2 * mask + 1), run;

		if (unlikely(ntzc_igb_tx_needs_tag(tx, m[done]))) {
			/* the context takes a descriptor, and is of no use alone */
			if (room < 2)
				break;
			ntzc_igb_tx_context(tx, m[done]->desc.vlan_tci, tail++);
			room--;
		}
		at = tail & mask;
		run = min3(n - done, room, (u32)NTZC_IGB_MARK);
		run = min3(run, mask + 1 - at, 2 * mask + 2 - pkt);
		/* the choice is made once for the run */
		run = dma ? ntzc_igb_tx_run(tx, &tx->ring[at], &tx->pkts[pkt], &m[done],
					    dma + done, run) :
			    ntzc_igb_tx_run(tx, &tx->ring[at], &tx->pkts[pkt], &m[done], NULL, run);
		tail += run;
		room -= run;
		done += run;
		if (tail - marked >= NTZC_IGB_MARK) {
			ntzc_igb_tx_mark(tx, &marks, tail, tx->pkt_tail + done);
			marked = tail;
		}
	}
	if (!done)
		return 0;
	if (tail != marked)
		ntzc_igb_tx_mark(tx, &marks, tail, tx->pkt_tail + done);
	tx->pkt_tail += done;
	WRITE_ONCE(tx->tail, tail);
	/*
	 * Before the doorbell, or its interrupt could find nothing. Pairs with
	 * the acquire in ntzc_igb_tx_clean().
	 */
	smp_store_release(&tx->mark_tail, marks);
	/* writel() has the card see the descriptors before the doorbell; pairs with its fetch */
	if (likely(!READ_ONCE(queue->igb->gone)))
		writel(tail & mask, tx->doorbell);
	return done;
}

static void ntzc_igb_tx_complete(struct ntzc_igb_queue *queue, u32 pkt_end, int status)
{
	struct ntzc_igb_tx *tx = &queue->tx;
	u32 mask = 2 * tx->mask + 1;

	while (tx->pkt_head != pkt_end) {
		u32 at = tx->pkt_head & mask;
		u32 n = min3(pkt_end - tx->pkt_head, mask + 1 - at, (u32)NTZC_BATCH);

		tx->pkt_head += n;
		ntzc_tx_complete(queue->q, &tx->pkts[at], n, status);
	}
}

static noinline void ntzc_igb_tx_complete_refused(struct ntzc_igb_queue *queue)
{
	struct ntzc_igb_tx *tx = &queue->tx;
	struct m_buf *m[NTZC_BATCH];
	u32 n;

	spin_lock_bh(&queue->q->tx_lock);
	n = tx->n_refused;
	memcpy(m, tx->refused, n * sizeof(*m));
	WRITE_ONCE(tx->n_refused, 0);
	spin_unlock_bh(&queue->q->tx_lock);
	if (n)
		ntzc_tx_complete(queue->q, m, n, -ENETDOWN);
}

/**
 * ntzc_igb_tx_clean() - complete what the card has sent
 * @queue: the queue
 *
 * Context: the queue's poll. Return: whether there may be more at once.
 */
bool ntzc_igb_tx_clean(struct ntzc_igb_queue *queue)
{
	struct ntzc_igb_tx *tx = &queue->tx;
	/* acquire: the marks; pairs with the release in ntzc_igb_transmit() */
	u32 tail = smp_load_acquire(&tx->mark_tail), i = tx->mark_head;
	struct ntzc_igb_mark done;

	if (unlikely(READ_ONCE(tx->n_refused)))
		ntzc_igb_tx_complete_refused(queue);
	/* a bound on one poll's work */
	tail = i + min_t(u32, tail - i, NTZC_BATCH);
	for (; i != tail; i++) {
		struct ntzc_igb_mark *mark = &tx->marks[i & tx->mask];
		u32 at = (mark->desc - 1) & tx->mask;

		if (!(le32_to_cpu(READ_ONCE(tx->ring[at].status)) & IGB_TXD_DD))
			break;
		done = *mark;
	}
	if (i == tx->mark_head)
		return false;
	tx->mark_head = i;
	/*
	 * Before the packets are completed, as that wakes who waits for room;
	 * their place in pkts is not used again so soon. Pairs with the acquire
	 * in ntzc_igb_tx_room().
	 */
	smp_store_release(&tx->head, done.desc);
	ntzc_igb_tx_complete(queue, done.pkt, 0);
	return i == tail && tail != READ_ONCE(tx->mark_tail);
}

/**
 * ntzc_igb_tx_open() - let packets into the ring, or refuse them
 * @queue: the queue
 * @open: which
 *
 * Context: process.
 */
void ntzc_igb_tx_open(struct ntzc_igb_queue *queue, bool open)
{
	spin_lock_bh(&queue->q->tx_lock);
	queue->tx.open = open;
	spin_unlock_bh(&queue->q->tx_lock);
}

/**
 * ntzc_igb_tx_drain() - complete everything that the card had
 * @queue: the queue, not open; the card does no DMA any more
 * @status: of what it has not sent: a negative errno
 *
 * Context: RTNL, the poll not live; bottom halves off.
 */
void ntzc_igb_tx_drain(struct ntzc_igb_queue *queue, int status)
{
	struct ntzc_igb_tx *tx = &queue->tx;

	while (ntzc_igb_tx_clean(queue))
		;
	ntzc_igb_tx_complete(queue, tx->pkt_tail, status);
	tx->head = tx->tail;
	tx->mark_head = tx->mark_tail;
}
