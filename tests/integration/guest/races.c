// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Two threads that do at once what should not be done at once, in the guest.
 *
 *	races INTERFACE PEER RACE ROUNDS
 *
 * INTERFACE is ours, PEER the stock card at the other end of its cable. Each
 * race ends the program with the reason if a rule was broken, and says "done".
 */
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>

#include "bare.h"

#define BATCH		64
#define PATIENCE_MS	patience_ms(20000)
#define LOST		"no frame came: a wake-up was lost"

static const char *ours, *peer;
static unsigned int rounds;
static atomic_bool over;

/* ---- both threads of a race start each round at once ---- */

static atomic_uint arrived;

static void meet(unsigned int round)
{
	atomic_fetch_add(&arrived, 1);
	while (atomic_load(&arrived) < 2 * (round + 1))
		sched_yield();
}

static pthread_t start(void *(*run)(void *), void *argument)
{
	pthread_t thread;

	must(!pthread_create(&thread, NULL, run, argument));
	return thread;
}

static void join(pthread_t thread)
{
	must(!pthread_join(thread, NULL));
}

/* Frames without end, numbered from 0 on, until it is over */
static void *flood(void *unused)
{
	int fd = neighbour_open(peer);
	uint64_t number = 0;

	while (!atomic_load(&over))
		neighbour_send(fd, number++);
	close(fd);
	return unused;
}

static void wait_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	must(poll(&p, 1, PATIENCE_MS) == 1);
}

/* ---- mappings ---- */

struct shared {
	struct tap tap;
	atomic_int fd;
	__u32 handle;
	int result[2];
	atomic_uint mapped;	/* times */
	atomic_ullong stirred;
};

static void *map_again_and_again(void *argument)
{
	struct shared *s = argument;
	volatile unsigned char sink = 0;

	for (;;) {
		size_t bytes = s->tap.about.rx_bytes;
		unsigned char *p = mmap(NULL, bytes, PROT_READ, MAP_SHARED,
					atomic_load(&s->fd), NTZC_MMAP_RX);

		if (p == MAP_FAILED) {
			must(errno == EBADF);
			return NULL;
		}
		/* the file may be closed by now, and its tap be ours alone */
		sink += p[0] + p[bytes / 2] + p[bytes - 1];
		atomic_fetch_add(&s->mapped, 1);
		must(!munmap(p, bytes));
	}
}

static void map_against_close(void)
{
	unsigned int i;

	for (i = 0; i < rounds; i++) {
		struct shared s = { };
		pthread_t mapper;

		tap_attach(&s.tap, ours, 0);
		/* no mapping but the other thread's */
		must(!munmap((void *)s.tap.rx_memory, s.tap.about.rx_bytes));
		atomic_store(&s.fd, s.tap.fd);
		mapper = start(map_again_and_again, &s);
		/* it is at it: now and then between its calls, now and then in one */
		while (atomic_load(&s.mapped) < 1 + i % 4)
			sched_yield();
		must(!close(s.tap.fd));
		join(mapper);
	}
}

static void map_under_traffic(void)
{
	struct tap tap = { };
	struct ntzc_desc held;
	pthread_t sender;
	unsigned int i;

	tap_attach(&tap, ours, 0);
	sender = start(flood, NULL);
	do {
		must(tap_read(&tap, &held, 1) == 1);
	} while (tap_number(&tap, &held) < 0 && tap_release(&tap, &held.handle, 1) == 1);
	for (i = 0; i < rounds; i++) {
		struct ntzc_desc descs[BATCH];
		unsigned char *p;
		int n, j;

		p = mmap(NULL, tap.about.rx_bytes, PROT_READ, MAP_SHARED, tap.fd, NTZC_MMAP_RX);
		must(p != MAP_FAILED);
		must(frame_number(p + held.offset, held.len) == tap_number(&tap, &held));
		n = tap_read(&tap, descs, BATCH);
		must(n > 0);
		for (j = 0; j < n; j++) {
			must(frame_number(p + descs[j].offset, descs[j].len) ==
			     tap_number(&tap, &descs[j]));
			must(tap_release(&tap, &descs[j].handle, 1) == 1);
		}
		must(!munmap(p, tap.about.rx_bytes));
	}
	atomic_store(&over, true);
	join(sender);
	tap_close(&tap);
}

