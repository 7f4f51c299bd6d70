// SPDX-License-Identifier: GPL-2.0-or-later
/* The list of operations; open, close, the plain commands, poll. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ops.h"

struct world world;

static void op_open(struct tap *tap, struct args *a)
{
	static const int modes[] = { O_RDWR, O_RDWR, O_RDWR, O_RDWR, O_RDONLY, O_WRONLY };
	int flags = modes[rng_below(&a->rng, 6)], fd;

	if (!rng_one_in(&a->rng, 4))
		flags |= O_NONBLOCK;
	fd = open(NTZC_DEVICE, flags | O_CLOEXEC);
	fd = atomic_exchange(&tap->fd, fd);
	if (fd >= 0)
		close(fd);
}

static void op_close(struct tap *tap, struct args *a)
{
	int fd = atomic_exchange(&tap->fd, -1);

	(void)a;
	if (fd >= 0)
		close(fd);
}

static void op_dup(struct tap *tap, struct args *a)
{
	/* what is done to one is done to the other */
	struct tap *to = &world.taps[rng_below(&a->rng, N_TAPS)];
	int fd = dup(tap->fd), old;

	old = atomic_exchange(&to->fd, fd);
	if (old >= 0)
		close(old);
	if (to != tap) {
		to->attach = tap->attach;
		to->tx = tap->tx;
	}
}

static void op_nonblock(struct tap *tap, struct args *a)
{
	fcntl(tap->fd, F_SETFL, rng_one_in(&a->rng, 3) ? 0 : O_NONBLOCK);
}

static void op_query(struct tap *tap, struct args *a)
{
	ioctl(tap->fd, NTZC_IOC_QUERY, args_room(a, sizeof(struct ntzc_query)));
}

static void op_port_info(struct tap *tap, struct args *a)
{
	struct ntzc_port_info info = { .id = rng_below(&a->rng, 4) };

	ioctl(tap->fd, NTZC_IOC_PORT_INFO, args_put(a, &info, sizeof(info)));
}

static void op_port_stats(struct tap *tap, struct args *a)
{
	struct ntzc_port_stats st = { .id = rng_below(&a->rng, 4) };

	ioctl(tap->fd, NTZC_IOC_PORT_STATS, args_put(a, &st, sizeof(st)));
}

static void op_port_config(struct tap *tap, struct args *a)
{
	struct ntzc_port_config cfg = {
		.id = rng_below(&a->rng, 3),
		.buf_size = rng_one_in(&a->rng, 2) ? 2048u << rng_below(&a->rng, 4) : 0,
		.n_bufs = rng_one_in(&a->rng, 2) ? 4096 + rng_below(&a->rng, 12288) : 0,
	};

	if (a->mode & MODE_WILD) {
		cfg.buf_size = args_number(a);
		cfg.n_bufs = rng_below(&a->rng, 64);
	}
	ioctl(tap->fd, NTZC_IOC_PORT_CONFIG, args_put(a, &cfg, sizeof(cfg)));
}

static void op_port_policy(struct tap *tap, struct args *a)
{
	struct ntzc_port_policy policy = {
		.id = rng_below(&a->rng, 3),
		.set = rng_below(&a->rng, 8),
		.stack = rng_below(&a->rng, 2),
		.quota = rng_below(&a->rng, 1024),
		.quota_max = rng_one_in(&a->rng, 2) ? 0 : 1 + rng_below(&a->rng, 1024),
	};

	if (a->mode & MODE_WILD) {
		policy.stack = args_number(a);
		policy.quota = args_number(a);
	}
	ioctl(tap->fd, NTZC_IOC_PORT_POLICY, args_put(a, &policy, sizeof(policy)));
}

static void op_tap_info(struct tap *tap, struct args *a)
{
	struct ntzc_tap_info info = {
		.port_id = rng_below(&a->rng, 3), .tap_id = rng_below(&a->rng, 40)
	};

	ioctl(tap->fd, NTZC_IOC_TAP_INFO, args_put(a, &info, sizeof(info)));
}

static void op_attach(struct tap *tap, struct args *a)
{
	struct ntzc_attach attach;
	void *at;

	args_attach(a, &attach);
	at = args_put(a, &attach, sizeof(attach));
	if (!ioctl(tap->fd, NTZC_IOC_ATTACH, at))
		memcpy(&tap->attach, at, sizeof(attach));
}

static void op_tap_stats(struct tap *tap, struct args *a)
{
	ioctl(tap->fd, NTZC_IOC_TAP_STATS, args_room(a, sizeof(struct ntzc_tap_stats)));
}

static void op_filter(struct tap *tap, struct args *a)
{
	struct ntzc_filter filter;

	args_filter(a, &filter);
	ioctl(tap->fd, NTZC_IOC_FILTER, args_put(a, &filter, sizeof(filter)));
	if (filter.kind == NTZC_FILTER_EBPF && !(a->mode & MODE_WILD) && filter.fd >= 0)
		close(filter.fd);
}

