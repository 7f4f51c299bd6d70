// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sniff: count the frames that come in through a card, and look at some.
 *
 * It shows the receive side of libntzc: create a tap with a filter that libpcap
 * compiled, view batches of frames where the card put them, be done with them,
 * read what was lost and why.
 */
#include <arpa/inet.h>
#include <getopt.h>
#include <inttypes.h>
#include <pcap/pcap.h>
#include <stdbool.h>

#include "common.h"

#define BATCH		64
#define TICK_MS		200
#define MAX_EXPRESSION	4096

struct filter {
	uint64_t len_min, len_max;
	int family;		/* of host: AF_INET, AF_INET6, or 0 for any frame */
	unsigned char host[16];
};

struct settings {
	const char *interface;
	char expression[MAX_EXPRESSION];	/* as tcpdump's; empty for every frame */
	struct filter filter;
	uint64_t count;		/* frames to match before the end; 0: no end */
	uint64_t seconds;	/* 0: no end */
	unsigned int lines;	/* 1: a line a frame, 2: with the bytes */
	bool per_second;
	bool promisc;
	uint32_t ring_size;
};

struct totals {
	uint64_t seen, seen_bytes;
	uint64_t matched, matched_bytes;
};

static void usage(void)
{
	fputs("usage: ntzc-sniff [OPTION...] INTERFACE [EXPRESSION...]\n"
	      "Count the frames that come in through an NTZC card: all, or those that match an\n"
	      "expression as tcpdump takes it (see pcap-filter(7)), which the kernel looks at.\n"
	      "\n"
	      "  -c, --count N        end after N frames that match\n"
	      "  -d, --duration S     end after S seconds\n"
	      "  -l, --length A[-B]   only frames of A to B bytes, without FCS\n"
	      "  -H, --host ADDRESS   only frames from or to this IPv4 or IPv6 address\n"
	      "  -v, --verbose        print a line for each frame that matches\n"
	      "  -x, --hex            the same, and the frame's bytes\n"
	      "  -s, --per-second     print frames and bytes of each second\n"
	      "  -r, --ring N         frames that may wait, per queue (a power of two)\n"
	      "  -p, --no-promisc     only what is sent to this card\n"
	      "  -h, --help           print this text\n"
	      "\n"
	      "-l and -H look at the frames here, where the card put them. The last line tells\n"
	      "what came in and what was lost, by cause. Exit status: 0 when done or\n"
	      "interrupted, 1 on an error, 2 on wrong usage.\n", stdout);
}

/* Addresses lie at fixed places, behind at most two VLAN tags. */
static bool host_matches(const struct filter *filter, const unsigned char *frame, uint32_t len)
{
	uint32_t at = 12, tags, addr_len = 4, source;
	uint16_t type = 0;

	for (tags = 0; tags <= 2; tags++) {
		if (len < at + 2)
			return false;
		type = load_be16(frame + at);
		at += 2;
		if (type != 0x8100 && type != 0x88a8)
			break;
		at += 2;
	}
	if (type == 0x0800 && filter->family == AF_INET) {
		source = at + 12;
	} else if (type == 0x86dd && filter->family == AF_INET6) {
		source = at + 8;
		addr_len = 16;
	} else if (type == 0x0806 && filter->family == AF_INET) {
		/* ARP: sender's and target's addresses, 10 bytes apart */
		return len >= at + 28 && (!memcmp(frame + at + 14, filter->host, 4) ||
					  !memcmp(frame + at + 24, filter->host, 4));
	} else {
		return false;
	}
	return len >= source + 2 * addr_len &&
	       (!memcmp(frame + source, filter->host, addr_len) ||
		!memcmp(frame + source + addr_len, filter->host, addr_len));
}

static bool matches(const struct filter *filter, const unsigned char *frame, uint32_t len)
{
	return len >= filter->len_min && len <= filter->len_max &&
	       (!filter->family || host_matches(filter, frame, len));
}

static void print_frame(const struct ntzc_desc *desc, const unsigned char *frame, bool bytes)
{
	const unsigned char *dst = frame, *src = frame + 6;
	uint32_t i;

	printf("%" PRIu64 ".%09" PRIu64 " queue %u len %u",
	       (uint64_t)(desc->timestamp / 1000000000u),
	       (uint64_t)(desc->timestamp % 1000000000u), desc->queue, desc->len);
	if (desc->flags & NTZC_RX_VLAN)
		printf(" vlan %u", desc->vlan_tci & 0xfffu);
	if (desc->len >= 14)
		printf(" %02x:%02x:%02x:%02x:%02x:%02x > %02x:%02x:%02x:%02x:%02x:%02x type %04x",
		       src[0], src[1], src[2], src[3], src[4], src[5],
		       dst[0], dst[1], dst[2], dst[3], dst[4], dst[5], load_be16(frame + 12));
	putchar('\n');
	if (!bytes)
		return;
	for (i = 0; i < desc->len; i++)
		printf("%02x", frame[i]);
	putchar('\n');
}

