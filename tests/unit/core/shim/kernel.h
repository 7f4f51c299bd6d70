/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * As much of the kernel's interface as module/ uses, for user space. Every
 * compile gets this file first (-include), and empty files stand in for the
 * kernel's own headers, so that the module's sources compile unchanged.
 *
 * Nothing here runs concurrently. Where the kernel has a rule (a lock is not
 * taken twice, nothing sleeps under a spinlock, memory is freed by the call
 * that fits), breaking it is recorded by shim_bug(), and the run goes on.
 */
#ifndef SHIM_KERNEL_H
#define SHIM_KERNEL_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/types.h>

/* ---- words of the language ---- */

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;
typedef __s64 s64;
typedef u64 dma_addr_t;
typedef unsigned int gfp_t;

#define __rcu
#define __user
#define __init
#define __exit
#define __aligned(x)		__attribute__((aligned(x)))
#define ____cacheline_aligned	__aligned(64)
#define noinline		__attribute__((noinline))
#define likely(x)		__builtin_expect(!!(x), 1)
#define unlikely(x)		__builtin_expect(!!(x), 0)
#define EXPORT_SYMBOL_GPL(x)	_Static_assert(1, "")
#define BUILD_BUG_ON(x)		_Static_assert(!(x), #x)
#define container_of(p, type, member) ((type *)((char *)(p) - offsetof(type, member)))
#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))
#define BIT_ULL(n)		(1ull << (n))
#define GENMASK_ULL(h, l)	(~0ull << (l) & ~0ull >> (63 - (h)))

/* both sides of one type, as the kernel's checks demand */
#define shim_pick(a, b, op) ({ \
	__auto_type _a = (a); __auto_type _b = (b); \
	_Static_assert(__builtin_types_compatible_p(__typeof__(_a + 0), __typeof__(_b + 0)) || \
		       __builtin_constant_p(a) || __builtin_constant_p(b), "types differ"); \
	_a op _b ? _a : _b; })
#define min(a, b)		shim_pick(a, b, <)
#define max(a, b)		shim_pick(a, b, >)
#define min3(a, b, c)		min(min(a, b), c)
#define min_t(t, a, b)		min((t)(a), (t)(b))
#define max_t(t, a, b)		max((t)(a), (t)(b))
#define DIV_ROUND_UP(n, d)	(((n) + (d) - 1) / (d))
#define roundup(n, d)		(DIV_ROUND_UP(n, d) * (d))
#define ilog2(n)		(63 - __builtin_clzll(n))
#define is_power_of_2(n)	((n) && !((n) & ((n) - 1)))
#define roundup_pow_of_two(n)	((n) <= 1 ? 1ull : 1ull << (ilog2((n) - 1) + 1))
#define hweight64(n)		((u32)__builtin_popcountll(n))
#define __ffs64(x)		((unsigned int)__builtin_ctzll(x))
#define fls64(x)		((x) ? 64u - (unsigned int)__builtin_clzll(x) : 0u)
#define array_size(n, size)	((size_t)(n) * (size))
#define struct_size(p, member, n) (sizeof(*(p)) + (size_t)(n) * sizeof((p)->member[0]))
#define array_index_nospec(i, n) ((i) < (n) ? (i) : 0)

#define IS_ERR(p)		((unsigned long)(p) >= (unsigned long)-4095)
#define ERR_PTR(e)		((void *)(long)(e))
#define PTR_ERR(p)		((long)(p))

static inline int PTR_ERR_OR_ZERO(const void *p)
{
	return IS_ERR(p) ? (int)PTR_ERR(p) : 0;
}

#define READ_ONCE(x)		(*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v)	(*(volatile __typeof__(x) *)&(x) = (v))
#define data_race(x)		(x)
#define IS_ENABLED(option)	0	/* of the options that are asked for */
#define __uninitialized
#define upper_32_bits(n)	((u32)((u64)(n) >> 32))
#define rol64(n, by)		((u64)(n) << (by) | (u64)(n) >> (64 - (by)))
#define lower_32_bits(n)	((u32)(n))
#define smp_load_acquire(p)	__atomic_load_n(p, __ATOMIC_ACQUIRE)
#define smp_store_release(p, v)	__atomic_store_n(p, v, __ATOMIC_RELEASE)
#define barrier()		__asm__ volatile("" ::: "memory")
#define smp_mb()		__atomic_thread_fence(__ATOMIC_SEQ_CST)
#define smp_rmb()		__atomic_thread_fence(__ATOMIC_ACQUIRE)
#define smp_wmb()		__atomic_thread_fence(__ATOMIC_RELEASE)

