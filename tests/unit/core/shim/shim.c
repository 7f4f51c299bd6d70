// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What stands behind kernel.h: the rules' bookkeeping. All state is in one
 * structure, and services.c's, cleared by shim_reset(). One thread only.
 */
#include <stdarg.h>
#include <stdio.h>

#include "shim.h"

#define MAX_HELD	16
#define MAX_CLASSES	32	/* every other one is of locks within another of their class */
#define POISON_NEW	0xa5
#define POISON_FREED	0x6b

/* one line of execution: a process, or a softirq that interrupted it */
struct context {
	struct shim_lock *held[MAX_HELD];
	unsigned int n_held, n_spin, rcu;
	bool softirq;
};

struct block {
	void *p;
	size_t size;
	enum shim_kind kind;
	struct page *pages;	/* of SHIM_VMALLOC memory that a fault found, each by itself */
};

struct mapping {
	struct device *dev;
	struct page *page;
	dma_addr_t dma;
	size_t size;
	enum dma_data_direction dir;
	u8 *shadow;		/* what the card sees */
};

static struct {
	char error[256];
	struct context cpu[3];
	const char *classes[MAX_CLASSES / 2];
	bool after[MAX_CLASSES][MAX_CLASSES];	/* [a][b]: b was taken while a was held */
	unsigned int n_classes;

	struct block *blocks;
	size_t n_blocks, max_blocks;
	struct page *pages;
	size_t n_pages;
	struct mapping *mappings;
	size_t n_mappings, max_mappings;
	dma_addr_t next_dma;
	unsigned int fail_in;
	bool failed;
	int max_order;

	void **doomed;		/* freed after the grace period */
	size_t n_doomed, max_doomed;
	const void **replaced;	/* what RCU's readers may have still */
	size_t n_replaced, max_replaced;

	void (*beside)(void);
	unsigned int interrupt_in;
	void (*interrupt)(void *arg);
	void *interrupt_arg;
} shim;

static struct context *cpu = &shim.cpu[0];
struct net init_net;
static struct shim_nsproxy host_nsproxy = { .net_ns = &init_net };
static struct shim_task host_task = { .nsproxy = &host_nsproxy, .comm = "tester" };
static struct mutex rtnl;
struct shim_task *current = &host_task;
bool shim_killed;
struct workqueue_struct *ntzc_wq;
unsigned int shim_warned;

/* ---- errors ---- */

void shim_bug(const char *format, ...)
{
	va_list args;

	if (shim.error[0])	/* the first is the cause */
		return;
	va_start(args, format);
	vsnprintf(shim.error, sizeof(shim.error), format, args);
	va_end(args);
}

const char *shim_error(void)
{
	return shim.error;
}

unsigned int shim_warnings(void)
{
	unsigned int n = shim_warned;

	shim_warned = 0;
	return n;
}

void shim_might_sleep(const char *what)
{
	if (cpu->n_spin || cpu->rcu || cpu->softirq)
		shim_bug("%s may sleep: %u spinlocks held, RCU depth %u, %s", what, cpu->n_spin,
			 cpu->rcu, cpu->softirq ? "in a softirq" : "in a process");
}

static void *grow(void *array, size_t n, size_t *max, size_t size)
{
	if (n < *max)
		return array;
	*max = *max ? *max * 2 : 64;
	return realloc(array, *max * size);
}

/* ---- locks ---- */

static unsigned int class_of(const struct shim_lock *l)
{
	unsigned int i;

	for (i = 0; i < shim.n_classes; i++)
		if (!strcmp(shim.classes[i], l->class))
			return 2 * i + l->nested;
	if (2 * shim.n_classes == MAX_CLASSES) {
		shim_bug("too many lock classes");
		return 0;
	}
	shim.classes[shim.n_classes] = l->class;
	return 2 * shim.n_classes++ + l->nested;
}

/* whether b was ever taken, at some remove, while a was held */
static bool reaches(unsigned int a, unsigned int b, u32 seen)
{
	unsigned int i;

	if (shim.after[a][b])
		return true;
	for (i = 0; i < 2 * shim.n_classes; i++)
		if (shim.after[a][i] && !(seen & 1u << i) && reaches(i, b, seen | 1u << i))
			return true;
	return false;
}

