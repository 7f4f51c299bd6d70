// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The program whose instructions are counted: receives, sends or forwards
 * frames through libntzc, in batches, and sets mark 1 after 2 * COUNT frames
 * (every page is mapped by then), mark 2 after COUNT more, mark 3 after COUNT
 * more. Receiving touches one byte of each frame. A batch that is not full is
 * followed by a pause, in which frames gather: what is counted is the work of
 * full batches.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gather.h"
#include "libntzc.h"
#include "marker.h"

#define MAX_BATCH 512
#define MAX_TAPS 64
#define RING 4096	/* the card's, as bench/lab.py sets it */

static volatile unsigned char sink;

#define QUOTA 3072	/* frames: a burst and a half */
#define HELD 2000	/* frames, of a loaded card's tap */
#define LARGER 4	/* times as many buffers as the rings need, of its pool */
#define IDLE 32		/* taps of the card's second queue, to which no frame comes */

static struct {
	unsigned int door;
	unsigned int loaded;
	unsigned int batch;
	unsigned int len;
	unsigned int n_taps;
	struct ntzc_tap *taps[MAX_TAPS];
	struct ntzc_tap *idle[IDLE];
} run = { .door = NTZC_DOOR_RINGS, .batch = 64, .n_taps = 1 };

static void fail(const char *what, int error)
{
	fprintf(stderr, "insn: %s: %s\n", what, ntzc_strerror(error));
	exit(1);
}

static void pause_if(int wanted)
{
	if (wanted)
		gather_pause();
}

static void touch(const struct ntzc_tap *tap, const struct ntzc_desc *descs, unsigned int n)
{
#pragma GCC unroll 8
	for (unsigned int i = 0; i < n; i++)
		sink = *(const unsigned char *)ntzc_tap_data(tap, &descs[i]);
}

/* Up to @wanted frames, through the cheapest calls that there are. Return: how many. */
static unsigned int receive_batch(struct ntzc_tap *tap, unsigned int wanted)
{
	const struct ntzc_desc *descs;
	unsigned int done = 0;

	while (done < wanted) {
		/* a view ends at the ring's end: the rest is the next one */
		int n = ntzc_tap_view(tap, &descs, wanted - done, 0);

		if (n < 0)
			fail("view", n);
		if (!n)
			break;
		touch(tap, descs, (unsigned int)n);
		if (ntzc_tap_done(tap, descs, (unsigned int)n) != n)
			fail("done", -EINVAL);
		done += (unsigned int)n;
	}
	return done;
}

static unsigned int receive(void)
{
	unsigned int n = receive_batch(run.taps[0], run.batch);

	/* the others have the same: who looks for more in vain is the first alone */
	for (unsigned int i = 1; i < run.n_taps; i++)
		receive_batch(run.taps[i], n);
	pause_if(n < run.batch);
	return n;
}

static void forward_all(struct ntzc_tap *tap, const struct ntzc_desc *descs, int n)
{
	for (int done = 0; done < n;) {
		int sent = ntzc_tap_forward(tap, descs + done, (unsigned int)(n - done), 0, -1);

		if (sent < 0)
			fail("forward", sent);
		done += sent;
	}
}

static unsigned int forward_calls(void)
{
	struct ntzc_desc descs[MAX_BATCH];
	struct ntzc_tap *tap = run.taps[0];
	int n = ntzc_tap_peek(tap, descs, run.batch, 0);

	if (n < 0)
		fail("peek", n);
	forward_all(tap, descs, n);
	return (unsigned int)n;
}

static unsigned int forward_rings(void)
{
	struct ntzc_tap *tap = run.taps[0];
	const struct ntzc_desc *descs;
	unsigned int done = 0;

	while (done < run.batch) {
		/* as in receive_batch() */
		int n = ntzc_tap_view(tap, &descs, run.batch - done, 0);

		if (n < 0)
			fail("view", n);
		if (!n)
			break;
		forward_all(tap, descs, n);
		if (ntzc_tap_take(tap, descs, (unsigned int)n) != n)
			fail("take", -EINVAL);
		done += (unsigned int)n;
	}
	return done;
}

