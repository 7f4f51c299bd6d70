// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A side of a ring as a function of what its operations have returned so far to
 * its next operation. Not for two threads at once.
 */
#include <setjmp.h>
#include <string.h>

#include "replay.h"
#include "sides.h"

#define POISON	0xa5

static struct shared shared;
static const unsigned int *answers;
static unsigned int n_answers;
static unsigned int n_asked;
static struct replay_op *next;
static jmp_buf out;

unsigned int replay(enum replay_kind kind, int order, const volatile void *place,
		    unsigned int size, unsigned int value)
{
	if (kind < REPLAY_AGAIN && n_asked < n_answers)
		return answers[n_asked++];

	next->kind = kind;
	next->order = order;
	next->offset = place ? (const volatile char *)place - (const volatile char *)&shared : 0;
	next->size = size;
	next->value = value;
	longjmp(out, 1);
}

unsigned int replay_mark(void)
{
	return n_asked;
}

/* Return 0, or -1 if the thread touched shared memory behind the checker's back. */
int replay_run(int side, const struct setting *setting, const unsigned int *given,
	       unsigned int n_given, struct replay_op *op)
{
	unsigned int i;

	memset(&shared, POISON, sizeof(shared));
	answers = given;
	n_answers = n_given;
	n_asked = 0;
	next = op;
	if (!setjmp(out)) {
		sides[side](&shared, setting);
		memset(op, 0, sizeof(*op));
		op->kind = REPLAY_DONE;
	}
	for (i = 0; i < sizeof(shared); i++)
		if (((unsigned char *)&shared)[i] != POISON)
			return -1;
	return 0;
}
