// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The tap's life: open, attach and map; detach and destroy. Receive is in
 * queue.c and rx.c, transmit in tx.c and txring.c. Nothing here may run beside another call on
 * the same tap.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

/* Up to here came the options that were there first */
#define NTZC_OPTIONS_FIRST	offsetof(struct ntzc_tap_options, filter)

/* The options as this library knows them, from a caller with an older or a newer header. */
static int ntzc_options_read(const struct ntzc_tap_options *given, struct ntzc_tap_options *options)
{
	const unsigned char *bytes = (const unsigned char *)given;
	size_t i;

	if (given->size < NTZC_OPTIONS_FIRST)
		return -EINVAL;
	for (i = sizeof(*options); i < given->size; i++)
		if (bytes[i])
			return -E2BIG;
	memset(options, 0, sizeof(*options));
	memcpy(options, given, given->size < sizeof(*options) ? given->size : sizeof(*options));
	return options->reserved || options->door > NTZC_DOOR_RINGS ? -EINVAL : 0;
}

int ntzc_name_copy(char to[NTZC_NAME_LEN], const char *name)
{
	size_t len = strlen(name);

	if (!len || len >= NTZC_NAME_LEN)
		return len ? -ENODEV : -EINVAL;
	memcpy(to, name, len + 1);
	return 0;
}

static int ntzc_attach_fill(const struct ntzc_tap_options *options, struct ntzc_attach *attach)
{
	memset(attach, 0, sizeof(*attach));
	attach->ifindex = options->interface ? 0 : options->ifindex;
	attach->flags = options->flags;
	attach->queues = options->queues;
	attach->ring_size = options->ring_size;
	attach->quota = options->quota;
	attach->desc_size = sizeof(struct ntzc_desc);
	attach->fanout = options->fanout;
	attach->clock = options->clock;
	attach->busy_poll_us = options->busy_poll_us;
	return options->interface ? ntzc_name_copy(attach->name, options->interface) : 0;
}

static int ntzc_door_choose(unsigned int wanted, __u64 features, unsigned int *door)
{
	int rings = !!(features & NTZC_FEATURE_RINGS);

	if (wanted == NTZC_DOOR_RINGS && !rings)
		return -EOPNOTSUPP;
	*door = wanted == NTZC_DOOR_CALLS || !rings ? NTZC_DOOR_CALLS : NTZC_DOOR_RINGS;
	return 0;
}

int ntzc_tap_set_filter(struct ntzc_tap *tap, const struct ntzc_filter *filter)
{
	static const struct ntzc_filter none = { .kind = NTZC_FILTER_NONE };

	return ioctl(tap->fd, NTZC_IOC_FILTER, filter ? filter : &none) < 0 ? -errno : 0;
}

/* Before ATTACH the filter, so that no other frame gets in; after it the mappings */
static int ntzc_tap_attach(struct ntzc_tap *tap, const struct ntzc_filter *filter)
{
	int err = filter ? ntzc_tap_set_filter(tap, filter) : 0;
	void *map;

	if (err)
		return err;
	if (ioctl(tap->fd, NTZC_IOC_ATTACH, &tap->attach) < 0)
		return -errno;
	if (tap->attach.desc_size != sizeof(struct ntzc_desc))
		return -EPROTONOSUPPORT;
	err = ntzc_map(tap->fd, PROT_READ, tap->attach.rx_bytes, NTZC_MMAP_RX, &map);
	if (err)
		return err;
	tap->memory.rx = map;
	err = ntzc_rx_open(tap);
	if (err)
		munmap(map, (size_t)tap->attach.rx_bytes);
	return err;
}

int ntzc_tap_create(const struct ntzc_tap_options *options, struct ntzc_tap **tap)
{
	struct ntzc_tap_options opts;
	struct ntzc_tap *t;
	__u64 features;
	int err;

	err = ntzc_options_read(options, &opts);
	if (err)
		return err;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	err = ntzc_attach_fill(&opts, &t->attach);
	if (err)
		goto free_tap;
	t->fd = ntzc_open(opts.device, &features);
	if (t->fd < 0) {
		err = t->fd;
		goto free_tap;
	}
	err = ntzc_door_choose(opts.door, features, &t->door);
	if (err)
		goto close_fd;
	err = ntzc_tap_attach(t, opts.filter);
	if (err)
		goto close_fd;
	ntzc_txq_init(t);
	*tap = t;
	return 0;

close_fd:
	close(t->fd);
free_tap:
	free(t);
	return err;
}

int ntzc_tap_tx_setup(struct ntzc_tap *tap, unsigned int n_bufs, unsigned int buf_size)
{
	struct ntzc_tx_setup setup;
	void *map;
	int err;

	/* done before, but a mapping failed: try that again */
	if (!tap->tx.tx_bytes) {
		memset(&setup, 0, sizeof(setup));
		setup.n_bufs = n_bufs;
		setup.buf_size = buf_size;
		setup.flags = tap->door == NTZC_DOOR_RINGS ? NTZC_TX_RINGS : 0;
		if (ioctl(tap->fd, NTZC_IOC_TX_SETUP, &setup) < 0)
			return -errno;
		tap->tx = setup;
	} else if (tap->memory.tx) {
		return -EBUSY;
	}
	if (tap->door == NTZC_DOOR_RINGS && !tap->txq.rings) {
		err = ntzc_txq_open(tap);
		if (err)
			return err;
	}
	err = ntzc_map(tap->fd, PROT_READ | PROT_WRITE, tap->tx.tx_bytes, NTZC_MMAP_TX, &map);
	if (err)
		return err;
	tap->memory.tx = map;
	return 0;
}