static void op_tx_setup(struct tap *tap, struct args *a)
{
	struct ntzc_tx_setup setup;
	void *at;

	args_tx_setup(a, &setup);
	at = args_put(a, &setup, sizeof(setup));
	if (!ioctl(tap->fd, NTZC_IOC_TX_SETUP, at))
		memcpy(&tap->tx, at, sizeof(setup));
}

static void op_tx_target(struct tap *tap, struct args *a)
{
	struct ntzc_tx_target target = { .flags = 0 };

	args_name(a, target.name);
	if (a->mode & MODE_WILD)
		target.ifindex = rng_below(&a->rng, 8);
	ioctl(tap->fd, NTZC_IOC_TX_TARGET, args_put(a, &target, sizeof(target)));
}

static void op_tx_drain(struct tap *tap, struct args *a)
{
	(void)a;
	ioctl(tap->fd, NTZC_IOC_TX_DRAIN);
}

static void op_kick(struct tap *tap, struct args *a)
{
	(void)a;
	ioctl(tap->fd, NTZC_IOC_KICK);
}

/* A command that does not exist, or the wrong size or direction of one that does */
static void op_ioctl(struct tap *tap, struct args *a)
{
	struct rng *rng = &a->rng;
	unsigned long cmd = _IOC(rng_below(rng, 4), NTZC_IOC_MAGIC, rng_below(rng, 0x34),
				 rng_below(rng, 400));

	if (rng_one_in(rng, 4))
		cmd = rng_next(rng);
	/* general commands change the file itself; a tap has them tried by op_nonblock() */
	if (_IOC_TYPE(cmd) == NTZC_IOC_MAGIC)
		ioctl(tap->fd, cmd, args_room(a, 512));
}

static void op_poll(struct tap *tap, struct args *a)
{
	struct pollfd one = {
		.fd = tap->fd, .events = (short)(rng_next(&a->rng) & (POLLIN | POLLOUT | POLLERR))
	};

	poll(&one, 1, (int)rng_below(&a->rng, 3));
}

static void op_epoll(struct tap *tap, struct args *a)
{
	static const uint32_t kinds[] = { 0, EPOLLET, EPOLLONESHOT };
	struct epoll_event event = {
		.events = (rng_one_in(&a->rng, 2) ? EPOLLIN : EPOLLOUT) |
			  kinds[rng_below(&a->rng, 3)]
	};
	int fd = epoll_create1(EPOLL_CLOEXEC);

	epoll_ctl(fd, EPOLL_CTL_ADD, tap->fd, &event);
	epoll_wait(fd, &event, 1, (int)rng_below(&a->rng, 2));
	close(fd);
}

/* Heavy ones are rare: attaching and closing wait for other processors */
static const struct {
	const char *name;
	op_fn *fn;
	unsigned int weight;
} ops[] = {
	{ "open", op_open, 4 },
	{ "close", op_close, 2 },
	{ "dup", op_dup, 2 },
	{ "nonblock", op_nonblock, 3 },
	{ "query", op_query, 4 },
	{ "port_info", op_port_info, 6 },
	{ "port_stats", op_port_stats, 3 },
	{ "port_config", op_port_config, 2 },
	{ "port_policy", op_port_policy, 4 },
	{ "tap_info", op_tap_info, 6 },
	{ "attach", op_attach, 4 },
	{ "tap_stats", op_tap_stats, 8 },
	{ "filter", op_filter, 8 },
	{ "tx_setup", op_tx_setup, 4 },
	{ "tx_target", op_tx_target, 4 },
	{ "tx_drain", op_tx_drain, 4 },
	{ "kick", op_kick, 16 },
	{ "ioctl", op_ioctl, 6 },
	{ "poll", op_poll, 8 },
	{ "epoll", op_epoll, 3 },
	{ "mmap", op_mmap, 8 },
	{ "munmap", op_munmap, 5 },
	{ "mremap", op_mremap, 4 },
	{ "mprotect", op_mprotect, 4 },
	{ "madvise", op_madvise, 4 },
	{ "touch", op_touch, 8 },
	{ "fork", op_fork, 1 },
	{ "read", op_read, 24 },
	{ "readv", op_readv, 8 },
	{ "write", op_write, 24 },
	{ "writev", op_writev, 8 },
	{ "tx_reserve", op_reserve, 20 },
	{ "tx_submit", op_submit, 24 },
	{ "forward", op_forward, 16 },
	{ "rings_rx", op_rings_rx, 20 },
	{ "rings_tx", op_rings_tx, 20 },
	{ "other_io", op_other_io, 6 },
};

unsigned int n_ops(void)
{
	return sizeof(ops) / sizeof(ops[0]);
}

const char *op_name(unsigned int op)
{
	return ops[op].name;
}

unsigned int op_weight(unsigned int op)
{
	return ops[op].weight;
}

unsigned int op_find(const char *name)
{
	unsigned int op;

	for (op = 0; op < n_ops() && strcmp(name, ops[op].name); op++)
		;
	return op;
}

void call_do(const struct call *call)
{
	struct args a = { .rng = { call->seed }, .mode = call->mode };

	ops[call->op].fn(&world.taps[call->tap], &a);
	atomic_fetch_add(&shared->calls, 1);
}
