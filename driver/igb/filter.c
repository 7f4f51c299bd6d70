// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which frames the card lets in: unicast addresses, the multicast hash table,
 * VLANs, promiscuous modes. RCTL is written here alone. netif_addr_lock guards
 * it and the tables; the core takes it before ndo_set_rx_mode, the others here
 * take it themselves and run under RTNL.
 */
#include <linux/etherdevice.h>
#include <linux/if_vlan.h>

#include "igb.h"

static void ntzc_igb_write_rar(struct ntzc_igb *igb, u32 i, const u8 *addr)
{
	u32 at = i < 16 ? IGB_RAL(i) : IGB_RAL_MORE(i), low = 0, high = 0;

	if (addr) {
		low = addr[0] | addr[1] << 8 | addr[2] << 16 | (u32)addr[3] << 24;
		high = addr[4] | addr[5] << 8 | IGB_RAH_AV;
	}
	/* never a valid entry of two halves: invalid first, valid last */
	ntzc_igb_wr(igb, at + IGB_RAH, 0);
	ntzc_igb_wr(igb, at, low);
	ntzc_igb_wr(igb, at + IGB_RAH, high);
}

/* Return: whether all the addresses found room beside the interface's own */
static bool ntzc_igb_write_unicast(struct ntzc_igb *igb)
{
	struct netdev_hw_addr *ha;
	u32 i = 1;

	if (netdev_uc_count(igb->netdev) >= igb->chip->n_rar)
		return false;
	netdev_for_each_uc_addr(ha, igb->netdev)
		ntzc_igb_write_rar(igb, i++, ha->addr);
	while (i < igb->chip->n_rar)
		ntzc_igb_write_rar(igb, i++, NULL);
	return true;
}

/* The hash is the address's upper 12 bits, as RCTL.MO = 0 has it; datasheet 8.10, MTA */
static void ntzc_igb_write_multicast(struct ntzc_igb *igb)
{
	struct netdev_hw_addr *ha;
	u32 mta[IGB_MTA_REGS] = { };
	u32 i;

	netdev_for_each_mc_addr(ha, igb->netdev) {
		u32 hash = (ha->addr[5] << 8 | ha->addr[4]) >> 4;

		mta[hash / 32] |= BIT(hash % 32);
	}
	for (i = 0; i < IGB_MTA_REGS; i++) {
		if (mta[i] != igb->mta[i])
			ntzc_igb_wr(igb, IGB_MTA(i), mta[i]);
		igb->mta[i] = mta[i];
	}
}

/**
 * ntzc_igb_set_rx_mode() - bring the card's filters in line with the interface
 * @netdev: the interface
 *
 * Context: netif_addr_lock held; must not sleep.
 */
void ntzc_igb_set_rx_mode(struct net_device *netdev)
{
	struct ntzc_igb *igb = netdev_priv(netdev);
	u32 rctl = IGB_RCTL_LPE | IGB_RCTL_BAM | IGB_RCTL_SECRC;

	if (!igb->rx_on)
		return;	/* not running: it is done when that begins */
	if (netdev->flags & IFF_PROMISC) {
		rctl |= IGB_RCTL_UPE | IGB_RCTL_MPE;
	} else {
		if (!ntzc_igb_write_unicast(igb))
			rctl |= IGB_RCTL_UPE;
		if (netdev->flags & IFF_ALLMULTI)
			rctl |= IGB_RCTL_MPE;
		else
			ntzc_igb_write_multicast(igb);
		if (netdev->features & NETIF_F_HW_VLAN_CTAG_FILTER)
			rctl |= IGB_RCTL_VFE;
	}
	ntzc_igb_wr(igb, IGB_RCTL, rctl | IGB_RCTL_EN);
}

/**
 * ntzc_igb_filter_rx_on() - let frames in, as the filters say, or none
 * @igb: the card
 * @on: whether
 *
 * Context: process.
 */
void ntzc_igb_filter_rx_on(struct ntzc_igb *igb, bool on)
{
	netif_addr_lock_bh(igb->netdev);
	igb->rx_on = on;
	if (on)
		ntzc_igb_set_rx_mode(igb->netdev);
	else
		ntzc_igb_wr(igb, IGB_RCTL, 0);
	netif_addr_unlock_bh(igb->netdev);
}

/**
 * ntzc_igb_filter_address() - have the card match the interface's address
 * @igb: the card
 *
 * Context: process, RTNL held.
 */
void ntzc_igb_filter_address(struct ntzc_igb *igb)
{
	netif_addr_lock_bh(igb->netdev);
	ntzc_igb_write_rar(igb, 0, igb->netdev->dev_addr);
	netif_addr_unlock_bh(igb->netdev);
}

/**
 * ntzc_igb_filter_init() - program all tables from scratch
 * @igb: the card, just reset
 *
 * Context: process, RTNL held.
 */
void ntzc_igb_filter_init(struct ntzc_igb *igb)
{
	u32 i;

	ntzc_igb_filter_address(igb);
	netif_addr_lock_bh(igb->netdev);
	for (i = 0; i < IGB_MTA_REGS; i++) {
		ntzc_igb_wr(igb, IGB_MTA(i), 0);
		igb->mta[i] = 0;
	}
	netif_addr_unlock_bh(igb->netdev);
	for (i = 0; igb->chip->uta && i < IGB_UTA_REGS; i++)
		ntzc_igb_wr(igb, IGB_UTA(i), 0);
	/* VID 0 says a priority and names no network: such frames are for everybody */
	igb->vfta[0] |= BIT(0);
	for (i = 0; i < IGB_VFTA_REGS; i++)
		ntzc_igb_wr(igb, IGB_VFTA(i), igb->vfta[i]);
}

/* ndo_vlan_rx_add_vid: called only while NETIF_F_HW_VLAN_CTAG_FILTER is on */
int ntzc_igb_vlan_add(struct net_device *netdev, __be16 proto, u16 vid)
{
	struct ntzc_igb *igb = netdev_priv(netdev);

	igb->vfta[vid / 32] |= BIT(vid % 32);
	if (igb->started)
		ntzc_igb_wr(igb, IGB_VFTA(vid / 32), igb->vfta[vid / 32]);
	return 0;
}

/* ndo_vlan_rx_kill_vid */
int ntzc_igb_vlan_kill(struct net_device *netdev, __be16 proto, u16 vid)
{
	struct ntzc_igb *igb = netdev_priv(netdev);

	if (!vid)
		return 0;	/* as in ntzc_igb_filter_init() */
	igb->vfta[vid / 32] &= ~BIT(vid % 32);
	if (igb->started)
		ntzc_igb_wr(igb, IGB_VFTA(vid / 32), igb->vfta[vid / 32]);
	return 0;
}
