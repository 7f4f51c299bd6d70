// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every call of the ABI with its first, second, ... allocation or copy failing, until it gets
 * through: failnth CARD OTHER. Frames must be coming in on CARD.
 *
 * Prints a line for each try: the call, N, its errno or 0, and whether something failed at
 * all. Each try starts with a tap of its own; what it left behind is for the caller to see.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ntzc.h"

enum { PAGE = 4096, MAX_N = 2000, FRAMES = 8 };

static const char *card, *other;
static int fd, nth;
static int ebpf;
static struct ntzc_attach attached;
static struct ntzc_tx_setup tx;
static struct ntzc_desc descs[FRAMES];
static uint32_t n_descs;

static void die(const char *what)
{
	fprintf(stderr, "failnth: %s: %s\n", what, strerror(errno));
	exit(2);
}

static uint32_t port_id(void)
{
	struct ntzc_port_info info = { .id = 0 };

	while (!ioctl(fd, NTZC_IOC_PORT_INFO, &info)) {
		if (!strcmp(info.name, card))
			return info.id;
		info.id++;
		memset(info.reserved, 0, sizeof(info.reserved));
	}
	die("no such port");
	return 0;
}

/* What is there before a call is tried; each is done by those that need more */

static void have_nothing(void)
{
	fd = -1;
}

static void have_file(void)
{
	fd = open(NTZC_DEVICE, O_RDWR | O_NONBLOCK);
	if (fd < 0)
		die("open");
}

static int do_attach(void)
{
	memset(&attached, 0, sizeof(attached));
	strncpy(attached.name, card, sizeof(attached.name) - 1);
	attached.flags = NTZC_ATTACH_PROMISC | NTZC_ATTACH_HOST;
	attached.fanout = 7;
	return ioctl(fd, NTZC_IOC_ATTACH, &attached);
}

static void have_tap(void)
{
	have_file();
	if (do_attach())
		die("ATTACH");
}

static int do_tx_setup(void)
{
	tx = (struct ntzc_tx_setup){ .n_bufs = 64 };
	return ioctl(fd, NTZC_IOC_TX_SETUP, &tx);
}

static int do_tx_setup_rings(void)
{
	tx = (struct ntzc_tx_setup){ .n_bufs = 64, .flags = NTZC_TX_RINGS };
	return ioctl(fd, NTZC_IOC_TX_SETUP, &tx);
}

static void have_tx_rings(void)
{
	have_tap();
	if (do_tx_setup_rings())
		die("TX_SETUP");
}

static void have_tx(void)
{
	have_tap();
	if (do_tx_setup())
		die("TX_SETUP");
}

static int do_batch(unsigned long cmd)
{
	struct ntzc_tx_batch batch = { .descs = (uintptr_t)descs, .count = n_descs };

	return ioctl(fd, cmd, &batch) < 0 ? -1 : 0;
}

static int do_reserve(void)
{
	memset(descs, 0, sizeof(descs));
	n_descs = FRAMES;
	return do_batch(NTZC_IOC_TX_RESERVE);
}

static void have_reserved(void)
{
	unsigned int i;

	have_tx();
	if (do_reserve())
		die("TX_RESERVE");
	for (i = 0; i < n_descs; i++)
		descs[i].len = 60;
}

static int do_target(void)
{
	struct ntzc_tx_target target = { .flags = 0 };

	strncpy(target.name, other, sizeof(target.name) - 1);
	return ioctl(fd, NTZC_IOC_TX_TARGET, &target);
}

static void have_target_alone(void)
{
	have_tap();
	if (do_target())
		die("TX_TARGET");
}

static void have_target(void)
{
	have_tx();
	if (do_target())
		die("TX_TARGET");
}

static void have_waiting(void)
{
	struct pollfd one = { .events = POLLIN };

	have_tx();
	one.fd = fd;
	if (poll(&one, 1, 60000) != 1)
		die("no frame came");
}

static int do_read(void)
{
	ssize_t n = read(fd, descs, sizeof(descs));

	n_descs = n > 0 ? (uint32_t)n / sizeof(descs[0]) : 0;
	return n < 0 ? -1 : 0;
}

