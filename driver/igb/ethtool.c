// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What `ethtool` does to the card. All under RTNL. Changes that need other
 * rings take a running card down and up again, and put the old state back if
 * it does not come up; taps stay attached meanwhile.
 */
#include <linux/ethtool.h>
#include <linux/mii.h>

#include "igb.h"

#define NTZC_IGB_MAX_USECS	8191	/* EITR's interval has 13 bits */
#define NTZC_IGB_PRIV_RSS_UDP	BIT(0)

static const char ntzc_igb_priv_flags[][ETH_GSTRING_LEN] = {
	"rss-udp-ports",
};

/* Registers that `ethtool -d` shows, each as its offset and its value; reading none changes it */
static const u32 ntzc_igb_dump[] = {
	IGB_CTRL, IGB_STATUS, IGB_CTRL_EXT, IGB_MDIC, IGB_EECD, IGB_FCRTL, IGB_FCRTH, IGB_FCTTV,
	IGB_IMS, IGB_EIMS, IGB_EIAC, IGB_EIAM, IGB_GPIE, IGB_IVAR(0), IGB_IVAR(1), IGB_IVAR(2),
	IGB_IVAR(3), IGB_IVAR(4), IGB_IVAR(5), IGB_IVAR(6), IGB_IVAR(7), IGB_IVAR_MISC,
	IGB_EITR(0), IGB_EITR(1), IGB_EITR(2), IGB_EITR(3), IGB_EITR(4), IGB_EITR(5), IGB_EITR(6),
	IGB_EITR(7), IGB_EITR(8), IGB_EITR(9), IGB_RCTL, IGB_RXCSUM, IGB_RLPML, IGB_RFCTL,
	IGB_MRQC, IGB_RETA(0), IGB_RETA(31), IGB_RAL(0), IGB_RAL(0) + IGB_RAH, IGB_RXPBS, IGB_TCTL,
	IGB_DTXCTL, IGB_PCS_CFG, IGB_PCS_LCTL, IGB_PCS_LSTS, IGB_PCS_ANADV, IGB_PCS_LPAB,
	IGB_MANC, IGB_WUC, IGB_GCR, IGB_SW_FW_SYNC,
};

static const u32 ntzc_igb_dump_rx[] = {
	IGB_RX_BAL, IGB_RX_BAH, IGB_RX_LEN, IGB_RX_HEAD, IGB_RX_TAIL, IGB_RX_SRRCTL, IGB_RX_DCTL,
};

static const u32 ntzc_igb_dump_tx[] = {
	IGB_TX_BAL, IGB_TX_BAH, IGB_TX_LEN, IGB_TX_HEAD, IGB_TX_TAIL, IGB_TX_DCTL,
};

static void ntzc_igb_get_drvinfo(struct net_device *netdev, struct ethtool_drvinfo *info)
{
	struct ntzc_igb *igb = netdev_priv(netdev);

	strscpy(info->driver, NTZC_IGB_NAME, sizeof(info->driver));
	strscpy(info->bus_info, pci_name(igb->pdev), sizeof(info->bus_info));
	info->n_priv_flags = ARRAY_SIZE(ntzc_igb_priv_flags);
}

static int ntzc_igb_get_regs_len(struct net_device *netdev)
{
	struct ntzc_igb *igb = netdev_priv(netdev);
	u32 n = ARRAY_SIZE(ntzc_igb_dump) + igb->max_queues *
		(ARRAY_SIZE(ntzc_igb_dump_rx) + ARRAY_SIZE(ntzc_igb_dump_tx));

	return n * 2 * sizeof(u32);
}

static u32 *ntzc_igb_dump_reg(struct ntzc_igb *igb, u32 *to, u32 reg)
{
	*to++ = reg;
	*to++ = ntzc_igb_rd(igb, reg);
	return to;
}

