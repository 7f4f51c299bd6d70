// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The transmit rings: a second door to what TX_RESERVE and TX_SUBMIT do. Free
 * buffers are reserved and put in the free ring; descriptors are taken from the
 * transmit ring, checked and sent. It runs when the program KICKs, and when the
 * card has completed something of the tap's, or something that the tap's waits
 * behind: as long as that will come, it asks for no KICK.
 */
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "core.h"

#define NTZC_OFFER_BATCHES	8	/* of free buffers, under one lock */

/**
 * ntzc_tx_door_create() - make the rings
 * @tap: the tap
 * @pool: its transmit memory
 * @arg: what is to be told of the rings is filled in
 *
 * Context: process, setup_lock held. Return: 0 or -ENOMEM.
 */
int ntzc_tx_door_create(struct ntzc_tap *tap, const struct ntzc_pool *pool,
			struct ntzc_tx_setup *arg)
{
	struct ntzc_tx_door *door = &tap->tx_door;
	u32 size = roundup_pow_of_two(pool->size);

	arg->ring_size = size;
	arg->free_offset = NTZC_RING_ENTRIES + size * sizeof(*door->ring);
	arg->rings_bytes = PAGE_ALIGN(arg->free_offset + size * sizeof(*door->free));
	door->rings = __vmalloc(arg->rings_bytes, NTZC_GFP_ACCOUNT | __GFP_ZERO);
	if (!door->rings)
		return -ENOMEM;
	door->ring = (void *)door->rings + NTZC_RING_ENTRIES;
	door->free = (void *)door->rings + arg->free_offset;
	door->bytes = arg->rings_bytes;
	door->mask = size - 1;
	ntzc_ring_ask(&door->rings->tx);
	return 0;
}

/** ntzc_tx_door_destroy() - free the rings, if there are any */
void ntzc_tx_door_destroy(struct ntzc_tap *tap)
{
	vfree(tap->tx_door.rings);
	tap->tx_door.rings = NULL;
}

/* Whether there is a free buffer, and room to tell the program of it */
static u32 ntzc_tx_door_lacks(const struct ntzc_tap *tap)
{
	const struct ntzc_tx_door *door = &tap->tx_door;

	if (!READ_ONCE(tap->tx_pool->n_free))
		return 0;
	return ntzc_ring_space(&door->rings->free, READ_ONCE(door->free_prod), door->mask + 1);
}

/*
 * Reserve free buffers for the program: what a card completes at once is within the bound, and
 * a pool full of them, given back by write(), would keep all who need the lock. Under hold_lock.
 */
static void ntzc_tx_door_offer(struct ntzc_tap *tap)
{
	struct ntzc_tx_door *door = &tap->tx_door;
	struct ntzc_pool *pool = tap->tx_pool;
	unsigned int n, room, i;
	u32 at;

	for (i = 0; i < NTZC_OFFER_BATCHES; i++) {
		at = door->free_prod & door->mask;
		room = ntzc_tx_door_lacks(tap);
		if (!room)
			return;
		room = min3(room, door->mask + 1 - at, (u32)NTZC_BATCH);
		n = ntzc_pool_offer(pool, tap->tx_held, &door->free[at], room);
		WRITE_ONCE(door->free_prod, door->free_prod + n);
		tap->tx_reserved += n;
		ntzc_ring_publish(&door->rings->free, door->free_prod);
	}
}

/** ntzc_tx_door_offers() - Return: whether the free ring has a buffer for the program. */
bool ntzc_tx_door_offers(const struct ntzc_tap *tap)
{
	const struct ntzc_tx_door *door = &tap->tx_door;

	return door->rings && READ_ONCE(door->free_prod) != READ_ONCE(door->rings->free.cons);
}

/** ntzc_tx_door_full() - Return: whether there is no room until the ring is served, by itself. */
bool ntzc_tx_door_full(const struct ntzc_tap *tap)
{
	const struct ntzc_tx_door *door = &tap->tx_door;

	return door->rings && !ntzc_ring_asks(&door->rings->tx) &&
	       ntzc_ring_filled(&door->rings->tx, READ_ONCE(door->tx_cons)) > door->mask;
}

/*
 * What is in the ring is no longer the program's, who is not told of what was wrong with it: what
 * an entry that is not sent names comes back, if the tap holds it. Under hold_lock.
 */
static void ntzc_tx_door_refuse(struct ntzc_tap *tap, const struct ntzc_desc *d)
{
	u32 handle = READ_ONCE(d->handle);

	tap->tx_door.bad_submit++;
	ntzc_tap_release_held(tap, &handle, 1);
}

/*
 * Send what the program put in the ring. Frames are bounded by the room in the card's ring; what
 * is no frame costs the program nothing, and the card's poll a call each, so of that there is a
 * bound, too. Under hold_lock. Return: 0, or why something is still there; -EAGAIN for the bound,
 * -EBUSY if it is another port's card whose ring is full.
 */
