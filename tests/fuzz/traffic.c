// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Frames: read, released, reserved, sent, forwarded, by calls and by rings. Most handles are
 * ones that the tap was given, once, twice or long ago.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ntzc_ring.h"
#include "ops.h"

enum { BATCH = 70 };	/* more than the kernel deals with at once */

static void known_add(struct known *k, const struct ntzc_desc *desc)
{
	k->desc[k->n++ % N_KNOWN] = *desc;
}

/* One of the last that were given; random if there is none, or if numbers are wild */
static struct ntzc_desc known_any(struct known *k, struct args *a)
{
	unsigned int n = k->n < N_KNOWN ? k->n : N_KNOWN;
	struct ntzc_desc desc = { .handle = args_number(a), .len = 60 };

	if (!n || (a->mode & MODE_WILD && rng_one_in(&a->rng, 2)))
		return desc;
	/* the newest have most often not been used */
	n = rng_one_in(&a->rng, 4) ? n : n < 8 ? n : 8;
	return k->desc[(k->n - 1 - rng_below(&a->rng, n)) % N_KNOWN];
}

static void got_descs(struct known *k, const void *at, ssize_t bytes)
{
	const struct ntzc_desc *desc = at;

	for (; bytes >= (ssize_t)sizeof(*desc); bytes -= (ssize_t)sizeof(*desc))
		known_add(k, desc++);
}

static size_t size_of_read(struct args *a)
{
	if (a->mode & MODE_WILD)
		return args_number(a) & 0xffff;
	return (1 + rng_below(&a->rng, BATCH)) * sizeof(struct ntzc_desc);
}

void op_read(struct tap *tap, struct args *a)
{
	size_t len = size_of_read(a);
	void *at = args_room(a, len);
	ssize_t n;

	if (rng_one_in(&a->rng, 16)) {
		/* into its own mapping: the kernel writes where it reads */
		read(tap->fd, world.maps[rng_below(&a->rng, N_MAPS)].at, len);
		return;
	}
	n = read(tap->fd, at, len);
	if (n > 0)
		got_descs(&tap->rx, at, n);
}

void op_readv(struct tap *tap, struct args *a)
{
	struct ntzc_desc piece[4];
	struct iovec iov[4];
	unsigned int i, n = 1 + rng_below(&a->rng, 4);

	for (i = 0; i < n; i++) {
		iov[i].iov_base = &piece[i];
		iov[i].iov_len = rng_below(&a->rng, sizeof(piece[i]) + 1);
		if (rng_one_in(&a->rng, 2))
			iov[i].iov_len = sizeof(piece[i]);
	}
	if (a->mode & MODE_ADDRESS)
		iov[n - 1].iov_base = args_room(a, 32);
	readv(tap->fd, iov, a->mode & MODE_WILD ? (int)args_number(a) : (int)n);
}

void op_write(struct tap *tap, struct args *a)
{
	uint32_t handles[BATCH], i, n = 1 + rng_below(&a->rng, rng_one_in(&a->rng, 8) ? BATCH : 8);
	size_t len = n * sizeof(handles[0]);

	for (i = 0; i < n; i++) {
		struct known *from = rng_one_in(&a->rng, 6) ? &tap->reserved : &tap->rx;

		if (rng_one_in(&a->rng, 20))
			from = &world.taps[rng_below(&a->rng, N_TAPS)].rx;
		handles[i] = known_any(from, a).handle;
	}
	if (a->mode & MODE_WILD)
		len -= rng_below(&a->rng, 4);
	write(tap->fd, args_put(a, handles, len), len);
}

void op_writev(struct tap *tap, struct args *a)
{
	uint32_t handles[8];
	struct iovec iov[8];
	unsigned int i, n = 1 + rng_below(&a->rng, 8);

	for (i = 0; i < n; i++) {
		handles[i] = known_any(&tap->rx, a).handle;
		iov[i].iov_base = &handles[i];
		iov[i].iov_len = rng_one_in(&a->rng, 8) ? rng_below(&a->rng, 5) : sizeof(handles[i]);
	}
	if (a->mode & MODE_ADDRESS)
		iov[n - 1].iov_base = args_room(a, 4);
	writev(tap->fd, iov, (int)n);
}

