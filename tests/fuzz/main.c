// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fuzz [-s SEED] [-t SECONDS] [-n CALLS] [-w WORKERS] [-c CORPUS] [-r PARENT+SEED] CARD...
 *
 * Processes run programs for a random while; then they end or are killed in the middle. Every
 * round they all do, and the pools of all cards must be whole. A program's recipe is its
 * parent's number in the corpus (- for none) and the seed of what was changed. There are
 * rounds for SECONDS, and further ones until CALLS were made.
 *
 * Written to standard output: "guided" or "unguided"; "kept N PROGRAM" for each program that
 * went a new way; "round" and counters after each round; "fault" and why before it fails.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"

enum { MAX_WORKERS = 32, ROUND_S = 20, WHOLE_S = 120, REPLAYS = 500 };

struct shared *shared;
char cards[4][NTZC_NAME_LEN];
unsigned int n_cards;

static int kmsg = -1;

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void die(const char *what)
{
	printf("fault %s: %s\n", what, strerror(errno));
	fflush(stdout);
	exit(1);
}

/* Workers */

static void on_alarm(int sig)
{
	(void)sig;
}

/* Calls that wait are interrupted: nobody else would end them */
static void start_clock(void)
{
	struct itimerval often = { { 0, 10000 }, { 0, 10000 } };
	struct sigaction action = { .sa_handler = on_alarm };

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
}

static void keep(const struct program *p)
{
	unsigned int n = p->n, at = atomic_fetch_add(&shared->n_corpus, 1);
	struct program *slot = &shared->corpus[at % MAX_CORPUS];
	char *text;
	size_t len;
	FILE *out;

	/* the oldest go when there is no more room */
	atomic_store(&slot->n, 0);
	memcpy(slot->calls, p->calls, sizeof(p->calls));
	atomic_store(&slot->n, n);
	out = open_memstream(&text, &len);
	fprintf(out, "kept %u ", at % MAX_CORPUS);
	program_print(p, out);
	fputc('\n', out);
	fclose(out);
	/* in one piece, with what other workers write */
	if (write(STDOUT_FILENO, text, len) != (ssize_t)len)
		_exit(1);
	free(text);
}

static const struct program *corpus_any(struct rng *rng, unsigned int *index)
{
	unsigned int n = shared->n_corpus;

	if (!n)
		return NULL;
	*index = rng_below(rng, n < MAX_CORPUS ? n : MAX_CORPUS);
	return shared->corpus[*index].n ? &shared->corpus[*index] : NULL;
}

static void cook(struct program *p, const struct program *parent, uint64_t seed)
{
	struct rng rng = { seed };

	if (!parent) {
		program_make(p, &rng);
		return;
	}
	memcpy(p->calls, parent->calls, sizeof(p->calls));
	p->n = parent->n;
	program_mutate(p, parent, &rng);
}

static void run(const struct program *p)
{
	unsigned int i, found = 0;

	for (i = 0; i < p->n; i++) {
		cover_begin();
		call_do(&p->calls[i]);
		found += cover_end(p->calls[i].op);
	}
	world_reset();
	atomic_fetch_add(&shared->programs, 1);
	if (found)
		keep(p);
}

static void work(uint64_t seed)
{
	struct rng rng = { seed };
	static struct program p;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	world_open();
	args_open();
	cover_open();
	imp_start(rng_next(&rng));
	start_clock();
	while (!shared->stop) {
		const struct program *parent = NULL;
		uint64_t change = rng_next(&rng);
		unsigned int index = 0;

		if (!rng_one_in(&rng, 4))
			parent = corpus_any(&rng, &index);
		if (parent)
			dprintf(kmsg, "<5>fuzz: %u+%" PRIx64 "\n", index, change);
		else
			dprintf(kmsg, "<5>fuzz: -+%" PRIx64 "\n", change);
		cook(&p, parent, change);
		run(&p);
	}
	_exit(0);
}

/* Rounds */

static bool port_whole(int fd, uint32_t *id)
{
	struct ntzc_port_info info = { .id = *id };
	struct ntzc_port_stats st = { .flags = 0 };

	if (ioctl(fd, NTZC_IOC_PORT_INFO, &info)) {
		if (errno != ENOENT)
			die("PORT_INFO");
		*id = ~0u;
		return true;
	}
	*id = info.id + 1;
	st.id = info.id;
	if (ioctl(fd, NTZC_IOC_PORT_STATS, &st))
		die("PORT_STATS");
	return !info.n_taps && st.pool_free + st.pool_card == st.pool_size && !st.pool_held &&
	       !st.pool_in_flight && !st.tx_in_flight;
}

static bool all_whole(int fd)
{
	uint32_t id = 0;

	while (id != ~0u)
		if (!port_whole(fd, &id))
			return false;
	return true;
}

static void settle(int fd)
{
	double end = now_s() + WHOLE_S;
	uint32_t id;

	while (!all_whole(fd)) {
		if (now_s() > end) {
			errno = ETIME;
			die("a pool is not whole");
		}
		usleep(20000);
	}
	/* as it was, for the next round to find good pools */
	for (id = 0; id < n_cards; id++) {
		struct ntzc_port_config cfg = { .id = id };
		struct ntzc_port_policy policy = { .id = id, .set = 7 };

		if (ioctl(fd, NTZC_IOC_PORT_CONFIG, &cfg) && errno != ENODEV)
			die("PORT_CONFIG");
		if (ioctl(fd, NTZC_IOC_PORT_POLICY, &policy) && errno != ENODEV)
			die("PORT_POLICY");
	}
}

