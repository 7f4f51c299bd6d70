// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A program of 32 bits: every door of the ABI, with values that do not fit into
 * 32 bits, against what the ABI says of them.
 *
 *	narrow INTERFACE PEER
 */
#define _FILE_OFFSET_BITS	64	/* mmap() offsets */
#include <poll.h>

#include "bare.h"

#define FRAMES	32

_Static_assert(sizeof(void *) == 4, "this is no program of 32 bits");

static void receive(struct tap *tap, int socket)
{
	struct ntzc_rx_rings *rings;
	struct ntzc_desc desc;
	struct timespec now;
	uint64_t number;
	__u64 last = 0;

	rings = mmap(NULL, tap->about.rings_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, tap->fd,
		     NTZC_MMAP_RX_RINGS);
	must(rings != MAP_FAILED);
	for (number = 0; number < FRAMES;) {
		neighbour_send(socket, number);
		must(tap_read(tap, &desc, 1) == 1);
		must(!clock_gettime(CLOCK_REALTIME, &now));
		/* nanoseconds since 1970: more than 32 bits, and of now */
		must(desc.timestamp >= last && desc.timestamp / 1000000000u <= (__u64)now.tv_sec);
		must(desc.timestamp / 1000000000u + 60 > (__u64)now.tv_sec);
		last = desc.timestamp;
		if (tap_number(tap, &desc) == (int64_t)number)
			number++;
		must(tap_release(tap, &desc.handle, 1) == 1);
	}
	must(rings->rx.prod >= FRAMES);
	must(!munmap(rings, tap->about.rings_bytes));
}

static void transmit(struct tap *tap)
{
	struct ntzc_desc descs[FRAMES];
	struct ntzc_tap_stats st;
	int i;

	tap_setup_tx(tap, FRAMES, 0);
	must(tap_batch(tap, NTZC_IOC_TX_RESERVE, descs, FRAMES) == FRAMES);
	for (i = 0; i < FRAMES; i++) {
		frame_make(tap->tx_memory + descs[i].offset, (uint64_t)i);
		descs[i].len = FRAME_LEN;
	}
	must(tap_batch(tap, NTZC_IOC_TX_SUBMIT, descs, FRAMES) == FRAMES);
	must(!ioctl(tap->fd, NTZC_IOC_TX_DRAIN));
	tap_stats(tap, &st);
	must(st.tx_submitted == FRAMES && st.tx_completed == FRAMES && !st.tx_failed);
}

int main(int argc, char **argv)
{
	struct ntzc_query query;
	struct tap tap = { };

	if (argc != 3)
		die("usage: narrow INTERFACE PEER");
	tap_attach(&tap, argv[1], 0);
	must(!ioctl(tap.fd, NTZC_IOC_QUERY, &query));
	must(query.abi_version == NTZC_ABI_VERSION && query.desc_size == sizeof(struct ntzc_desc));
	receive(&tap, neighbour_open(argv[2]));
	transmit(&tap);
	tap_close(&tap);
	puts("done");
	return 0;
}
