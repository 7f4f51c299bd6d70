// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What looks after a running card once a second: its link, its counters, and
 * whether it still sends; and what resets it. The watchdog takes no RTNL, so
 * that stop can wait for it; the reset does, and is waited for by remove alone.
 */
#include <linux/ethtool.h>
#include <linux/rtnetlink.h>

#include "igb.h"

#define NTZC_IGB_IDLE_TICKS	3	/* without progress, and transmit hangs */
#define NTZC_IGB_PAUSE_TICKS	10	/* likewise, while the partner says to wait */
#define NTZC_IGB_RETRY_S	5	/* after a reset that failed */

/**
 * ntzc_igb_ask_reset() - have the card reset soon
 * @igb: the card
 * @why: the reason
 *
 * Context: any.
 */
void ntzc_igb_ask_reset(struct ntzc_igb *igb, enum ntzc_igb_reset_why why)
{
	set_bit(why, &igb->reset_why);
	if (!READ_ONCE(igb->dying))
		schedule_delayed_work(&igb->reset, 0);
}

/**
 * ntzc_igb_forget_resets() - the card is about to be reset for another reason
 * @igb: the card, stopped
 *
 * That it is lost is no matter of a reset.
 * Context: process, RTNL held.
 */
void ntzc_igb_forget_resets(struct ntzc_igb *igb)
{
	clear_bit(NTZC_IGB_HUNG, &igb->reset_why);
	clear_bit(NTZC_IGB_LINK_LOST, &igb->reset_why);
	clear_bit(NTZC_IGB_UNASKED, &igb->reset_why);
}

static const char *ntzc_igb_pause_name(const struct ntzc_igb_link *link)
{
	if (link->rx_pause)
		return link->tx_pause ? "rx/tx" : "rx";
	return link->tx_pause ? "tx" : "off";
}

static void ntzc_igb_report_link(struct ntzc_igb *igb)
{
	struct ntzc_igb_link *link = &igb->link;
	u32 i;

	for (i = 0; i < igb->n_queues; i++)
		ntzc_igb_tx_open(&igb->queues[i], link->up);
	if (link->up) {
		netif_carrier_on(igb->netdev);
		if (igb->msg_enable & NETIF_MSG_LINK)
			netdev_info(igb->netdev, "link is up, %u Mbit/s, %s duplex, pause %s\n",
				    link->speed, link->duplex == DUPLEX_FULL ? "full" : "half",
				    ntzc_igb_pause_name(link));
	} else {
		netif_carrier_off(igb->netdev);
		if (igb->msg_enable & NETIF_MSG_LINK)
			netdev_info(igb->netdev, "link is down\n");
	}
}

/* Frames that wait, and none was sent since the last time: what is the matter? */
static void ntzc_igb_check_stuck(struct ntzc_igb *igb, struct ntzc_igb_tx *tx)
{
	u32 head = READ_ONCE(tx->head), most = NTZC_IGB_IDLE_TICKS;

	if (head == READ_ONCE(tx->tail) || head != tx->seen_head) {
		tx->seen_head = head;
		tx->idle = 0;
		return;
	}
	if (!igb->link.up) {
		/* nothing else would take them out of the card's FIFO */
		ntzc_igb_ask_reset(igb, NTZC_IGB_LINK_LOST);
		return;
	}
	/* the partner may hold us up, but not for ever */
	if (ntzc_igb_rd(igb, IGB_STATUS) & IGB_STATUS_TXOFF)
		most = NTZC_IGB_PAUSE_TICKS;
	if (++tx->idle >= most)
		ntzc_igb_ask_reset(igb, NTZC_IGB_HUNG);
}

/*
 * A card that was reset behind our back has forgotten that it has a driver. One
 * that may not decode memory cannot be read at all, which on some machines gives
 * zeros and not ones.
 */
static void ntzc_igb_check_alive(struct ntzc_igb *igb)
{
	u16 command;

	if (ntzc_igb_rd(igb, IGB_CTRL_EXT) & IGB_CTRL_EXT_DRV_LOAD)
		return;
	pci_read_config_word(igb->pdev, PCI_COMMAND, &command);
	if (command & PCI_COMMAND_MEMORY && !PCI_POSSIBLE_ERROR(command))
		ntzc_igb_ask_reset(igb, NTZC_IGB_UNASKED);
	else
		ntzc_igb_vanish(igb);
}

