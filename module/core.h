/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The core's own structures: pool, tap, channel, port.
 *
 * Locks, outermost first:
 *   tap->setup_lock  what the tap is attached to and has got; alone held while memory is
 *                    charged to a program, which may be made to wait for it
 *   RTNL             a port's interface, up and down
 *   port->lock       the port's pools, its list of taps, each queue's set of taps
 *   ntzc_map_lock    mappings of pools for other ports' devices
 *   host queue's tx_lock   what the host's stack sends, see stack.c
 *   tap->hold_lock   what the tap holds: the clearing of held marks
 *   queue->tx_lock   the driver's transmit ring
 *   pool->lock       the free buffers and the counts of those in flight
 * The last four are spinlocks, taken in polls too. tap->read_lock stands alone:
 * it makes the reader of a tap's rings single. Delivery takes no lock: a queue's
 * poll is alone on its queue, and finds the taps through RCU.
 */
#ifndef NTZC_CORE_H
#define NTZC_CORE_H

#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/nospec.h>
#include <linux/poll.h>
#include <linux/rcupdate.h>
#include <linux/workqueue.h>

#include "ntzc_driver.h"
#include "ntzc_ring.h"

#define NTZC_MIN_BUF		2048
#define NTZC_MAX_BUF		16384
#define NTZC_MAX_BUFS		(NTZC_HANDLE_INDEX + 1)

/*
 * descriptors to send that are copied at once: they are on the stack. Such arrays are
 * __uninitialized, as what a kernel that zeroes its stack spends on them is a tenth of
 * a packet's cost; each is read only as far as it was filled.
 */
#define NTZC_TX_BATCH		(NTZC_BATCH / 2)

/*
 * For memory whose size others choose: rather refused than that the OOM killer
 * finds somebody, and nothing of it is logged. The second is charged to the
 * caller's memory cgroup.
 */
#define NTZC_GFP		(GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)
#define NTZC_GFP_ACCOUNT	(NTZC_GFP | __GFP_ACCOUNT)

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
 * @lock: guards @n_free, @free, @starved, @hungry, @in_flight, &m_buf.in_flight,
 *	@tx_completed and @tx_failed
 * @n_free: free buffers
 * @free: those, last in first out
 * @starved: queues whose refill came up short, a bit each: to be told when
 *	there are buffers
 * @hungry: queues whose last refill came up short, a bit each: release rings ask
 *	for a KICK meanwhile
 * @in_flight: buffers given to transmit, each as often as it was given
 * @tx_completed: of those, came back as sent
 * @tx_failed: came back unsent
 * @bufs: all the metadata
 * @size: buffers
 * @mask: takes an index out of a handle: a power of two - 1, at least @size
 * @shift: log2 of a buffer's bytes
 * @need_sync: the platform wants a sync between CPU and card
 * @tx: transmit memory of one tap, not receive memory of a port
 * @dir: of the DMA
 * @mapped: DMA addresses are valid; under port->lock
 * @ref: the port or tap that owns it, taps that map it, and one for all in flight
 * @port: whose device it is mapped for; holds a reference
 * @link: in port->pools; under port->lock
 * @mappings: for other ports' devices; under ntzc_map_lock
 * @tap: whose transmit memory it is, or NULL; read by polls under RCU
 * @idle_wait: for nothing to be in flight
 * @chunks: the memory
 * @n_chunks: how many
 * @free_work: frees the pool after the last reference
 */
struct ntzc_pool {
	spinlock_t lock;	/* see above */
	u32 n_free;
	struct m_buf **free;
	u64 starved;
	u64 hungry;
	u32 in_flight;
	u64 tx_completed;
	u64 tx_failed;

	struct m_buf *bufs ____cacheline_aligned;
	u32 size;
	u32 mask;
	u8 shift;
	bool need_sync;
	bool tx;
	bool mapped;
	enum dma_data_direction dir;

	struct kref ref;
	struct ntzc_port *port;
	struct list_head link;
	struct list_head mappings;
	struct ntzc_tap *tap;
	wait_queue_head_t idle_wait;
	struct ntzc_chunk *chunks;
	u32 n_chunks;
	struct work_struct free_work;
};

