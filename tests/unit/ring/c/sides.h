/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The two sides of a ring, as the module and libntzc use ntzc_ring.h. */
#ifndef SIDES_H
#define SIDES_H

#include "ntzc.h"

#define MAX_SIZE	4

struct shared {
	struct ntzc_ring ring;
	unsigned int entries[MAX_SIZE];
};

struct setting {
	unsigned int size;	/* of the ring, a power of two */
	unsigned int start;	/* both indices at first */
	unsigned int total;	/* entries that go through */
	unsigned int batch;	/* entries that a side deals with at once, at most */
	unsigned int sleeps;	/* the consumer sleeps until it is kicked */
};

enum side { PRODUCER, CONSUMER };

extern void (*const sides[])(struct shared *shared, const struct setting *setting);

#endif /* SIDES_H */
