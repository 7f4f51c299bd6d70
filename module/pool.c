// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pools: packet memory in physically contiguous chunks, cut into equal buffers
 * and mapped once for the port's device. A pool's lock guards its free buffers
 * and the counts of those in flight; buffers change hands in batches, one
 * locking each. Owners hold a reference; all buffers in flight together hold
 * one more, so that a pool outlives its tap until the card is done with it.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "core.h"

/* 2 MiB: one entry of the TLB and of the IOMMU's tables; more gains nothing */
#define NTZC_CHUNK_ORDER	(21 - PAGE_SHIFT)

static void ntzc_pool_free_memory(struct ntzc_pool *pool)
{
	u32 i;

	for (i = 0; i < pool->n_chunks; i++) {
		__free_pages(pool->chunks[i].page, pool->chunks[i].order);
		cond_resched();
	}
	kvfree(pool->chunks);
	kvfree(pool->free);
	kvfree(pool->bufs);
}

static void ntzc_pool_free_work(struct work_struct *work)
{
	struct ntzc_pool *pool = container_of(work, struct ntzc_pool, free_work);
	struct ntzc_port *port = pool->port;

	/* who landed some of its buffers, others than the last, may not have left it yet */
	synchronize_rcu();
	ntzc_map_drop_pool(pool);
	mutex_lock(&port->lock);
	ntzc_pool_unmap(pool);
	list_del(&pool->link);
	mutex_unlock(&port->lock);

	ntzc_pool_free_memory(pool);
	kfree(pool);
	ntzc_port_put(port);
}

/* The last reference may go in the poll, where nothing can sleep */
static void ntzc_pool_last(struct kref *ref)
{
	struct ntzc_pool *pool = container_of(ref, struct ntzc_pool, ref);

	queue_work(ntzc_wq, &pool->free_work);
}

/** ntzc_pool_get() - take a reference */
void ntzc_pool_get(struct ntzc_pool *pool)
{
	kref_get(&pool->ref);
}

/**
 * ntzc_pool_put() - drop a reference; the last one frees the memory
 * @pool: the pool
 *
 * Context: any but hard interrupts.
 */
void ntzc_pool_put(struct ntzc_pool *pool)
{
	kref_put(&pool->ref, ntzc_pool_last);
}

/* One chunk of at most @order, smaller if memory is fragmented */
static struct page *ntzc_chunk_alloc(int node, gfp_t gfp, unsigned int *order, unsigned int min)
{
	struct page *page;

	for (;; (*order)--) {
		/* only the smallest size is worth reclaiming for */
		gfp_t how = *order > min ? (gfp | __GFP_NORETRY) & ~__GFP_RECLAIM : gfp;

		page = alloc_pages_node(node, how, *order);
		if (page || *order == min)
			return page;
	}
}

static int ntzc_pool_alloc_chunks(struct ntzc_pool *pool, gfp_t gfp)
{
	size_t left = (size_t)pool->size << pool->shift;
	unsigned int min = get_order(1u << pool->shift);
	unsigned int order = max_t(unsigned int, min, NTZC_CHUNK_ORDER);

	while (order > min && ((size_t)PAGE_SIZE << order) > pool->port->dma_max)
		order--;

	pool->chunks = kvcalloc(DIV_ROUND_UP(left, PAGE_SIZE << min), sizeof(*pool->chunks), gfp);
	if (!pool->chunks)
		return -ENOMEM;

	while (left) {
		struct ntzc_chunk *c = &pool->chunks[pool->n_chunks];
		struct page *page;

		/* a tap's own end is near; a card's pool is others', too */
		if (pool->tx && fatal_signal_pending(current))
			return -ENOMEM;
		while (order > min && ((size_t)PAGE_SIZE << order) > left)
			order--;
		page = ntzc_chunk_alloc(pool->port->numa_node,
					gfp | __GFP_ZERO | __GFP_COMP, &order, min);
		if (!page)
			return -ENOMEM;
		c->page = page;
		c->order = order;
		pool->n_chunks++;
		left -= min_t(size_t, left, PAGE_SIZE << order);
		/* an allocation that may not reclaim does not do so by itself */
		cond_resched();
	}
	return 0;
}

