// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Receive: from the card's ring to the core, and empty buffers to the card.
 *
 * A ring is written by its poll alone, or by whoever holds RTNL while that is
 * not live; there is no lock. The card owns the descriptors from next to fill;
 * those beyond are empty and still hold what the card last wrote there, so
 * that DD means something between next and fill only. Buffers travel between
 * the core and the ring in runs that do not wrap, in place: nothing is done
 * for each packet but to read its descriptor and describe it.
 */
#include <linux/etherdevice.h>
#include <linux/prefetch.h>

#include "igb.h"

/* less cannot be a frame, and could not be sent again: TCTL.PSP pads no frame of less */
#define NTZC_IGB_RX_LEAST	17

/* What the RSS type in a descriptor covers, datasheet 7.1.5.2 */
static const u8 ntzc_igb_hash_types[16] = {
	[1] = NTZC_HASH_TCP_IPV4,
	[2] = NTZC_HASH_IPV4,
	[3] = NTZC_HASH_TCP_IPV6,
	[4] = NTZC_HASH_IPV6,		/* with extension headers */
	[5] = NTZC_HASH_IPV6,
	[6] = NTZC_HASH_TCP_IPV6,	/* with extension headers */
	[7] = NTZC_HASH_UDP_IPV4,
	[8] = NTZC_HASH_UDP_IPV6,
	[9] = NTZC_HASH_UDP_IPV6,	/* with extension headers */
};

/* Checksums that were verified and found right, by UDPCS, L4CS and IPCS */
static const u8 ntzc_igb_good_sums[8] = {
	[1] = NTZC_RX_L4_OK,
	[2] = NTZC_RX_L4_OK,
	[3] = NTZC_RX_L4_OK,
	[4] = NTZC_RX_L3_OK,
	[5] = NTZC_RX_L3_OK | NTZC_RX_L4_OK,
	[6] = NTZC_RX_L3_OK | NTZC_RX_L4_OK,
	[7] = NTZC_RX_L3_OK | NTZC_RX_L4_OK,
};

static u16 ntzc_igb_sums(u32 status)
{
	return ntzc_igb_good_sums[status >> IGB_RXD_CSUM_SHIFT & 7];
}

/* a compiler that makes a call of it adds a fifth to what the driver does with a frame */
static __always_inline void ntzc_igb_rx_describe(struct m_buf *m,
						 const union ntzc_igb_rx_desc *d,
						 u8 index, u32 status, u32 len, u16 flags)
{
	u32 type = ntzc_igb_hash_types[le32_to_cpu(d->info) & IGB_RXD_RSS_TYPE];

	m_buf_received(m, index, len, type ? le32_to_cpu(d->rss) : 0, type, flags);
	if (status & IGB_RXD_VP)
		m_buf_set_vlan(m, le16_to_cpu(d->vlan));
}

/*
 * Describe the frames in a run of descriptors, as long as they are done,
 * whole, error-free, and neither too long nor too short: a card that says otherwise
 * must not make a tap look beyond the buffer, nor the host for a header that is not
 * there. Return: how many, and their bytes.
 */
static __always_inline unsigned int ntzc_igb_rx_run(struct m_buf **buf,
						    const union ntzc_igb_rx_desc *d,
						    unsigned int n, u32 max_len, u8 index,
						    u64 *bytes)
{
	struct m_buf **at = buf, **end = buf + n;
	u32 span = max_len - NTZC_IGB_RX_LEAST;
	u64 sum = 0;

	/* the loop's own work would be a tenth */
#pragma GCC unroll 4
	for (; at != end; at++, d++) {
		u32 status = le32_to_cpu(READ_ONCE(d->status));
		u32 len;

		if ((status & IGB_RXD_CHECK) != IGB_RXD_WHOLE)
			break;
		/* the rest of the descriptor, and the frame, after DD: the card stores that last */
		dma_rmb();
		len = le16_to_cpu(d->len);
		if (unlikely(len - NTZC_IGB_RX_LEAST > span))
			break;
		prefetchw(at[2]);
		sum += len;
		ntzc_igb_rx_describe(*at, d, index, status, len, ntzc_igb_sums(status));
	}
	*bytes = sum;
	return at - buf;
}

/* A wrong checksum is no reason to drop a frame, but has to be told */
static bool ntzc_igb_rx_bad_sums(struct m_buf *m, const union ntzc_igb_rx_desc *d,
				 u8 index, u32 status, u32 len)
{
	u16 flags = ntzc_igb_sums(status);

	if (status & IGB_RXD_FRAME_ERR)
		return false;
	if (status & IGB_RXD_IPE)
		flags = (flags & ~NTZC_RX_L3_OK) | NTZC_RX_L3_BAD;
	if (status & IGB_RXD_L4E) {
		flags &= ~NTZC_RX_L4_OK;
		/* an erratum: SCTP frames of the least size are found wrong when they are not */
		if (len != ETH_ZLEN || !(le32_to_cpu(d->info) & IGB_RXD_SCTP))
			flags |= NTZC_RX_L4_BAD;
	}
	ntzc_igb_rx_describe(m, d, index, status, len, flags);
	return true;
}