static void note_order(const struct shim_lock *l)
{
	unsigned int b = class_of(l), i;

	for (i = 0; i < cpu->n_held; i++) {
		unsigned int a = class_of(cpu->held[i]);

		if (a == b || reaches(b, a, 0))
			shim_bug("lock order: %s taken under %s, and elsewhere the other way", l->class,
				 cpu->held[i]->class);
		shim.after[a][b] = true;
	}
}

void shim_lock(struct shim_lock *l, bool nested)
{
	if (!l->class) {
		shim_bug("lock used before it was initialised");
		return;
	}
	if (l->held)
		shim_bug("%s taken twice", l->class);
	if (l->sleeps)
		shim_might_sleep(l->class);
	l->nested = nested;
	note_order(l);
	l->held = true;
	if (!l->sleeps)
		cpu->n_spin++;
	if (cpu->n_held < MAX_HELD)
		cpu->held[cpu->n_held++] = l;
}

/* Without _bh: a softirq that interrupts the holder would wait for ever */
void shim_lock_in_softirq(struct shim_lock *l)
{
	if (!cpu->softirq && !cpu->n_spin)
		shim_bug("%s taken with softirqs enabled", l->class);
	shim_lock(l, false);
}

/* A softirq runs where bottom halves are enabled again: between any two spinlocks */
static void maybe_interrupt(void)
{
	if (cpu->n_spin || cpu->softirq || !shim.interrupt_in || --shim.interrupt_in)
		return;
	shim_softirq(shim.interrupt, shim.interrupt_arg);
}

void shim_softirq(void (*run)(void *arg), void *arg)
{
	struct context *interrupted = cpu;

	if (cpu->softirq) {
		run(arg);
		return;
	}
	cpu = &shim.cpu[1];
	cpu->softirq = true;
	run(arg);
	if (cpu->n_held || cpu->rcu)
		shim_bug("softirq left with a lock held");
	cpu = interrupted;
}

void shim_beside(void (*run)(void))
{
	shim.beside = run;
}

/* While a process waits for memory, another one may do anything */
void shim_run_beside(void)
{
	struct context *sleeper = cpu;
	void (*run)(void) = shim.beside;

	if (!run)
		return;
	cpu = &shim.cpu[2];
	shim.beside = NULL;
	run();
	shim.beside = run;
	cpu = sleeper;
}

void shim_unlock(struct shim_lock *l)
{
	unsigned int i;

	for (i = cpu->n_held; i-- && cpu->held[i] != l;)
		;
	if (!l->held || i >= cpu->n_held) {
		shim_bug("%s released and not held", l->class ?: "a lock");
		return;
	}
	memmove(&cpu->held[i], &cpu->held[i + 1], (--cpu->n_held - i) * sizeof(l));
	l->held = false;
	if (l->sleeps)
		return;
	cpu->n_spin--;
	maybe_interrupt();
}

void shim_interrupt_in(unsigned int unlocks, void (*run)(void *arg), void *arg)
{
	shim.interrupt_in = unlocks;
	shim.interrupt = run;
	shim.interrupt_arg = arg;
}

bool shim_interrupt_pending(void)
{
	bool pending = shim.interrupt_in;

	shim.interrupt_in = 0;
	return pending;
}

void rtnl_lock(void) { mutex_lock(&rtnl); }
void rtnl_unlock(void) { mutex_unlock(&rtnl); }
bool shim_rtnl_held(void) { return rtnl.l.held; }

/* ---- RCU: a grace period is over when synchronize_net() says so ---- */

void rcu_read_lock(void) { cpu->rcu++; }
void rcu_read_unlock(void)
{
	if (!cpu->rcu--)
		shim_bug("rcu_read_unlock without a lock");
}

void shim_rcu_check(bool allowed)
{
	if (!allowed && !cpu->rcu)
		shim_bug("RCU pointer read without its lock");
}

void shim_free_later(void *p)
{
	shim.doomed = grow(shim.doomed, shim.n_doomed, &shim.max_doomed, sizeof(*shim.doomed));
	shim.doomed[shim.n_doomed++] = p;
}

void shim_replaced(const void *old)
{
	if (!old)
		return;
	shim.replaced = grow(shim.replaced, shim.n_replaced, &shim.max_replaced,
			     sizeof(*shim.replaced));
	shim.replaced[shim.n_replaced++] = old;
}

void shim_published(void)
{
	maybe_interrupt();
}

