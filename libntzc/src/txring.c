// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The tap's transmit rings. They are the door as long as the kernel is awake:
 * buffers come from the free ring and descriptors go into the transmit ring
 * without a call. When the kernel has to be called in any case, the call is
 * TX_RESERVE or TX_SUBMIT itself, which says at once what is wrong. So it is
 * for other ports than the tap's own: the ring is in order, and one of those
 * that is down or gone would hold up all that is behind.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "internal.h"

void ntzc_txq_init(struct ntzc_tap *tap)
{
	struct ntzc_txq *q = &tap->txq;

	pthread_mutex_init(&q->lock, NULL);
	q->frame_max = tap->attach.frame_max;
}

int ntzc_txq_open(struct ntzc_tap *tap)
{
	const struct ntzc_tx_setup *setup = &tap->tx;
	struct ntzc_txq *q = &tap->txq;
	void *map;
	int err;

	q->reserved = calloc(setup->n_bufs, sizeof(*q->reserved));
	if (!q->reserved)
		return -ENOMEM;
	err = ntzc_map(tap->fd, PROT_READ | PROT_WRITE, setup->rings_bytes, NTZC_MMAP_TX_RINGS,
		       &map);
	if (err) {
		free(q->reserved);
		q->reserved = NULL;
		return err;
	}
	q->entries = (struct ntzc_desc *)((char *)map + NTZC_RING_ENTRIES);
	q->free = (struct ntzc_tx_buf *)((char *)map + setup->free_offset);
	q->mask = setup->ring_size - 1;
	q->shift = (__u32)__builtin_ctz(setup->buf_size);
	q->room = setup->buf_size - setup->headroom;
	/* all else comes first; pairs with the acquire in ntzc_txq_is_open() */
	__atomic_store_n(&q->rings, map, __ATOMIC_RELEASE);
	return 0;
}

void ntzc_txq_close(struct ntzc_tap *tap)
{
	if (tap->txq.rings)
		munmap(tap->txq.rings, tap->tx.rings_bytes);
	free(tap->txq.reserved);
}

int ntzc_txq_blank(struct ntzc_tap *tap)
{
	return tap->txq.rings ? ntzc_blank(tap->txq.rings, tap->tx.rings_bytes) : 0;
}

/* The buffer's place in @reserved, or NULL if there is no such buffer */
static __u32 *ntzc_txq_slot(struct ntzc_tap *tap, __u32 offset)
{
	__u32 index = offset >> tap->txq.shift;

	return index < tap->tx.n_bufs ? &tap->txq.reserved[index] : NULL;
}

/* The place of a buffer that is reserved under this handle, wherever it lies, or NULL */
static __u32 *ntzc_txq_find(struct ntzc_tap *tap, __u32 handle)
{
	__u32 i;

	for (i = 0; i < tap->tx.n_bufs; i++)
		if (tap->txq.reserved[i] == handle)
			return &tap->txq.reserved[i];
	return NULL;
}

void ntzc_txq_forget(struct ntzc_tap *tap, __u32 handle)
{
	struct ntzc_txq *q = &tap->txq;
	__u32 *slot;

	if (!ntzc_txq_is_open(tap))
		return;
	ntzc_lock(&q->lock);
	slot = ntzc_txq_find(tap, handle);
	if (slot)
		*slot = 0;
	ntzc_unlock(&q->lock);
}

/* Take buffers from the free ring. Under the lock. Return: how many. */
static unsigned int ntzc_txq_take(struct ntzc_tap *tap, struct ntzc_desc *descs, unsigned int n)
{
	struct ntzc_txq *q = &tap->txq;
	/* looked up once: the loop's stores could be to any of them, as far as is known there */
	const __u32 mask = q->mask, shift = q->shift, room = q->room, n_bufs = tap->tx.n_bufs;
	const struct ntzc_tx_buf *ring = q->free;
	__u32 *reserved = q->reserved, got = q->got;
	struct ntzc_desc *end;

	n = ntzc_min(n, ntzc_ring_filled(&q->rings->free, got));
	n = ntzc_min(n, mask + 1);
	for (end = descs + n; descs != end; descs++, got++) {
		__u32 handle = ring[got & mask].handle, offset = ring[got & mask].offset;

		*descs = (struct ntzc_desc) { .handle = handle, .offset = offset, .len = room };
		if (offset >> shift < n_bufs)
			reserved[offset >> shift] = handle;
	}
	q->got += n;
	ntzc_ring_consume(&q->rings->free, q->got);
	return n;
}

static int ntzc_txq_empty(const struct ntzc_txq *q)
{
	return ntzc_ring_space(&q->rings->tx, q->put, q->mask + 1) == q->mask + 1;
}

