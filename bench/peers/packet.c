// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a program has without NTZC, over any driver: receives or sends frames through
 * packet sockets or libpcap, as bench/insn.c does through libntzc. Receiving touches one
 * byte of each frame; frames gather in a pause whenever a batch was not full.
 *
 * Each is set up as its documentation advises: the mapped rings of packet(7) in blocks
 * (TPACKET_V3) with a poll(2) per block; transmit with PACKET_QDISC_BYPASS, a ring's worth of
 * frames before each send(2); libpcap with a buffer of 8 MiB and pcap_dispatch().
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "progress.h"

#define RCVBUF		(16 << 20)
#define BLOCK		(1u << 18)
#define BLOCKS		32
#define RETIRE_MS	60
#define TX_SLOTS	2048

static struct {
	unsigned int len;
	unsigned int batch;
	int fd;
	unsigned char *ring;
	unsigned int block;	/* of the receive ring, or frame of the transmit ring: next */
	unsigned int slot;	/* bytes of one of the transmit ring */
	pcap_t *pcap;
} run;

static struct mmsghdr messages[MAX_BATCH];
static struct iovec pieces[MAX_BATCH];
static unsigned char frames[MAX_BATCH][MAX_FRAME];

static void set(int level, int name, const void *value, socklen_t size, const char *what)
{
	check(setsockopt(run.fd, level, name, value, size), what);
}

static void open_socket(const char *interface, int protocol)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(protocol),
		.sll_ifindex = (int)if_nametoindex(interface),
	};
	struct packet_mreq promisc = {
		.mr_ifindex = address.sll_ifindex,
		.mr_type = PACKET_MR_PROMISC,
	};
	int size = RCVBUF;

	run.fd = socket(AF_PACKET, SOCK_RAW, 0);
	check(run.fd, "socket");
	if (protocol) {
		set(SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size), "SO_RCVBUFFORCE");
		set(SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promisc, sizeof(promisc), "promiscuous");
	}
	check(bind(run.fd, (struct sockaddr *)&address, sizeof(address)), "bind");
}

static void bypass_qdisc(void)
{
	int one = 1;

	set(SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one), "PACKET_QDISC_BYPASS");
}

/* recv(2): one call a frame */

static void open_rx(const char *interface)
{
	open_socket(interface, ETH_P_ALL);
}

static void recv_loop(void)
{
	unsigned int n = 0;

	do {
		if (recv(run.fd, frames[0], MAX_FRAME, MSG_DONTWAIT) < 0) {
			if (errno != EAGAIN)
				fail("recv");
			rest();
			n = 0;
			continue;
		}
		sink = frames[0][0];
		n = 1;
	} while (count(n));
}

/* recvmmsg(2): one call a batch */

static void fill_messages(size_t len)
{
	for (unsigned int i = 0; i < run.batch; i++) {
		pieces[i] = (struct iovec){ .iov_base = frames[i], .iov_len = len };
		messages[i].msg_hdr = (struct msghdr){ .msg_iov = &pieces[i], .msg_iovlen = 1 };
	}
}

static void open_recvmmsg(const char *interface)
{
	open_socket(interface, ETH_P_ALL);
	fill_messages(MAX_FRAME);
}

static void recvmmsg_loop(void)
{
	int n;

	do {
		n = recvmmsg(run.fd, messages, run.batch, MSG_DONTWAIT, NULL);
		if (n < 0 && errno != EAGAIN)
			fail("recvmmsg");
		n = n < 0 ? 0 : n;
		for (int i = 0; i < n; i++)
			sink = frames[i][0];
		if ((unsigned int)n < run.batch)
			rest();
	} while (count((unsigned int)n));
}

/* TPACKET_V3: blocks of frames in shared memory */

