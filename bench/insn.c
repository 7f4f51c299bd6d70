// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The program whose instructions are counted: receives, sends or forwards
 * frames through libntzc, in batches, and sets mark 1 after 2 * COUNT frames
 * (every page is mapped by then), mark 2 after COUNT more, mark 3 after COUNT
 * more. Receiving touches one byte of each frame. A batch that is not full is followed by a pause, in
 * which frames gather: what is counted is the work of full batches.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libntzc.h"
#include "marker.h"

#define BATCH 64

static volatile unsigned char sink;

static void fail(const char *what, int error)
{
	fprintf(stderr, "insn: %s: %s\n", what, ntzc_strerror(error));
	exit(1);
}

static int peek(struct ntzc_tap *tap, struct ntzc_desc *descs)
{
	static const struct timespec pause = { .tv_nsec = 20 * 1000 * 1000 };
	int n = ntzc_tap_peek(tap, descs, BATCH, 0);

	if (n < 0)
		fail("peek", n);
	if (n < BATCH)
		nanosleep(&pause, NULL);
	return n;
}

static int receive(struct ntzc_tap *tap)
{
	struct ntzc_desc descs[BATCH];
	int n = peek(tap, descs);

	if (!n)
		return 0;
	for (int i = 0; i < n; i++)
		sink = *(const unsigned char *)ntzc_tap_data(tap, &descs[i]);
	if (ntzc_tap_release_descs(tap, descs, (unsigned int)n) != n)
		fail("release", -ESTALE);
	return n;
}

static int forward(struct ntzc_tap *tap)
{
	struct ntzc_desc descs[BATCH];
	int n = peek(tap, descs);

	for (int done = 0; done < n;) {
		int sent = ntzc_tap_submit(tap, descs + done, (unsigned int)(n - done), -1);

		if (sent < 0)
			fail("submit", sent);
		done += sent;
	}
	return n;
}

static int transmit(struct ntzc_tap *tap, unsigned int len)
{
	struct ntzc_desc descs[BATCH];
	int n = ntzc_tap_reserve(tap, descs, BATCH, -1);

	if (n < 0)
		fail("reserve", n);
	for (int i = 0; i < n; i++) {
		/* one byte, as on receive: the frame's other bytes stay from before */
		*(unsigned char *)ntzc_tap_tx_data(tap, &descs[i]) = 2;
		descs[i].len = len;
	}
	for (int done = 0; done < n;) {
		int sent = ntzc_tap_submit(tap, descs + done, (unsigned int)(n - done), -1);

		if (sent < 0)
			fail("submit", sent);
		done += sent;
	}
	return n;
}

/* A frame's header in every buffer, so that sending need not write it again */
static void prepare(struct ntzc_tap *tap)
{
	static const unsigned char header[14] = { 2, [12] = 0x88, 0xb5 };
	struct ntzc_desc descs[1024];
	int n, err = ntzc_tap_tx_setup(tap, 512, 0);

	if (err)
		fail("tx_setup", err);
	n = ntzc_tap_reserve(tap, descs, 1024, 0);
	for (int i = 0; i < n; i++)
		memcpy(ntzc_tap_tx_data(tap, &descs[i]), header, sizeof(header));
	ntzc_tap_release_descs(tap, descs, (unsigned int)n);
}

int main(int argc, char **argv)
{
	struct ntzc_tap_options opts = { .size = sizeof(opts), .flags = NTZC_ATTACH_PROMISC };
	struct ntzc_tap *tap;
	unsigned int len, count, done = 0;
	int err;

	if (argc != 5) {
		fprintf(stderr, "usage: insn rx|tx|forward IFACE COUNT LEN\n");
		return 2;
	}
	opts.interface = argv[2];
	opts.ring_size = 4096;
	opts.quota = argv[1][0] == 't' ? 1 : 0;
	count = (unsigned int)atoi(argv[3]);
	len = (unsigned int)atoi(argv[4]);
	err = ntzc_tap_create(&opts, &tap);
	if (err)
		fail("create", err);
	prepare(tap);
	puts("ready");
	fflush(stdout);
	for (unsigned int mark = 1; mark <= 3; mark++) {
		while (done < count * (mark + 1))
			done += (unsigned int)(argv[1][0] == 'r' ? receive(tap) :
					       argv[1][0] == 'f' ? forward(tap) :
					       transmit(tap, len));
		if (mark == 1)
			NTZC_MARK(1);
		else if (mark == 2)
			NTZC_MARK(2);
		else
			NTZC_MARK(3);
	}
	/* whole batches: the last may have overshot */
	printf("%u\n", done);
	ntzc_tap_destroy(tap);
	return 0;
}