static int ntzc_pool_map(struct ntzc_pool *pool)
{
	struct device *dev = pool->port->dma_dev;
	u32 i;

	for (i = 0; i < pool->n_chunks; i++) {
		struct ntzc_chunk *c = &pool->chunks[i];

		c->dma = dma_map_page(dev, c->page, 0, PAGE_SIZE << c->order, pool->dir);
		if (dma_mapping_error(dev, c->dma))
			goto unmap;
		pool->need_sync |= dma_need_sync(dev, c->dma);
		cond_resched();
	}
	pool->mapped = true;
	return 0;

unmap:
	while (i--)
		dma_unmap_page(dev, pool->chunks[i].dma, PAGE_SIZE << pool->chunks[i].order,
			       pool->dir);
	return -ENOMEM;
}

/**
 * ntzc_pool_unmap() - end the card's access
 * @pool: the pool; the card must have none of its buffers
 *
 * Context: process, port->lock held (or the pool is not yet in port->pools).
 */
void ntzc_pool_unmap(struct ntzc_pool *pool)
{
	u32 i;

	if (!pool->mapped)
		return;
	pool->mapped = false;
	for (i = 0; i < pool->n_chunks; i++) {
		dma_unmap_page(pool->port->dma_dev, pool->chunks[i].dma,
			       PAGE_SIZE << pool->chunks[i].order, pool->dir);
		cond_resched();
	}
}

/* Cut the chunks into buffers; the first to be used is the first of the mapping */
static void ntzc_pool_cut(struct ntzc_pool *pool)
{
	u32 i = 0, c;

	for (c = 0; c < pool->n_chunks; c++) {
		struct ntzc_chunk *chunk = &pool->chunks[c];
		u32 n = min_t(u32, pool->size - i, (PAGE_SIZE << chunk->order) >> pool->shift);
		u32 j;

		for (j = 0; j < n; j++, i++) {
			struct m_buf *m = &pool->bufs[i];

			/* a free buffer's one reference is its next owner's */
			atomic_set(&m->refs, 1);
			m->size = 1u << pool->shift;
			m->head = page_address(chunk->page) + ((size_t)j << pool->shift);
			m->dma = chunk->dma + ((size_t)j << pool->shift);
			m->pool = pool;
			m->desc.handle = i | (pool->tx ? NTZC_HANDLE_TX : 0);
			m->desc.offset = (i << pool->shift) + NTZC_HEADROOM;
			pool->free[pool->size - 1 - i] = m;
		}
		cond_resched();
	}
	pool->n_free = pool->size;
}

/** ntzc_pool_possible() - Return: whether handles and offsets can name that many such buffers. */
bool ntzc_pool_possible(u32 n_bufs, u32 buf_size)
{
	if (buf_size < NTZC_MIN_BUF || buf_size > NTZC_MAX_BUF || !is_power_of_2(buf_size))
		return false;
	/* offsets are 32 bits wide; one page is left for the rounding up */
	return n_bufs && n_bufs <= min_t(u64, NTZC_MAX_BUFS, (1ull << 32) / buf_size) -
				   PAGE_SIZE / NTZC_MIN_BUF;
}

/**
 * ntzc_pool_discard() - free a pool that no device knows
 * @pool: the pool, of ntzc_pool_alloc_new()
 */
void ntzc_pool_discard(struct ntzc_pool *pool)
{
	ntzc_pool_free_memory(pool);
	kfree(pool);
}

/**
 * ntzc_pool_alloc_new() - make a pool, for ntzc_pool_add()
 * @port: the port
 * @n_bufs: buffers; rounded up to fill the last page
 * @buf_size: 2048, 4096, 8192 or 16384 bytes
 * @tx: transmit memory, charged to the caller's memory cgroup, or receive memory
 *
 * The memory is cleared. It is contiguous in chunks as large as memory's
 * fragmentation admits; only the want of a chunk of one buffer fails.
 *
 * Context: process. Return: the pool with one reference, or an ERR_PTR: -EINVAL, -ENOMEM.
 */
struct ntzc_pool *ntzc_pool_alloc_new(struct ntzc_port *port, u32 n_bufs, u32 buf_size, bool tx)
{
	gfp_t gfp = tx ? NTZC_GFP_ACCOUNT : NTZC_GFP;
	struct ntzc_pool *pool;
	u32 per_page;