static void open_tpacket(const char *interface)
{
	struct tpacket_req3 req = {
		.tp_block_size = BLOCK, .tp_block_nr = BLOCKS,
		.tp_frame_size = 2048, .tp_frame_nr = BLOCK / 2048 * BLOCKS,
		.tp_retire_blk_tov = RETIRE_MS,
	};
	int version = TPACKET_V3;

	open_socket(interface, ETH_P_ALL);
	set(SOL_PACKET, PACKET_VERSION, &version, sizeof(version), "PACKET_VERSION");
	set(SOL_PACKET, PACKET_RX_RING, &req, sizeof(req), "PACKET_RX_RING");
	run.ring = mmap(NULL, (size_t)BLOCK * BLOCKS, PROT_READ | PROT_WRITE, MAP_SHARED, run.fd,
			0);
	if (run.ring == MAP_FAILED)
		fail("mmap");
}

static void tpacket_loop(void)
{
	struct pollfd ready = { .fd = run.fd, .events = POLLIN };
	unsigned int n;

	do {
		struct tpacket_block_desc *block = (void *)(run.ring + (size_t)run.block * BLOCK);
		struct tpacket_hdr_v1 *head = &block->hdr.bh1;
		const unsigned char *at;

		n = 0;
		if (!(__atomic_load_n(&head->block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER)) {
			check(poll(&ready, 1, -1), "poll");
			continue;
		}
		at = (unsigned char *)block + head->offset_to_first_pkt;
		for (n = 0; n < head->num_pkts; n++) {
			const struct tpacket3_hdr *frame = (const void *)at;

			sink = at[frame->tp_mac];
			at += frame->tp_next_offset;
		}
		__atomic_store_n(&head->block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
		run.block = (run.block + 1) % BLOCKS;
	} while (count(n));
}

/* libpcap */

static void open_pcap(const char *interface)
{
	char error[PCAP_ERRBUF_SIZE];

	run.pcap = pcap_create(interface, error);
	if (!run.pcap || pcap_set_promisc(run.pcap, 1) || pcap_set_timeout(run.pcap, RETIRE_MS) ||
	    pcap_set_snaplen(run.pcap, 65535) || pcap_set_buffer_size(run.pcap, 8 << 20) ||
	    pcap_activate(run.pcap) < 0) {
		fprintf(stderr, "packet: libpcap: %s\n", run.pcap ? pcap_geterr(run.pcap) : error);
		exit(1);
	}
}

static void pcap_frame(unsigned char *unused, const struct pcap_pkthdr *head,
		       const unsigned char *bytes)
{
	(void)unused;
	(void)head;
	sink = bytes[0];
}

static void pcap_loop_(void)
{
	int n;

	do {
		n = pcap_dispatch(run.pcap, (int)run.batch, pcap_frame, NULL);
		if (n < 0) {
			fprintf(stderr, "packet: pcap_dispatch: %s\n", pcap_geterr(run.pcap));
			exit(1);
		}
	} while (count((unsigned int)n));
}

/* A frame to send, in each buffer */

static void fill_frames(void)
{
	for (unsigned int i = 0; i < MAX_BATCH; i++)
		write_header(frames[i]);
}

static void open_tx(const char *interface)
{
	open_socket(interface, 0);
	bypass_qdisc();
	fill_frames();
	fill_messages(run.len);
}

/* The card's ring is full: packet sockets that bypass the queue say so with ENOBUFS */
static int full(void)
{
	if (errno != ENOBUFS && errno != EAGAIN)
		fail("send");
	rest();
	return 0;
}

static void send_loop(void)
{
	int n;

	do {
		frames[0][0] = 2;
		n = send(run.fd, frames[0], run.len, 0) < 0 ? full() : 1;
	} while (count((unsigned int)n));
}

static void sendmmsg_loop(void)
{
	int n;

	do {
		for (unsigned int i = 0; i < run.batch; i++)
			frames[i][0] = 2;
		n = sendmmsg(run.fd, messages, run.batch, 0);
		n = n < 0 ? full() : n;
	} while (count((unsigned int)n));
}

/* PACKET_TX_RING */

static void open_txring(const char *interface)
{
	struct tpacket_req req = { .tp_frame_nr = TX_SLOTS };
	int version = TPACKET_V2;

	run.slot = 2048;
	while (run.slot < run.len + TPACKET2_HDRLEN)
		run.slot *= 2;
	req.tp_frame_size = run.slot;
	req.tp_block_size = run.slot * 16;
	req.tp_block_nr = TX_SLOTS / 16;
	open_socket(interface, 0);
	bypass_qdisc();
	set(SOL_PACKET, PACKET_VERSION, &version, sizeof(version), "PACKET_VERSION");
	set(SOL_PACKET, PACKET_TX_RING, &req, sizeof(req), "PACKET_TX_RING");
	run.ring = mmap(NULL, (size_t)run.slot * TX_SLOTS, PROT_READ | PROT_WRITE, MAP_SHARED,
			run.fd, 0);
	if (run.ring == MAP_FAILED)
		fail("mmap");
	for (unsigned int i = 0; i < TX_SLOTS; i++)
		write_header(run.ring + (size_t)i * run.slot + TPACKET2_HDRLEN -
			     sizeof(struct sockaddr_ll));
}

static void txring_loop(void)
{
	struct pollfd ready = { .fd = run.fd, .events = POLLOUT };
	unsigned int n;

	do {
		for (n = 0; n < run.batch; n++) {
			struct tpacket2_hdr *head = (void *)(run.ring + (size_t)run.block * run.slot);
			unsigned char *bytes = (unsigned char *)head + TPACKET2_HDRLEN -
					       sizeof(struct sockaddr_ll);

			if (__atomic_load_n(&head->tp_status, __ATOMIC_ACQUIRE) !=
			    TP_STATUS_AVAILABLE)
				break;
			bytes[0] = 2;
			head->tp_len = run.len;
			__atomic_store_n(&head->tp_status, TP_STATUS_SEND_REQUEST,
					 __ATOMIC_RELEASE);
			run.block = (run.block + 1) % TX_SLOTS;
		}
		if (send(run.fd, NULL, 0, MSG_DONTWAIT) < 0 && errno != EAGAIN && errno != ENOBUFS)
			fail("send");
		if (!n)
			check(poll(&ready, 1, 100), "poll");
	} while (count(n));
}

static void open_inject(const char *interface)
{
	/* it only sends: what it would also see of that must not cost it anything */
	struct bpf_insn nothing = BPF_STMT(BPF_RET | BPF_K, 0);
	struct bpf_program filter = { .bf_len = 1, .bf_insns = &nothing };

	open_pcap(interface);
	if (pcap_setfilter(run.pcap, &filter))
		fail("pcap_setfilter");
	fill_frames();
}

static void inject_loop(void)
{
	int n;

	do {
		frames[0][0] = 2;
		n = pcap_inject(run.pcap, frames[0], run.len) < 0 ? full() : 1;
	} while (count((unsigned int)n));
}

static const struct {
	const char *name;
	void (*open)(const char *interface);
	void (*loop)(void);
} ways[] = {
	{ "recv", open_rx, recv_loop },
	{ "recvmmsg", open_recvmmsg, recvmmsg_loop },
	{ "tpacket-v3", open_tpacket, tpacket_loop },
	{ "libpcap", open_pcap, pcap_loop_ },
	{ "send", open_tx, send_loop },
	{ "sendmmsg", open_tx, sendmmsg_loop },
	{ "packet-tx-ring", open_txring, txring_loop },
	{ "pcap-inject", open_inject, inject_loop },
};

int main(int argc, char **argv)
{
	if (argc != 6) {
		fprintf(stderr, "usage: packet WAY IFACE COUNT LEN BATCH\n");
		return 2;
	}
	progress.count = (unsigned int)atoi(argv[3]);
	run.len = (unsigned int)atoi(argv[4]);
	run.batch = (unsigned int)atoi(argv[5]);
	if (!progress.count || run.batch - 1 >= MAX_BATCH || run.len > MAX_FRAME)
		return 2;
	for (unsigned int i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (strcmp(ways[i].name, argv[1]))
			continue;
		ways[i].open(argv[2]);
		ready();
		ways[i].loop();
		printf("%u\n", progress.done);
		return 0;
	}
	fprintf(stderr, "packet: no way '%s'\n", argv[1]);
	return 2;
}
