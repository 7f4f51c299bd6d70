/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the library's files share: the tap's insides, opening, and waiting. */
#ifndef NTZC_INTERNAL_H
#define NTZC_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

#include "libntzc.h"

/* All fields are set by create, tx_setup and detach, and only read besides. */
struct ntzc_tap {
	struct ntzc_tap_memory memory;	/* first: the inline functions look there */
	int fd;				/* -1 once detached */
	struct ntzc_attach attach;
	struct ntzc_tx_setup tx;
};

/* When a wait began to matter: set on the first wait, so that calls that need none read no clock. */
struct ntzc_deadline {
	int timeout_ms;
	int started;
	int64_t end_ms;
};

/* Open a device node and check that both sides mean the same ABI. Return: the file, or -errno. */
int ntzc_open(const char *path);

/* poll() for @events until the deadline. Return: 1 ready, 0 time is up, or -errno. */
int ntzc_wait(int fd, short events, struct ntzc_deadline *deadline);

/*
 * Wait for what poll() may not tell: for @events, but a moment at most. Return:
 * 1 to look again, 0 once the deadline has passed, or -errno.
 */
int ntzc_wait_slice(int fd, short events, struct ntzc_deadline *deadline);

#endif /* NTZC_INTERNAL_H */
