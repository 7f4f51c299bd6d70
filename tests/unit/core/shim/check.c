// SPDX-License-Identifier: GPL-2.0-or-later
/* Looking at cards and ports: above all, that every buffer is in one place. */
#include "card.h"

void card_queue_state(struct card *c, uint32_t q, struct card_queue_state *s)
{
	const struct ntzc_queue *queue = ntzc_port_queue(c->port, q);

	*s = (struct card_queue_state){
		.posted = c->rx[q].n, .spare = queue->n_spare, .wanted = queue->wanted,
		.pool_free = c->port->rx_pool ? c->port->rx_pool->n_free : 0,
		.sending = c->tx[q].n, .refill_asked = c->refill_asked[q], .tx_full = queue->tx_full,
	};
}

void card_get_stats(struct card *c, struct ntzc_port_stats *st)
{
	*st = (struct ntzc_port_stats){ };
	rtnl_lock();
	ntzc_port_get_stats(c->port, st);
	rtnl_unlock();
	if (st->pool_free + st->pool_card + st->pool_held + st->pool_in_flight != st->pool_size)
		shim_bug("free %llu + card %llu + held %llu + in flight %llu is not %llu",
			 st->pool_free, st->pool_card, st->pool_held, st->pool_in_flight,
			 st->pool_size);
}

void card_get_info(struct card *c, struct ntzc_port_info *info)
{
	*info = (struct ntzc_port_info){ };
	rtnl_lock();
	ntzc_port_get_info(c->port, info);
	rtnl_unlock();
}

int card_promiscuity(const struct card *c)
{
	return c->netdev.promiscuity;
}

uint32_t card_pool_size(const struct card *c)
{
	return c->port->rx_pool ? c->port->rx_pool->size : 0;
}

int card_pool_max_order(const struct card *c)
{
	const struct ntzc_pool *pool = c->port->rx_pool;
	int most = -1;
	u32 i;

	for (i = 0; pool && i < pool->n_chunks; i++)
		most = max(most, (int)pool->chunks[i].order);
	return most;
}

uint32_t card_buf_size(const struct card *c)
{
	return c->port->rx_pool ? 1u << c->port->rx_pool->shift : 0;
}

/* Where one buffer was found: each a count */
struct places {
	u8 free, spare, posted, sending, holders;
};

static void count(struct places *at, const struct ntzc_pool *pool, struct m_buf **m, u32 n,
		  size_t place)
{
	u32 i;

	for (i = 0; i < n; i++)
		if (m[i]->pool == pool)
			((u8 *)&at[m_buf_index(m[i])])[place]++;
}

static void count_marks(struct places *at, const struct ntzc_pool *pool, const u32 *held)
{
	u32 i;

	for (i = 0; i < pool->size; i++)
		at[i].holders += held[i] != NTZC_MARK_NONE;
}

static void check_buffer(const struct ntzc_pool *pool, u32 i, const struct places *p)
{
	const struct m_buf *m = &pool->bufs[i];
	unsigned int idle = p->free + p->spare + p->posted, used = p->holders + p->sending;
	int refs = atomic_read(&m->refs);

	if (idle + !!used != 1)
		shim_bug("%s buffer %u: free %u, spare %u, posted %u, sending %u, held %u",
			 pool->tx ? "transmit" : "receive", i, p->free, p->spare, p->posted,
			 p->sending, p->holders);
	else if (!p->free && refs != (int)(used ?: 1))
		shim_bug("buffer %u: %d references and %u holders", i, refs, used ?: 1);
	if (pool->tx && p->holders > 1)
		shim_bug("transmit buffer %u has %u holders", i, p->holders);
	if (m->in_flight != (pool->tx ? 0 : p->sending))
		shim_bug("buffer %u: in flight %u, the card has %u", i, m->in_flight, p->sending);
	if (m_buf_index(m) != i || m->desc.offset >> pool->shift != i)
		shim_bug("buffer %u thinks that it is another", i);
	if (used && m_buf_headroom(m) + m_buf_len(m) > m->size && !(pool->tx && p->holders))
		shim_bug("buffer %u: the frame ends after it", i);
	if (pool->mapped && p->posted)
		shim_dma_access(pool->port->dma_dev, m->dma, m->size, !pool->tx);
	if (!pool->mapped && p->posted)
		shim_bug("buffer %u: the card has it, and the pool is not mapped", i);
}

static void count_on_card(struct places *at, const struct ntzc_pool *pool, struct card *c)
{
	u32 i;

	for (i = 0; i < c->max_queues; i++) {
		struct ntzc_queue *q = &c->port->queues[i];

		count(at, pool, q->spare, q->n_spare, offsetof(struct places, spare));
		count(at, pool, c->rx[i].m, c->rx[i].n, offsetof(struct places, posted));
		count(at, pool, c->tx[i].m, c->tx[i].n, offsetof(struct places, sending));
	}
}

/* A mapping for another port's device is there as long as that device */
static void check_mappings(const struct ntzc_pool *pool)
{
	const struct ntzc_mapping *map;
	u32 i;

	list_for_each_entry(map, &pool->mappings, pool_link) {
		if (list_empty(&map->port_link))
			continue;
		for (i = 0; i < pool->size; i++)
			shim_dma_access(map->port->dma_dev, map->dma[i], 1u << pool->shift, false);
	}
}

static void check_pool(struct card *c, struct ntzc_pool *pool)
{
	struct places *at = calloc(pool->size, sizeof(*at));
	const struct ntzc_tap *tap;
	struct card *other;
	u32 i, in_flight = 0;

	count(at, pool, pool->free, pool->n_free, offsetof(struct places, free));
	for (other = cards; other; other = other->next)
		count_on_card(at, pool, other);
	check_mappings(pool);
	list_for_each_entry(tap, &c->port->taps, link) {
		if (tap->rx_pool == pool)
			count_marks(at, pool, tap->rx_held);
		if (tap->tx_pool == pool)
			count_marks(at, pool, tap->tx_held);
	}
	for (i = 0; i < pool->size; i++) {
		check_buffer(pool, i, &at[i]);
		in_flight += at[i].sending;
	}
	if (pool->in_flight != in_flight)
		shim_bug("pool: in flight %u, the card has %u", pool->in_flight, in_flight);
	free(at);
}

static void check_chan(const struct ntzc_chan *chan)
{
	u32 held = chan->prod - chan->released;

	if (held > chan->quota)
		shim_bug("a tap holds %u, and its quota is %u", held, chan->quota);
}

void card_check(struct card *c)
{
	const struct ntzc_tap *tap;
	struct ntzc_pool *pool;
	unsigned int i;

	list_for_each_entry(pool, &c->port->pools, link)
		check_pool(c, pool);
	list_for_each_entry(tap, &c->port->taps, link)
		for (i = 0; i < tap->n_chans; i++)
			if (tap->chans[i])
				check_chan(tap->chans[i]);
	for (i = 0; i < c->max_queues; i++)
		if (c->port->queues[i].posted != c->rx[i].n)
			shim_bug("queue %u: posted %u, the card has %u", i, c->port->queues[i].posted,
				 c->rx[i].n);
}