static int tx_batch(struct tap *tap, struct args *a, unsigned long cmd, void *descs, uint32_t n)
{
	struct ntzc_tx_batch batch = { .descs = (uintptr_t)descs, .count = n };
	uint8_t mode = a->mode;

	if (mode & MODE_WILD && rng_one_in(&a->rng, 2))
		batch.count = args_number(a);
	/* beside the descriptors, which end where the memory does */
	a->mode &= (uint8_t)~MODE_ADDRESS;
	n = (uint32_t)ioctl(tap->fd, cmd, mode & MODE_BROKEN ? args_put(a, &batch, sizeof(batch))
							     : &batch);
	a->mode = mode;
	return (int)n;
}

void op_reserve(struct tap *tap, struct args *a)
{
	uint32_t want = 1 + rng_below(&a->rng, rng_one_in(&a->rng, 6) ? BATCH : 4);
	struct ntzc_desc *descs = args_room(a, want * sizeof(*descs));
	int i, n = tx_batch(tap, a, NTZC_IOC_TX_RESERVE, descs, want);

	for (i = 0; i < n && i < (int)want; i++)
		known_add(&tap->reserved, &descs[i]);
}

/* A frame to send, sound unless the mode says otherwise */
static struct ntzc_desc desc_to_send(struct known *from, struct args *a)
{
	struct ntzc_desc got = known_any(from, a);
	struct ntzc_desc desc = { .handle = got.handle, .offset = got.offset, .len = got.len };
	struct rng *rng = &a->rng;

	if (from == &world.taps[0].rx || !(got.handle & NTZC_HANDLE_TX))
		desc.vlan_tci = 0;
	else
		desc.len = 14 + rng_below(rng, 1501);
	if (rng_one_in(rng, 4))
		desc.queue = (uint8_t)rng_below(rng, 3);
	if (rng_one_in(rng, 8)) {
		desc.flags = NTZC_TX_VLAN;
		desc.vlan_tci = (uint16_t)rng_next(rng);
	}
	if (a->mode & MODE_WILD && rng_one_in(rng, 2)) {
		desc.len = args_number(a);
		desc.offset += rng_one_in(rng, 2) ? args_number(a) : rng_below(rng, 4096);
		desc.queue = (uint8_t)rng_next(rng);
	}
	return desc;
}

static void submit(struct tap *tap, struct args *a, struct known *from)
{
	uint32_t i, n = 1 + rng_below(&a->rng, rng_one_in(&a->rng, 6) ? BATCH : 4);
	struct ntzc_desc descs[BATCH];

	for (i = 0; i < n; i++)
		descs[i] = desc_to_send(rng_one_in(&a->rng, 16) ? &tap->rx : from, a);
	tx_batch(tap, a, NTZC_IOC_TX_SUBMIT, args_put(a, descs, n * sizeof(descs[0])), n);
}

void op_submit(struct tap *tap, struct args *a)
{
	submit(tap, a, &tap->reserved);
}

void op_forward(struct tap *tap, struct args *a)
{
	submit(tap, a, &tap->rx);
}

/* Rings. What is mapped may go at any time, so all of it is done under guard. */

struct ntzc_ring *mapped_rings(const struct tap *tap, uint64_t from, uint64_t to, size_t *len)
{
	unsigned int i;

	for (i = 0; i < N_MAPS; i++) {
		struct mapping *m = &world.maps[i];

		*len = m->len;
		if (*len >= NTZC_RING_ENTRIES && world.taps + m->tap == tap && m->offset >= from &&
		    m->offset < to)
			return (struct ntzc_ring *)m->at;
	}
	return NULL;
}

struct ring_use {
	struct tap *tap;
	struct args *a;
	struct ntzc_ring *rings;
	size_t len;
};

