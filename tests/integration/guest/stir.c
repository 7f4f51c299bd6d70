// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A program whose second thread flips bits in all that the kernel reads of it,
 * while it reads: arguments, handles, descriptors, rings, and the frames.
 *
 *	stir INTERFACE calls|rings ROUNDS
 *
 * Whatever comes of it, every buffer of the tap is in one place. Ends with
 * "done" and how many frames were sent and how many entries refused.
 */
#include <stdatomic.h>

#include "bare.h"

#define BUFS	64

struct area {
	volatile unsigned char *data;
	size_t size;
};

struct session {
	struct tap tap;
	struct ntzc_tx_rings *rings;
	struct ntzc_tx_batch batch;
	struct ntzc_desc descs[BUFS];
	__u32 handles[BUFS];
	struct area areas[4];
	unsigned int n_areas;
	pthread_t stirrer;
	atomic_bool over;
};

static unsigned long long sent, refused;

static void *stir(void *argument)
{
	struct session *s = argument;
	unsigned int seed = 1;

	while (!atomic_load(&s->over)) {
		struct area a = s->areas[(unsigned int)rand_r(&seed) % s->n_areas];

		a.data[(unsigned int)rand_r(&seed) % a.size] ^= 1u << rand_r(&seed) % 8;
	}
	return NULL;
}

static void add_area(struct session *s, void *data, size_t size)
{
	s->areas[s->n_areas++] = (struct area){ data, size };
}

static struct session *begin(const char *name, unsigned int flags)
{
	struct session *s = calloc(1, sizeof(*s));

	must(s);
	tap_attach(&s->tap, name, O_NONBLOCK);
	tap_setup_tx(&s->tap, BUFS, flags);
	add_area(s, s->tap.tx_memory, s->tap.tx.tx_bytes);
	if (flags) {
		s->rings = mmap(NULL, s->tap.tx.rings_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
				s->tap.fd, NTZC_MMAP_TX_RINGS);
		must(s->rings != MAP_FAILED);
		/* entries; indices that are off by far only stop the traffic */
		add_area(s, (char *)s->rings + NTZC_RING_ENTRIES,
			 s->tap.tx.rings_bytes - NTZC_RING_ENTRIES);
	} else {
		/* not the address: what lies elsewhere is this program's own */
		add_area(s, &s->batch.count, sizeof(s->batch) - sizeof(s->batch.descs));
		add_area(s, s->descs, sizeof(s->descs));
		add_area(s, s->handles, sizeof(s->handles));
	}
	must(!pthread_create(&s->stirrer, NULL, stir, s));
	return s;
}

/* See that all is accounted for. Return: whether the tap has buffers to go on with. */
static bool check(const struct session *s)
{
	struct ntzc_tap_stats st;

	tap_stats(&s->tap, &st);
	if (st.tx_free + st.tx_reserved + st.tx_in_flight != BUFS)
		die("%llu free, %llu reserved, %llu in flight of %d", st.tx_free, st.tx_reserved,
		    st.tx_in_flight, BUFS);
	/* those whose handles were spoiled stay reserved */
	return s->rings ? st.bad_submit < BUFS * 3 / 4 : st.tx_reserved < BUFS * 3 / 4;
}

static void end(struct session *s)
{
	struct ntzc_tap_stats st;

	atomic_store(&s->over, true);
	must(!pthread_join(s->stirrer, NULL));
	tap_stats(&s->tap, &st);
	sent += st.tx_submitted;
	refused += st.bad_submit;
	if (s->rings)
		must(!munmap(s->rings, s->tap.tx.rings_bytes));
	tap_close(&s->tap);
	free(s);
}

/* The argument's count is spoiled, too: more than there are buffers never come */
static int call(struct session *s, unsigned long command, unsigned int count)
{
	int n;

	s->batch = (struct ntzc_tx_batch){ .descs = (uintptr_t)s->descs, .count = count };
	n = ioctl(s->tap.fd, command, &s->batch);
	must(n <= BUFS);
	if (n < 0 && errno != EINVAL && errno != ENOBUFS && errno != ENOSPC && errno != ESTALE)
		die("an error that the ABI has not for this");
	/* what was stirred, and not what there is no room for */
	if (n < 0 && (errno == EINVAL || errno == ESTALE))
		refused++;
	return n < 0 ? 0 : n;
}

static void by_calls(struct session *s)
{
	int i, n = call(s, NTZC_IOC_TX_RESERVE, BUFS / 2);

	for (i = 0; i < n; i++) {
		s->handles[i] = s->descs[i].handle;
		s->descs[i].len = FRAME_LEN;
	}
	if (n)
		call(s, NTZC_IOC_TX_SUBMIT, (unsigned int)n);
	/* what was sent is stale by now, what is left goes back unless it was spoiled */
	for (i = 0; i < n; i++)
		(void)tap_release(&s->tap, &s->handles[i], 1);
}

/* Return: whether there was anything to send */
static bool by_rings(struct session *s)
{
	const struct ntzc_tx_buf *bufs = (void *)((char *)s->rings + s->tap.tx.free_offset);
	struct ntzc_desc *ring = (void *)((char *)s->rings + NTZC_RING_ENTRIES);
	__u32 mask = s->tap.tx.ring_size - 1, cons = s->rings->free.cons;
	__u32 prod = s->rings->tx.prod, first = prod, last = prod + BUFS;

	/* a card that is quick enough has them back while we fill: of that there would be no end */
	while (prod != last && cons != __atomic_load_n(&s->rings->free.prod, __ATOMIC_ACQUIRE) &&
	       prod - __atomic_load_n(&s->rings->tx.cons, __ATOMIC_ACQUIRE) <= mask) {
		ring[prod & mask] = (struct ntzc_desc){
			.handle = bufs[cons & mask].handle,
			.offset = bufs[cons & mask].offset,
			.len = FRAME_LEN,
		};
		cons++;
		prod++;
	}
	__atomic_store_n(&s->rings->free.cons, cons, __ATOMIC_RELEASE);
	__atomic_store_n(&s->rings->tx.prod, prod, __ATOMIC_RELEASE);
	must(!ioctl(s->tap.fd, NTZC_IOC_KICK));
	return prod != first;
}

int main(int argc, char **argv)
{
	unsigned long i = 0, rounds;
	unsigned int flags;
	struct session *s;

	if (argc != 4)
		die("usage: stir INTERFACE calls|rings ROUNDS");
	flags = strcmp(argv[2], "rings") ? 0 : NTZC_TX_RINGS;
	rounds = strtoul(argv[3], NULL, 10);
	s = begin(argv[1], flags);
	while (i < rounds) {
		if (!flags)
			by_calls(s);
		if (!flags || by_rings(s))
			i++;
		else
			usleep(100);	/* a card that is slower than we has them all: not a round */
		if (check(s))
			continue;
		end(s);
		s = begin(argv[1], flags);
	}
	end(s);
	printf("done %llu %llu\n", sent, refused);
	return 0;
}
