// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Everything that taps of two cards can do, at once and for a while, each from
 * threads of its own, so that a kernel that looks for data races can find them.
 *
 *	racers INTERFACE OTHER SECONDS
 *
 * Prints "running", then how often each did what it does, a line each; fails if
 * one of them got an error that it should not.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/filter.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "libntzc.h"

#define BATCH	16
#define FRAME	60
#define WAIT_MS	10

struct racer {
	const char *name;
	int (*run)(struct racer *r);
	uint64_t rounds;
	int error;
	pthread_t thread;
};

static const char *card, *other;
static atomic_int over;
static struct ntzc_tap *shared;	/* used by several threads, by calls alone */

/* What is no failure: nothing there yet, or gone between two calls of two threads */
static int expected(int err)
{
	return err == -EAGAIN || err == -ENOBUFS || err == -ENOSPC || err == -ESTALE ||
	       err == -EBUSY || err == -ETIMEDOUT || err == -ENETDOWN ||
	       err == -ENOENT;
}

static int neg(int result)
{
	return result < 0 ? -errno : result;
}

static int make_tap(struct ntzc_tap **tap, const char *interface, unsigned int door,
		    unsigned int fanout)
{
	struct ntzc_tap_options options = {
		.size = sizeof(options),
		.interface = interface,
		.flags = NTZC_ATTACH_PROMISC,
		.ring_size = 64,
		.door = door,
		.fanout = fanout,
	};

	return ntzc_tap_create(&options, tap);
}

/* One after the other over the same rings, in batches or singly */
static int read_rings(struct racer *r)
{
	const struct ntzc_desc *descs;
	struct ntzc_tap *tap;
	int n, err = make_tap(&tap, card, NTZC_DOOR_RINGS, 0);

	while (!err && !over) {
		n = ntzc_tap_view(tap, &descs, r->rounds % 2 ? BATCH : 1, WAIT_MS);
		if (n > 0)
			n = ntzc_tap_done(tap, descs, (unsigned int)n);
		if (n < 0)
			err = n;
		r->rounds += n > 0;
	}
	ntzc_tap_destroy(tap);
	return err;
}

/* Two threads read one tap, and each gives back what it read */
static int read_calls(struct racer *r)
{
	struct ntzc_desc descs[BATCH];
	uint32_t handles[BATCH];
	int fd = ntzc_tap_fd(shared);
	struct pollfd ready = { .fd = fd, .events = POLLIN | POLLOUT };
	ssize_t n;

	while (!over) {
		poll(&ready, 1, WAIT_MS);
		n = read(fd, descs, sizeof(descs));
		if (n < 0 && errno != EAGAIN)
			return -errno;
		for (ssize_t i = 0; n > 0 && i < n / (ssize_t)sizeof(*descs); i++)
			handles[i] = descs[i].handle;
		n = n > 0 ? n / (ssize_t)sizeof(*descs) : 0;
		if (n && write(fd, handles, (size_t)n * sizeof(*handles)) < 0)
			return -errno;
		r->rounds += n > 0;
	}
	return 0;
}

/* Nothing, every frame, or one in two, while frames come */
static int change_filter(struct racer *r)
{
	static const struct sock_filter odd[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 16),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 1),
		BPF_STMT(BPF_RET | BPF_A, 0),
	};
	static const struct ntzc_filter filters[] = {
		{ .kind = NTZC_FILTER_NONE },
		{ .kind = NTZC_FILTER_CLASSIC, .len = 3, .insns = (uintptr_t)odd },
	};
	int err;

	while (!over) {
		err = neg(ioctl(ntzc_tap_fd(shared), NTZC_IOC_FILTER, &filters[r->rounds % 2]));
		if (err)
			return err;
		r->rounds++;
		usleep(1000);
	}
	return 0;
}

/* Taps that come, take a little and go, some as members of a group */
static int come_and_go(struct racer *r)
{
	struct ntzc_desc descs[BATCH];
	struct ntzc_tap *tap;
	int n, err = 0;

	while (!over && !err) {
		err = make_tap(&tap, card, 1 + r->rounds % 2, r->rounds % 3);
		if (err)
			break;
		n = ntzc_tap_peek(tap, descs, BATCH, WAIT_MS);
		if (n > 0 && r->rounds % 4)
			n = ntzc_tap_release_descs(tap, descs, (unsigned int)n);
		err = n < 0 && !expected(n) ? n : 0;
		ntzc_tap_destroy(tap);
		r->rounds++;
	}
	return err;
}