	if (!ntzc_pool_possible(n_bufs, buf_size))
		return ERR_PTR(-EINVAL);
	per_page = max_t(u32, PAGE_SIZE / buf_size, 1);

	pool = kzalloc(sizeof(*pool), gfp);
	if (!pool)
		return ERR_PTR(-ENOMEM);
	spin_lock_init(&pool->lock);
	kref_init(&pool->ref);
	INIT_WORK(&pool->free_work, ntzc_pool_free_work);
	INIT_LIST_HEAD(&pool->mappings);
	init_waitqueue_head(&pool->idle_wait);
	pool->port = port;
	pool->tx = tx;
	/* receive buffers are also sent from, when a tap forwards them */
	pool->dir = tx ? DMA_TO_DEVICE : DMA_BIDIRECTIONAL;
	pool->size = roundup(n_bufs, per_page);
	pool->mask = roundup_pow_of_two(pool->size + 1) - 1;
	pool->shift = ilog2(buf_size);

	pool->bufs = kvcalloc(pool->size, sizeof(*pool->bufs), gfp);
	pool->free = kvcalloc(pool->size, sizeof(struct m_buf *), gfp);
	if (!pool->bufs || !pool->free || ntzc_pool_alloc_chunks(pool, gfp)) {
		ntzc_pool_discard(pool);
		return ERR_PTR(-ENOMEM);
	}
	return pool;
}

/**
 * ntzc_pool_add() - map a new pool for its port's device
 * @pool: the pool, of ntzc_pool_alloc_new()
 *
 * Context: process, port->lock held, and the port not gone. Return: 0 or -ENOMEM.
 */
int ntzc_pool_add(struct ntzc_pool *pool)
{
	struct ntzc_port *port = pool->port;
	int err = ntzc_pool_map(pool);

	if (err)
		return err;
	ntzc_pool_cut(pool);
	kref_get(&port->ref);
	list_add(&pool->link, &port->pools);
	return 0;
}

/**
 * ntzc_pool_create() - make a pool of receive memory
 * @port: the port
 * @n_bufs: as for ntzc_pool_alloc_new()
 * @buf_size: likewise
 *
 * Context: process, port->lock held. Return: as ntzc_pool_alloc_new().
 */
struct ntzc_pool *ntzc_pool_create(struct ntzc_port *port, u32 n_bufs, u32 buf_size)
{
	struct ntzc_pool *pool = ntzc_pool_alloc_new(port, n_bufs, buf_size, false);
	int err;

	if (IS_ERR(pool))
		return pool;
	err = ntzc_pool_add(pool);
	if (err) {
		ntzc_pool_discard(pool);
		return ERR_PTR(err);
	}
	return pool;
}

/**
 * ntzc_pool_marks() - a tap's marks for a pool, none set
 * @pool: the pool
 *
 * Context: process. Return: the marks, to be freed by kvfree(), or NULL without memory.
 */
u32 *ntzc_pool_marks(const struct ntzc_pool *pool)
{
	u32 n = pool->mask + 1, *marks = kvcalloc(n, sizeof(*marks), NTZC_GFP_ACCOUNT);

	if (!marks)
		return NULL;
	memset(marks, 0xff, n * sizeof(*marks));	/* NTZC_MARK_NONE */
	marks[pool->mask] = 0;	/* the place of all ones: see NTZC_MARK_NONE */
	return marks;
}

/** ntzc_pool_bytes() - Return: the memory that the pool takes, metadata included, bytes. */
u64 ntzc_pool_bytes(const struct ntzc_pool *pool)
{
	return (u64)pool->size * ((1u << pool->shift) + sizeof(*pool->bufs) + sizeof(*pool->free)) +
		sizeof(*pool) + (u64)pool->n_chunks * sizeof(*pool->chunks);
}

/**
 * ntzc_pool_alloc() - take free buffers, with their one reference each
 * @pool: the pool
 * @m: where to put them
 * @n: how many are wanted
 * @starving: queues, a bit each, to be refilled later if there are fewer
 *
 * Context: any but hard interrupts.
 * Return: how many there were, at most @n.
 */
