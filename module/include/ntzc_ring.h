/* SPDX-License-Identifier: GPL-2.0-or-later WITH Linux-syscall-note */
/*
 * The rings between the kernel and a program: one producer, one consumer.
 *
 * The same code runs on both sides, and in user space under a thread sanitizer
 * and a model checker. Each side keeps its own index to itself and publishes
 * it; it never reads back what the other side could have spoiled.
 *
 *	producer				consumer
 *
 *	ntzc_ring_space()     load cons (D)	ntzc_ring_filled()    load prod (B)
 *	write entries				read entries
 *	ntzc_ring_publish()   store prod (A)	ntzc_ring_consume()   store cons (C)
 *
 *	(A) release, pairs with (B) acquire: entries are read after they are written.
 *	(C) release, pairs with (D) acquire: entries are written again after they
 *	    are read.
 *
 * Sleep and wake. A kernel that will not look again by itself says so before it
 * looks for the last time; a program looks whether it did after it has published:
 *
 *	program					kernel
 *
 *	ntzc_ring_publish()   store prod	ntzc_ring_ask()       store flags
 *	ntzc_ring_asks()      barrier (E)			      barrier (F)
 *			      load flags	ntzc_ring_filled()    load prod
 *
 *	(E) pairs with (F): both are full barriers, so that at least one of the
 *	    two sees the other's store.
 */
#ifndef NTZC_RING_H
#define NTZC_RING_H

#include "ntzc.h"

#ifdef __KERNEL__
#include <asm/barrier.h>
#include <linux/compiler.h>
#define ntzc_ring_load(p)		READ_ONCE(*(p))
#define ntzc_ring_store(p, v)		WRITE_ONCE(*(p), v)
/* names only: what pairs with what is said above */
#define ntzc_ring_load_acquire(p)	smp_load_acquire(p)
/* likewise */
#define ntzc_ring_store_release(p, v)	smp_store_release(p, v)
/* likewise */
#define ntzc_ring_barrier()		smp_mb()
#else
#define ntzc_ring_load(p)		__atomic_load_n(p, __ATOMIC_RELAXED)
#define ntzc_ring_store(p, v)		__atomic_store_n(p, v, __ATOMIC_RELAXED)
#define ntzc_ring_load_acquire(p)	__atomic_load_n(p, __ATOMIC_ACQUIRE)
#define ntzc_ring_store_release(p, v)	__atomic_store_n(p, v, __ATOMIC_RELEASE)
#define ntzc_ring_barrier()		__atomic_thread_fence(__ATOMIC_SEQ_CST)
#endif

/**
 * ntzc_ring_filled() - entries that the consumer can take out
 * @ring: the ring
 * @cons: the consumer's own index
 *
 * Return: how many; more than the ring's size if the producer lies.
 */
static inline __u32 ntzc_ring_filled(const struct ntzc_ring *ring, __u32 cons)
{
	return ntzc_ring_load_acquire(&ring->prod) - cons;	/* (B) */
}

/**
 * ntzc_ring_consume() - give the producer the places of entries that were read
 * @ring: the ring
 * @cons: the consumer's new index
 */
static inline void ntzc_ring_consume(struct ntzc_ring *ring, __u32 cons)
{
	ntzc_ring_store_release(&ring->cons, cons);		/* (C) */
}

/**
 * ntzc_ring_space() - entries that the producer can put in
 * @ring: the ring
 * @prod: the producer's own index
 * @size: of the ring
 *
 * Return: how many; none if the consumer lies.
 */
static inline __u32 ntzc_ring_space(const struct ntzc_ring *ring, __u32 prod, __u32 size)
{
	__u32 used = prod - ntzc_ring_load_acquire(&ring->cons);	/* (D) */

	return used <= size ? size - used : 0;
}

/**
 * ntzc_ring_publish() - let the consumer see entries that were written
 * @ring: the ring
 * @prod: the producer's new index
 */
static inline void ntzc_ring_publish(struct ntzc_ring *ring, __u32 prod)
{
	ntzc_ring_store_release(&ring->prod, prod);		/* (A) */
}

/**
 * ntzc_ring_asks() - whether the kernel wants a KICK; after ntzc_ring_publish()
 * @ring: a ring that the program produces
 *
 * Return: nonzero if it does.
 */
static inline __u32 ntzc_ring_asks(const struct ntzc_ring *ring)
{
	ntzc_ring_barrier();					/* (E) */
	return ntzc_ring_load(&ring->flags) & NTZC_RING_NEED_WAKEUP;
}

/**
 * ntzc_ring_ask() - ask for a KICK; ntzc_ring_filled() must follow
 * @ring: a ring that the kernel consumes
 */
static inline void ntzc_ring_ask(struct ntzc_ring *ring)
{
	ntzc_ring_store(&ring->flags, NTZC_RING_NEED_WAKEUP);
	ntzc_ring_barrier();					/* (F) */
}

/** ntzc_ring_unask() - no KICK is needed: the kernel will look by itself */
static inline void ntzc_ring_unask(struct ntzc_ring *ring)
{
	ntzc_ring_store(&ring->flags, 0);
}

#endif /* NTZC_RING_H */
