// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the core asks of the driver, and the two functions behind it: start,
 * from a card in any quiet state to one that receives and sends, and stop,
 * which gives every buffer back. Both run under RTNL; stop may be called at any
 * time and does nothing if the card is not started.
 */
#include <linux/if_vlan.h>
#include <linux/rtnetlink.h>

#include "igb.h"

/** ntzc_igb_frame_max() - Return: @mtu's longest frame, two VLAN tags included, without FCS. */
unsigned int ntzc_igb_frame_max(unsigned int mtu)
{
	return mtu + ETH_HLEN + 2 * VLAN_HLEN;
}

/* The polls may touch the rings, or do not */
static void ntzc_igb_set_live(struct ntzc_igb *igb, bool live)
{
	u32 i;

	for (i = 0; i < igb->n_vectors; i++) {
		igb->vectors[i].live = live;
		igb->vectors[i].frames = 0;
	}
}

static int ntzc_igb_bring_up(struct ntzc_igb *igb, u32 buf_size)
{
	int err;

	pci_set_master(igb->pdev);
	err = ntzc_igb_mac_reset(igb);
	if (err)
		return err;
	ntzc_igb_mac_init(igb);
	ntzc_igb_irq_program(igb);
	ntzc_igb_mac_rx_flush(igb);
	/* what was flushed was nobody's */
	ntzc_igb_stats_switch(igb, true);
	ntzc_igb_rings_program(igb, buf_size);
	ntzc_igb_mac_enable(igb);
	err = ntzc_igb_rings_wait(igb);
	if (err)
		return err;
	return ntzc_igb_link_setup(igb);
}

/**
 * ntzc_igb_start() - bring the card up, from reset
 * @igb: the card, open
 *
 * Return: 0, -EINVAL, -EIO, -ETIMEDOUT, -ENODEV.
 */
int ntzc_igb_start(struct ntzc_igb *igb)
{
	u32 buf_size = ntzc_port_buf_size(igb->port);
	u32 may_write = ntzc_igb_frame_max(igb->netdev->mtu) + ETH_FCS_LEN;
	int err;
	u32 i;

	/* RLPML is all that keeps the card within a buffer: see ntzc_igb_mac_init() */
	if (WARN_ON_ONCE(may_write + NTZC_HEADROOM > buf_size))
		return -EINVAL;
	/* what was wrong with the card before is not wrong with it now */
	ntzc_igb_forget_resets(igb);
	/* a kick may come at any time: no poll may look at rings that begin anew */
	ntzc_igb_napi_enable(igb, false);
	err = ntzc_igb_bring_up(igb, buf_size);
	if (err) {
		ntzc_igb_stats_switch(igb, false);
		ntzc_igb_mac_quiesce(igb);
		ntzc_igb_napi_enable(igb, true);
		ntzc_igb_kick_all(igb);
		return err;
	}

	local_bh_disable();
	for (i = 0; i < igb->n_queues; i++)
		ntzc_igb_rx_refill(&igb->queues[i]);
	local_bh_enable();
	ntzc_igb_set_live(igb, true);
	ntzc_igb_napi_enable(igb, true);

	WRITE_ONCE(igb->started, true);
	ntzc_igb_irq_on(igb);
	schedule_delayed_work(&igb->watchdog, 0);
	return 0;
}

/**
 * ntzc_igb_stop() - stop the card and give all buffers back
 * @igb: the card
 * @status: for packets that were not sent: a negative errno
 */
void ntzc_igb_stop(struct ntzc_igb *igb, int status)
{
	u32 i;

	if (!igb->started)
		return;
	WRITE_ONCE(igb->started, false);
	cancel_delayed_work_sync(&igb->watchdog);
	netif_carrier_off(igb->netdev);
	igb->link.up = false;
	for (i = 0; i < igb->n_queues; i++)
		ntzc_igb_tx_open(&igb->queues[i], false);

	ntzc_igb_stats_switch(igb, false);
	ntzc_igb_mac_quiesce(igb);
	ntzc_igb_napi_enable(igb, false);
	ntzc_igb_set_live(igb, false);
	/* a poll that ended since the card was made quiet has unmasked its own again */
	ntzc_igb_irq_off(igb);
	local_bh_disable();
	for (i = 0; i < igb->n_queues; i++) {
		ntzc_igb_tx_drain(&igb->queues[i], status);
		ntzc_igb_rx_drain(&igb->queues[i]);
	}
	local_bh_enable();
	ntzc_igb_napi_enable(igb, true);
	/* what was refused meanwhile */
	ntzc_igb_kick_all(igb);
}

static int ntzc_igb_op_start(struct ntzc_port *port)
{
	struct ntzc_igb *igb = ntzc_port_priv(port);
	int err;

	if (!netif_device_present(igb->netdev)) {
		/* its registers are not to be had: it is started when it is back */
		igb->wanted = true;
		return 0;
	}
	err = ntzc_igb_start(igb);
	if (err)
		netdev_err(igb->netdev, "the card cannot be started: %d\n", err);
	igb->wanted = !err;
	return err;
}

static void ntzc_igb_op_stop(struct ntzc_port *port)
{
	struct ntzc_igb *igb = ntzc_port_priv(port);
	u32 i;

	igb->wanted = false;
	ntzc_igb_stop(igb, -ENETDOWN);
	/* refused ones even if the card had failed before: no poll may come any more */
	ntzc_igb_napi_enable(igb, false);
	local_bh_disable();
	for (i = 0; i < igb->n_queues; i++)
		ntzc_igb_tx_clean(&igb->queues[i]);
	local_bh_enable();
	ntzc_igb_napi_enable(igb, true);
}

static void ntzc_igb_op_refill(struct ntzc_queue *q)
{
	struct ntzc_igb_queue *queue = q->priv;

	/* queues that are not in use have no vector; the core may not know yet */
	if (queue->vec)
		ntzc_igb_kick(queue->vec);
}

static void ntzc_igb_op_stats(struct ntzc_port *port, struct ntzc_hw_stats *stats)
{
	struct ntzc_igb *igb = ntzc_port_priv(port);
	struct ntzc_igb_stat_sums sums;

	ntzc_igb_stats_update(igb);
	ntzc_igb_stats_sum(igb, &sums);
	stats->rx_missed = sums.rx_missed;
	stats->rx_errors = sums.rx_errors;
	stats->resets = READ_ONCE(igb->resets);
}

const struct ntzc_port_ops ntzc_igb_port_ops = {
	.start		= ntzc_igb_op_start,
	.stop		= ntzc_igb_op_stop,
	.refill		= ntzc_igb_op_refill,
	.transmit	= ntzc_igb_transmit,
	.wake		= ntzc_igb_op_refill,
	.stats		= ntzc_igb_op_stats,
};
