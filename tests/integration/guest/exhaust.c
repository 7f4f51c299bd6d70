// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A hoarder that takes every buffer that there is, and gives all back, again and
 * again, while another tap goes on receiving.
 *
 *	exhaust INTERFACE PEER ROUNDS
 *
 * The interface has one queue, and so few buffers that the hoarder's quota is
 * more than all of them. A round floods it until frames are lost for want of
 * buffers, sees that no buffer was given out twice, and releases all in an order
 * of its own. Then the card must receive again. Transmit memory is exhausted and
 * given back in each round, too. Prints "done", and the most that was ever held.
 */
#include <poll.h>

#include "bare.h"

#define TX_BUFS		64
#define BURST		32
#define PATIENCE_MS	patience_ms(20000)
#define MOST		4096	/* buffers of the pool */

static unsigned int most;

/* Take all that can be had. Return: how many frames are held. */
static unsigned int hoard(struct tap *tap, int socket, struct ntzc_desc *held)
{
	uint64_t deadline = now_ns() + PATIENCE_MS * 1000000ull, number = 0;
	struct ntzc_tap_stats st, before;
	unsigned int n = 0, i;

	tap_stats(tap, &before);
	do {
		int got;

		for (i = 0; i < BURST; i++)
			neighbour_send(socket, number++);
		while ((got = tap_read(tap, held + n, MOST - n)) > 0)
			n += (unsigned int)got;
		must(errno == EAGAIN);
		tap_stats(tap, &st);
		must(now_ns() < deadline);
	} while (st.lost_pool == before.lost_pool && st.missed == before.missed);
	return n;
}

static void give_back(struct tap *tap, struct ntzc_desc *held, unsigned int n, unsigned int *seed)
{
	static unsigned char seen[MOST];
	__u32 handles[MOST];
	unsigned int i, done = 0;
	int got;

	memset(seen, 0, sizeof(seen));
	for (i = 0; i < n; i++) {
		unsigned int buffer = held[i].offset / tap->about.buf_size;

		must(buffer < MOST);
		if (seen[buffer]++)
			die("buffer %u was given out twice", buffer);
		(void)tap_number(tap, &held[i]);
		handles[i] = held[i].handle;
	}
	for (i = n; i > 1; i--) {
		unsigned int j = (unsigned int)rand_r(seed) % i;
		__u32 other = handles[i - 1];

		handles[i - 1] = handles[j];
		handles[j] = other;
	}
	while (done < n) {
		got = tap_release(tap, handles + done, n - done);
		must(got > 0);
		done += (unsigned int)got;
	}
}

/* The card has buffers again: a frame comes through */
static void recover(struct tap *tap, int socket)
{
	uint64_t deadline = now_ns() + PATIENCE_MS * 1000000ull;
	struct ntzc_desc desc;

	for (;;) {
		struct pollfd p = { .fd = tap->fd, .events = POLLIN };

		neighbour_send(socket, 7);
		if (poll(&p, 1, 10) == 1)
			break;
		must(now_ns() < deadline);
	}
	while (tap_read(tap, &desc, 1) == 1)
		must(tap_release(tap, &desc.handle, 1) == 1);
	must(errno == EAGAIN);
}

static void exhaust_tx(struct tap *tap)
{
	struct ntzc_desc descs[TX_BUFS + 1];
	__u32 handles[TX_BUFS];
	unsigned int i;

	must(tap_batch(tap, NTZC_IOC_TX_RESERVE, descs, TX_BUFS + 1) == TX_BUFS);
	must(tap_batch(tap, NTZC_IOC_TX_RESERVE, &descs[TX_BUFS], 1) < 0 && errno == ENOBUFS);
	for (i = 0; i < TX_BUFS; i++)
		handles[i] = descs[i].handle;
	must(tap_release(tap, handles, TX_BUFS) == TX_BUFS);
}

int main(int argc, char **argv)
{
	struct tap tap = { .about = { .quota = MOST, .ring_size = MOST } };
	static struct ntzc_desc held[MOST];
	unsigned long round, rounds;
	unsigned int n, seed = 1;
	int socket;

	if (argc != 4)
		die("usage: exhaust INTERFACE PEER ROUNDS");
	rounds = strtoul(argv[3], NULL, 10);
	socket = neighbour_open(argv[2]);
	tap_attach(&tap, argv[1], O_NONBLOCK);
	tap_setup_tx(&tap, TX_BUFS, 0);
	for (round = 0; round < rounds; round++) {
		n = hoard(&tap, socket, held);
		most = n > most ? n : most;
		exhaust_tx(&tap);
		give_back(&tap, held, n, &seed);
		recover(&tap, socket);
	}
	tap_close(&tap);
	printf("done %u\n", most);
	return 0;
}
