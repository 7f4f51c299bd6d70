/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Registers of the 82575 and 82576 that the driver touches, and their bits.
 *
 * [8.10.2] is a section of Intel's 82576EB datasheet, [S 14.3.45] one of the
 * 82575EB software developer's manual (324632); where only the group of
 * registers is cited, [8.5], its table of contents leads on. Where the two
 * cards differ, struct ntzc_igb_chip says how; nothing here does.
 */
#ifndef NTZC_IGB_REGS_H
#define NTZC_IGB_REGS_H

#include <linux/bits.h>

/* General [8.2] */
#define IGB_CTRL		0x00000		/* device control [8.2.1] */
#define  IGB_CTRL_FD		BIT(0)		/* full duplex, if forced */
#define  IGB_CTRL_MASTER_OFF	BIT(2)		/* no new requests on PCIe */
#define  IGB_CTRL_SLU		BIT(6)		/* set link up: let the PHY decide */
#define  IGB_CTRL_SPD_100	BIT(8)		/* speed, if forced; 0 is 10 Mbit/s */
#define  IGB_CTRL_SPD_1000	BIT(9)
#define  IGB_CTRL_SPD_MASK	GENMASK(9, 8)
#define  IGB_CTRL_FRCSPD	BIT(11)		/* force the speed */
#define  IGB_CTRL_FRCDPX	BIT(12)		/* force the duplex */
#define  IGB_CTRL_SWDPIN0	BIT(18)		/* software-definable pins, to power optics */
#define  IGB_CTRL_SWDPIN1	BIT(19)
#define  IGB_CTRL_RST		BIT(26)		/* reset the MAC; clears itself */
#define  IGB_CTRL_RFCE		BIT(27)		/* obey PAUSE frames */
#define  IGB_CTRL_TFCE		BIT(28)		/* send PAUSE frames */
#define  IGB_CTRL_VME		BIT(30)		/* strip VLAN tags */

#define IGB_STATUS		0x00008		/* device status [8.2.2] */
#define  IGB_STATUS_FD		BIT(0)
#define  IGB_STATUS_LU		BIT(1)		/* link is up */
#define  IGB_STATUS_LAN_ID	GENMASK(3, 2)	/* which port of the chip this is */
#define  IGB_STATUS_TXOFF	BIT(4)		/* stopped by a PAUSE frame */
#define  IGB_STATUS_SPEED_100	BIT(6)
#define  IGB_STATUS_SPEED_1000	BIT(7)
#define  IGB_STATUS_MASTER_ON	BIT(19)		/* requests may be pending on PCIe */

#define IGB_CTRL_EXT		0x00018		/* extended device control [8.2.3] */
#define  IGB_CTRL_EXT_IRCA	BIT(0)		/* 82575: reading ICR clears all of it */
#define  IGB_CTRL_EXT_SDP3	BIT(7)		/* software-definable pin 3: laser off */
#define  IGB_CTRL_EXT_MODE	GENMASK(23, 22)	/* what the link goes over */
#define   IGB_MODE_COPPER	0
#define   IGB_MODE_KX		1
#define   IGB_MODE_SGMII	2
#define   IGB_MODE_SERDES	3
#define  IGB_CTRL_EXT_DRV_LOAD	BIT(28)		/* tells the firmware that a driver is there */
#define  IGB_CTRL_EXT_PBA_CLR	BIT(31)		/* 82575: MSI-X pending bits clear themselves */

#define IGB_MDIC		0x00020		/* MDI control [8.2.4] */
#define  IGB_MDIC_DATA		GENMASK(15, 0)
#define  IGB_MDIC_REG		GENMASK(20, 16)
#define  IGB_MDIC_PHY		GENMASK(25, 21)
#define   IGB_MDIC_PHY_ADDR	1		/* the internal PHY */
#define  IGB_MDIC_WRITE		BIT(26)
#define  IGB_MDIC_READ		BIT(27)
#define  IGB_MDIC_READY		BIT(28)
#define  IGB_MDIC_ERROR		BIT(30)

#define IGB_SCTL		0x00024		/* SerDes control [8.2.5] */
#define  IGB_SCTL_NO_LOOPBACK	0x400		/* a command to its loopback unit */
#define IGB_CONNSW		0x00034		/* copper or fibre switch [8.2.6] */
#define  IGB_CONNSW_ENRGSRC	BIT(2)		/* energy detection by the SerDes */