void shim_rcu_barrier(void)
{
	shim.n_replaced = 0;
	while (shim.n_doomed)
		kfree(shim.doomed[--shim.n_doomed]);
}

void synchronize_net(void)
{
	shim_might_sleep("synchronize_net");
	shim_rcu_barrier();
}

/* ---- reference counts ---- */

void atomic_inc(atomic_t *v)
{
	if (v->counter <= 0 || v->counter == INT_MAX)
		shim_bug("atomic_inc of %d", v->counter);
	v->counter++;
}

bool atomic_dec_and_test(atomic_t *v)
{
	if (v->counter <= 0)
		shim_bug("atomic_dec of %d", v->counter);
	return !--v->counter;
}

void refcount_inc(refcount_t *r)
{
	if (r->refs <= 0 || r->refs == INT_MAX)
		shim_bug("refcount_inc of %d", r->refs);
	r->refs++;
}

bool refcount_dec_and_test(refcount_t *r)
{
	if (r->refs <= 0)
		shim_bug("refcount_dec of %d", r->refs);
	return !--r->refs;
}

/* ---- memory ---- */

bool shim_fails(gfp_t gfp)
{
	if (gfp & __GFP_NOFAIL || !shim.fail_in || --shim.fail_in)
		return false;
	shim.failed = true;
	return true;
}

u32 shim_uid = 1000;

void shim_kill(bool killed)
{
	shim_killed = killed;
}

void shim_set_uid(unsigned int uid)
{
	shim_uid = uid;
}

void shim_fail_nth(unsigned int n)
{
	shim.fail_in = n;
	shim.failed = false;
}

bool shim_has_failed(void)
{
	shim.fail_in = 0;
	return shim.failed;
}

void shim_limit_order(int order)
{
	shim.max_order = order;
}

/* A memory cgroup may have who charges it wait as long as it pleases: others' locks are not held */
static void check_charge(gfp_t gfp)
{
	unsigned int i;

	for (i = 0; gfp & __GFP_ACCOUNT && i < cpu->n_held; i++)
		if (!strstr(cpu->held[i]->class, "setup_lock"))
			shim_bug("charged memory waited for under %s", cpu->held[i]->class);
}

void *shim_alloc(size_t n, size_t size, gfp_t gfp, enum shim_kind kind)
{
	void *p;

	check_charge(gfp);
	if (gfp & __GFP_RECLAIM || kind == SHIM_VMALLOC) {
		shim_might_sleep("allocation");
		shim_run_beside();
	}
	if (shim_fails(gfp) || __builtin_mul_overflow(n, size, &size) ||
	    posix_memalign(&p, kind == SHIM_VMALLOC ? PAGE_SIZE : 64, size ?: 1))
		return NULL;
	memset(p, gfp & __GFP_ZERO ? 0 : POISON_NEW, size);
	shim.blocks = grow(shim.blocks, shim.n_blocks, &shim.max_blocks, sizeof(*shim.blocks));
	shim.blocks[shim.n_blocks++] = (struct block){ .p = p, .size = size, .kind = kind };
	return p;
}

static struct block *block_of(const void *p)
{
	size_t i;

	for (i = 0; i < shim.n_blocks; i++)
		if ((size_t)((const char *)p - (const char *)shim.blocks[i].p) < shim.blocks[i].size)
			return &shim.blocks[i];
	return NULL;
}

/* What RCU's readers may have still, and what they find from there, stays */
static void check_not_read(const void *p, const char *start, const char *end)
{
	const struct block *b;
	size_t i, w;

	for (i = 0; i < shim.n_replaced; i++)
		if (shim.replaced[i] == p)
			shim_bug("freed before RCU's readers were done with it");
	for (i = 0; i < shim.n_doomed; i++) {
		b = block_of(shim.doomed[i]);
		for (w = 0; b && w < b->size / sizeof(void *); w++)
			if ((size_t)(((char **)b->p)[w] - start) < (size_t)(end - start))
				shim_bug("freed while RCU's readers can find it");
	}
}