/* Get buffers from the kernel: what the ring has not got. Under the lock. */
static int ntzc_txq_ask(struct ntzc_tap *tap, struct ntzc_desc *descs, unsigned int n)
{
	struct ntzc_txq *q = &tap->txq;
	int got, i;

	/* it may have all the buffers in the transmit ring, and be asleep; if it can't
	 * send them, TX_SUBMIT and TX_DRAIN say why: whether there is a buffer is asked here
	 */
	if (!ntzc_txq_empty(q) && ntzc_ring_asks(&q->rings->tx))
		ntzc_kick(tap);
	got = ntzc_tx_call(tap, NTZC_IOC_TX_RESERVE, descs, n);
	for (i = 0; i < got; i++) {
		__u32 *slot = ntzc_txq_slot(tap, descs[i].offset);

		if (slot)
			*slot = descs[i].handle;
	}
	return got;
}

int ntzc_txq_reserve(struct ntzc_tap *tap, struct ntzc_desc *descs, unsigned int n)
{
	struct ntzc_txq *q = &tap->txq;
	int got;

	if (!n)
		return 0;
	ntzc_lock(&q->lock);
	got = q->viewed ? -EBUSY : (int)ntzc_txq_take(tap, descs, n);
	if (!got) {
		got = ntzc_txq_ask(tap, descs, n);
		/* what came back meanwhile went into the ring */
		if (got == -ENOBUFS) {
			got = (int)ntzc_txq_take(tap, descs, n);
			if (!got)
				got = -ENOBUFS;
		}
	}
	ntzc_unlock(&q->lock);
	return got;
}

/* The longest frame may be longer than when we last heard of it. Under the lock. */
static __u32 ntzc_txq_frame_max(struct ntzc_tap *tap, __u32 len)
{
	struct ntzc_txq *q = &tap->txq;
	struct ntzc_port_info info;

	if (len <= q->frame_max)
		return q->frame_max;
	memset(&info, 0, sizeof(info));
	info.id = tap->attach.port_id;
	if (!ioctl(tap->fd, NTZC_IOC_PORT_INFO, &info) && info.id == tap->attach.port_id)
		q->frame_max = info.frame_max;
	return q->frame_max;
}

/*
 * What the kernel would refuse, as far as that can be known here: from the ring
 * nobody would hear of it. Under the lock. Return: 0, -EINVAL or -ESTALE.
 */
static int ntzc_txq_check(struct ntzc_tap *tap, const struct ntzc_desc *desc)
{
	__u32 need = desc->len > NTZC_PAD_FRAME ? desc->len : NTZC_PAD_FRAME;
	__u32 frame_max = ntzc_txq_frame_max(tap, desc->len);
	__u32 index = desc->offset >> tap->txq.shift;

	if (!(desc->handle & NTZC_HANDLE_TX))
		return desc->len > frame_max || desc->offset > tap->attach.rx_bytes ||
		       desc->len > tap->attach.rx_bytes - desc->offset ? -EINVAL : 0;
	if (index >= tap->tx.n_bufs || tap->txq.reserved[index] != desc->handle)
		/* reserved, but named with another buffer's offset, or not reserved at all? */
		return ntzc_txq_find(tap, desc->handle) ? -EINVAL : -ESTALE;
	if (desc->len < NTZC_MIN_FRAME || desc->len > frame_max ||
	    need > tap->tx.buf_size - (desc->offset & (tap->tx.buf_size - 1)))
		return -EINVAL;
	return 0;
}

/* They are the kernel's: a second submit must not reach it. Under the lock. */
static void ntzc_txq_gave(struct ntzc_tap *tap, const struct ntzc_desc *descs, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (descs[i].handle & NTZC_HANDLE_TX)
			*ntzc_txq_slot(tap, descs[i].offset) = 0;
}

/*
 * Put descriptors in the ring as far as nothing is special about them: buffers of our own,
 * reserved, no longer than the longest frame that we have heard of. Under the lock, with
 * room for all. Return: how many.
 */
static unsigned int ntzc_txq_put_plain(struct ntzc_tap *tap, const struct ntzc_desc *descs,
				       unsigned int n)
{
	struct ntzc_txq *q = &tap->txq;
	/* looked up once, as in ntzc_txq_take() */
	const __u32 mask = q->mask, shift = q->shift, n_bufs = tap->tx.n_bufs;
	const __u32 size = tap->tx.buf_size, longer = q->frame_max - NTZC_PAD_FRAME;
	struct ntzc_desc *ring = q->entries;
	__u32 *reserved = q->reserved, put = q->put;
	const struct ntzc_desc *d = descs, *end = descs + n;

	for (; d != end; d++, put++) {
		__u32 index = d->offset >> shift, len = d->len;

		if (!(d->handle & NTZC_HANDLE_TX) || index >= n_bufs ||
		    reserved[index] != d->handle || len - NTZC_PAD_FRAME > longer ||
		    len > size - (d->offset & (size - 1)))
			break;
		ring[put & mask] = *d;
		/* one at a time: it may come twice in a call */
		reserved[index] = 0;
	}
	return (unsigned int)(d - descs);
}