static void ntzc_igb_get_regs(struct net_device *netdev, struct ethtool_regs *regs, void *to)
{
	struct ntzc_igb *igb = netdev_priv(netdev);
	u32 *at = to;
	u32 i, j;

	regs->version = igb->pdev->device << 8 | igb->pdev->revision;
	for (i = 0; i < ARRAY_SIZE(ntzc_igb_dump); i++)
		at = ntzc_igb_dump_reg(igb, at, ntzc_igb_dump[i]);
	for (i = 0; i < igb->max_queues; i++) {
		for (j = 0; j < ARRAY_SIZE(ntzc_igb_dump_rx); j++)
			at = ntzc_igb_dump_reg(igb, at,
					       ntzc_igb_rx_reg(igb, i, ntzc_igb_dump_rx[j]));
		for (j = 0; j < ARRAY_SIZE(ntzc_igb_dump_tx); j++)
			at = ntzc_igb_dump_reg(igb, at,
					       ntzc_igb_tx_reg(igb, i, ntzc_igb_dump_tx[j]));
	}
}

static u32 ntzc_igb_get_msglevel(struct net_device *netdev)
{
	struct ntzc_igb *igb = netdev_priv(netdev);

	return igb->msg_enable;
}

static void ntzc_igb_set_msglevel(struct net_device *netdev, u32 level)
{
	struct ntzc_igb *igb = netdev_priv(netdev);

	WRITE_ONCE(igb->msg_enable, level);
}

static void ntzc_igb_supported(const struct ntzc_igb_link *link, unsigned long *modes)
{
	linkmode_set_bit(ETHTOOL_LINK_MODE_Autoneg_BIT, modes);
	linkmode_set_bit(ETHTOOL_LINK_MODE_Pause_BIT, modes);
	linkmode_set_bit(ETHTOOL_LINK_MODE_Asym_Pause_BIT, modes);
	if (link->copper) {
		linkmode_set_bit(ETHTOOL_LINK_MODE_TP_BIT, modes);
		linkmode_set_bit(ETHTOOL_LINK_MODE_10baseT_Half_BIT, modes);
		linkmode_set_bit(ETHTOOL_LINK_MODE_10baseT_Full_BIT, modes);
		linkmode_set_bit(ETHTOOL_LINK_MODE_100baseT_Half_BIT, modes);
		linkmode_set_bit(ETHTOOL_LINK_MODE_100baseT_Full_BIT, modes);
		linkmode_set_bit(ETHTOOL_LINK_MODE_1000baseT_Full_BIT, modes);
	} else {
		linkmode_set_bit(ETHTOOL_LINK_MODE_FIBRE_BIT, modes);
		linkmode_set_bit(ETHTOOL_LINK_MODE_1000baseX_Full_BIT, modes);
	}
}

static void ntzc_igb_advertised(const struct ntzc_igb_link *link, unsigned long *modes)
{
	mii_adv_mod_linkmode_adv_t(modes, link->adv | ntzc_igb_link_pause_bits(link));
	linkmode_set_bit(ETHTOOL_LINK_MODE_Autoneg_BIT, modes);
	if (!link->copper)
		linkmode_set_bit(ETHTOOL_LINK_MODE_1000baseX_Full_BIT, modes);
	else if (link->adv_1000)
		linkmode_set_bit(ETHTOOL_LINK_MODE_1000baseT_Full_BIT, modes);
}

/* What the partner says that it can do */
static void ntzc_igb_partner(struct ntzc_igb *igb, unsigned long *modes)
{
	u16 lpa, gigabit;

	if (!igb->link.copper || !igb->link.autoneg || !netif_carrier_ok(igb->netdev) ||
	    ntzc_igb_phy_read(igb, MII_LPA, &lpa) ||
	    ntzc_igb_phy_read(igb, MII_STAT1000, &gigabit))
		return;
	mii_lpa_to_linkmode_lpa_t(modes, lpa);
	mii_stat1000_mod_linkmode_lpa_t(modes, gigabit);
}

static int ntzc_igb_get_link_ksettings(struct net_device *netdev,
				       struct ethtool_link_ksettings *cmd)
{
	struct ntzc_igb *igb = netdev_priv(netdev);
	struct ntzc_igb_link *link = &igb->link;

