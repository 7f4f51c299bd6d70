// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The card as a PCI function: found, taken on, put to sleep, broken, gone.
 * Each of these is called by the PCI core, one at a time; those that stop or
 * start a registered card take RTNL.
 */
#include <linux/bitfield.h>
#include <linux/etherdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>

#include "igb.h"

#define NTZC_IGB_RECOVERY_S	60	/* for the PCI core to bring a card back */

static char *interrupts = "msix";
module_param(interrupts, charp, 0444);
MODULE_PARM_DESC(interrupts, "kind of interrupts: msix (default), msi or intx");

static const char * const ntzc_igb_irq_names[] = {
	[NTZC_IGB_MSIX]	= "msix",
	[NTZC_IGB_MSI]	= "msi",
	[NTZC_IGB_INTX]	= "intx",
};

/* From the PCI function to registers that can be read */
static int ntzc_igb_map(struct ntzc_igb *igb)
{
	struct pci_dev *pdev = igb->pdev;
	int err;

	err = pci_enable_device_mem(pdev);
	if (err)
		return err;
	err = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
	if (err)
		err = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(32));
	if (err)
		goto disable;
	err = pci_request_mem_regions(pdev, NTZC_IGB_NAME);
	if (err)
		goto disable;
	igb->regs = pci_ioremap_bar(pdev, 0);
	if (!igb->regs) {
		err = -ENOMEM;
		goto release;
	}
	return 0;

release:
	pci_release_mem_regions(pdev);
disable:
	pci_disable_device(pdev);
	return err;
}

/* Once, though a card that did not come back after an error is removed later */
static void ntzc_igb_disable(struct pci_dev *pdev)
{
	if (pci_is_enabled(pdev))
		pci_disable_device(pdev);
}

static void ntzc_igb_unmap(struct ntzc_igb *igb)
{
	iounmap(igb->regs);
	pci_release_mem_regions(igb->pdev);
	ntzc_igb_disable(igb->pdev);
}

/* Get to know the card, and leave it reset and quiet */
static int ntzc_igb_identify(struct ntzc_igb *igb)
{
	struct device *dev = &igb->pdev->dev;
	u8 addr[ETH_ALEN];
	int err;

	ntzc_igb_mac_quiesce(igb);
	err = ntzc_igb_mac_reset(igb);
	if (err) {
		dev_err(dev, "the card cannot be reset\n");
		return err;
	}
	igb->lan_id = FIELD_GET(IGB_STATUS_LAN_ID, ntzc_igb_rd(igb, IGB_STATUS));
	err = ntzc_igb_nvm_check(igb);
	if (err) {
		dev_err(dev, err == -EIO ? "the NVM's checksum is wrong\n" :
					   "the NVM cannot be read\n");
		return err;
	}
	err = ntzc_igb_nvm_mac(igb, addr);
	if (err) {
		dev_err(dev, "the NVM holds no valid address\n");
		return err;
	}
	eth_hw_addr_set(igb->netdev, addr);
	ether_addr_copy(igb->netdev->perm_addr, addr);
	return ntzc_igb_link_probe(igb);
}

static int ntzc_igb_make_queues(struct ntzc_igb *igb)
{
	u32 i;

	igb->queues = kvcalloc(igb->max_queues, sizeof(*igb->queues), GFP_KERNEL);
	if (!igb->queues)
		return -ENOMEM;
	for (i = 0; i < igb->max_queues; i++) {
		igb->queues[i].igb = igb;
		igb->queues[i].index = i;
	}
	return 0;
}

/* The core's side of the card */
static int ntzc_igb_make_port(struct ntzc_igb *igb)
{
	struct ntzc_port_setup setup = {
		.netdev = igb->netdev,
		.dma_dev = &igb->pdev->dev,
		.ops = &ntzc_igb_port_ops,
		.priv = igb,
		.max_queues = igb->max_queues,
	};
	struct ntzc_port *port;
	u32 i;

	port = ntzc_port_create(&setup);
	if (IS_ERR(port))
		return PTR_ERR(port);
	igb->port = port;
	for (i = 0; i < igb->max_queues; i++) {
		igb->queues[i].q = ntzc_port_queue(port, i);
		igb->queues[i].q->priv = &igb->queues[i];
	}
	igb->n_queues = min3(num_online_cpus(), igb->max_queues, 8u);
	ntzc_port_set_queues(port, igb->n_queues);
	ntzc_port_set_slots(port, ntzc_igb_rx_slots(igb));
	ntzc_port_set_frame(port, ntzc_igb_frame_max(igb->netdev->mtu));
	ntzc_igb_assign_vectors(igb);
	return 0;
}