static size_t ntzc_area_bytes(const struct ntzc_tap *tap, __u32 handle)
{
	if (handle & NTZC_HANDLE_TX)
		return tap->memory.tx ? (size_t)tap->tx.tx_bytes : 0;
	return (size_t)tap->attach.rx_bytes;
}

/* Private memory of an area's size that holds what shall be kept, each byte in its place */
static int ntzc_area_copy(const unsigned char *area, size_t bytes, int prot, __u32 which,
			  const struct ntzc_desc *keep, unsigned int n, unsigned char **copy)
{
	unsigned char *fresh;
	unsigned int i;

	fresh = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (fresh == MAP_FAILED)
		return -ENOMEM;
	for (i = 0; i < n; i++)
		if ((keep[i].handle & NTZC_HANDLE_TX) == which)
			memcpy(fresh + keep[i].offset, area + keep[i].offset, keep[i].len);
	if (mprotect(fresh, bytes, prot) < 0) {
		munmap(fresh, bytes);
		return -ENOMEM;
	}
	*copy = fresh;
	return 0;
}

int ntzc_tap_detach(struct ntzc_tap *tap, const struct ntzc_desc *keep, unsigned int n)
{
	size_t rx_bytes = ntzc_area_bytes(tap, 0);
	size_t tx_bytes = ntzc_area_bytes(tap, NTZC_HANDLE_TX);
	unsigned char *rx = NULL, *tx = NULL;
	unsigned int i;
	int err;

	if (tap->fd < 0)
		return 0;
	for (i = 0; i < n; i++) {
		size_t bytes = ntzc_area_bytes(tap, keep[i].handle);

		if (keep[i].offset > bytes || keep[i].len > bytes - keep[i].offset)
			return -EINVAL;
	}
	err = ntzc_area_copy(tap->memory.rx, rx_bytes, PROT_READ, 0, keep, n, &rx);
	if (err)
		return err;
	if (tx_bytes) {
		err = ntzc_area_copy(tap->memory.tx, tx_bytes, PROT_READ | PROT_WRITE,
				     NTZC_HANDLE_TX, keep, n, &tx);
		if (err)
			goto unmap_rx;
	}
	/*
	 * Each move replaces the old mapping in one step, so that no thread that
	 * still reads can meet a hole. They fail only if the kernel is out of
	 * memory for its bookkeeping; then what was not replaced keeps the file.
	 */
	if (mremap(rx, rx_bytes, rx_bytes, MREMAP_MAYMOVE | MREMAP_FIXED,
		   (void *)(uintptr_t)tap->memory.rx) == MAP_FAILED) {
		err = -ENOMEM;
		goto unmap_tx;
	}
	rx = NULL;
	if (tx && mremap(tx, tx_bytes, tx_bytes, MREMAP_MAYMOVE | MREMAP_FIXED,
			 tap->memory.tx) == MAP_FAILED) {
		err = -ENOMEM;
		goto unmap_tx;
	}
	tx = NULL;
	err = ntzc_rx_blank(tap);
	if (!err)
		err = ntzc_txq_blank(tap);
	if (err)
		return err;
	close(tap->fd);
	tap->fd = -1;
	return 0;

unmap_tx:
	if (tx)
		munmap(tx, tx_bytes);
unmap_rx:
	if (rx)
		munmap(rx, rx_bytes);
	return err;
}

void ntzc_tap_destroy(struct ntzc_tap *tap)
{
	if (!tap)
		return;
	ntzc_rx_close(tap);
	ntzc_txq_close(tap);
	if (tap->memory.tx)
		munmap(tap->memory.tx, (size_t)tap->tx.tx_bytes);
	munmap((void *)(uintptr_t)tap->memory.rx, (size_t)tap->attach.rx_bytes);
	if (tap->fd >= 0)
		close(tap->fd);
	free(tap);
}

int ntzc_tap_fd(const struct ntzc_tap *tap)
{
	return tap->fd;
}

unsigned int ntzc_tap_door(const struct ntzc_tap *tap)
{
	return tap->door;
}

const struct ntzc_attach *ntzc_tap_info(const struct ntzc_tap *tap)
{
	return &tap->attach;
}

const struct ntzc_tx_setup *ntzc_tap_tx_info(const struct ntzc_tap *tap)
{
	return &tap->tx;
}

int ntzc_tap_stats(struct ntzc_tap *tap, struct ntzc_tap_stats *stats)
{
	struct ntzc_tap_stats s;

	/* what lies in rings is done with: have it counted. What can't be sent is told elsewhere */
	if (tap->door == NTZC_DOOR_RINGS)
		ntzc_kick(tap);
	if (ioctl(tap->fd, NTZC_IOC_TAP_STATS, &s) < 0)
		return -errno;
	*stats = s;
	return 0;
}
