// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Receive: descriptors of frames that wait, copied (peek) or left in place
 * (view), and their way back. Where the kernel shares rings with us, it is
 * called only to wait and when it asks for it; else one read(2) takes a batch,
 * and one write(2) gives it back.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

/* More in one call gains nothing, and sizes in bytes stay far from overflow */
#define NTZC_MAX_CALL	NTZC_MAX_RING
#define NTZC_GATHER	256

/* The handle of a place that is done but can't be free yet: none of a received frame */
#define NTZC_PLACE_DONE	NTZC_HANDLE_TX

static int ntzc_read(struct ntzc_tap *tap, struct ntzc_desc *descs, unsigned int n)
{
	ssize_t got = read(tap->fd, descs, n * sizeof(*descs));

	return got < 0 ? -errno : (int)((size_t)got / sizeof(*descs));
}

/*
 * Take up to @n descriptors that wait, as far as they lie in one piece. Under
 * the lock. Return: how many, with the first's index; or -errno, without rings.
 */
static int ntzc_rxq_next(struct ntzc_tap *tap, struct ntzc_rxq *q, unsigned int n, __u32 *index)
{
	unsigned int at, room;
	int got;

	if (q->rings) {
		*index = q->taken;
		room = q->mask + 1 - (*index & q->mask);
		n = ntzc_min(n, ntzc_ring_filled(&q->rings->rx, *index));
		n = ntzc_min(n, room);
		ntzc_ring_store(&q->taken, *index + n);
		return (int)n;
	}
	/* nobody looks at these indices but us: begin anew, so that the most fits */
	if (q->cons == q->taken)
		q->cons = q->taken = 0;
	*index = q->taken;
	at = *index & q->mask;
	room = ntzc_min(q->mask + 1 - at, q->mask + 1 - (q->taken - q->cons));
	if (!room)
		return -ENOBUFS;
	got = ntzc_read(tap, q->entries + at, ntzc_min(n, room));
	if (got > 0)
		q->taken += (unsigned int)got;
	return got;
}

/*
 * Places are done with: free them, and with them those behind that were done
 * before, but could not be free yet. Under the lock.
 */
static void ntzc_rxq_free(struct ntzc_rxq *q, __u32 index, unsigned int n)
{
	unsigned int i;

	if (index != q->cons) {
		for (i = 0; i < n; i++)
			q->entries[(index + i) & q->mask].handle = NTZC_PLACE_DONE;
		return;
	}
	index += n;
	while (index != q->taken && q->entries[index & q->mask].handle == NTZC_PLACE_DONE)
		index++;
	q->cons = index;
	if (q->rings)
		ntzc_ring_consume(&q->rings->rx, index);
}

/* Handles are most of what is done here for a frame: eight at a time */
static void ntzc_gather(__u32 *handles, const struct ntzc_desc *descs, unsigned int n)
{
	for (; n >= 8; n -= 8, handles += 8, descs += 8) {
		handles[0] = descs[0].handle;
		handles[1] = descs[1].handle;
		handles[2] = descs[2].handle;
		handles[3] = descs[3].handle;
		handles[4] = descs[4].handle;
		handles[5] = descs[5].handle;
		handles[6] = descs[6].handle;
		handles[7] = descs[7].handle;
	}
	for (; n; n--)
		*handles++ = descs++->handle;
}

/* Put frames in the release ring. Under the lock. Return: how many, from the first on. */
static unsigned int ntzc_rxq_put(struct ntzc_rxq *q, const struct ntzc_desc *descs, unsigned int n)
{
	__u32 at = q->put & q->release_mask;
	unsigned int part;

	n = ntzc_min(n, ntzc_ring_space(&q->rings->release, q->put, q->release_mask + 1));
	part = ntzc_min(n, q->release_mask + 1 - at);
	ntzc_gather(q->release + at, descs, part);
	ntzc_gather(q->release, descs + part, n - part);
	q->put += n;
	ntzc_ring_publish(&q->rings->release, q->put);
	return n;
}

/* After frames went into the release ring. An error of the kick is of what the tap transmits. */
static void ntzc_rxq_wake(struct ntzc_tap *tap, struct ntzc_rxq *q)
{
	if (ntzc_ring_asks(&q->rings->release))
		ntzc_kick(tap);
}