/**
 * struct ntzc_chan - one queue's way into one tap: a ring with one producer,
 *	the queue's poll, and one consumer, the tap's reader; and a ring for
 *	the way back. Both can be mapped: nothing in them is trusted.
 * @tap: whose
 * @queue: from where
 * @rings: the indices, head of the memory that the tap may map
 * @ring: descriptors, in that memory
 * @release: handles given back, in that memory
 * @mask: size of @ring - 1
 * @release_mask: size of @release - 1
 * @quota: frames that may be held
 * @fanout: the tap's fan-out group, or 0
 * @prod: frames put in; free-running. Published with release, pairs with the
 *	reader's acquire in ntzc_chan_waiting()
 * @want: frames of the present batch that it is to get, a bit each
 * @received_bytes: bytes of frames put in
 * @received: as @prod, 64 bits wide
 * @lost_ring: ring full
 * @lost_quota: quota reached
 * @lost_pool: no buffer to spare
 * @filtered: refused by the tap's filter
 * @released: frames given back; free-running; under tap->hold_lock
 * @release_cons: entries of @release taken out; free-running; under tap->hold_lock
 * @bad_release: of those, ignored; under tap->hold_lock
 */
struct ntzc_chan {
	struct ntzc_tap *tap;
	struct ntzc_queue *queue;
	struct ntzc_rx_rings *rings;
	struct ntzc_desc *ring;
	u32 *release;
	u32 mask;
	u32 release_mask;
	u32 quota;
	u32 fanout;

	u32 prod ____cacheline_aligned;
	u64 want;
	u64 received;
	u64 received_bytes;
	u64 lost_ring;
	u64 lost_quota;
	u64 lost_pool;
	u64 filtered;

	u32 released ____cacheline_aligned;
	u32 release_cons;
	u64 bad_release;
};

/**
 * struct ntzc_taps - the channels that a queue delivers to; replaced whole, by RCU
 * @rcu: frees it
 * @n: how many
 * @chan: the channels; those of a fan-out group stand together
 */
struct ntzc_taps {
	struct rcu_head rcu;
	unsigned int n;
	struct ntzc_chan *chan[];
};

/**
 * struct ntzc_mapping - a pool as another port's device sees it
 * @pool: the pool, which owns it
 * @port: the other port; holds a reference
 * @pool_link: in pool->mappings; under ntzc_map_lock
 * @port_link: in port->mappings, or empty once unmapped; under ntzc_map_lock
 * @need_sync: the platform wants a sync between CPU and card
 * @chunk_dma: of each chunk
 * @dma: of each buffer
 */
struct ntzc_mapping {
	struct ntzc_pool *pool;
	struct ntzc_port *port;
	struct list_head pool_link;
	struct list_head port_link;
	bool need_sync;
	dma_addr_t *chunk_dma;
	dma_addr_t *dma;
};

/**
 * struct ntzc_target - a port that a tap may send to
 * @port: the port; holds a reference
 * @queue: where to send
 * @rx: the tap's receive memory for that port's device, NULL if it is its own
 * @tx: the tap's transmit memory likewise; NULL also as long as there is none
 */
struct ntzc_target {
	struct ntzc_port *port;
	struct ntzc_queue *queue;
	struct ntzc_mapping *rx;
	struct ntzc_mapping *tx;
};

/**
 * struct ntzc_tx_door - a tap's transmit rings
 * @rings: the indices, head of the memory that the tap may map; NULL without rings
 * @ring: descriptors to send, in that memory
 * @free: free buffers for the program, in that memory
 * @bytes: length of the mapping
 * @mask: size of each - 1
 * @tx_cons: entries of @ring taken out
 * @free_prod: entries of @free put in
 * @bad_submit: entries of @ring that were ignored
 *
 * All under tap->hold_lock once it is set up.
 */
struct ntzc_tx_door {
	struct ntzc_tx_rings *rings;
	struct ntzc_desc *ring;
	struct ntzc_tx_buf *free;
	size_t bytes;
	u32 mask;
	u32 tx_cons;
	u32 free_prod;
	u64 bad_submit;
};

