// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Mappings of one port's packet memory for another port's device, so that a
 * frame can be sent there by reference. A pool has at most one for each port.
 * It lives as long as the pool does, and so as long as anything of it is in
 * flight; or until the port goes, which has given back all that it had.
 */
#include <linux/dma-mapping.h>
#include <linux/slab.h>

#include "core.h"

/* guards all lists of mappings; innermost of the mutexes */
static DEFINE_MUTEX(ntzc_map_lock);

static void ntzc_map_free(struct ntzc_mapping *map)
{
	kvfree(map->chunk_dma);
	kvfree(map->dma);
	kfree(map);
}

static void ntzc_map_undo(struct ntzc_mapping *map, u32 n_chunks)
{
	while (n_chunks--) {
		dma_unmap_page(map->port->dma_dev, map->chunk_dma[n_chunks],
			       PAGE_SIZE << map->pool->chunks[n_chunks].order, DMA_TO_DEVICE);
		cond_resched();
	}
}

static int ntzc_map_chunks(struct ntzc_mapping *map)
{
	const struct ntzc_pool *pool = map->pool;
	struct device *dev = map->port->dma_dev;
	u32 c, i = 0, j, n;

	for (c = 0; c < pool->n_chunks; c++) {
		const struct ntzc_chunk *chunk = &pool->chunks[c];
		dma_addr_t dma = dma_map_page(dev, chunk->page, 0, PAGE_SIZE << chunk->order,
					      DMA_TO_DEVICE);

		if (dma_mapping_error(dev, dma)) {
			ntzc_map_undo(map, c);
			return -ENOMEM;
		}
		map->chunk_dma[c] = dma;
		map->need_sync |= dma_need_sync(dev, dma);
		cond_resched();
		/* as ntzc_pool_cut() cuts them */
		n = min_t(u32, pool->size - i, (PAGE_SIZE << chunk->order) >> pool->shift);
		for (j = 0; j < n; j++)
			map->dma[i++] = dma + ((size_t)j << pool->shift);
	}
	return 0;
}

/* What takes memory. Charged to the caller, who may have to wait for it: no lock is held. */
static struct ntzc_mapping *ntzc_map_alloc(struct ntzc_pool *pool, struct ntzc_port *port)
{
	struct ntzc_mapping *map = kzalloc(sizeof(*map), GFP_KERNEL_ACCOUNT);

	if (!map)
		return NULL;
	map->pool = pool;
	map->port = port;
	map->chunk_dma = kvcalloc(pool->n_chunks, sizeof(dma_addr_t), NTZC_GFP_ACCOUNT);
	map->dma = kvcalloc(pool->size, sizeof(dma_addr_t), NTZC_GFP_ACCOUNT);
	if (map->chunk_dma && map->dma)
		return map;
	ntzc_map_free(map);
	return NULL;
}

/* Under ntzc_map_lock */
static struct ntzc_mapping *ntzc_map_find(struct ntzc_pool *pool, const struct ntzc_port *port)
{
	struct ntzc_mapping *map;

	list_for_each_entry(map, &pool->mappings, pool_link)
		if (map->port == port)
			return map;
	return NULL;
}

/* Use a new mapping. Under ntzc_map_lock. */
static int ntzc_map_add(struct ntzc_mapping *map)
{
	int err;

	/* set before ntzc_map_drop_port() */
	if (READ_ONCE(map->port->gone))
		return -ENODEV;
	err = ntzc_map_chunks(map);
	if (err)
		return err;
	kref_get(&map->port->ref);
	list_add(&map->pool_link, &map->pool->mappings);
	list_add(&map->port_link, &map->port->mappings);
	return 0;
}

/**
 * ntzc_map_get() - the mapping of a pool for a port's device, made if there is none
 * @pool: the pool
 * @port: another port than the pool's
 *
 * The mapping is the pool's, and valid until the port goes.
 * Context: process. Return: the mapping, or an ERR_PTR: -ENODEV, -ENOMEM.
 */
struct ntzc_mapping *ntzc_map_get(struct ntzc_pool *pool, struct ntzc_port *port)
{
	struct ntzc_mapping *map, *new;
	int err;

	mutex_lock(&ntzc_map_lock);
	map = ntzc_map_find(pool, port);
	mutex_unlock(&ntzc_map_lock);
	if (map)
		return map;
	if (READ_ONCE(port->gone))
		return ERR_PTR(-ENODEV);
	new = ntzc_map_alloc(pool, port);
	if (!new)
		return ERR_PTR(-ENOMEM);
	mutex_lock(&ntzc_map_lock);
	/* another tap may have been quicker */
	map = ntzc_map_find(pool, port);
	err = map ? 0 : ntzc_map_add(new);
	mutex_unlock(&ntzc_map_lock);
	if (!map && !err)
		return new;
	ntzc_map_free(new);
	return map ?: ERR_PTR(err);
}

/* Under ntzc_map_lock */
static void ntzc_map_unmap(struct ntzc_mapping *map)
{
	if (list_empty(&map->port_link))
		return;
	list_del_init(&map->port_link);
	ntzc_map_undo(map, map->pool->n_chunks);
}

/**
 * ntzc_map_drop_pool() - end all of a pool's mappings for other ports
 * @pool: the pool, of which nothing is in flight
 *
 * Context: process.
 */
void ntzc_map_drop_pool(struct ntzc_pool *pool)
{
	struct ntzc_mapping *map, *next;

	mutex_lock(&ntzc_map_lock);
	list_for_each_entry_safe(map, next, &pool->mappings, pool_link) {
		ntzc_map_unmap(map);
		list_del(&map->pool_link);
		ntzc_port_put(map->port);
		ntzc_map_free(map);
	}
	mutex_unlock(&ntzc_map_lock);
}

/**
 * ntzc_map_drop_port() - end the access of a port's device to others' pools
 * @port: the port, gone; its card does no DMA any more
 *
 * Context: process.
 */
void ntzc_map_drop_port(struct ntzc_port *port)
{
	struct ntzc_mapping *map, *next;

	mutex_lock(&ntzc_map_lock);
	list_for_each_entry_safe(map, next, &port->mappings, port_link)
		ntzc_map_unmap(map);
	mutex_unlock(&ntzc_map_lock);
}
