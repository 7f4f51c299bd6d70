/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The card that does not exist: what card.c does, and check.c looks at. */
#ifndef CARD_H
#define CARD_H

#include "shim.h"
#include "core.h"

#define MAX_RING	1024
#define MAX_QUEUES	8

/* what the card was given, oldest first */
struct card_ring {
	struct m_buf *m[MAX_RING];
	dma_addr_t dma[MAX_RING];	/* where the driver was told that it is */
	unsigned int n;
};

struct sent {
	struct card_sent info;
	struct sent *next;
	u8 bytes[];
};

struct card {
	struct card *next;
	struct device dev;
	struct napi_struct napi[MAX_QUEUES];
	struct net_device netdev;
	u8 mac[6];
	struct ntzc_port *port;
	unsigned int max_queues, n_queues, rx_size, tx_size;
	struct card_ring rx[MAX_QUEUES], tx[MAX_QUEUES];
	bool refill_asked[MAX_QUEUES];
	bool running, detached, destroyed;
	int start_error;
	unsigned int take_at_most, completes;
	int host_room;
	u64 rx_missed, rx_errors;
	struct sent *sent, **last_sent;

	/* frames that arrive when somebody polls */
	struct {
		struct card_frame *frames;
		unsigned int n, polls;
	} wire[MAX_QUEUES];

	struct {
		unsigned int q, complete, n, received, completed;
		struct card_frame *frames;
		bool armed, ran;
	} irq;
};

/* all that there are */
extern struct card *cards;

#endif /* CARD_H */
