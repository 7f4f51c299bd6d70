// SPDX-License-Identifier: GPL-2.0-or-later
/* What libntzc promises of views and rings, one case a run: "cases NAME calls|rings". */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel.h"

#define CHECK(what)							\
	do {								\
		if (!(what)) {						\
			fprintf(stderr, "line %d: %s\n", __LINE__, #what);	\
			exit(1);					\
		}							\
	} while (0)

static struct ntzc_tap *tap;
static bool rings;

static void deliver(unsigned int queue, unsigned int n)
{
	while (n--)
		CHECK(kernel_deliver(queue));
}

static void check_nothing_held(void)
{
	kernel_reclaim();
	CHECK(!kernel_held());
	CHECK(!calls.bad);
}

static void views_are_done_in_any_order_and_in_parts(void)
{
	const struct ntzc_desc *first, *second;
	int i;

	deliver(0, 10);
	CHECK(ntzc_tap_view(tap, &first, 6, 0) == 6);
	CHECK(ntzc_tap_view(tap, &second, 64, 0) == 4);
	for (i = 0; i < 4; i++)
		CHECK(second[i].timestamp == 6u + (unsigned int)i);
	CHECK(ntzc_tap_done(tap, second, 4) == 4);
	CHECK(ntzc_tap_done(tap, first + 3, 3) == 3);
	CHECK(!rings || kernel_places(0) == 10);
	for (i = 0; i < 3; i++)
		CHECK(first[i].timestamp == (unsigned int)i);
	CHECK(ntzc_tap_done(tap, first, 2) == 2);
	CHECK(!rings || kernel_places(0) == 8);
	CHECK(ntzc_tap_done(tap, first + 2, 1) == 1);
	CHECK(!kernel_places(0));
	check_nothing_held();
}

static void what_is_no_view_is_refused_and_nothing_is_done(void)
{
	struct ntzc_desc other = { .queue = 0 };
	const struct ntzc_desc *descs;

	deliver(0, 8);
	CHECK(ntzc_tap_view(tap, &descs, 8, 0) == 8);
	CHECK(ntzc_tap_done(tap, descs, 9) == -EINVAL);
	CHECK(ntzc_tap_done(tap, descs + 4, 5) == -EINVAL);
	CHECK(ntzc_tap_done(tap, descs + 8, 1) == -EINVAL);
	CHECK(ntzc_tap_done(tap, descs + 4, UINT32_MAX) == -EINVAL);
	CHECK(ntzc_tap_done(tap, &other, 1) == -EINVAL);
	CHECK(ntzc_tap_take(tap, &other, 1) == -EINVAL);
	CHECK(ntzc_tap_done(tap, descs + 4, 4) == 4);
	CHECK(ntzc_tap_done(tap, descs + 4, 4) == -EINVAL);
	CHECK(ntzc_tap_done(tap, descs, 0) == 0);
	kernel_reclaim();
	CHECK(kernel_held() == 4);
	CHECK(ntzc_tap_done(tap, descs, 4) == 4);
	CHECK(ntzc_tap_done(tap, descs, 4) == -EINVAL);
	check_nothing_held();
}

static void a_taken_frame_stays_held_and_its_place_is_free(void)
{
	const struct ntzc_desc *descs;
	struct ntzc_desc kept[4];

	deliver(0, 4);
	CHECK(ntzc_tap_view(tap, &descs, 4, 0) == 4);
	memcpy(kept, descs, sizeof(kept));
	CHECK(ntzc_tap_take(tap, descs, 4) == 4);
	CHECK(!kernel_places(0));
	kernel_reclaim();
	CHECK(kernel_held() == 4);
	deliver(0, RING);
	CHECK(ntzc_tap_release_descs(tap, kept, 4) == 4);
	kernel_reclaim();
	CHECK(kernel_held() == RING);
}

static void a_copy_leaves_views_alone(void)
{
	const struct ntzc_desc *descs;
	struct ntzc_desc copy[RING];

	deliver(0, 6);
	CHECK(ntzc_tap_view(tap, &descs, 2, 0) == 2);
	CHECK(ntzc_tap_peek(tap, copy, RING, 0) == 4);
	CHECK(copy[0].timestamp == 2 && descs[1].timestamp == 1);
	CHECK(ntzc_tap_release_descs(tap, copy, 4) == 4);
	CHECK(ntzc_tap_done(tap, descs, 2) == 2);
	CHECK(!kernel_places(0));
	check_nothing_held();
}

static void frames_come_from_all_queues_and_around_the_rings_end(void)
{
	struct ntzc_desc copy[N_QUEUES * RING];
	const struct ntzc_desc *descs;
	unsigned int i, seen;
	int n;

	for (i = 0; i < N_QUEUES; i++)
		deliver(i, 10);
	CHECK(ntzc_tap_peek(tap, copy, 64, 0) == 10 * N_QUEUES);
	CHECK(ntzc_tap_release_descs(tap, copy, 10 * N_QUEUES) == 10 * N_QUEUES);
	for (i = 0; i < N_QUEUES; i++)
		deliver(i, 12);
	for (seen = 0; seen < 12 * N_QUEUES; seen += (unsigned int)n) {
		n = ntzc_tap_view(tap, &descs, 64, 0);
		CHECK(n > 0);
		CHECK(!rings || (descs[0].queue == descs[n - 1].queue));
		CHECK(ntzc_tap_done(tap, descs, (unsigned int)n) == n);
	}
	for (i = 0; i < N_QUEUES; i++)
		deliver(i, RING);
	CHECK(ntzc_tap_peek(tap, copy, 64, 0) == N_QUEUES * RING);
	CHECK(ntzc_tap_release_descs(tap, copy, N_QUEUES * RING) == N_QUEUES * RING);
	check_nothing_held();
}

/* A busy queue must not keep the others waiting */
static void queues_take_turns(void)
{
	const struct ntzc_desc *descs;
	unsigned int i, seen[5] = { 0 };

	for (i = 0; i < N_QUEUES; i++)
		deliver(i, RING);
	for (i = 0; i < N_QUEUES; i++) {
		CHECK(ntzc_tap_view(tap, &descs, 4, 0) == 4);
		seen[descs->queue] += 4;
		CHECK(ntzc_tap_done(tap, descs, 4) == 4);
	}
	for (i = 0; i < N_QUEUES; i++)
		CHECK(seen[queue_number[i]] == 4);
}

static void a_program_that_keeps_up_makes_no_call(void)
{
	const struct ntzc_desc *descs;
	struct calls before = calls;
	struct ntzc_desc copy[4];
	int i;

	for (i = 0; i < 1000; i++) {
		deliver(1, 8);
		CHECK(ntzc_tap_view(tap, &descs, 4, -1) == 4);
		CHECK(ntzc_tap_done(tap, descs, 4) == 4);
		CHECK(ntzc_tap_peek(tap, copy, 4, -1) == 4);
		CHECK(ntzc_tap_release_descs(tap, copy, 4) == 4);
		kernel_reclaim();
	}
	CHECK(!memcmp(&before, &calls, sizeof(calls)));
	kernel_release_asks(true);
	deliver(1, 8);
	CHECK(ntzc_tap_view(tap, &descs, 8, -1) == 8);
	CHECK(ntzc_tap_done(tap, descs, 8) == 8);
	CHECK(calls.kick == before.kick + 1);
	CHECK(!kernel_held());
}

static void who_waits_with_a_view_out_does_not_spin(void)
{
	const struct ntzc_desc *descs, *more;
	unsigned int polls;

	deliver(0, 4);
	CHECK(ntzc_tap_view(tap, &descs, 4, 0) == 4);
	polls = calls.poll;
	CHECK(ntzc_tap_view(tap, &more, 4, 0) == 0);
	CHECK(ntzc_tap_view(tap, &more, 4, 50) == 0);
	CHECK(calls.poll - polls <= 60);
	deliver(0, 1);
	CHECK(ntzc_tap_view(tap, &more, 4, -1) == 1);
}

static void a_release_ring_that_was_spoiled_loses_no_frame(void)
{
	const struct ntzc_desc *descs;
	struct ntzc_desc twice[RELEASE];
	unsigned int i;

	deliver(0, 2);
	CHECK(ntzc_tap_view(tap, &descs, 2, 0) == 2);
	for (i = 0; i < RELEASE; i++)
		twice[i] = descs[1];
	CHECK(ntzc_tap_release_descs(tap, twice, RELEASE) == RELEASE);
	CHECK(ntzc_tap_done(tap, descs, 2) == 2);
	kernel_reclaim();
	CHECK(!kernel_held());
	CHECK(calls.bad);
}

static void a_card_that_goes_is_told_after_its_last_frame(void)
{
	const struct ntzc_desc *descs;
	struct ntzc_desc copy[4];

	deliver(0, 2);
	kernel_unplug();
	CHECK(ntzc_tap_view(tap, &descs, 4, -1) == 2);
	CHECK(ntzc_tap_view(tap, &descs, 4, -1) == -ENODEV);
	CHECK(ntzc_tap_peek(tap, copy, 4, 0) == -ENODEV);
}

static void detached_views_read_as_zeros(void)
{
	const struct ntzc_desc *descs;

	deliver(0, 2);
	CHECK(ntzc_tap_view(tap, &descs, 2, 0) == 2);
	CHECK(descs[1].len == 60);
	CHECK(!ntzc_tap_detach(tap, descs, 2));
	CHECK(!((const volatile struct ntzc_desc *)descs)[1].len);
	CHECK(!ntzc_tap_detach(tap, NULL, 0));
}

static void fill(struct ntzc_desc *descs, int n)
{
	while (n--)
		descs[n].len = 60;
}

/* With transmit memory; what was reserved, and lengths that will do */
static void reserve_all(struct ntzc_desc descs[N_TX])
{
	CHECK(ntzc_tap_reserve(tap, descs, 2 * N_TX, 0) == N_TX);
	CHECK(descs[N_TX - 1].len > FRAME_MAX);
	fill(descs, N_TX);
}

static void transmit_calls_only_a_kernel_that_sleeps(void)
{
	struct ntzc_desc descs[2 * N_TX];

	CHECK(ntzc_tap_reserve(tap, descs, 1, 0) == -EINVAL);
	CHECK(!ntzc_tap_tx_setup(tap, 0, 0));
	CHECK(ntzc_tap_tx_setup(tap, 0, 0) == -EBUSY);
	reserve_all(descs);
	CHECK(ntzc_tap_reserve(tap, descs + N_TX, 1, 3) == -ENOBUFS);
	CHECK(ntzc_tap_submit(tap, descs, N_TX, 0) == N_TX);
	CHECK(calls.submit == 1 && kernel_sent() == N_TX);

	kernel_tx_asks(false);
	reserve_all(descs);
	CHECK(ntzc_tap_submit(tap, descs, N_TX, 0) == N_TX);
	CHECK(calls.submit == 1 && !calls.kick && kernel_sent() == N_TX);
	kernel_send();
	CHECK(kernel_sent() == 2 * N_TX);

	/* asleep with a ring that is not empty: that goes first */
	reserve_all(descs);
	CHECK(ntzc_tap_submit(tap, descs, 1, 0) == 1);
	kernel_tx_asks(true);
	CHECK(ntzc_tap_submit(tap, descs + 1, 1, 0) == 1);
	CHECK(kernel_sent() == 2 * N_TX + 2 && calls.kick);
	CHECK(!calls.bad);
}

static void mistakes_are_told_before_they_reach_the_transmit_ring(void)
{
	struct ntzc_desc descs[2 * N_TX], wrong;

	CHECK(!ntzc_tap_tx_setup(tap, 0, 0));
	kernel_tx_asks(false);
	reserve_all(descs);
	wrong = descs[0];
	wrong.len = FRAME_MAX + 1;
	CHECK(ntzc_tap_submit(tap, &wrong, 1, 0) == -EINVAL);
	wrong.len = NTZC_MIN_FRAME - 1;
	CHECK(ntzc_tap_submit(tap, &wrong, 1, 0) == -EINVAL);
	wrong = descs[0];
	wrong.offset += TX_SIZE - 64 - NTZC_PAD_FRAME + 1;
	wrong.len = NTZC_MIN_FRAME;
	CHECK(ntzc_tap_submit(tap, &wrong, 1, 0) == -EINVAL);
	wrong.offset = descs[1].offset;
	CHECK(ntzc_tap_submit(tap, &wrong, 1, 0) == -EINVAL);
	wrong.offset = UINT32_MAX;
	CHECK(ntzc_tap_submit(tap, &wrong, 1, 0) == -EINVAL);
	wrong = descs[0];
	wrong.queue = 1;
	CHECK(ntzc_tap_submit(tap, &wrong, 1, 0) == -EINVAL);
	CHECK(ntzc_tap_forward(tap, descs, 1, 1, 0) == -EINVAL);
	CHECK(ntzc_tap_forward(tap, descs, 1, 256, 0) == -EINVAL);
	wrong = descs[0];
	wrong.handle += 1 << 8;
	CHECK(ntzc_tap_submit(tap, &wrong, 1, 0) == -ESTALE);

	/* those before the mistake are sent, once */
	wrong = descs[1];
	descs[1] = descs[0];
	CHECK(ntzc_tap_submit(tap, descs, N_TX, 0) == 1);
	CHECK(ntzc_tap_submit(tap, descs, 1, 0) == -ESTALE);
	CHECK(ntzc_tap_release_descs(tap, &wrong, 1) == 1);
	CHECK(ntzc_tap_submit(tap, &wrong, 1, 0) == -ESTALE);
	CHECK(ntzc_tap_release(tap, &descs[2].handle, 1) == 1);
	CHECK(ntzc_tap_submit(tap, &descs[2], 1, 0) == -ESTALE);
	CHECK(ntzc_tap_submit(tap, descs + 3, N_TX - 3, 0) == N_TX - 3);
	CHECK(calls.submit == 2);
	CHECK(!ntzc_tap_drain(tap, 100));
	CHECK(kernel_sent() == N_TX - 2);
	CHECK(!calls.bad);
}

static void frames_are_written_in_their_places_and_sent(void)
{
	unsigned int total = 0, round, room;
	struct ntzc_desc *descs;
	int n, i;

	CHECK(ntzc_tap_tx_view(tap, &descs, 1, 0) == -EINVAL);
	CHECK(!ntzc_tap_tx_setup(tap, 0, 0));
	room = ntzc_tap_tx_info(tap)->buf_size - ntzc_tap_tx_info(tap)->headroom;
	kernel_tx_asks(false);
	for (round = 0; round < 20; round++) {
		n = ntzc_tap_tx_view(tap, &descs, 5, 0);
		CHECK(n > 0 && n <= 5);
		for (i = 0; i < n; i++) {
			CHECK(descs[i].len == room && !descs[i].queue && !descs[i].flags);
			memset(ntzc_tap_tx_data(tap, &descs[i]), (int)total, 60);
			descs[i].len = 60;
		}
		/* not all of them: the rest comes again */
		n -= n > 2;
		CHECK(ntzc_tap_tx_done(tap, (unsigned int)n) == n);
		total += (unsigned int)n;
		kernel_send();
		CHECK(kernel_sent() == total);
	}
	CHECK(!calls.submit && !calls.reserve && !calls.kick);
	kernel_tx_asks(true);
	CHECK(ntzc_tap_tx_view(tap, &descs, 1, 0) == 1);
	descs->len = 60;
	CHECK(ntzc_tap_tx_done(tap, 1) == 1);
	CHECK(calls.kick == 1 && kernel_sent() == total + 1);
	CHECK(!calls.bad);
}

static void one_transmit_view_is_out_and_mistakes_in_it_are_told(void)
{
	struct ntzc_desc *descs, *again, other, all_of_them[2 * N_TX];
	int n, all;

	CHECK(!ntzc_tap_tx_setup(tap, 0, 0));
	CHECK(ntzc_tap_tx_done(tap, 1) == -EINVAL);
	CHECK(ntzc_tap_tx_done(tap, 0) == 0);
	n = ntzc_tap_tx_view(tap, &descs, N_TX, 0);
	CHECK(n == N_TX);
	CHECK(ntzc_tap_tx_view(tap, &again, 1, 0) == -EBUSY);
	CHECK(ntzc_tap_reserve(tap, &other, 1, 0) == -EBUSY);
	CHECK(ntzc_tap_submit(tap, descs, 1, 0) == -EBUSY);
	for (all = 0; all < n; all++)
		descs[all].len = FRAME_MAX;
	CHECK(ntzc_tap_tx_done(tap, N_TX + 1) == -EINVAL);
	descs[1].len = 13;
	CHECK(ntzc_tap_tx_done(tap, 2) == -EINVAL);
	descs[1].len = FRAME_MAX + 1;
	CHECK(ntzc_tap_tx_done(tap, 2) == -EINVAL);
	descs[1].len = 60;
	descs[1].queue = 1;
	CHECK(ntzc_tap_tx_done(tap, 2) == -EINVAL);
	descs[1].queue = 0;
	CHECK(!kernel_sent());
	CHECK(ntzc_tap_tx_done(tap, 2) == 2);
	CHECK(kernel_sent() == 2);

	/* all others are there still, and for other calls too */
	CHECK(ntzc_tap_reserve(tap, &other, 1, 0) == 1);
	CHECK(ntzc_tap_tx_view(tap, &descs, N_TX, 0) > 0);
	CHECK(ntzc_tap_tx_done(tap, 0) == 0);
	CHECK(ntzc_tap_release_descs(tap, &other, 1) == 1);

	/* who has reserved all of them leaves none to view */
	CHECK(ntzc_tap_drain(tap, 100) == 0);
	reserve_all(all_of_them);
	CHECK(ntzc_tap_tx_view(tap, &descs, 1, 1) == -ENOBUFS);
	CHECK(ntzc_tap_release_descs(tap, all_of_them, N_TX) == N_TX);
	CHECK(ntzc_tap_tx_view(tap, &descs, 1, 0) == 1);
	CHECK(!calls.bad);
}

/* Whether or not the tap's own port takes what is for it */
static void another_port_is_sent_to_by_a_call(void)
{
	struct ntzc_desc descs[2 * N_TX];
	unsigned int target;

	CHECK(!ntzc_tap_tx_setup(tap, 0, 0));
	CHECK(!ntzc_tap_add_target(tap, "other", 0, &target));
	CHECK(target == 1);
	kernel_tx_asks(false);
	reserve_all(descs);
	descs[2].queue = 1;
	descs[3].queue = 1;
	CHECK(ntzc_tap_submit(tap, descs, N_TX, 0) == N_TX);
	CHECK(calls.submit == 1 && kernel_sent() == 2);
	CHECK(ntzc_tap_submit(tap, descs + 2, 1, 0) == -ESTALE);
	kernel_send();
	CHECK(kernel_sent() == N_TX);
	reserve_all(descs);
	CHECK(ntzc_tap_forward(tap, descs, 2, 1, 0) == 2);
	CHECK(kernel_sent() == N_TX + 2);
}

static void forwarded_frames_go_and_leave_their_places(void)
{
	const struct ntzc_desc *descs;
	struct ntzc_desc copy;

	CHECK(!ntzc_tap_tx_setup(tap, 0, 0));
	deliver(1, 6);
	CHECK(ntzc_tap_view(tap, &descs, 6, 0) == 6);
	CHECK(ntzc_tap_copy(tap, descs, &copy, 0) == 0);
	CHECK(copy.len == descs->len && copy.handle & NTZC_HANDLE_TX);
	CHECK(ntzc_tap_forward(tap, descs, 2, 0, 0) == 2);
	kernel_tx_asks(false);
	CHECK(ntzc_tap_forward(tap, descs + 2, 2, 0, 0) == 2);
	CHECK(ntzc_tap_submit(tap, &copy, 1, 0) == 1);
	CHECK(ntzc_tap_take(tap, descs, 4) == 4);
	CHECK(ntzc_tap_done(tap, descs + 4, 2) == 2);
	CHECK(!ntzc_tap_drain(tap, 100));
	CHECK(kernel_sent() == 5);
	CHECK(!kernel_places(1));
	check_nothing_held();
}

#define N_THREADS	4
#define N_SHARED	40000u

static unsigned int taken;	/* atomic */
static bool over;		/* atomic */

/* Take frames in a way chosen at random, and give them back in another */
static int take_some(unsigned int *seed)
{
	const struct ntzc_desc *descs;
	struct ntzc_desc copy[40];
	unsigned int want = 1 + (unsigned int)rand_r(seed) % 40;
	int n, half;

	if (rand_r(seed) % 4 == 0) {
		n = ntzc_tap_peek(tap, copy, want, 5);
		CHECK(n >= 0 && ntzc_tap_release_descs(tap, copy, (unsigned int)n) == n);
		return n;
	}
	n = ntzc_tap_view(tap, &descs, want, 5);
	CHECK(n >= 0);
	half = n / 2;
	if (half && rand_r(seed) % 2) {
		CHECK(ntzc_tap_done(tap, descs + half, (unsigned int)(n - half)) == n - half);
		memcpy(copy, descs, (unsigned int)half * sizeof(*copy));
		CHECK(ntzc_tap_take(tap, descs, (unsigned int)half) == half);
		CHECK(ntzc_tap_release_descs(tap, copy, (unsigned int)half) == half);
	} else if (n) {
		CHECK(ntzc_tap_done(tap, descs, (unsigned int)n) == n);
	}
	return n;
}

static void *take_all(void *arg)
{
	unsigned int seed = *(unsigned int *)arg;
	bool last = false;
	int n;

	do {
		/* told before the last look */
		last = __atomic_load_n(&over, __ATOMIC_ACQUIRE);
		n = take_some(&seed);
		__atomic_add_fetch(&taken, (unsigned int)n, __ATOMIC_RELAXED);
	} while (n || !last);
	return NULL;
}

static void threads_share_a_tap(void)
{
	unsigned int seeds[N_THREADS], seed = 9, offered = 0, i;
	pthread_t threads[N_THREADS];

	for (i = 0; i < N_THREADS; i++) {
		seeds[i] = i + 1;
		CHECK(!pthread_create(&threads[i], NULL, take_all, &seeds[i]));
	}
	while (offered < N_SHARED) {
		if (kernel_deliver((unsigned int)rand_r(&seed) % N_QUEUES))
			offered++;
		else
			usleep(10);
		if (rand_r(&seed) % 32 == 0) {
			kernel_reclaim();
			kernel_release_asks(rand_r(&seed) % 2);
		}
	}
	__atomic_store_n(&over, true, __ATOMIC_RELEASE);
	for (i = 0; i < N_THREADS; i++)
		CHECK(!pthread_join(threads[i], NULL));
	CHECK(taken == offered);
	for (i = 0; i < N_QUEUES; i++)
		CHECK(!kernel_places(i));
	check_nothing_held();
}

#define CASE(name)	{ #name, name }

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
	CASE(views_are_done_in_any_order_and_in_parts),
	CASE(what_is_no_view_is_refused_and_nothing_is_done),
	CASE(a_taken_frame_stays_held_and_its_place_is_free),
	CASE(a_copy_leaves_views_alone),
	CASE(frames_come_from_all_queues_and_around_the_rings_end),
	CASE(queues_take_turns),
	CASE(a_program_that_keeps_up_makes_no_call),
	CASE(who_waits_with_a_view_out_does_not_spin),
	CASE(a_release_ring_that_was_spoiled_loses_no_frame),
	CASE(a_card_that_goes_is_told_after_its_last_frame),
	CASE(detached_views_read_as_zeros),
	CASE(transmit_calls_only_a_kernel_that_sleeps),
	CASE(mistakes_are_told_before_they_reach_the_transmit_ring),
	CASE(frames_are_written_in_their_places_and_sent),
	CASE(one_transmit_view_is_out_and_mistakes_in_it_are_told),
	CASE(another_port_is_sent_to_by_a_call),
	CASE(forwarded_frames_go_and_leave_their_places),
	CASE(threads_share_a_tap),
};

int main(int argc, char **argv)
{
	struct ntzc_tap_options options = {
		.size = sizeof(options),
		.ifindex = 1,
		.flags = NTZC_ATTACH_HOST,
	};
	unsigned int i;

	if (argc != 3)
		return 2;
	rings = !strcmp(argv[2], "rings");
	kernel_start(rings);
	options.door = NTZC_DOOR_RINGS;
	CHECK(ntzc_tap_create(&options, &tap) == (rings ? 0 : -EOPNOTSUPP));
	options.door = NTZC_DOOR_AUTO;
	if (!rings)
		CHECK(!ntzc_tap_create(&options, &tap));
	CHECK(ntzc_tap_door(tap) == (rings ? NTZC_DOOR_RINGS : NTZC_DOOR_CALLS));
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (strcmp(cases[i].name, argv[1]))
			continue;
		cases[i].run();
		ntzc_tap_destroy(tap);
		return 0;
	}
	return 2;
}
