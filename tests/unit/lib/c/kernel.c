// SPDX-License-Identifier: GPL-2.0-or-later
/* The fake kernel: see kernel.h. One lock guards everything, but for what the rings are for. */
#define _GNU_SOURCE
#include "kernel.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ntzc_ring.h"

#define N_FRAMES	4096
#define RX_BYTES	(1u << 20)
#define RINGS_BYTES	8192u
#define RX_RELEASE	(NTZC_RING_ENTRIES + RING * sizeof(struct ntzc_desc))
#define TX_FREE		(NTZC_RING_ENTRIES + N_TX * sizeof(struct ntzc_desc))
#define HEADROOM	64u

struct queue {
	struct ntzc_rx_rings *rings;
	struct ntzc_desc *entries;
	__u32 *release;
	__u32 prod, release_cons;
};

struct calls calls;
const unsigned int queue_number[N_QUEUES] = { 0, 2, 4 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct queue queues[N_QUEUES];
static unsigned int owner[N_FRAMES];	/* of each handle: 1 + the queue while it is held */
static unsigned int next_handle;
static struct ntzc_tx_rings *tx;
static struct ntzc_desc *tx_entries;
static struct ntzc_tx_buf *tx_free;
static __u32 tx_cons, free_prod;
static unsigned int tx_use[N_TX];	/* of each buffer: so often sent */
static unsigned int sent, targets;
static bool has_rings, gone;

static void *memory(size_t bytes)
{
	return mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

void kernel_start(bool rings)
{
	unsigned int i;

	has_rings = rings;
	for (i = 0; i < N_QUEUES; i++) {
		queues[i].rings = memory(RINGS_BYTES);
		queues[i].entries = (void *)((char *)queues[i].rings + NTZC_RING_ENTRIES);
		queues[i].release = (void *)((char *)queues[i].rings + RX_RELEASE);
	}
}

/* --- receive; all under the lock --- */

static void give_back(unsigned int handle, unsigned int queue)
{
	if (handle < N_FRAMES && owner[handle] == 1 + queue)
		owner[handle] = 0;
	else
		calls.bad++;
}

static void reclaim(void)
{
	unsigned int i;

	for (i = 0; i < N_QUEUES; i++) {
		struct queue *q = &queues[i];
		__u32 n = ntzc_ring_filled(&q->rings->release, q->release_cons);

		for (; n; n--, q->release_cons++)
			give_back(q->release[q->release_cons % RELEASE], i);
		ntzc_ring_consume(&q->rings->release, q->release_cons);
	}
}

static __u32 waiting(const struct queue *q)
{
	return q->prod - ntzc_ring_load(&q->rings->rx.cons);
}

bool kernel_deliver(unsigned int queue)
{
	struct queue *q = &queues[queue];
	bool room;

	pthread_mutex_lock(&lock);
	room = ntzc_ring_space(&q->rings->rx, q->prod, RING);
	if (room) {
		do
			next_handle = (next_handle + 1) % N_FRAMES;
		while (owner[next_handle]);
		owner[next_handle] = 1 + queue;
		q->entries[q->prod % RING] = (struct ntzc_desc) {
			.handle = next_handle,
			.offset = next_handle * 128,
			.timestamp = q->prod,
			.len = 60,
			.queue = (__u8)queue_number[queue],
		};
		ntzc_ring_publish(&q->rings->rx, ++q->prod);
	}
	pthread_mutex_unlock(&lock);
	return room;
}

void kernel_reclaim(void)
{
	pthread_mutex_lock(&lock);
	reclaim();
	pthread_mutex_unlock(&lock);
}

void kernel_release_asks(bool asks)
{
	unsigned int i;

	for (i = 0; i < N_QUEUES; i++)
		ntzc_ring_store(&queues[i].rings->release.flags, asks ? NTZC_RING_NEED_WAKEUP : 0);
}

void kernel_unplug(void)
{
	pthread_mutex_lock(&lock);
	gone = true;
	pthread_mutex_unlock(&lock);
}

unsigned int kernel_held(void)
{
	unsigned int i, n = 0;

	pthread_mutex_lock(&lock);
	for (i = 0; i < N_FRAMES; i++)
		n += !!owner[i];
	pthread_mutex_unlock(&lock);
	return n;
}

unsigned int kernel_places(unsigned int queue)
{
	return waiting(&queues[queue]);
}

/* --- transmit; all under the lock --- */

static __u32 tx_handle(unsigned int buffer)
{
	return NTZC_HANDLE_TX | tx_use[buffer] << 8 | buffer;
}

static void tx_offer(unsigned int buffer)
{
	tx_free[free_prod % N_TX] = (struct ntzc_tx_buf) {
		.handle = tx_handle(buffer),
		.offset = buffer * TX_SIZE + HEADROOM,
	};
	ntzc_ring_publish(&tx->free, ++free_prod);
}

/* Return: 0, or the error of the boundary. */
static int tx_send(const struct ntzc_desc *desc)
{
	unsigned int buffer = desc->handle & 0xff;

	if (desc->queue > targets)
		return EINVAL;
	if (!(desc->handle & NTZC_HANDLE_TX)) {
		if (desc->handle >= N_FRAMES || !owner[desc->handle])
			return ESTALE;
		owner[desc->handle] = 0;
	} else if (buffer < N_TX && desc->handle == tx_handle(buffer)) {
		tx_use[buffer]++;
		tx_offer(buffer);
	} else {
		return ESTALE;
	}
	sent++;
	return 0;
}

static void tx_run(void)
{
	__u32 n = tx ? ntzc_ring_filled(&tx->tx, tx_cons) : 0;

	for (; n; n--, tx_cons++)
		calls.bad += !!tx_send(&tx_entries[tx_cons % N_TX]);
	if (tx)
		ntzc_ring_consume(&tx->tx, tx_cons);
}

void kernel_send(void)
{
	pthread_mutex_lock(&lock);
	tx_run();
	pthread_mutex_unlock(&lock);
}

void kernel_tx_asks(bool asks)
{
	ntzc_ring_store(&tx->tx.flags, asks ? NTZC_RING_NEED_WAKEUP : 0);
}

unsigned int kernel_sent(void)
{
	return sent;
}

/* --- the boundary --- */

static int refuse(int code)
{
	errno = code;
	return -1;
}

static int attach(struct ntzc_attach *arg)
{
	arg->queues = 1 << queue_number[0] | 1 << queue_number[1];
	arg->n_queues = queue_number[2];
	arg->ring_size = RING;
	arg->rx_bytes = RX_BYTES;
	arg->rings_bytes = RINGS_BYTES;
	arg->release_offset = RX_RELEASE;
	arg->release_size = RELEASE;
	arg->frame_max = FRAME_MAX;
	return 0;
}

static int tx_setup(struct ntzc_tx_setup *arg)
{
	unsigned int i;

	if (!(arg->flags & NTZC_TX_RINGS))
		return refuse(EINVAL);
	tx = memory(RINGS_BYTES);
	tx_entries = (void *)((char *)tx + NTZC_RING_ENTRIES);
	tx_free = (void *)((char *)tx + TX_FREE);
	for (i = 0; i < N_TX; i++)
		tx_offer(i);
	arg->n_bufs = N_TX;
	arg->buf_size = TX_SIZE;
	arg->headroom = HEADROOM;
	arg->tx_bytes = N_TX * TX_SIZE;
	arg->rings_bytes = RINGS_BYTES;
	arg->ring_size = N_TX;
	arg->free_offset = TX_FREE;
	kernel_tx_asks(true);
	return 0;
}

static int submit(const struct ntzc_tx_batch *batch)
{
	const struct ntzc_desc *descs = (const void *)(uintptr_t)batch->descs;
	int err = 0;
	__u32 i;

	calls.submit++;
	for (i = 0; i < batch->count; i++) {
		err = tx_send(&descs[i]);
		if (err)
			break;
	}
	return i ? (int)i : refuse(err);
}

static int command(unsigned long number, void *arg)
{
	switch (number) {
	case NTZC_IOC_QUERY:
		*(struct ntzc_query *)arg = (struct ntzc_query) {
			.abi_version = NTZC_ABI_VERSION,
			.desc_size = sizeof(struct ntzc_desc),
			.features = has_rings ? NTZC_FEATURE_RINGS : 0,
		};
		return 0;
	case NTZC_IOC_ATTACH:
		return attach(arg);
	case NTZC_IOC_TX_SETUP:
		return tx_setup(arg);
	case NTZC_IOC_KICK:
		calls.kick++;
		reclaim();
		tx_run();
		return 0;
	case NTZC_IOC_TX_RESERVE:	/* the ring has got them all */
		calls.reserve++;
		return refuse(ENOBUFS);
	case NTZC_IOC_TX_SUBMIT:
		return submit(arg);
	case NTZC_IOC_TX_DRAIN:
		return 0;
	case NTZC_IOC_TX_TARGET:
		((struct ntzc_tx_target *)arg)->target = ++targets;
		return 0;
	case NTZC_IOC_PORT_INFO:
		((struct ntzc_port_info *)arg)->frame_max = FRAME_MAX;
		return 0;
	default:
		return refuse(ENOTTY);
	}
}

int __wrap_open(const char *path, int flags, ...);
int __wrap_ioctl(int fd, unsigned long number, ...);
void *__wrap_mmap64(void *at, size_t bytes, int prot, int flags, int fd, off64_t offset);
void *__real_mmap64(void *at, size_t bytes, int prot, int flags, int fd, off64_t offset);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
ssize_t __wrap_read(int fd, void *to, size_t bytes);
ssize_t __wrap_write(int fd, const void *from, size_t bytes);

int __wrap_open(const char *path, int flags, ...)
{
	(void)path;
	(void)flags;
	return memfd_create("tap", MFD_CLOEXEC);
}

int __wrap_ioctl(int fd, unsigned long number, ...)
{
	va_list args;
	void *arg;
	int ret;

	(void)fd;
	va_start(args, number);
	arg = va_arg(args, void *);
	va_end(args);
	pthread_mutex_lock(&lock);
	ret = command(number, arg);
	pthread_mutex_unlock(&lock);
	return ret;
}

void *__wrap_mmap64(void *at, size_t bytes, int prot, int flags, int fd, off64_t offset)
{
	unsigned int i;

	if (fd < 0)
		return __real_mmap64(at, bytes, prot, flags, fd, offset);
	if (offset == (off64_t)NTZC_MMAP_TX_RINGS)
		return tx;
	for (i = 0; i < N_QUEUES; i++)
		if (offset == (off64_t)(NTZC_MMAP_RX_RINGS +
					queue_number[i] * NTZC_MMAP_RX_RINGS_STEP))
			return queues[i].rings;
	return memory(bytes);
}

static short ready(short events)
{
	short ret = gone ? POLLHUP : 0;
	unsigned int i;

	for (i = 0; i < N_QUEUES; i++)
		if (waiting(&queues[i]))
			ret |= events & POLLIN;
	return ret;
}

int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	int waited;

	(void)n;
	for (waited = 0;; waited++) {
		pthread_mutex_lock(&lock);
		if (!waited) {
			calls.poll++;
			reclaim();
		}
		fds->revents = ready(fds->events);
		pthread_mutex_unlock(&lock);
		if (fds->revents || waited == timeout_ms)
			return !!fds->revents;
		usleep(1000);
	}
}

ssize_t __wrap_read(int fd, void *to, size_t bytes)
{
	size_t room = bytes / sizeof(struct ntzc_desc), n = 0;
	struct ntzc_desc *descs = to;
	unsigned int i;

	(void)fd;
	pthread_mutex_lock(&lock);
	calls.read++;
	reclaim();
	for (i = 0; i < N_QUEUES; i++) {
		struct queue *q = &queues[i];

		while (n < room && waiting(q)) {
			__u32 cons = q->rings->rx.cons;

			descs[n++] = q->entries[cons % RING];
			ntzc_ring_consume(&q->rings->rx, cons + 1);
		}
	}
	pthread_mutex_unlock(&lock);
	if (n)
		return (ssize_t)(n * sizeof(*descs));
	return refuse(gone ? ENODEV : EAGAIN);
}

ssize_t __wrap_write(int fd, const void *from, size_t bytes)
{
	size_t n = bytes / sizeof(__u32), i;
	const __u32 *handles = from;

	(void)fd;
	pthread_mutex_lock(&lock);
	calls.write++;
	for (i = 0; i < n; i++) {
		__u32 buffer = handles[i] & 0xff;

		if (handles[i] & NTZC_HANDLE_TX && buffer < N_TX &&
		    handles[i] == tx_handle(buffer)) {
			tx_use[buffer]++;
			tx_offer(buffer);
		} else if (handles[i] < N_FRAMES && owner[handles[i]]) {
			owner[handles[i]] = 0;
		} else {
			break;
		}
	}
	pthread_mutex_unlock(&lock);
	return i ? (ssize_t)(i * sizeof(*handles)) : refuse(ESTALE);
}
