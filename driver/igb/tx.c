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

/**
 * ntzc_igb_transmit() - queue packets and ring the doorbell once
 * @q: the queue
 * @m: packets
 * @n: how many
 *
 * Context: see &ntzc_port_ops.transmit. Return: how many were taken.
 */
unsigned int ntzc_igb_transmit(struct ntzc_queue *q, struct m_buf **m, unsigned int n)
{
	struct ntzc_igb_queue *queue = q->priv;
	struct ntzc_igb_tx *tx = &queue->tx;
	u32 tail = tx->tail, marks = tx->mark_tail, room, at_mark = tail;
	unsigned int i;

	if (unlikely(!tx->open))
		return ntzc_igb_tx_refuse(queue, m, n);
	room = ntzc_igb_tx_room(tx);
	for (i = 0; i < n && room; i++) {
		u32 cmd = IGB_TXD_FRAME, len = m_buf_len(m[i]);
		union ntzc_igb_tx_desc *d;

		if (unlikely(m_buf_has_vlan(m[i]))) {
			if (m[i]->desc.vlan_tci != tx->vlan) {
				if (room < 2)
					break;
				ntzc_igb_tx_context(tx, m[i]->desc.vlan_tci, tail++);
				room--;
			}
			cmd |= IGB_TXD_VLE;
		}
		d = &tx->ring[tail++ & tx->mask];
		d->addr = cpu_to_le64(m_buf_dma(m[i]));
		d->cmd = cpu_to_le32(cmd | len);
		d->status = cpu_to_le32(len << IGB_TXD_PAYLEN_SHIFT | tx->ctx);
		tx->pkts[(tx->pkt_tail + i) & (2 * tx->mask + 1)] = m[i];
		room--;
		if (tail - at_mark >= NTZC_IGB_MARK) {
			ntzc_igb_tx_mark(tx, &marks, tail, tx->pkt_tail + i + 1);
			at_mark = tail;
		}
	}
	if (!i)
		return 0;
	tx->pkt_tail += i;
	if (tail != at_mark)
		ntzc_igb_tx_mark(tx, &marks, tail, tx->pkt_tail);
	WRITE_ONCE(tx->tail, tail);
	/*
	 * Before the doorbell, or its interrupt could find nothing. Pairs with
	 * the acquire in ntzc_igb_tx_clean().
	 */
	smp_store_release(&tx->mark_tail, marks);
	/* writel() has the card see the descriptors before the doorbell; pairs with its fetch */
	if (likely(!READ_ONCE(queue->igb->gone)))
		writel(tail & tx->mask, tx->doorbell);
	return i;
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
