// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The MAC: from whatever state it is in to one that we know, and back to one
 * in which it does no DMA. Called in process context under RTNL (or by probe
 * and remove, before and after anybody else can); nothing else runs on the
 * card then. ntzc_igb_ctrl_change() and ntzc_igb_check_gone() are for all.
 */
#include <linux/bitfield.h>
#include <linux/delay.h>
#include <linux/etherdevice.h>
#include <linux/if_vlan.h>

#include "igb.h"

#define NTZC_IGB_MASTER_TRIES	800	/* of 100 us */
#define NTZC_IGB_RESET_TRIES	20	/* of 1 ms */
#define NTZC_IGB_PCIE_16MS	0x5	/* device control 2: 16 to 55 ms */
#define NTZC_IGB_MAX_FRAME	9728	/* what the card itself can take, bytes */

/**
 * ntzc_igb_vanish() - the card does not answer any more
 * @igb: the card
 *
 * Everything stops touching it, the interface is marked as absent, and the
 * buffers come back.
 *
 * Context: any.
 */
void ntzc_igb_vanish(struct ntzc_igb *igb)
{
	if (READ_ONCE(igb->gone))
		return;
	WRITE_ONCE(igb->recover_by, jiffies + NTZC_IGB_GRACE_S * HZ);
	/* pairs with the acquire in ntzc_igb_is_lost() */
	smp_store_release(&igb->gone, true);
	netdev_err(igb->netdev, "the card does not answer any more\n");
	netif_device_detach(igb->netdev);
	ntzc_igb_ask_reset(igb, NTZC_IGB_VANISHED);
}

/**
 * ntzc_igb_check_gone() - a register read as all ones: is the card still there?
 * @igb: the card
 * @reg: the register
 *
 * Context: any. Return: what @reg really holds, or all ones.
 */
u32 ntzc_igb_check_gone(struct ntzc_igb *igb, u32 reg)
{
	/* STATUS has bits that read as zero on every card that answers */
	u32 status = readl(igb->regs + IGB_STATUS);

	if (status != ~0u)
		return reg == IGB_STATUS ? status : ~0u;
	ntzc_igb_vanish(igb);
	return ~0u;
}

/**
 * ntzc_igb_ctrl_change() - change bits of CTRL
 * @igb: the card
 * @clear: bits to clear
 * @set: bits to set
 *
 * Context: process; takes igb->hw_lock.
 */
void ntzc_igb_ctrl_change(struct ntzc_igb *igb, u32 clear, u32 set)
{
	u32 ctrl;

	mutex_lock(&igb->hw_lock);
	ctrl = ntzc_igb_rd(igb, IGB_CTRL);
	ntzc_igb_wr(igb, IGB_CTRL, (ctrl & ~clear) | set);
	mutex_unlock(&igb->hw_lock);
}

/* Tell the firmware whether a driver has the card: CTRL_EXT.DRV_LOAD, datasheet 8.2.3 */
void ntzc_igb_driver_loaded(struct ntzc_igb *igb, bool loaded)
{
	u32 ext = ntzc_igb_rd(igb, IGB_CTRL_EXT);

	if (loaded)
		ext |= IGB_CTRL_EXT_DRV_LOAD;
	else
		ext &= ~IGB_CTRL_EXT_DRV_LOAD;
	ntzc_igb_wr(igb, IGB_CTRL_EXT, ext);
}

/**
 * ntzc_igb_mac_quiesce() - stop interrupts, receive, transmit and all DMA
 * @igb: the card
 *
 * After this returns the card reads and writes no memory, even if it cannot
 * be talked to: bus mastering is off.
 */
void ntzc_igb_mac_quiesce(struct ntzc_igb *igb)
{
	unsigned int i;

	ntzc_igb_irq_off(igb);
	if (igb->rx_on)
		ntzc_igb_filter_rx_on(igb, false);
	else
		ntzc_igb_wr(igb, IGB_RCTL, 0);
	ntzc_igb_wr(igb, IGB_TCTL, IGB_TCTL_PSP);
	ntzc_igb_flush(igb);
	usleep_range(10000, 11000);	/* frames on their way through the card */
	ntzc_igb_rings_disable(igb);

	/* no new requests, and none under way: datasheet 8.2.1 and 8.2.2 */
	ntzc_igb_ctrl_change(igb, 0, IGB_CTRL_MASTER_OFF);
	for (i = 0; i < NTZC_IGB_MASTER_TRIES; i++) {
		if (!(ntzc_igb_rd(igb, IGB_STATUS) & IGB_STATUS_MASTER_ON))
			break;
		if (READ_ONCE(igb->gone))
			break;
		usleep_range(100, 150);
	}
	pci_clear_master(igb->pdev);
}

