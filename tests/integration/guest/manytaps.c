// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Many taps of one card in one process, each with a way of its own to treat its
 * frames. They come as test_many_taps.py makes them: a number, six times.
 *
 *	manytaps INTERFACE ROLE=COUNT...
 *
 * All ask for a quota as large as can be, and get what the administrator allows.
 * Prints "ready" once all taps are attached; then, now and then, up to which
 * number all fast taps have seen all frames. When its input ends it prints what
 * became of each tap, a JSON object a line, and ends.
 */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/filter.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libntzc.h"

#define BATCH		64
#define QUOTA		UINT32_MAX
#define RING		4096	/* more than any quota here, so that losses are by quota */
#define SMALL_RING	64	/* less: a dead tap's frames wait in its ring */
#define SLOW_BATCH	16
#define SLOW_MS		20
#define IDLE_MS		5
#define STEP		128	/* frames between two lines of progress */
#define WORDS		6

struct reader;

struct role {
	const char *name;
	unsigned int ring;
	unsigned int stride;	/* between numbers, if none may be missed */
	int wakes;		/* wants to know when frames wait */
	const struct sock_fprog *filter;
	int (*step)(struct reader *r);
};

struct reader {
	const struct role *role;
	struct ntzc_tap *tap;
	uint64_t seen, first, next, faults;
	const struct ntzc_desc *view;	/* slow: what it reads at present */
	int n_view;
	uint64_t turn_ms;
	struct ntzc_desc *kept;		/* greedy: all that it ever got */
	unsigned int n_kept, quota;
};

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* The frame's number, if every byte is as it was sent and it may come now */
static int intact(const struct reader *r, const struct ntzc_desc *desc, uint64_t *number)
{
	const unsigned char *data = ntzc_tap_data(r->tap, desc);
	uint64_t words[WORDS];
	unsigned int i;

	if (desc->len != 14 + sizeof(words))
		return 0;
	memcpy(words, data + 14, sizeof(words));
	for (i = 1; i < WORDS; i++)
		if (words[i] != words[0])
			return 0;
	*number = be64toh(words[0]);
	return 1;
}

/* A frame that was just read: intact, in order, and the next one if none may be missed */
static void see(struct reader *r, const struct ntzc_desc *desc)
{
	uint64_t number = 0;

	if (!intact(r, desc, &number) || number < r->next ||
	    (r->seen && r->role->stride && number != r->next))
		r->faults++;
	if (!r->seen++)
		r->first = number;
	r->next = number + (r->role->stride ? r->role->stride : 1);
}

/* A frame that was read before: nobody may have touched it */
static void look_again(struct reader *r, const struct ntzc_desc *desc, uint64_t wanted)
{
	uint64_t number = 0;

	if (!intact(r, desc, &number) || number != wanted)
		r->faults++;
}

static int fast(struct reader *r)
{
	const struct ntzc_desc *descs;
	int i, n = ntzc_tap_view(r->tap, &descs, BATCH, 0);

	for (i = 0; i < n; i++)
		see(r, &descs[i]);
	if (n < 0 || (n && ntzc_tap_done(r->tap, descs, (unsigned int)n) != n))
		r->faults++;
	return n;
}

/* Reads little and late, and holds what it reads until its next turn */
static int slow(struct reader *r)
{
	uint64_t now = now_ms();
	int i;

	if (now < r->turn_ms)
		return 0;
	r->turn_ms = now + SLOW_MS;
	for (i = 0; i < r->n_view; i++)
		see(r, &r->view[i]);
	if (r->n_view && ntzc_tap_done(r->tap, r->view, (unsigned int)r->n_view) != r->n_view)
		r->faults++;
	r->n_view = ntzc_tap_view(r->tap, &r->view, SLOW_BATCH, 0);
	if (r->n_view < 0) {
		r->faults++;
		r->n_view = 0;
	}
	return 0;
}

static int dead(struct reader *r)
{
	(void)r;
	return 0;
}

/* Takes all that it can get, and gives nothing back */
static int greedy(struct reader *r)
{
	int i, n;

	if (r->n_kept == r->quota)
		return 0;
	n = ntzc_tap_peek(r->tap, r->kept + r->n_kept, r->quota - r->n_kept, 0);
	for (i = 0; i < n; i++)
		see(r, &r->kept[r->n_kept++]);
	if (n < 0)
		r->faults++;
	return n;
}

/* Admits even numbers: the lowest bit of the first word */
static struct sock_filter even_insns[] = {
	BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 14 + 7),
	BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 1, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, 0),
	BPF_STMT(BPF_RET | BPF_K, 0xffff),
};

static const struct sock_fprog even_filter = { 4, even_insns };

static const struct role roles[] = {
	{ "fast", RING, 1, 1, NULL, fast },
	{ "even", RING, 2, 1, &even_filter, fast },
	{ "slow", RING, 0, 0, NULL, slow },
	{ "dead", SMALL_RING, 0, 0, NULL, dead },
	{ "greedy", RING, 0, 1, NULL, greedy },
};

#define N_ROLES	(sizeof(roles) / sizeof(roles[0]))

