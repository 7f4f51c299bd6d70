// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The link, over copper or SerDes, and flow control on it. Set up under RTNL
 * while the card is started; then looked at by the watchdog alone.
 */
#include <linux/bitfield.h>
#include <linux/ethtool.h>
#include <linux/mii.h>

#include "igb.h"

#define NTZC_IGB_NVM_COMPAT	3		/* word: compatibility */
#define NTZC_IGB_NVM_NO_PCS_AN	BIT(14)		/* the PCS must not negotiate */

#define NTZC_IGB_PAUSE_LOW	0x00c28001	/* 01-80-c2-00-00-01, as FCAL has it */
#define NTZC_IGB_PAUSE_HIGH	0x00000100
#define NTZC_IGB_PAUSE_TYPE	0x8808
#define NTZC_IGB_PAUSE_TIME	0xffff		/* until XON says go on */

/**
 * ntzc_igb_link_probe() - find out what the link goes over, and set the defaults
 * @igb: the card, just reset
 *
 * By default we obey PAUSE frames and send none: a tap must not slow down the
 * network that it looks at.
 * Context: process. Return: 0, -EOPNOTSUPP, or what reading the NVM or PHY returned.
 */
int ntzc_igb_link_probe(struct ntzc_igb *igb)
{
	struct ntzc_igb_link *link = &igb->link;
	u32 mode = FIELD_GET(IGB_CTRL_EXT_MODE, ntzc_igb_rd(igb, IGB_CTRL_EXT));
	u16 word;
	int err;

	link->autoneg = true;
	link->fc_autoneg = true;
	link->fc_rx = true;
	link->adv_1000 = true;
	switch (mode) {
	case IGB_MODE_COPPER:
		link->copper = true;
		link->adv = ADVERTISE_ALL;
		err = ntzc_igb_phy_read(igb, MII_PHYSID1, &word);
		if (err)
			dev_err(&igb->pdev->dev, "the PHY does not answer\n");
		return err;
	case IGB_MODE_SGMII:
		dev_err(&igb->pdev->dev, "ports with an external PHY (SGMII) are not supported\n");
		return -EOPNOTSUPP;
	default:
		err = ntzc_igb_nvm_read(igb, NTZC_IGB_NVM_COMPAT, 1, &word);
		if (err)
			return err;
		/* a backplane (KX) detects in parallel, without negotiation */
		if (mode == IGB_MODE_KX || word & NTZC_IGB_NVM_NO_PCS_AN)
			link->autoneg = false;
		return 0;
	}
}

/** ntzc_igb_link_pause_bits() - Return: ADVERTISE_PAUSE_* for what is wanted. */
u16 ntzc_igb_link_pause_bits(const struct ntzc_igb_link *link)
{
	return mii_advertise_flowctrl((link->fc_rx ? FLOW_CTRL_RX : 0) |
				      (link->fc_tx ? FLOW_CTRL_TX : 0));
}

/* Have the card obey and send PAUSE frames as link->rx_pause and tx_pause say; datasheet 8.5 */
static void ntzc_igb_link_write_pause(struct ntzc_igb *igb)
{
	const struct ntzc_igb_link *link = &igb->link;
	u32 low = 0, high = 0, set = 0;

	if (link->tx_pause) {
		high = link->fc_high;
		low = (high - 16) | IGB_FCRTL_XONE;
		set |= IGB_CTRL_TFCE;
	}
	if (link->rx_pause)
		set |= IGB_CTRL_RFCE;
	ntzc_igb_wr(igb, IGB_FCRTL, low);
	ntzc_igb_wr(igb, IGB_FCRTH, high);
	ntzc_igb_ctrl_change(igb, IGB_CTRL_RFCE | IGB_CTRL_TFCE, set);
}

/**
 * ntzc_igb_link_setup() - look for a link, as igb->link wants it
 * @igb: the card
 *
 * Context: process, RTNL held, the watchdog stopped or the link's state of no
 * account. Return: 0, -ETIMEDOUT, -EIO, -ENODEV.
 */