/**
 * struct ntzc_tap - one open file
 * @port: set once, by attach, with release; all else below is valid after that
 * @rx_pool: receive memory; holds a reference
 * @rx_held: a mark per receive buffer, see NTZC_MARK_NONE: this tap holds it. Set by
 *	delivery, with release after the reference count; cleared under @hold_lock
 * @chans: one per queue of the mask, by queue number, and that of the host's
 *	queue last; NULL where not
 * @n_chans: length of @chans
 * @n_used: channels that there are
 * @next_chan: where the next read starts; under @read_lock
 * @id: of the tap, for TAP_INFO
 * @queues: mask of queues
 * @fanout: group, or 0
 * @clock: NTZC_CLOCK_*
 * @busy_poll_us: see &struct ntzc_attach
 * @promisc: the tap made the interface promiscuous; under RTNL
 * @missed: the card's counter when the tap was attached
 * @filter: program that says which frames it gets; changes under @setup_lock
 * @tx_pool: transmit memory, set once, with release
 * @tx_held: a mark per transmit buffer: reserved and not yet submitted; under @hold_lock
 * @tx_door: its rings
 * @targets: where the tap can send: its own port first
 * @n_targets: how many; grows with release
 * @tx_submitted: frames; under @hold_lock
 * @tx_forwarded: of those, by reference; under @hold_lock
 * @tx_place: frames that its own card's queue had taken with the last forwarded; likewise
 * @tx_reserved: marks set in @tx_held; under @hold_lock
 * @read_lock: makes readers take turns
 * @setup_lock: see above
 * @hold_lock: see above
 * @rx_wait: readers and pollers
 * @link: in port->taps; under port->lock
 * @pid: who opened it
 * @uid: likewise
 * @comm: likewise
 */
struct ntzc_tap {
	struct ntzc_port *port;
	struct ntzc_pool *rx_pool;
	u32 *rx_held;
	struct ntzc_chan **chans;
	unsigned int n_chans;
	unsigned int n_used;
	unsigned int next_chan;
	int id;
	u64 queues;
	u32 fanout;
	u32 clock;
	u32 busy_poll_us;
	bool promisc;
	u64 missed;
	struct bpf_prog __rcu *filter;

	struct ntzc_pool *tx_pool;
	u32 *tx_held;
	struct ntzc_tx_door tx_door;
	struct ntzc_target targets[NTZC_MAX_TARGETS];
	unsigned int n_targets;
	u64 tx_submitted;
	u64 tx_forwarded;
	u64 tx_place;
	u32 tx_reserved;

	struct mutex read_lock;	/* see above */
	struct mutex setup_lock;	/* see above */
	spinlock_t hold_lock;	/* see above */
	wait_queue_head_t rx_wait;
	struct list_head link;

	struct pid *pid;
	kuid_t uid;
	char comm[TASK_COMM_LEN];
};

/* frames of the host that a card may have at a time: taps send through the same ring */
#define NTZC_HOST_IN_FLIGHT	256

/**
 * struct ntzc_host - what the host's stack is sending; under the host queue's tx_lock
 * @pending: a frame that found the card's ring full, or NULL
 * @sent: frames that the card took; free-running
 * @place: of the last ones: how many the card's queue had taken with each
 */
struct ntzc_host {
	struct m_buf *pending;
	u32 sent;
	u64 place[NTZC_HOST_IN_FLIGHT];
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
 * @dma_max: what one mapping can span, bytes: less where the platform needs bounce buffers
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
 * @stack: NTZC_STACK_*; also read without the lock
 * @quota: default of a tap's, or 0
 * @quota_max: limit of a tap's, or 0
 * @host: what the host's stack is sending
 * @losses: of taps that are gone
 * @taps: those attached
 * @n_taps: how many; who is about to be attached has @rx_pool already
 * @n_senders: taps of other ports that have this one as a target
 * @pools: all that are mapped for the device
 * @mappings: of other ports' pools, for the device; under ntzc_map_lock
 * @n_queues: in use
 * @max_queues: that the card has
 * @queues: those, and one more for what the host sends
 */
struct ntzc_port {
	struct kref ref;
	u32 id;
	const struct ntzc_port_ops *ops;
	void *priv;
	struct device *dma_dev;
	size_t dma_max;
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
	u32 stack;
	u32 quota;
	u32 quota_max;
	struct ntzc_host host;
	struct ntzc_losses losses;
	struct list_head taps;
	unsigned int n_taps;
	unsigned int n_senders;
	struct list_head pools;
	struct list_head mappings;