static void have_frames(void)
{
	unsigned int i;

	have_waiting();
	if (do_read() || !n_descs)
		die("read");
	for (i = 0; i < n_descs; i++) {
		struct ntzc_desc sent = {
			.handle = descs[i].handle, .offset = descs[i].offset, .len = descs[i].len
		};

		descs[i] = sent;
	}
}

/* The calls */

static int do_open(void)
{
	fd = open(NTZC_DEVICE, O_RDWR | O_NONBLOCK);
	return fd < 0 ? -1 : 0;
}

static int do_query(void)
{
	struct ntzc_query query;

	return ioctl(fd, NTZC_IOC_QUERY, &query);
}

static uint32_t id;

static void have_id(void)
{
	have_file();
	id = port_id();
}

static void have_tap_and_id(void)
{
	have_tap();
	id = port_id();
}

static int do_port_info(void)
{
	struct ntzc_port_info info = { .id = id };

	return ioctl(fd, NTZC_IOC_PORT_INFO, &info);
}

static int do_port_stats(void)
{
	struct ntzc_port_stats st = { .id = id };

	return ioctl(fd, NTZC_IOC_PORT_STATS, &st);
}

static int do_port_config(void)
{
	struct ntzc_port_config cfg = { .id = id };

	return ioctl(fd, NTZC_IOC_PORT_CONFIG, &cfg);
}

static int do_port_policy(void)
{
	struct ntzc_port_policy policy = { .id = id, .set = NTZC_POLICY_STACK };

	return ioctl(fd, NTZC_IOC_PORT_POLICY, &policy);
}

static int do_tap_info(void)
{
	struct ntzc_tap_info info = { .port_id = id };

	return ioctl(fd, NTZC_IOC_TAP_INFO, &info);
}

static int do_tap_stats(void)
{
	struct ntzc_tap_stats st;

	return ioctl(fd, NTZC_IOC_TAP_STATS, &st);
}

static int do_filter_classic(void)
{
	struct sock_filter insns[] = {
		{ BPF_LD | BPF_H | BPF_ABS, 0, 0, 12 }, { BPF_RET | BPF_K, 0, 0, 0xffff },
	};
	struct ntzc_filter filter = {
		.kind = NTZC_FILTER_CLASSIC, .len = 2, .insns = (uintptr_t)insns
	};

	return ioctl(fd, NTZC_IOC_FILTER, &filter);
}

static int do_filter_ebpf(void)
{
	struct ntzc_filter filter = { .kind = NTZC_FILTER_EBPF, .fd = ebpf };

	return ioctl(fd, NTZC_IOC_FILTER, &filter);
}

static int do_submit(void)
{
	return do_batch(NTZC_IOC_TX_SUBMIT);
}

static int do_submit_across(void)
{
	unsigned int i;

	for (i = 0; i < n_descs; i++)
		descs[i].queue = 1;
	return do_submit();
}

static void have_frames_and_target(void)
{
	have_frames();
	if (do_target())
		die("TX_TARGET");
}

static int do_drain(void)
{
	/* EAGAIN is an answer */
	return ioctl(fd, NTZC_IOC_TX_DRAIN) && errno != EAGAIN ? -1 : 0;
}

static int do_kick(void)
{
	return ioctl(fd, NTZC_IOC_KICK);
}

static int do_write(void)
{
	uint32_t handles[FRAMES], i;

	for (i = 0; i < n_descs; i++)
		handles[i] = descs[i].handle;
	return write(fd, handles, n_descs * sizeof(handles[0])) < 0 ? -1 : 0;
}

static int do_readv(void)
{
	struct iovec iov[2] = { { descs, 32 }, { descs + 1, 32 } };

	return readv(fd, iov, 2) < 0 ? -1 : 0;
}

static int do_poll(void)
{
	struct pollfd one = { .fd = fd, .events = POLLIN };

	return poll(&one, 1, 0) < 0 ? -1 : 0;
}

static int map_all(uint64_t offset, size_t len, int prot)
{
	void *at = mmap(NULL, len, prot, MAP_SHARED | MAP_POPULATE, fd, (off_t)offset);

	if (at == MAP_FAILED)
		return -1;
	munmap(at, len);
	return 0;
}

