// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Mappings. Each has addresses of its own, kept free for it, so that what the imp writes to
 * after an munmap() is nobody else's memory.
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ops.h"

static struct mapping *map_any(struct args *a)
{
	return &world.maps[rng_below(&a->rng, N_MAPS)];
}

static void map_keep(struct mapping *m)
{
	mmap(m->at, MAP_ROOM, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
	     -1, 0);
}

void world_open(void)
{
	unsigned int i;

	for (i = 0; i < N_TAPS; i++)
		world.taps[i].fd = -1;
	for (i = 0; i < N_MAPS; i++)
		world.maps[i].at = mmap(NULL, MAP_ROOM, PROT_NONE,
					MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

void world_reset(void)
{
	unsigned int i;

	for (i = 0; i < N_MAPS; i++) {
		if (!atomic_exchange(&world.maps[i].len, 0))
			continue;
		map_keep(&world.maps[i]);
	}
	for (i = 0; i < N_TAPS; i++) {
		int fd = atomic_exchange(&world.taps[i].fd, -1);

		if (fd >= 0)
			close(fd);
		world.taps[i].rx.n = 0;
		world.taps[i].reserved.n = 0;
	}
}

/* What there is to map, and how long that is */
static size_t map_choose(struct tap *tap, struct args *a, uint64_t *offset)
{
	uint32_t queue = rng_below(&a->rng, 9);

	switch (rng_below(&a->rng, 5)) {
	case 0:
		*offset = NTZC_MMAP_RX;
		return tap->attach.rx_bytes;
	case 1:
		*offset = NTZC_MMAP_TX;
		return tap->tx.tx_bytes;
	case 2:
		*offset = NTZC_MMAP_TX_RINGS;
		return tap->tx.rings_bytes;
	default:
		*offset = NTZC_MMAP_RX_RINGS + queue * NTZC_MMAP_RX_RINGS_STEP;
		return tap->attach.rings_bytes;
	}
}

void op_mmap(struct tap *tap, struct args *a)
{
	int prot = PROT_READ, flags = MAP_SHARED;
	struct mapping *m = map_any(a);
	uint64_t offset;
	size_t len = map_choose(tap, a, &offset);
	void *at;

	if (offset != NTZC_MMAP_RX || a->mode & MODE_WILD)
		prot |= PROT_WRITE;
	if (a->mode & MODE_WILD) {
		offset += (uint64_t)args_number(a) << 12;
		len += 4096 * (size_t)rng_below(&a->rng, 3) - 4096;
		prot = (int)rng_below(&a->rng, 8);
		flags = rng_one_in(&a->rng, 2) ? MAP_SHARED : MAP_PRIVATE;
	} else if (rng_one_in(&a->rng, 4) && len > 8192) {
		/* a part */
		offset += 4096;
		len = 4096 + len / 2 / 4096 * 4096 - 4096;
	}
	if (!len || len > MAP_ROOM)
		len = 4096;
	if (rng_one_in(&a->rng, 4))
		flags |= MAP_POPULATE;
	/* a mapping of the fuzzer's may lie over an older one */
	at = mmap(m->at, len, prot, flags | MAP_FIXED, tap->fd, (off_t)offset);
	if (at == MAP_FAILED)
		return;
	m->offset = offset;
	m->tap = (unsigned int)(tap - world.taps);
	atomic_store(&m->len, len);
}

void op_munmap(struct tap *tap, struct args *a)
{
	struct mapping *m = map_any(a);
	size_t len = m->len, pages = len / 4096;

	(void)tap;
	if (pages > 1 && rng_one_in(&a->rng, 2)) {
		/* from its middle, or an end */
		munmap(m->at + 4096ull * rng_below(&a->rng, (uint32_t)pages), 4096);
		return;
	}
	if (atomic_exchange(&m->len, 0))
		map_keep(m);
}

void op_mremap(struct tap *tap, struct args *a)
{
	struct mapping *m = map_any(a), *to = map_any(a);
	size_t len = m->len, new = len;
	int flags = MREMAP_MAYMOVE;

	(void)tap;
	if (!len)
		return;
	if (rng_one_in(&a->rng, 2))
		new = rng_one_in(&a->rng, 2) ? len + 4096 : 4096;
	if (rng_one_in(&a->rng, 4))
		len = 0;
	if (rng_one_in(&a->rng, 4))
		flags |= 4;	/* MREMAP_DONTUNMAP */
	if (to == m || new > MAP_ROOM) {
		mremap(m->at, len, new, 0);
		return;
	}
	if (mremap(m->at, len, new, flags | MREMAP_FIXED, to->at) == MAP_FAILED)
		return;
	to->offset = m->offset;
	to->tap = m->tap;
	atomic_store(&to->len, new);
	if (len) {
		atomic_store(&m->len, 0);
		map_keep(m);
	}
}

void op_mprotect(struct tap *tap, struct args *a)
{
	struct mapping *m = map_any(a);

	(void)tap;
	if (m->len)
		mprotect(m->at, rng_one_in(&a->rng, 2) ? m->len : 4096, (int)rng_below(&a->rng, 8));
}

void op_madvise(struct tap *tap, struct args *a)
{
	struct mapping *m = map_any(a);
	int advice = (int)rng_below(&a->rng, 26);

	(void)tap;
	if (m->len)
		madvise(m->at, m->len, advice);
	if (m->len && rng_one_in(&a->rng, 4))
		mlock(m->at, 4096);
}

void op_touch(struct tap *tap, struct args *a)
{
	(void)tap;
	touch_map(&a->rng, map_any(a));
}

void op_fork(struct tap *tap, struct args *a)
{
	struct mapping *m = map_any(a);
	pid_t child = fork();

	(void)tap;
	if (child) {
		while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
			;
		return;
	}
	touch_map(&a->rng, m);
	_exit(0);
}
