// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A card that does not exist, and its driver: it owns what it was given, in
 * rings as real ones have; it looks at memory by DMA address alone; and it
 * objects when it is given a buffer that is elsewhere too.
 */
#include <stdio.h>

#include "shim.h"
#include "core.h"

#define MAX_RING	1024
#define MAX_QUEUES	8

struct card_ring {
	struct m_buf *m[MAX_RING];
	unsigned int n;
};

struct sent {
	struct card_sent info;
	struct sent *next;
	u8 bytes[];
};

struct card {
	struct device dev;
	struct net_device netdev;
	u8 mac[6];
	struct ntzc_port *port;
	unsigned int max_queues, n_queues, rx_size, tx_size;
	struct card_ring rx[MAX_QUEUES], tx[MAX_QUEUES];
	bool refill_asked[MAX_QUEUES];
	bool running, detached, destroyed;
	int start_error;
	unsigned int take_at_most, completes;
	u64 rx_missed, rx_errors;
	struct sent *sent, **last_sent;

	struct {
		unsigned int q, complete, n, received, completed;
		struct card_frame *frames;
		bool armed, ran;
	} irq;
};

void frame_bytes(uint8_t *to, uint32_t len, uint32_t seed)
{
	u32 x = seed * 2654435761u | 1, i;

	for (i = 0; i < len; i++) {
		x = x * 1103515245u + 12345;
		to[i] = x >> 16;
	}
}

static bool in_ring(const struct card_ring *r, const struct m_buf *m)
{
	unsigned int i;

	for (i = 0; i < r->n; i++)
		if (r->m[i] == m)
			return true;
	return false;
}

/* Take @n from a ring, from its oldest or newest end */
static unsigned int ring_take(struct card_ring *r, struct m_buf **m, unsigned int n, bool newest)
{
	n = min(n, r->n);
	if (newest) {
		memcpy(m, &r->m[r->n - n], n * sizeof(*m));
	} else {
		memcpy(m, r->m, n * sizeof(*m));
		memmove(r->m, &r->m[n], (r->n - n) * sizeof(*m));
	}
	r->n -= n;
	return n;
}

/* ---- what the core calls ---- */

static struct card *card_of(struct ntzc_port *port)
{
	return ntzc_port_priv(port);
}

static void check_alive(struct card *c, const char *op)
{
	if (c->detached)
		shim_bug("ops->%s after detach", op);
}

static void post(struct card *c, struct ntzc_queue *q)
{
	struct card_ring *r = &c->rx[q->index];
	struct m_buf *m[MAX_RING];
	unsigned int n, i, o;

	n = ntzc_rx_refill(q, m, c->rx_size - r->n);
	for (i = 0; i < n; i++) {
		for (o = 0; o < c->max_queues; o++)
			if (in_ring(&c->rx[o], m[i]) || in_ring(&c->tx[o], m[i]))
				shim_bug("buffer %#x given to the card twice", m[i]->desc.handle);
		if (refcount_read(&m[i]->refs) != 1)
			shim_bug("buffer given to the card with %d references",
				 refcount_read(&m[i]->refs));
		shim_dma_access(&c->dev, m_buf_rx_dma(m[i]), m[i]->size - NTZC_HEADROOM, true);
		r->m[r->n++] = m[i];
	}
	c->refill_asked[q->index] = false;
}

static int op_start(struct ntzc_port *port)
{
	struct card *c = card_of(port);
	unsigned int i, filled;

	check_alive(c, "start");
	if (!lockdep_is_held(&port->lock))
		shim_bug("ops->start without the port's lock");
	/* fail halfway: with one ring filled */
	filled = c->start_error ? 1 : c->n_queues;
	for (i = 0; i < filled; i++)
		post(c, ntzc_port_queue(port, i));
	if (!c->start_error) {
		c->running = true;
		return 0;
	}
	ntzc_rx_return(ntzc_port_queue(port, 0), c->rx[0].m, c->rx[0].n);
	c->rx[0].n = 0;
	return c->start_error;
}

static void op_stop(struct ntzc_port *port)
{
	struct card *c = card_of(port);
	unsigned int i;

	if (!c->running)
		shim_bug("ops->stop of a card that is not running");
	c->running = false;
	for (i = 0; i < c->max_queues; i++) {
		struct ntzc_queue *q = ntzc_port_queue(port, i);

		ntzc_rx_return(q, c->rx[i].m, c->rx[i].n);
		c->rx[i].n = 0;
		ntzc_tx_complete(q, c->tx[i].m, c->tx[i].n, -ENETDOWN);
		c->tx[i].n = 0;
	}
}

static void op_refill(struct ntzc_queue *q)
{
	check_alive(card_of(q->port), "refill");
	card_of(q->port)->refill_asked[q->index] = true;
}

struct completion {
	struct card *c;
	unsigned int q, n, done;
	int status;
	bool newest;
};

