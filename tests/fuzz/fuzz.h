/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fuzzer of /dev/ntzc, a program for the guest.
 *
 * A *program* is a list of calls; a call is an operation and one number from which all its
 * arguments come, so that a program is short, can be written down and mutates well:
 *
 *	program.c	makes, mutates, prints and reads programs
 *	args.c		arguments in memory: structures, sound or broken, and bad addresses
 *	calls.c		does each call; what a program knows while it runs
 *	cover.c		which new ways through the module a program went (KCOV)
 *	imp.c		a second thread that spoils what the first one uses
 *	main.c		processes that run programs and are killed; the pools looked at in between
 *
 * What a process does follows from its seed, but for the imp's timing and, where there is
 * KCOV, which programs were worth keeping. The recipe of each program goes to the kernel's
 * log before it runs, so that a crash names it.
 */
#ifndef NTZC_FUZZ_H
#define NTZC_FUZZ_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "ntzc.h"

enum {
	MAX_CALLS = 80,		/* in a program */
	MAX_CORPUS = 4096,
	N_TAPS = 6,		/* a program's */
	N_MAPS = 8,		/* likewise */
	N_KNOWN = 128,		/* descriptors that a tap remembers, each way */
	COVER_SLOTS = 1 << 18,
};

#define MAP_ROOM (256ull << 20)	/* addresses kept for one mapping */

/* Random numbers: splitmix64 */
struct rng {
	uint64_t state;
};

static inline uint64_t rng_next(struct rng *rng)
{
	uint64_t z = rng->state += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static inline uint32_t rng_below(struct rng *rng, uint32_t n)
{
	return (uint32_t)(rng_next(rng) >> 32) % n;
}

static inline bool rng_one_in(struct rng *rng, uint32_t n)
{
	return !rng_below(rng, n);
}

/* program.c */

struct call {
	uint8_t op;
	uint8_t tap;		/* which of the program's taps */
	uint8_t mode;		/* MODE_* */
	uint8_t unused;
	uint32_t seed;		/* of the arguments */
};

enum {
	MODE_BROKEN = 1,	/* fields of the argument changed after they were made */
	MODE_ADDRESS = 2,	/* a bad address instead of the argument's */
	MODE_WILD = 4,		/* numbers without sense */
};

struct program {
	atomic_uint n;		/* last to be written: 0 while there is none */
	struct call calls[MAX_CALLS];
};

void program_make(struct program *p, struct rng *rng);
void program_mutate(struct program *p, const struct program *other, struct rng *rng);
void program_print(const struct program *p, FILE *to);
bool program_read(struct program *p, const char *line);

/* cover.c */

bool cover_open(void);		/* for the calling thread; false if the kernel has no KCOV */
void cover_begin(void);
unsigned int cover_end(unsigned int op);	/* ways through that nobody had gone before */

/* args.c */

struct args {
	struct rng rng;
	uint8_t mode;
};

void args_open(void);
void *args_put(struct args *a, const void *data, size_t len);
void *args_room(struct args *a, size_t len);
void args_spoil(struct rng *rng);	/* what lies in the arguments' memory, whoever uses it */
uint32_t args_number(struct args *a);	/* of those at which things change */
void args_attach(struct args *a, struct ntzc_attach *out);
void args_filter(struct args *a, struct ntzc_filter *out);
void args_tx_setup(struct args *a, struct ntzc_tx_setup *out);
void args_name(struct args *a, char *name);

/* calls.c */

struct mapping {
	char *at;
	_Atomic size_t len;	/* 0: nothing is mapped there */
	uint64_t offset;	/* in the file */
	unsigned int tap;
};

struct known {
	struct ntzc_desc desc[N_KNOWN];
	unsigned int n;		/* so many were put in */
};

struct tap {
	_Atomic int fd;		/* -1: closed */
	struct ntzc_attach attach;
	struct ntzc_tx_setup tx;
	struct known rx, reserved;
};

struct world {
	struct tap taps[N_TAPS];
	struct mapping maps[N_MAPS];
};

extern struct world world;

void world_open(void);
void world_reset(void);		/* close and unmap all */
unsigned int n_ops(void);
const char *op_name(unsigned int op);
unsigned int op_weight(unsigned int op);
unsigned int op_find(const char *name);
void call_do(const struct call *call);

/* imp.c */

void imp_start(uint64_t seed);
bool guarded(void (*touch)(void *arg), void *arg);	/* false: there was no memory */
void touch_map(struct rng *rng, struct mapping *m);

/* main.c */

struct shared {
	atomic_ullong calls, programs, edges, killed, died;
	atomic_uint n_corpus;
	atomic_bool stop;
	atomic_uchar seen[COVER_SLOTS];
	struct program corpus[MAX_CORPUS];
};

extern struct shared *shared;
extern char cards[4][NTZC_NAME_LEN];
extern unsigned int n_cards;

#endif
