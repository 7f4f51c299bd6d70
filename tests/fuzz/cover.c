// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * KCOV, by hand. Only our modules are built with it, so what it counts is ours. A way through
 * is two places that follow each other in one operation.
 */
#include <fcntl.h>
#include <linux/kcov.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"

enum { ENTRIES = 1 << 16 };

static unsigned long *trace;	/* the number of entries, then those */

bool cover_open(void)
{
	int fd = open("/sys/kernel/debug/kcov", O_RDWR | O_CLOEXEC);
	void *map;

	trace = NULL;
	if (fd < 0)
		return false;
	if (ioctl(fd, KCOV_INIT_TRACE, ENTRIES))
		return false;
	map = mmap(NULL, ENTRIES * sizeof(*trace), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED || ioctl(fd, KCOV_ENABLE, KCOV_TRACE_PC))
		return false;
	trace = map;
	return true;
}

void cover_begin(void)
{
	if (trace)
		__atomic_store_n(&trace[0], 0, __ATOMIC_RELAXED);
}

unsigned int cover_end(unsigned int op)
{
	unsigned long i, n, before = op;
	unsigned int found = 0;

	if (!trace)
		return 0;
	n = __atomic_load_n(&trace[0], __ATOMIC_RELAXED);
	for (i = 0; i < n && i < ENTRIES - 1; i++) {
		unsigned long pc = trace[i + 1];
		uint64_t way = (pc ^ before * 31) * 0x9e3779b97f4a7c15ull;

		if (!atomic_exchange(&shared->seen[way >> (64 - 18)], 1))
			found++;
		before = pc;
	}
	atomic_fetch_add(&shared->edges, found);
	return found;
}