static void log_sent(struct card *c, unsigned int q, struct m_buf *m)
{
	u32 len = m_buf_len(m);
	const u8 *bytes = shim_dma_access(&c->dev, m_buf_dma(m), len, false);
	struct sent *s;

	if (!bytes)
		return;
	s = malloc(sizeof(*s) + len);
	s->info = (struct card_sent){
		.len = len, .queue = q, .vlan_tci = m->desc.vlan_tci,
		.flags = m->desc.flags & NTZC_TX_VLAN,
	};
	s->next = NULL;
	memcpy(s->bytes, bytes, len);
	*c->last_sent = s;
	c->last_sent = &s->next;
}

static void complete(void *arg)
{
	struct completion *w = arg;
	struct m_buf *m[MAX_RING];
	unsigned int i;

	w->done = ring_take(&w->c->tx[w->q], m, w->n, w->newest);
	if (!w->status)
		for (i = 0; i < w->done; i++)
			log_sent(w->c, w->q, m[i]);
	if (w->done)
		ntzc_tx_complete(ntzc_port_queue(w->c->port, w->q), m, w->done, w->status);
}

static unsigned int op_transmit(struct ntzc_queue *q, struct m_buf **m, unsigned int n)
{
	struct card *c = card_of(q->port);
	struct card_ring *r = &c->tx[q->index];
	unsigned int take = min3(n, c->tx_size - r->n, c->take_at_most), i, o;

	check_alive(c, "transmit");
	if (!c->running)
		shim_bug("ops->transmit while the card is down");
	if (!lockdep_is_held(&q->tx_lock))
		shim_bug("ops->transmit without tx_lock");
	for (i = 0; i < take; i++) {
		for (o = 0; o < c->max_queues; o++)
			if (in_ring(&c->rx[o], m[i]) || (m[i]->pool->tx && in_ring(&c->tx[o], m[i])))
				shim_bug("buffer %#x sent while the card has it", m[i]->desc.handle);
		if (m_buf_headroom(m[i]) + m_buf_len(m[i]) > m[i]->size)
			shim_bug("DMA past the end of a buffer");
		shim_dma_access(&c->dev, m_buf_dma(m[i]), m_buf_len(m[i]), false);
		r->m[r->n++] = m[i];
	}
	/* meanwhile, elsewhere: what comes between the core's two looks at a full ring */
	if (take < n && c->completes) {
		struct completion w = { .c = c, .q = q->index, .n = c->completes };

		c->completes = 0;
		shim_softirq(complete, &w);
		c->irq.completed += w.done;
	}
	return take;
}

static void op_wake(struct ntzc_queue *q)
{
	check_alive(card_of(q->port), "wake");
}

static void op_stats(struct ntzc_port *port, struct ntzc_hw_stats *stats)
{
	stats->rx_missed += card_of(port)->rx_missed;
	stats->rx_errors += card_of(port)->rx_errors;
}

static const struct ntzc_port_ops card_ops = {
	.start = op_start, .stop = op_stop, .refill = op_refill,
	.transmit = op_transmit, .wake = op_wake, .stats = op_stats,
};

/* ---- its life ---- */

struct card *card_create(const struct card_config *config, int *err)
{
	struct card *c = calloc(1, sizeof(*c));
	struct ntzc_port_setup setup = {
		.netdev = &c->netdev, .dma_dev = &c->dev, .ops = &card_ops, .priv = c,
		.max_queues = config->n_queues,
	};

	c->dev = (struct device){
		.name = "0000:01:00.0", .node = -1, .bounces = config->bounces,
		.max_mapping = config->max_mapping ?: SIZE_MAX,
	};
	c->netdev = (struct net_device){
		.name = "tap0", .ifindex = 2, .dev_addr = c->mac, .net = shim_net(), .carrier = true,
	};
	c->max_queues = c->n_queues = config->n_queues;
	c->rx_size = config->rx_ring;
	c->tx_size = config->tx_ring;
	c->take_at_most = UINT_MAX;
	c->last_sent = &c->sent;
	c->port = ntzc_port_create(&setup);
	*err = PTR_ERR_OR_ZERO(c->port);
	if (*err) {
		free(c);
		return NULL;
	}
	/* as PORT_CONFIG would; the harness keeps the rules that the call checks */
	c->port->n_bufs = config->n_bufs;
	c->port->rx_slots = c->n_queues * c->rx_size;
	*err = ntzc_port_attach(c->port);
	if (*err) {
		ntzc_port_destroy(c->port);
		free(c);
		return NULL;
	}
	/* the tests look at the port after the driver left it */
	kref_get(&c->port->ref);
	return c;
}

int card_up(struct card *c)
{
	int err;

	rtnl_lock();
	err = ntzc_port_up(c->port, c->n_queues * c->rx_size);
	rtnl_unlock();
	return err;
}

