// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Counters: the card's, which are cleared by reading and are added up here in
 * 64 bits, and the queues'. igb->stats_lock guards the sums and the reading,
 * which goes on only while the card is started. The watchdog reads once a
 * second, well before the fastest counter of 32 bits could wrap. What a queue
 * drops for want of a descriptor has 12 bits: of more than 4,095 in a second,
 * the sum tells that there were some, and not how many.
 */
#include <linux/ethtool.h>

#include "igb.h"

/* Where in the table those are that have a use beyond being shown */
enum {
	NTZC_IGB_CRCERRS,
	NTZC_IGB_ALGNERRC,
	NTZC_IGB_SYMERRS,
	NTZC_IGB_RXERRC,
	NTZC_IGB_MPC,
	NTZC_IGB_ECOL,
	NTZC_IGB_LATECOL,
	NTZC_IGB_COLC,
	NTZC_IGB_RLEC,
	NTZC_IGB_MPRC,
	NTZC_IGB_RUC,
	NTZC_IGB_RFC,
	NTZC_IGB_ROC,
	NTZC_IGB_RJC,
	NTZC_IGB_NAMED,
};

/* Datasheet 8.19. Names say what is counted, in the words of RMON where it has any. */
static const struct ntzc_igb_stat {
	const char *name;
	u16 reg;
	bool wide;	/* the next register holds the upper half */
} ntzc_igb_stats_table[] = {
	[NTZC_IGB_CRCERRS]	= { "rx_crc_errors", 0x4000 },
	[NTZC_IGB_ALGNERRC]	= { "rx_align_errors", 0x4004 },
	[NTZC_IGB_SYMERRS]	= { "rx_symbol_errors", 0x4008 },
	[NTZC_IGB_RXERRC]	= { "rx_phy_errors", 0x400c },
	[NTZC_IGB_MPC]		= { "rx_missed", 0x4010 },
	[NTZC_IGB_ECOL]		= { "tx_excessive_collisions", 0x4018 },
	[NTZC_IGB_LATECOL]	= { "tx_late_collisions", 0x4020 },
	[NTZC_IGB_COLC]		= { "tx_collisions", 0x4028 },
	[NTZC_IGB_RLEC]		= { "rx_length_errors", 0x4040 },
	[NTZC_IGB_MPRC]		= { "rx_multicast", 0x407c },
	[NTZC_IGB_RUC]		= { "rx_undersize", 0x40a4 },
	[NTZC_IGB_RFC]		= { "rx_fragments", 0x40a8 },
	[NTZC_IGB_ROC]		= { "rx_oversize", 0x40ac },
	[NTZC_IGB_RJC]		= { "rx_jabber", 0x40b0 },

	{ "tx_single_collisions", 0x4014 },
	{ "tx_multiple_collisions", 0x401c },
	{ "tx_deferred", 0x4030 },
	{ "rx_sequence_errors", 0x4038 },
	{ "rx_xon", 0x4048 },
	{ "tx_xon", 0x404c },
	{ "rx_xoff", 0x4050 },
	{ "tx_xoff", 0x4054 },
	{ "rx_other_pause", 0x4058 },
	{ "rx_size_64", 0x405c },
	{ "rx_size_65_127", 0x4060 },
	{ "rx_size_128_255", 0x4064 },
	{ "rx_size_256_511", 0x4068 },
	{ "rx_size_512_1023", 0x406c },
	{ "rx_size_1024_max", 0x4070 },
	{ "rx_good_packets", 0x4074 },
	{ "rx_broadcast", 0x4078 },
	{ "tx_good_packets", 0x4080 },
	{ "rx_good_octets", 0x4088, true },
	{ "tx_good_octets", 0x4090, true },
	{ "rx_no_buffer", 0x40a0 },
	{ "rx_total_octets", 0x40c0, true },
	{ "tx_total_octets", 0x40c8, true },
	{ "rx_total_packets", 0x40d0 },
	{ "tx_total_packets", 0x40d4 },
	{ "tx_size_64", 0x40d8 },
	{ "tx_size_65_127", 0x40dc },
	{ "tx_size_128_255", 0x40e0 },
	{ "tx_size_256_511", 0x40e4 },
	{ "tx_size_512_1023", 0x40e8 },
	{ "tx_size_1024_max", 0x40ec },
	{ "tx_multicast", 0x40f0 },
	{ "tx_broadcast", 0x40f4 },
};