static unsigned int forward(void)
{
	unsigned int n = run.door == NTZC_DOOR_RINGS ? forward_rings() : forward_calls();

	pause_if(n < run.batch);
	return n;
}

/* One byte, as on receive: the frame's other bytes stay from before */
static void fill(const struct ntzc_tap *tap, struct ntzc_desc *descs, unsigned int n)
{
#pragma GCC unroll 8
	for (unsigned int i = 0; i < n; i++) {
		*(unsigned char *)ntzc_tap_tx_data(tap, &descs[i]) = 2;
		descs[i].len = run.len;
	}
}

static unsigned int transmit_calls(void)
{
	struct ntzc_desc descs[MAX_BATCH];
	struct ntzc_tap *tap = run.taps[0];
	int n = ntzc_tap_reserve(tap, descs, run.batch, -1);

	if (n < 0)
		fail("reserve", n);
	fill(tap, descs, (unsigned int)n);
	for (int done = 0; done < n;) {
		int sent = ntzc_tap_submit(tap, descs + done, (unsigned int)(n - done), -1);

		if (sent < 0)
			fail("submit", sent);
		done += sent;
	}
	return (unsigned int)n;
}

static unsigned int transmit_rings(void)
{
	struct ntzc_tap *tap = run.taps[0];
	struct ntzc_desc *descs;
	int n = ntzc_tap_tx_view(tap, &descs, run.batch, -1);

	if (n < 0)
		fail("tx_view", n);
	fill(tap, descs, (unsigned int)n);
	if (ntzc_tap_tx_done(tap, (unsigned int)n) != n)
		fail("tx_done", -EINVAL);
	return (unsigned int)n;
}

static unsigned int transmit(void)
{
	return run.door == NTZC_DOOR_RINGS ? transmit_rings() : transmit_calls();
}

/* A frame's header in every buffer, so that sending need not write it again */
static void prepare(struct ntzc_tap *tap, unsigned int n_bufs)
{
	static const unsigned char header[14] = { 2, [12] = 0x88, 0xb5 };
	struct ntzc_desc descs[RING];
	int n, err = ntzc_tap_tx_setup(tap, n_bufs, 0);

	if (err)
		fail("tx_setup", err);
	n = ntzc_tap_reserve(tap, descs, n_bufs, 0);
	if (n < 0)
		fail("reserve", n);
	for (int i = 0; i < n; i++)
		memcpy(ntzc_tap_tx_data(tap, &descs[i]), header, sizeof(header));
	ntzc_tap_release_descs(tap, descs, (unsigned int)n);
}

/* A pool @times as large as the card's rings need */
static void set_pool(const char *interface, unsigned int times)
{
	struct ntzc_port_config config = { 0 }; /* n_bufs: as many as they need */
	struct ntzc_device *device;
	struct ntzc_port_info port;
	int err = ntzc_device_create(NULL, &device);

	if (err)
		fail("device", err);
	err = ntzc_port_find(device, interface, &port);
	if (!err) {
		config.id = port.id;
		/* who was here before may have left another size */
		err = ntzc_port_config(device, &config);
	}
	if (!err && times > 1)
		err = ntzc_port_find(device, interface, &port);
	if (!err && times > 1) {
		config.n_bufs = times * port.n_bufs;
		err = ntzc_port_config(device, &config);
	}
	if (err)
		fail("pool", err);
	ntzc_device_destroy(device);
}

/* Keep frames until the tap's end */
static void hold(struct ntzc_tap *tap)
{
	struct ntzc_desc descs[HELD];

	for (unsigned int held = 0; held < HELD;) {
		int n = ntzc_tap_peek(tap, descs, HELD - held, -1);

		if (n < 0)
			fail("hold", n);
		held += (unsigned int)n;
	}
}

/* Taps that get nothing */
static void attach_idle(const char *interface)
{
	struct ntzc_tap_options opts = {
		.size = sizeof(opts), .flags = NTZC_ATTACH_PROMISC, .interface = interface,
		.queues = 1 << 1,
	};

	for (unsigned int i = 0; i < IDLE; i++) {
		int err = ntzc_tap_create(&opts, &run.idle[i]);

		if (err)
			fail("idle", err);
	}
}