static inline long shim_strscpy(char *to, const char *from, size_t size)
{
	size_t n = strnlen(from, size - 1);

	memcpy(to, from, n);
	to[n] = 0;
	return from[n] ? -E2BIG : (long)n;
}
#define strscpy			shim_strscpy

void shim_bug(const char *format, ...) __attribute__((format(printf, 1, 2)));
void shim_might_sleep(const char *what);
extern unsigned int shim_warned;
#define WARN_ON_ONCE(x)		({ bool _warn = !!(x); shim_warned += _warn; _warn; })
#define cond_resched()		shim_might_sleep("cond_resched")

/* ---- locks ---- */

struct shim_lock {
	const char *class;	/* where it was initialised names the class */
	bool sleeps;
	bool held;
	bool nested;		/* within another of its class, as was announced */
};

typedef struct { struct shim_lock l; } spinlock_t;
struct mutex { struct shim_lock l; };

void shim_lock(struct shim_lock *l, bool nested);
void shim_lock_in_softirq(struct shim_lock *l);
void shim_unlock(struct shim_lock *l);
#define spin_lock_init(x)	((x)->l = (struct shim_lock){ .class = #x })
#define mutex_init(x)		((x)->l = (struct shim_lock){ .class = #x, .sleeps = true })
#define DEFINE_MUTEX(name) \
	struct mutex name = { .l = { .class = #name, .sleeps = true } }
#define spin_lock_bh(x)		shim_lock(&(x)->l, false)
#define spin_unlock_bh(x)	shim_unlock(&(x)->l)
#define spin_lock(x)		shim_lock_in_softirq(&(x)->l)
#define spin_unlock(x)		shim_unlock(&(x)->l)
#define mutex_lock(x)		shim_lock(&(x)->l, false)
#define mutex_lock_nested(x, subclass) shim_lock(&(x)->l, subclass)
#define SINGLE_DEPTH_NESTING	1
#define mutex_lock_interruptible(x) (mutex_lock(x), 0)
#define mutex_unlock(x)		shim_unlock(&(x)->l)
#define lockdep_is_held(x)	((x)->l.held)
void rtnl_lock(void);
void rtnl_unlock(void);

/* ---- RCU ---- */

struct rcu_head { void *unused[2]; };

void rcu_read_lock(void);
void rcu_read_unlock(void);
void synchronize_net(void);
#define synchronize_rcu			synchronize_net
void shim_free_later(void *p);
void shim_rcu_check(bool allowed);
/* readers may still have what a pointer was before */
void shim_replaced(const void *old);
void shim_published(void);
#define rcu_dereference(p)	({ shim_rcu_check(false); smp_load_acquire(&(p)); })
#define rcu_dereference_protected(p, held) ({ shim_rcu_check(held); (p); })
#define rcu_access_pointer(p)	READ_ONCE(p)
/* a poll may come as soon as there is something new to find */
#define rcu_assign_pointer(p, v) \
	(shim_replaced(p), smp_store_release(&(p), v), shim_published())
#define rcu_replace_pointer(p, v, held) ({ \
	__auto_type _old = rcu_dereference_protected(p, held); \
	rcu_assign_pointer(p, v); _old; })
#define kfree_rcu(p, member) \
	({ _Static_assert(sizeof((p)->member) == sizeof(struct rcu_head), ""); shim_free_later(p); })

/* ---- reference counts ---- */

typedef struct { int counter; } atomic_t;

static inline void atomic_set(atomic_t *v, int n) { v->counter = n; }
static inline int atomic_read(const atomic_t *v) { return v->counter; }
void atomic_inc(atomic_t *v);
bool atomic_dec_and_test(atomic_t *v);

typedef struct { int refs; } refcount_t;
struct kref { refcount_t refcount; };

static inline void refcount_set(refcount_t *r, int n) { r->refs = n; }
static inline int refcount_read(const refcount_t *r) { return r->refs; }
void refcount_inc(refcount_t *r);
bool refcount_dec_and_test(refcount_t *r);

