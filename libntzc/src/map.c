// SPDX-License-Identifier: GPL-2.0-or-later
/* Mapping what the tap shares with the kernel, and letting go of it in place. */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/mman.h>
#include <sys/types.h>

#include "internal.h"

int ntzc_map(int fd, int prot, __u64 bytes, __u64 offset, void **map)
{
	void *at;

	/* mmap's length is of the machine's word: refuse what does not fit */
	if (bytes > SIZE_MAX)
		return -ENOMEM;
	at = mmap64(NULL, (size_t)bytes, prot, MAP_SHARED, fd, (off64_t)offset);
	if (at == MAP_FAILED)
		return -errno;
	*map = at;
	return 0;
}

int ntzc_blank(void *map, size_t bytes)
{
	void *at = mmap(map, bytes, PROT_READ,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);

	return at == MAP_FAILED ? -ENOMEM : 0;
}