static_assert(ARRAY_SIZE(ntzc_igb_stats_table) <= NTZC_IGB_N_STATS);

static const char * const ntzc_igb_driver_stats[] = {
	"resets", "tx_dma_errors",
	"tap_lost_ring", "tap_lost_quota", "tap_lost_pool", "tap_filtered",
};

static const char * const ntzc_igb_rx_stats[] = {
	"frames", "bytes", "unclaimed", "no_buffer", "posted", "rejected", "no_descriptor", "stack",
};

static const char * const ntzc_igb_tx_stats[] = {
	"frames", "bytes", "failed", "in_flight",
};

/* Read and so clear all counters, as far as the card has them */
static void ntzc_igb_stats_read(struct ntzc_igb *igb, bool add)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(ntzc_igb_stats_table); i++) {
		const struct ntzc_igb_stat *st = &ntzc_igb_stats_table[i];
		u64 val = ntzc_igb_rd(igb, st->reg);

		if (st->wide)
			val |= (u64)ntzc_igb_rd(igb, st->reg + 4) << 32;
		if (add && !READ_ONCE(igb->gone))
			igb->stats[i] += val;
	}
	for (i = 0; igb->chip->rx_dropped && i < igb->n_queues; i++) {
		u32 val = ntzc_igb_rd(igb, ntzc_igb_rx_reg(igb, i, IGB_RX_DROPPED));

		if (add && !READ_ONCE(igb->gone))
			igb->rx_no_desc[i] += val & IGB_RX_DROPPED_MASK;
	}
}

/** ntzc_igb_stats_update() - add the card's counters up. Context: not in an interrupt. */
void ntzc_igb_stats_update(struct ntzc_igb *igb)
{
	spin_lock_bh(&igb->stats_lock);
	if (igb->stats_on)
		ntzc_igb_stats_read(igb, true);
	spin_unlock_bh(&igb->stats_lock);
}

/**
 * ntzc_igb_stats_switch() - say whether the card's counters may be read
 * @igb: the card
 * @on: it is programmed, and what it counted so far is of no account; or it
 *	is about to be stopped, after a last reading
 */
void ntzc_igb_stats_switch(struct ntzc_igb *igb, bool on)
{
	spin_lock_bh(&igb->stats_lock);
	if (on != igb->stats_on)
		ntzc_igb_stats_read(igb, !on);
	igb->stats_on = on;
	spin_unlock_bh(&igb->stats_lock);
}

/**
 * ntzc_igb_stats_sum() - what the counters so far say of receive and transmit
 * @igb: the card
 * @sums: filled in
 */
void ntzc_igb_stats_sum(struct ntzc_igb *igb, struct ntzc_igb_stat_sums *sums)
{
	const u64 *st = igb->stats;
	u32 i;

	memset(sums, 0, sizeof(*sums));
	spin_lock_bh(&igb->stats_lock);
	sums->rx_missed = st[NTZC_IGB_MPC];
	sums->rx_crc = st[NTZC_IGB_CRCERRS];
	sums->rx_length = st[NTZC_IGB_RUC] + st[NTZC_IGB_ROC] + st[NTZC_IGB_RFC] +
			  st[NTZC_IGB_RJC];
	sums->rx_errors = sums->rx_crc + sums->rx_length + st[NTZC_IGB_ALGNERRC] +
			  st[NTZC_IGB_RXERRC];
	sums->rx_multicast = st[NTZC_IGB_MPRC];
	sums->tx_errors = st[NTZC_IGB_ECOL] + st[NTZC_IGB_LATECOL];
	sums->collisions = st[NTZC_IGB_COLC];
	for (i = 0; i < igb->max_queues; i++) {
		sums->rx_missed += igb->rx_no_desc[i];
		sums->rx_errors += ntzc_glance(igb->queues[i].rx.dropped);
	}
	spin_unlock_bh(&igb->stats_lock);
}