static int do_map_rx(void)
{
	return map_all(NTZC_MMAP_RX, attached.rx_bytes, PROT_READ);
}

static int do_map_tx(void)
{
	return map_all(NTZC_MMAP_TX, tx.tx_bytes, PROT_READ | PROT_WRITE);
}

static int do_map_rings(void)
{
	return map_all(NTZC_MMAP_RX_RINGS, attached.rings_bytes, PROT_READ | PROT_WRITE);
}

static int do_map_tx_rings(void)
{
	return map_all(NTZC_MMAP_TX_RINGS, tx.rings_bytes, PROT_READ | PROT_WRITE);
}

static int do_close(void)
{
	int was = fd;

	fd = -1;
	return close(was);
}

static const struct {
	const char *name;
	void (*have)(void);
	int (*call)(void);
} calls[] = {
	{ "open", have_nothing, do_open },
	{ "QUERY", have_file, do_query },
	{ "PORT_INFO", have_id, do_port_info },
	{ "PORT_STATS", have_id, do_port_stats },
	{ "PORT_CONFIG", have_id, do_port_config },
	{ "PORT_POLICY", have_id, do_port_policy },
	{ "TAP_INFO", have_tap_and_id, do_tap_info },
	{ "ATTACH", have_file, do_attach },
	{ "TAP_STATS", have_tap, do_tap_stats },
	{ "FILTER classic", have_tap, do_filter_classic },
	{ "FILTER eBPF", have_tap, do_filter_ebpf },
	{ "TX_SETUP", have_tap, do_tx_setup },
	{ "TX_SETUP rings", have_tap, do_tx_setup_rings },
	{ "TX_SETUP after TX_TARGET", have_target_alone, do_tx_setup_rings },
	{ "TX_RESERVE", have_tx, do_reserve },
	{ "TX_SUBMIT", have_reserved, do_submit },
	{ "TX_SUBMIT received", have_frames, do_submit },
	{ "TX_SUBMIT received across", have_frames_and_target, do_submit_across },
	{ "TX_TARGET", have_tx, do_target },
	{ "TX_DRAIN", have_target, do_drain },
	{ "KICK", have_tx, do_kick },
	{ "read", have_waiting, do_read },
	{ "readv", have_waiting, do_readv },
	{ "write", have_frames, do_write },
	{ "poll", have_tap, do_poll },
	{ "mmap receive memory", have_tap, do_map_rx },
	{ "mmap transmit memory", have_tx, do_map_tx },
	{ "mmap receive rings", have_tap, do_map_rings },
	{ "mmap transmit rings", have_tx_rings, do_map_tx_rings },
	{ "close", have_frames_and_target, do_close },
};

static void arm(int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", n);

	/* to disarm is a copy, too, which may be the one that fails */
	if (pwrite(nth, text, (size_t)len, 0) != len && pwrite(nth, text, (size_t)len, 0) != len)
		die("fail-nth");
}

/* Return: whether what was armed has happened; disarms */
static int happened(void)
{
	char text[16] = "";
	ssize_t n = pread(nth, text, sizeof(text) - 1, 0);

	arm(0);
	/* if it failed, the call before it did not */
	return n > 0 && !atoi(text);
}

static int try(unsigned int i, int n)
{
	int err, failed;

	calls[i].have();
	arm(n);
	err = calls[i].call() ? errno : 0;
	failed = happened();
	printf("%s|%d|%d|%d\n", calls[i].name, n, err, failed);
	if (fd >= 0)
		close(fd);
	return failed;
}

static int load_ebpf(void)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
		.insns = (uintptr_t)insns,
		.insn_cnt = 2,
		.license = (uintptr_t)"GPL",
	};

	return (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
}

int main(int argc, char **argv)
{
	unsigned int i;
	int n;

	if (argc != 3)
		return 2;
	card = argv[1];
	other = argv[2];
	nth = open("/proc/self/fail-nth", O_RDWR);
	ebpf = load_ebpf();
	if (nth < 0 || ebpf < 0)
		die("setup");
	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		for (n = 1; try(i, n) && n < MAX_N; n++)
			;
		fflush(stdout);
	}
	return 0;
}