/* All numbers there are, of everybody */
static int ask(struct racer *r)
{
	struct ntzc_port_info port = { 0 };
	struct ntzc_port_stats stats;
	struct ntzc_tap_stats own;
	struct ntzc_tap_info info;
	int fd = ntzc_tap_fd(shared), err = 0;

	while (!over && !err) {
		err = neg(ioctl(fd, NTZC_IOC_PORT_INFO, &port));
		if (err == -ENOENT) {
			memset(&port, 0, sizeof(port));
			err = 0;
			continue;
		}
		memset(&stats, 0, sizeof(stats));
		stats.id = port.id;
		memset(&info, 0, sizeof(info));
		info.port_id = port.id;
		err = err ?: neg(ioctl(fd, NTZC_IOC_PORT_STATS, &stats));
		while (!err && !(err = neg(ioctl(fd, NTZC_IOC_TAP_INFO, &info)))) {
			uint32_t next = info.tap_id + 1;

			memset(&info, 0, sizeof(info));
			info.port_id = port.id;
			info.tap_id = next;
		}
		if (err == -ENOENT)
			err = neg(ioctl(fd, NTZC_IOC_TAP_STATS, &own));
		memset(&port.reserved, 0, sizeof(port.reserved));
		port.id++;
		r->rounds++;
	}
	return err;
}

static int send_all(struct ntzc_tap *tap, struct racer *r)
{
	struct ntzc_desc descs[BATCH];
	int i, n, sent;

	while (!over) {
		n = ntzc_tap_reserve(tap, descs, BATCH, WAIT_MS);
		for (i = 0; i < n; i++) {
			memset(ntzc_tap_tx_data(tap, &descs[i]), (int)r->rounds, FRAME);
			descs[i].len = FRAME;
		}
		if (n < 0 && expected(n))
			continue;
		sent = n < 0 ? n : ntzc_tap_submit(tap, descs, (unsigned int)n, WAIT_MS);
		if (sent < 0 && !expected(sent))
			return sent;
		sent = sent < 0 ? 0 : sent;
		if (sent < n)
			ntzc_tap_release_descs(tap, descs + sent, (unsigned int)(n - sent));
		r->rounds += sent > 0;
	}
	return 0;
}

static int send_with(struct racer *r, unsigned int door)
{
	struct ntzc_tap *tap;
	int err = make_tap(&tap, other, door, 0);

	if (err)
		return err;
	err = ntzc_tap_tx_setup(tap, 512, 0) ?: send_all(tap, r);
	ntzc_tap_destroy(tap);
	return err;
}

static int send_rings(struct racer *r)
{
	return send_with(r, NTZC_DOOR_RINGS);
}

static int send_calls(struct racer *r)
{
	return send_with(r, NTZC_DOOR_CALLS);
}

/* What comes in through one card goes out through the other */
static int forward(struct racer *r)
{
	struct ntzc_desc descs[BATCH];
	struct ntzc_tap *tap;
	unsigned int target;
	int n, sent, err = make_tap(&tap, card, NTZC_DOOR_CALLS, 0);

	if (err)
		return err;
	err = ntzc_tap_add_target(tap, other, 0, &target);
	while (!err && !over) {
		n = ntzc_tap_peek(tap, descs, BATCH, WAIT_MS);
		if (n <= 0)
			continue;
		sent = ntzc_tap_forward(tap, descs, (unsigned int)n, target, WAIT_MS);
		if (sent < 0 && !expected(sent))
			err = sent;
		sent = sent < 0 ? 0 : sent;
		if (sent < n)
			ntzc_tap_release_descs(tap, descs + sent, (unsigned int)(n - sent));
		r->rounds += sent > 0;
	}
	ntzc_tap_destroy(tap);
	return err;
}

#define RACER(function) { .name = #function, .run = function }

static struct racer racers[] = {
	RACER(read_rings), RACER(read_rings), RACER(read_calls), RACER(read_calls),
	RACER(change_filter), RACER(come_and_go), RACER(ask), RACER(send_rings),
	RACER(send_calls), RACER(forward),
};

#define N_RACERS (sizeof(racers) / sizeof(racers[0]))

static void *start(void *arg)
{
	struct racer *r = arg;

	r->error = r->run(r);
	return NULL;
}

int main(int argc, char **argv)
{
	int err = argc == 4 ? 0 : -EINVAL;
	size_t i;

	if (!err) {
		card = argv[1];
		other = argv[2];
		err = make_tap(&shared, card, NTZC_DOOR_CALLS, 0);
	}
	if (err) {
		fprintf(stderr, "racers: %s\n", ntzc_strerror(err));
		return 1;
	}
	fcntl(ntzc_tap_fd(shared), F_SETFL, O_NONBLOCK);
	for (i = 0; i < N_RACERS; i++)
		pthread_create(&racers[i].thread, NULL, start, &racers[i]);
	puts("running");
	fflush(stdout);
	sleep((unsigned int)atoi(argv[3]));
	over = 1;
	for (i = 0; i < N_RACERS; i++) {
		pthread_join(racers[i].thread, NULL);
		printf("%s %" PRIu64 "\n", racers[i].name, racers[i].rounds);
		if (racers[i].error) {
			fprintf(stderr, "%s: %s\n", racers[i].name, ntzc_strerror(racers[i].error));
			err = 1;
		}
	}
	ntzc_tap_destroy(shared);
	return err;
}