	unsigned int n_queues;
	unsigned int max_queues;
	struct ntzc_queue queues[];
};

/* main.c */
extern struct workqueue_struct *ntzc_wq;

/* pool.c */
struct ntzc_pool *ntzc_pool_alloc_new(struct ntzc_port *port, u32 n_bufs, u32 buf_size, bool tx);
void ntzc_pool_discard(struct ntzc_pool *pool);
int ntzc_pool_add(struct ntzc_pool *pool);
struct ntzc_pool *ntzc_pool_create(struct ntzc_port *port, u32 n_bufs, u32 buf_size);
bool ntzc_pool_possible(u32 n_bufs, u32 buf_size);
void ntzc_pool_get(struct ntzc_pool *pool);
void ntzc_pool_put(struct ntzc_pool *pool);
void ntzc_pool_unmap(struct ntzc_pool *pool);
unsigned int ntzc_pool_alloc(struct ntzc_pool *pool, struct m_buf **m, unsigned int n,
			     u64 starving);
unsigned int ntzc_pool_offer(struct ntzc_pool *pool, u32 *held, struct ntzc_tx_buf *to,
			     unsigned int n);
void ntzc_pool_free(struct ntzc_pool *pool, struct m_buf **m, unsigned int n);
void ntzc_pool_restore(struct ntzc_pool *pool, struct m_buf **m, unsigned int n);
void ntzc_pool_launch(struct ntzc_pool *pool, struct m_buf **m, unsigned int n);
void ntzc_pool_land(struct ntzc_pool *pool, struct m_buf **m, unsigned int n, int status);
void ntzc_pool_recall(struct ntzc_pool *pool, struct m_buf **m, unsigned int n);
u32 *ntzc_pool_marks(const struct ntzc_pool *pool);
u64 ntzc_pool_bytes(const struct ntzc_pool *pool);

/* chan.c */
struct ntzc_chan *ntzc_chan_create(struct ntzc_tap *tap, struct ntzc_queue *q, u32 ring_size,
				   u32 quota);
void ntzc_chan_destroy(struct ntzc_chan *c);
size_t ntzc_chan_bytes(const struct ntzc_chan *c);
u32 ntzc_chan_waiting(const struct ntzc_chan *c);
void ntzc_chan_admit(struct ntzc_chan *c, u64 may);
void ntzc_chan_publish(struct ntzc_chan *c, struct m_buf **m, unsigned int n, u64 bytes, u64 now,
		       u64 mono);
unsigned int ntzc_chan_reclaim(struct ntzc_chan *c, struct m_buf **done, unsigned int max);

/* deliver.c */
int ntzc_queue_add(struct ntzc_queue *q, struct ntzc_chan *c);
void ntzc_queue_remove(struct ntzc_queue *q, struct ntzc_chan *c);
void ntzc_queue_clear(struct ntzc_queue *q);
u64 ntzc_deliver(struct ntzc_queue *q, const struct ntzc_taps *taps, struct m_buf **m,
		 unsigned int n, u64 bytes, u64 may, unsigned int own);

/* select.c */
bool ntzc_select(const struct ntzc_queue *q, const struct ntzc_taps *taps, struct m_buf **m,
		 unsigned int n);

/* filter.c */
int ntzc_filter_set(struct ntzc_tap *tap, const struct ntzc_filter *arg);
void ntzc_filter_drop(struct ntzc_tap *tap);
void ntzc_filter_run(const struct ntzc_queue *q, const struct ntzc_taps *taps, struct m_buf **m,
		     unsigned int n);

/* rx.c */
void ntzc_rx_greet(struct ntzc_port *port);
void ntzc_rx_drop_spare(struct ntzc_queue *q);
void ntzc_queue_busy_poll(struct ntzc_queue *q);

/* port.c */
u32 ntzc_buf_size_for(unsigned int frame_max);
void ntzc_port_put(struct ntzc_port *port);
struct ntzc_port *ntzc_port_find(const char *name, u32 ifindex);
struct ntzc_port *ntzc_port_find_id(u32 id, bool exact);
struct ntzc_port *ntzc_port_find_netdev(const struct net_device *dev);
struct ntzc_pool *ntzc_port_pool_get(struct ntzc_port *port);
void ntzc_port_pool_put(struct ntzc_port *port);
int ntzc_port_configure(struct ntzc_port *port, u32 buf_size, u32 n_bufs);
void ntzc_port_get_info(struct ntzc_port *port, struct ntzc_port_info *info);
void ntzc_port_get_stats(struct ntzc_port *port, struct ntzc_port_stats *st);
u64 ntzc_port_missed(struct ntzc_port *port);
bool ntzc_port_fanout_fits(struct ntzc_port *port, kuid_t uid, const struct ntzc_attach *arg);

/* policy.c */
void ntzc_port_get_policy(struct ntzc_port *port, struct ntzc_port_policy *p);
int ntzc_port_set_policy(struct ntzc_port *port, const struct ntzc_port_policy *p);
u32 ntzc_port_quota(const struct ntzc_port *port, u32 want, u32 otherwise);

/* losses.c */
void ntzc_losses_keep(const struct ntzc_tap *tap);

/* sysfs.c */
int ntzc_sysfs_create(struct ntzc_port *port);
void ntzc_sysfs_remove(struct ntzc_port *port);

/* stack.c */
void ntzc_stack_init(struct ntzc_port *port);
void ntzc_stack_copy(struct ntzc_queue *q, struct m_buf **m, unsigned int n,
		     struct list_head *skbs);
void ntzc_stack_receive(struct ntzc_queue *q, struct list_head *skbs);
void ntzc_stack_completed(struct ntzc_port *port);
void ntzc_stack_up(struct ntzc_port *port);
void ntzc_stack_down(struct ntzc_port *port);
void ntzc_stack_get_stats(struct ntzc_port *port, struct ntzc_port_stats *st);

/* tap.c */
struct ntzc_tap *ntzc_tap_create(void);
void ntzc_tap_destroy(struct ntzc_tap *tap);
int ntzc_tap_attach(struct ntzc_tap *tap, struct ntzc_attach *arg);

/* hold.c */
unsigned int ntzc_tap_release_held(struct ntzc_tap *tap, const u32 *handles, unsigned int n);
int ntzc_tap_release(struct ntzc_tap *tap, const u32 *handles, unsigned int n);
void ntzc_tap_reclaim_chan(struct ntzc_chan *c);
void ntzc_tap_reclaim(struct ntzc_tap *tap);
bool ntzc_tap_readable(const struct ntzc_tap *tap);
void ntzc_tap_get_stats(struct ntzc_tap *tap, struct ntzc_tap_stats *st);
int ntzc_tap_get_info(struct ntzc_port *port, struct ntzc_tap_info *info);

/* tx.c */
int ntzc_tx_reserve(struct ntzc_tap *tap, struct ntzc_desc *d, unsigned int n);
void ntzc_tx_unreserve(struct ntzc_tap *tap, const struct ntzc_desc *d, unsigned int n);
int ntzc_tx_send(struct ntzc_tap *tap, const struct ntzc_desc *d, unsigned int n);
int ntzc_tx_submit(struct ntzc_tap *tap, const struct ntzc_desc *d, unsigned int n);
const struct ntzc_target *ntzc_tx_target(const struct ntzc_tap *tap, unsigned int number);
bool ntzc_tx_can_send(const struct ntzc_tap *tap);
bool ntzc_tx_drained(const struct ntzc_tap *tap);

/* tx_setup.c */
int ntzc_tx_setup(struct ntzc_tap *tap, struct ntzc_tx_setup *arg);
int ntzc_tx_add_target(struct ntzc_tap *tap, struct ntzc_tx_target *arg);
void ntzc_tx_teardown(struct ntzc_tap *tap);

/* tx_door.c */
int ntzc_tx_door_create(struct ntzc_tap *tap, const struct ntzc_pool *pool,
			struct ntzc_tx_setup *arg);
void ntzc_tx_door_destroy(struct ntzc_tap *tap);
bool ntzc_tx_door_rest(struct ntzc_tap *tap, int err);
int ntzc_tx_door_run(struct ntzc_tap *tap);
int ntzc_tx_door_empty(struct ntzc_tap *tap);
bool ntzc_tx_door_offers(const struct ntzc_tap *tap);
bool ntzc_tx_door_full(const struct ntzc_tap *tap);

/* map.c */
struct ntzc_mapping *ntzc_map_get(struct ntzc_pool *pool, struct ntzc_port *port);
void ntzc_map_drop_pool(struct ntzc_pool *pool);
void ntzc_map_drop_port(struct ntzc_port *port);

/* mmap.c, ioctl.c, chardev.c */
struct vm_area_struct;
struct file;
int ntzc_mmap(struct file *file, struct vm_area_struct *vma);
long ntzc_ioctl(struct file *file, unsigned int cmd, unsigned long param);
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
 * ntzc_handle_next() - a buffer's handle in its next use
 * @handle: of this use
 * @tx: of transmit memory
 *
 * The generation's overflow goes into the bit that says which memory.
 * Return: the handle.
 */
static inline u32 ntzc_handle_next(u32 handle, bool tx)
{
	handle += NTZC_HANDLE_GEN_ONE;
	return tx ? handle | NTZC_HANDLE_TX : handle & ~NTZC_HANDLE_TX;
}

/**
 * m_buf_retire() - make the handles of a buffer stale that was shown to programs
 * @m: the buffer, which nobody holds any more
 */
static inline void m_buf_retire(struct m_buf *m)
{
	WRITE_ONCE(m->desc.handle, ntzc_handle_next(m->desc.handle, m->pool->tx));
}

/**
 * m_buf_unref_shared() - drop a reference without freeing, one of several probably
 * @m: a packet that the caller holds
 *
 * Return: as m_buf_unref().
 */
static inline bool m_buf_unref_shared(struct m_buf *m)
{
	if (!atomic_dec_and_test(&m->refs))
		return false;
	/* a free buffer has one reference: its next owner's */
	atomic_set(&m->refs, 1);
	return true;
}

/**
 * m_buf_unref() - drop a reference without freeing
 * @m: a packet that the caller holds
 *
 * A sole holder needs no atomic operation: nobody else can take a reference.
 * Return: whether that was the last one, so that the caller must free the buffer,
 * whose count is 1 then: that of its next owner.
 */
static inline bool m_buf_unref(struct m_buf *m)
{
	if (likely(atomic_read(&m->refs) == 1)) {
		smp_rmb();	/* pairs with atomic_dec_and_test() of others */
		return true;
	}
	return m_buf_unref_shared(m);
}

/*
 * Wake all that poll for @events, those that do so exclusively too: what one of them
 * cannot use (a tap without a free buffer) another can.
 */
static inline void ntzc_wake_up_poll_all(wait_queue_head_t *wait, __poll_t events)
{
	__wake_up(wait, TASK_NORMAL, 0, poll_to_key(events));
}

/** ntzc_port_host_queue() - Return: the queue of what the host sends. */
static inline struct ntzc_queue *ntzc_port_host_queue(struct ntzc_port *port)
{
	return &port->queues[port->max_queues];
}

/*
 * A mark is the handle of the buffer that is held, so that one look tells all of
 * a handle. A buffer that is not held has the mark of a handle that is all ones,
 * which belongs in another place: no buffer's, where no mark is ever that.
 */
#define NTZC_MARK_NONE		0xffffffffu

/**
 * ntzc_tap_held() - see whether a handle is held
 * @pool: the tap's receive or transmit pool
 * @held: the tap's marks for it, as many as its mask admits
 * @handle: anything
 *
 * Context: hold_lock held.
 */
static inline bool ntzc_tap_held(const struct ntzc_pool *pool, const u32 *held, u32 handle)
{
	/* acquire: the count was set before the mark; pairs with ntzc_chan_publish() */
	return smp_load_acquire(&held[handle & pool->mask]) == handle;
}

/**
 * ntzc_tap_released() - count frames that went back, or went on
 * @tap: the tap
 * @queue: that they came in on
 * @n: how many
 *
 * Context: hold_lock held.
 */
static inline void ntzc_tap_released(const struct ntzc_tap *tap, u8 queue, unsigned int n)
{
	struct ntzc_chan *c = tap->chans[queue];

	WRITE_ONCE(c->released, c->released + n);
}

/** ntzc_tap_buf() - Return: the buffer of a handle that is held. */
static inline struct m_buf *ntzc_tap_buf(const struct ntzc_pool *pool, u32 handle)
{
	return &pool->bufs[handle & pool->mask];
}

#endif /* NTZC_CORE_H */
