// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The internal copper PHY, by its IEEE 802.3 clause 22 registers alone: what
 * is particular to a make of PHY the card sets itself from its NVM. MDIC
 * cycles are guarded by igb->hw_lock and the PHY's semaphore; all is called in
 * process context.
 */
#include <linux/bitfield.h>
#include <linux/delay.h>
#include <linux/mii.h>

#include "igb.h"

#define NTZC_IGB_MDIC_TRIES	200	/* of 50 us; a cycle takes some 64 us */

static u32 ntzc_igb_phy_sync(const struct ntzc_igb *igb)
{
	return igb->lan_id ? IGB_SYNC_PHY1 : IGB_SYNC_PHY0;
}

/* Take the PHY. Return: 0, -ETIMEDOUT, -ENODEV; ntzc_igb_phy_put() only after 0. */
static int ntzc_igb_phy_get(struct ntzc_igb *igb)
{
	int err;

	mutex_lock(&igb->hw_lock);
	err = ntzc_igb_sync_acquire(igb, ntzc_igb_phy_sync(igb));
	if (err)
		mutex_unlock(&igb->hw_lock);
	return err;
}

static void ntzc_igb_phy_put(struct ntzc_igb *igb)
{
	ntzc_igb_sync_release(igb, ntzc_igb_phy_sync(igb));
	mutex_unlock(&igb->hw_lock);
}

/* One cycle, datasheet 8.2.4. Return: 0 with the data in @mdic, -ETIMEDOUT, -EIO, -ENODEV. */
static int ntzc_igb_mdic(struct ntzc_igb *igb, u32 command, u32 reg, u32 *mdic)
{
	unsigned int i;

	ntzc_igb_wr(igb, IGB_MDIC, command | FIELD_PREP(IGB_MDIC_REG, reg) |
		    FIELD_PREP(IGB_MDIC_PHY, IGB_MDIC_PHY_ADDR));
	for (i = 0; i < NTZC_IGB_MDIC_TRIES; i++) {
		*mdic = ntzc_igb_rd(igb, IGB_MDIC);
		if (READ_ONCE(igb->gone))
			return -ENODEV;
		if (*mdic & IGB_MDIC_READY)
			return *mdic & IGB_MDIC_ERROR ? -EIO : 0;
		usleep_range(50, 100);
	}
	return -ETIMEDOUT;
}

static int ntzc_igb_phy_rd(struct ntzc_igb *igb, u32 reg, u16 *val)
{
	u32 mdic;
	int err;

	err = ntzc_igb_mdic(igb, IGB_MDIC_READ, reg, &mdic);
	*val = err ? 0 : FIELD_GET(IGB_MDIC_DATA, mdic);
	return err;
}

static int ntzc_igb_phy_wr(struct ntzc_igb *igb, u32 reg, u16 val)
{
	u32 mdic;

	return ntzc_igb_mdic(igb, IGB_MDIC_WRITE | val, reg, &mdic);
}

/**
 * ntzc_igb_phy_read() - read a register of the PHY
 * @igb: the card
 * @reg: MII_*
 * @val: where to
 *
 * Return: 0, -ETIMEDOUT, -EIO, -ENODEV.
 */
int ntzc_igb_phy_read(struct ntzc_igb *igb, u32 reg, u16 *val)
{
	int err = ntzc_igb_phy_get(igb);

	if (err)
		return err;
	err = ntzc_igb_phy_rd(igb, reg, val);
	ntzc_igb_phy_put(igb);
	return err;
}

/* Say what we can do, and begin to negotiate */
static int ntzc_igb_phy_negotiate(struct ntzc_igb *igb)
{
	const struct ntzc_igb_link *link = &igb->link;
	u16 anar, gigabit;
	int err;

	anar = ADVERTISE_CSMA | link->adv | ntzc_igb_link_pause_bits(link);
	err = ntzc_igb_phy_wr(igb, MII_ADVERTISE, anar);
	if (err)
		return err;
	err = ntzc_igb_phy_rd(igb, MII_CTRL1000, &gigabit);
	if (err)
		return err;
	gigabit &= ~(ADVERTISE_1000FULL | ADVERTISE_1000HALF);
	if (link->adv_1000)
		gigabit |= ADVERTISE_1000FULL;
	err = ntzc_igb_phy_wr(igb, MII_CTRL1000, gigabit);
	if (err)
		return err;
	return ntzc_igb_phy_wr(igb, MII_BMCR, BMCR_ANENABLE | BMCR_ANRESTART);
}

/* 1000BASE-T cannot do without negotiation: 10 or 100 Mbit/s */
static int ntzc_igb_phy_force(struct ntzc_igb *igb)
{
	u16 bmcr = 0;

	if (igb->link.forced_speed == SPEED_100)
		bmcr |= BMCR_SPEED100;
	if (igb->link.forced_duplex == DUPLEX_FULL)
		bmcr |= BMCR_FULLDPLX;
	return ntzc_igb_phy_wr(igb, MII_BMCR, bmcr);
}

/** ntzc_igb_phy_is_firmwares() - Return: whether the link is the firmware's, to be left alone. */
bool ntzc_igb_phy_is_firmwares(struct ntzc_igb *igb)
{
	u32 manc = ntzc_igb_rd(igb, IGB_MANC);

	return !READ_ONCE(igb->gone) && manc & IGB_MANC_KEEP_PHY;
}

/**
 * ntzc_igb_phy_setup() - have the PHY look for a link, as igb->link wants it
 * @igb: the card
 *
 * A reset of the card leaves the link down on some (QEMU's among them), so
 * that this always starts negotiation afresh.
 * Return: 0, -ETIMEDOUT, -EIO, -ENODEV.
 */
int ntzc_igb_phy_setup(struct ntzc_igb *igb)
{
	int err = ntzc_igb_phy_get(igb);

	if (err)
		return err;
	if (igb->link.autoneg)
		err = ntzc_igb_phy_negotiate(igb);
	else
		err = ntzc_igb_phy_force(igb);
	ntzc_igb_phy_put(igb);
	return err;
}

/**
 * ntzc_igb_phy_pause() - what was negotiated about PAUSE frames
 * @igb: the card, with a link
 * @ours: our ADVERTISE_PAUSE_* bits
 * @theirs: the partner's
 *
 * Return: 0, -ETIMEDOUT, -EIO, -ENODEV.
 */
int ntzc_igb_phy_pause(struct ntzc_igb *igb, u16 *ours, u16 *theirs)
{
	int err = ntzc_igb_phy_get(igb);

	if (err)
		return err;
	err = ntzc_igb_phy_rd(igb, MII_ADVERTISE, ours);
	if (!err)
		err = ntzc_igb_phy_rd(igb, MII_LPA, theirs);
	ntzc_igb_phy_put(igb);
	return err;
}
