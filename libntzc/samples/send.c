// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * send: make frames and send them through a card.
 *
 * It shows the transmit side of libntzc: set up transmit memory, reserve
 * buffers, fill them in place, submit them, drain. Each frame carries a 64-bit
 * sequence number, big-endian, right behind its headers.
 */
#include <arpa/inet.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>

#include "common.h"

#define BATCH		64
#define ETH_LEN		14
#define UDP_LEN		(ETH_LEN + 20 + 8)	/* Ethernet, IPv4 and UDP headers */
#define SEQ_LEN		8
#define WAIT_MS		1000

struct settings {
	const char *interface;
	uint64_t count;			/* 0: no end */
	uint64_t rate;			/* frames a second; 0: as fast as it goes */
	uint64_t size_min, size_max;	/* bytes without FCS */
	uint64_t ethertype;
	unsigned char dst[6], src[6];
	bool src_given, udp;
	struct in_addr from, to;
	uint64_t from_port, to_port;
};

static void usage(void)
{
	fputs("usage: ntzc-send [OPTION...] INTERFACE\n"
	      "Make frames and send them through an NTZC card.\n"
	      "\n"
	      "  -c, --count N        end after N frames (default: go on until interrupted)\n"
	      "  -r, --rate N         frames a second (default: as fast as it goes)\n"
	      "  -s, --size A[-B]     bytes in a frame, without FCS, cycling from A to B (60)\n"
	      "  -d, --dst MAC        to (ff:ff:ff:ff:ff:ff)\n"
	      "  -m, --src MAC        from (the card's address)\n"
	      "  -e, --ethertype HEX  at least 0600 and none of a real protocol's: payload of\n"
	      "                       a made-up frame is no packet (88b5, local experiments)\n"
	      "  -u, --udp FROM,TO    UDP over IPv4 between two addresses, each ADDRESS:PORT\n"
	      "  -h, --help           print this text\n"
	      "\n"
	      "A sequence number, 64 bits, big-endian, from 0, follows the headers; then bytes\n"
	      "that count up. The last line tells the rate that was achieved. Exit status: 0\n"
	      "when done or interrupted, 1 on an error, 2 on wrong usage.\n", stdout);
}