/* ndo_get_stats64: packets and bytes as the core counts them, errors as the card does */
void ntzc_igb_get_stats64(struct net_device *netdev, struct rtnl_link_stats64 *st)
{
	struct ntzc_igb *igb = netdev_priv(netdev);
	struct ntzc_igb_stat_sums sums;
	u32 i;

	ntzc_igb_stats_update(igb);
	ntzc_igb_stats_sum(igb, &sums);
	for (i = 0; i < igb->max_queues; i++) {
		const struct ntzc_queue *q = igb->queues[i].q;

		st->rx_packets += ntzc_glance(q->rx_frames);
		st->rx_bytes += ntzc_glance(q->rx_bytes);
		st->tx_packets += ntzc_glance(q->tx_sent);
		st->tx_bytes += ntzc_queue_tx_bytes(q);
		st->tx_dropped += ntzc_glance(q->tx_failed);
	}
	st->multicast = sums.rx_multicast;
	st->collisions = sums.collisions;
	st->rx_errors = sums.rx_errors;
	st->rx_crc_errors = sums.rx_crc;
	st->rx_length_errors = sums.rx_length;
	st->rx_missed_errors = sums.rx_missed;
	st->tx_errors = sums.tx_errors;
}

/** ntzc_igb_stats_count() - Return: how many counters ethtool -S shows. */
int ntzc_igb_stats_count(const struct ntzc_igb *igb)
{
	return ARRAY_SIZE(ntzc_igb_stats_table) + ARRAY_SIZE(ntzc_igb_driver_stats) +
	       igb->max_queues * (ARRAY_SIZE(ntzc_igb_rx_stats) + ARRAY_SIZE(ntzc_igb_tx_stats));
}

static u8 *ntzc_igb_stats_name(u8 *to, const char *name)
{
	strscpy(to, name, ETH_GSTRING_LEN);
	return to + ETH_GSTRING_LEN;
}

/** ntzc_igb_stats_names() - write their names, ETH_GSTRING_LEN each. */
void ntzc_igb_stats_names(const struct ntzc_igb *igb, u8 *names)
{
	u32 i, j;

	for (i = 0; i < ARRAY_SIZE(ntzc_igb_stats_table); i++)
		names = ntzc_igb_stats_name(names, ntzc_igb_stats_table[i].name);
	for (i = 0; i < ARRAY_SIZE(ntzc_igb_driver_stats); i++)
		names = ntzc_igb_stats_name(names, ntzc_igb_driver_stats[i]);
	for (i = 0; i < igb->max_queues; i++) {
		for (j = 0; j < ARRAY_SIZE(ntzc_igb_rx_stats); j++)
			ethtool_sprintf(&names, "rx_queue_%u_%s", i, ntzc_igb_rx_stats[j]);
		for (j = 0; j < ARRAY_SIZE(ntzc_igb_tx_stats); j++)
			ethtool_sprintf(&names, "tx_queue_%u_%s", i, ntzc_igb_tx_stats[j]);
	}
}

/**
 * ntzc_igb_stats_values() - write their values, in the order of their names
 * @igb: the card
 * @values: where to
 *
 * Context: process.
 */
void ntzc_igb_stats_values(struct ntzc_igb *igb, u64 *values)
{
	struct ntzc_losses lost;
	u32 i;

	ntzc_igb_stats_update(igb);
	ntzc_port_losses(igb->port, &lost);
	spin_lock_bh(&igb->stats_lock);
	for (i = 0; i < ARRAY_SIZE(ntzc_igb_stats_table); i++)
		*values++ = igb->stats[i];
	spin_unlock_bh(&igb->stats_lock);
	*values++ = READ_ONCE(igb->resets);
	*values++ = READ_ONCE(igb->dma_errors);
	*values++ = lost.ring;
	*values++ = lost.quota;
	*values++ = lost.pool;
	*values++ = lost.filtered;
	for (i = 0; i < igb->max_queues; i++) {
		const struct ntzc_igb_queue *queue = &igb->queues[i];
		const struct ntzc_queue *q = queue->q;
		u64 done = ntzc_glance(q->tx_done);

		*values++ = ntzc_glance(q->rx_frames);
		*values++ = ntzc_glance(q->rx_bytes);
		*values++ = ntzc_glance(q->rx_unclaimed);
		*values++ = ntzc_glance(q->rx_no_buffer);
		*values++ = ntzc_glance(q->posted);
		*values++ = ntzc_glance(queue->rx.dropped);
		*values++ = igb->rx_no_desc[i];
		*values++ = ntzc_glance(q->stack_frames);
		*values++ = ntzc_glance(q->tx_sent);
		*values++ = ntzc_queue_tx_bytes(q);
		*values++ = ntzc_glance(q->tx_failed);
		/* a completion may be counted before its frame is */
		*values++ = max(ntzc_glance(q->tx_frames), done) - done;
	}
}
