/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The addresses whose executions are told apart: how often, or how much a
 * register held each time. They come from the file FILE.watch beside the
 * counter's output, when the guest sets the mark WATCH_MARK. Its lines are
 *
 *	HEX_ADDRESS count	add 1 for each execution
 *	HEX_ADDRESS rcx|rdx	add that register
 *	mmio user		user code may access devices, too: count it
 *
 * A landing pad at an address is stepped over, as a direct call does.
 */
#ifndef NTZC_INSN_WATCH_H
#define NTZC_INSN_WATCH_H

#include "qemu_plugin.h"

#define WATCH_MARK	0x7fff

struct watch {
	uint64_t given;		/* the address as in the file */
	uint64_t vaddr;		/* what is watched: behind a landing pad */
	struct qemu_plugin_register *reg;	/* or NULL: count */
};

/* Read the list. In a virtual CPU's callback. Return: false if it is no such list. */
bool watch_load(const char *path);

/* Return: what is watched at vaddr, or NULL. */
const struct watch *watch_find(uint64_t vaddr);

/* Are devices accessed by user code? */
bool watch_user_mmio(void);

/* Return: what the register of a watch holds. In a callback that may read registers. */
uint64_t watch_register(const struct watch *watch);

#endif