/* ---- one handle, one file, two threads ---- */

static void *release_too(void *argument)
{
	struct shared *s = argument;
	unsigned int i;

	for (i = 0; i < rounds; i++) {
		meet(2 * i);
		s->result[1] = tap_release(&s->tap, &s->handle, 1);
		must(s->result[1] == 1 || errno == ESTALE);
		meet(2 * i + 1);
	}
	return NULL;
}

static void release_twice(void)
{
	struct shared s = { };
	pthread_t other;
	int socket = neighbour_open(peer);
	unsigned int i;

	tap_attach(&s.tap, ours, 0);
	other = start(release_too, &s);
	for (i = 0; i < rounds; i++) {
		struct ntzc_desc desc;

		neighbour_send(socket, i);
		must(tap_read(&s.tap, &desc, 1) == 1);
		s.handle = desc.handle;
		meet(2 * i);
		s.result[0] = tap_release(&s.tap, &s.handle, 1);
		must(s.result[0] == 1 || errno == ESTALE);
		meet(2 * i + 1);
		if ((s.result[0] == 1) == (s.result[1] == 1))
			die("both threads were told the same: %d", s.result[0]);
	}
	join(other);
	tap_close(&s.tap);
}

struct seen {
	struct tap tap;
	atomic_uint *times;
	atomic_uint total;
};

static void *read_some(void *argument)
{
	struct seen *s = argument;

	while (atomic_load(&s->total) < rounds) {
		struct ntzc_desc descs[8];
		struct pollfd p = { .fd = s->tap.fd, .events = POLLIN };
		int n, i;

		if (poll(&p, 1, 10) != 1)
			continue;
		n = tap_read(&s->tap, descs, 8);
		must(n > 0 || errno == EAGAIN);
		for (i = 0; i < n; i++) {
			int64_t number = tap_number(&s->tap, &descs[i]);

			must(tap_release(&s->tap, &descs[i].handle, 1) == 1);
			if (number < 0)
				continue;
			must(number < (int64_t)rounds);
			if (atomic_fetch_add(&s->times[number], 1))
				die("frame %lld was read twice", (long long)number);
			atomic_fetch_add(&s->total, 1);
		}
	}
	return NULL;
}

static void two_readers(void)
{
	int socket = neighbour_open(peer);
	struct seen s = { .tap.about.ring_size = 4096 };
	pthread_t readers[2];
	unsigned int i;

	s.times = calloc(rounds, sizeof(*s.times));
	must(s.times);
	tap_attach(&s.tap, ours, O_NONBLOCK);
	readers[0] = start(read_some, &s);
	readers[1] = start(read_some, &s);
	for (i = 0; i < rounds; i++) {
		/* fewer on their way than the tap may hold */
		while (i - atomic_load(&s.total) > 256)
			sched_yield();
		neighbour_send(socket, i);
	}
	join(readers[0]);
	join(readers[1]);
	tap_close(&s.tap);
}

/* ---- wake-ups ---- */

static void *answer(void *argument)
{
	struct seen *s = argument;
	unsigned int got = 0;

	while (got < rounds) {
		struct ntzc_desc desc;
		struct pollfd p = { .fd = s->tap.fd, .events = POLLIN };

		/* by poll() and by read() in turns */
		if (got & 1 && poll(&p, 1, PATIENCE_MS) != 1)
			die(LOST);
		must(tap_read(&s->tap, &desc, 1) == 1);
		must(tap_release(&s->tap, &desc.handle, 1) == 1);
		atomic_store(&s->total, ++got);
	}
	return NULL;
}

static void wake_up(void)
{
	int socket = neighbour_open(peer);
	struct seen s = { };
	pthread_t reader;
	unsigned int i;

	tap_attach(&s.tap, ours, 0);
	reader = start(answer, &s);
	for (i = 0; i < rounds; i++) {
		uint64_t deadline = now_ns() + PATIENCE_MS * 1000000ull;
		unsigned int spin;

		/* somewhere between its look at the ring and its sleep */
		for (spin = rand() % 2000; spin; spin--)
			atomic_load(&over);
		neighbour_send(socket, i);
		while (atomic_load(&s.total) <= i)
			if (now_ns() > deadline)
				die(LOST);
	}
	join(reader);
	tap_close(&s.tap);
}

