/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What one operation is given; see calls.c for the list of them. */
#ifndef NTZC_FUZZ_OPS_H
#define NTZC_FUZZ_OPS_H

#include "fuzz.h"

typedef void op_fn(struct tap *tap, struct args *a);

/* memory.c */
op_fn op_mmap, op_munmap, op_mremap, op_mprotect, op_madvise, op_touch, op_fork;

/* traffic.c */
op_fn op_read, op_readv, op_write, op_writev, op_reserve, op_submit, op_forward, op_rings_rx,
	op_rings_tx, op_other_io;

/* The kernel's numbers in what is mapped there; NULL if nothing is */
struct ntzc_ring *mapped_rings(const struct tap *tap, uint64_t from, uint64_t to, size_t *len);

#endif