static void check_not_in_use(const struct block *b)
{
	const char *start = b->p, *end = start + b->size;
	unsigned int i, c;

	check_not_read(b->p, start, end);

	for (c = 0; c < ARRAY_SIZE(shim.cpu); c++)
		for (i = 0; i < shim.cpu[c].n_held; i++)
			if ((char *)shim.cpu[c].held[i] >= start && (char *)shim.cpu[c].held[i] < end)
				shim_bug("%s freed while held", shim.cpu[c].held[i]->class);
	if (shim_work_within(start, end))
		shim_bug("memory of queued work freed");
}

void shim_free(const void *p, unsigned int kinds)
{
	size_t i;

	if (!p)
		return;
	for (i = 0; i < shim.n_blocks && shim.blocks[i].p != p; i++)
		;
	if (i == shim.n_blocks) {
		shim_bug("freed twice, or never allocated");
		return;
	}
	if (!(shim.blocks[i].kind & kinds))
		shim_bug("freed by the wrong call");
	check_not_in_use(&shim.blocks[i]);
	memset(shim.blocks[i].p, POISON_FREED, shim.blocks[i].size);
	free(shim.blocks[i].p);
	free(shim.blocks[i].pages);
	shim.blocks[i] = shim.blocks[--shim.n_blocks];
}

struct page *alloc_pages_node(int node, gfp_t gfp, unsigned int order)
{
	size_t size = PAGE_SIZE << order, i;
	struct page *pages;
	void *p;

	check_charge(gfp);
	if (gfp & __GFP_RECLAIM)
		shim_might_sleep("page allocation");
	/* an order that fragmentation denies is no injected failure */
	if ((int)order > shim.max_order || shim_fails(gfp) || posix_memalign(&p, PAGE_SIZE, size))
		return NULL;
	if (order && !(gfp & __GFP_COMP))
		shim_bug("pages of order %u are not compound", order);
	memset(p, gfp & __GFP_ZERO ? 0 : POISON_NEW, size);
	pages = calloc(1ul << order, sizeof(*pages));
	for (i = 0; i < 1ul << order; i++) {
		pages[i].head = pages;
		pages[i].address = (char *)p + i * PAGE_SIZE;
	}
	pages->order = order;
	pages->refs = 1;
	pages->next = shim.pages;
	shim.pages = pages;
	shim.n_pages++;
	return pages;
}

void shim_put_page(struct page *page)
{
	struct page **at = &shim.pages;
	size_t i;

	page = page->head;
	while (*at && *at != page)
		at = &(*at)->next;
	if (--page->refs)
		return;
	for (i = 0; i < shim.n_mappings; i++)
		if (shim.mappings[i].page == page)
			shim_bug("pages freed while the card may write to them");
	*at = page->next;
	shim.n_pages--;
	free(page->address);
	free(page);
}

void __free_pages(struct page *page, unsigned int order)
{
	const struct page *p;

	for (p = shim.pages; p && p != page; p = p->next)
		;
	if (!p)
		shim_bug("pages freed twice, or never allocated");
	else if (p->order != order)
		shim_bug("pages of order %u freed as %u", p->order, order);
	else
		shim_put_page(page);
}

struct page *virt_to_page(const void *p)
{
	struct page *page;

	for (page = shim.pages; page; page = page->next) {
		size_t at = (const char *)p - (const char *)page->address;

		if (at < PAGE_SIZE << page->order)
			return &page[at >> PAGE_SHIFT];
	}
	shim_bug("no page there");
	return NULL;
}

struct page *vmalloc_to_page(const void *p)
{
	struct block *b = block_of(p);
	size_t n, i;

	if (!b || b->kind != SHIM_VMALLOC) {
		shim_bug("no page of vmalloc() there");
		return NULL;
	}
	n = DIV_ROUND_UP(b->size, PAGE_SIZE);
	if (!b->pages) {
		b->pages = calloc(n, sizeof(*b->pages));
		for (i = 0; i < n; i++) {
			b->pages[i].head = &b->pages[i];
			b->pages[i].address = (char *)b->p + i * PAGE_SIZE;
			b->pages[i].refs = 1;
		}
	}
	return &b->pages[((const char *)p - (const char *)b->p) >> PAGE_SHIFT];
}

/* ---- DMA ---- */

static struct mapping *find_mapping(dma_addr_t dma, size_t size)
{
	size_t i;

	for (i = 0; i < shim.n_mappings; i++) {
		struct mapping *m = &shim.mappings[i];

		if (dma >= m->dma && dma - m->dma < m->size)
			return size <= m->size - (dma - m->dma) ? m : NULL;
	}
	return NULL;
}

