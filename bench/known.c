// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A program whose counts are known beforehand, to check the counter by: between
 * marks 1 and 2 it does COUNT rounds, each of one system call that copies LEN
 * bytes from the kernel, and one atomic instruction.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "marker.h"

#define MAX_LEN 65536

static unsigned char bytes[MAX_LEN];
static unsigned int rounds;

int main(int argc, char **argv)
{
	unsigned int count, len;
	int file;

	if (argc != 4)
		return 2;
	count = (unsigned int)atoi(argv[2]);
	len = (unsigned int)atoi(argv[3]);
	file = open(argv[1], O_RDONLY);
	if (file < 0 || len > MAX_LEN || pread(file, bytes, len, 0) != (ssize_t)len) {
		fprintf(stderr, "known: cannot read %u bytes of %s\n", len, argv[1]);
		return 1;
	}
	NTZC_MARK(1);
	for (unsigned int i = 0; i < count; i++) {
		if (pread(file, bytes, len, 0) != (ssize_t)len)
			return 1;
		__atomic_fetch_add(&rounds, 1, __ATOMIC_SEQ_CST);
	}
	NTZC_MARK(2);
	return 0;
}