/* Flow control [8.5] */
#define IGB_FCAL		0x00028		/* the PAUSE frame's address, low */
#define IGB_FCAH		0x0002c		/* and high */
#define IGB_FCT			0x00030		/* its EtherType */
#define IGB_FCTTV		0x00170		/* its timer */
#define IGB_FCRTL		0x02160		/* fill at which XON is sent, bytes */
#define  IGB_FCRTL_XONE		BIT(31)		/* send XON at all */
#define IGB_FCRTH		0x02168		/* fill at which XOFF is sent, bytes */

/* Packet buffer [8.3] */
#define IGB_PBA			0x01000		/* 82575: KiB for receive; upper half: transmit */
#define IGB_RXPBS		0x02404		/* 82576: KiB for receive */
#define  IGB_RXPBS_KIB		GENMASK(6, 0)

/* NVM [8.4] */
#define IGB_EECD		0x00010
#define  IGB_EECD_AUTO_RD	BIT(9)		/* the card has read its NVM after a reset */
#define IGB_EERD		0x00014
#define  IGB_EERD_START		BIT(0)
#define  IGB_EERD_DONE		BIT(1)
#define  IGB_EERD_ADDR		GENMASK(15, 2)
#define  IGB_EERD_DATA		GENMASK(31, 16)

/* PCIe [8.6] */
#define IGB_GCR			0x05b00		/* PCIe control [8.6.1] */
#define  IGB_GCR_TIMEOUT	GENMASK(15, 12)	/* completion timeout, capability version 1 */
#define   IGB_GCR_TIMEOUT_10MS	1
#define  IGB_GCR_RESEND		BIT(16)		/* ask again after a completion timeout */
#define  IGB_GCR_CAP_VER2	BIT(18)		/* the timeout is in configuration space */

/* Semaphores with the firmware and the other port [8.7] */
#define IGB_SWSM		0x05b50
#define  IGB_SWSM_SMBI		BIT(0)		/* reading it as 0 takes it */
#define  IGB_SWSM_SWESMBI	BIT(1)		/* writing it as 1 takes it, if it then reads 1 */
#define IGB_SW_FW_SYNC		0x05b5c		/* bits 15:0 software's, 31:16 the firmware's */
#define  IGB_SYNC_NVM		BIT(0)
#define  IGB_SYNC_PHY0		BIT(1)
#define  IGB_SYNC_PHY1		BIT(2)

/* Interrupts [8.8], and [7.3.4] for how causes are cleared */
#define IGB_ICR			0x000c0		/* causes; reading clears [8.8.7] */
#define IGB_ICS			0x000c8		/* raise causes [8.8.8] */
#define IGB_IMS			0x000d0		/* unmask [8.8.9] */
#define IGB_IMC			0x000d8		/* mask [8.8.10] */
#define  IGB_INT_TXDW		BIT(0)		/* transmit descriptors written back */
#define  IGB_INT_LSC		BIT(2)		/* link status changed */
#define  IGB_INT_RXSEQ		BIT(3)		/* receive sequence error: the link is going */
#define  IGB_INT_RXDMT0		BIT(4)		/* few receive descriptors left */
#define  IGB_INT_RXDW		BIT(7)		/* receive descriptors written back */
#define  IGB_INT_DOUTSYNC	BIT(28)		/* DMA transmit out of sync */
#define  IGB_INT_DRSTA		BIT(30)		/* somebody reset this port */
#define  IGB_INT_ASSERTED	BIT(31)		/* this port did interrupt */
#define IGB_GPIE		0x01514		/* 82576: general purpose [8.8.15] */
#define  IGB_GPIE_NSICR		BIT(0)		/* reading ICR clears it, come what may */
#define  IGB_GPIE_MSIX		BIT(4)		/* several vectors */
#define  IGB_GPIE_PBA		BIT(31)		/* MSI-X pending bits clear themselves */
#define IGB_EIMS		0x01524		/* unmask vectors [8.8.3] */
#define IGB_EIMC		0x01528		/* mask vectors [8.8.4] */
#define IGB_EIAC		0x0152c		/* causes cleared by their message [8.8.5] */
#define IGB_EIAM		0x01530		/* causes that mask themselves [8.8.6] */
#define IGB_EICR		0x01580		/* extended causes; write 1 to clear [8.8.1] */
#define  IGB_EICR_RX0		BIT(0)		/* 82575: receive queue 0 to 3 */
#define  IGB_EICR_TX0		BIT(8)		/* 82575: transmit queue 0 to 3 */
#define  IGB_EICR_OTHER		BIT(31)		/* 82575: what is in ICR */
#define IGB_MSIXBM(v)		(0x01600 + 4 * (v))	/* 82575: causes of a vector */
#define IGB_EITR(v)		(0x01680 + 4 * (v))	/* moderation [8.8.12], [S 14.3.45] */
#define  IGB_EITR_INTERVAL	GENMASK(14, 2)	/* microseconds, near enough */
#define  IGB_EITR_CNT_IGNR	BIT(31)		/* 82576: leave the running interval */
#define IGB_IVAR(i)		(0x01700 + 4 * (i))	/* 82576: vectors of queues [8.8.13] */
#define  IGB_IVAR_VALID		BIT(7)
#define IGB_IVAR_MISC		0x01740		/* 82576: vector of ICR's causes, in bits 15:8 */