static void ntzc_igb_init(struct ntzc_igb *igb, struct net_device *netdev,
			  struct pci_dev *pdev, const struct ntzc_igb_chip *chip)
{
	igb->netdev = netdev;
	igb->pdev = pdev;
	igb->chip = chip;
	igb->rx_size = NTZC_IGB_RX_RING;
	igb->tx_size = NTZC_IGB_TX_RING;
	igb->rx_usecs = NTZC_IGB_RX_USECS;
	igb->msg_enable = NETIF_MSG_DRV | NETIF_MSG_PROBE | NETIF_MSG_LINK;
	mutex_init(&igb->hw_lock);
	spin_lock_init(&igb->stats_lock);
	INIT_DELAYED_WORK(&igb->watchdog, ntzc_igb_watchdog);
	INIT_DELAYED_WORK(&igb->reset, ntzc_igb_reset_work);
}

/* No interrupt, no poll and no ioctl can start these any more */
static void ntzc_igb_end_work(struct ntzc_igb *igb)
{
	WRITE_ONCE(igb->dying, true);
	cancel_delayed_work_sync(&igb->watchdog);
	cancel_delayed_work_sync(&igb->reset);
}

static int ntzc_igb_register(struct ntzc_igb *igb)
{
	int err;

	err = ntzc_igb_make_port(igb);
	if (err)
		return err;
	ntzc_igb_napi_add(igb);
	netif_carrier_off(igb->netdev);
	err = register_netdev(igb->netdev);
	if (err)
		goto napi;
	err = ntzc_port_attach(igb->port);
	if (err)
		goto netdev;
	WRITE_ONCE(igb->attached, true);
	/* gone since it was registered: the reset work had nothing to detach */
	if (READ_ONCE(igb->gone))
		ntzc_igb_ask_reset(igb, NTZC_IGB_VANISHED);
	return 0;

netdev:
	unregister_netdev(igb->netdev);
napi:
	ntzc_port_destroy(igb->port);
	ntzc_igb_napi_del(igb);
	return err;
}

static int ntzc_igb_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	const struct ntzc_igb_chip *chip = &ntzc_igb_chips[id->driver_data];
	int mode = match_string(ntzc_igb_irq_names, ARRAY_SIZE(ntzc_igb_irq_names), interrupts);
	struct net_device *netdev;
	struct ntzc_igb *igb;
	int err;

	if (mode < 0) {
		dev_err(&pdev->dev, "interrupts=%s: give msix, msi or intx\n", interrupts);
		return -EINVAL;
	}
	netdev = alloc_etherdev(sizeof(*igb));
	if (!netdev)
		return -ENOMEM;
	SET_NETDEV_DEV(netdev, &pdev->dev);
	pci_set_drvdata(pdev, netdev);
	igb = netdev_priv(netdev);
	ntzc_igb_init(igb, netdev, pdev, chip);
	ntzc_igb_netdev_init(netdev);

	err = ntzc_igb_map(igb);
	if (err)
		goto free;
	err = ntzc_igb_identify(igb);
	if (err)
		goto unmap;
	err = ntzc_igb_irq_alloc(igb, mode);
	if (err)
		goto unmap;
	err = ntzc_igb_make_queues(igb);
	if (err)
		goto irq;
	/* before anybody can open it, which changes the same register */
	ntzc_igb_driver_loaded(igb, true);
	pci_save_state(pdev);
	err = ntzc_igb_register(igb);
	if (err)
		goto loaded;
	netdev_info(netdev, "Intel %s, %pM, %s, %u of %u queues\n", chip->name, netdev->dev_addr,
		    ntzc_igb_irq_names[igb->irq_mode], igb->n_queues, igb->max_queues);
	return 0;