static int open_reader(struct reader *r, const struct role *role, const char *interface)
{
	struct ntzc_filter filter = { .kind = NTZC_FILTER_CLASSIC };
	struct ntzc_tap_options options = {
		.size = sizeof(options),
		.interface = interface,
		.flags = NTZC_ATTACH_PROMISC,
		.ring_size = role->ring,
		.quota = QUOTA,
		.door = NTZC_DOOR_RINGS,
	};
	int err;

	if (role->filter) {
		filter.len = role->filter->len;
		filter.insns = (uintptr_t)role->filter->filter;
		options.filter = &filter;
	}
	r->role = role;
	err = ntzc_tap_create(&options, &r->tap);
	if (err)
		return err;
	r->quota = ntzc_tap_info(r->tap)->quota;
	r->kept = calloc(r->quota, sizeof(*r->kept));
	return r->kept ? 0 : -ENOMEM;
}

/* Return: up to where all fast taps have seen all, or 0 if there is none */
static uint64_t progress(const struct reader *readers, int n)
{
	uint64_t least = UINT64_MAX;
	int i;

	for (i = 0; i < n; i++)
		if (readers[i].role->stride && readers[i].next < least)
			least = readers[i].next;
	return least == UINT64_MAX ? 0 : least;
}

static void say_progress(const struct reader *readers, int n, unsigned int step)
{
	static uint64_t said;
	uint64_t done = progress(readers, n);

	if (done >= said + step) {
		said = done;
		printf("%" PRIu64 "\n", done);
	}
}

static void serve(struct reader *readers, int n)
{
	struct pollfd fds[NTZC_MAX_TAPS + 1];
	int i, busy, got;

	fds[0] = (struct pollfd){ .fd = 0, .events = POLLIN };
	for (i = 0; i < n; i++)
		fds[i + 1] = (struct pollfd){
			.fd = readers[i].role->wakes ? ntzc_tap_fd(readers[i].tap) : -1,
			.events = POLLIN,
		};
	while (!fds[0].revents) {
		for (busy = i = 0; i < n; i++) {
			got = readers[i].role->step(&readers[i]);
			busy |= got > 0;
			if (got < 0)
				fds[i + 1].fd = -1;
		}
		say_progress(readers, n, STEP);
		if (!busy && !poll(fds, (nfds_t)n + 1, IDLE_MS))
			say_progress(readers, n, 1);
	}
}

/* What is held still is as it came: of a dead tap, what waits; of a greedy one, all */
static void inspect(struct reader *r)
{
	unsigned int i;
	int n;

	for (i = 0; i < r->n_kept; i++)
		look_again(r, &r->kept[i], r->first + i);
	if (r->role->step != dead)
		return;
	n = ntzc_tap_peek(r->tap, r->kept, r->quota, 0);
	for (i = 0; n > 0 && i < (unsigned int)n; i++)
		see(r, &r->kept[i]);
}

static int report(struct reader *r)
{
	struct ntzc_tap_stats s;
	int err = ntzc_tap_stats(r->tap, &s);

	if (err)
		return err;
	inspect(r);
	printf("{\"role\": \"%s\", \"quota\": %u, \"seen\": %" PRIu64 ", \"first\": %" PRIu64
	       ", \"next\": %" PRIu64 ", \"faults\": %" PRIu64 ", \"received\": %llu"
	       ", \"filtered\": %llu, \"lost_ring\": %llu, \"lost_quota\": %llu"
	       ", \"lost_pool\": %llu, \"missed\": %llu, \"held\": %llu, \"waiting\": %llu"
	       ", \"bad_release\": %llu}\n",
	       r->role->name, r->quota, r->seen, r->first, r->next, r->faults,
	       s.received, s.filtered, s.lost_ring, s.lost_quota, s.lost_pool, s.missed, s.held,
	       s.waiting, s.bad_release);
	return 0;
}

/* "slow=12". Return: 0 or -errno. */
static int open_readers(struct reader *readers, int *n, const char *interface, const char *wanted)
{
	size_t k, len = strcspn(wanted, "=");
	int count = wanted[len] ? atoi(wanted + len + 1) : 0, err = 0;

	for (k = 0; k < N_ROLES; k++)
		if (strlen(roles[k].name) == len && !strncmp(wanted, roles[k].name, len))
			break;
	if (k == N_ROLES || count <= 0 || *n + count > NTZC_MAX_TAPS)
		return -EINVAL;
	while (count-- && !err)
		err = open_reader(&readers[(*n)++], &roles[k], interface);
	return err;
}

int main(int argc, char **argv)
{
	static struct reader readers[NTZC_MAX_TAPS];
	int i, n = 0, err = argc < 3 ? -EINVAL : 0;

	for (i = 2; i < argc && !err; i++)
		err = open_readers(readers, &n, argv[1], argv[i]);
	if (!err) {
		setlinebuf(stdout);
		puts("ready");
		serve(readers, n);
	}
	for (i = 0; i < n && !err; i++)
		err = report(&readers[i]);
	if (err)
		fprintf(stderr, "manytaps: %s\n", ntzc_strerror(err));
	for (i = 0; i < n; i++) {
		ntzc_tap_destroy(readers[i].tap);
		free(readers[i].kept);
	}
	return err ? 1 : 0;
}