/* Receive [8.10] */
#define IGB_RCTL		0x00100		/* receive control [8.10.1] */
#define  IGB_RCTL_EN		BIT(1)
#define  IGB_RCTL_UPE		BIT(3)		/* all unicast frames */
#define  IGB_RCTL_MPE		BIT(4)		/* all multicast frames */
#define  IGB_RCTL_LPE		BIT(5)		/* frames up to RLPML */
#define  IGB_RCTL_BAM		BIT(15)		/* broadcast */
#define  IGB_RCTL_VFE		BIT(18)		/* only tags in VFTA */
#define  IGB_RCTL_SECRC		BIT(26)		/* strip the FCS */
#define IGB_RXCSUM		0x05000
#define  IGB_RXCSUM_IPOFL	BIT(8)		/* verify IPv4 header checksums */
#define  IGB_RXCSUM_TUOFL	BIT(9)		/* verify TCP and UDP checksums */
#define  IGB_RXCSUM_CRCOFL	BIT(11)		/* 82576: verify SCTP checksums */
#define  IGB_RXCSUM_PCSD	BIT(13)		/* write the RSS hash, not a raw checksum */
#define IGB_RLPML		0x05004		/* longest frame, FCS included, bytes [8.10.14] */
#define IGB_RFCTL		0x05008
#define  IGB_RFCTL_IPV6_EX_DIS	BIT(16)		/* do not parse IPv6 extension headers */
#define  IGB_RFCTL_LEF		BIT(18)		/* accept frames with length errors */
#define IGB_MTA(i)		(0x05200 + 4 * (i))	/* multicast hash table */
#define  IGB_MTA_REGS		128
#define IGB_RAL(i)		(0x05400 + 8 * (i))	/* addresses, the first 16 */
#define IGB_RAL_MORE(i)		(0x05460 + 8 * (i))	/* the others */
#define IGB_RAH			4			/* from RAL: its upper half */
#define  IGB_RAH_AV		BIT(31)		/* valid */
#define IGB_VFTA(i)		(0x05600 + 4 * (i))	/* VLAN filter table */
#define  IGB_VFTA_REGS		128
#define IGB_MRQC		0x05818		/* several queues */
#define  IGB_MRQC_RSS		2
#define  IGB_MRQC_TCP_IPV4	BIT(16)
#define  IGB_MRQC_IPV4		BIT(17)
#define  IGB_MRQC_TCP_IPV6_EX	BIT(18)
#define  IGB_MRQC_IPV6		BIT(20)
#define  IGB_MRQC_TCP_IPV6	BIT(21)
#define  IGB_MRQC_UDP_IPV4	BIT(22)
#define  IGB_MRQC_UDP_IPV6	BIT(23)
#define IGB_UTA(i)		(0x0a000 + 4 * (i))	/* 82576: unicast hash table */
#define  IGB_UTA_REGS		128
#define IGB_RETA(i)		(0x05c00 + 4 * (i))	/* hash to queue, 4 entries a register */
#define  IGB_RETA_REGS		32
#define IGB_RSSRK(i)		(0x05c80 + 4 * (i))	/* hash key */
#define  IGB_RSSRK_REGS		10

