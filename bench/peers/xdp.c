// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * AF_XDP over the stock driver, by libxdp, as bench/insn.c does through libntzc: receives,
 * sends or forwards frames on queue 0 in batches, touching one byte of each.
 *
 * Set up as the kernel's and libxdp's documentation advise: need-wakeup, a fill ring larger
 * than the card's, frames given back in batches, a call only when a ring asks for one. The
 * XDP program does nothing but redirect, and is attached by itself: libxdp's own way, through
 * a dispatcher that can hold several programs, would cost more for each frame.
 */
#include <bpf/bpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xdp/xsk.h>

#include "progress.h"

#define CHUNK		4096u	/* of the memory: one frame */
#define RX_CHUNKS	8192u	/* as many as the fill ring has entries */
#define TX_CHUNKS	4096u
#define RING		4096u

struct mode {
	const char *name;
	unsigned int attach;
	unsigned int bind;
};

static const struct mode modes[] = {
	{ "zero-copy", XDP_FLAGS_DRV_MODE, XDP_ZEROCOPY },
	{ "copy", XDP_FLAGS_DRV_MODE, XDP_COPY },
	{ "generic", XDP_FLAGS_SKB_MODE, XDP_COPY },
};

static struct {
	const struct mode *mode;
	int ifindex;
	unsigned int len;
	unsigned int batch;
	unsigned char *memory;
	struct xsk_umem *umem;
	struct xsk_socket *socket;
	struct xsk_ring_prod fill, tx;
	struct xsk_ring_cons completion, rx;
	unsigned int in_flight;
	unsigned int next;	/* chunk to send */
	int forwards;
} run;

static void check_xdp(int ret, const char *what)
{
	if (ret >= 0)
		return;
	errno = -ret;
	fail(what);
}

/* Set up */

/* Attach a program that redirects everything to the sockets of the map. Return: the map. */
static int attach(void)
{
	int map = bpf_map_create(BPF_MAP_TYPE_XSKMAP, "sockets", sizeof(int), sizeof(int), 1, NULL);
	const struct bpf_insn program[] = {
		/* r2 = ctx->rx_queue_index */
		{ .code = BPF_LDX | BPF_W | BPF_MEM, .dst_reg = 2, .src_reg = 1,
		  .off = offsetof(struct xdp_md, rx_queue_index) },
		/* r1 = the map, in two */
		{ .code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = 1, .src_reg = BPF_PSEUDO_MAP_FD,
		  .imm = map },
		{ 0 },
		/* return redirect_map(r1, r2, else pass) */
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 3, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect_map },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int fd;

	check_xdp(map, "map");
	fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "redirect", "GPL", program,
			   sizeof(program) / sizeof(program[0]), NULL);
	check_xdp(fd, "program");
	check_xdp(bpf_xdp_attach(run.ifindex, fd, run.mode->attach, NULL), "attach");
	return map;
}

static void open_socket(const char *interface, int map)
{
	const struct xsk_umem_config memory = {
		.fill_size = RX_CHUNKS, .comp_size = RING, .frame_size = CHUNK,
	};
	const struct xsk_socket_config config = {
		.rx_size = RING, .tx_size = RING,
		.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
		.bind_flags = run.mode->bind | XDP_USE_NEED_WAKEUP,
	};
	size_t size = (size_t)(RX_CHUNKS + TX_CHUNKS) * CHUNK;
	__u32 at;

	run.memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (run.memory == MAP_FAILED)
		fail("mmap");
	for (size_t i = 0; i < size; i += CHUNK)
		write_header(run.memory + i);
	check_xdp(xsk_umem__create(&run.umem, run.memory, size, &run.fill, &run.completion,
				   &memory), "memory");
	/* before the socket: a driver takes its first frames when it is bound */
	if (xsk_ring_prod__reserve(&run.fill, RX_CHUNKS, &at) != RX_CHUNKS)
		fail("fill ring");
	for (unsigned int i = 0; i < RX_CHUNKS; i++)
		*xsk_ring_prod__fill_addr(&run.fill, at + i) = (__u64)i * CHUNK;
	xsk_ring_prod__submit(&run.fill, RX_CHUNKS);
	check_xdp(xsk_socket__create(&run.socket, interface, 0, run.umem, &run.rx, &run.tx,
				     &config), "socket");
	check_xdp(xsk_socket__update_xskmap(run.socket, map), "update map");
}

/* A driver resets the card for XDP, and the link is down for a while */
static void wait_link(const char *interface)
{
	struct ifreq request = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
	for (int tries = 0; tries < 500; tries++) {
		check(ioctl(fd, SIOCGIFFLAGS, &request), "flags");
		if (request.ifr_flags & IFF_RUNNING) {
			close(fd);
			return;
		}
		rest();
	}
	errno = ETIMEDOUT;
	fail("link");
}

/* Both directions */

static void wake_rx(void)
{
	if (xsk_ring_prod__needs_wakeup(&run.fill))
		recvfrom(xsk_socket__fd(run.socket), NULL, 0, MSG_DONTWAIT, NULL, NULL);
}

static void give_back(const __u64 *chunks, unsigned int n)
{
	__u32 at;

	if (!n)
		return;
	if (xsk_ring_prod__reserve(&run.fill, n, &at) != n)
		fail("fill ring");
	for (unsigned int i = 0; i < n; i++)
		*xsk_ring_prod__fill_addr(&run.fill, at + i) = chunks[i];
	xsk_ring_prod__submit(&run.fill, n);
}

