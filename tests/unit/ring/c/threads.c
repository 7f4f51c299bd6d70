// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Two threads with a ring between them, for a thread sanitizer and for the
 * processor itself: threads SIZE TOTAL START SLEEPS, all numbers.
 *
 * Entries are of 32 bytes, as descriptors are, and say which they are. Exit
 * status 0, or 1 with a line on standard error: an entry is not as written, or
 * the consumer was not woken.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "ntzc_ring.h"

#define DEADLINE_S	30
#define WORDS		(sizeof(struct ntzc_desc) / sizeof(__u64))

struct entry {
	__u64 word[WORDS];
};

static struct ntzc_ring ring __attribute__((aligned(64)));
static struct entry *entries;
static __u32 size, total, start, sleeps;
/*
 * What KICK is in the kernel. Relaxed, and no descriptor: the sanitizer must not
 * take a wake-up for an order between what the threads do to the ring.
 */
static __u32 kicks;

static void fail(const char *what, __u32 index)
{
	fprintf(stderr, "entry %u of %u: %s\n", index - start, total, what);
	_exit(1);
}

static __u64 mix(__u64 x)
{
	x *= 0x9e3779b97f4a7c15ull;
	return x ^ x >> 29;
}

static void kick(void)
{
	__atomic_fetch_add(&kicks, 1, __ATOMIC_RELAXED);
	syscall(SYS_futex, &kicks, FUTEX_WAKE_PRIVATE, 1, NULL);
}

static void *produce(void *unused)
{
	__u32 prod = start, end = start + total;

	while (prod != end) {
		__u32 n = ntzc_ring_space(&ring, prod, size);

		if (!n)
			sched_yield();
		/* in batches of all lengths */
		for (n = n > 1 ? 1 + mix(prod) % n : n; n && prod != end; n--, prod++)
			for (__u32 i = 0; i < WORDS; i++)
				entries[prod & (size - 1)].word[i] = mix(prod + i);
		ntzc_ring_publish(&ring, prod);
		if (sleeps && ntzc_ring_asks(&ring))
			kick();
	}
	return unused;
}

static __u32 wait_for_kick(__u32 cons)
{
	const struct timespec deadline = { .tv_sec = DEADLINE_S };
	__u32 seen = __atomic_load_n(&kicks, __ATOMIC_RELAXED);
	__u32 n;

	ntzc_ring_ask(&ring);
	n = ntzc_ring_filled(&ring, cons);
	if (!n && syscall(SYS_futex, &kicks, FUTEX_WAIT_PRIVATE, seen, &deadline) &&
	    errno == ETIMEDOUT)
		fail("nobody woke the consumer", cons);
	ntzc_ring_unask(&ring);
	return n;
}

static void *consume(void *unused)
{
	__u32 cons = start, end = start + total;

	while (cons != end) {
		__u32 n = ntzc_ring_filled(&ring, cons);

		if (n > size)
			fail("more than the ring holds", cons);
		if (!n && sleeps)
			n = wait_for_kick(cons);
		else if (!n)
			sched_yield();
		for (; n; n--, cons++)
			for (__u32 i = 0; i < WORDS; i++)
				if (entries[cons & (size - 1)].word[i] != mix(cons + i))
					fail("not as it was written", cons);
		ntzc_ring_consume(&ring, cons);
	}
	return unused;
}

int main(int argc, char **argv)
{
	pthread_t threads[2];

	if (argc != 5)
		return 2;
	size = strtoul(argv[1], NULL, 0);
	total = strtoul(argv[2], NULL, 0);
	start = strtoul(argv[3], NULL, 0);
	sleeps = strtoul(argv[4], NULL, 0);
	entries = calloc(size, sizeof(*entries));
	ring.prod = start;
	ring.cons = start;
	if (!entries || pthread_create(&threads[0], NULL, produce, NULL) ||
	    pthread_create(&threads[1], NULL, consume, NULL))
		return 2;
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	free(entries);
	return 0;
}