unsigned int ntzc_pool_alloc(struct ntzc_pool *pool, struct m_buf **m, unsigned int n,
			     u64 starving)
{
	unsigned int i;
	u32 left;

	spin_lock_bh(&pool->lock);
	left = pool->n_free;
	if (unlikely(n > left)) {
		n = left;
		pool->starved |= starving;
	}
#pragma GCC unroll 4
	for (i = 0; i < n; i++)
		m[i] = pool->free[--left];
	WRITE_ONCE(pool->n_free, left);
	spin_unlock_bh(&pool->lock);
	return n;
}

/**
 * ntzc_pool_offer() - take free buffers of transmit memory for a program
 * @pool: the pool
 * @held: the tap's marks for it, to be set; under hold_lock
 * @to: where the program is told of them
 * @n: how many are wanted
 *
 * Context: any but hard interrupts. Return: how many there were, at most @n.
 */
unsigned int ntzc_pool_offer(struct ntzc_pool *pool, u32 *held, struct ntzc_tx_buf *to,
			     unsigned int n)
{
	const u32 mask = pool->mask, shift = pool->shift;
	struct m_buf **free;
	unsigned int i;

	spin_lock_bh(&pool->lock);
	n = min(n, pool->n_free);
	free = &pool->free[pool->n_free];
#pragma GCC unroll 4
	for (i = 0; i < n; i++) {
		u32 handle = (*--free)->desc.handle, index = handle & mask;

		to[i].handle = handle;
		to[i].offset = (index << shift) + NTZC_HEADROOM;
		held[index] = handle;
	}
	WRITE_ONCE(pool->n_free, pool->n_free - n);
	spin_unlock_bh(&pool->lock);
	return n;
}

/* Queues that came up short want to know; takes them off the pool's list. Under pool->lock */
static u64 ntzc_pool_take_starved(struct ntzc_pool *pool)
{
	u64 starved = pool->starved;

	if (unlikely(starved))
		pool->starved = 0;
	return starved;
}

static void ntzc_pool_feed(struct ntzc_pool *pool, u64 starved)
{
	struct ntzc_port *port = pool->port;
	unsigned int i;

	rcu_read_lock();
	/* pairs with synchronize_net() in ntzc_port_detach(): no call into a driver that left */
	if (!READ_ONCE(port->gone))
		for (i = 0; i < port->max_queues; i++)
			if (starved & BIT_ULL(i))
				port->ops->refill(&port->queues[i]);
	rcu_read_unlock();
}

/**
 * ntzc_pool_restore() - give back buffers whose handles are stale, or were never told
 * @pool: the pool, of all of them
 * @m: the buffers
 * @n: how many
 *
 * Context: any but hard interrupts.
 */
void ntzc_pool_restore(struct ntzc_pool *pool, struct m_buf **m, unsigned int n)
{
	u64 starved;

	if (!n)
		return;
	spin_lock_bh(&pool->lock);
	memcpy(&pool->free[pool->n_free], m, n * sizeof(*m));
	WRITE_ONCE(pool->n_free, pool->n_free + n);
	starved = ntzc_pool_take_starved(pool);
	spin_unlock_bh(&pool->lock);
	if (unlikely(starved))
		ntzc_pool_feed(pool, starved);
}

/**
 * ntzc_pool_free() - give back buffers that have no holder any more
 * @pool: the pool, of all of them
 * @m: the buffers
 * @n: how many
 *
 * Context: any but hard interrupts.
 */
void ntzc_pool_free(struct ntzc_pool *pool, struct m_buf **m, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		m_buf_retire(m[i]);
	ntzc_pool_restore(pool, m, n);
}

/**
 * ntzc_pool_launch() - buffers are about to go to the card for transmit
 * @pool: the pool, of all of them
 * @m: the buffers, each with a reference that goes along
 * @n: how many
 *
 * Context: any but hard interrupts.
 */
void ntzc_pool_launch(struct ntzc_pool *pool, struct m_buf **m, unsigned int n)
{
	unsigned int i;

	spin_lock_bh(&pool->lock);
	if (!pool->in_flight)
		kref_get(&pool->ref);
	WRITE_ONCE(pool->in_flight, pool->in_flight + n);
	if (!pool->tx)
		for (i = 0; i < n; i++)
			m[i]->in_flight++;
	spin_unlock_bh(&pool->lock);
}