/* Have the kernel send, and take back what has been sent. Return: how many. */
static unsigned int complete(void)
{
	int fd = xsk_socket__fd(run.socket);
	__u64 chunks[MAX_BATCH];
	unsigned int n;
	__u32 at;

	if (xsk_ring_prod__needs_wakeup(&run.tx) &&
	    sendto(fd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 && errno != EAGAIN &&
	    errno != EBUSY && errno != ENOBUFS)
		fail("sendto");
	n = xsk_ring_cons__peek(&run.completion, MAX_BATCH, &at);
	for (unsigned int i = 0; run.forwards && i < n; i++)
		chunks[i] = *xsk_ring_cons__comp_addr(&run.completion, at + i);
	xsk_ring_cons__release(&run.completion, n);
	run.in_flight -= n;
	if (run.forwards)
		give_back(chunks, n);
	return n;
}

/* Reserve places in the transmit ring, for chunks that nobody uses. */
static __u32 reserve_tx(unsigned int n)
{
	struct pollfd room = { .fd = xsk_socket__fd(run.socket), .events = POLLOUT };
	__u32 at;

	while ((!run.forwards && run.in_flight + n > TX_CHUNKS) ||
	       xsk_ring_prod__reserve(&run.tx, n, &at) != n) {
		if (!complete())
			check(poll(&room, 1, 100), "poll");
	}
	return at;
}

static void send_batch(unsigned int n)
{
	xsk_ring_prod__submit(&run.tx, n);
	run.in_flight += n;
	complete();
}

static void receive_loop(void)
{
	__u64 chunks[MAX_BATCH];
	unsigned int n;
	__u32 at;

	do {
		n = xsk_ring_cons__peek(&run.rx, run.batch, &at);
		for (unsigned int i = 0; i < n; i++) {
			__u64 chunk = xsk_ring_cons__rx_desc(&run.rx, at + i)->addr;

			sink = *(unsigned char *)xsk_umem__get_data(run.memory, chunk);
			chunks[i] = chunk;
		}
		xsk_ring_cons__release(&run.rx, n);
		give_back(chunks, n);
		wake_rx();
		if (n < run.batch)
			rest();
	} while (count(n));
}

static void send_loop(void)
{
	__u32 at;

	do {
		at = reserve_tx(run.batch);
		for (unsigned int i = 0; i < run.batch; i++) {
			struct xdp_desc *desc = xsk_ring_prod__tx_desc(&run.tx, at + i);

			desc->addr = (__u64)(RX_CHUNKS + run.next) * CHUNK;
			desc->len = run.len;
			desc->options = 0;
			*(unsigned char *)xsk_umem__get_data(run.memory, desc->addr) = 2;
			run.next = (run.next + 1) % TX_CHUNKS;
		}
		send_batch(run.batch);
	} while (count(run.batch));
}

static void forward_loop(void)
{
	unsigned int n;
	__u32 from, to;

	do {
		n = xsk_ring_cons__peek(&run.rx, run.batch, &from);
		if (n) {
			to = reserve_tx(n);
			for (unsigned int i = 0; i < n; i++) {
				const struct xdp_desc *in = xsk_ring_cons__rx_desc(&run.rx, from + i);
				struct xdp_desc *out = xsk_ring_prod__tx_desc(&run.tx, to + i);

				*out = (struct xdp_desc){ .addr = in->addr, .len = in->len };
			}
			xsk_ring_cons__release(&run.rx, n);
			send_batch(n);
		} else if (run.in_flight) {
			complete();
		}
		wake_rx();
		if (n < run.batch)
			rest();
	} while (count(n));
}

static const struct {
	const char *name;
	void (*loop)(void);
} directions[] = {
	{ "rx", receive_loop },
	{ "tx", send_loop },
	{ "forward", forward_loop },
};

static void go(const char *interface, void (*loop)(void))
{
	run.ifindex = (int)if_nametoindex(interface);
	run.forwards = loop == forward_loop;
	open_socket(interface, attach());
	wait_link(interface);
	ready();
	loop();
	printf("%u\n", progress.done);
	xsk_socket__delete(run.socket);
	xsk_umem__delete(run.umem);
	check_xdp(bpf_xdp_detach(run.ifindex, run.mode->attach, NULL), "detach");
}

int main(int argc, char **argv)
{
	void (*loop)(void) = NULL;

	if (argc != 7) {
		fprintf(stderr, "usage: xdp zero-copy|copy|generic rx|tx|forward IFACE COUNT LEN BATCH\n");
		return 2;
	}
	for (unsigned int i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (!strcmp(modes[i].name, argv[1]))
			run.mode = &modes[i];
	}
	for (unsigned int i = 0; i < sizeof(directions) / sizeof(directions[0]); i++) {
		if (!strcmp(directions[i].name, argv[2]))
			loop = directions[i].loop;
	}
	progress.count = (unsigned int)atoi(argv[4]);
	run.len = (unsigned int)atoi(argv[5]);
	run.batch = (unsigned int)atoi(argv[6]);
	if (!run.mode || !loop || !progress.count || run.batch - 1 >= MAX_BATCH ||
	    run.len > CHUNK)
		return 2;
	go(argv[3], loop);
	return 0;
}