/*
 * Let the kernel see entries that were written. If they can't be sent, the next call finds
 * them in the ring and says so. Under the lock.
 */
static void ntzc_txq_publish(struct ntzc_tap *tap, unsigned int n)
{
	struct ntzc_txq *q = &tap->txq;

	q->put += n;
	ntzc_ring_publish(&q->rings->tx, q->put);
	if (n && ntzc_ring_asks(&q->rings->tx))
		ntzc_kick(tap);
}

/* Under the lock, with room for all. Return: how many, or why not the first. */
static int ntzc_txq_put(struct ntzc_tap *tap, const struct ntzc_desc *descs, unsigned int n)
{
	struct ntzc_txq *q = &tap->txq;
	unsigned int i;
	int err = 0;

	for (i = ntzc_txq_put_plain(tap, descs, n); i < n; i++) {
		err = ntzc_txq_check(tap, &descs[i]);
		if (err)
			break;
		q->entries[(q->put + i) & q->mask] = descs[i];
		/* one at a time: it may come twice in a call */
		ntzc_txq_gave(tap, &descs[i], 1);
	}
	if (!i)
		return err;
	ntzc_txq_publish(tap, i);
	return (int)i;
}

/* Under the lock */
static int ntzc_txq_call(struct ntzc_tap *tap, const struct ntzc_desc *descs, unsigned int n)
{
	int ret = ntzc_tx_call(tap, NTZC_IOC_TX_SUBMIT, descs, n);

	if (ret > 0)
		ntzc_txq_gave(tap, descs, (unsigned int)ret);
	return ret;
}

/* Those from the first on that are for the tap's own port, or those that are not */
static unsigned int ntzc_txq_run(const struct ntzc_desc *descs, unsigned int n)
{
	unsigned int run = 1;

	while (run < n && !descs[run].queue == !descs->queue)
		run++;
	return run;
}

/* Under the lock */
static int ntzc_txq_send(struct ntzc_tap *tap, const struct ntzc_desc *descs, unsigned int n)
{
	struct ntzc_txq *q = &tap->txq;
	__u32 space;
	int err;

	n = ntzc_txq_run(descs, n);
	if (descs->queue)
		return ntzc_txq_call(tap, descs, n);
	if (ntzc_ring_asks(&q->rings->tx)) {
		if (ntzc_txq_empty(q))
			return ntzc_txq_call(tap, descs, n);
		/* what is in the ring goes first */
		err = ntzc_kick(tap);
		if (err && err != -ENOSPC)
			return err;
	}
	space = ntzc_ring_space(&q->rings->tx, q->put, q->mask + 1);
	if (!space)
		return -ENOSPC;
	return ntzc_txq_put(tap, descs, ntzc_min(n, space));
}

int ntzc_txq_submit(struct ntzc_tap *tap, const struct ntzc_desc *descs, unsigned int n)
{
	int ret;

	ntzc_lock(&tap->txq.lock);
	ret = tap->txq.viewed ? -EBUSY : ntzc_txq_send(tap, descs, n);
	ntzc_unlock(&tap->txq.lock);
	return ret;
}

/*
 * Put frames that came in straight into the ring, as far as nothing is special about
 * them. Under the lock, with room for all. Return: how many.
 */
static unsigned int ntzc_txq_put_received(struct ntzc_tap *tap, const struct ntzc_desc *descs,
					  unsigned int n)
{
	struct ntzc_txq *q = &tap->txq;
	/* looked up once, as in ntzc_txq_take() */
	const __u32 mask = q->mask, frame_max = q->frame_max;
	const __u64 last = tap->attach.rx_bytes - frame_max;
	struct ntzc_desc *ring = q->entries;
	const struct ntzc_desc *d = descs, *end = descs + n;
	__u32 put = q->put;

	for (; d != end; d++, put++) {
		__u32 handle = d->handle, offset = d->offset, len = d->len;

		if (handle & NTZC_HANDLE_TX || offset > last || len > frame_max)
			break;
		ring[put & mask] = (struct ntzc_desc) {
			.handle = handle, .offset = offset, .len = len,
		};
	}
	return (unsigned int)(d - descs);
}

