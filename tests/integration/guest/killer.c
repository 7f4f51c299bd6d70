// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Programs that hold, wait, send and ask, and are killed at random moments.
 *
 *	killer INTERFACE PEER ROUNDS SEED
 *
 * Each round a child attaches and does at random what a tap is for, with frames
 * coming without end, and is killed somewhere in it: while it holds received
 * frames or transmit buffers, or inside a call. After its end not one buffer may
 * be missing. Prints "done" and how many were killed in which part of their life.
 */
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "bare.h"

#define BATCH		32
#define TX_BUFS		64
#define MOST_US		(8u * (unsigned int)patience_ms(1000))	/* of a child's life after its first word */
#define PATIENCE_MS	patience_ms(20000)

enum part { OPENING, MAPPING, READING, HOLDING, SENDING, WAITING, ASKING, PARTS };

static const char * const names[PARTS] = {
	"opening", "mapping", "reading", "holding", "sending", "waiting", "asking",
};

/* what the child is at, for its parent */
static atomic_uint *at;

static void nap_us(unsigned int us)
{
	struct timespec t = { .tv_nsec = us * 1000l };

	nanosleep(&t, NULL);
}

static void send_some(struct tap *tap, unsigned int count)
{
	struct ntzc_desc descs[BATCH];
	int i, n = tap_batch(tap, NTZC_IOC_TX_RESERVE, descs, count);

	for (i = 0; i < n; i++) {
		frame_make(tap->tx_memory + descs[i].offset, (uint64_t)i);
		descs[i].len = FRAME_LEN;
	}
	if (n > 0)
		(void)tap_batch(tap, NTZC_IOC_TX_SUBMIT, descs, (unsigned int)n);
}

static _Noreturn void child(const char *name, unsigned int seed, int ready)
{
	struct ntzc_desc descs[BATCH];
	struct ntzc_tap_stats st;
	struct tap tap = { };
	int i, n;

	atomic_store(at, OPENING);
	must(write(ready, "!", 1) == 1);
	tap_attach(&tap, name, 0);
	atomic_store(at, MAPPING);
	tap_setup_tx(&tap, TX_BUFS, rand_r(&seed) % 2 ? NTZC_TX_RINGS : 0);
	for (;;) {
		switch (rand_r(&seed) % 6) {
		case 0:
			atomic_store(at, READING);
			n = tap_read(&tap, descs, BATCH);
			for (i = 0; i < n; i++)
				(void)tap_release(&tap, &descs[i].handle, 1);
			break;
		case 1:
			atomic_store(at, HOLDING);
			(void)tap_read(&tap, descs, BATCH);	/* for good */
			break;
		case 2:
			atomic_store(at, SENDING);
			send_some(&tap, 1 + rand_r(&seed) % BATCH);
			break;
		case 3:
			atomic_store(at, WAITING);
			(void)tap_batch(&tap, NTZC_IOC_TX_RESERVE, descs, 4);
			(void)ioctl(tap.fd, NTZC_IOC_TX_DRAIN);
			break;
		default:
			atomic_store(at, ASKING);
			tap_stats(&tap, &st);
			(void)ioctl(tap.fd, NTZC_IOC_KICK);
		}
	}
}

static unsigned int port_id(int fd, const char *name)
{
	struct ntzc_port_info info = { };

	while (!ioctl(fd, NTZC_IOC_PORT_INFO, &info)) {
		if (!strcmp(info.name, name))
			return info.id;
		info = (struct ntzc_port_info){ .id = info.id + 1 };
	}
	die("there is no card %s", name);
}

/* Wait until all buffers are free or the card's */
static void check_whole(int fd, unsigned int id)
{
	uint64_t deadline = now_ns() + PATIENCE_MS * 1000000ull;

	for (;;) {
		struct ntzc_port_stats st = { .id = id };

		must(!ioctl(fd, NTZC_IOC_PORT_STATS, &st));
		if (st.pool_free + st.pool_card == st.pool_size && !st.pool_held &&
		    !st.pool_in_flight && !st.tx_in_flight)
			return;
		if (now_ns() > deadline)
			die("free %llu, card %llu, held %llu, in flight %llu of %llu; %llu to send",
			    st.pool_free, st.pool_card, st.pool_held, st.pool_in_flight,
			    st.pool_size, st.tx_in_flight);
	}
}

static pid_t flood(const char *peer)
{
	pid_t pid = fork();
	int fd;

	must(pid >= 0);
	if (pid)
		return pid;
	fd = neighbour_open(peer);
	for (uint64_t number = 0;; number++)
		neighbour_send(fd, number);
}

int main(int argc, char **argv)
{
	unsigned int seed, killed[PARTS] = { }, i;
	unsigned long round, rounds;
	int fd, ready[2], status;
	unsigned int id;
	pid_t sender;

	if (argc != 5)
		die("usage: killer INTERFACE PEER ROUNDS SEED");
	rounds = strtoul(argv[3], NULL, 10);
	seed = (unsigned int)strtoul(argv[4], NULL, 10);
	at = mmap(NULL, sizeof(*at), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(at != MAP_FAILED);
	fd = tap_open(0);
	id = port_id(fd, argv[1]);
	must(!pipe2(ready, O_CLOEXEC));
	sender = flood(argv[2]);
	for (round = 0; round < rounds; round++) {
		unsigned int child_seed = (unsigned int)rand_r(&seed);
		pid_t pid = fork();
		char byte;

		must(pid >= 0);
		if (!pid)
			child(argv[1], child_seed, ready[1]);
		must(read(ready[0], &byte, 1) == 1);
		nap_us((unsigned int)rand_r(&seed) % (rand_r(&seed) % 4 ? MOST_US * 5 : MOST_US));
		killed[atomic_load(at)]++;
		must(!kill(pid, SIGKILL) && waitpid(pid, &status, 0) == pid);
		if (!WIFSIGNALED(status))
			die("child %lu ended by itself, status %d", round, status);
		check_whole(fd, id);
	}
	must(!kill(sender, SIGKILL) && waitpid(sender, NULL, 0) == sender);
	printf("done");
	for (i = 0; i < PARTS; i++)
		printf(" %s=%u", names[i], killed[i]);
	putchar('\n');
	return 0;
}