int ntzc_igb_link_setup(struct ntzc_igb *igb)
{
	struct ntzc_igb_link *link = &igb->link;
	bool ours = !link->copper || !ntzc_igb_phy_is_firmwares(igb);
	u32 force = 0;

	ntzc_igb_wr(igb, IGB_FCAL, NTZC_IGB_PAUSE_LOW);
	ntzc_igb_wr(igb, IGB_FCAH, NTZC_IGB_PAUSE_HIGH);
	ntzc_igb_wr(igb, IGB_FCT, NTZC_IGB_PAUSE_TYPE);
	ntzc_igb_wr(igb, IGB_FCTTV, NTZC_IGB_PAUSE_TIME);
	if (!link->copper)
		return ntzc_igb_serdes_setup(igb);

	if (!link->autoneg && ours) {
		force = IGB_CTRL_FRCSPD | IGB_CTRL_FRCDPX;
		if (link->forced_speed == SPEED_100)
			force |= IGB_CTRL_SPD_100;
		if (link->forced_duplex == DUPLEX_FULL)
			force |= IGB_CTRL_FD;
	}
	ntzc_igb_ctrl_change(igb, IGB_CTRL_FRCSPD | IGB_CTRL_FRCDPX | IGB_CTRL_SPD_MASK |
			     IGB_CTRL_FD, IGB_CTRL_SLU | force);
	/* whatever was wanted of it: the card follows the PHY */
	if (!ours)
		return 0;
	return ntzc_igb_phy_setup(igb);
}

static void ntzc_igb_link_resolve_pause(struct ntzc_igb *igb)
{
	struct ntzc_igb_link *link = &igb->link;
	u16 ours, theirs;
	u8 agreed;
	int err;

	link->rx_pause = link->fc_rx;
	link->tx_pause = link->fc_tx;
	if (link->duplex != DUPLEX_FULL) {
		link->rx_pause = false;
		link->tx_pause = false;
	} else if (link->autoneg && link->fc_autoneg) {
		err = link->copper ? ntzc_igb_phy_pause(igb, &ours, &theirs) :
				     ntzc_igb_serdes_pause(igb, &ours, &theirs);
		agreed = err ? 0 : mii_resolve_flowctrl_fdx(ours, theirs);
		link->rx_pause &= !!(agreed & FLOW_CTRL_RX);
		link->tx_pause &= !!(agreed & FLOW_CTRL_TX);
	}
	ntzc_igb_link_write_pause(igb);
}

/**
 * ntzc_igb_link_changed() - look at the link
 * @igb: the card, started
 *
 * Context: the watchdog. Return: whether igb->link has changed.
 */
bool ntzc_igb_link_changed(struct ntzc_igb *igb)
{
	struct ntzc_igb_link *link = &igb->link;
	u32 status = ntzc_igb_rd(igb, IGB_STATUS);
	bool moved = xchg(&link->moved, false);
	u16 speed = SPEED_10;
	u8 duplex;
	bool up;

	if (READ_ONCE(igb->gone))
		return false;
	duplex = status & IGB_STATUS_FD ? DUPLEX_FULL : DUPLEX_HALF;
	if (status & IGB_STATUS_SPEED_1000)
		speed = SPEED_1000;
	else if (status & IGB_STATUS_SPEED_100)
		speed = SPEED_100;
	up = link->copper ? status & IGB_STATUS_LU : ntzc_igb_serdes_up(igb);

	/* it may have gone and come back, with another partner */
	if (up == link->up && !(up && moved) &&
	    (!up || (speed == link->speed && duplex == link->duplex)))
		return false;
	link->up = up;
	link->speed = speed;
	link->duplex = duplex;
	if (up)
		ntzc_igb_link_resolve_pause(igb);
	return true;
}
