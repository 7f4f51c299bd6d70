// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The receive queues' memory: rings mapped from the kernel, one set for each
 * queue of the tap, or without rings a buffer that read(2) fills. What happens
 * in them is in rx.c. Nothing here may run beside another call on the same tap.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "internal.h"

/* Descriptors in views at a time where there are no rings */
#define NTZC_CALL_ENTRIES	1024

static int ntzc_rxq_map(struct ntzc_tap *tap, struct ntzc_rxq *q, unsigned int number)
{
	const struct ntzc_attach *attach = &tap->attach;
	void *map;
	int err;

	err = ntzc_map(tap->fd, PROT_READ | PROT_WRITE, attach->rings_bytes,
		       NTZC_MMAP_RX_RINGS + number * NTZC_MMAP_RX_RINGS_STEP, &map);
	if (err)
		return err;
	q->rings = map;
	q->entries = (struct ntzc_desc *)((char *)map + NTZC_RING_ENTRIES);
	q->mask = attach->ring_size - 1;
	q->release = (__u32 *)((char *)map + attach->release_offset);
	q->release_mask = attach->release_size - 1;
	tap->by_queue[number] = q;
	return 0;
}

/* Numbers of the queues that have rings; the host's comes after the card's. Return: how many. */
static unsigned int ntzc_rx_numbers(const struct ntzc_attach *attach,
				    unsigned char numbers[NTZC_MAX_QUEUES + 1])
{
	unsigned int n = 0, i;

	for (i = 0; i < NTZC_MAX_QUEUES; i++)
		if (attach->queues >> i & 1)
			numbers[n++] = (unsigned char)i;
	if (attach->flags & NTZC_ATTACH_HOST)
		numbers[n++] = (unsigned char)attach->n_queues;
	return n;
}

static int ntzc_rx_map(struct ntzc_tap *tap, const unsigned char *numbers)
{
	unsigned int i;
	int err;

	for (i = 0; i < tap->n_rxqs; i++) {
		err = ntzc_rxq_map(tap, &tap->rxqs[i], numbers[i]);
		if (err)
			return err;
	}
	return 0;
}

/* One buffer serves all queues */
static int ntzc_rx_alloc(struct ntzc_tap *tap)
{
	struct ntzc_rxq *q = tap->rxqs;
	unsigned int i;

	q->entries = malloc(NTZC_CALL_ENTRIES * sizeof(*q->entries));
	if (!q->entries)
		return -ENOMEM;
	q->mask = NTZC_CALL_ENTRIES - 1;
	for (i = 0; i < sizeof(tap->by_queue) / sizeof(tap->by_queue[0]); i++)
		tap->by_queue[i] = q;
	return 0;
}

int ntzc_rx_open(struct ntzc_tap *tap)
{
	unsigned char numbers[NTZC_MAX_QUEUES + 1];
	unsigned int n = 1, i;
	int err;

	if (tap->door == NTZC_DOOR_RINGS)
		n = ntzc_rx_numbers(&tap->attach, numbers);
	tap->rxqs = aligned_alloc(_Alignof(struct ntzc_rxq), n * sizeof(*tap->rxqs));
	if (!tap->rxqs)
		return -ENOMEM;
	memset(tap->rxqs, 0, n * sizeof(*tap->rxqs));
	tap->n_rxqs = n;
	for (i = 0; i < n; i++)
		pthread_mutex_init(&tap->rxqs[i].lock, NULL);
	err = tap->door == NTZC_DOOR_RINGS ? ntzc_rx_map(tap, numbers) : ntzc_rx_alloc(tap);
	if (err)
		ntzc_rx_close(tap);
	return err;
}

/* Locks are left as they are: in a forked child they may look taken, and they own nothing */
void ntzc_rx_close(struct ntzc_tap *tap)
{
	unsigned int i;

	for (i = 0; i < tap->n_rxqs; i++) {
		if (tap->rxqs[i].rings)
			munmap(tap->rxqs[i].rings, tap->attach.rings_bytes);
		else
			free(tap->rxqs[i].entries);
	}
	free(tap->rxqs);
}

int ntzc_rx_blank(struct ntzc_tap *tap)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < tap->n_rxqs && !err; i++)
		if (tap->rxqs[i].rings)
			err = ntzc_blank(tap->rxqs[i].rings, tap->attach.rings_bytes);
	return err;
}
