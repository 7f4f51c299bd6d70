/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The core's own structures: pool, tap, channel, port.
 *
 * Locks, outermost first:
 *   RTNL             a port's interface, up and down
 *   tap->hold_lock   what the tap holds: the clearing of held marks; its set-up
 *   port->lock       the port's pools, its list of taps, each queue's set of taps
 *   queue->tx_lock   the driver's transmit ring
 *   pool->lock       the free buffers and the counts of those in flight
 * tap->read_lock stands alone: it makes the reader of a tap's rings single.
 * Delivery takes no lock: a queue's poll is alone on its queue, and finds the
 * taps through RCU.
 */
#ifndef NTZC_CORE_H
#define NTZC_CORE_H

#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/nospec.h>
#include <linux/rcupdate.h>
#include <linux/workqueue.h>

#include "ntzc_driver.h"

#define NTZC_MIN_BUF		2048
#define NTZC_MAX_BUF		16384
#define NTZC_MAX_BUFS		(NTZC_HANDLE_INDEX + 1)

/**
 * struct ntzc_chunk - one physically contiguous run of pages
 * @page: its first
 * @dma: its address for the port's device
 * @order: log2 of its pages
 */
struct ntzc_chunk {
	struct page *page;
	dma_addr_t dma;
	unsigned int order;
};

/**
 * struct ntzc_pool - equal buffers in contiguous chunks, mapped for one device
 * @lock: guards @n_free, @free, @starved, @in_flight, &m_buf.in_flight,
 *	@tx_completed and @tx_failed
 * @n_free: free buffers
 * @free: those, last in first out
 * @starved: queues whose refill came up short, a bit each
 * @in_flight: buffers given to transmit, each as often as it was given
 * @tx_completed: of those, came back as sent
 * @tx_failed: came back unsent
 * @bufs: all the metadata
 * @size: buffers
 * @shift: log2 of a buffer's bytes
 * @need_sync: the platform wants a sync between CPU and card
 * @tx: transmit memory of one tap, not receive memory of a port
 * @dir: of the DMA
 * @mapped: DMA addresses are valid; under port->lock
 * @ref: the port or tap that owns it, taps that map it, and one for all in flight
 * @port: whose device it is mapped for; holds a reference
 * @link: in port->pools; under port->lock
 * @chunks: the memory
 * @n_chunks: how many
 * @free_work: frees the pool after the last reference
 */
struct ntzc_pool {
	spinlock_t lock;	/* see above */
	u32 n_free;
	struct m_buf **free;
	u64 starved;
	u32 in_flight;
	u64 tx_completed;
	u64 tx_failed;

	struct m_buf *bufs ____cacheline_aligned;
	u32 size;
	u8 shift;
	bool need_sync;
	bool tx;
	bool mapped;
	enum dma_data_direction dir;

	struct kref ref;
	struct ntzc_port *port;
	struct list_head link;
	struct ntzc_chunk *chunks;
	u32 n_chunks;
	struct work_struct free_work;
};

/**
 * struct ntzc_chan - one queue's way into one tap: a ring with one producer,
 *	the queue's poll, and one consumer, the tap's reader
 * @tap: whose
 * @queue: from where
 * @ring: descriptors
 * @mask: its size - 1
 * @quota: frames that may be held
 * @prod: frames put in; free-running. Published with release, pairs with the
 *	reader's acquire in ntzc_chan_waiting()
 * @take: frames of the present batch that it gets: always the first ones
 * @received_bytes: of those
 * @received: as @prod, 64 bits wide
 * @lost_ring: ring full
 * @lost_quota: quota reached
 * @lost_pool: no buffer to spare
 * @cons: frames read; free-running. Published with release, pairs with the
 *	poll's acquire in ntzc_chan_room()
 * @released: frames given back; free-running; under tap->hold_lock
 */
struct ntzc_chan {
	struct ntzc_tap *tap;
	struct ntzc_queue *queue;
	struct ntzc_desc *ring;
	u32 mask;
	u32 quota;

	u32 prod ____cacheline_aligned;
	u32 take;
	u64 received;
	u64 received_bytes;
	u64 lost_ring;
	u64 lost_quota;
	u64 lost_pool;

	u32 cons ____cacheline_aligned;

	u32 released ____cacheline_aligned;
};

/**
 * struct ntzc_taps - the channels that a queue delivers to; replaced whole, by RCU
 * @rcu: frees it
 * @n: how many
 * @chan: the channels
 */
struct ntzc_taps {
	struct rcu_head rcu;
	unsigned int n;
	struct ntzc_chan *chan[];
};

