/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hot loops of `ntzc bench`: frames sent at a rate, and every one of them
 * accounted for where it comes in.
 *
 * A *meter* is one trial. One thread sends through a tap, another receives
 * through the same tap or another card's; each frame says which trial it is of,
 * its number, and when it was sent, so that loss, duplicates, reordering and
 * latency are counted from the frames alone. The clock is CLOCK_MONOTONIC: both
 * taps must be of one host, and the receiving one must stamp by that clock.
 *
 * Threads. ntzc_meter_send() and ntzc_meter_receive() run in a thread each, at
 * the same time; ntzc_meter_stop() may be called by any, at any time; all else
 * only while neither runs.
 *
 * Errors are negative errnos, as libntzc's.
 */
#ifndef NTZC_METER_H
#define NTZC_METER_H

#include "libntzc.h"

/* Bytes of a frame without its check sequence: what the headers and the mark take */
#define NTZC_METER_MIN_FRAME	60
#define NTZC_METER_MAX_FRAME	16384

/* Latencies are counted in buckets, each narrower than 1/128 of its lower bound */
#define NTZC_METER_BUCKETS	7424

struct ntzc_meter;

/**
 * struct ntzc_meter_plan - what to send
 * @dst: address that the frames go to
 * @src: address that they come from
 * @frame_len: bytes without the frame check sequence
 * @tag: of the trial, in each of its frames; another one for each trial
 * @frames: how many, at least 1
 * @rate_fps: frames a second; 0 for as fast as the card takes them
 * @duration_ns: from the first frame on, after which none is sent; 0 for no limit
 * @settle_ns: how long to wait for frames after the last was sent, if not all came
 */
struct ntzc_meter_plan {
	__u8 dst[6];
	__u8 src[6];
	__u32 frame_len;
	__u32 tag;
	__u32 reserved;
	__u64 frames;
	__u64 rate_fps;
	__u64 duration_ns;
	__u64 settle_ns;
};

/**
 * struct ntzc_meter_result - what became of it
 * @sent: frames that the card's driver took
 * @received: of those, frames that came in whole, each counted once
 * @duplicates: frames that had come in before
 * @reordered: of @received, frames that came after one with a greater number (RFC 4737)
 * @corrupt: frames of this trial with a wrong length, byte or checksum
 * @stale: frames of an earlier trial
 * @foreign: frames that are none of ours
 * @backward: of @received, frames that came before they were sent, by the clock
 * @received_bytes: bytes of @received without check sequences
 * @send_ns: from the first frame until the card was done with the last one
 * @late_max_ns: the most that a frame was submitted after it was due
 * @first_rx_ns: when the first frame came in, CLOCK_MONOTONIC; 0 if none did
 * @last_rx_ns: when the last one did
 * @latency_min_ns: the least latency of @received; 0 if there is none
 * @latency_max_ns: the greatest
 * @send_cpu_ns: processor time of the thread that sent
 * @receive_cpu_ns: processor time of the thread that received
 *
 * Latency is from before a frame was written into its buffer until the driver
 * took it from the card, as its descriptor says.
 */
struct ntzc_meter_result {
	__u64 sent;
	__u64 received;
	__u64 duplicates;
	__u64 reordered;
	__u64 corrupt;
	__u64 stale;
	__u64 foreign;
	__u64 backward;
	__u64 received_bytes;
	__u64 send_ns;
	__u64 late_max_ns;
	__u64 first_rx_ns;
	__u64 last_rx_ns;
	__u64 latency_min_ns;
	__u64 latency_max_ns;
	__u64 send_cpu_ns;
	__u64 receive_cpu_ns;
};

/**
 * ntzc_meter_create() - prepare a trial
 * @plan: what to send
 * @meter: out: the meter
 *
 * Return: 0; -EINVAL for a length, rate or number out of range, -ENOMEM.
 */
int ntzc_meter_create(const struct ntzc_meter_plan *plan, struct ntzc_meter **meter);

/**
 * ntzc_meter_destroy() - free it
 * @meter: may be NULL
 */
void ntzc_meter_destroy(struct ntzc_meter *meter);

/**
 * ntzc_meter_stop() - let both threads end soon
 * @meter: the meter
 */
void ntzc_meter_stop(struct ntzc_meter *meter);

/**
 * ntzc_meter_send() - send the frames, once the other thread is receiving
 * @meter: the meter
 * @tap: with transmit memory
 *
 * Where the card is slower than the plan, no frame waits for its turn; where this
 * thread was kept from running, frames that are due go out at once.
 *
 * Return: 0, also when stopped; -EINVAL if the tap's buffers are too small,
 * -ENETDOWN, -ENODEV, -ETIMEDOUT if the card does not get done.
 */
int ntzc_meter_send(struct ntzc_meter *meter, struct ntzc_tap *tap);

/**
 * ntzc_meter_receive() - account for frames until all have come, or time is up
 * @meter: the meter
 * @tap: whose timestamps are by NTZC_CLOCK_MONOTONIC
 *
 * Return: 0, also when stopped; -ENODEV.
 */
int ntzc_meter_receive(struct ntzc_meter *meter, struct ntzc_tap *tap);

/**
 * ntzc_meter_result() - what became of it
 * @meter: the meter
 * @result: out
 * @latencies: out: NTZC_METER_BUCKETS numbers of frames
 */
void ntzc_meter_result(const struct ntzc_meter *meter, struct ntzc_meter_result *result,
		       __u64 *latencies);

/**
 * ntzc_meter_bucket() - which bucket a latency is counted in
 * @latency_ns: any number
 *
 * Return: 0 to NTZC_METER_BUCKETS - 1.
 */
unsigned int ntzc_meter_bucket(__u64 latency_ns);

/**
 * ntzc_meter_make() - write one frame of the plan
 * @meter: the meter
 * @seq: its number
 * @sent_ns: when it was sent, CLOCK_MONOTONIC
 * @frame: out: frame_len bytes
 */
void ntzc_meter_make(const struct ntzc_meter *meter, __u32 seq, __u64 sent_ns,
		     unsigned char *frame);

/**
 * ntzc_meter_account() - count one frame that came in
 * @meter: the meter
 * @frame: its bytes
 * @len: how many
 * @received_ns: when it came in, CLOCK_MONOTONIC
 * @checksum_bad: whether the card says that a checksum of it is wrong
 */
void ntzc_meter_account(struct ntzc_meter *meter, const unsigned char *frame, __u32 len,
			__u64 received_ns, int checksum_bad);

/**
 * ntzc_meter_reflect() - send back whatever comes in, by reference, until stopped
 * @meter: any; counts @received as frames that came in, @sent as those sent back
 * @tap: its filter says which frames
 *
 * Return: 0 when stopped; -ENETDOWN, -ENODEV.
 */
int ntzc_meter_reflect(struct ntzc_meter *meter, struct ntzc_tap *tap);

#endif /* NTZC_METER_H */