dma_addr_t dma_map_page(struct device *dev, struct page *page, size_t offset, size_t size,
			enum dma_data_direction dir)
{
	struct mapping *m;

	if (shim_fails(0))
		return DMA_ERROR;
	if (offset + size > PAGE_SIZE << page->order || size > dev->max_mapping)
		shim_bug("DMA mapping of %zu bytes is too long", size);
	shim.mappings = grow(shim.mappings, shim.n_mappings, &shim.max_mappings,
			     sizeof(*shim.mappings));
	m = &shim.mappings[shim.n_mappings++];
	*m = (struct mapping){
		.dev = dev, .page = page, .dma = shim.next_dma, .size = size, .dir = dir,
		.shadow = page->address,
	};
	if (dev->bounces) {
		m->shadow = malloc(size);
		memset(m->shadow, POISON_NEW, size);
	}
	shim.next_dma += size + PAGE_SIZE;	/* no two mappings touch */
	return m->dma;
}

void dma_unmap_page(struct device *dev, dma_addr_t dma, size_t size, enum dma_data_direction dir)
{
	struct mapping *m = find_mapping(dma, size);

	if (!m || m->dma != dma || m->size != size || m->dir != dir || m->dev != dev) {
		shim_bug("DMA unmapped otherwise than mapped");
		return;
	}
	if (dev->bounces)
		free(m->shadow);
	*m = shim.mappings[--shim.n_mappings];
}

void shim_dma_sync(struct device *dev, dma_addr_t dma, size_t size, enum dma_data_direction dir,
		   bool for_cpu)
{
	struct mapping *m = find_mapping(dma, size);
	u8 *cpu_side;

	if (!m || m->dev != dev) {
		shim_bug("DMA sync outside of a mapping");
		return;
	}
	if (m->dir != DMA_BIDIRECTIONAL && m->dir != dir)
		shim_bug("DMA sync against the mapping's direction");
	if (!dev->bounces)
		return;
	cpu_side = (u8 *)m->page->address + (dma - m->dma);
	if (for_cpu && dir != DMA_TO_DEVICE)
		memcpy(cpu_side, m->shadow + (dma - m->dma), size);
	if (!for_cpu && dir != DMA_FROM_DEVICE)
		memcpy(m->shadow + (dma - m->dma), cpu_side, size);
}

void *shim_dma_access(struct device *dev, dma_addr_t dma, size_t size, bool write)
{
	struct mapping *m = find_mapping(dma, size);

	if (!m || m->dev != dev || m->dir == (write ? DMA_TO_DEVICE : DMA_FROM_DEVICE)) {
		shim_bug("the card cannot %s %zu bytes there", write ? "write" : "read", size);
		return NULL;
	}
	return m->shadow + (dma - m->dma);
}

/* ---- the whole ---- */

struct net *shim_net(void)
{
	return &init_net;
}

void shim_get_live(struct shim_live *live)
{
	*live = (struct shim_live){
		.blocks = shim.n_blocks,
		.pages = shim.n_pages,
		.mappings = shim.n_mappings,
		.doomed = shim.n_doomed,
		.pids = host_task.pid.refs,
	};
	shim_get_services(live);
	if (shim.cpu[0].n_held || shim.cpu[0].rcu)
		shim_bug("%s still held", shim.cpu[0].n_held ? shim.cpu[0].held[0]->class : "RCU");
}

void shim_reset(void)
{
	size_t i;

	for (i = 0; i < shim.n_blocks; i++) {
		free(shim.blocks[i].p);
		free(shim.blocks[i].pages);
	}
	for (i = 0; i < shim.n_mappings; i++)
		if (shim.mappings[i].dev->bounces)
			free(shim.mappings[i].shadow);
	while (shim.pages) {
		struct page *page = shim.pages;

		shim.pages = page->next;
		free(page->address);
		free(page);
	}
	shim_reset_services();
	free(shim.blocks);
	free(shim.mappings);
	free(shim.doomed);
	free(shim.replaced);
	host_task.pid.refs = 0;
	memset(&shim, 0, sizeof(shim));
	card_forget_all();
	shim.max_order = 10;
	shim.next_dma = 0x100000000ull;
	shim_warned = 0;
	cpu = &shim.cpu[0];
	mutex_init(&rtnl);
}