/**
 * struct ntzc_tap - one open file
 * @port: set once, by attach, with release; all else below is valid after that
 * @rx_pool: receive memory; holds a reference
 * @rx_held: a mark per receive buffer: this tap holds it. Set by delivery,
 *	with release after the reference count; cleared under @hold_lock
 * @chans: one per queue of the mask, by queue number; NULL where not
 * @n_chans: length of @chans
 * @next_chan: where the next read starts; under @read_lock
 * @promisc: the tap made the interface promiscuous; under RTNL
 * @tx_pool: transmit memory, set once, with release
 * @tx_held: a mark per transmit buffer: reserved and not yet submitted; under @hold_lock
 * @tx_queue: where the tap sends
 * @tx_submitted: frames; under @hold_lock
 * @tx_forwarded: of those, by reference; under @hold_lock
 * @tx_reserved: marks set in @tx_held; under @hold_lock
 * @read_lock: makes readers take turns
 * @hold_lock: see above
 * @rx_wait: readers and pollers
 * @link: in port->taps; under port->lock
 */
struct ntzc_tap {
	struct ntzc_port *port;
	struct ntzc_pool *rx_pool;
	u8 *rx_held;
	struct ntzc_chan **chans;
	unsigned int n_chans;
	unsigned int next_chan;
	bool promisc;

	struct ntzc_pool *tx_pool;
	u8 *tx_held;
	struct ntzc_queue *tx_queue;
	u64 tx_submitted;
	u64 tx_forwarded;
	u32 tx_reserved;

	struct mutex read_lock;	/* see above */
	struct mutex hold_lock;	/* see above */
	wait_queue_head_t rx_wait;
	struct list_head link;
};

/**
 * struct ntzc_port - one card
 * @ref: its driver, the taps, the pools
 * @id: of the port, see &struct ntzc_port_info
 * @ops: the driver's
 * @priv: the driver's
 * @dma_dev: the device; valid until destroy
 * @netdev: its interface; under RTNL, NULL once detached
 * @bus: the device's bus address
 * @numa_node: where memory is close
 * @gone: the card is, for ever; set under RTNL and @lock
 * @lock: see above
 * @rx_pool: receive memory, NULL while nobody uses it
 * @pool_users: the port if up, and each tap
 * @up: the driver's rings run; under RTNL and @lock
 * @rx_slots: receive descriptors of all the card's rings
 * @frame_max: longest frame, bytes without FCS
 * @buf_size: as configured, or 0
 * @n_bufs: as configured, or 0
 * @taps: those attached
 * @n_taps: how many
 * @pools: all that are mapped for the device
 * @n_queues: in use
 * @max_queues: length of @queues
 * @queues: the queues
 */
struct ntzc_port {
	struct kref ref;
	u32 id;
	const struct ntzc_port_ops *ops;
	void *priv;
	struct device *dma_dev;
	struct net_device *netdev;
	char bus[NTZC_BUS_LEN];
	int numa_node;
	bool gone;

	struct mutex lock;	/* see above */
	struct ntzc_pool *rx_pool;
	unsigned int pool_users;
	bool up;
	unsigned int rx_slots;
	unsigned int frame_max;
	unsigned int buf_size;
	unsigned int n_bufs;
	struct list_head taps;
	unsigned int n_taps;
	struct list_head pools;

	unsigned int n_queues;
	unsigned int max_queues;
	struct ntzc_queue queues[];
};

/* main.c */
extern struct workqueue_struct *ntzc_wq;

/* pool.c */
struct ntzc_pool *ntzc_pool_create(struct ntzc_port *port, u32 n_bufs, u32 buf_size, bool tx);
bool ntzc_pool_possible(u32 n_bufs, u32 buf_size);
void ntzc_pool_get(struct ntzc_pool *pool);
void ntzc_pool_put(struct ntzc_pool *pool);
void ntzc_pool_unmap(struct ntzc_pool *pool);
unsigned int ntzc_pool_alloc(struct ntzc_pool *pool, struct m_buf **m, unsigned int n,
			     u64 starving);
void ntzc_pool_free(struct ntzc_pool *pool, struct m_buf **m, unsigned int n);
void ntzc_pool_launch(struct ntzc_pool *pool, struct m_buf **m, unsigned int n);
void ntzc_pool_land(struct ntzc_pool *pool, struct m_buf **m, unsigned int n, int status);
void ntzc_pool_recall(struct ntzc_pool *pool, struct m_buf **m, unsigned int n);
u64 ntzc_pool_bytes(const struct ntzc_pool *pool);

/* rx.c */
void ntzc_rx_drop_spare(struct ntzc_queue *q);

