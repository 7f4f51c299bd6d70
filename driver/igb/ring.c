// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The rings: their memory, which lives while the interface is open, and their
 * registers, which are programmed at each start. All under RTNL, with the
 * polls not live.
 */
#include <linux/bitfield.h>
#include <linux/delay.h>
#include <linux/dma-mapping.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "igb.h"

#define NTZC_IGB_ENABLE_TRIES	10	/* of 1 ms */

/*
 * Fetch descriptors when fewer than 8 are in the card. Write each back at
 * once: the 82576 needs that with MSI-X (an erratum), and as transmit asks for
 * one write-back in NTZC_IGB_MARK descriptors, it costs little.
 */
#define NTZC_IGB_RXDCTL \
	(FIELD_PREP(IGB_DCTL_PTHRESH, 8) | FIELD_PREP(IGB_DCTL_HTHRESH, 8) | \
	 FIELD_PREP(IGB_DCTL_WTHRESH, 1) | IGB_DCTL_ENABLE)
#define NTZC_IGB_TXDCTL \
	(FIELD_PREP(IGB_DCTL_PTHRESH, 8) | FIELD_PREP(IGB_DCTL_HTHRESH, 1) | \
	 FIELD_PREP(IGB_DCTL_WTHRESH, 1) | IGB_DCTL_ENABLE)

static size_t ntzc_igb_ring_bytes(u32 size)
{
	return size * sizeof(union ntzc_igb_rx_desc);
}

static void ntzc_igb_ring_free(struct ntzc_igb *igb, struct ntzc_igb_queue *queue)
{
	struct device *dev = &igb->pdev->dev;
	struct ntzc_igb_rx *rx = &queue->rx;
	struct ntzc_igb_tx *tx = &queue->tx;

	if (rx->desc)
		dma_free_coherent(dev, ntzc_igb_ring_bytes(igb->rx_size), rx->desc, rx->dma);
	if (tx->ring)
		dma_free_coherent(dev, ntzc_igb_ring_bytes(igb->tx_size), tx->ring, tx->dma);
	kvfree(rx->buf);
	kvfree(tx->pkts);
	kvfree(tx->marks);
	rx->desc = NULL;
	tx->ring = NULL;
	rx->buf = NULL;
	tx->pkts = NULL;
	tx->marks = NULL;
}

static int ntzc_igb_ring_alloc(struct ntzc_igb *igb, struct ntzc_igb_queue *queue)
{
	struct device *dev = &igb->pdev->dev;
	struct ntzc_igb_rx *rx = &queue->rx;
	struct ntzc_igb_tx *tx = &queue->tx;

	/* a prefetch may look two entries past the end */
	rx->buf = kvcalloc(igb->rx_size + 2, sizeof(*rx->buf), GFP_KERNEL);
	tx->pkts = kvcalloc(2 * igb->tx_size, sizeof(*tx->pkts), GFP_KERNEL);
	tx->marks = kvcalloc(igb->tx_size, sizeof(*tx->marks), GFP_KERNEL);
	rx->desc = dma_alloc_coherent(dev, ntzc_igb_ring_bytes(igb->rx_size), &rx->dma,
				      GFP_KERNEL);
	tx->ring = dma_alloc_coherent(dev, ntzc_igb_ring_bytes(igb->tx_size), &tx->dma,
				      GFP_KERNEL);
	if (!rx->buf || !tx->pkts || !tx->marks || !rx->desc || !tx->ring)
		return -ENOMEM;
	rx->mask = igb->rx_size - 1;
	tx->mask = igb->tx_size - 1;
	return 0;
}

/**
 * ntzc_igb_rings_free() - free the rings' memory
 * @igb: the card, stopped; its number and size of rings are as they were
 */
void ntzc_igb_rings_free(struct ntzc_igb *igb)
{
	u32 i;

	for (i = 0; i < igb->n_queues; i++)
		ntzc_igb_ring_free(igb, &igb->queues[i]);
}

/**
 * ntzc_igb_rings_alloc() - get memory for the rings
 * @igb: the card
 *
 * Context: process. Return: 0 or -ENOMEM.
 */
int ntzc_igb_rings_alloc(struct ntzc_igb *igb)
{
	u32 i;

	for (i = 0; i < igb->n_queues; i++) {
		if (ntzc_igb_ring_alloc(igb, &igb->queues[i])) {
			ntzc_igb_rings_free(igb);
			return -ENOMEM;
		}
	}
	return 0;
}