static inline void kref_init(struct kref *k) { refcount_set(&k->refcount, 1); }
static inline void kref_get(struct kref *k) { refcount_inc(&k->refcount); }
static inline int kref_put(struct kref *k, void (*release)(struct kref *))
{
	if (!refcount_dec_and_test(&k->refcount))
		return 0;
	release(k);
	return 1;
}

/* ---- lists ---- */

struct list_head { struct list_head *next, *prev; };

#define LIST_HEAD(name)		struct list_head name = { &(name), &(name) }
static inline void INIT_LIST_HEAD(struct list_head *h) { h->next = h->prev = h; }
static inline void shim_link(struct list_head *e, struct list_head *prev, struct list_head *next)
{
	*e = (struct list_head){ .next = next, .prev = prev };
	prev->next = next->prev = e;
}

static inline void list_add(struct list_head *e, struct list_head *h) { shim_link(e, h, h->next); }
static inline void list_add_tail(struct list_head *e, struct list_head *h)
{
	shim_link(e, h->prev, h);
}

static inline void list_del(struct list_head *e)
{
	e->next->prev = e->prev;
	e->prev->next = e->next;
	e->next = e->prev = NULL;
}

static inline void list_del_init(struct list_head *e)
{
	list_del(e);
	INIT_LIST_HEAD(e);
}

static inline bool list_empty(const struct list_head *h) { return h->next == h; }
#define list_for_each_entry(p, h, member) \
	for (p = container_of((h)->next, __typeof__(*p), member); &p->member != (h); \
	     p = container_of(p->member.next, __typeof__(*p), member))

#define list_for_each_entry_safe(p, n, h, member) \
	for (p = container_of((h)->next, __typeof__(*p), member), \
	     n = container_of(p->member.next, __typeof__(*p), member); &p->member != (h); \
	     p = n, n = container_of(n->member.next, __typeof__(*n), member))

/* ---- memory ---- */

#define PAGE_SHIFT		12
#define PAGE_SIZE		(1ul << PAGE_SHIFT)
#define PAGE_ALIGN(n)		roundup(n, PAGE_SIZE)

#define __GFP_RECLAIM		0x01u
#define __GFP_ZERO		0x02u
#define __GFP_COMP		0x04u
#define __GFP_NOWARN		0x08u
#define __GFP_NORETRY		0x10u
#define __GFP_NOFAIL		0x20u
#define __GFP_ACCOUNT		0x40u
#define __GFP_RETRY_MAYFAIL	0x80u
#define GFP_KERNEL		__GFP_RECLAIM
#define GFP_KERNEL_ACCOUNT	(GFP_KERNEL | __GFP_ACCOUNT)

enum shim_kind { SHIM_SLAB = 1, SHIM_VMALLOC = 2 };

void *shim_alloc(size_t n, size_t size, gfp_t gfp, enum shim_kind kind);
void shim_free(const void *p, unsigned int kinds);
#define kmalloc(size, gfp)	shim_alloc(1, size, gfp, SHIM_SLAB)
#define kzalloc(size, gfp)	shim_alloc(1, size, (gfp) | __GFP_ZERO, SHIM_SLAB)
#define kcalloc(n, size, gfp)	shim_alloc(n, size, (gfp) | __GFP_ZERO, SHIM_SLAB)
#define kvcalloc(n, size, gfp)	shim_alloc(n, size, (gfp) | __GFP_ZERO, SHIM_VMALLOC)
#define kvzalloc(size, gfp)	shim_alloc(1, size, (gfp) | __GFP_ZERO, SHIM_VMALLOC)
#define __vmalloc(size, gfp)	shim_alloc(1, size, gfp, SHIM_VMALLOC)
#define kfree(p)		shim_free(p, SHIM_SLAB)
#define vfree(p)		shim_free(p, SHIM_VMALLOC)
#define kvfree(p)		shim_free(p, SHIM_SLAB | SHIM_VMALLOC)

struct page {
	struct page *head;	/* the compound page's first */
	void *address;
	unsigned int order;	/* of the head */
	int refs;		/* of the head */
	struct page *next;	/* all heads that are allocated */
};

struct page *alloc_pages_node(int node, gfp_t gfp, unsigned int order);
void __free_pages(struct page *page, unsigned int order);
struct page *virt_to_page(const void *p);
struct page *vmalloc_to_page(const void *p);
static inline void *page_address(const struct page *page) { return page->address; }
static inline unsigned long page_to_pfn(struct page *page) { return (unsigned long)page; }
static inline unsigned int get_order(size_t size)
{
	return size <= PAGE_SIZE ? 0 : ilog2(size - 1) + 1 - PAGE_SHIFT;
}