/* Wait longer for memory than the cards' default, and never ask twice; datasheet 8.6.1 */
static void ntzc_igb_pcie_timeout(struct ntzc_igb *igb)
{
	u32 gcr = ntzc_igb_rd(igb, IGB_GCR);

	if (!FIELD_GET(IGB_GCR_TIMEOUT, gcr)) {
		if (gcr & IGB_GCR_CAP_VER2)
			pcie_capability_clear_and_set_word(igb->pdev, PCI_EXP_DEVCTL2,
							   PCI_EXP_DEVCTL2_COMP_TIMEOUT,
							   NTZC_IGB_PCIE_16MS);
		else
			gcr |= FIELD_PREP(IGB_GCR_TIMEOUT, IGB_GCR_TIMEOUT_10MS);
	}
	ntzc_igb_wr(igb, IGB_GCR, gcr & ~IGB_GCR_RESEND);
}

/*
 * Divide the packet buffer, where the card lets us, so that transmit has room
 * for two of the longest frames; it takes effect with a reset. Return: KiB for receive.
 */
static u32 ntzc_igb_packet_buffer(struct ntzc_igb *igb)
{
	u32 rx = igb->chip->rxpb_kib;
	u32 frame = ntzc_igb_frame_max(igb->netdev->mtu);
	u32 tx, need;

	if (!rx)
		return FIELD_GET(IGB_RXPBS_KIB, ntzc_igb_rd(igb, IGB_RXPBS));
	ntzc_igb_wr(igb, IGB_PBA, rx);
	tx = ntzc_igb_rd(igb, IGB_PBA) >> 16;
	need = DIV_ROUND_UP(frame + sizeof(union ntzc_igb_tx_desc), 512);
	if (need > tx)
		rx = max(rx - min(rx, need - tx), DIV_ROUND_UP(NTZC_IGB_MAX_FRAME, 1024u));
	ntzc_igb_wr(igb, IGB_PBA, rx);
	return rx;
}

/**
 * ntzc_igb_mac_reset() - reset the MAC, datasheet 4.2.1.6.1
 * @igb: the card, quiet
 *
 * Afterwards the card is as after power-on, but for the packet buffer and, on
 * hardware, the PHY and its link. Return: 0, -EIO, -ENODEV.
 */
int ntzc_igb_mac_reset(struct ntzc_igb *igb)
{
	u32 frame = ntzc_igb_frame_max(igb->netdev->mtu) + ETH_FCS_LEN;
	unsigned int i;
	u32 kib;

	ntzc_igb_pcie_timeout(igb);
	kib = ntzc_igb_packet_buffer(igb);
	/* room for one of our frames on its way out and one that the partner has begun */
	igb->link.fc_high = ((kib << 10) - (frame + NTZC_IGB_MAX_FRAME)) & ~0xfu;

	ntzc_igb_ctrl_change(igb, 0, IGB_CTRL_RST);
	usleep_range(1000, 2000);
	for (i = 0; i < NTZC_IGB_RESET_TRIES; i++) {
		if (!(ntzc_igb_rd(igb, IGB_CTRL) & IGB_CTRL_RST))
			break;
		usleep_range(1000, 2000);
	}
	if (READ_ONCE(igb->gone))
		return -ENODEV;
	if (i == NTZC_IGB_RESET_TRIES)
		return -EIO;
	/* a card without an NVM never says that it has read it */
	for (i = 0; i < NTZC_IGB_RESET_TRIES / 2; i++) {
		if (ntzc_igb_rd(igb, IGB_EECD) & IGB_EECD_AUTO_RD)
			break;
		usleep_range(1000, 2000);
	}

	ntzc_igb_irq_off(igb);
	ntzc_igb_rd(igb, IGB_ICR);
	return READ_ONCE(igb->gone) ? -ENODEV : 0;
}

static void ntzc_igb_mac_rss(struct ntzc_igb *igb)
{
	u32 mrqc = IGB_MRQC_RSS | IGB_MRQC_IPV4 | IGB_MRQC_TCP_IPV4 | IGB_MRQC_IPV6 |
		   IGB_MRQC_TCP_IPV6 | IGB_MRQC_TCP_IPV6_EX;
	u32 key[IGB_RSSRK_REGS];
	u32 i, j;

	netdev_rss_key_fill(key, sizeof(key));
	for (i = 0; i < IGB_RSSRK_REGS; i++)
		ntzc_igb_wr(igb, IGB_RSSRK(i), key[i]);
	for (i = 0; i < IGB_RETA_REGS; i++) {
		u32 entries = 0;

		for (j = 0; j < 4; j++) {
			u32 queue = (4 * i + j) * igb->n_queues / (4 * IGB_RETA_REGS);

			entries |= queue << igb->chip->reta_shift << 8 * j;
		}
		ntzc_igb_wr(igb, IGB_RETA(i), entries);
	}
	if (igb->rss_udp)
		mrqc |= IGB_MRQC_UDP_IPV4 | IGB_MRQC_UDP_IPV6;
	ntzc_igb_wr(igb, IGB_MRQC, mrqc);
}