/* Nothing is in flight any more: tell who waits for that, and drop the reference of all that was */
static void ntzc_pool_idle(struct ntzc_pool *pool)
{
	if (wq_has_sleeper(&pool->idle_wait))
		wake_up_interruptible(&pool->idle_wait);
	ntzc_pool_put(pool);
}

/**
 * ntzc_pool_recall() - the card did not take these after all; the caller has them again
 * @pool: the pool, of all of them
 * @m: the buffers, as launched
 * @n: how many
 *
 * Context: any but hard interrupts.
 */
void ntzc_pool_recall(struct ntzc_pool *pool, struct m_buf **m, unsigned int n)
{
	unsigned int i;
	bool last;

	spin_lock_bh(&pool->lock);
	if (!pool->tx)
		for (i = 0; i < n; i++)
			m[i]->in_flight--;
	WRITE_ONCE(pool->in_flight, pool->in_flight - n);
	last = !pool->in_flight;
	spin_unlock_bh(&pool->lock);
	if (last)
		ntzc_pool_idle(pool);
}

/* Received frames, which others may hold still. Return: where the free ones end. */
static __always_inline struct m_buf **ntzc_pool_land_shared(struct m_buf **free, struct m_buf **m,
							    unsigned int n)
{
	struct m_buf **end = m + n;

#pragma GCC unroll 4
	for (; m != end; m++) {
		struct m_buf *one = *m;

		one->in_flight--;
		if (m_buf_unref(one)) {
			WRITE_ONCE(one->desc.handle, ntzc_handle_next(one->desc.handle, false));
			*free++ = one;
		}
	}
	return free;
}

/* A tap's own buffers: the transmission was the only holder. Return: as above. */
static __always_inline struct m_buf **ntzc_pool_land_own(struct m_buf **free, struct m_buf **m,
							 unsigned int n)
{
	struct m_buf **end = m + n;

#pragma GCC unroll 4
	for (; m != end; m++) {
		struct m_buf *one = *m;

		WRITE_ONCE(one->desc.handle, ntzc_handle_next(one->desc.handle, true));
		*free++ = one;
	}
	return free;
}

/**
 * ntzc_pool_land() - the card is done with buffers; their references go
 * @pool: the pool, of all of them
 * @m: the buffers, as launched
 * @n: how many
 * @status: 0 if they were sent
 *
 * Context: any but hard interrupts.
 */
void ntzc_pool_land(struct ntzc_pool *pool, struct m_buf **m, unsigned int n, int status)
{
	struct m_buf **free;
	u64 starved;
	bool last;

	spin_lock_bh(&pool->lock);
	WRITE_ONCE(pool->in_flight, pool->in_flight - n);
	last = !pool->in_flight;
	free = &pool->free[pool->n_free];
	free = pool->tx ? ntzc_pool_land_own(free, m, n) : ntzc_pool_land_shared(free, m, n);
	WRITE_ONCE(pool->n_free, free - pool->free);
	if (likely(!status))
		pool->tx_completed += n;
	else
		pool->tx_failed += n;
	starved = ntzc_pool_take_starved(pool);
	spin_unlock_bh(&pool->lock);
	if (unlikely(starved))
		ntzc_pool_feed(pool, starved);
	if (last)
		ntzc_pool_idle(pool);
}

/**
 * m_buf_alloc() - a fresh packet
 * @pool: where from
 *
 * Context: any but hard interrupts.
 * Return: an empty packet with NTZC_HEADROOM and one reference, or NULL.
 */
struct m_buf *m_buf_alloc(struct ntzc_pool *pool)
{
	struct m_buf *m;

	if (!ntzc_pool_alloc(pool, &m, 1, 0))
		return NULL;
	m->desc = (struct ntzc_desc) {
		.handle = m->desc.handle,
		.offset = (m->desc.offset & ~(m->size - 1)) | NTZC_HEADROOM,
	};
	return m;
}
EXPORT_SYMBOL_GPL(m_buf_alloc);

/**
 * m_buf_free() - drop a reference; the last one frees the buffer
 * @m: the packet
 *
 * Context: any but hard interrupts.
 */
void m_buf_free(struct m_buf *m)
{
	if (m_buf_unref(m))
		ntzc_pool_free(m->pool, &m, 1);
}
EXPORT_SYMBOL_GPL(m_buf_free);