static void print_second(uint64_t elapsed_ns, const struct totals *now, const struct totals *before)
{
	double seconds = (double)elapsed_ns / 1e9;

	printf("%.0f frames/s %.3f Mbit/s, %" PRIu64 " in all, %" PRIu64 " matched\n",
	       (double)(now->seen - before->seen) / seconds,
	       (double)(now->seen_bytes - before->seen_bytes) * 8 / 1e6 / seconds,
	       now->seen, now->matched);
	fflush(stdout);
}

static void take_batch(const struct settings *s, const struct ntzc_tap *tap,
		       const struct ntzc_desc *descs, int n, struct totals *t)
{
	int i;

	for (i = 0; i < n; i++) {
		const unsigned char *frame = ntzc_tap_data(tap, &descs[i]);

		t->seen++;
		t->seen_bytes += descs[i].len;
		if (!matches(&s->filter, frame, descs[i].len))
			continue;
		if (s->count && t->matched == s->count)
			continue;
		t->matched++;
		t->matched_bytes += descs[i].len;
		if (s->lines)
			print_frame(&descs[i], frame, s->lines > 1);
	}
}

static int sniff(const struct settings *s, struct ntzc_tap *tap, struct totals *t)
{
	const struct ntzc_desc *descs;
	struct totals before = *t;
	uint64_t start = now_ns(), tick = start, now;
	/* without a clock to watch, wait for as long as it takes */
	int n, timeout_ms = s->per_second || s->seconds ? TICK_MS : -1;

	while (!stop && !(s->count && t->matched >= s->count)) {
		n = ntzc_tap_view(tap, &descs, BATCH, timeout_ms);
		if (n == -EINTR)
			continue;
		if (n < 0)
			return n;
		take_batch(s, tap, descs, n, t);
		if (n) {
			int done = ntzc_tap_done(tap, descs, (unsigned int)n);

			if (done < 0)
				return done;
		}
		if (timeout_ms < 0)
			continue;
		now = now_ns();
		if (s->per_second && now - tick >= 1000000000u) {
			print_second(now - tick, t, &before);
			before = *t;
			tick = now;
		}
		if (s->seconds && now - start >= s->seconds * 1000000000u)
			break;
	}
	return 0;
}

static int report(struct ntzc_tap *tap, const struct totals *t, uint64_t elapsed_ns)
{
	struct ntzc_tap_stats stats;
	int err = ntzc_tap_stats(tap, &stats);

	printf("ntzc-sniff: %" PRIu64 " frames, %" PRIu64 " bytes in %.3f s; %" PRIu64
	       " matched, %" PRIu64 " bytes\n",
	       t->seen, t->seen_bytes, (double)elapsed_ns / 1e9, t->matched, t->matched_bytes);
	if (err)
		return fail("statistics", err);
	printf("ntzc-sniff: received %" PRIu64 ", lost %" PRIu64 " (ring full %" PRIu64 ", quota %" PRIu64
	       ", pool empty %" PRIu64 "), not read %" PRIu64 ", filtered out %" PRIu64 "\n",
	       (uint64_t)stats.received,
	       (uint64_t)(stats.lost_ring + stats.lost_quota + stats.lost_pool),
	       (uint64_t)stats.lost_ring, (uint64_t)stats.lost_quota, (uint64_t)stats.lost_pool,
	       (uint64_t)stats.waiting, (uint64_t)stats.filtered);
	return 0;
}

static int parse_host(const char *text, struct filter *filter)
{
	if (inet_pton(AF_INET, text, filter->host) == 1)
		filter->family = AF_INET;
	else if (inet_pton(AF_INET6, text, filter->host) == 1)
		filter->family = AF_INET6;
	else
		return -EINVAL;
	return 0;
}

/* The words of the expression, in one string */
static int join_words(char **words, char *text)
{
	size_t used = 0;

	for (; *words; words++) {
		size_t len = strlen(*words);

		if (used + len + 1 >= MAX_EXPRESSION)
			return -EINVAL;
		if (used)
			text[used++] = ' ';
		memcpy(text + used, *words, len + 1);
		used += len;
	}
	return 0;
}