static void ntzc_igb_rx_program(struct ntzc_igb *igb, struct ntzc_igb_queue *queue, u32 buf_size)
{
	u32 srrctl = FIELD_PREP(IGB_SRRCTL_BSIZE_KIB, buf_size / 1024) | IGB_SRRCTL_ADV_ONEBUF;
	struct ntzc_igb_rx *rx = &queue->rx;
	u32 at = ntzc_igb_rx_reg(igb, queue->index, 0);

	rx->next = 0;
	rx->fill = 0;
	rx->in_frame = false;
	rx->starved = false;
	rx->max_len = ntzc_igb_frame_max(igb->netdev->mtu);
	rx->tail = igb->regs + at + IGB_RX_TAIL;

	/*
	 * A queue without descriptors must not hold up the others; unless the
	 * network is to wait, for which the packet buffer must fill.
	 */
	if (igb->n_queues > 1 && !igb->link.fc_tx)
		srrctl |= IGB_SRRCTL_DROP_EN;
	ntzc_igb_wr(igb, at + IGB_RX_DCTL, 0);
	ntzc_igb_wr(igb, at + IGB_RX_BAL, lower_32_bits(rx->dma));
	ntzc_igb_wr(igb, at + IGB_RX_BAH, upper_32_bits(rx->dma));
	ntzc_igb_wr(igb, at + IGB_RX_LEN, ntzc_igb_ring_bytes(igb->rx_size));
	ntzc_igb_wr(igb, at + IGB_RX_HEAD, 0);
	ntzc_igb_wr(igb, at + IGB_RX_TAIL, 0);
	ntzc_igb_wr(igb, at + IGB_RX_SRRCTL, srrctl);
	ntzc_igb_wr(igb, at + IGB_RX_DCTL, NTZC_IGB_RXDCTL);
}

static void ntzc_igb_tx_program(struct ntzc_igb *igb, struct ntzc_igb_queue *queue)
{
	struct ntzc_igb_tx *tx = &queue->tx;
	u32 at = ntzc_igb_tx_reg(igb, queue->index, 0);

	tx->tail = 0;
	tx->head = 0;
	tx->mark_tail = 0;
	tx->mark_head = 0;
	tx->pkt_tail = 0;
	tx->pkt_head = 0;
	tx->seen_head = 0;
	tx->idle = 0;
	tx->vlan = NTZC_IGB_NO_VLAN;
	tx->ctx = igb->chip->ctx_per_queue ? queue->index << IGB_TXD_CTX_SHIFT : 0;
	tx->doorbell = igb->regs + at + IGB_TX_TAIL;

	ntzc_igb_wr(igb, at + IGB_TX_DCTL, 0);
	ntzc_igb_wr(igb, at + IGB_TX_BAL, lower_32_bits(tx->dma));
	ntzc_igb_wr(igb, at + IGB_TX_BAH, upper_32_bits(tx->dma));
	ntzc_igb_wr(igb, at + IGB_TX_LEN, ntzc_igb_ring_bytes(igb->tx_size));
	ntzc_igb_wr(igb, at + IGB_TX_HEAD, 0);
	ntzc_igb_wr(igb, at + IGB_TX_TAIL, 0);
	ntzc_igb_wr(igb, at + IGB_TX_DCTL, NTZC_IGB_TXDCTL);
}

/**
 * ntzc_igb_rings_program() - give the card empty rings, datasheet 4.5
 * @igb: the card, just reset and not yet enabled
 * @buf_size: of a receive buffer, bytes
 */
void ntzc_igb_rings_program(struct ntzc_igb *igb, u32 buf_size)
{
	u32 i;

	for (i = 0; i < igb->n_queues; i++) {
		ntzc_igb_rx_program(igb, &igb->queues[i], buf_size);
		ntzc_igb_tx_program(igb, &igb->queues[i]);
	}
}

/**
 * ntzc_igb_rings_wait() - wait until the card has taken the rings on
 * @igb: the card, enabled
 *
 * A queue's tail must not be written earlier. Return: 0, -EIO, -ENODEV.
 */
int ntzc_igb_rings_wait(struct ntzc_igb *igb)
{
	unsigned int tries = 0;
	u32 i, on;

	for (i = 0; i < igb->n_queues; i++) {
		do {
			on = ntzc_igb_rd(igb, ntzc_igb_rx_reg(igb, i, IGB_RX_DCTL)) &
			     ntzc_igb_rd(igb, ntzc_igb_tx_reg(igb, i, IGB_TX_DCTL)) &
			     IGB_DCTL_ENABLE;
			if (READ_ONCE(igb->gone))
				return -ENODEV;
			if (!on)
				usleep_range(1000, 2000);
		} while (!on && tries++ < NTZC_IGB_ENABLE_TRIES);
		if (!on)
			return -EIO;
	}
	return 0;
}

/** ntzc_igb_rings_disable() - have the card let go of all rings */
void ntzc_igb_rings_disable(struct ntzc_igb *igb)
{
	u32 i;

	for (i = 0; i < igb->chip->max_queues; i++) {
		ntzc_igb_wr(igb, ntzc_igb_rx_reg(igb, i, IGB_RX_DCTL), 0);
		ntzc_igb_wr(igb, ntzc_igb_tx_reg(igb, i, IGB_TX_DCTL), 0);
	}
}