	ntzc_igb_supported(link, cmd->link_modes.supported);
	if (link->autoneg)
		ntzc_igb_advertised(link, cmd->link_modes.advertising);
	ntzc_igb_partner(igb, cmd->link_modes.lp_advertising);
	cmd->base.port = link->copper ? PORT_TP : PORT_FIBRE;
	cmd->base.phy_address = link->copper ? IGB_MDIC_PHY_ADDR : 0;
	cmd->base.autoneg = link->autoneg ? AUTONEG_ENABLE : AUTONEG_DISABLE;
	cmd->base.speed = SPEED_UNKNOWN;
	cmd->base.duplex = DUPLEX_UNKNOWN;
	if (netif_carrier_ok(netdev)) {
		cmd->base.speed = link->speed;
		cmd->base.duplex = link->duplex;
	}
	return 0;
}

static int ntzc_igb_set_link_ksettings(struct net_device *netdev,
				       const struct ethtool_link_ksettings *cmd)
{
	struct ntzc_igb *igb = netdev_priv(netdev);
	struct ntzc_igb_link *link = &igb->link;
	__ETHTOOL_DECLARE_LINK_MODE_MASK(modes);
	bool adv_1000;
	u16 adv;

	if (!link->copper)
		return -EOPNOTSUPP;
	if (ntzc_igb_phy_is_firmwares(igb))
		return -EBUSY;
	if (cmd->base.autoneg == AUTONEG_ENABLE) {
		linkmode_copy(modes, cmd->link_modes.advertising);
		adv = linkmode_adv_to_mii_adv_t(modes) & ADVERTISE_ALL;
		adv_1000 = linkmode_test_bit(ETHTOOL_LINK_MODE_1000baseT_Full_BIT, modes);
		if (!adv && !adv_1000)
			return -EINVAL;
		link->adv = adv;
		link->adv_1000 = adv_1000;
		link->autoneg = true;
	} else {
		if ((cmd->base.speed != SPEED_10 && cmd->base.speed != SPEED_100) ||
		    (cmd->base.duplex != DUPLEX_HALF && cmd->base.duplex != DUPLEX_FULL))
			return -EINVAL;
		link->forced_speed = cmd->base.speed;
		link->forced_duplex = cmd->base.duplex;
		link->autoneg = false;
	}
	return igb->started ? ntzc_igb_link_setup(igb) : 0;
}

static int ntzc_igb_nway_reset(struct net_device *netdev)
{
	struct ntzc_igb *igb = netdev_priv(netdev);

	if (!igb->started)
		return -ENETDOWN;
	if (!igb->link.autoneg)
		return -EINVAL;
	if (igb->link.copper && ntzc_igb_phy_is_firmwares(igb))
		return -EBUSY;
	return ntzc_igb_link_setup(igb);
}

/* Have the running card take on a setting that it reads when it starts */
static int ntzc_igb_restart(struct ntzc_igb *igb)
{
	int err;

	if (!igb->started)
		return 0;
	ntzc_igb_stop(igb, -ENETDOWN);
	err = ntzc_igb_start(igb);
	if (err)
		ntzc_igb_ask_reset(igb, NTZC_IGB_UNASKED);	/* which tries again and again */
	return err;
}

static void ntzc_igb_get_pauseparam(struct net_device *netdev, struct ethtool_pauseparam *pause)
{
	struct ntzc_igb *igb = netdev_priv(netdev);

	pause->autoneg = igb->link.fc_autoneg;
	pause->rx_pause = igb->link.fc_rx;
	pause->tx_pause = igb->link.fc_tx;
}

static int ntzc_igb_set_pauseparam(struct net_device *netdev, struct ethtool_pauseparam *pause)
{
	struct ntzc_igb *igb = netdev_priv(netdev);
	struct ntzc_igb_link *link = &igb->link;

	if (link->fc_autoneg == !!pause->autoneg && link->fc_rx == !!pause->rx_pause &&
	    link->fc_tx == !!pause->tx_pause)
		return 0;
	link->fc_autoneg = pause->autoneg;
	link->fc_rx = pause->rx_pause;
	link->fc_tx = pause->tx_pause;
	return ntzc_igb_restart(igb);
}

static void ntzc_igb_get_ringparam(struct net_device *netdev, struct ethtool_ringparam *ring,
				   struct kernel_ethtool_ringparam *kernel_ring,
				   struct netlink_ext_ack *extack)
{
	struct ntzc_igb *igb = netdev_priv(netdev);

