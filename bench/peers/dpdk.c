// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * DPDK's igb driver, as bench/insn.c does through libntzc: receives, sends or forwards
 * frames in bursts, touching one byte of each.
 *
 * Polled flat out it would take bursts of one from an emulated card, and execute empty polls
 * without end. So frames gather in a pause whenever a burst was not full, as for everybody
 * else; one poll that is not full for each such pause is part of what is counted.
 */
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "progress.h"

#define RING		4096
#define BUFFERS		16383	/* one less than a power of two, as its mempool likes it */
#define CACHE		256

static struct {
	unsigned int len;
	unsigned int batch;
	struct rte_mempool *pool;
} run;

static const uint16_t port;

static void check_dpdk(int ret, const char *what)
{
	if (ret >= 0)
		return;
	errno = -ret;
	fail(what);
}

static void start(const char *card)
{
	char *words[] = {
		"dpdk", "--in-memory", "--no-telemetry", "--iova-mode=pa", "-l", "0", "-m", "256",
		"--log-level=error", "-a", (char *)card,
	};

	check(rte_eal_init(sizeof(words) / sizeof(words[0]), words), "EAL");
	if (!rte_eth_dev_is_valid_port(port)) {
		fprintf(stderr, "dpdk: no driver for %s\n", card);
		exit(1);
	}
}

static void prepare(struct rte_mempool *pool, void *opaque, void *object, unsigned int index)
{
	struct rte_mbuf *buf = object;

	(void)pool;
	(void)opaque;
	(void)index;
	write_header((char *)buf->buf_addr + RTE_PKTMBUF_HEADROOM);
}

static void open_card(unsigned int mtu)
{
	unsigned int room = RTE_PKTMBUF_HEADROOM + (mtu > 1500 ? 10240 : 2048);
	const struct rte_eth_conf conf = { .rxmode.mtu = mtu };
	struct rte_eth_link link = { 0 };
	/* more than both rings hold */
	unsigned int buffers = mtu > 1500 ? BUFFERS / 4 * 3 : BUFFERS;

	run.pool = rte_pktmbuf_pool_create("frames", buffers, CACHE, 0, (uint16_t)room, 0);
	if (!run.pool)
		check_dpdk(-rte_errno, "mempool");
	rte_mempool_obj_iter(run.pool, prepare, NULL);
	check_dpdk(rte_eth_dev_configure(port, 1, 1, &conf), "configure");
	check_dpdk(rte_eth_rx_queue_setup(port, 0, RING, 0, NULL, run.pool), "receive queue");
	check_dpdk(rte_eth_tx_queue_setup(port, 0, RING, 0, NULL), "transmit queue");
	check_dpdk(rte_eth_dev_start(port), "start");
	check_dpdk(rte_eth_promiscuous_enable(port), "promiscuous");
	for (int tries = 0; tries < 500 && !link.link_status; tries++) {
		rest();
		check_dpdk(rte_eth_link_get_nowait(port, &link), "link");
	}
	if (!link.link_status)
		check_dpdk(-ETIMEDOUT, "link");
}

static void receive_loop(void)
{
	struct rte_mbuf *bufs[MAX_BATCH];
	uint16_t n;

	do {
		n = rte_eth_rx_burst(port, 0, bufs, (uint16_t)run.batch);
		for (uint16_t i = 0; i < n; i++)
			sink = *rte_pktmbuf_mtod(bufs[i], unsigned char *);
		rte_pktmbuf_free_bulk(bufs, n);
		if (n < run.batch)
			rest();
	} while (count(n));
}

static void send_all(struct rte_mbuf **bufs, uint16_t n)
{
	for (uint16_t done = 0; done < n;)
		done += rte_eth_tx_burst(port, 0, bufs + done, (uint16_t)(n - done));
}

static void send_loop(void)
{
	struct rte_mbuf *bufs[MAX_BATCH];

	do {
		check_dpdk(rte_pktmbuf_alloc_bulk(run.pool, bufs, run.batch), "buffers");
		for (unsigned int i = 0; i < run.batch; i++) {
			*rte_pktmbuf_mtod(bufs[i], unsigned char *) = 2;
			bufs[i]->data_len = (uint16_t)run.len;
			bufs[i]->pkt_len = run.len;
		}
		send_all(bufs, (uint16_t)run.batch);
	} while (count(run.batch));
}

static void forward_loop(void)
{
	struct rte_mbuf *bufs[MAX_BATCH];
	uint16_t n;

	do {
		n = rte_eth_rx_burst(port, 0, bufs, (uint16_t)run.batch);
		send_all(bufs, n);
		if (n < run.batch)
			rest();
	} while (count(n));
}

int main(int argc, char **argv)
{
	if (argc != 6) {
		fprintf(stderr, "usage: dpdk rx|tx|forward PCI-ADDRESS COUNT LEN BATCH\n");
		return 2;
	}
	progress.count = (unsigned int)atoi(argv[3]);
	run.len = (unsigned int)atoi(argv[4]);
	run.batch = (unsigned int)atoi(argv[5]);
	if (!progress.count || run.batch - 1 >= MAX_BATCH || run.len > MAX_FRAME)
		return 2;
	start(argv[2]);
	open_card(run.len > 1514 ? run.len - 14 : 1500);
	ready();
	if (argv[1][0] == 'r')
		receive_loop();
	else if (argv[1][0] == 't')
		send_loop();
	else
		forward_loop();
	printf("%u\n", progress.done);
	check_dpdk(rte_eth_dev_stop(port), "stop");
	rte_eal_cleanup();
	return 0;
}
