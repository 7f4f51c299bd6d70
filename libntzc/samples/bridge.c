// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bridge: what comes in through one card goes out through the other, both ways,
 * and is not copied.
 *
 * It shows forwarding: two taps, each with the other's card as a target; frames
 * are viewed, and sent by reference. Others can go on reading them meanwhile.
 */
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>

#include "common.h"

#define BATCH		64
#define WAIT_MS		100	/* for room in a card's ring: then frames are dropped */
#define TICK_MS		200

/* One direction */
struct way {
	const char *from, *to;
	struct ntzc_tap *tap;
	unsigned int target;	/* the number of the card of @to */
	uint64_t forwarded, bytes, dropped;
};

static void usage(void)
{
	fputs("usage: ntzc-bridge [OPTION...] A B\n"
	      "Join two NTZC cards: what comes in through one goes out through the other.\n"
	      "\n"
	      "  -c, --count N        end after N frames, of both ways together\n"
	      "  -d, --duration S     end after S seconds\n"
	      "  -h, --help           print this text\n"
	      "\n"
	      "The last lines tell, for each way, what was forwarded, dropped for want of room\n"
	      "on the other card (or too long for it), and lost before. Exit status: 0 when\n"
	      "done or interrupted, 1 on an error, 2 on wrong usage.\n", stdout);
}

/* Forward a view, or drop what can't be. Return: 0 or -errno. */
static int forward(struct way *way, const struct ntzc_desc *descs, unsigned int n)
{
	unsigned int i;
	int ret;

	while (n) {
		ret = ntzc_tap_forward(way->tap, descs, n, way->target, WAIT_MS);
		if (ret == -ENODEV)
			return ret;
		if (ret == -EINTR && !stop)
			continue;
		if (ret > 0) {
			for (i = 0; i < (unsigned int)ret; i++)
				way->bytes += descs[i].len;
			way->forwarded += (unsigned int)ret;
			/* the frames are gone; this frees their descriptors' places */
			ntzc_tap_take(way->tap, descs, (unsigned int)ret);
		} else {
			/* one that is too long for that card; or it takes none now */
			ret = ret == -EINVAL ? 1 : (int)n;
			way->dropped += (unsigned int)ret;
			ntzc_tap_done(way->tap, descs, (unsigned int)ret);
		}
		descs += ret;
		n -= (unsigned int)ret;
	}
	return 0;
}

/* Forward a batch, if frames wait. Return: how many waited, or -errno. */
static int step(struct way *way)
{
	const struct ntzc_desc *descs;
	int n = ntzc_tap_view(way->tap, &descs, BATCH, 0), err;

	if (n == -EINTR)
		return 0;
	if (n < 0)
		fail(way->from, n);
	if (n <= 0)
		return n;
	err = forward(way, descs, (unsigned int)n);
	if (err)
		fail(way->to, err);
	return err ? err : n;
}

static int bridge(struct way ways[2], uint64_t count, uint64_t seconds)
{
	struct pollfd fds[2] = {
		{ .fd = ntzc_tap_fd(ways[0].tap), .events = POLLIN },
		{ .fd = ntzc_tap_fd(ways[1].tap), .events = POLLIN },
	};
	uint64_t end = now_ns() + seconds * 1000000000u;
	int n[2];

	while (!stop && !(seconds && now_ns() >= end) &&
	       !(count && ways[0].forwarded + ways[1].forwarded >= count)) {
		n[0] = step(&ways[0]);
		n[1] = step(&ways[1]);
		if (n[0] < 0 || n[1] < 0)
			return n[0] < 0 ? n[0] : n[1];
		if (!n[0] && !n[1])
			poll(fds, 2, TICK_MS);
	}
	return 0;
}

static int report(const struct way *way)
{
	struct ntzc_tap_stats stats;
	int err = ntzc_tap_stats(way->tap, &stats);

	if (err)
		return fail(way->from, err);
	printf("ntzc-bridge: %s to %s: %" PRIu64 " frames, %" PRIu64 " bytes; dropped %" PRIu64
	       ", lost %" PRIu64 "\n", way->from, way->to, way->forwarded, way->bytes, way->dropped,
	       (uint64_t)(stats.lost_ring + stats.lost_quota + stats.lost_pool));
	return 0;
}

static int create_tap(struct way *way)
{
	struct ntzc_tap_options options = {
		.size = sizeof(options),
		.interface = way->from,
		.flags = NTZC_ATTACH_PROMISC,
	};
	int err = ntzc_tap_create(&options, &way->tap);

	if (err)
		fail(way->from, err);
	return err;
}

/* Both taps, each with the other's card as its target. Return: 0 or -errno. */
static int join(struct way ways[2])
{
	int i, err;

	for (i = 0; i < 2; i++) {
		err = create_tap(&ways[i]);
		if (err)
			return err;
	}
	for (i = 0; i < 2; i++) {
		err = ntzc_tap_add_target(ways[i].tap, ways[i].to, 0, &ways[i].target);
		if (err) {
			fail(ways[i].to, err);
			return err;
		}
	}
	return 0;
}

/* Return: 0 to go on, -EINVAL, or 1 when help was asked for */
static int parse_options(int argc, char **argv, uint64_t *count, uint64_t *seconds)
{
	static const struct option options[] = {
		{ "count", required_argument, NULL, 'c' },
		{ "duration", required_argument, NULL, 'd' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c, err = 0;

	while (!err && (c = getopt_long(argc, argv, "c:d:h", options, NULL)) != -1) {
		switch (c) {
		case 'c':
			err = parse_range(optarg, 1, UINT64_MAX, count, NULL);
			break;
		case 'd':
			err = parse_range(optarg, 1, UINT32_MAX, seconds, NULL);
			break;
		case 'h':
			return 1;
		default:
			return -EINVAL;
		}
		if (err)
			fprintf(stderr, "ntzc-bridge: '%s' won't do for -%c\n", optarg, c);
	}
	if (!err && optind != argc - 2) {
		fputs("ntzc-bridge: name two interfaces\n", stderr);
		err = -EINVAL;
	}
	return err;
}

int main(int argc, char **argv)
{
	struct way ways[2] = { 0 };
	uint64_t count = 0, seconds = 0;
	int err = parse_options(argc, argv, &count, &seconds);

	if (err > 0) {
		usage();
		return 0;
	}
	if (!err && !strcmp(argv[optind], argv[optind + 1])) {
		fprintf(stderr, "ntzc-bridge: %s can't be joined to itself; name two cards\n",
			argv[optind]);
		err = -EINVAL;
	}
	if (err) {
		fputs("Try 'ntzc-bridge --help'.\n", stderr);
		return 2;
	}
	ways[0].from = ways[1].to = argv[optind];
	ways[1].from = ways[0].to = argv[optind + 1];
	end_on_signals();
	err = join(ways);
	if (!err) {
		err = bridge(ways, count, seconds);
		if (report(&ways[0]) || report(&ways[1]))
			err = err ? err : -EIO;
	}
	ntzc_tap_destroy(ways[0].tap);
	ntzc_tap_destroy(ways[1].tap);
	return err ? 1 : 0;
}
