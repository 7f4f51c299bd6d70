// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The two sides of a ring, as the module and libntzc are: free-running indices of
 * their own, entries written before they are published and read before their
 * places are given back. Whoever finds nothing looks again; a consumer may ask for
 * a kick instead. An entry's value says which it is. Compiled twice, for the
 * kernel and for a program, from the header that both use.
 */
#include "replay.h"
#include "ntzc_ring.h"
#include "sides.h"

static void put(unsigned int *entry, unsigned int value)
{
	replay(REPLAY_WRITE, 0, entry, sizeof(*entry), value);
}

static unsigned int take(const unsigned int *entry)
{
	return replay(REPLAY_READ, 0, entry, sizeof(*entry), 0);
}

static unsigned int min(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

static void expect(int truth, unsigned int line)
{
	if (!truth)
		replay(REPLAY_FAIL, 0, 0, 0, line);
}

static void produce(struct shared *s, const struct setting *set)
{
	unsigned int prod = set->start, end = set->start + set->total;

	while (prod != end) {
		unsigned int mark = replay_mark();
		unsigned int n = ntzc_ring_space(&s->ring, prod, set->size);

		expect(n <= set->size, __LINE__);
		if (!n)
			replay(REPLAY_AGAIN, 0, 0, 0, mark);
		for (n = min(n, min(set->batch, end - prod)); n; n--) {
			put(&s->entries[prod % set->size], prod + 1);
			prod++;
		}
		ntzc_ring_publish(&s->ring, prod);
		if (set->sleeps && ntzc_ring_asks(&s->ring))
			replay(REPLAY_KICK, 0, 0, 0, 0);
	}
}

/* What there is to take; if nothing, spin or sleep until there is. */
static unsigned int filled(struct shared *s, unsigned int cons, const struct setting *set)
{
	unsigned int mark = replay_mark();
	unsigned int n = ntzc_ring_filled(&s->ring, cons);

	if (n)
		return n;
	if (!set->sleeps)
		replay(REPLAY_AGAIN, 0, 0, 0, mark);
	ntzc_ring_ask(&s->ring);
	n = ntzc_ring_filled(&s->ring, cons);
	if (!n)
		replay(REPLAY_WAIT, 0, 0, 0, 0);
	ntzc_ring_unask(&s->ring);
	return n;
}

static void consume(struct shared *s, const struct setting *set)
{
	unsigned int cons = set->start, end = set->start + set->total;

	while (cons != end) {
		unsigned int n = filled(s, cons, set);

		expect(n <= set->size, __LINE__);
		if (!n)
			continue;
		for (n = min(n, set->batch); n; n--) {
			expect(take(&s->entries[cons % set->size]) == cons + 1, __LINE__);
			cons++;
		}
		ntzc_ring_consume(&s->ring, cons);
	}
}

void (*const sides[])(struct shared *s, const struct setting *set) = {
	[PRODUCER] = produce,
	[CONSUMER] = consume,
};
