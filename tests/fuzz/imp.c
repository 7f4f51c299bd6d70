// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The imp: a thread that writes into rings, buffers and arguments that its process has given
 * to the kernel, and does calls of its own in between.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ops.h"

static __thread sigjmp_buf gone;
static __thread volatile sig_atomic_t guarding;

static void on_fault(int sig)
{
	if (guarding)
		siglongjmp(gone, 1);
	signal(sig, SIG_DFL);	/* a fault of the fuzzer's own: let it be seen */
}

bool guarded(void (*touch)(void *arg), void *arg)
{
	if (sigsetjmp(gone, 1)) {
		guarding = 0;
		return false;
	}
	guarding = 1;
	touch(arg);
	guarding = 0;
	return true;
}

struct touch {
	struct rng *rng;
	struct mapping *m;
};

/* Indices ahead, back and by half the numbers there are; or any word behind them */
static void touch_some(void *arg)
{
	static const uint32_t jumps[] = { 1, 1, 2, 64, 4096, 0x80000000u, -1u, -64u };
	const struct touch *t = arg;
	size_t len = t->m->len;
	volatile uint32_t *words = (void *)t->m->at;

	if (len < 4096)
		return;
	if (t->m->offset >= NTZC_MMAP_RX_RINGS && rng_one_in(t->rng, 3))
		/* struct ntzc_ring: prod, cons and flags, twice, each on 64 bytes */
		words[16 * rng_below(t->rng, 6)] += jumps[rng_below(t->rng, 8)];
	else if (t->m->offset >= NTZC_MMAP_TX && rng_one_in(t->rng, 2))
		words[rng_below(t->rng, (uint32_t)(len / 4))] = (uint32_t)rng_next(t->rng);
	else
		(void)words[rng_below(t->rng, (uint32_t)(len / 4))];
}

void touch_map(struct rng *rng, struct mapping *m)
{
	struct touch t = { rng, m };

	guarded(touch_some, &t);
}

static void *imp_run(void *arg)
{
	struct rng rng = { (uint64_t)(uintptr_t)arg };

	for (;;) {
		unsigned int i, n = rng_below(&rng, 64);
		struct timespec nap = { 0, rng_below(&rng, 2000) * 1000 };

		for (i = 0; i < n; i++) {
			touch_map(&rng, &world.maps[rng_below(&rng, N_MAPS)]);
			args_spoil(&rng);
		}
		if (rng_one_in(&rng, 4)) {
			static struct program p;

			program_make(&p, &rng);
			/* from its end: its start opens the taps anew */
			call_do(&p.calls[p.n - 1]);
		}
		nanosleep(&nap, NULL);
	}
	return NULL;
}

void imp_start(uint64_t seed)
{
	struct sigaction action = { .sa_handler = on_fault, .sa_flags = SA_NODEFER };
	pthread_t thread;
	sigset_t alarms;

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	/* the clock is for the calls of the main thread */
	sigemptyset(&alarms);
	sigaddset(&alarms, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &alarms, NULL);
	pthread_create(&thread, NULL, imp_run, (void *)(uintptr_t)seed);
	pthread_sigmask(SIG_UNBLOCK, &alarms, NULL);
}