loaded:
	ntzc_igb_driver_loaded(igb, false);
	kvfree(igb->queues);
irq:
	ntzc_igb_irq_free(igb);
unmap:
	ntzc_igb_end_work(igb);
	ntzc_igb_unmap(igb);
free:
	free_netdev(netdev);
	return err;
}

static void ntzc_igb_remove(struct pci_dev *pdev)
{
	struct net_device *netdev = pci_get_drvdata(pdev);
	struct ntzc_igb *igb = netdev_priv(netdev);

	/* a card that is lost was detached by the reset work, or will be here */
	WRITE_ONCE(igb->dying, true);
	cancel_delayed_work_sync(&igb->reset);
	if (igb->attached)
		ntzc_port_detach(igb->port);
	unregister_netdev(netdev);
	ntzc_igb_end_work(igb);
	ntzc_port_destroy(igb->port);
	ntzc_igb_napi_del(igb);
	ntzc_igb_driver_loaded(igb, false);
	kvfree(igb->queues);
	ntzc_igb_irq_free(igb);
	ntzc_igb_unmap(igb);
	free_netdev(netdev);
}

/* Stop the card for as long as it is absent, whether it knows or not */
static void ntzc_igb_absent(struct ntzc_igb *igb, int status)
{
	rtnl_lock();
	netif_device_detach(igb->netdev);
	ntzc_igb_stop(igb, status);
	rtnl_unlock();
}

static int ntzc_igb_present(struct ntzc_igb *igb)
{
	int err = 0;

	rtnl_lock();
	if (READ_ONCE(igb->gone)) {
		err = -ENODEV;
	} else {
		/* the firmware may have had it, or it was without power, and forgot */
		ntzc_igb_driver_loaded(igb, true);
		/* of an error that is not fatal it is told, and was never stopped */
		if (igb->wanted && !igb->started)
			err = ntzc_igb_start(igb);
		/* who calls has nobody else to try again */
		if (err)
			ntzc_igb_ask_reset(igb, NTZC_IGB_UNASKED);
		netif_device_attach(igb->netdev);
		/* it may have turned out to be gone, or do so now */
		if (READ_ONCE(igb->gone))
			netif_device_detach(igb->netdev);
	}
	rtnl_unlock();
	return err;
}

/* The machine goes to sleep, or ends: what the link is still used for is the firmware's */
static void ntzc_igb_leave(struct ntzc_igb *igb)
{
	ntzc_igb_absent(igb, -ENETDOWN);
	ntzc_igb_driver_loaded(igb, false);
}

static int ntzc_igb_suspend(struct device *dev)
{
	ntzc_igb_leave(netdev_priv(dev_get_drvdata(dev)));
	return 0;
}

static int ntzc_igb_resume(struct device *dev)
{
	/* as it was saved, it was restored: and what is restored once is saved no more */
	pci_save_state(to_pci_dev(dev));
	return ntzc_igb_present(netdev_priv(dev_get_drvdata(dev)));
}

static DEFINE_SIMPLE_DEV_PM_OPS(ntzc_igb_pm_ops, ntzc_igb_suspend, ntzc_igb_resume);

static void ntzc_igb_shutdown(struct pci_dev *pdev)
{
	ntzc_igb_leave(netdev_priv(pci_get_drvdata(pdev)));
}

static pci_ers_result_t ntzc_igb_give_up(struct ntzc_igb *igb)
{
	WRITE_ONCE(igb->recover_by, jiffies);	/* nobody will begin again */
	WRITE_ONCE(igb->recovering, false);
	ntzc_igb_ask_reset(igb, NTZC_IGB_VANISHED);
	return PCI_ERS_RESULT_DISCONNECT;
}

/* Some kernels tell nobody that they could not bring it back: have the reset work see to that */
static void ntzc_igb_expect(struct ntzc_igb *igb)
{
	WRITE_ONCE(igb->recover_by, jiffies + NTZC_IGB_RECOVERY_S * HZ);
	/* pairs with the acquire in ntzc_igb_is_lost() */
	smp_store_release(&igb->recovering, true);
	ntzc_igb_ask_reset(igb, NTZC_IGB_LOST);
}