static int ntzc_write_handles(struct ntzc_tap *tap, const __u32 *handles, unsigned int n)
{
	ssize_t put;

	n = ntzc_min(n, NTZC_MAX_CALL);
	if (!n)
		return 0;
	put = write(tap->fd, handles, n * sizeof(*handles));
	return put < 0 ? -errno : (int)((size_t)put / sizeof(*handles));
}

/* One write(2) a part. Return: as ntzc_tap_release(). */
static int ntzc_write(struct ntzc_tap *tap, const struct ntzc_desc *descs, unsigned int n)
{
	__u32 handles[NTZC_GATHER];
	unsigned int done = 0, part;
	int put;

	while (done < n) {
		part = ntzc_min(n - done, NTZC_GATHER);
		ntzc_gather(handles, descs + done, part);
		put = ntzc_write_handles(tap, handles, part);
		if (put < 0)
			return done ? (int)done : put;
		done += (unsigned int)put;
		if ((unsigned int)put < part)
			break;
	}
	return (int)done;
}

/* Nothing waits, as far as can be seen without the lock: most queues of many are like that */
static int ntzc_rxq_quiet(const struct ntzc_rxq *q)
{
	return q->rings && !ntzc_ring_filled(&q->rings->rx, ntzc_ring_load(&q->taken));
}

/* The queue to look at first: the one after that which gave last */
static unsigned int ntzc_rx_first(struct ntzc_tap *tap)
{
	unsigned int first = ntzc_ring_load(&tap->next_rxq);

	return first < tap->n_rxqs ? first : 0;
}

static unsigned int ntzc_rx_after(struct ntzc_tap *tap, unsigned int at)
{
	return at + 1 < tap->n_rxqs ? at + 1 : 0;
}

/* Copy a queue's descriptors, in both pieces if they lie around the ring's end */
static unsigned int ntzc_rxq_copy(struct ntzc_tap *tap, struct ntzc_rxq *q,
				  struct ntzc_desc *descs, unsigned int n)
{
	unsigned int done = 0, got;
	__u32 index;

	ntzc_lock(&q->lock);
	do {
		got = (unsigned int)ntzc_rxq_next(tap, q, n - done, &index);
		memcpy(descs + done, &q->entries[index & q->mask], got * sizeof(*descs));
		done += got;
		if (got)
			ntzc_rxq_free(q, index, got);
	} while (got && done < n);
	ntzc_unlock(&q->lock);
	return done;
}

/* Return: how many, without waiting; or -errno. */
static int ntzc_rx_copy(struct ntzc_tap *tap, struct ntzc_desc *descs, unsigned int n)
{
	unsigned int at, i, done = 0;
	int got;

	if (tap->door == NTZC_DOOR_CALLS) {
		got = ntzc_read(tap, descs, n);
		return got == -EAGAIN ? 0 : got;
	}
	at = ntzc_rx_first(tap);
	for (i = 0; i < tap->n_rxqs && done < n; i++) {
		if (!ntzc_rxq_quiet(&tap->rxqs[at]))
			done += ntzc_rxq_copy(tap, &tap->rxqs[at], descs + done, n - done);
		at = ntzc_rx_after(tap, at);
	}
	ntzc_ring_store(&tap->next_rxq, at);
	return (int)done;
}

/* Return: how many, without waiting; or -errno. */
static int ntzc_rx_view(struct ntzc_tap *tap, const struct ntzc_desc **descs, unsigned int n)
{
	unsigned int at = ntzc_rx_first(tap), i;
	int got = 0;

	for (i = 0; i < tap->n_rxqs && !got; i++) {
		struct ntzc_rxq *q = &tap->rxqs[at];
		__u32 index;

		at = ntzc_rx_after(tap, at);
		if (ntzc_rxq_quiet(q))
			continue;
		ntzc_lock(&q->lock);
		got = ntzc_rxq_next(tap, q, n, &index);
		if (got > 0)
			*descs = &q->entries[index & q->mask];
		ntzc_unlock(&q->lock);
	}
	ntzc_ring_store(&tap->next_rxq, at);
	return got == -EAGAIN ? 0 : got;
}

