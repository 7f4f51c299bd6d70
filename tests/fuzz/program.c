// SPDX-License-Identifier: GPL-2.0-or-later
/* Programs: made afresh, mutated, written down and read. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

static struct call call_make(struct rng *rng)
{
	static unsigned int total;
	struct call call = { .tap = rng_below(rng, N_TAPS / 2), .seed = (uint32_t)rng_next(rng) };
	unsigned int at;

	if (!total)
		for (at = 0; at < n_ops(); at++)
			total += op_weight(at);
	at = rng_below(rng, total);
	while (at >= op_weight(call.op))
		at -= op_weight(call.op++);
	if (rng_one_in(rng, 8))
		call.tap = rng_below(rng, N_TAPS);
	if (rng_one_in(rng, 8))
		call.mode |= MODE_BROKEN;
	if (rng_one_in(rng, 24))
		call.mode |= MODE_ADDRESS;
	if (rng_one_in(rng, 12))
		call.mode |= MODE_WILD;
	return call;
}

static void program_add(struct program *p, struct call call)
{
	unsigned int n = p->n;

	if (n < MAX_CALLS) {
		p->calls[n] = call;
		p->n = n + 1;
	}
}

/* What nearly all the rest needs: most programs begin so */
static void program_start(struct program *p, struct rng *rng)
{
	static const char *const steps[] = { "open", "attach", "mmap", "tx_setup", "mmap" };
	unsigned int tap, i, taps = 1 + rng_below(rng, 3);

	for (tap = 0; tap < taps; tap++)
		for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
			struct call call = {
				.op = (uint8_t)op_find(steps[i]),
				.tap = (uint8_t)tap,
				.seed = (uint32_t)rng_next(rng),
			};

			if (!rng_one_in(rng, 10))
				program_add(p, call);
		}
}

void program_make(struct program *p, struct rng *rng)
{
	unsigned int n = 8 + rng_below(rng, MAX_CALLS - 8);

	p->n = 0;
	if (!rng_one_in(rng, 8))
		program_start(p, rng);
	while (p->n < n)
		program_add(p, call_make(rng));
}

static void program_insert(struct program *p, unsigned int at, struct call call)
{
	if (p->n == MAX_CALLS)
		return;
	memmove(&p->calls[at + 1], &p->calls[at], (p->n - at) * sizeof(call));
	p->calls[at] = call;
	p->n++;
}

static void program_remove(struct program *p, unsigned int at)
{
	if (p->n == 1)
		return;
	p->n--;
	memmove(&p->calls[at], &p->calls[at + 1], (p->n - at) * sizeof(p->calls[0]));
}

/* Go on like another program from some place on */
static void program_splice(struct program *p, const struct program *other, struct rng *rng)
{
	unsigned int i, n = other->n;

	p->n = 1 + rng_below(rng, p->n);
	for (i = rng_below(rng, n); i < n; i++)
		program_add(p, other->calls[i]);
}

void program_mutate(struct program *p, const struct program *other, struct rng *rng)
{
	unsigned int times = 1 + rng_below(rng, 6);

	if (rng_one_in(rng, 5))
		program_splice(p, other, rng);
	while (times--) {
		unsigned int at = rng_below(rng, p->n);

		switch (rng_below(rng, 6)) {
		case 0:
			program_remove(p, at);
			break;
		case 1:
			p->calls[at].mode ^= 1u << rng_below(rng, 3);
			break;
		case 2:
			p->calls[at].seed = (uint32_t)rng_next(rng);
			break;
		case 3:
			program_insert(p, at, p->calls[rng_below(rng, p->n)]);
			break;
		default:
			program_insert(p, at, call_make(rng));
			break;
		}
	}
}

void program_print(const struct program *p, FILE *to)
{
	unsigned int i;

	for (i = 0; i < p->n; i++)
		fprintf(to, "%s%s.%u.%u.%" PRIx32, i ? " " : "", op_name(p->calls[i].op),
			p->calls[i].tap, p->calls[i].mode, p->calls[i].seed);
}

bool program_read(struct program *p, const char *line)
{
	unsigned int tap, mode, n = 0;
	char name[32];
	uint32_t seed;
	int used;

	p->n = 0;
	while (sscanf(line, " %31[a-z_].%u.%u.%" SCNx32 "%n", name, &tap, &mode, &seed, &used) == 4) {
		unsigned int op = op_find(name);

		if (op == n_ops() || tap >= N_TAPS || n == MAX_CALLS)
			return false;
		p->calls[n++] = (struct call){
			.op = (uint8_t)op, .tap = (uint8_t)tap, .mode = (uint8_t)mode, .seed = seed
		};
		line += used;
	}
	p->n = n;
	return n && !line[strspn(line, " \n")];
}