	ring->rx_max_pending = NTZC_IGB_MAX_RING;
	ring->tx_max_pending = NTZC_IGB_MAX_RING;
	ring->rx_pending = igb->rx_size;
	ring->tx_pending = igb->tx_size;
}

static u32 ntzc_igb_ring_size(u32 wish, struct netlink_ext_ack *extack)
{
	u32 size = roundup_pow_of_two(clamp_t(u32, wish, NTZC_IGB_MIN_RING, NTZC_IGB_MAX_RING));

	if (size != wish)
		NL_SET_ERR_MSG(extack, "rounded up: rings have 64 to 4096 entries, a power of two");
	return size;
}

static int ntzc_igb_set_ringparam(struct net_device *netdev, struct ethtool_ringparam *ring,
				  struct kernel_ethtool_ringparam *kernel_ring,
				  struct netlink_ext_ack *extack)
{
	struct ntzc_igb *igb = netdev_priv(netdev);
	u32 rx = ntzc_igb_ring_size(ring->rx_pending, extack);
	u32 tx = ntzc_igb_ring_size(ring->tx_pending, extack);
	u32 old_rx = igb->rx_size, old_tx = igb->tx_size;
	bool was_open = igb->opened;
	int err;

	if (ring->rx_mini_pending || ring->rx_jumbo_pending)
		return -EINVAL;
	if (rx == old_rx && tx == old_tx)
		return 0;
	/* before the link goes down for nothing */
	err = ntzc_port_check_rings(igb->port, igb->n_queues, igb->n_queues * rx);
	if (err)
		return err;
	ntzc_igb_close(netdev);
	igb->rx_size = rx;
	igb->tx_size = tx;
	ntzc_port_set_slots(igb->port, ntzc_igb_rx_slots(igb));
	if (!was_open)
		return 0;
	err = ntzc_igb_open(netdev);
	if (err) {
		igb->rx_size = old_rx;
		igb->tx_size = old_tx;
		if (ntzc_igb_open(netdev))
			netdev_err(netdev, "down, as the old rings cannot be had back\n");
	}
	return err;
}

static void ntzc_igb_get_channels(struct net_device *netdev, struct ethtool_channels *ch)
{
	struct ntzc_igb *igb = netdev_priv(netdev);
	bool other = igb->irq_mode == NTZC_IGB_MSIX;

	ch->max_combined = igb->max_queues;
	ch->combined_count = igb->n_queues;
	ch->max_other = other;
	ch->other_count = other;
}

static int ntzc_igb_set_channels(struct net_device *netdev, struct ethtool_channels *ch)
{
	struct ntzc_igb *igb = netdev_priv(netdev);
	bool was_open = igb->opened;
	u32 old = igb->n_queues;
	int err;

	/* the others are fixed, and the caller has seen to it that they stay so */
	if (!ch->combined_count)
		return -EINVAL;
	if (ch->combined_count == old)
		return 0;
	err = ntzc_port_check_rings(igb->port, ch->combined_count,
				    ch->combined_count * igb->rx_size);
	if (err)
		return err;
	ntzc_igb_close(netdev);
	err = ntzc_port_set_queues(igb->port, ch->combined_count);
	if (!err)
		igb->n_queues = ch->combined_count;
	ntzc_port_set_slots(igb->port, ntzc_igb_rx_slots(igb));
	if (was_open && ntzc_igb_open(netdev)) {
		err = err ?: -ENOMEM;
		igb->n_queues = old;
		if (ntzc_port_set_queues(igb->port, old) || ntzc_igb_open(netdev))
			netdev_err(netdev, "down, as the old queues cannot be had back\n");
	}
	return err;
}

static int ntzc_igb_get_coalesce(struct net_device *netdev, struct ethtool_coalesce *coal,
				 struct kernel_ethtool_coalesce *kernel_coal,
				 struct netlink_ext_ack *extack)
{
	struct ntzc_igb *igb = netdev_priv(netdev);

	coal->rx_coalesce_usecs = igb->rx_usecs;
	coal->use_adaptive_rx_coalesce = igb->adaptive;
	return 0;
}