/* ---- devices and DMA ---- */

struct device {
	const char *name;
	int node;
	bool bounces;		/* the card sees copies: only what is synced crosses */
	size_t max_mapping;
};

enum dma_data_direction { DMA_BIDIRECTIONAL, DMA_TO_DEVICE, DMA_FROM_DEVICE };

#define dev_name(dev)		((dev)->name)
#define dev_to_node(dev)	((dev)->node)
#define dma_need_sync(dev, dma)	((dev)->bounces)
#define dma_max_mapping_size(dev) ((dev)->max_mapping)
#define DMA_ERROR		(~(dma_addr_t)0)
#define dma_mapping_error(dev, dma) ((dma) == DMA_ERROR)
dma_addr_t dma_map_page(struct device *dev, struct page *page, size_t offset, size_t size,
			enum dma_data_direction dir);
void dma_unmap_page(struct device *dev, dma_addr_t dma, size_t size, enum dma_data_direction dir);
void shim_dma_sync(struct device *dev, dma_addr_t dma, size_t size, enum dma_data_direction dir,
		   bool for_cpu);
#define dma_sync_single_for_cpu(dev, dma, size, dir)	shim_dma_sync(dev, dma, size, dir, true)
#define dma_sync_single_for_device(dev, dma, size, dir)	shim_dma_sync(dev, dma, size, dir, false)

/* ---- the network ---- */

struct net { int unused; };
struct net_device {
	char name[16];
	int ifindex;
	const u8 *dev_addr;
	struct net *net;
	int promiscuity;
	bool carrier;
};

struct sk_buff;
typedef int netdev_tx_t;

struct shim_nsproxy { struct net *net_ns; };
struct pid { int refs; };
#define TASK_COMM_LEN	16
struct shim_task {
	struct shim_nsproxy *nsproxy;
	struct pid pid;
	const char *comm;
};
extern struct shim_task *current;
extern bool shim_killed;
extern struct net init_net;

typedef struct { u32 val; } kuid_t;
extern u32 shim_uid;
#define current_uid()		((kuid_t){ shim_uid })
#define uid_eq(a, b)		((a).val == (b).val)
#define current_user_ns()	NULL
#define from_kuid_munged(ns, uid) ((void)(ns), (uid).val)
#define task_tgid(task)		(&(task)->pid)
#define pid_vnr(pid)		((void)(pid), 4242)
#define get_task_comm(to, task)	strscpy(to, (task)->comm, TASK_COMM_LEN)
static inline struct pid *get_pid(struct pid *pid) { pid->refs++; return pid; }
static inline void put_pid(struct pid *pid) { pid->refs--; }

/* a poll that a program may run */
struct napi_struct {
	unsigned int napi_id;
	void (*poll)(void *arg);
	void *arg;
};

#define MIN_NAPI_ID		1u
#define BUSY_POLL_BUDGET	8
#define CONFIG_NET_RX_BUSY_POLL 1
void napi_busy_loop(unsigned int id, bool (*end)(void *, unsigned long), void *arg,
		    bool prefer, u16 budget);

#define dev_net(dev)		((dev)->net)
#define net_eq(a, b)		((a) == (b))
#define netif_carrier_ok(dev)	((dev)->carrier)
#define ether_addr_copy(to, from) memcpy(to, from, 6)
int dev_set_promiscuity(struct net_device *dev, int inc);

/* ---- id tables ---- */

#define SHIM_IDS		128
struct idr {
	void *of[SHIM_IDS];
	unsigned int next;
	struct idr *link;	/* all that were used */
	bool used;
};

#define DEFINE_IDR(name)	struct idr name
int idr_alloc_cyclic(struct idr *idr, void *p, int start, int end, gfp_t gfp);
void *idr_find(struct idr *idr, unsigned long id);
void *idr_get_next(struct idr *idr, int *id);
void idr_remove(struct idr *idr, unsigned long id);
struct ida {
	struct idr idr;
};