static int ntzc_views_out(struct ntzc_tap *tap)
{
	unsigned int i;
	int out = 0;

	for (i = 0; i < tap->n_rxqs && !out; i++) {
		struct ntzc_rxq *q = &tap->rxqs[i];

		ntzc_lock(&q->lock);
		out = q->cons != q->taken;
		ntzc_unlock(&q->lock);
	}
	return out;
}

/*
 * No frame waited. Return: 1 to look again, 0 when the time is up, or -errno.
 *
 * Without rings, the read(2) before this has told of a card that is gone. With
 * them poll(2) has to: so it is called also where there is no time to wait. To
 * the kernel, frames in a view are frames that wait, which would end each
 * poll(2) at once.
 */
static int ntzc_rx_wait(struct ntzc_tap *tap, struct ntzc_deadline *deadline, int *gone)
{
	int left, events, views;

	if (tap->door == NTZC_DOOR_CALLS)
		return ntzc_wait(tap->fd, POLLIN, deadline);
	views = ntzc_views_out(tap);
	left = ntzc_time_left(deadline);
	events = ntzc_poll(tap->fd, views ? 0 : POLLIN, views && left ? NTZC_SLICE_MS : left);
	if (events < 0)
		return events;
	if (events & (POLLHUP | POLLERR)) {
		/* frames may have come before it went: look once more */
		if (*gone)
			return -ENODEV;
		*gone = 1;
		return 1;
	}
	return events || (views && left);
}

int ntzc_tap_peek(struct ntzc_tap *tap, struct ntzc_desc *descs, unsigned int n,
		  int timeout_ms)
{
	struct ntzc_deadline deadline = { .timeout_ms = timeout_ms };
	int got, ready, gone = 0;

	n = ntzc_min(n, NTZC_MAX_CALL);
	if (!n)
		return 0;
	for (;;) {
		got = ntzc_rx_copy(tap, descs, n);
		if (got)
			return got;
		ready = ntzc_rx_wait(tap, &deadline, &gone);
		if (ready <= 0)
			return ready;
	}
}

int ntzc_tap_view(struct ntzc_tap *tap, const struct ntzc_desc **descs, unsigned int n,
		  int timeout_ms)
{
	struct ntzc_deadline deadline = { .timeout_ms = timeout_ms };
	int got, ready, gone = 0;

	n = ntzc_min(n, NTZC_MAX_CALL);
	if (!n)
		return 0;
	for (;;) {
		got = ntzc_rx_view(tap, descs, n);
		if (got)
			return got;
		ready = ntzc_rx_wait(tap, &deadline, &gone);
		if (ready <= 0)
			return ready;
	}
}

/* Where a run of descriptors lies in its ring. Under the lock. Return: 0, or -EINVAL. */
static int ntzc_rxq_find(struct ntzc_rxq *q, const struct ntzc_desc *descs, unsigned int n,
			 __u32 *index)
{
	size_t at = ((uintptr_t)descs - (uintptr_t)q->entries) / sizeof(*descs);
	__u32 ahead = ((__u32)at - q->cons) & q->mask, out = q->taken - q->cons;

	if (at > q->mask || ahead >= out || n > out - ahead || n > q->mask + 1 - at ||
	    descs->handle == NTZC_PLACE_DONE)
		return -EINVAL;
	*index = q->cons + ahead;
	return 0;
}

/* What did not fit: the ring holds all that the tap may, so it was spoiled, or frames came twice */
static void ntzc_release_rest(struct ntzc_tap *tap, const struct ntzc_desc *descs, unsigned int n)
{
	int put;

	while (n) {
		put = ntzc_write(tap, descs, n);
		/* one that is not held keeps none of the others from going back */
		if (put <= 0)
			put = 1;
		descs += put;
		n -= (unsigned int)put;
	}
}

static int ntzc_view_end(struct ntzc_tap *tap, const struct ntzc_desc *descs, unsigned int n,
			 int release)
{
	struct ntzc_rxq *q;
	unsigned int put = n;
	__u32 index;
	int err;

	if (!n)
		return 0;
	q = tap->by_queue[descs->queue];
	if (!q)
		return -EINVAL;
	ntzc_lock(&q->lock);
	err = ntzc_rxq_find(q, descs, n, &index);
	if (!err) {
		if (release)
			put = q->rings ? ntzc_rxq_put(q, descs, n) : 0;
		if (put < n)
			ntzc_release_rest(tap, descs + put, n - put);
		ntzc_rxq_free(q, index, n);
	}
	ntzc_unlock(&q->lock);
	if (err)
		return err;
	if (release && q->rings)
		ntzc_rxq_wake(tap, q);
	return (int)n;
}