static uint32_t sum_be16(const unsigned char *p, uint32_t len, uint32_t sum)
{
	uint32_t i;

	for (i = 0; i + 1 < len; i += 2)
		sum += load_be16(p + i);
	if (len & 1)
		sum += (uint32_t)p[len - 1] << 8;
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* IPv4 (RFC 791) and UDP (RFC 768) headers for a frame whose payload is in place */
static void fill_udp(const struct settings *s, unsigned char *frame, uint32_t size, uint64_t seq)
{
	unsigned char *ip = frame + ETH_LEN, *udp = ip + 20;
	uint16_t udp_len = (uint16_t)(size - ETH_LEN - 20), check;

	memset(ip, 0, 28);
	ip[0] = 0x45;
	store_be16(ip + 2, (uint16_t)(size - ETH_LEN));
	store_be16(ip + 4, (uint16_t)seq);
	ip[6] = 0x40; /* don't fragment */
	ip[8] = 64;
	ip[9] = IPPROTO_UDP;
	memcpy(ip + 12, &s->from, 4);
	memcpy(ip + 16, &s->to, 4);
	store_be16(ip + 10, fold(sum_be16(ip, 20, 0)));

	store_be16(udp, (uint16_t)s->from_port);
	store_be16(udp + 2, (uint16_t)s->to_port);
	store_be16(udp + 4, udp_len);
	check = fold(sum_be16(udp, udp_len, sum_be16(ip + 12, 8, IPPROTO_UDP + (uint32_t)udp_len)));
	store_be16(udp + 6, check ? check : 0xffff);
}

static void fill_frame(const struct settings *s, unsigned char *frame, uint32_t size, uint64_t seq)
{
	uint32_t at = s->udp ? UDP_LEN : ETH_LEN, i;

	memcpy(frame, s->dst, 6);
	memcpy(frame + 6, s->src, 6);
	store_be16(frame + 12, s->udp ? 0x0800 : (uint16_t)s->ethertype);
	for (i = 0; i < SEQ_LEN; i++)
		frame[at + i] = (unsigned char)(seq >> (56 - 8 * i));
	for (i = at + SEQ_LEN; i < size; i++)
		frame[i] = (unsigned char)(i - at);
	if (s->udp)
		fill_udp(s, frame, size, seq);
}

/* How many frames are due by now, at most a batch; waits until it is one */
static unsigned int due(const struct settings *s, uint64_t start, uint64_t sent)
{
	uint64_t left = s->count ? s->count - sent : BATCH, ready;
	struct timespec nap;

	if (left > BATCH)
		left = BATCH;
	if (!s->rate)
		return (unsigned int)left;
	for (;;) {
		uint64_t elapsed = now_ns() - start;

		/* whole seconds apart, so that the product stays in 64 bits */
		ready = elapsed / 1000000000u * s->rate +
			elapsed % 1000000000u * s->rate / 1000000000u + 1;
		if (ready > sent || stop)
			break;
		nap.tv_sec = s->rate == 1;
		nap.tv_nsec = s->rate == 1 ? 0 : (long)(1000000000u / s->rate);
		nanosleep(&nap, NULL);
	}
	return stop ? 0 : (unsigned int)(ready - sent < left ? ready - sent : left);
}

/* Submit all of a batch; what cannot be sent goes back. Return: how many, or -errno. */
static int submit_all(struct ntzc_tap *tap, const struct ntzc_desc *descs, unsigned int n)
{
	unsigned int done = 0;
	int ret = 0;

	while (done < n) {
		ret = ntzc_tap_submit(tap, descs + done, n - done, WAIT_MS);
		if (ret > 0)
			done += (unsigned int)ret;
		else if (stop || (ret != -EINTR && ret != -ENOSPC))
			break;
	}
	if (done < n) {
		ntzc_tap_release_descs(tap, descs + done, n - done);
		if (!done && ret != -EINTR && ret != -ENOSPC)
			return ret;
	}
	return (int)done;
}

static int send_frames(const struct settings *s, struct ntzc_tap *tap, uint64_t *sent,
		       uint64_t *sent_bytes)
{
	uint64_t start = now_ns(), size = s->size_min;
	struct ntzc_desc descs[BATCH];
	int n, done, i;

	while (!stop && !(s->count && *sent == s->count)) {
		unsigned int want = due(s, start, *sent);

		if (!want)
			continue;
		n = ntzc_tap_reserve(tap, descs, want, WAIT_MS);
		if (n == -EINTR || n == -ENOBUFS)
			continue;
		if (n < 0)
			return n;
		for (i = 0; i < n; i++) {
			if (descs[i].len < size) {
				ntzc_tap_release_descs(tap, descs, (unsigned int)n);
				return -EINVAL;
			}
			descs[i].len = (uint32_t)size;
			fill_frame(s, ntzc_tap_tx_data(tap, &descs[i]), descs[i].len,
				   *sent + (uint64_t)i);
			size = size == s->size_max ? s->size_min : size + 1;
		}
		done = submit_all(tap, descs, (unsigned int)n);
		if (done < 0)
			return done;
		for (i = 0; i < done; i++)
			*sent_bytes += descs[i].len;
		*sent += (uint64_t)done;
	}
	return 0;
}

static int report(struct ntzc_tap *tap, uint64_t sent, uint64_t bytes, uint64_t elapsed_ns)
{
	double seconds = (double)elapsed_ns / 1e9;
	struct ntzc_tap_stats stats;
	int err;

	printf("ntzc-send: %" PRIu64 " frames, %" PRIu64 " bytes in %.3f s: %.0f frames/s, %.3f Mbit/s\n",
	       sent, bytes, seconds, (double)sent / seconds, (double)bytes * 8 / 1e6 / seconds);
	err = ntzc_tap_stats(tap, &stats);
	if (err)
		return fail("statistics", err);
	printf("ntzc-send: completed %" PRIu64 ", failed %" PRIu64 ", in flight %" PRIu64 "\n",
	       (uint64_t)stats.tx_completed, (uint64_t)stats.tx_failed,
	       (uint64_t)stats.tx_in_flight);
	return 0;
}

static int parse_mac(const char *text, unsigned char *mac)
{
	char end;

	return sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%c", &mac[0], &mac[1], &mac[2],
		      &mac[3], &mac[4], &mac[5], &end) == 6 ? 0 : -EINVAL;
}

static int parse_endpoint(char *text, struct in_addr *address, uint64_t *port)
{
	char *colon = strchr(text, ':');

	if (!colon)
		return -EINVAL;
	*colon = '\0';
	if (inet_pton(AF_INET, text, address) != 1)
		return -EINVAL;
	return parse_range(colon + 1, 0, 65535, port, NULL);
}

static int parse_udp(const char *text, struct settings *s)
{
	char *copy = strdup(text), *comma;
	int err = -EINVAL;

	if (!copy)
		return -ENOMEM;
	comma = strchr(copy, ',');
	if (comma) {
		*comma = '\0';
		err = parse_endpoint(copy, &s->from, &s->from_port);
		if (!err)
			err = parse_endpoint(comma + 1, &s->to, &s->to_port);
	}
	free(copy);
	s->udp = true;
	return err;
}