int ntzc_txq_forward(struct ntzc_tap *tap, const struct ntzc_desc *descs, unsigned int n)
{
	struct ntzc_txq *q = &tap->txq;
	int ret = -EAGAIN;

	ntzc_lock(&q->lock);
	if (!q->viewed && !ntzc_ring_asks(&q->rings->tx)) {
		n = ntzc_min(n, ntzc_ring_space(&q->rings->tx, q->put, q->mask + 1));
		n = ntzc_txq_put_received(tap, descs, n);
		if (n) {
			ntzc_txq_publish(tap, n);
			ret = (int)n;
		}
	}
	ntzc_unlock(&q->lock);
	return ret;
}

/* What lies in the ring must go before more does. Under the lock. Return: 0, or why it can't. */
static int ntzc_txq_push(struct ntzc_tap *tap)
{
	struct ntzc_txq *q = &tap->txq;
	int err = 0;

	if (ntzc_ring_asks(&q->rings->tx) && !ntzc_txq_empty(q))
		err = ntzc_kick(tap);
	return err == -ENOSPC ? 0 : err;
}

/*
 * Where the next descriptors go, as far as there is a free buffer for each, and
 * neither ring ends. Under the lock. Return: how many, or what there is none of.
 */
static int ntzc_txq_places(struct ntzc_txq *q, unsigned int n)
{
	const __u32 size = q->mask + 1;
	__u32 filled = ntzc_ring_filled(&q->rings->free, q->got);
	__u32 space = ntzc_ring_space(&q->rings->tx, q->put, size);

	if (!space)
		return -ENOSPC;
	if (!filled)
		return -ENOBUFS;
	n = ntzc_min(ntzc_min(n, space), ntzc_min(filled, size));
	return (int)ntzc_min(n, ntzc_min(size - (q->put & q->mask), size - (q->got & q->mask)));
}

static int ntzc_txq_look(struct ntzc_tap *tap, unsigned int n)
{
	struct ntzc_txq *q = &tap->txq;
	int got, err;

	if (q->viewed)
		return -EBUSY;
	err = ntzc_txq_push(tap);
	if (err)
		return err;
	got = ntzc_txq_places(q, n);
	if (got != -ENOBUFS)
		return got;
	/* what was released or reserved otherwise goes into the free ring when the kernel looks */
	err = ntzc_kick(tap);
	return err && err != -ENOSPC ? err : ntzc_txq_places(q, n);
}

int ntzc_txq_view(struct ntzc_tap *tap, struct ntzc_desc **descs, unsigned int n)
{
	struct ntzc_txq *q = &tap->txq;
	const struct ntzc_tx_buf *from;
	struct ntzc_desc *to, *end;
	const __u32 room = q->room;
	int got;

	ntzc_lock(&q->lock);
	got = ntzc_txq_look(tap, n);
	if (got > 0) {
		to = *descs = &q->entries[q->put & q->mask];
		from = &q->free[q->got & q->mask];
		/* little is done for each: the loop's own work would be a third */
#pragma GCC unroll 4
		for (end = to + got; to != end; to++, from++)
			*to = (struct ntzc_desc) {
				.handle = from->handle, .offset = from->offset, .len = room,
			};
		q->viewed = (__u32)got;
	}
	ntzc_unlock(&q->lock);
	return got;
}

/* Whether the first of the viewed descriptors can be sent. Under the lock. Return: 0 or -EINVAL. */
static int ntzc_txq_view_check(struct ntzc_tap *tap, unsigned int n)
{
	struct ntzc_txq *q = &tap->txq;
	const struct ntzc_desc *d = &q->entries[q->put & q->mask], *end = d + n;
	const __u32 longer = q->frame_max - NTZC_MIN_FRAME;

	if (n > q->viewed)
		return -EINVAL;
#pragma GCC unroll 4
	for (; d != end; d++) {
		if (d->len - NTZC_MIN_FRAME <= longer && !d->queue)
			continue;
		if (d->queue || d->len < NTZC_MIN_FRAME || d->len > ntzc_txq_frame_max(tap, d->len))
			return -EINVAL;
	}
	return 0;
}

int ntzc_txq_done(struct ntzc_tap *tap, unsigned int n)
{
	struct ntzc_txq *q = &tap->txq;
	int err;

	ntzc_lock(&q->lock);
	err = ntzc_txq_view_check(tap, n);
	if (!err) {
		q->viewed = 0;
		q->got += n;
		ntzc_ring_consume(&q->rings->free, q->got);
		ntzc_txq_publish(tap, n);
	}
	ntzc_unlock(&q->lock);
	return err ? err : (int)n;
}

int ntzc_txq_flush(struct ntzc_tap *tap)
{
	struct ntzc_txq *q = &tap->txq;
	int ret = 0;

	ntzc_lock(&q->lock);
	if (!ntzc_txq_empty(q)) {
		ret = ntzc_kick(tap);
		if ((!ret || ret == -ENOSPC) && !ntzc_txq_empty(q))
			ret = -EAGAIN;
	}
	ntzc_unlock(&q->lock);
	return ret;
}