static pci_ers_result_t ntzc_igb_error_detected(struct pci_dev *pdev, pci_channel_state_t state)
{
	struct ntzc_igb *igb = netdev_priv(pci_get_drvdata(pdev));

	if (state == pci_channel_io_normal)
		return PCI_ERS_RESULT_CAN_RECOVER;
	/* its taps were told that it is gone; another function may come back */
	if (!igb->attached)
		return PCI_ERS_RESULT_NONE;
	/* first: the reset work may have noticed, and be about to give the card up */
	if (state != pci_channel_io_perm_failure)
		ntzc_igb_expect(igb);
	/* its registers cannot be had now: let nothing conclude from that */
	WRITE_ONCE(igb->gone, true);
	ntzc_igb_absent(igb, -EIO);
	if (state == pci_channel_io_perm_failure)
		return ntzc_igb_give_up(igb);
	ntzc_igb_disable(pdev);
	return PCI_ERS_RESULT_NEED_RESET;
}

static pci_ers_result_t ntzc_igb_slot_reset(struct pci_dev *pdev)
{
	struct ntzc_igb *igb = netdev_priv(pci_get_drvdata(pdev));

	if (!igb->attached)
		return PCI_ERS_RESULT_NONE;
	/* it may run: another function's driver wanted a reset after what is not fatal */
	ntzc_igb_expect(igb);
	ntzc_igb_absent(igb, -EIO);
	if (!pci_is_enabled(pdev) && pci_enable_device_mem(pdev)) {
		netdev_err(igb->netdev, "the card cannot be enabled after a PCI error\n");
		return ntzc_igb_give_up(igb);
	}
	pci_restore_state(pdev);
	pci_save_state(pdev);
	WRITE_ONCE(igb->gone, false);
	ntzc_igb_flush(igb);
	if (READ_ONCE(igb->gone))
		return ntzc_igb_give_up(igb);
	/* another function may not come back, and with it none: then nothing resumes */
	return PCI_ERS_RESULT_RECOVERED;
}

static void ntzc_igb_error_resume(struct pci_dev *pdev)
{
	struct ntzc_igb *igb = netdev_priv(pci_get_drvdata(pdev));

	if (!igb->attached)
		return;
	WRITE_ONCE(igb->recovering, false);
	ntzc_igb_present(igb);
}

static void ntzc_igb_reset_prepare(struct pci_dev *pdev)
{
	struct ntzc_igb *igb = netdev_priv(pci_get_drvdata(pdev));

	ntzc_igb_absent(igb, -EIO);
	/* as above: another device's interrupt, on a shared line, would have us look */
	WRITE_ONCE(igb->hidden, !READ_ONCE(igb->gone));
	WRITE_ONCE(igb->gone, true);
}

static void ntzc_igb_reset_done(struct pci_dev *pdev)
{
	struct ntzc_igb *igb = netdev_priv(pci_get_drvdata(pdev));

	pci_save_state(pdev);	/* as in ntzc_igb_resume() */
	if (igb->hidden)
		WRITE_ONCE(igb->gone, false);
	WRITE_ONCE(igb->hidden, false);
	ntzc_igb_present(igb);
}

static const struct pci_error_handlers ntzc_igb_error_handlers = {
	.error_detected	= ntzc_igb_error_detected,
	.slot_reset	= ntzc_igb_slot_reset,
	.resume		= ntzc_igb_error_resume,
	.reset_prepare	= ntzc_igb_reset_prepare,
	.reset_done	= ntzc_igb_reset_done,
};

static struct pci_driver ntzc_igb_driver = {
	.name		= NTZC_IGB_NAME,
	.id_table	= ntzc_igb_ids,
	.probe		= ntzc_igb_probe,
	.remove		= ntzc_igb_remove,
	.shutdown	= ntzc_igb_shutdown,
	.err_handler	= &ntzc_igb_error_handlers,
	.driver.pm	= pm_sleep_ptr(&ntzc_igb_pm_ops),
};
module_pci_driver(ntzc_igb_driver);

MODULE_DESCRIPTION("Intel 82575 and 82576 Ethernet cards on NTZC");
MODULE_AUTHOR("The NTZC authors");
MODULE_LICENSE("GPL");
