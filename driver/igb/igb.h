/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The driver's own structures. Files, from the bus upwards:
 *
 *   pci.c       probe, remove, power, PCI errors      chip.c      82575 against 82576
 *   mac.c       reset, bring-up, stopping DMA         nvm.c       semaphores, NVM
 *   phy.c       the copper PHY                        serdes.c    the PCS, for fibre
 *   link.c      either of them, flow control          filter.c    addresses, VLANs, modes
 *   irq.c       vectors, NAPI, moderation             ring.[ch]   rings, their memory and registers
 *   rx.c, tx.c  the hot paths                         port.c      the core's ops: start, stop
 *   watchdog.c  link, hung card, resets               stats.c     counters
 *   netdev.c, ethtool.c   what people type
 *
 * Locks, outermost first:
 *   RTNL             starting, stopping and configuring; igb->started, CTRL_EXT
 *   igb->hw_lock     MDIC and NVM cycles, the semaphores, changes to CTRL
 *   netif_addr_lock  RCTL and the filters
 *   igb->stats_lock  the counters and the reading of their registers
 *   queue->tx_lock   (the core's) the transmit producer
 * A queue's receive ring and the consumer side of its transmit ring belong to
 * its vector's NAPI poll while that is live, else to whoever holds RTNL.
 */
#ifndef NTZC_IGB_H
#define NTZC_IGB_H

#include <linux/io.h>
#include <linux/mutex.h>
#include <linux/netdevice.h>
#include <linux/pci.h>
#include <linux/workqueue.h>

#include "regs.h"
#include "ring.h"

#define NTZC_IGB_NAME		"ntzc_igb"

#define NTZC_IGB_MAX_QUEUES	16
#define NTZC_IGB_MAX_VECTORS	10	/* of MSI-X; one is for all but the queues [7.3.1] */
#define NTZC_IGB_MAX_MTU	9216
#define NTZC_IGB_RX_USECS	50	/* by default: 75 of the shortest frames at a time */
#define NTZC_IGB_GRACE_S	2	/* for the PCI core to begin to bring a card back */
#define NTZC_IGB_N_STATS	48	/* at least as many as stats.c lists */

/**
 * struct ntzc_igb_chip - all that is different between the cards
 * @name: of the chip
 * @max_queues: queues, receive and transmit each
 * @n_rar: unicast addresses that it can match
 * @rx_base: registers of receive queue 0
 * @tx_base: registers of transmit queue 0
 * @queue_stride: from one queue's registers to the next one's
 * @rxpb_kib: receive's share of the packet buffer, to be set; 0: read RXPBS
 * @uta: has a unicast hash table, which is not used and must be zero
 * @ivar: vectors are assigned by IVAR and GPIE; else by MSIXBM and CTRL_EXT
 * @eitr_twice: EITR takes the interval in its upper half too, to restart it
 * @reta_shift: of a queue's number in RETA
 * @ctx_per_queue: transmit contexts are shared: a queue uses that of its number
 * @sctp_csum: verifies SCTP checksums
 * @dtxctl: the MAC must be told that it inserts VLAN tags
 * @rx_dropped: counts what each queue drops for want of a descriptor
 * @vme_sends: CTRL.VME is for sending, too: without it no VLAN tag is inserted
 * @rx_flush: the receive FIFO may hold rubbish while the firmware receives
 */
struct ntzc_igb_chip {
	const char *name;
	u8 max_queues;
	u8 n_rar;
	u16 rx_base;
	u16 tx_base;
	u16 queue_stride;
	u8 rxpb_kib;
	u8 reta_shift;
	bool uta;
	bool ivar;
	bool eitr_twice;
	bool ctx_per_queue;
	bool sctp_csum;
	bool dtxctl;
	bool rx_dropped;
	bool vme_sends;
	bool rx_flush;
};

/**
 * struct ntzc_igb_vector - an interrupt and its poll
 * @napi: enabled while the interface is open
 * @igb: the card
 * @live: the poll may touch the rings; changes while @napi is disabled
 * @eims: its bit in EIMS and its relations; 0 without MSI-X
 * @eitr: its number among EITR
 * @first: the first queue that it serves; the others follow at igb->n_vectors
 * @n_queues: that it serves
 * @frames: taken since the poll was last complete
 * @usecs: moderation that the card has
 * @name: of its interrupt
 */
struct ntzc_igb_vector {
	struct napi_struct napi;
	struct ntzc_igb *igb;
	bool live;
	u32 eims;
	u32 eitr;
	u32 first;
	u32 n_queues;
	u32 frames;
	u32 usecs;
	char name[IFNAMSIZ + 12];
};

/* How the card interrupts; also the words of the module's parameter */
enum ntzc_igb_irq_mode {
	NTZC_IGB_MSIX,
	NTZC_IGB_MSI,
	NTZC_IGB_INTX,
};

/* Why the card is to be reset: bits of &ntzc_igb.reset_why */
enum ntzc_igb_reset_why {
	NTZC_IGB_HUNG,		/* transmit makes no progress */
	NTZC_IGB_LINK_LOST,	/* frames wait, and nothing will send them */
	NTZC_IGB_UNASKED,	/* the card was reset by somebody else */
	NTZC_IGB_VANISHED,	/* all its registers read as ones */
	NTZC_IGB_LOST,		/* perhaps for ever: look later who brings it back */
};

/**
 * struct ntzc_igb_link - what is wanted of the link, and what there is
 * @copper: through the PHY; else through the PCS
 * @autoneg: negotiate
 * @forced_speed: in Mbit/s, if not
 * @forced_duplex: DUPLEX_*, if not
 * @adv: ADVERTISE_* of 10 and 100 Mbit/s, to negotiate
 * @adv_1000: and 1000 Mbit/s at full duplex
 * @fc_autoneg: let negotiation decide on PAUSE frames
 * @fc_rx: obey PAUSE frames, if the partner agrees or there is no negotiation
 * @fc_tx: send them
 * @fc_high: fill of the packet buffer at which to send one, bytes
 * @moved: the card said that the link has changed; set by the interrupt
 * @up: there is a link
 * @speed: in Mbit/s
 * @duplex: DUPLEX_*
 * @rx_pause: PAUSE frames are obeyed
 * @tx_pause: and sent
 *
 * Wishes change under RTNL; the rest belongs to the watchdog, or while that is
 * stopped to whoever holds RTNL.
 */
struct ntzc_igb_link {
	bool copper;
	bool autoneg;
	u16 forced_speed;
	u8 forced_duplex;
	u16 adv;
	bool adv_1000;
	bool fc_autoneg;
	bool fc_rx;
	bool fc_tx;
	u32 fc_high;
	bool moved;
	bool up;
	u16 speed;
	u8 duplex;
	bool rx_pause;
	bool tx_pause;
};

/**
 * struct ntzc_igb - one port of a card
 * @regs: its registers
 * @gone: they read as all ones: nothing touches them. For ever, unless the PCI core
 *	is bringing the card back
 * @hidden: @gone was set for as long as the function is being reset
 * @recovering: the PCI core is to bring it back after an error
 * @recover_by: until then the PCI core may begin to bring it back, or end to, in jiffies
 * @irq_mode: how it interrupts
 * @chip: what it is
 * @netdev: its interface
 * @pdev: its PCI function
 * @port: the core's side
 * @hw_lock: see above
 * @lan_id: which port of the chip
 * @link: see there
 * @n_queues: in use; under RTNL
 * @max_queues: that the card and its interrupts allow
 * @max_vectors: of interrupts, that can serve queues
 * @n_vectors: that do
 * @rx_size: descriptors of a receive ring; under RTNL
 * @tx_size: of a transmit ring
 * @rx_usecs: interrupt moderation wanted
 * @adaptive: let the load decide on it
 * @rss_udp: hash UDP ports too
 * @opened: rings have memory, interrupts have handlers; under RTNL
 * @wanted: the core has called ops->start; under RTNL
 * @started: the card runs; under RTNL
 * @attached: taps find the card; the reset work ends it for one that is lost
 * @dying: remove has begun
 * @rx_on: RCTL may enable reception; under netif_addr_lock
 * @mta: as the card has it; under netif_addr_lock
 * @vfta: as the card should have it; under RTNL
 * @stats_lock: see above
 * @stats_on: the card's counters may be read
 * @stats: card's counters, in the order of stats.c's table
 * @rx_no_desc: per queue, dropped by the card for want of a descriptor
 * @resets: of a hung card; under RTNL
 * @dma_errors: times that the card found transmit DMA out of step
 * @msg_enable: what to log
 * @watchdog: runs while the card is started
 * @reset: takes RTNL
 * @reset_why: NTZC_IGB_* bits
 * @vectors: of the queues
 * @queues: @max_queues of them
 */
struct ntzc_igb {
	u8 __iomem *regs;
	bool gone;
	bool hidden;
	bool recovering;
	unsigned long recover_by;
	enum ntzc_igb_irq_mode irq_mode;
	const struct ntzc_igb_chip *chip;
	struct net_device *netdev;
	struct pci_dev *pdev;
	struct ntzc_port *port;

	struct mutex hw_lock;		/* MDIC and NVM cycles, semaphores, CTRL */
	u32 lan_id;
	struct ntzc_igb_link link;

	u32 n_queues;
	u32 max_queues;
	u32 max_vectors;
	u32 n_vectors;
	u32 rx_size;
	u32 tx_size;
	u32 rx_usecs;
	bool adaptive;
	bool rss_udp;

	bool opened;
	bool wanted;
	bool started;
	bool attached;
	bool dying;
	bool rx_on;
	u32 mta[IGB_MTA_REGS];
	u32 vfta[IGB_VFTA_REGS];

	spinlock_t stats_lock;		/* the counters and their registers */
	bool stats_on;
	u64 stats[NTZC_IGB_N_STATS];
	u64 rx_no_desc[NTZC_IGB_MAX_QUEUES];
	u64 resets;
	u64 dma_errors;
	u32 msg_enable;

	struct delayed_work watchdog;
	struct delayed_work reset;
	unsigned long reset_why;

	struct ntzc_igb_vector vectors[NTZC_IGB_MAX_VECTORS - 1];
	struct ntzc_igb_queue *queues;
};

/* Registers. Not on the hot paths: those keep the address of their doorbell. */

void ntzc_igb_vanish(struct ntzc_igb *igb);
u32 ntzc_igb_check_gone(struct ntzc_igb *igb, u32 reg);

static inline u32 ntzc_igb_rd(struct ntzc_igb *igb, u32 reg)
{
	u32 val;

	if (unlikely(READ_ONCE(igb->gone)))
		return ~0u;
	val = readl(igb->regs + reg);
	if (unlikely(val == ~0u))
		return ntzc_igb_check_gone(igb, reg);
	return val;
}

static inline void ntzc_igb_wr(struct ntzc_igb *igb, u32 reg, u32 val)
{
	if (likely(!READ_ONCE(igb->gone)))
		writel(val, igb->regs + reg);
}

/* Posted writes have reached the card when a read returns */
static inline void ntzc_igb_flush(struct ntzc_igb *igb)
{
	ntzc_igb_rd(igb, IGB_STATUS);
}

static inline u32 ntzc_igb_rx_reg(const struct ntzc_igb *igb, u32 queue, u32 reg)
{
	return igb->chip->rx_base + queue * igb->chip->queue_stride + reg;
}

/* Receive descriptors of all rings */
static inline u32 ntzc_igb_rx_slots(const struct ntzc_igb *igb)
{
	return igb->n_queues * igb->rx_size;
}

static inline u32 ntzc_igb_tx_reg(const struct ntzc_igb *igb, u32 queue, u32 reg)
{
	return igb->chip->tx_base + queue * igb->chip->queue_stride + reg;
}

/* chip.c */
extern const struct pci_device_id ntzc_igb_ids[];
extern const struct ntzc_igb_chip ntzc_igb_chips[];

/* nvm.c */
int ntzc_igb_sync_acquire(struct ntzc_igb *igb, u32 what);
void ntzc_igb_sync_release(struct ntzc_igb *igb, u32 what);
int ntzc_igb_nvm_read(struct ntzc_igb *igb, u32 first, u32 n, u16 *words);
int ntzc_igb_nvm_check(struct ntzc_igb *igb);
int ntzc_igb_nvm_mac(struct ntzc_igb *igb, u8 *addr);

/* mac.c */
void ntzc_igb_mac_quiesce(struct ntzc_igb *igb);
int ntzc_igb_mac_reset(struct ntzc_igb *igb);
void ntzc_igb_mac_init(struct ntzc_igb *igb);
void ntzc_igb_mac_vlan_strip(struct ntzc_igb *igb, bool strip);
void ntzc_igb_mac_enable(struct ntzc_igb *igb);
void ntzc_igb_mac_rx_flush(struct ntzc_igb *igb);
void ntzc_igb_driver_loaded(struct ntzc_igb *igb, bool loaded);
void ntzc_igb_ctrl_change(struct ntzc_igb *igb, u32 clear, u32 set);

/* filter.c */
void ntzc_igb_set_rx_mode(struct net_device *netdev);
void ntzc_igb_filter_init(struct ntzc_igb *igb);
void ntzc_igb_filter_rx_on(struct ntzc_igb *igb, bool on);
void ntzc_igb_filter_address(struct ntzc_igb *igb);
int ntzc_igb_vlan_add(struct net_device *netdev, __be16 proto, u16 vid);
int ntzc_igb_vlan_kill(struct net_device *netdev, __be16 proto, u16 vid);

/* phy.c */
int ntzc_igb_phy_read(struct ntzc_igb *igb, u32 reg, u16 *val);
bool ntzc_igb_phy_is_firmwares(struct ntzc_igb *igb);
int ntzc_igb_phy_setup(struct ntzc_igb *igb);
int ntzc_igb_phy_pause(struct ntzc_igb *igb, u16 *ours, u16 *theirs);

/* serdes.c */
int ntzc_igb_serdes_setup(struct ntzc_igb *igb);
bool ntzc_igb_serdes_up(struct ntzc_igb *igb);
int ntzc_igb_serdes_pause(struct ntzc_igb *igb, u16 *ours, u16 *theirs);

/* link.c */
int ntzc_igb_link_probe(struct ntzc_igb *igb);
int ntzc_igb_link_setup(struct ntzc_igb *igb);
bool ntzc_igb_link_changed(struct ntzc_igb *igb);
u16 ntzc_igb_link_pause_bits(const struct ntzc_igb_link *link);

/* irq.c */
int ntzc_igb_irq_alloc(struct ntzc_igb *igb, enum ntzc_igb_irq_mode mode);
void ntzc_igb_irq_free(struct ntzc_igb *igb);
int ntzc_igb_irq_request(struct ntzc_igb *igb);
void ntzc_igb_irq_release(struct ntzc_igb *igb);
void ntzc_igb_irq_program(struct ntzc_igb *igb);
void ntzc_igb_irq_on(struct ntzc_igb *igb);
void ntzc_igb_irq_off(struct ntzc_igb *igb);
void ntzc_igb_napi_add(struct ntzc_igb *igb);
void ntzc_igb_napi_del(struct ntzc_igb *igb);
void ntzc_igb_napi_enable(struct ntzc_igb *igb, bool enable);
void ntzc_igb_kick(struct ntzc_igb_vector *vec);
void ntzc_igb_kick_all(struct ntzc_igb *igb);
void ntzc_igb_irq_moderate(struct ntzc_igb *igb);
void ntzc_igb_assign_vectors(struct ntzc_igb *igb);

/* ring.c */
int ntzc_igb_rings_alloc(struct ntzc_igb *igb);
void ntzc_igb_rings_free(struct ntzc_igb *igb);
void ntzc_igb_rings_program(struct ntzc_igb *igb, u32 buf_size);
int ntzc_igb_rings_wait(struct ntzc_igb *igb);
void ntzc_igb_rings_disable(struct ntzc_igb *igb);

/* rx.c */
unsigned int ntzc_igb_rx_poll(struct ntzc_igb_queue *queue, unsigned int budget);
void ntzc_igb_rx_refill(struct ntzc_igb_queue *queue);
void ntzc_igb_rx_drain(struct ntzc_igb_queue *queue);

/* tx.c */
unsigned int ntzc_igb_transmit(struct ntzc_queue *q, struct m_buf **m, const dma_addr_t *dma,
			       unsigned int n);
bool ntzc_igb_tx_clean(struct ntzc_igb_queue *queue);
void ntzc_igb_tx_open(struct ntzc_igb_queue *queue, bool open);
void ntzc_igb_tx_drain(struct ntzc_igb_queue *queue, int status);

/* port.c */
extern const struct ntzc_port_ops ntzc_igb_port_ops;
int ntzc_igb_start(struct ntzc_igb *igb);
void ntzc_igb_stop(struct ntzc_igb *igb, int status);
unsigned int ntzc_igb_frame_max(unsigned int mtu);

/* watchdog.c */
void ntzc_igb_watchdog(struct work_struct *work);
void ntzc_igb_reset_work(struct work_struct *work);
void ntzc_igb_ask_reset(struct ntzc_igb *igb, enum ntzc_igb_reset_why why);
void ntzc_igb_forget_resets(struct ntzc_igb *igb);

/* stats.c */
struct ntzc_igb_stat_sums {
	u64 rx_missed;
	u64 rx_errors;
	u64 rx_crc;
	u64 rx_length;
	u64 rx_multicast;
	u64 tx_errors;
	u64 collisions;
};

void ntzc_igb_stats_update(struct ntzc_igb *igb);
void ntzc_igb_stats_switch(struct ntzc_igb *igb, bool on);
void ntzc_igb_stats_sum(struct ntzc_igb *igb, struct ntzc_igb_stat_sums *sums);
void ntzc_igb_get_stats64(struct net_device *netdev, struct rtnl_link_stats64 *st);
int ntzc_igb_stats_count(const struct ntzc_igb *igb);
void ntzc_igb_stats_names(const struct ntzc_igb *igb, u8 *names);
void ntzc_igb_stats_values(struct ntzc_igb *igb, u64 *values);

/* netdev.c */
void ntzc_igb_netdev_init(struct net_device *netdev);
int ntzc_igb_open(struct net_device *netdev);
int ntzc_igb_close(struct net_device *netdev);

/* ethtool.c */
extern const struct ethtool_ops ntzc_igb_ethtool_ops;

#endif /* NTZC_IGB_H */
