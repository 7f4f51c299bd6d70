/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The bare ABI and a neighbour's raw socket, for programs in the guest that do
 * to it what no honest program would. What must not fail ends the program, with
 * the reason; what is told on standard output is for the test.
 */
#ifndef BARE_H
#define BARE_H

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "ntzc.h"

#define ETHERTYPE	0x88b5
#define FRAME_LEN	60

static inline _Noreturn __attribute__((format(printf, 1, 2))) void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, " (errno %d, %s)\n", errno, strerror(errno));
	exit(1);
}

#define must(condition)	\
	((condition) ? (void)0 : die("%s:%d: %s", __FILE__, __LINE__, #condition))

static inline uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* What a usual kernel does in @ms may take so long here: see emulation/pace.py */
static inline int patience_ms(int ms)
{
	const char *pace = getenv("NTZC_PACE");

	return pace ? (int)(ms * atof(pace)) : ms;
}

struct tap {
	int fd;
	struct ntzc_attach about;
	struct ntzc_tx_setup tx;
	const unsigned char *rx_memory;
	unsigned char *tx_memory;
};

static inline int tap_open(int flags)
{
	int fd = open(NTZC_DEVICE, O_RDWR | O_CLOEXEC | flags);

	must(fd >= 0);
	return fd;
}

/* The fields of @about that are not zero are wishes */
static inline void tap_attach(struct tap *tap, const char *name, int flags)
{
	tap->fd = tap_open(flags);
	memset(tap->about.name, 0, sizeof(tap->about.name));
	memcpy(tap->about.name, name, strnlen(name, sizeof(tap->about.name) - 1));
	tap->about.flags = NTZC_ATTACH_PROMISC;
	must(!ioctl(tap->fd, NTZC_IOC_ATTACH, &tap->about));
	tap->rx_memory = mmap(NULL, tap->about.rx_bytes, PROT_READ, MAP_SHARED, tap->fd,
			      NTZC_MMAP_RX);
	must(tap->rx_memory != MAP_FAILED);
}

static inline void tap_setup_tx(struct tap *tap, unsigned int n_bufs, unsigned int flags)
{
	tap->tx = (struct ntzc_tx_setup){ .n_bufs = n_bufs, .flags = flags };
	must(!ioctl(tap->fd, NTZC_IOC_TX_SETUP, &tap->tx));
	tap->tx_memory = mmap(NULL, tap->tx.tx_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
			      tap->fd, NTZC_MMAP_TX);
	must(tap->tx_memory != MAP_FAILED);
}

static inline void tap_close(struct tap *tap)
{
	must(!munmap((void *)tap->rx_memory, tap->about.rx_bytes));
	if (tap->tx_memory)
		must(!munmap(tap->tx_memory, tap->tx.tx_bytes));
	must(!close(tap->fd));
	*tap = (struct tap){ .fd = -1 };
}

static inline void tap_stats(const struct tap *tap, struct ntzc_tap_stats *st)
{
	must(!ioctl(tap->fd, NTZC_IOC_TAP_STATS, st));
}

/* Return: descriptors, or -1 with errno */
static inline int tap_read(const struct tap *tap, struct ntzc_desc *descs, unsigned int n)
{
	ssize_t got = read(tap->fd, descs, n * sizeof(*descs));

	must(got < 0 || got % (ssize_t)sizeof(*descs) == 0);
	return got < 0 ? -1 : (int)(got / (ssize_t)sizeof(*descs));
}

/* Return: handles that were taken back, or -1 with errno */
static inline int tap_release(const struct tap *tap, const __u32 *handles, unsigned int n)
{
	ssize_t done = write(tap->fd, handles, n * sizeof(*handles));

	must(done < 0 || done % (ssize_t)sizeof(*handles) == 0);
	return done < 0 ? -1 : (int)(done / (ssize_t)sizeof(*handles));
}

static inline int tap_batch(const struct tap *tap, unsigned long command,
			    struct ntzc_desc *descs, unsigned int n)
{
	struct ntzc_tx_batch batch = { .descs = (uintptr_t)descs, .count = n };

	return ioctl(tap->fd, command, &batch);
}

static inline void frame_make(unsigned char frame[FRAME_LEN], uint64_t number)
{
	static const unsigned char head[14] = {
		0x02, 0, 0, 0, 0xaa, 0x01, 0x02, 0, 0, 0, 0xaa, 0x02, ETHERTYPE >> 8,
		ETHERTYPE & 0xff,
	};
	uint64_t word = htobe64(number);
	unsigned int i;

	memset(frame, 0, FRAME_LEN);
	memcpy(frame, head, sizeof(head));
	for (i = sizeof(head); i + sizeof(word) <= FRAME_LEN; i += sizeof(word))
		memcpy(frame + i, &word, sizeof(word));
}

/* Which of our frames lies there; -1: another's; ends the program if one of ours is not intact */
static inline int64_t frame_number(const unsigned char *data, unsigned int len)
{
	unsigned char whole[FRAME_LEN];
	uint64_t word;

	if (len != FRAME_LEN || data[12] != ETHERTYPE >> 8 || data[13] != (ETHERTYPE & 0xff))
		return -1;
	memcpy(&word, data + 14, sizeof(word));
	frame_make(whole, be64toh(word));
	if (memcmp(whole, data, FRAME_LEN))
		die("frame %llu is not as it was sent", (unsigned long long)be64toh(word));
	return (int64_t)be64toh(word);
}

static inline int64_t tap_number(const struct tap *tap, const struct ntzc_desc *desc)
{
	must((uint64_t)desc->offset + desc->len <= tap->about.rx_bytes);
	return frame_number(tap->rx_memory + desc->offset, desc->len);
}

/* A raw socket on the stock card at the other end of the cable */
static inline int neighbour_open(const char *name)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(name),
	};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	must(fd >= 0 && !bind(fd, (struct sockaddr *)&address, sizeof(address)));
	return fd;
}

static inline void neighbour_send(int fd, uint64_t number)
{
	unsigned char frame[FRAME_LEN];

	frame_make(frame, number);
	while (send(fd, frame, sizeof(frame), 0) < 0)
		must(errno == ENOBUFS || errno == EINTR || errno == EAGAIN);
}

#endif /* BARE_H */
