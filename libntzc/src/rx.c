// SPDX-License-Identifier: GPL-2.0-or-later
/* Receive: one read(2) for a batch of descriptors, one write(2) to give them back. */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "internal.h"

/* More in one call gains nothing, and sizes in bytes stay far from overflow */
#define NTZC_MAX_CALL	NTZC_MAX_RING
#define NTZC_GATHER	256

int ntzc_tap_peek(struct ntzc_tap *tap, struct ntzc_desc *descs, unsigned int n,
		  int timeout_ms)
{
	struct ntzc_deadline deadline = { .timeout_ms = timeout_ms };
	ssize_t got;
	int ready;

	if (n > NTZC_MAX_CALL)
		n = NTZC_MAX_CALL;
	for (;;) {
		got = read(tap->fd, descs, n * sizeof(*descs));
		if (got >= 0)
			return (int)((size_t)got / sizeof(*descs));
		if (errno != EAGAIN)
			return -errno;
		ready = ntzc_wait(tap->fd, POLLIN, &deadline);
		if (ready <= 0)
			return ready;
	}
}

int ntzc_tap_release(struct ntzc_tap *tap, const __u32 *handles, unsigned int n)
{
	ssize_t put;

	if (n > NTZC_MAX_CALL)
		n = NTZC_MAX_CALL;
	if (!n)
		return 0;
	put = write(tap->fd, handles, n * sizeof(*handles));
	return put < 0 ? -errno : (int)((size_t)put / sizeof(*handles));
}

int ntzc_tap_release_descs(struct ntzc_tap *tap, const struct ntzc_desc *descs, unsigned int n)
{
	__u32 handles[NTZC_GATHER];
	unsigned int done = 0, part, i;
	int put;

	while (done < n) {
		part = n - done < NTZC_GATHER ? n - done : NTZC_GATHER;
		for (i = 0; i < part; i++)
			handles[i] = descs[done + i].handle;
		put = ntzc_tap_release(tap, handles, part);
		if (put < 0)
			return done ? (int)done : put;
		done += (unsigned int)put;
		if ((unsigned int)put < part)
			break;
	}
	return (int)done;
}
