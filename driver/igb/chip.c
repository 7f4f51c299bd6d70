// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which cards there are, and the one table of their differences. Everything is
 * constant; whoever asks what a card can do asks here.
 */
#include <linux/module.h>

#include "igb.h"

enum { NTZC_IGB_82575, NTZC_IGB_82576 };

const struct ntzc_igb_chip ntzc_igb_chips[] = {
	[NTZC_IGB_82575] = {
		.name		= "82575",
		.max_queues	= 4,
		.n_rar		= 16,
		.rx_base	= 0x2800,	/* [S 14.3.55] on */
		.tx_base	= 0x3800,
		.queue_stride	= 0x100,
		.rxpb_kib	= 34,
		.reta_shift	= 6,
		.eitr_twice	= true,		/* [S 14.3.45] */
		.ctx_per_queue	= true,
		.rx_flush	= true,
		.vme_sends	= true,		/* no more so in the 82576: its appendix A */
	},
	[NTZC_IGB_82576] = {
		.name		= "82576",
		.max_queues	= 16,
		.n_rar		= 24,
		.rx_base	= 0xc000,	/* [8.10.5] on; below is an alias of four */
		.tx_base	= 0xe000,
		.queue_stride	= 0x40,
		.uta		= true,
		.ivar		= true,		/* [7.3.1.2] */
		.sctp_csum	= true,
		.rx_dropped	= true,		/* the 82575 has no such counter */
		.dtxctl		= true,
	},
};

/* Several ids are one chip with another connector: CTRL_EXT tells the link's kind */
const struct pci_device_id ntzc_igb_ids[] = {
	{ PCI_VDEVICE(INTEL, 0x10a7), NTZC_IGB_82575 },	/* 82575EB copper */
	{ PCI_VDEVICE(INTEL, 0x10a9), NTZC_IGB_82575 },	/* 82575EB fibre, SerDes */
	{ PCI_VDEVICE(INTEL, 0x10d6), NTZC_IGB_82575 },	/* 82575GB quad copper */
	{ PCI_VDEVICE(INTEL, 0x10c9), NTZC_IGB_82576 },	/* 82576 copper */
	{ PCI_VDEVICE(INTEL, 0x10e6), NTZC_IGB_82576 },	/* 82576 fibre */
	{ PCI_VDEVICE(INTEL, 0x10e7), NTZC_IGB_82576 },	/* 82576 SerDes */
	{ PCI_VDEVICE(INTEL, 0x10e8), NTZC_IGB_82576 },	/* 82576 quad copper */
	{ PCI_VDEVICE(INTEL, 0x150a), NTZC_IGB_82576 },	/* 82576NS */
	{ PCI_VDEVICE(INTEL, 0x150d), NTZC_IGB_82576 },	/* 82576 quad SerDes */
	{ PCI_VDEVICE(INTEL, 0x1518), NTZC_IGB_82576 },	/* 82576NS SerDes */
	{ PCI_VDEVICE(INTEL, 0x1526), NTZC_IGB_82576 },	/* 82576 quad copper, ET2 */
	{ }
};
MODULE_DEVICE_TABLE(pci, ntzc_igb_ids);