static void *close_it(void *argument)
{
	struct shared *s = argument;

	meet(0);
	usleep((useconds_t)s->result[1]);
	must(!close(s->tap.fd));
	neighbour_send(s->result[0], 1);
	return NULL;
}

/*
 * The poll in progress keeps the file, and with it the tap: the frame that comes after the close
 * ends it. It finds then that its number is no file's.
 */
static void close_while_polled(void)
{
	int socket = neighbour_open(peer);
	bool kept = false;
	uint64_t begun;
	unsigned int i;

	for (i = 0; i < rounds; i++) {
		/* at once, or when the poll has begun */
		struct shared s = { .result = { socket, i & 1 ? 20000 : 0 } };
		struct pollfd p = { .events = POLLIN };
		pthread_t closer;
		int n;

		atomic_store(&arrived, 0);
		tap_attach(&s.tap, ours, 0);
		/* a mapping would keep the file, too */
		must(!munmap((void *)s.tap.rx_memory, s.tap.about.rx_bytes));
		p.fd = s.tap.fd;
		closer = start(close_it, &s);
		meet(0);
		begun = now_ns();
		n = poll(&p, 1, PATIENCE_MS);
		must(n == 1 && (p.revents == POLLIN || p.revents == POLLNVAL));
		/* asleep when the file was closed, and woken by the frame */
		kept |= now_ns() - begun > 10000000;
		join(closer);
	}
	must(kept);
}

/* ---- holders on all processors ---- */

#define HOLDERS	4

static void *hold_and_release(void *argument)
{
	struct tap tap = { .about.ring_size = 4096 };
	unsigned int which = (unsigned int)(uintptr_t)argument, seed = which, got = 0;
	unsigned int n_cpus = (unsigned int)sysconf(_SC_NPROCESSORS_ONLN);
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(which % n_cpus, &cpus);
	must(!pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus));
	tap_attach(&tap, ours, 0);
	atomic_fetch_add(&arrived, 1);
	while (got < rounds) {
		struct ntzc_desc descs[BATCH];
		int n, i;

		wait_readable(tap.fd);
		n = tap_read(&tap, descs, 1 + rand_r(&seed) % BATCH);
		must(n > 0);
		/* in an order of its own, so that each is the last holder of some */
		for (i = n; i > 1; i--) {
			int j = (int)(rand_r(&seed) % (unsigned int)i);
			struct ntzc_desc other = descs[i - 1];

			descs[i - 1] = descs[j];
			descs[j] = other;
		}
		for (i = 0; i < n; i++) {
			(void)tap_number(&tap, &descs[i]);
			must(tap_release(&tap, &descs[i].handle, 1) == 1);
		}
		got += (unsigned int)n;
	}
	tap_close(&tap);
	return NULL;
}

static void holders(void)
{
	pthread_t threads[HOLDERS], sender;
	unsigned int i;

	for (i = 0; i < HOLDERS; i++)
		threads[i] = start(hold_and_release, (void *)(uintptr_t)i);
	while (atomic_load(&arrived) < HOLDERS)
		sched_yield();
	sender = start(flood, NULL);
	for (i = 0; i < HOLDERS; i++)
		join(threads[i]);
	atomic_store(&over, true);
	join(sender);
}

static const struct {
	const char *name;
	void (*run)(void);
} races[] = {
	{ "map-against-close", map_against_close },
	{ "map-under-traffic", map_under_traffic },
	{ "release-twice", release_twice },
	{ "two-readers", two_readers },
	{ "wake-up", wake_up },
	{ "close-while-polled", close_while_polled },
	{ "holders", holders },
};

int main(int argc, char **argv)
{
	unsigned int i;

	if (argc != 5)
		die("usage: races INTERFACE PEER RACE ROUNDS");
	ours = argv[1];
	peer = argv[2];
	rounds = (unsigned int)strtoul(argv[4], NULL, 10);
	for (i = 0; i < sizeof(races) / sizeof(races[0]); i++) {
		if (strcmp(argv[3], races[i].name))
			continue;
		races[i].run();
		puts("done");
		return 0;
	}
	die("there is no race %s", argv[3]);
}
