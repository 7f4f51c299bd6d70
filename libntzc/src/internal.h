/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the library's files share: the tap's insides, opening, and waiting. */
#ifndef NTZC_INTERNAL_H
#define NTZC_INTERNAL_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#endif

#include "libntzc.h"
#include "ntzc_ring.h"

/*
 * Where received descriptors lie, and their way back. Through rings there is
 * one for each queue of the tap, over memory shared with the kernel; through
 * calls a single one, over memory of the library's that read(2) fills.
 *
 *	... free | cons .. in views, or done out of order .. taken | waiting ...
 *
 * The lock guards all that is not set for good by ntzc_rx_open().
 */
struct ntzc_rxq {
	pthread_mutex_t lock;
	struct ntzc_rx_rings *rings;	/* NULL: read(2) and write(2) */
	struct ntzc_desc *entries;
	__u32 *release;
	__u32 mask;			/* of indices into entries */
	__u32 release_mask;
	__u32 cons;
	__u32 taken;
	__u32 put;			/* into the release ring so far */
} __attribute__((aligned(64)));

/* The transmit side. The lock guards all that is not set for good by ntzc_tap_tx_setup(). */
struct ntzc_txq {
	pthread_mutex_t lock;
	struct ntzc_tx_rings *rings;	/* NULL: TX_RESERVE and TX_SUBMIT */
	struct ntzc_desc *entries;
	const struct ntzc_tx_buf *free;
	__u32 *reserved;		/* by buffer: its handle while it is reserved, else 0 */
	__u32 mask;			/* of indices into both rings */
	__u32 shift;			/* of an offset, to the buffer's number */
	__u32 room;
	__u32 put;			/* into the transmit ring so far */
	__u32 got;			/* out of the free ring so far */
	__u32 viewed;			/* places behind put that the program is writing in */
	__u32 frame_max;		/* of the tap's own port, as last heard of */
};

/* Fields without a lock are set by create, tx_setup and detach, and only read besides. */
struct ntzc_tap {
	struct ntzc_tap_memory memory;	/* first: the inline functions look there */
	int fd;				/* -1 once detached */
	unsigned int door;
	struct ntzc_attach attach;
	struct ntzc_tx_setup tx;
	struct ntzc_rxq *rxqs;
	unsigned int n_rxqs;
	unsigned int next_rxq;		/* where to look first; atomic, and only a hint */
	struct ntzc_rxq *by_queue[256];	/* by ntzc_desc.queue; NULL where the tap has none */
	struct ntzc_txq txq;
};

/* When a wait began to matter: set on the first wait, so that calls that need none read no clock. */
struct ntzc_deadline {
	int timeout_ms;
	int started;
	int64_t end_ms;
};

/*
 * A lock of ours, which a program of one thread does without: it is a third of what a
 * batch costs. No thread is made or joined while one is held, so that both calls decide alike.
 */
static inline void ntzc_lock(pthread_mutex_t *lock)
{
#if __has_include(<sys/single_threaded.h>)
	if (__libc_single_threaded)
		return;
#endif
	pthread_mutex_lock(lock);
}

static inline void ntzc_unlock(pthread_mutex_t *lock)
{
#if __has_include(<sys/single_threaded.h>)
	if (__libc_single_threaded)
		return;
#endif
	pthread_mutex_unlock(lock);
}

static inline unsigned int ntzc_min(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

/*
 * Open a device node and check that both sides mean the same ABI.
 * Return: the file, with the kernel's NTZC_FEATURE_*; or -errno.
 */
int ntzc_open(const char *path, __u64 *features);

/* Copy an interface's name to a field of the ABI. Return: 0, -EINVAL, or -ENODEV if too long. */
int ntzc_name_copy(char to[NTZC_NAME_LEN], const char *name);

/* mmap() of the tap's file, shared. Return: 0 or -errno. */
int ntzc_map(int fd, int prot, __u64 bytes, __u64 offset, void **map);

/* Put zeros, private and read-only, in a mapping's place. Return: 0 or -ENOMEM. */
int ntzc_blank(void *map, size_t bytes);

/* Set up @tap->rxqs of a tap that is attached; end what it set up; make it harmless to read. */
int ntzc_rx_open(struct ntzc_tap *tap);
void ntzc_rx_close(struct ntzc_tap *tap);
int ntzc_rx_blank(struct ntzc_tap *tap);

/* The same for @tap->txq, which is there without rings until ntzc_txq_open(). */
void ntzc_txq_init(struct ntzc_tap *tap);
int ntzc_txq_open(struct ntzc_tap *tap);
void ntzc_txq_close(struct ntzc_tap *tap);
int ntzc_txq_blank(struct ntzc_tap *tap);

/* Whether there are rings. Another thread may be setting them up, for a call that needs none. */
static inline int ntzc_txq_is_open(const struct ntzc_tap *tap)
{
	/* pairs with the release in ntzc_txq_open() */
	return __atomic_load_n(&tap->txq.rings, __ATOMIC_ACQUIRE) != NULL;
}

/* TX_RESERVE or TX_SUBMIT. Return: how many, or -errno. */
int ntzc_tx_call(struct ntzc_tap *tap, unsigned long command, const struct ntzc_desc *descs,
		 unsigned int n);

/* As TX_RESERVE and TX_SUBMIT do, with rings. @descs are as TX_SUBMIT takes them. */
int ntzc_txq_reserve(struct ntzc_tap *tap, struct ntzc_desc *descs, unsigned int n);
int ntzc_txq_submit(struct ntzc_tap *tap, const struct ntzc_desc *descs, unsigned int n);

/*
 * Frames that came in, to the tap's own port, without a call. @descs are as received.
 * Return: how many, or -EAGAIN if it takes ntzc_txq_submit() to say or do it.
 */
int ntzc_txq_forward(struct ntzc_tap *tap, const struct ntzc_desc *descs, unsigned int n);

/*
 * As ntzc_tap_tx_view() without the wait, and ntzc_tap_tx_done(). Return: also -ENOBUFS
 * or -ENOSPC, what to wait for.
 */
int ntzc_txq_view(struct ntzc_tap *tap, struct ntzc_desc **descs, unsigned int n);
int ntzc_txq_done(struct ntzc_tap *tap, unsigned int n);

/* Have the kernel take what is in the transmit ring. Return: 0, -EAGAIN if some is left, -errno. */
int ntzc_txq_flush(struct ntzc_tap *tap);

/* A reserved buffer is about to go back unsent: it must not be submitted any more. */
void ntzc_txq_forget(struct ntzc_tap *tap, __u32 handle);

/* Have the kernel look at the tap's rings. Return: 0 or -errno, of what it should send. */
int ntzc_kick(struct ntzc_tap *tap);

/* What is left until the deadline, as poll() takes it. */
int ntzc_time_left(struct ntzc_deadline *deadline);

/* poll(). Return: the events that came, 0 for none, or -errno. */
int ntzc_poll(int fd, short events, int timeout_ms);

/* poll() for @events until the deadline. Return: 1 ready, 0 time is up, or -errno. */
int ntzc_wait(int fd, short events, struct ntzc_deadline *deadline);

/*
 * Wait for what poll() may not tell: for @events, but a moment at most. Return:
 * 1 to look again, 0 once the deadline has passed, or -errno.
 */
int ntzc_wait_slice(int fd, short events, struct ntzc_deadline *deadline);

#define NTZC_SLICE_MS	1

#endif /* NTZC_INTERNAL_H */