int ntzc_tap_done(struct ntzc_tap *tap, const struct ntzc_desc *descs, unsigned int n)
{
	return ntzc_view_end(tap, descs, n, 1);
}

int ntzc_tap_take(struct ntzc_tap *tap, const struct ntzc_desc *descs, unsigned int n)
{
	return ntzc_view_end(tap, descs, n, 0);
}

int ntzc_tap_release(struct ntzc_tap *tap, const __u32 *handles, unsigned int n)
{
	int put = ntzc_write_handles(tap, handles, n), i;

	for (i = 0; ntzc_txq_is_open(tap) && i < put; i++)
		if (handles[i] & NTZC_HANDLE_TX)
			ntzc_txq_forget(tap, handles[i]);
	return put;
}

/* Of eight descriptors: the bits that any handle has */
static __u32 ntzc_any_handle(const struct ntzc_desc *d)
{
	return d[0].handle | d[1].handle | d[2].handle | d[3].handle | d[4].handle |
	       d[5].handle | d[6].handle | d[7].handle;
}

/* Of eight descriptors: the bits in which any queue differs from @queue */
static __u32 ntzc_any_queue(const struct ntzc_desc *d, __u32 queue)
{
	return (d[0].queue ^ queue) | (d[1].queue ^ queue) | (d[2].queue ^ queue) |
	       (d[3].queue ^ queue) | (d[4].queue ^ queue) | (d[5].queue ^ queue) |
	       (d[6].queue ^ queue) | (d[7].queue ^ queue);
}

/* Descriptors from the first on that go back the same way, and whose queue's ring takes them */
static unsigned int ntzc_release_run(struct ntzc_tap *tap, const struct ntzc_desc *descs,
				     unsigned int n, struct ntzc_rxq **q)
{
	__u32 tx = descs->handle & NTZC_HANDLE_TX;
	int only = tap->n_rxqs == 1;
	unsigned int run = 1;

	*q = tx ? NULL : tap->by_queue[descs->queue];
	/* one queue's received frames, mostly: with little work for each */
	while (!tx && run + 8 <= n && !(ntzc_any_handle(descs + run) & NTZC_HANDLE_TX) &&
	       (only || !ntzc_any_queue(descs + run, descs->queue)))
		run += 8;
	while (run < n && (descs[run].handle & NTZC_HANDLE_TX) == tx &&
	       (tx || descs[run].queue == descs->queue))
		run++;
	return run;
}

/* Return: as ntzc_tap_release(). */
static int ntzc_release_part(struct ntzc_tap *tap, struct ntzc_rxq *q,
			     const struct ntzc_desc *descs, unsigned int n)
{
	unsigned int put = 0, i;
	int rest;

	if (q && q->rings) {
		ntzc_lock(&q->lock);
		put = ntzc_rxq_put(q, descs, n);
		ntzc_unlock(&q->lock);
		ntzc_rxq_wake(tap, q);
		if (put == n)
			return (int)n;
	}
	for (i = put; !q && i < n; i++)
		ntzc_txq_forget(tap, descs[i].handle);
	rest = ntzc_write(tap, descs + put, n - put);
	if (rest < 0)
		return put ? (int)put : rest;
	return (int)put + rest;
}

int ntzc_tap_release_descs(struct ntzc_tap *tap, const struct ntzc_desc *descs, unsigned int n)
{
	unsigned int done = 0, run;
	struct ntzc_rxq *q;
	int put;

	if (tap->door == NTZC_DOOR_CALLS)
		return ntzc_write(tap, descs, n);
	while (done < n) {
		run = ntzc_release_run(tap, descs + done, n - done, &q);
		put = ntzc_release_part(tap, q, descs + done, run);
		if (put < 0)
			return done ? (int)done : put;
		done += (unsigned int)put;
		if ((unsigned int)put < run)
			break;
	}
	return (int)done;
}