static void report(double start)
{
	printf("round %.0f s: %llu calls, %llu programs, %llu ways, %u kept, %llu killed, %llu died\n",
	       now_s() - start, shared->calls, shared->programs, shared->edges, shared->n_corpus,
	       shared->killed, shared->died);
	fflush(stdout);
}

struct worker {
	pid_t pid;
	double end;
};

static void worker_start(struct worker *w, struct rng *rng)
{
	uint64_t seed = rng_next(rng);

	/* most live for some programs; some die while they set up */
	w->end = now_s() + (rng_one_in(rng, 4) ? 0.001 : 1.0) * rng_below(rng, 4000) / 1000;
	w->pid = fork();
	if (w->pid < 0)
		die("fork");
	if (!w->pid)
		work(seed);
}

static void worker_end(struct worker *w)
{
	int status;

	kill(w->pid, SIGKILL);
	if (waitpid(w->pid, &status, 0) != w->pid)
		die("waitpid");
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		atomic_fetch_add(&shared->killed, 1);
	else
		atomic_fetch_add(&shared->died, 1);
	w->pid = 0;
}

/* One that ended by itself did so by a fault of its own: wild memory, or out of memory */
static void round_run(struct worker *workers, unsigned int n, struct rng *rng, double end)
{
	unsigned int i;

	while (now_s() < end) {
		for (i = 0; i < n; i++) {
			if (workers[i].pid && now_s() >= workers[i].end)
				worker_end(&workers[i]);
			if (!workers[i].pid)
				worker_start(&workers[i], rng);
		}
		usleep(1000);
	}
	shared->stop = true;
	/* half of them may end what they are at */
	usleep(rng_below(rng, 200000));
	for (i = 0; i < n; i++)
		worker_end(&workers[i]);
	shared->stop = false;
}

static void corpus_load(const char *path)
{
	FILE *in = fopen(path, "r");
	size_t room = 0;
	char *line = NULL;

	if (!in)
		die(path);
	while (getline(&line, &room, in) > 0) {
		unsigned int at = shared->n_corpus;

		if (line[0] == '#')
			continue;
		if (at == MAX_CORPUS || !program_read(&shared->corpus[at], line)) {
			errno = EINVAL;
			die(line);
		}
		shared->n_corpus = at + 1;
	}
	free(line);
	fclose(in);
}

static void replay(const char *recipe, uint64_t imp)
{
	unsigned int index = (unsigned int)strtoul(recipe, NULL, 10), i;
	const char *plus = strchr(recipe, '+');
	static struct program p;

	if (!plus || (recipe[0] != '-' && (index >= MAX_CORPUS || !shared->corpus[index].n))) {
		errno = EINVAL;
		die(recipe);
	}
	cook(&p, recipe[0] == '-' ? NULL : &shared->corpus[index], strtoull(plus + 1, NULL, 16));
	program_print(&p, stdout);
	printf("\n");
	world_open();
	args_open();
	imp_start(imp);
	start_clock();
	for (i = 0; i < REPLAYS; i++)
		run(&p);
	_exit(0);
}

int main(int argc, char **argv)
{
	static struct worker workers[MAX_WORKERS];
	const char *corpus = NULL, *recipe = NULL;
	unsigned int n_workers = 6;
	double seconds = 60, start = now_s();
	unsigned long long n_calls = 0;
	struct rng rng = { 1 };
	int opt, fd;

	while ((opt = getopt(argc, argv, "s:t:n:w:c:r:")) != -1) {
		switch (opt) {
		case 's':
			rng.state = strtoull(optarg, NULL, 0);
			break;
		case 't':
			seconds = atof(optarg);
			break;
		case 'n':
			n_calls = strtoull(optarg, NULL, 0);
			break;
		case 'w':
			n_workers = (unsigned int)atoi(optarg);
			break;
		case 'c':
			corpus = optarg;
			break;
		case 'r':
			recipe = optarg;
			break;
		default:
			return 2;
		}
	}
	for (; optind < argc && n_cards < 4; optind++)
		strncpy(cards[n_cards++], argv[optind], NTZC_NAME_LEN - 1);
	if (!n_cards || !n_workers || n_workers > MAX_WORKERS)
		return 2;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	kmsg = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	fd = open(NTZC_DEVICE, O_RDWR | O_CLOEXEC);
	if (shared == MAP_FAILED || kmsg < 0 || fd < 0)
		die("setup");
	if (corpus)
		corpus_load(corpus);
	if (recipe)
		replay(recipe, rng_next(&rng));

	/* coverage is each worker's own; this only asks whether it can be had */
	printf("%s\n", access("/sys/kernel/debug/kcov", R_OK | W_OK) ? "unguided" : "guided");
	fflush(stdout);
	while (now_s() < start + seconds || shared->calls < n_calls) {
		unsigned long long before = shared->calls;
		double end = now_s() + ROUND_S;

		if (shared->calls >= n_calls && end > start + seconds)
			end = start + seconds;
		round_run(workers, n_workers, &rng, end);
		settle(fd);
		report(start);
		if (shared->calls == before) {
			errno = ETIME;
			die("a round without a call");
		}
	}
	return 0;
}