#define DEFINE_IDA(name)	struct ida name
int ida_alloc(struct ida *ida, gfp_t gfp);
void ida_free(struct ida *ida, unsigned int id);
#define idr_for_each_entry(idr, p, id) \
	for (id = 0; (p = idr_get_next(idr, &(id))) != NULL; id++)

/* ---- waiting, working, time ---- */

typedef struct { unsigned int sleepers, wakeups, polls; } wait_queue_head_t;

static inline void init_waitqueue_head(wait_queue_head_t *wq) { *wq = (wait_queue_head_t){ }; }
static inline bool wq_has_sleeper(wait_queue_head_t *wq) { return wq->sleepers; }
#define waitqueue_active			wq_has_sleeper
#define TASK_NORMAL				3
#define poll_to_key(mask)			((void *)(unsigned long)(mask))
#define __wake_up(wq, mode, n, key)		((void)(key), (void)(wq)->wakeups++)
#define wake_up_interruptible_poll(wq, mask)	((void)(mask), (void)(wq)->wakeups++)

struct workqueue_struct;
struct work_struct {
	void (*run)(struct work_struct *work);
	struct work_struct *next;
	bool pending;
};

#define INIT_WORK(w, f)		(*(w) = (struct work_struct){ .run = (f) })
bool queue_work(struct workqueue_struct *wq, struct work_struct *work);
#define wake_up_interruptible(wq)		((void)(wq)->wakeups++)

/* who would sleep is woken by a signal */
#define ERESTARTSYS		512
#define wait_event_interruptible(wq, condition) \
	({ shim_might_sleep("wait_event"); (condition) ? 0 : -ERESTARTSYS; })
#define need_resched()		false
#define signal_pending(task)	false
#define fatal_signal_pending(task)	shim_killed

typedef s64 ktime_t;
#define NSEC_PER_USEC		1000
enum tk_offsets { TK_OFFS_REAL, TK_OFFS_TAI };
/* far enough apart to tell the clocks from one another */
#define SHIM_REAL		1000000000000000000ll
#define SHIM_TAI		(SHIM_REAL + 37000000000ll)
#define ktime_to_ns(t)		(t)
#define ns_to_ktime(ns)		((ktime_t)(ns))
#define ktime_mono_to_real(t)	((t) + SHIM_REAL)
#define ktime_mono_to_any(t, offs) ((t) + ((offs) == TK_OFFS_TAI ? SHIM_TAI : SHIM_REAL))
u64 ktime_get_ns(void);

/* ---- mappings ---- */

typedef unsigned long vm_flags_t;
typedef unsigned int vm_fault_t;

#define VM_READ			0x0001ul
#define VM_WRITE		0x0002ul
#define VM_EXEC			0x0004ul
#define VM_SHARED		0x0008ul
#define VM_MAYREAD		0x0010ul
#define VM_MAYWRITE		0x0020ul
#define VM_MAYEXEC		0x0040ul
#define VM_MAYSHARE		0x0080ul
#define VM_IO			0x0100ul
#define VM_DONTEXPAND		0x0200ul
#define VM_DONTDUMP		0x0400ul
#define VM_DONTCOPY		0x0800ul
#define VM_MIXEDMAP		0x1000ul
#define VM_FAULT_OOM		0x1u
#define VM_FAULT_SIGBUS		0x2u
#define VM_FAULT_NOPAGE		0x100u
#define VM_FAULT_ERROR		(VM_FAULT_OOM | VM_FAULT_SIGBUS)

struct file {
	void *private_data;
	unsigned int f_flags, f_mode;
};

#define FMODE_READ	1
#define FMODE_WRITE	2

struct vm_operations_struct;
struct vm_area_struct {
	struct page **inserted;	/* by page of the mapping */
	unsigned long vm_start, vm_end, vm_pgoff;
	vm_flags_t vm_flags;
	struct file *vm_file;
	const struct vm_operations_struct *vm_ops;
};

struct vm_fault {
	struct vm_area_struct *vma;
	unsigned long pgoff;
	unsigned long address;
};

struct vm_operations_struct {
	vm_fault_t (*fault)(struct vm_fault *vmf);
};
vm_fault_t vmf_insert_mixed(struct vm_area_struct *vma, unsigned long addr, unsigned long pfn);
#define vma_pages(vma)		(((vma)->vm_end - (vma)->vm_start) >> PAGE_SHIFT)

#include "kernel_io.h"

#endif /* SHIM_KERNEL_H */