/**
 * ntzc_igb_watchdog() - look after a running card
 * @work: of the card
 */
void ntzc_igb_watchdog(struct work_struct *work)
{
	struct ntzc_igb *igb = container_of(to_delayed_work(work), struct ntzc_igb, watchdog);
	u32 i;

	/* an interrupt may schedule us while the card is being stopped */
	if (!READ_ONCE(igb->started))
		return;
	if (ntzc_igb_link_changed(igb))
		ntzc_igb_report_link(igb);
	ntzc_igb_stats_update(igb);
	for (i = 0; i < igb->n_queues; i++)
		ntzc_igb_check_stuck(igb, &igb->queues[i].tx);
	ntzc_igb_check_alive(igb);
	if (READ_ONCE(igb->gone))
		return;
	/* an interrupt may be lost, or masked behind our back: make up for both */
	ntzc_igb_irq_on(igb);
	ntzc_igb_kick_all(igb);
	schedule_delayed_work(&igb->watchdog, HZ);
}

static void ntzc_igb_reset(struct ntzc_igb *igb, unsigned long why)
{
	bool again = !igb->started;
	int status = -EIO, err;

	if (test_bit(NTZC_IGB_HUNG, &why)) {
		WRITE_ONCE(igb->resets, igb->resets + 1);
		netdev_err(igb->netdev, "transmit hangs; resetting the card\n");
	} else if (why == BIT(NTZC_IGB_LINK_LOST)) {
		status = -ENETDOWN;
	} else if (!again && test_bit(NTZC_IGB_UNASKED, &why)) {
		netdev_err(igb->netdev, "the card was reset; programming it anew\n");
	}
	ntzc_igb_stop(igb, status);
	if (READ_ONCE(igb->gone))
		return;
	err = ntzc_igb_start(igb);
	if (err) {
		if (!again)
			netdev_err(igb->netdev, "the card does not come back: %d\n", err);
		set_bit(NTZC_IGB_UNASKED, &igb->reset_why);
		schedule_delayed_work(&igb->reset, NTZC_IGB_RETRY_S * HZ);
	} else if (again) {
		netdev_info(igb->netdev, "the card is back\n");
	}
}

/*
 * A card that does not answer is lost, unless the PCI core is about to bring it
 * back, which it may take a moment to say. Under RTNL. Return: whether it is.
 */
static bool ntzc_igb_is_lost(struct ntzc_igb *igb)
{
	/* pairs with the release in ntzc_igb_expect() */
	bool recovering = smp_load_acquire(&igb->recovering);
	/* pairs with the release in ntzc_igb_vanish() */
	bool gone = smp_load_acquire(&igb->gone);

	if (!gone && !recovering)
		return false;
	if (!READ_ONCE(igb->attached) || READ_ONCE(igb->dying))
		return false;
	if (READ_ONCE(igb->hidden))
		return false;	/* being reset, which ends by ntzc_igb_reset_done() */
	if (time_after_eq(jiffies, READ_ONCE(igb->recover_by)))
		return true;
	set_bit(NTZC_IGB_LOST, &igb->reset_why);
	schedule_delayed_work(&igb->reset, NTZC_IGB_GRACE_S * HZ);
	return false;
}

/**
 * ntzc_igb_reset_work() - reset the card, if it is still wanted, or give it up
 * @work: of the card
 */
void ntzc_igb_reset_work(struct work_struct *work)
{
	struct ntzc_igb *igb = container_of(to_delayed_work(work), struct ntzc_igb, reset);
	unsigned long why;
	bool lost;

	rtnl_lock();
	why = xchg(&igb->reset_why, 0);
	if (why & ~BIT(NTZC_IGB_LOST) && igb->wanted && netif_running(igb->netdev) &&
	    (netif_device_present(igb->netdev) || READ_ONCE(igb->gone)))
		ntzc_igb_reset(igb, why);
	lost = ntzc_igb_is_lost(igb);
	if (lost)
		WRITE_ONCE(igb->attached, false);
	rtnl_unlock();
	if (lost)
		ntzc_port_detach(igb->port);
}