/* A receive queue: offsets from its own base */
#define IGB_RX_BAL		0x00
#define IGB_RX_BAH		0x04
#define IGB_RX_LEN		0x08		/* bytes, a multiple of 128 */
#define IGB_RX_SRRCTL		0x0c		/* buffers [8.10.2] */
#define  IGB_SRRCTL_BSIZE_KIB	GENMASK(6, 0)	/* bytes a descriptor may take, in KiB */
#define  IGB_SRRCTL_ADV_ONEBUF	BIT(25)		/* advanced descriptors, one buffer [7.1.5] */
#define  IGB_SRRCTL_DROP_EN	BIT(31)		/* without a descriptor: drop, do not wait */
#define IGB_RX_HEAD		0x10
#define IGB_RX_TAIL		0x18
#define IGB_RX_DCTL		0x28		/* RXDCTL [8.10.10]; thresholds as in TXDCTL */
#define IGB_RX_DROPPED		0x30		/* RQDPC: for want of a descriptor [8.10.11] */
#define  IGB_RX_DROPPED_MASK	GENMASK(11, 0)

/* Transmit [8.12] */
#define IGB_TCTL		0x00400		/* transmit control [8.12.1] */
#define  IGB_TCTL_EN		BIT(1)
#define  IGB_TCTL_PSP		BIT(3)		/* pad short frames */
#define  IGB_TCTL_CT		GENMASK(11, 4)	/* collisions before giving up */
#define  IGB_TCTL_COLD		GENMASK(21, 12)	/* collision distance, byte times */
#define  IGB_TCTL_RTLC		BIT(24)		/* send again after a late collision */
#define IGB_DTXCTL		0x03590
#define  IGB_DTXCTL_VLAN_ADDED	BIT(3)		/* 82576: the MAC inserts tags */

/* A transmit queue: offsets from its own base */
#define IGB_TX_BAL		0x00
#define IGB_TX_BAH		0x04
#define IGB_TX_LEN		0x08
#define IGB_TX_HEAD		0x10
#define IGB_TX_TAIL		0x18
#define IGB_TX_DCTL		0x28		/* TXDCTL [8.12.13] */
#define  IGB_DCTL_PTHRESH	GENMASK(4, 0)	/* fetch when the card has fewer than this */
#define  IGB_DCTL_HTHRESH	GENMASK(12, 8)	/* and at least so many are ready */
#define  IGB_DCTL_WTHRESH	GENMASK(20, 16)	/* write back so many at a time */
#define  IGB_DCTL_ENABLE	BIT(25)

/* Management and wake-up */
#define IGB_WUC			0x05800		/* wake-up control */
#define IGB_MANC		0x05820
#define  IGB_MANC_RCV_TCO	BIT(17)		/* the firmware receives frames */
#define  IGB_MANC_KEEP_PHY	BIT(18)		/* the firmware uses the link: leave it alone */

/* Physical coding sublayer, for SerDes [8.18] */
#define IGB_PCS_CFG		0x04200
#define  IGB_PCS_CFG_EN		BIT(3)
#define IGB_PCS_LCTL		0x04208		/* link control */
#define  IGB_PCS_LCTL_FLV	BIT(0)		/* link value, if forced */
#define  IGB_PCS_LCTL_FSV_1000	BIT(2)		/* speed, if forced */
#define  IGB_PCS_LCTL_FDV	BIT(3)		/* full duplex, if forced */
#define  IGB_PCS_LCTL_FSD	BIT(4)		/* force speed and duplex */
#define  IGB_PCS_LCTL_FORCE	BIT(5)		/* force the link */
#define  IGB_PCS_LCTL_FORCE_FC	BIT(7)		/* force flow control */
#define  IGB_PCS_LCTL_AN	BIT(16)		/* negotiate */
#define  IGB_PCS_LCTL_AN_START	BIT(17)
#define IGB_PCS_LSTS		0x0420c		/* link status */
#define  IGB_PCS_LSTS_LINK	BIT(0)
#define  IGB_PCS_LSTS_SYNC	BIT(4)
#define  IGB_PCS_LSTS_AN_DONE	BIT(16)
#define IGB_PCS_ANADV		0x04218		/* what we advertise, as 1000BASE-X has it */
#define IGB_PCS_LPAB		0x0421c		/* what the partner does */

/* Statistics [8.19]: stats.c has the table */
#define IGB_STATS		0x04000

#endif /* NTZC_IGB_REGS_H */