/*
 * The descriptor at rx->next is not one of an ordinary frame. Return: whether
 * it was dealt with; else the card has not written it yet.
 */
static noinline bool ntzc_igb_rx_odd(struct ntzc_igb_queue *queue)
{
	struct ntzc_igb_rx *rx = &queue->rx;
	const union ntzc_igb_rx_desc *d = &rx->desc[rx->next & rx->mask];
	struct m_buf **m = &rx->buf[rx->next & rx->mask];
	u32 status = le32_to_cpu(READ_ONCE(d->status));
	bool whole;
	u32 len;

	if (!(status & IGB_RXD_DD))
		return false;
	/* pairs with the card's storing DD last, as above */
	dma_rmb();
	len = le16_to_cpu(d->len);
	whole = status & IGB_RXD_EOP && !rx->in_frame &&
		len - NTZC_IGB_RX_LEAST <= rx->max_len - NTZC_IGB_RX_LEAST;
	rx->next++;
	if (whole && ntzc_igb_rx_bad_sums(*m, d, queue->index, status, len)) {
		ntzc_rx_deliver(queue->q, m, 1, len);
		return true;
	}
	/* a frame of several buffers goes whole: count it once, at its end */
	rx->in_frame = !(status & IGB_RXD_EOP);
	if (!rx->in_frame)
		rx->dropped++;
	ntzc_rx_return(queue->q, m, 1);
	return true;
}

/**
 * ntzc_igb_rx_refill() - give the card buffers, if it is worth a doorbell
 * @queue: the queue, running
 *
 * When there are too few, the core calls ops->refill later.
 * Context: the queue's poll, or RTNL while that is not live; bottom halves off.
 */
void ntzc_igb_rx_refill(struct ntzc_igb_queue *queue)
{
	struct ntzc_igb_rx *rx = &queue->rx;
	u32 mask = rx->mask, fill = rx->fill;
	/* one stays empty: a tail that meets the head would mean none at all */
	u32 room = mask - (fill - rx->next);

	if (room < NTZC_IGB_REFILL && !rx->starved)
		return;
	rx->starved = false;
	while (room && !rx->starved) {
		u32 at = fill & mask, want = min(room, mask + 1 - at), got, i;
		union ntzc_igb_rx_desc *d = &rx->desc[at];
		struct m_buf **buf = &rx->buf[at];

		got = ntzc_rx_refill(queue->q, buf, want);
		/* little is done for each: the loop's own work would be a third */
#pragma GCC unroll 4
		for (i = 0; i < got; i++) {
			d[i].addr = cpu_to_le64(m_buf_rx_dma(buf[i]));
			d[i].hdr_addr = 0;	/* clears DD */
		}
		rx->starved = got < want;
		fill += got;
		room -= got;
	}
	if (fill == rx->fill)
		return;
	rx->fill = fill;
	/* writel() has the card see the descriptors before the doorbell; pairs with its fetch */
	if (likely(!READ_ONCE(queue->igb->gone)))
		writel(fill & mask, rx->tail);
}

/**
 * ntzc_igb_rx_poll() - take frames from the card and refill its ring
 * @queue: the queue, running
 * @budget: frames to take at most
 *
 * Context: the queue's poll. Return: frames taken.
 */
unsigned int ntzc_igb_rx_poll(struct ntzc_igb_queue *queue, unsigned int budget)
{
	struct ntzc_igb_rx *rx = &queue->rx;
	unsigned int done = 0;

	while (done < budget) {
		u32 at = rx->next & rx->mask;
		unsigned int n = min3(budget - done, rx->fill - rx->next, rx->mask + 1 - at);
		unsigned int got = 0;
		u64 bytes;

		n = min_t(unsigned int, n, NTZC_BATCH);
		if (!n)
			break;
		if (likely(!rx->in_frame))
			got = ntzc_igb_rx_run(&rx->buf[at], &rx->desc[at], n, rx->max_len,
					      queue->index, &bytes);
		if (got) {
			rx->next += got;
			ntzc_rx_deliver(queue->q, &rx->buf[at], got, bytes);
			done += got;
		}
		if (got < n) {
			if (!ntzc_igb_rx_odd(queue))
				break;
			done++;
		}
	}
	ntzc_igb_rx_refill(queue);
	return done;
}

/**
 * ntzc_igb_rx_drain() - give the core back all that the card had
 * @queue: the queue; the card does no DMA any more
 *
 * Context: RTNL, the poll not live; bottom halves off.
 */
void ntzc_igb_rx_drain(struct ntzc_igb_queue *queue)
{
	struct ntzc_igb_rx *rx = &queue->rx;

	while (rx->next != rx->fill) {
		u32 at = rx->next & rx->mask;
		u32 n = min(rx->fill - rx->next, rx->mask + 1 - at);

		ntzc_rx_return(queue->q, &rx->buf[at], n);
		rx->next += n;
	}
}
