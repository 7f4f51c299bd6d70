/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A kernel in user space, under libntzc: one card with two queues and the
 * host's, one tap. It is linked in place of the system calls (see test_rings.py),
 * and does at their boundary what ntzc.h says, with rings or without.
 */
#ifndef KERNEL_H
#define KERNEL_H

#include <stdbool.h>

#include "libntzc.h"

#define N_QUEUES	3
#define RING		16	/* descriptors in each ring */
#define RELEASE		64	/* and handles that may go back */
#define N_TX		8
#define TX_SIZE		2048
#define FRAME_MAX	1514

/* What the library asked for, and what it got wrong */
struct calls {
	unsigned int kick, poll, read, write, reserve, submit;
	unsigned int bad;	/* handles that nobody held */
};

extern struct calls calls;

/* Of the queues that the tap has: 0, 2 and the host's, which is 4 */
extern const unsigned int queue_number[N_QUEUES];

/* Before a tap is created: whether there are rings. */
void kernel_start(bool rings);

/* A frame comes in. Return: whether there was room. */
bool kernel_deliver(unsigned int queue);

/* The queues' polls: take back what is in the release rings. */
void kernel_reclaim(void);

/* Whether the kernel wants a KICK when something is put in this kind of ring. */
void kernel_release_asks(bool asks);
void kernel_tx_asks(bool asks);

/* Send what is in the transmit ring; what was sent goes to the free ring. */
void kernel_send(void);

/* The card is pulled out. */
void kernel_unplug(void);

unsigned int kernel_held(void);		/* frames that the tap holds, waiting ones included */
unsigned int kernel_places(unsigned int queue);	/* in its ring, not free */
unsigned int kernel_sent(void);

#endif /* KERNEL_H */