void card_down(struct card *c)
{
	rtnl_lock();
	ntzc_port_down(c->port);
	rtnl_unlock();
}

void card_remove(struct card *c)
{
	ntzc_port_detach(c->port);
	c->detached = true;
	card_down(c);
	ntzc_port_destroy(c->port);
	c->destroyed = true;
}

void card_free(struct card *c)
{
	while (c->sent) {
		struct sent *s = c->sent;

		c->sent = s->next;
		free(s);
	}
	ntzc_port_put(c->port);
	free(c);
}

int card_set_frame(struct card *c, uint32_t frame_max)
{
	bool was_up = c->running;
	int err;

	rtnl_lock();
	err = ntzc_port_check_frame(c->port, frame_max);
	if (!err) {
		if (was_up)
			ntzc_port_down(c->port);
		ntzc_port_set_frame(c->port, frame_max);
		if (was_up)
			err = ntzc_port_up(c->port, c->n_queues * c->rx_size);
	}
	rtnl_unlock();
	return err;
}

int card_set_queues(struct card *c, uint32_t n)
{
	bool was_up = c->running;
	int err;

	rtnl_lock();
	if (was_up)
		ntzc_port_down(c->port);
	err = ntzc_port_set_queues(c->port, n);
	if (!err)
		c->n_queues = n;
	if (was_up) {
		int up = ntzc_port_up(c->port, c->n_queues * c->rx_size);

		err = err ?: up;
	}
	rtnl_unlock();
	return err;
}

int card_configure(struct card *c, uint32_t buf_size, uint32_t n_bufs)
{
	int err;

	rtnl_lock();
	err = ntzc_port_configure(c->port, buf_size, n_bufs);
	rtnl_unlock();
	return err;
}

bool card_is_up(const struct card *c)
{
	return c->running;
}

void card_fail_start(struct card *c, int err)
{
	c->start_error = err;
}

void card_limit_transmit(struct card *c, uint32_t at_most, uint32_t completes)
{
	c->take_at_most = at_most;
	c->completes = completes;
}

/* ---- what happens on the wire ---- */

struct arrival {
	struct card *c;
	unsigned int q, n, done;
	struct card_frame *f;
};

static void receive(void *arg)
{
	struct arrival *w = arg;
	struct ntzc_queue *q = ntzc_port_queue(w->c->port, w->q);
	struct m_buf *m[MAX_RING];
	unsigned int i, n;

	w->done = ring_take(&w->c->rx[w->q], m, w->n, false);
	w->c->rx_missed += w->n - w->done;
	for (i = 0; i < w->done; i++) {
		struct card_frame *f = &w->f[i];
		u8 *to = shim_dma_access(&w->c->dev, m_buf_rx_dma(m[i]), f->len, true);

		if (to)
			frame_bytes(to, f->len, f->seed);
		m_buf_received(m[i], f->len, f->hash, NTZC_HASH_IPV4, f->flags & ~NTZC_RX_VLAN);
		if (f->flags & NTZC_RX_VLAN)
			m_buf_set_vlan(m[i], f->vlan_tci);
		f->handle = m[i]->desc.handle;
	}
	for (i = 0; i < w->done; i += n) {
		n = min(w->done - i, (unsigned int)NTZC_BATCH);
		ntzc_rx_deliver(q, m + i, n);
	}
}

uint32_t card_receive(struct card *c, uint32_t q, struct card_frame *f, uint32_t n)
{
	struct arrival w = { .c = c, .q = q, .n = n, .f = f };

	if (c->running)
		shim_softirq(receive, &w);
	return w.done;
}

struct refill {
	struct card *c;
	unsigned int q, n;
};

static void reject(void *arg)
{
	struct refill *w = arg;
	struct m_buf *m[MAX_RING];

	w->n = ring_take(&w->c->rx[w->q], m, w->n, false);
	w->c->rx_errors += w->n;
	ntzc_rx_return(ntzc_port_queue(w->c->port, w->q), m, w->n);
}

uint32_t card_reject(struct card *c, uint32_t q, uint32_t n)
{
	struct refill w = { .c = c, .q = q, .n = n };

	if (!c->running)
		return 0;
	shim_softirq(reject, &w);
	return w.n;
}

static void refill(void *arg)
{
	struct refill *w = arg;

	post(w->c, ntzc_port_queue(w->c->port, w->q));
}

void card_refill(struct card *c, uint32_t q)
{
	struct refill w = { .c = c, .q = q };

	if (c->running && q < c->n_queues)
		shim_softirq(refill, &w);
}

uint32_t card_complete(struct card *c, uint32_t q, uint32_t n, int status, bool newest)
{
	struct completion w = { .c = c, .q = q, .n = n, .status = status, .newest = newest };

	shim_softirq(complete, &w);
	return w.done;
}

