/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests' own C code asks of the stand-in for the kernel. */
#ifndef SHIM_H
#define SHIM_H

#include "kernel.h"
#include "api.h"

/* run(arg), as a softirq, after that many spinlocks were released by a process */
void shim_interrupt_in(unsigned int unlocks, void (*run)(void *arg), void *arg);
/* whether it has not happened yet; takes it off */
bool shim_interrupt_pending(void);
/* run(arg) as another processor would, or as a softirq does; nested, it just runs */
void shim_softirq(void (*run)(void *arg), void *arg);
void shim_put_page(struct page *page);
/* the bytes that a card sees at a DMA address, or NULL (recorded) if it may not */
void *shim_dma_access(struct device *dev, dma_addr_t dma, size_t size, bool write);
struct net *shim_net(void);
bool shim_rtnl_held(void);
/* whether work that is queued lies in this memory */
bool shim_work_within(const char *start, const char *end);
/* services.c's part of what lives, and of the end */
void shim_get_services(struct shim_live *live);
void shim_reset_services(void);
void card_forget_all(void);
/* whether the allocation that is being made is the one to fail */
bool shim_fails(gfp_t gfp);
/* another process does as shim_beside() says */
void shim_run_beside(void);

/* file descriptors of programs: a socket filter that wants frames longer than 64 bytes, and none */
#define SHIM_EBPF		7
#define SHIM_EBPF_OTHER		8

#endif /* SHIM_H */