/**
 * ntzc_igb_mac_vlan_strip() - have VLAN tags taken out of received frames, or left in
 * @igb: the card
 * @strip: which
 */
void ntzc_igb_mac_vlan_strip(struct ntzc_igb *igb, bool strip)
{
	ntzc_igb_ctrl_change(igb, IGB_CTRL_VME, strip ? IGB_CTRL_VME : 0);
}

/**
 * ntzc_igb_mac_init() - program all but the rings, the vectors and the link
 * @igb: the card, just reset
 */
void ntzc_igb_mac_init(struct ntzc_igb *igb)
{
	u32 rxcsum = IGB_RXCSUM_PCSD | IGB_RXCSUM_IPOFL | IGB_RXCSUM_TUOFL;
	u32 tctl;

	ntzc_igb_wr(igb, IGB_WUC, 0);
	ntzc_igb_driver_loaded(igb, true);
	ntzc_igb_filter_init(igb);
	ntzc_igb_mac_rss(igb);

	/* the hash takes the raw checksum's place in the descriptor, datasheet 7.1.5.2 */
	if (igb->chip->sctp_csum)
		rxcsum |= IGB_RXCSUM_CRCOFL;
	ntzc_igb_wr(igb, IGB_RXCSUM, rxcsum);
	/*
	 * The card must not write past a buffer's end, and this register is what
	 * keeps it from that: BSIZEPKT counts whole KiB from an address in mid-buffer.
	 */
	ntzc_igb_wr(igb, IGB_RLPML, ntzc_igb_frame_max(igb->netdev->mtu) + ETH_FCS_LEN);
	/* an erratum of both cards: they must not parse IPv6 extension headers */
	ntzc_igb_wr(igb, IGB_RFCTL, ntzc_igb_rd(igb, IGB_RFCTL) | IGB_RFCTL_IPV6_EX_DIS);
	ntzc_igb_mac_vlan_strip(igb, igb->netdev->features & NETIF_F_HW_VLAN_CTAG_RX);

	if (igb->chip->dtxctl)
		ntzc_igb_wr(igb, IGB_DTXCTL,
			    ntzc_igb_rd(igb, IGB_DTXCTL) | IGB_DTXCTL_VLAN_ADDED);
	tctl = ntzc_igb_rd(igb, IGB_TCTL);
	tctl &= ~(IGB_TCTL_CT | IGB_TCTL_COLD | IGB_TCTL_EN);
	tctl |= IGB_TCTL_PSP | IGB_TCTL_RTLC | FIELD_PREP(IGB_TCTL_CT, 15) |
		FIELD_PREP(IGB_TCTL_COLD, 63);
	ntzc_igb_wr(igb, IGB_TCTL, tctl);
}

/**
 * ntzc_igb_mac_enable() - let frames in and out
 * @igb: the card, with its rings programmed and their receive side empty
 */
void ntzc_igb_mac_enable(struct ntzc_igb *igb)
{
	ntzc_igb_wr(igb, IGB_TCTL, ntzc_igb_rd(igb, IGB_TCTL) | IGB_TCTL_EN);
	ntzc_igb_filter_rx_on(igb, true);
	ntzc_igb_flush(igb);
}

/**
 * ntzc_igb_mac_rx_flush() - drop what came in while the firmware alone received
 * @igb: the card, programmed but for its rings
 *
 * On an 82575 whose firmware receives frames, the receive FIFO can hold
 * rubbish when the host's side is enabled: let nothing pass (RLPML of 0) with
 * the queues off, run for a moment, and put all back.
 */
void ntzc_igb_mac_rx_flush(struct ntzc_igb *igb)
{
	u32 rlpml, rfctl, i;

	if (!igb->chip->rx_flush || !(ntzc_igb_rd(igb, IGB_MANC) & IGB_MANC_RCV_TCO))
		return;
	rfctl = ntzc_igb_rd(igb, IGB_RFCTL);
	rlpml = ntzc_igb_rd(igb, IGB_RLPML);

	for (i = 0; i < igb->chip->max_queues; i++)
		ntzc_igb_wr(igb, ntzc_igb_rx_reg(igb, i, IGB_RX_DCTL), 0);
	usleep_range(1000, 2000);
	ntzc_igb_wr(igb, IGB_RFCTL, rfctl & ~IGB_RFCTL_LEF);
	ntzc_igb_wr(igb, IGB_RLPML, 0);
	ntzc_igb_filter_rx_on(igb, true);
	ntzc_igb_flush(igb);
	usleep_range(2000, 3000);
	ntzc_igb_filter_rx_on(igb, false);
	ntzc_igb_wr(igb, IGB_RLPML, rlpml);
	ntzc_igb_wr(igb, IGB_RFCTL, rfctl);
}