static void create(const char *interface, char what)
{
	struct ntzc_tap_options opts = {
		.size = sizeof(opts), .flags = NTZC_ATTACH_PROMISC, .interface = interface,
		.ring_size = RING, .quota = what == 't' ? 1 : QUOTA + run.loaded * HELD,
		.door = run.door,
	};

	/* the other queue is the idle taps' */
	if (run.loaded)
		opts.queues = 1 << 0;
	/* what is being sent is held, too: two bursts, or the next one is lost */
	if (what == 'f')
		opts.quota = 2 * QUOTA;

	for (unsigned int i = 0; i < run.n_taps; i++) {
		int err = ntzc_tap_create(&opts, &run.taps[i]);

		if (err)
			fail("create", err);
	}
	/*
	 * As many as the card's ring takes; who forwards uses none of them, but has the transmit
	 * ring that comes with them, where a whole burst finds room. By calls, who fills the card's
	 * ring to the last place waits for each place of it: half as many.
	 */
	if (what != 'r')
		prepare(run.taps[0], run.door == NTZC_DOOR_CALLS ? RING / 2 : RING);
}

/* Frames up to @end, counted from the program's start. Return: how many there were. */
static unsigned int work(char what, unsigned int done, unsigned int end)
{
	while (done < end)
		done += what == 'r' ? receive() : what == 'f' ? forward() : transmit();
	return done;
}

/* Frames that the kernel has given the first tap, read or not */
static unsigned long long frames_delivered(void)
{
	struct ntzc_tap_stats stats;
	int err = ntzc_tap_stats(run.taps[0], &stats);

	if (err)
		fail("stats", err);
	return stats.received;
}

static int usage(void)
{
	fprintf(stderr, "usage: insn [-c] [-l] [-b BATCH] [-k TAPS] rx|tx|forward IFACE COUNT LEN\n"
			"  -c  through calls; else through rings\n"
			"  -l  of a pool %d times as large, with %d frames held, beside %d taps of queue 1,\n"
			"      to which no frame comes\n",
		LARGER, HELD, IDLE);
	return 2;
}

int main(int argc, char **argv)
{
	unsigned long long delivered[3];
	unsigned int count, done;
	int opt, larger;
	char what;

	while ((opt = getopt(argc, argv, "clb:k:")) != -1) {
		if (opt == 'c')
			run.door = NTZC_DOOR_CALLS;
		else if (opt == 'l')
			run.loaded = 1;
		else if (opt == 'b')
			run.batch = (unsigned int)atoi(optarg);
		else if (opt == 'k')
			run.n_taps = (unsigned int)atoi(optarg);
		else
			return usage();
	}
	if (argc - optind != 4 || run.batch - 1 >= MAX_BATCH || run.n_taps - 1 >= MAX_TAPS)
		return usage();
	what = argv[optind][0];
	count = (unsigned int)atoi(argv[optind + 2]);
	run.len = (unsigned int)atoi(argv[optind + 3]);
	larger = run.loaded || what == 'f';
	if (larger)
		set_pool(argv[optind + 1], LARGER);
	create(argv[optind + 1], what);
	if (run.loaded)
		attach_idle(argv[optind + 1]);
	puts("ready");
	fflush(stdout);
	if (run.loaded)
		hold(run.taps[0]);
	done = work(what, 0, 2 * count);
	delivered[0] = frames_delivered();
	NTZC_MARK(1);
	done = work(what, done, 3 * count);
	delivered[1] = frames_delivered();
	NTZC_MARK(2);
	done = work(what, done, 4 * count);
	delivered[2] = frames_delivered();
	NTZC_MARK(3);
	/* the kernel may be ahead of us, by another number of frames at each mark */
	printf("delivered %llu %llu\n", delivered[1] - delivered[0], delivered[2] - delivered[1]);
	for (unsigned int i = 0; i < run.n_taps; i++)
		ntzc_tap_destroy(run.taps[i]);
	for (unsigned int i = 0; run.loaded && i < IDLE; i++)
		ntzc_tap_destroy(run.idle[i]);
	if (larger)
		set_pool(argv[optind + 1], 1);
	return 0;
}
