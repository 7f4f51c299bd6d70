/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's own accesses, at least as weak as its memory model has them. */
#define READ_ONCE(x)			__atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v)		__atomic_store_n(&(x), v, __ATOMIC_RELAXED)
