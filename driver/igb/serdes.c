// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The physical coding sublayer, for ports whose link goes over the card's
 * SerDes (fibre, blade backplanes): 1000BASE-X at full duplex, negotiated or
 * forced. Datasheet 8.18. It is never used with the copper PHY. Called in
 * process context under RTNL, but for the two that look: from the watchdog too.
 */
#include <linux/delay.h>
#include <linux/mii.h>

#include "igb.h"

/* Power the optics, and have energy detected on the SerDes side */
static void ntzc_igb_serdes_power(struct ntzc_igb *igb)
{
	/* the 82575's loopback outlives a reset, and cannot be read: switch it off */
	ntzc_igb_wr(igb, IGB_SCTL, IGB_SCTL_NO_LOOPBACK);
	ntzc_igb_wr(igb, IGB_PCS_CFG, ntzc_igb_rd(igb, IGB_PCS_CFG) | IGB_PCS_CFG_EN);
	ntzc_igb_wr(igb, IGB_CTRL_EXT, ntzc_igb_rd(igb, IGB_CTRL_EXT) & ~IGB_CTRL_EXT_SDP3);
	ntzc_igb_wr(igb, IGB_CONNSW, ntzc_igb_rd(igb, IGB_CONNSW) | IGB_CONNSW_ENRGSRC);
	ntzc_igb_flush(igb);
	usleep_range(1000, 2000);
}

/* ADVERTISE_PAUSE_* as 1000BASE-X has them */
static u32 ntzc_igb_serdes_advertise(u16 pause)
{
	u32 adv = 0;

	if (pause & ADVERTISE_PAUSE_CAP)
		adv |= ADVERTISE_1000XPAUSE;
	if (pause & ADVERTISE_PAUSE_ASYM)
		adv |= ADVERTISE_1000XPSE_ASYM;
	return adv;
}

static u16 ntzc_igb_serdes_pause_bits(u32 adv)
{
	u16 pause = 0;

	if (adv & ADVERTISE_1000XPAUSE)
		pause |= ADVERTISE_PAUSE_CAP;
	if (adv & ADVERTISE_1000XPSE_ASYM)
		pause |= ADVERTISE_PAUSE_ASYM;
	return pause;
}

/**
 * ntzc_igb_serdes_setup() - look for a link, as igb->link wants it
 * @igb: the card
 *
 * Return: 0 or -ENODEV.
 */
int ntzc_igb_serdes_setup(struct ntzc_igb *igb)
{
	u32 lctl, adv;

	ntzc_igb_serdes_power(igb);
	/* there is one speed: the MAC need not be told by the PCS */
	ntzc_igb_ctrl_change(igb, IGB_CTRL_SPD_MASK, IGB_CTRL_SLU | IGB_CTRL_SPD_1000 |
			     IGB_CTRL_FD | IGB_CTRL_FRCSPD | IGB_CTRL_FRCDPX |
			     IGB_CTRL_SWDPIN0 | IGB_CTRL_SWDPIN1);

	lctl = ntzc_igb_rd(igb, IGB_PCS_LCTL);
	lctl &= ~(IGB_PCS_LCTL_AN | IGB_PCS_LCTL_FLV | IGB_PCS_LCTL_FSD | IGB_PCS_LCTL_FORCE |
		  IGB_PCS_LCTL_FORCE_FC);
	lctl |= IGB_PCS_LCTL_FSV_1000 | IGB_PCS_LCTL_FDV;
	if (igb->link.autoneg) {
		adv = ntzc_igb_rd(igb, IGB_PCS_ANADV);
		adv &= ~(u32)(ADVERTISE_1000XPAUSE | ADVERTISE_1000XPSE_ASYM);
		adv |= ntzc_igb_serdes_advertise(ntzc_igb_link_pause_bits(&igb->link));
		ntzc_igb_wr(igb, IGB_PCS_ANADV, adv);
		lctl |= IGB_PCS_LCTL_AN | IGB_PCS_LCTL_AN_START;
	} else {
		lctl |= IGB_PCS_LCTL_FSD | IGB_PCS_LCTL_FORCE_FC;
	}
	ntzc_igb_wr(igb, IGB_PCS_LCTL, lctl);
	return READ_ONCE(igb->gone) ? -ENODEV : 0;
}

/** ntzc_igb_serdes_up() - Return: whether there is a link. */
bool ntzc_igb_serdes_up(struct ntzc_igb *igb)
{
	u32 want = IGB_PCS_LSTS_LINK | IGB_PCS_LSTS_SYNC;

	return (ntzc_igb_rd(igb, IGB_PCS_LSTS) & want) == want;
}

/**
 * ntzc_igb_serdes_pause() - what was negotiated about PAUSE frames
 * @igb: the card, with a link
 * @ours: our ADVERTISE_PAUSE_* bits
 * @theirs: the partner's
 *
 * Return: 0, or -EAGAIN if negotiation has not ended.
 */
int ntzc_igb_serdes_pause(struct ntzc_igb *igb, u16 *ours, u16 *theirs)
{
	if (!(ntzc_igb_rd(igb, IGB_PCS_LSTS) & IGB_PCS_LSTS_AN_DONE))
		return -EAGAIN;
	*ours = ntzc_igb_serdes_pause_bits(ntzc_igb_rd(igb, IGB_PCS_ANADV));
	*theirs = ntzc_igb_serdes_pause_bits(ntzc_igb_rd(igb, IGB_PCS_LPAB));
	return 0;
}
