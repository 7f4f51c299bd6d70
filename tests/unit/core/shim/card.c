// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A card that does not exist, and its driver: it owns what it was given, in
 * rings as real ones have; it looks at memory by DMA address alone; and it
 * objects when it is given a buffer that is elsewhere too.
 */
#include <stdio.h>

#include "card.h"

struct card *cards;

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

/* whether any card has it in a receive ring, or in a transmit ring */
static bool on_a_card(const struct m_buf *m, bool tx)
{
	const struct card *c;
	unsigned int i;

	for (c = cards; c; c = c->next)
		for (i = 0; i < c->max_queues; i++)
			if (in_ring(tx ? &c->tx[i] : &c->rx[i], m))
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
		memmove(r->dma, &r->dma[n], (r->n - n) * sizeof(r->dma[0]));
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
	unsigned int n, i;

	n = ntzc_rx_refill(q, m, c->rx_size - r->n);
	for (i = 0; i < n; i++) {
		if (on_a_card(m[i], false) || on_a_card(m[i], true))
			shim_bug("buffer %#x given to the card twice", m[i]->desc.handle);
		if (atomic_read(&m[i]->refs) != 1)
			shim_bug("buffer given to the card with %d references",
				 atomic_read(&m[i]->refs));
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

static void log_sent(struct card *c, unsigned int q, struct m_buf *m, dma_addr_t dma)
{
	u32 len = m_buf_len(m);
	const u8 *bytes = shim_dma_access(&c->dev, dma, len, false);
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
	struct card_ring *r = &w->c->tx[w->q];
	unsigned int i, n = min(w->n, r->n), first = w->newest ? r->n - n : 0;
	struct m_buf *m[MAX_RING];

	if (!w->status)
		for (i = first; i < first + n; i++)
			log_sent(w->c, w->q, r->m[i], r->dma[i]);
	w->done = ring_take(r, m, n, w->newest);
	if (w->done)
		ntzc_tx_complete(ntzc_port_queue(w->c->port, w->q), m, w->done, w->status);
}

static bool has_rings(const struct ntzc_tap *tap)
{
	return tap && tap->tx_door.rings;
}

/*
 * Completions on another processor while this one is sending: of all before the
 * first that would have it wait for the sender's locks, to serve a tap's rings.
 */
static void complete_elsewhere(struct card *c, unsigned int q)
{
	struct completion w = { .c = c, .q = q };
	unsigned int n = min(c->completes, c->tx[q].n);

	/* likewise, to serve rings that wait for room */
	if (ntzc_port_queue(c->port, q)->tx_behind)
		n = 0;
	while (w.n < n && !has_rings(c->tx[q].m[w.n]->pool->tap))
		w.n++;
	c->completes = 0;
	shim_softirq(complete, &w);
}

static unsigned int op_transmit(struct ntzc_queue *q, struct m_buf **m, const dma_addr_t *dma,
				unsigned int n)
{
	struct card *c = card_of(q->port);
	struct card_ring *r = &c->tx[q->index];
	unsigned int take = min3(n, c->tx_size - r->n, c->take_at_most), i;

	check_alive(c, "transmit");
	if (!c->running)
		shim_bug("ops->transmit while the card is down");
	if (!lockdep_is_held(&q->tx_lock))
		shim_bug("ops->transmit without tx_lock");
	for (i = 0; i < take; i++) {
		if (on_a_card(m[i], false) || (m[i]->pool->tx && on_a_card(m[i], true)))
			shim_bug("buffer %#x sent while a card has it", m[i]->desc.handle);
		if (!dma != (m[i]->pool->port == q->port))
			shim_bug("addresses of %s port's buffers", dma ? "the same" : "another");
		if (m_buf_headroom(m[i]) + m_buf_len(m[i]) > m[i]->size)
			shim_bug("DMA past the end of a buffer");
		r->dma[r->n] = dma ? dma[i] : m_buf_dma(m[i]);
		shim_dma_access(&c->dev, r->dma[r->n], m_buf_len(m[i]), false);
		r->m[r->n++] = m[i];
	}
	/* meanwhile, elsewhere: what comes between the core's two looks at a full ring */
	if (take < n && c->completes)
		complete_elsewhere(c, q->index);
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

/* ---- polls ---- */

static void poll_once(void *arg)
{
	struct ntzc_queue *q = arg;
	struct card *c = card_of(q->port);
	struct card_frame *frames = c->wire[q->index].frames;
	unsigned int n = c->wire[q->index].n;

	c->wire[q->index].polls++;
	c->wire[q->index].n = 0;
	card_receive(c, q->index, frames, n);
	card_refill(c, q->index);
}

void card_wire(struct card *c, uint32_t q, struct card_frame *f, uint32_t n)
{
	c->wire[q].frames = f;
	c->wire[q].n = n;
	c->wire[q].polls = 0;
}

uint32_t card_polls(const struct card *c, uint32_t q)
{
	return c->wire[q].polls;
}

static void card_add_napi(struct card *c)
{
	static unsigned int next_id = MIN_NAPI_ID;
	unsigned int i;

	for (i = 0; i < c->max_queues; i++) {
		struct ntzc_queue *q = ntzc_port_queue(c->port, i);

		c->napi[i] = (struct napi_struct){ .napi_id = next_id++, .poll = poll_once, .arg = q };
		q->napi = &c->napi[i];
	}
}

void napi_busy_loop(unsigned int id, bool (*end)(void *, unsigned long), void *arg,
		    bool prefer, u16 budget)
{
	const struct card *c;
	unsigned int i;

	(void)end, (void)arg, (void)prefer, (void)budget;
	shim_might_sleep("napi_busy_loop");
	for (c = cards; c; c = c->next)
		for (i = 0; i < c->max_queues; i++)
			if (c->napi[i].napi_id == id)
				shim_softirq(c->napi[i].poll, c->napi[i].arg);
}

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
		.ifindex = 2 + config->number, .dev_addr = c->mac, .net = shim_net(), .carrier = true,
	};
	snprintf(c->netdev.name, sizeof(c->netdev.name), "tap%u", config->number);
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
	ntzc_port_set_slots(c->port, c->n_queues * c->rx_size);
	card_add_napi(c);
	*err = ntzc_port_attach(c->port);
	if (*err) {
		ntzc_port_destroy(c->port);
		free(c);
		return NULL;
	}
	/* the tests look at the port after the driver left it */
	kref_get(&c->port->ref);
	c->next = cards;
	cards = c;
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

void card_detach(struct card *c)
{
	ntzc_port_detach(c->port);
	c->detached = true;
}

void card_remove(struct card *c)
{
	if (!c->detached)
		card_detach(c);
	card_down(c);
	ntzc_port_destroy(c->port);
	c->destroyed = true;
}

void card_free(struct card *c)
{
	struct card **at = &cards;

	while (*at && *at != c)
		at = &(*at)->next;
	if (*at)
		*at = c->next;
	while (c->sent) {
		struct sent *s = c->sent;

		c->sent = s->next;
		free(s);
	}
	ntzc_port_put(c->port);
	free(c);
}

void card_forget_all(void)
{
	/* a failed test's: who still has one may look at it */
	cards = NULL;
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

int card_set_ring(struct card *c, uint32_t n)
{
	int err = 0;

	unsigned int old = c->rx_size;

	rtnl_lock();
	if (c->running)
		ntzc_port_down(c->port);
	else
		err = -ENETDOWN;
	c->rx_size = n;
	if (!err)
		err = ntzc_port_up(c->port, c->n_queues * c->rx_size);
	if (err == -EBUSY) {
		c->rx_size = old;
		if (ntzc_port_up(c->port, c->n_queues * c->rx_size))
			shim_bug("the old rings cannot be had back");
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

void card_hide_sent(struct card *c, uint32_t q, int32_t n)
{
	ntzc_port_queue(c->port, q)->tx_frames -= n;
}

int card_host_room(const struct card *c)
{
	return c->host_room;
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
	unsigned int i, k, n;

	w->done = ring_take(&w->c->rx[w->q], m, w->n, false);
	w->c->rx_missed += w->n - w->done;
	for (i = 0; i < w->done; i++) {
		struct card_frame *f = &w->f[i];
		u8 *to = shim_dma_access(&w->c->dev, m_buf_rx_dma(m[i]), f->len, true);

		if (to)
			frame_bytes(to, f->len, f->seed);
		m_buf_received(m[i], q->index, f->len, f->hash, f->hash_type, f->flags & ~NTZC_RX_VLAN);
		if (f->flags & NTZC_RX_VLAN)
			m_buf_set_vlan(m[i], f->vlan_tci);
		f->handle = m[i]->desc.handle;
	}
	for (i = 0; i < w->done; i += n) {
		u64 bytes = 0;

		n = min(w->done - i, (unsigned int)NTZC_BATCH);
		for (k = i; k < i + n; k++)
			bytes += w->f[k].len;
		ntzc_rx_deliver(q, m + i, n, bytes);
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