static void use_rx_rings(void *arg)
{
	const struct ring_use *u = arg;
	const struct ntzc_attach *at = &u->tap->attach;
	struct ntzc_ring *rx = &u->rings[0], *release = &u->rings[1];
	const struct ntzc_desc *entries = (void *)((char *)rx + NTZC_RING_ENTRIES);
	uint32_t *back = (void *)((char *)rx + at->release_offset);
	uint32_t i, n, cons = rx->cons, prod = release->prod;

	n = ntzc_ring_filled(rx, cons);
	if (n > at->ring_size)
		n = 1;
	for (i = 0; i < n && i < BATCH; i++)
		known_add(&u->tap->rx, &entries[(cons + i) & (at->ring_size - 1)]);
	ntzc_ring_consume(rx, cons + i);
	for (i = 0; i < rng_below(&u->a->rng, 6) && at->release_size; i++)
		back[prod++ & (at->release_size - 1)] = known_any(&u->tap->rx, u->a).handle;
	ntzc_ring_publish(release, prod);
}

void op_rings_rx(struct tap *tap, struct args *a)
{
	struct ring_use use = { tap, a, NULL, 0 };

	use.rings = mapped_rings(tap, NTZC_MMAP_RX_RINGS, NTZC_MMAP_TX_RINGS, &use.len);
	if (use.rings && guarded(use_rx_rings, &use) && rng_one_in(&a->rng, 2))
		ioctl(tap->fd, NTZC_IOC_KICK);
}

static void use_tx_rings(void *arg)
{
	const struct ring_use *u = arg;
	const struct ntzc_tx_setup *setup = &u->tap->tx;
	struct ntzc_ring *tx = &u->rings[0], *freed = &u->rings[1];
	struct ntzc_desc *entries = (void *)((char *)tx + NTZC_RING_ENTRIES);
	const struct ntzc_tx_buf *bufs = (void *)((char *)tx + setup->free_offset);
	uint32_t i, n, cons = freed->cons, prod = tx->prod, mask = setup->ring_size - 1;

	n = ntzc_ring_filled(freed, cons);
	for (i = 0; i < n && i < 8; i++) {
		const struct ntzc_tx_buf *buf = &bufs[(cons + i) & mask];
		struct ntzc_desc desc = { .handle = buf->handle, .offset = buf->offset };

		known_add(&u->tap->reserved, &desc);
	}
	ntzc_ring_consume(freed, cons + i);
	for (i = 0; i < rng_below(&u->a->rng, 6); i++)
		entries[prod++ & mask] =
			desc_to_send(rng_one_in(&u->a->rng, 3) ? &u->tap->rx : &u->tap->reserved,
				     u->a);
	ntzc_ring_publish(tx, prod);
}

void op_rings_tx(struct tap *tap, struct args *a)
{
	struct ring_use use = { tap, a, NULL, 0 };

	use.rings = mapped_rings(tap, NTZC_MMAP_TX_RINGS, ~0ull, &use.len);
	if (use.rings && tap->tx.ring_size && guarded(use_tx_rings, &use))
		ioctl(tap->fd, NTZC_IOC_KICK);
}

/* What the file does not do, and says so */
void op_other_io(struct tap *tap, struct args *a)
{
	void *at = args_room(a, 64);
	int pipes[2];

	switch (rng_below(&a->rng, 5)) {
	case 0:
		pread(tap->fd, at, 64, args_number(a));
		break;
	case 1:
		pwrite(tap->fd, at, 64, args_number(a));
		break;
	case 2:
		lseek(tap->fd, args_number(a), SEEK_SET);
		break;
	case 3:
		preadv2(tap->fd, &(struct iovec){ at, 64 }, 1, -1, (int)rng_below(&a->rng, 64));
		break;
	default:
		if (pipe2(pipes, O_NONBLOCK | O_CLOEXEC))
			return;
		splice(tap->fd, NULL, pipes[1], NULL, 4096, SPLICE_F_NONBLOCK);
		/* the pages of a mapping must not outlive the tap in a pipe */
		vmsplice(pipes[1], &(struct iovec){ world.maps[rng_below(&a->rng, N_MAPS)].at, 4096 },
			 1, SPLICE_F_NONBLOCK);
		close(pipes[0]);
		close(pipes[1]);
		break;
	}
}