/* port.c */
u32 ntzc_buf_size_for(unsigned int frame_max);
void ntzc_port_put(struct ntzc_port *port);
struct ntzc_port *ntzc_port_find(const char *name, u32 ifindex);
struct ntzc_port *ntzc_port_find_id(u32 id, bool exact);
struct ntzc_pool *ntzc_port_pool_get(struct ntzc_port *port);
void ntzc_port_pool_put(struct ntzc_port *port);
int ntzc_port_configure(struct ntzc_port *port, u32 buf_size, u32 n_bufs);
void ntzc_port_get_info(struct ntzc_port *port, struct ntzc_port_info *info);
void ntzc_port_get_stats(struct ntzc_port *port, struct ntzc_port_stats *st);

/* tap.c */
struct ntzc_tap *ntzc_tap_create(void);
void ntzc_tap_destroy(struct ntzc_tap *tap);
int ntzc_tap_attach(struct ntzc_tap *tap, struct ntzc_port *port, struct ntzc_attach *arg);
int ntzc_tap_release(struct ntzc_tap *tap, const u32 *handles, unsigned int n);
u32 ntzc_chan_waiting(const struct ntzc_chan *c);
bool ntzc_tap_readable(const struct ntzc_tap *tap);
void ntzc_tap_get_stats(struct ntzc_tap *tap, struct ntzc_tap_stats *st);

/* tx.c */
int ntzc_tx_setup(struct ntzc_tap *tap, struct ntzc_tx_setup *arg);
int ntzc_tx_reserve(struct ntzc_tap *tap, struct ntzc_desc *d, unsigned int n);
void ntzc_tx_unreserve(struct ntzc_tap *tap, const struct ntzc_desc *d, unsigned int n);
int ntzc_tx_submit(struct ntzc_tap *tap, const struct ntzc_desc *d, unsigned int n);
bool ntzc_tx_can_reserve(const struct ntzc_tap *tap);
bool ntzc_tx_drained(const struct ntzc_tap *tap);

/* mmap.c, chardev.c */
struct vm_area_struct;
struct file;
int ntzc_mmap(struct file *file, struct vm_area_struct *vma);
int ntzc_chardev_create(void);
void ntzc_chardev_destroy(void);

/** ntzc_tap_port() - Return: the port that the tap is attached to, or NULL. */
static inline struct ntzc_port *ntzc_tap_port(const struct ntzc_tap *tap)
{
	/* pairs with the release in ntzc_tap_attach() */
	return smp_load_acquire(&tap->port);
}

/** ntzc_tap_tx_pool() - Return: the tap's transmit memory, or NULL. */
static inline struct ntzc_pool *ntzc_tap_tx_pool(const struct ntzc_tap *tap)
{
	/* pairs with the release in ntzc_tx_setup() */
	return smp_load_acquire(&tap->tx_pool);
}

/* What each packet goes through: inline */

/**
 * ntzc_pool_lookup() - the buffer that a handle from user space names
 * @pool: of the kind that the handle's NTZC_HANDLE_TX bit says
 * @handle: anything
 *
 * Only the index is checked here; whether the handle is current is for the
 * caller to see, once it knows that the buffer cannot be freed meanwhile.
 * Return: the buffer, or NULL.
 */
static inline struct m_buf *ntzc_pool_lookup(const struct ntzc_pool *pool, u32 handle)
{
	u32 i = handle & NTZC_HANDLE_INDEX;

	if (i >= pool->size)
		return NULL;
	return &pool->bufs[array_index_nospec(i, pool->size)];
}

/**
 * m_buf_unref() - drop a reference without freeing
 * @m: a packet that the caller holds
 *
 * A sole holder needs no atomic operation: nobody else can take a reference.
 * Return: whether that was the last one, so that the caller must free the buffer.
 */
static inline bool m_buf_unref(struct m_buf *m)
{
	if (likely(refcount_read(&m->refs) == 1)) {
		smp_rmb();	/* pairs with the release in refcount_dec_and_test() of others */
		return true;
	}
	return refcount_dec_and_test(&m->refs);
}

/**
 * ntzc_tap_unhold() - take a held mark off
 * @pool: the tap's receive or transmit pool
 * @held: the tap's marks for it
 * @handle: anything
 *
 * The tap's reference to the buffer is the caller's then.
 * Context: process, hold_lock held. Return: the buffer, or NULL if it is not held.
 */
static inline struct m_buf *ntzc_tap_unhold(const struct ntzc_pool *pool, u8 *held, u32 handle)
{
	struct m_buf *m = ntzc_pool_lookup(pool, handle);
	u8 *mark;

	if (!m)
		return NULL;
	mark = &held[m - pool->bufs];
	/* acquire: the count was set before the mark; pairs with ntzc_chan_publish() */
	if (!smp_load_acquire(mark) || READ_ONCE(m->desc.handle) != handle)
		return NULL;
	WRITE_ONCE(*mark, 0);
	return m;
}

#endif /* NTZC_CORE_H */
