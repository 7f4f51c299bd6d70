// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The frames: UDP over IPv4, with the addresses and ports of RFC 2544, appendix C.
 *
 *	 0	Ethernet: destination, source, type
 *	14	IPv4 (RFC 791): 198.18.1.2 to 198.19.1.2, time to live 10
 *	34	UDP (RFC 768): port 49184 to 7, checksum in place
 *	42	mark: 0x4e54, 16 bits
 *	44	the trial's tag, 32 bits
 *	48	the frame's number, 32 bits, from 0
 *	52	when it was sent, nanoseconds, 64 bits
 *	60	bytes that count up, to the frame's end
 *
 * Numbers are big-endian. The mark ends where the shortest frame does. The number
 * and the time lie on even offsets, so that a frame's UDP checksum is that of the
 * template with six more words.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define IP	14
#define UDP	34
#define CHECK	40
#define MARK	42
#define TAG	44
#define SEQ	48
#define TIME	52
#define BODY	60

#define MARK_VALUE	0x4e54
#define PROTOCOL_UDP	17

static const unsigned char addresses[8] = { 198, 18, 1, 2, 198, 19, 1, 2 };
static const unsigned char ports[4] = { 0xc0, 0x20, 0, 7 };

static void store_be(unsigned char *p, unsigned int n_bytes, uint64_t value)
{
	while (n_bytes--) {
		p[n_bytes] = (unsigned char)value;
		value >>= 8;
	}
}

static uint64_t load_be(const unsigned char *p, unsigned int n_bytes)
{
	uint64_t value = 0;

	while (n_bytes--)
		value = value << 8 | *p++;
	return value;
}

static uint32_t sum_words(const unsigned char *p, uint32_t len, uint32_t sum)
{
	uint32_t i;

	for (i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	if (len & 1)
		sum += (uint32_t)p[len - 1] << 8;
	return sum;
}

/* RFC 1071 */
static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* The UDP checksum of the frame with this number and time */
static uint16_t checksum(const struct ntzc_meter *meter, uint32_t seq, uint64_t sent_ns)
{
	uint32_t sum = meter->template_sum + (seq >> 16) + (seq & 0xffff);
	uint16_t check;

	sum += (uint32_t)(sent_ns >> 48) + (uint32_t)(sent_ns >> 32 & 0xffff) +
	       (uint32_t)(sent_ns >> 16 & 0xffff) + (uint32_t)(sent_ns & 0xffff);
	check = fold(sum);
	return check ? check : 0xffff; /* 0 would mean that there is none */
}

static void fill_headers(const struct ntzc_meter_plan *plan, unsigned char *frame)
{
	unsigned char *ip = frame + IP;

	memcpy(frame, plan->dst, 6);
	memcpy(frame + 6, plan->src, 6);
	store_be(frame + 12, 2, 0x0800);
	ip[0] = 0x45; /* version, length of the header */
	store_be(ip + 2, 2, plan->frame_len - IP);
	ip[8] = 10;
	ip[9] = PROTOCOL_UDP;
	memcpy(ip + 12, addresses, sizeof(addresses));
	store_be(ip + 10, 2, fold(sum_words(ip, UDP - IP, 0)));
	memcpy(frame + UDP, ports, sizeof(ports));
	store_be(frame + UDP + 4, 2, plan->frame_len - UDP);
}

/* Make the template. Return: 0 or -ENOMEM. */
int meter_frame_init(struct ntzc_meter *meter)
{
	uint32_t len = meter->plan.frame_len, udp_len = len - UDP, i;
	unsigned char *frame = calloc(1, len);

	if (!frame)
		return -ENOMEM;
	fill_headers(&meter->plan, frame);
	store_be(frame + MARK, 2, MARK_VALUE);
	store_be(frame + TAG, 4, meter->plan.tag);
	for (i = BODY; i < len; i++)
		frame[i] = (unsigned char)(i - BODY);
	/* the pseudo-header: addresses, protocol, length */
	meter->template_sum = sum_words(addresses, sizeof(addresses), PROTOCOL_UDP + udp_len);
	meter->template_sum = sum_words(frame + UDP, udp_len, meter->template_sum);
	meter->template = frame;
	return 0;
}

void ntzc_meter_make(const struct ntzc_meter *meter, __u32 seq, __u64 sent_ns,
		     unsigned char *frame)
{
	memcpy(frame, meter->template, meter->plan.frame_len);
	store_be(frame + SEQ, 4, seq);
	store_be(frame + TIME, 8, sent_ns);
	store_be(frame + CHECK, 2, checksum(meter, seq, sent_ns));
}

/*
 * A router may have changed the Ethernet header, time to live and the IPv4
 * checksum: those are the card's to check. All else is compared: the number and
 * the time by the UDP checksum, the other bytes with the template's.
 */
enum meter_kind meter_frame_look(const struct ntzc_meter *meter, const unsigned char *frame,
				 uint32_t len, uint32_t *seq, uint64_t *sent_ns)
{
	const unsigned char *template = meter->template;

	if (len < NTZC_METER_MIN_FRAME || frame[12] != 0x08 || frame[13] != 0x00 ||
	    frame[IP + 9] != PROTOCOL_UDP || memcmp(frame + UDP, ports, sizeof(ports)) ||
	    load_be(frame + MARK, 2) != MARK_VALUE)
		return METER_FOREIGN;
	if (load_be(frame + TAG, 4) != meter->plan.tag)
		return METER_STALE;
	*seq = (uint32_t)load_be(frame + SEQ, 4);
	*sent_ns = load_be(frame + TIME, 8);
	if (len != meter->plan.frame_len || *seq >= meter->plan.frames ||
	    memcmp(frame + IP, template + IP, 8) ||		/* to fragments */
	    memcmp(frame + IP + 12, template + IP + 12, CHECK - IP - 12) ||
	    memcmp(frame + BODY, template + BODY, len - BODY) ||
	    load_be(frame + CHECK, 2) != checksum(meter, *seq, *sent_ns))
		return METER_CORRUPT;
	return METER_WHOLE;
}