/* Return: 0, or -EINVAL with libpcap's own words on standard error. */
static int compile(const char *expression, struct bpf_program *program)
{
	pcap_t *pcap = pcap_open_dead(DLT_EN10MB, 65535);
	int err = 0;

	if (!pcap)
		return -ENOMEM;
	if (pcap_compile(pcap, program, expression, 1, PCAP_NETMASK_UNKNOWN)) {
		fprintf(stderr, "ntzc-sniff: '%s': %s\n", expression, pcap_geterr(pcap));
		err = -EINVAL;
	}
	pcap_close(pcap);
	return err;
}

static int create_tap(const struct settings *s, const struct bpf_program *program,
		      struct ntzc_tap **tap)
{
	struct ntzc_filter filter = {
		.kind = NTZC_FILTER_CLASSIC,
		.len = program->bf_len,
		.insns = (uintptr_t)program->bf_insns,
	};
	struct ntzc_tap_options options = {
		.size = sizeof(options),
		.interface = s->interface,
		.ring_size = s->ring_size,
		.flags = s->promisc ? NTZC_ATTACH_PROMISC : 0,
		.filter = program->bf_len ? &filter : NULL,
	};

	return ntzc_tap_create(&options, tap);
}

/* Return: 0 to go on, -EINVAL, or 1 when help was asked for */
static int parse_options(int argc, char **argv, struct settings *s)
{
	static const struct option options[] = {
		{ "count", required_argument, NULL, 'c' },
		{ "duration", required_argument, NULL, 'd' },
		{ "length", required_argument, NULL, 'l' },
		{ "host", required_argument, NULL, 'H' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "hex", no_argument, NULL, 'x' },
		{ "per-second", no_argument, NULL, 's' },
		{ "ring", required_argument, NULL, 'r' },
		{ "no-promisc", no_argument, NULL, 'p' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	uint64_t ring = 0;
	int c, err = 0;

	while (!err && (c = getopt_long(argc, argv, "c:d:l:H:vxsr:ph", options, NULL)) != -1) {
		switch (c) {
		case 'c':
			err = parse_range(optarg, 1, UINT64_MAX, &s->count, NULL);
			break;
		case 'd':
			err = parse_range(optarg, 1, UINT32_MAX, &s->seconds, NULL);
			break;
		case 'l':
			err = parse_range(optarg, 0, UINT32_MAX, &s->filter.len_min,
					  &s->filter.len_max);
			break;
		case 'H':
			err = parse_host(optarg, &s->filter);
			break;
		case 'v':
			s->lines = s->lines ? s->lines : 1;
			break;
		case 'x':
			s->lines = 2;
			break;
		case 's':
			s->per_second = true;
			break;
		case 'r':
			err = parse_range(optarg, 1, NTZC_MAX_RING, &ring, NULL);
			break;
		case 'p':
			s->promisc = false;
			break;
		case 'h':
			return 1;
		default:
			return -EINVAL;
		}
		if (err)
			fprintf(stderr, "ntzc-sniff: '%s' won't do for -%c\n", optarg, c);
	}
	s->ring_size = (uint32_t)ring;
	if (err)
		return err;
	if (optind == argc) {
		fputs("ntzc-sniff: name an interface\n", stderr);
		return -EINVAL;
	}
	s->interface = argv[optind];
	err = join_words(argv + optind + 1, s->expression);
	if (err)
		fputs("ntzc-sniff: the expression is too long\n", stderr);
	return err;
}

int main(int argc, char **argv)
{
	struct settings s = { .filter = { .len_max = UINT64_MAX }, .promisc = true };
	struct bpf_program program = { 0 };
	struct totals totals = { 0 };
	struct ntzc_tap *tap;
	uint64_t start;
	int err;

	err = parse_options(argc, argv, &s);
	if (err > 0) {
		usage();
		return 0;
	}
	if (!err && *s.expression)
		err = compile(s.expression, &program);
	if (err) {
		fputs("Try 'ntzc-sniff --help'.\n", stderr);
		return 2;
	}
	err = create_tap(&s, &program, &tap);
	pcap_freecode(&program);
	if (err)
		return fail(s.interface, err);
	end_on_signals();
	start = now_ns();
	err = sniff(&s, tap, &totals);
	if (err)
		fail(s.interface, err);
	if (report(tap, &totals, now_ns() - start))
		err = err ? err : -EIO;
	ntzc_tap_destroy(tap);
	return err ? 1 : 0;
}