/* Types under which receivers expect a real packet are refused: what follows is made up */
static int parse_ethertype(const char *text, uint64_t *type)
{
	static const uint16_t taken[] = { 0x0800, 0x0806, 0x86dd, 0x8100, 0x88a8, 0x8847, 0x8848,
					  0x8863, 0x8864, 0x8808, 0x8809, 0x888e, 0x88cc };
	size_t i;
	char *end;

	*type = strtoull(text, &end, 16);
	if (*end || end == text || *type < 0x0600 || *type > 0xffff)
		return -EINVAL;
	for (i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
		if (*type == taken[i])
			return -EINVAL;
	return 0;
}

/* Return: 0 to go on, -EINVAL, or 1 when help was asked for */
static int parse_options(int argc, char **argv, struct settings *s)
{
	static const struct option options[] = {
		{ "count", required_argument, NULL, 'c' },
		{ "rate", required_argument, NULL, 'r' },
		{ "size", required_argument, NULL, 's' },
		{ "dst", required_argument, NULL, 'd' },
		{ "src", required_argument, NULL, 'm' },
		{ "ethertype", required_argument, NULL, 'e' },
		{ "udp", required_argument, NULL, 'u' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c, err = 0;

	while (!err && (c = getopt_long(argc, argv, "c:r:s:d:m:e:u:h", options, NULL)) != -1) {
		switch (c) {
		case 'c':
			err = parse_range(optarg, 1, UINT64_MAX, &s->count, NULL);
			break;
		case 'r':
			err = parse_range(optarg, 1, 1000000000u, &s->rate, NULL);
			break;
		case 's':
			err = parse_range(optarg, ETH_LEN + SEQ_LEN, 65535, &s->size_min,
					  &s->size_max);
			break;
		case 'd':
			err = parse_mac(optarg, s->dst);
			break;
		case 'm':
			err = parse_mac(optarg, s->src);
			s->src_given = true;
			break;
		case 'e':
			err = parse_ethertype(optarg, &s->ethertype);
			break;
		case 'u':
			err = parse_udp(optarg, s);
			break;
		case 'h':
			return 1;
		default:
			return -EINVAL;
		}
		if (err)
			fprintf(stderr, "ntzc-send: '%s' won't do for -%c\n", optarg, c);
	}
	if (!err && s->udp && s->size_min < UDP_LEN + SEQ_LEN) {
		fprintf(stderr, "ntzc-send: UDP takes at least %d bytes\n", UDP_LEN + SEQ_LEN);
		err = -EINVAL;
	}
	if (!err && optind != argc - 1) {
		fputs("ntzc-send: name one interface\n", stderr);
		err = -EINVAL;
	}
	if (!err)
		s->interface = argv[optind];
	return err;
}

/* The card's own address, and its longest frame */
static int read_port(struct settings *s, uint32_t *frame_max)
{
	struct ntzc_port_info info;
	struct ntzc_device *device;
	int err;

	err = ntzc_device_create(NULL, &device);
	if (err)
		return err;
	err = ntzc_port_find(device, s->interface, &info);
	ntzc_device_destroy(device);
	if (err)
		return err;
	if (!s->src_given)
		memcpy(s->src, info.mac, sizeof(s->src));
	*frame_max = info.frame_max;
	return 0;
}

int main(int argc, char **argv)
{
	struct settings s = { .size_min = 60, .size_max = 60, .ethertype = 0x88b5,
			      .dst = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } };
	struct ntzc_tap_options options = { .size = sizeof(options) };
	uint64_t sent = 0, bytes = 0, start;
	struct ntzc_tap *tap;
	uint32_t frame_max;
	int err;

	err = parse_options(argc, argv, &s);
	if (err > 0) {
		usage();
		return 0;
	}
	if (err) {
		fputs("Try 'ntzc-send --help'.\n", stderr);
		return 2;
	}
	err = read_port(&s, &frame_max);
	if (err)
		return fail(s.interface, err);
	if (s.size_max > frame_max) {
		fprintf(stderr, "ntzc-send: the card's frames have at most %u bytes; raise its MTU\n",
			frame_max);
		return 1;
	}
	options.interface = s.interface;
	options.ring_size = 1; /* what comes in is not for this program */
	options.quota = 1;
	err = ntzc_tap_create(&options, &tap);
	if (err)
		return fail(s.interface, err);
	err = ntzc_tap_tx_setup(tap, 0, 0);
	if (err) {
		ntzc_tap_destroy(tap);
		return fail(s.interface, err);
	}
	end_on_signals();
	start = now_ns();
	err = send_frames(&s, tap, &sent, &bytes);
	if (!err)
		err = ntzc_tap_drain(tap, stop ? 0 : 5 * WAIT_MS);
	if (err && !stop)
		fail(s.interface, err);
	if (report(tap, sent, bytes, now_ns() - start))
		err = -EIO;
	ntzc_tap_destroy(tap);
	return err && !stop ? 1 : 0;
}
