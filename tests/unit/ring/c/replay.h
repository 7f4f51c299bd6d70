/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Each access to shared memory of the code after this header becomes a question
 * to the model checker (explore.py), which answers with what a load returns.
 *
 * A thread runs from its beginning each time: the answers that there are already
 * are given again, and the first operation without one is what it does next.
 */
#ifndef REPLAY_H
#define REPLAY_H

enum replay_kind {	/* explore.py's */
	REPLAY_LOAD,
	REPLAY_STORE,
	REPLAY_FENCE,
	REPLAY_READ,
	REPLAY_WRITE,
	REPLAY_KICK,
	REPLAY_WAIT,
	REPLAY_AGAIN,
	REPLAY_FAIL,
	REPLAY_DONE,
};

struct replay_op {
	unsigned int kind;
	unsigned int order;
	unsigned int offset;	/* of the place in the shared memory */
	unsigned int size;
	unsigned int value;
};

unsigned int replay(enum replay_kind kind, int order, const volatile void *place,
		    unsigned int size, unsigned int value);
unsigned int replay_mark(void);

#define REPLAY_ATOMIC_LOAD(p, order) \
	((__typeof__(*(p) + 0))replay(REPLAY_LOAD, order, p, sizeof(*(p)), 0))
#define REPLAY_ATOMIC_STORE(p, v, order) \
	((void)replay(REPLAY_STORE, order, p, sizeof(*(p)), v))

/* What user space's side of ntzc_ring.h is made of */
#define __atomic_load_n(p, order)	REPLAY_ATOMIC_LOAD(p, order)
#define __atomic_store_n(p, v, order)	REPLAY_ATOMIC_STORE(p, v, order)
#define __atomic_thread_fence(order)	((void)replay(REPLAY_FENCE, order, 0, 0, 0))

#endif /* REPLAY_H */