static void interrupt(void *arg)
{
	struct card *c = arg;

	c->irq.ran = true;
	c->irq.armed = false;
	if (!c->running)
		return;
	c->irq.completed += card_complete(c, c->irq.q, c->irq.complete, 0, false);
	c->irq.received = card_receive(c, c->irq.q, c->irq.frames, c->irq.n);
	card_refill(c, c->irq.q);
}

void card_interrupt(struct card *c, uint32_t unlocks, uint32_t q, uint32_t complete,
		    struct card_frame *f, uint32_t n)
{
	c->irq.q = q;
	c->irq.complete = complete;
	c->irq.frames = f;
	c->irq.n = n;
	c->irq.received = c->irq.completed = 0;
	c->irq.ran = false;
	shim_interrupt_in(unlocks, interrupt, c);
}

bool card_interrupted(struct card *c, uint32_t *received, uint32_t *completed)
{
	shim_interrupt_pending();
	*received = c->irq.received;
	*completed = c->irq.completed;
	c->irq.received = c->irq.completed = 0;
	return c->irq.ran;
}

int card_pop_sent(struct card *c, struct card_sent *sent, uint8_t *bytes, uint32_t max)
{
	struct sent *s = c->sent;
	int len;

	if (!s)
		return -1;
	*sent = s->info;
	len = min(s->info.len, max);
	memcpy(bytes, s->bytes, len);
	c->sent = s->next;
	if (!c->sent)
		c->last_sent = &c->sent;
	free(s);
	return len;
}

/* ---- looking ---- */

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

static void count_marks(struct places *at, const struct ntzc_pool *pool, const u8 *held)
{
	u32 i;

	for (i = 0; i < pool->size; i++)
		at[i].holders += !!held[i];
}

static void check_buffer(const struct ntzc_pool *pool, u32 i, const struct places *p)
{
	const struct m_buf *m = &pool->bufs[i];
	unsigned int idle = p->free + p->spare + p->posted, used = p->holders + p->sending;
	int refs = refcount_read(&m->refs);

	if (idle + !!used != 1)
		shim_bug("%s buffer %u: free %u, spare %u, posted %u, sending %u, held %u",
			 pool->tx ? "transmit" : "receive", i, p->free, p->spare, p->posted,
			 p->sending, p->holders);
	else if (!p->free && refs != (int)(used ?: 1))
		shim_bug("buffer %u: %d references and %u holders", i, refs, used ?: 1);
	if (pool->tx && p->holders > 1)
		shim_bug("transmit buffer %u has %u holders", i, p->holders);
	if (m->in_flight != p->sending)
		shim_bug("buffer %u: in flight %u, the card has %u", i, m->in_flight, p->sending);
	if (m_buf_index(m) != i || m->desc.offset >> pool->shift != i)
		shim_bug("buffer %u thinks that it is another", i);
	if (used && m_buf_headroom(m) + m_buf_len(m) > m->size && !(pool->tx && p->holders))
		shim_bug("buffer %u: the frame ends after it", i);
	if (pool->mapped && (p->posted || p->sending))
		shim_dma_access(pool->port->dma_dev, m->dma, m->size, !pool->tx);
	if (!pool->mapped && (p->posted || p->sending))
		shim_bug("buffer %u: the card has it, and the pool is not mapped", i);
}

static void check_pool(struct card *c, struct ntzc_pool *pool)
{
	struct places *at = calloc(pool->size, sizeof(*at));
	const struct ntzc_tap *tap;
	u32 i, in_flight = 0;

	count(at, pool, pool->free, pool->n_free, offsetof(struct places, free));
	for (i = 0; i < c->max_queues; i++) {
		struct ntzc_queue *q = &c->port->queues[i];

		count(at, pool, q->spare, q->n_spare, offsetof(struct places, spare));
		count(at, pool, c->rx[i].m, c->rx[i].n, offsetof(struct places, posted));
		count(at, pool, c->tx[i].m, c->tx[i].n, offsetof(struct places, sending));
	}
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
	u32 held = chan->prod - chan->released, waiting = chan->prod - chan->cons;

	if (held > chan->quota)
		shim_bug("a tap holds %u, and its quota is %u", held, chan->quota);
	if (waiting > chan->mask + 1)
		shim_bug("%u frames wait in a ring of %u", waiting, chan->mask + 1);
}

void card_check(struct card *c)
{
	const struct ntzc_tap *tap;
	struct ntzc_port_stats st;
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
	if (c->detached)
		return;
	card_get_stats(c, &st);
	if (st.pool_free + st.pool_card + st.pool_held + st.pool_in_flight != st.pool_size)
		shim_bug("free %llu + card %llu + held %llu + in flight %llu is not %llu", st.pool_free,
			 st.pool_card, st.pool_held, st.pool_in_flight, st.pool_size);
}
