/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Descriptors: 16 bytes in a ring of memory that the card and we both see.
 * What we write (read, as the card sees it) and what the card writes back.
 */
#ifndef NTZC_IGB_DESC_H
#define NTZC_IGB_DESC_H

#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/types.h>

/**
 * union ntzc_igb_rx_desc - advanced receive descriptor, datasheet 7.1.5
 * @addr: where to write the frame
 * @hdr_addr: zero; it lies over @status, so that writing it clears IGB_RXD_DD
 * @info: RSS type, packet type
 * @rss: the hash
 * @status: IGB_RXD_*; the card stores it last
 * @len: bytes written
 * @vlan: the tag that was stripped
 */
union ntzc_igb_rx_desc {
	struct {
		__le64 addr;
		__le64 hdr_addr;
	};
	struct {
		__le32 info;
		__le32 rss;
		__le32 status;
		__le16 len;
		__le16 vlan;
	};
};

static_assert(sizeof(union ntzc_igb_rx_desc) == 16);

#define IGB_RXD_RSS_TYPE	GENMASK(3, 0)	/* of info */
#define IGB_RXD_SCTP		BIT(10)		/* of info: the packet type */

#define IGB_RXD_DD		BIT(0)		/* done */
#define IGB_RXD_EOP		BIT(1)		/* the frame ends here */
#define IGB_RXD_VP		BIT(3)		/* a VLAN tag was stripped */
#define IGB_RXD_CSUM_SHIFT	4		/* the next three as a number */
#define IGB_RXD_UDPCS		BIT(4)		/* UDP checksum was verified */
#define IGB_RXD_L4CS		BIT(5)		/* L4 checksum was verified */
#define IGB_RXD_IPCS		BIT(6)		/* IPv4 checksum was verified */
#define IGB_RXD_FRAME_ERR	0x97000000u	/* CRC, symbol, sequence, carrier or data error */
#define IGB_RXD_L4E		BIT(29)		/* L4 checksum is wrong */
#define IGB_RXD_IPE		BIT(30)		/* IPv4 checksum is wrong */

/* Of all that, what an ordinary frame has: DD and EOP alone */
#define IGB_RXD_CHECK \
	(IGB_RXD_DD | IGB_RXD_EOP | IGB_RXD_FRAME_ERR | IGB_RXD_L4E | IGB_RXD_IPE)
#define IGB_RXD_WHOLE		(IGB_RXD_DD | IGB_RXD_EOP)

/**
 * union ntzc_igb_tx_desc - advanced transmit descriptors, datasheet 7.2.2
 * @addr: data: where the frame is
 * @cmd: data: IGB_TXD_* and the length
 * @status: data: length of the frame and context; the card sets IGB_TXD_DD here
 * @vlan_maclen: context: VLAN tag and length of the MAC header
 * @seed: context: zero
 * @type: context: IGB_TXD_*
 * @idx: context: which context this sets
 */
union ntzc_igb_tx_desc {
	struct {
		__le64 addr;
		__le32 cmd;
		__le32 status;
	};
	struct {
		__le32 vlan_maclen;
		__le32 seed;
		__le32 type;
		__le32 idx;
	};
};

static_assert(sizeof(union ntzc_igb_tx_desc) == 16);

#define IGB_TXD_CONTEXT		0x20200000u	/* advanced, sets a context [7.2.2.2] */
#define IGB_TXD_DATA		0x20300000u	/* advanced, data [7.2.2.3] */
#define IGB_TXD_EOP		BIT(24)		/* the frame ends here */
#define IGB_TXD_IFCS		BIT(25)		/* append the FCS */
#define IGB_TXD_RS		BIT(27)		/* report status */
#define IGB_TXD_VLE		BIT(30)		/* insert the context's tag */
#define IGB_TXD_FRAME		(IGB_TXD_DATA | IGB_TXD_EOP | IGB_TXD_IFCS)

#define IGB_TXD_DD		BIT(0)		/* of status: done */
#define IGB_TXD_CTX_SHIFT	4		/* of status and idx: context */
#define IGB_TXD_PAYLEN_SHIFT	14		/* of status: length of the frame */
#define IGB_TXD_MACLEN_SHIFT	9		/* of vlan_maclen */
#define IGB_TXD_VLAN_SHIFT	16		/* of vlan_maclen */

#endif /* NTZC_IGB_DESC_H */
