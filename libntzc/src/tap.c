// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The tap's life: open, attach and map; detach and destroy. Receive and
 * transmit are in rx.c and tx.c. Nothing here may run beside another call on
 * the same tap.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

/* The options as this library knows them, from a caller with an older or a newer header. */
static int ntzc_options_read(const struct ntzc_tap_options *given, struct ntzc_tap_options *options)
{
	size_t size = given->size ? given->size : sizeof(*options), i;
	const unsigned char *bytes = (const unsigned char *)given;

	if (size < sizeof(*options))
		return -EINVAL;
	for (i = sizeof(*options); i < size; i++)
		if (bytes[i])
			return -E2BIG;
	*options = *given;
	return options->reserved ? -EINVAL : 0;
}

static int ntzc_attach_fill(const struct ntzc_tap_options *options, struct ntzc_attach *attach)
{
	memset(attach, 0, sizeof(*attach));
	if (options->interface) {
		size_t len = strlen(options->interface);

		if (!len || len >= sizeof(attach->name))
			return len ? -ENODEV : -EINVAL;
		memcpy(attach->name, options->interface, len);
	} else {
		attach->ifindex = options->ifindex;
	}
	attach->flags = options->flags;
	attach->queues = options->queues;
	attach->ring_size = options->ring_size;
	attach->quota = options->quota;
	attach->desc_size = sizeof(struct ntzc_desc);
	return 0;
}

/* mmap's length and offset are of the machine's word: refuse what does not fit */
static void *ntzc_map(int fd, int prot, __u64 bytes, __u64 offset)
{
	if (bytes > SIZE_MAX) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	return mmap64(NULL, (size_t)bytes, prot, MAP_SHARED, fd, (off64_t)offset);
}

int ntzc_tap_create(const struct ntzc_tap_options *options, struct ntzc_tap **tap)
{
	struct ntzc_tap_options opts;
	struct ntzc_tap *t;
	void *map;
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
	t->fd = ntzc_open(opts.device);
	if (t->fd < 0) {
		err = t->fd;
		goto free_tap;
	}
	if (ioctl(t->fd, NTZC_IOC_ATTACH, &t->attach) < 0) {
		err = -errno;
		goto close_fd;
	}
	if (t->attach.desc_size != sizeof(struct ntzc_desc)) {
		err = -EPROTONOSUPPORT;
		goto close_fd;
	}
	map = ntzc_map(t->fd, PROT_READ, t->attach.rx_bytes, NTZC_MMAP_RX);
	if (map == MAP_FAILED) {
		err = -errno;
		goto close_fd;
	}
	t->memory.rx = map;
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

	/* done before, but the mapping failed: try that again */
	if (!tap->tx.tx_bytes) {
		memset(&setup, 0, sizeof(setup));
		setup.n_bufs = n_bufs;
		setup.buf_size = buf_size;
		if (ioctl(tap->fd, NTZC_IOC_TX_SETUP, &setup) < 0)
			return -errno;
		tap->tx = setup;
	} else if (tap->memory.tx) {
		return -EBUSY;
	}
	map = ntzc_map(tap->fd, PROT_READ | PROT_WRITE, tap->tx.tx_bytes, NTZC_MMAP_TX);
	if (map == MAP_FAILED)
		return -errno;
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

	if (ioctl(tap->fd, NTZC_IOC_TAP_STATS, &s) < 0)
		return -errno;
	*stats = s;
	return 0;
}