static int ntzc_tx_door_send(struct ntzc_tap *tap)
{
	struct ntzc_tx_door *door = &tap->tx_door;
	struct ntzc_ring *ring = &door->rings->tx;
	/* a bound, as the program may go on filling it */
	u32 n = ntzc_ring_filled(ring, door->tx_cons), left = n, bad = 0, at;
	int sent;

	if (unlikely(n > door->mask + 1)) {
		/* the index is spoiled: none of the entries means anything */
		door->bad_submit++;
		WRITE_ONCE(door->tx_cons, door->tx_cons + n);
		ntzc_ring_consume(ring, door->tx_cons);
		return 0;
	}
	while (left) {
		if (bad == NTZC_BATCH)
			return -EAGAIN;
		at = door->tx_cons & door->mask;
		n = min3(left, door->mask + 1 - at, (u32)NTZC_BATCH);
		sent = ntzc_tx_send(tap, &door->ring[at], n);
		/* a target that is gone for ever must not hold up the others */
		if (sent == -EINVAL || sent == -ESTALE ||
		    (sent == -ENODEV && READ_ONCE(door->ring[at].queue))) {
			ntzc_tx_door_refuse(tap, &door->ring[at]);
			bad++;
			sent = 1;
		}
		if (sent < 0)
			return sent == -ENOSPC && READ_ONCE(door->ring[at].queue) ? -EBUSY : sent;
		WRITE_ONCE(door->tx_cons, door->tx_cons + sent);
		left -= sent;
		ntzc_ring_consume(ring, door->tx_cons);
	}
	return 0;
}

/*
 * Whether the card has frames whose end is to have the rings looked at: those that the tap
 * has forwarded, or whosever fill the card's ring. They come home to others, so the queue is
 * told. Under hold_lock.
 */
static bool ntzc_tx_door_follows(struct ntzc_tap *tap, int err)
{
	struct ntzc_queue *q = tap->targets[0].queue;
	u64 place = err == -ENOSPC ? READ_ONCE(q->tx_frames) : tap->tx_place;

	if (place <= READ_ONCE(q->tx_done))
		return false;
	WRITE_ONCE(q->tx_behind, true);
	smp_mb(); /* pairs with that in ntzc_tx_complete() */
	return place > READ_ONCE(q->tx_done);
}

/**
 * ntzc_tx_door_rest() - ask for no KICK as long as the rings will be looked at again
 * @tap: the tap, with transmit rings
 * @err: why something is still there, or 0
 *
 * When its own buffers come back, or what it forwarded is sent, ntzc_tx_door_run() comes: it
 * waits for hold_lock if need be. Whose ring is full of what is no frame (-EAGAIN) is to call
 * for the rest all the same; so is who waits for another port's card (-EBUSY), which has others'
 * rings looked at.
 *
 * Context: hold_lock held. Return: whether that is so.
 */
bool ntzc_tx_door_rest(struct ntzc_tap *tap, int err)
{
	if (err == -EAGAIN || err == -EBUSY ||
	    (!READ_ONCE(tap->tx_pool->in_flight) && !ntzc_tx_door_follows(tap, err)))
		return false;
	ntzc_ring_unask(&tap->tx_door.rings->tx);
	return true;
}

/**
 * ntzc_tx_door_run() - serve the transmit rings
 * @tap: the tap, with transmit rings
 *
 * Context: any but hard interrupts, no locks of the core's held.
 * Return: 0; -ENOSPC, -EBUSY, -ENETDOWN, -ENODEV if there is something to send that cannot
 * be; -EAGAIN if there is more, after much that is no frame.
 */
int ntzc_tx_door_run(struct ntzc_tap *tap)
{
	struct ntzc_tx_door *door = &tap->tx_door;
	struct ntzc_ring *ring = &door->rings->tx;
	int err;

	spin_lock_bh(&tap->hold_lock);
	err = ntzc_tx_door_send(tap);
	if (!ntzc_tx_door_rest(tap, err)) {
		ntzc_ring_ask(ring);
		if (ntzc_ring_filled(ring, door->tx_cons) && (!err || err == -ENOSPC)) {
			err = ntzc_tx_door_send(tap);
			ntzc_tx_door_rest(tap, err);
		}
	}
	ntzc_tx_door_offer(tap);
	spin_unlock_bh(&tap->hold_lock);
	return err;
}

/**
 * ntzc_tx_door_empty() - serve the transmit rings, however much in them is no frame
 * @tap: the tap, with transmit rings
 *
 * All free buffers are offered, too. Context: process. Return: as ntzc_tx_door_run(),
 * but for -EAGAIN.
 */
int ntzc_tx_door_empty(struct ntzc_tap *tap)
{
	/* a bound, as the program may go on filling it; then the ring asks for the next KICK */
	u32 looks = tap->tx_door.mask / NTZC_BATCH + 1;
	int err;

	do {
		err = ntzc_tx_door_run(tap);
		cond_resched();
	} while ((err == -EAGAIN || ntzc_tx_door_lacks(tap)) && looks--);
	return err == -EAGAIN ? 0 : err;
}