/* A vector serves both directions: the receive setting is for both */
static int ntzc_igb_set_coalesce(struct net_device *netdev, struct ethtool_coalesce *coal,
				 struct kernel_ethtool_coalesce *kernel_coal,
				 struct netlink_ext_ack *extack)
{
	struct ntzc_igb *igb = netdev_priv(netdev);

	if (coal->rx_coalesce_usecs > NTZC_IGB_MAX_USECS) {
		NL_SET_ERR_MSG(extack, "rx-usecs is at most 8191");
		return -EINVAL;
	}
	WRITE_ONCE(igb->adaptive, coal->use_adaptive_rx_coalesce);
	WRITE_ONCE(igb->rx_usecs, coal->rx_coalesce_usecs);
	if (igb->started)
		ntzc_igb_irq_moderate(igb);
	return 0;
}

static int ntzc_igb_get_sset_count(struct net_device *netdev, int set)
{
	switch (set) {
	case ETH_SS_STATS:
		return ntzc_igb_stats_count(netdev_priv(netdev));
	case ETH_SS_PRIV_FLAGS:
		return ARRAY_SIZE(ntzc_igb_priv_flags);
	default:
		return -EOPNOTSUPP;
	}
}

static void ntzc_igb_get_strings(struct net_device *netdev, u32 set, u8 *names)
{
	if (set == ETH_SS_STATS)
		ntzc_igb_stats_names(netdev_priv(netdev), names);
	else if (set == ETH_SS_PRIV_FLAGS)
		memcpy(names, ntzc_igb_priv_flags, sizeof(ntzc_igb_priv_flags));
}

static void ntzc_igb_get_ethtool_stats(struct net_device *netdev, struct ethtool_stats *stats,
				       u64 *values)
{
	ntzc_igb_stats_values(netdev_priv(netdev), values);
}

static u32 ntzc_igb_get_priv_flags(struct net_device *netdev)
{
	struct ntzc_igb *igb = netdev_priv(netdev);

	return igb->rss_udp ? NTZC_IGB_PRIV_RSS_UDP : 0;
}

/*
 * Off by default: fragments have no ports, so that a flow whose datagrams are
 * fragmented now and then would be spread over two queues, and reordered.
 */
static int ntzc_igb_set_priv_flags(struct net_device *netdev, u32 flags)
{
	struct ntzc_igb *igb = netdev_priv(netdev);
	bool rss_udp = flags & NTZC_IGB_PRIV_RSS_UDP;

	if (rss_udp == igb->rss_udp)
		return 0;
	igb->rss_udp = rss_udp;
	return ntzc_igb_restart(igb);
}

const struct ethtool_ops ntzc_igb_ethtool_ops = {
	.supported_coalesce_params = ETHTOOL_COALESCE_RX_USECS | ETHTOOL_COALESCE_USE_ADAPTIVE_RX,
	.get_drvinfo		= ntzc_igb_get_drvinfo,
	.get_regs_len		= ntzc_igb_get_regs_len,
	.get_regs		= ntzc_igb_get_regs,
	.get_msglevel		= ntzc_igb_get_msglevel,
	.set_msglevel		= ntzc_igb_set_msglevel,
	.nway_reset		= ntzc_igb_nway_reset,
	.get_link		= ethtool_op_get_link,
	.get_link_ksettings	= ntzc_igb_get_link_ksettings,
	.set_link_ksettings	= ntzc_igb_set_link_ksettings,
	.get_pauseparam		= ntzc_igb_get_pauseparam,
	.set_pauseparam		= ntzc_igb_set_pauseparam,
	.get_ringparam		= ntzc_igb_get_ringparam,
	.set_ringparam		= ntzc_igb_set_ringparam,
	.get_channels		= ntzc_igb_get_channels,
	.set_channels		= ntzc_igb_set_channels,
	.get_coalesce		= ntzc_igb_get_coalesce,
	.set_coalesce		= ntzc_igb_set_coalesce,
	.get_sset_count		= ntzc_igb_get_sset_count,
	.get_strings		= ntzc_igb_get_strings,
	.get_ethtool_stats	= ntzc_igb_get_ethtool_stats,
	.get_priv_flags		= ntzc_igb_get_priv_flags,
	.set_priv_flags		= ntzc_igb_set_priv_flags,
};
