// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The interface: what `ip link` does to the card. Its data path is the core's,
 * also that of the host's stack. All under RTNL, but for the two that the stack
 * may call at any time: ndo_start_xmit, ndo_get_stats64.
 */
#include <linux/etherdevice.h>
#include <linux/ethtool.h>
#include <linux/if_vlan.h>

#include "igb.h"

/** ntzc_igb_open() - ndo_open: get all that a running card needs, and run it */
int ntzc_igb_open(struct net_device *netdev)
{
	struct ntzc_igb *igb = netdev_priv(netdev);
	int err;

	if (READ_ONCE(igb->gone))
		return -ENODEV;
	ntzc_igb_assign_vectors(igb);
	err = ntzc_igb_rings_alloc(igb);
	if (err)
		return err;
	err = ntzc_igb_irq_request(igb);
	if (err)
		goto free_rings;
	netif_carrier_off(netdev);
	ntzc_igb_napi_enable(igb, true);
	err = ntzc_port_up(igb->port, ntzc_igb_rx_slots(igb));
	if (err)
		goto release_irq;
	igb->opened = true;
	return 0;

release_irq:
	ntzc_igb_napi_enable(igb, false);
	ntzc_igb_irq_release(igb);
free_rings:
	ntzc_igb_rings_free(igb);
	return err;
}

/** ntzc_igb_close() - ndo_stop: the reverse; also after an open that failed */
int ntzc_igb_close(struct net_device *netdev)
{
	struct ntzc_igb *igb = netdev_priv(netdev);

	if (!igb->opened)
		return 0;
	igb->opened = false;
	ntzc_port_down(igb->port);
	ntzc_igb_napi_enable(igb, false);
	ntzc_igb_irq_release(igb);
	ntzc_igb_rings_free(igb);
	return 0;
}

static netdev_tx_t ntzc_igb_start_xmit(struct sk_buff *skb, struct net_device *netdev)
{
	struct ntzc_igb *igb = netdev_priv(netdev);

	return ntzc_stack_xmit(igb->port, skb);
}

static int ntzc_igb_set_mac(struct net_device *netdev, void *p)
{
	struct ntzc_igb *igb = netdev_priv(netdev);
	const struct sockaddr *addr = p;

	if (!is_valid_ether_addr(addr->sa_data))
		return -EADDRNOTAVAIL;
	eth_hw_addr_set(netdev, addr->sa_data);
	if (igb->started)
		ntzc_igb_filter_address(igb);
	return 0;
}

static void ntzc_igb_apply_mtu(struct net_device *netdev, int mtu)
{
	struct ntzc_igb *igb = netdev_priv(netdev);

	WRITE_ONCE(netdev->mtu, mtu);
	ntzc_port_set_frame(igb->port, ntzc_igb_frame_max(mtu));
}

static int ntzc_igb_change_mtu(struct net_device *netdev, int mtu)
{
	struct ntzc_igb *igb = netdev_priv(netdev);
	bool was_open = igb->opened;
	int old = netdev->mtu;
	int err;

	err = ntzc_port_check_frame(igb->port, ntzc_igb_frame_max(mtu));
	if (err)
		return err;
	ntzc_igb_close(netdev);
	ntzc_igb_apply_mtu(netdev, mtu);
	if (!was_open)
		return 0;
	err = ntzc_igb_open(netdev);
	if (err) {
		ntzc_igb_apply_mtu(netdev, old);
		if (ntzc_igb_open(netdev))
			netdev_err(netdev, "down, as the old MTU cannot be had back\n");
	}
	return err;
}

static int ntzc_igb_set_features(struct net_device *netdev, netdev_features_t features)
{
	struct ntzc_igb *igb = netdev_priv(netdev);
	netdev_features_t old = netdev->features, changed = old ^ features;

	if (!igb->started)
		return 0;
	/* for those that look there now */
	netdev->features = features;
	if (changed & NETIF_F_HW_VLAN_CTAG_RX)
		ntzc_igb_mac_vlan_strip(igb, features & NETIF_F_HW_VLAN_CTAG_RX);
	if (changed & NETIF_F_HW_VLAN_CTAG_FILTER) {
		netif_addr_lock_bh(netdev);
		ntzc_igb_set_rx_mode(netdev);
		netif_addr_unlock_bh(netdev);
	}
	/* the caller's to change: by the difference it sees which VLANs it has to name */
	netdev->features = old;
	return 0;
}

static const struct net_device_ops ntzc_igb_netdev_ops = {
	.ndo_open		= ntzc_igb_open,
	.ndo_stop		= ntzc_igb_close,
	.ndo_start_xmit		= ntzc_igb_start_xmit,
	.ndo_set_rx_mode	= ntzc_igb_set_rx_mode,
	.ndo_set_mac_address	= ntzc_igb_set_mac,
	.ndo_validate_addr	= eth_validate_addr,
	.ndo_change_mtu		= ntzc_igb_change_mtu,
	.ndo_get_stats64	= ntzc_igb_get_stats64,
	.ndo_set_features	= ntzc_igb_set_features,
	.ndo_vlan_rx_add_vid	= ntzc_igb_vlan_add,
	.ndo_vlan_rx_kill_vid	= ntzc_igb_vlan_kill,
};

/**
 * ntzc_igb_netdev_init() - make an interface of the structure
 * @netdev: not registered yet; its address is set by the caller
 *
 * The VLAN filter is there to be switched on, but off: somebody who looks at a
 * network expects to see its tagged frames. Of what is offered for sending, the
 * card inserts VLAN tags, and the core, which copies what the host sends, takes
 * care of fragments and checksums on the way. Where tags that are left in
 * received frames would be left out of sent ones, too, they are always taken out.
 */
void ntzc_igb_netdev_init(struct net_device *netdev)
{
	const struct ntzc_igb *igb = netdev_priv(netdev);

	netdev->netdev_ops = &ntzc_igb_netdev_ops;
	netdev->ethtool_ops = &ntzc_igb_ethtool_ops;
	netdev->features = NETIF_F_SG | NETIF_F_HW_CSUM | NETIF_F_RXCSUM | NETIF_F_RXHASH |
			   NETIF_F_HW_VLAN_CTAG_RX | NETIF_F_HW_VLAN_CTAG_TX;
	netdev->vlan_features = NETIF_F_SG | NETIF_F_HW_CSUM | NETIF_F_HIGHDMA;
	netdev->hw_features = netdev->features | NETIF_F_HW_VLAN_CTAG_FILTER;
	if (igb->chip->vme_sends)
		netdev->hw_features &= ~NETIF_F_HW_VLAN_CTAG_RX;
	netdev->features |= NETIF_F_HIGHDMA;
	/* the core's locks are not for hard interrupts, where netpoll would send */
	netdev->priv_flags |= IFF_UNICAST_FLT | IFF_DISABLE_NETPOLL;
	netdev->min_mtu = ETH_MIN_MTU;
	netdev->max_mtu = NTZC_IGB_MAX_MTU;
}
