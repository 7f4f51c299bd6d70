// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Arguments in memory. What a call is given ends where a page ends that nothing follows, so
 * that a kernel which copies too much fails; the imp writes into all of it meanwhile.
 */
#include <linux/bpf.h>
#include <linux/filter.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fuzz.h"

enum { PAGE = 4096, ROOM = 8 * PAGE };

static char *arena;	/* ROOM bytes, then a page that is not there */
static char *read_only;

void args_open(void)
{
	arena = mmap(NULL, ROOM + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	read_only = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(arena + ROOM, PAGE);
}

static void *args_bad_address(struct args *a, size_t len)
{
	switch (rng_below(&a->rng, 7)) {
	case 0:
		return NULL;
	case 1:
		return (void *)0xffff888000100000;	/* the kernel's */
	case 2:
		return (void *)0x00007ffffffff000;	/* the last page of user space, and after */
	case 3:
		return (void *)0xdead000000000000;	/* not canonical */
	case 4:
		return arena + ROOM;
	case 5:
		return read_only;
	default:
		return arena + ROOM - rng_below(&a->rng, (uint32_t)len);	/* ends too early */
	}
}

void *args_room(struct args *a, size_t len)
{
	if (len > ROOM)
		len = ROOM;
	if (a->mode & MODE_ADDRESS && len)
		return args_bad_address(a, len);
	return arena + ROOM - len;
}

void *args_put(struct args *a, const void *data, size_t len)
{
	char *to = arena + ROOM - len;
	unsigned int i, n = a->mode & MODE_BROKEN && len ? 1 + rng_below(&a->rng, 3) : 0;

	memcpy(to, data, len);
	for (i = 0; i < n; i++)
		to[rng_below(&a->rng, (uint32_t)len)] = (char)rng_next(&a->rng);
	return args_room(a, len);
}

void args_spoil(struct rng *rng)
{
	/* most calls use little of it, at its end */
	uint32_t back = rng_one_in(rng, 4) ? ROOM : 256;

	arena[ROOM - 1 - rng_below(rng, back)] = (char)rng_next(rng);
}

uint32_t args_number(struct args *a)
{
	static const uint32_t turns[] = {
		0, 1, 2, 13, 14, 59, 60, 64, 1514, 1518, 2047, 2048, 4096, 0xffff, 0x10000, 0xfffff,
		0x100000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff,
	};

	if (rng_one_in(&a->rng, 4))
		return (uint32_t)rng_next(&a->rng);
	return turns[rng_below(&a->rng, sizeof(turns) / sizeof(turns[0]))];
}

void args_name(struct args *a, char *name)
{
	memset(name, 0, NTZC_NAME_LEN);
	if (a->mode & MODE_WILD)
		memset(name, rng_one_in(&a->rng, 2) ? 'x' : 0, NTZC_NAME_LEN);
	else
		memcpy(name, cards[rng_below(&a->rng, n_cards)], NTZC_NAME_LEN);
}

void args_attach(struct args *a, struct ntzc_attach *out)
{
	static const uint32_t rings[] = { 0, 0, 1, 2, 64, 256, 1024 };
	static const uint32_t quotas[] = { 0, 0, 1, 8, 64, 512 };
	struct rng *rng = &a->rng;

	*out = (struct ntzc_attach){
		.flags = rng_below(rng, 4),
		.queues = rng_one_in(rng, 3) ? rng_next(rng) & 0xff : 0,
		.ring_size = rings[rng_below(rng, 7)],
		.quota = quotas[rng_below(rng, 6)],
		.fanout = rng_one_in(rng, 3) ? 1 + rng_below(rng, 2) : 0,
		.clock = rng_below(rng, 3),
		.busy_poll_us = rng_one_in(rng, 8) ? rng_below(rng, 200) : 0,
	};
	args_name(a, out->name);
	if (!(a->mode & MODE_WILD))
		return;
	out->ring_size = args_number(a);
	out->quota = args_number(a);
	out->desc_size = args_number(a);
	out->busy_poll_us = rng_below(rng, 20000);
	out->queues = rng_next(rng);
	out->clock = args_number(a);
}

static int filter_ebpf(struct args *a)
{
	/* r0 = a number; exit */
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = (int)rng_below(&a->rng, 2) },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr = {
		.prog_type = rng_one_in(&a->rng, 4) ? BPF_PROG_TYPE_XDP
						    : BPF_PROG_TYPE_SOCKET_FILTER,
		.insns = (uintptr_t)insns,
		.insn_cnt = 2,
		.license = (uintptr_t)"GPL",
	};

	return (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
}

/* A short classic program: often one that the verifier takes */
static uint32_t filter_classic(struct args *a, struct sock_filter *insns)
{
	static const uint16_t codes[] = {
		BPF_LD | BPF_B | BPF_ABS, BPF_LD | BPF_H | BPF_ABS, BPF_LD | BPF_W | BPF_ABS,
		BPF_LD | BPF_H | BPF_IND, BPF_LDX | BPF_B | BPF_MSH, BPF_ALU | BPF_ADD | BPF_X,
		BPF_ALU | BPF_AND | BPF_K, BPF_ALU | BPF_DIV | BPF_X, BPF_ST, BPF_LD | BPF_MEM,
		BPF_LD | BPF_W | BPF_LEN, BPF_MISC | BPF_TAX, BPF_JMP | BPF_JEQ | BPF_K,
	};
	struct rng *rng = &a->rng;
	uint32_t i, n = 1 + rng_below(rng, 12);

	for (i = 0; i < n - 1; i++) {
		insns[i].code = codes[rng_below(rng, sizeof(codes) / sizeof(codes[0]))];
		insns[i].k = BPF_CLASS(insns[i].code) == BPF_ST ? rng_below(rng, 16)
								: rng_below(rng, 80);
		insns[i].jt = (uint8_t)rng_below(rng, n - 1 - i);
		insns[i].jf = (uint8_t)rng_below(rng, n - 1 - i);
		if (a->mode & MODE_WILD)
			insns[i].k = args_number(a);
	}
	insns[n - 1] = (struct sock_filter){
		.code = rng_one_in(rng, 4) ? BPF_RET | BPF_A : BPF_RET | BPF_K,
		.k = rng_below(rng, 2) * 0xffff,
	};
	return n;
}

void args_filter(struct args *a, struct ntzc_filter *out)
{
	static struct sock_filter insns[16];

	*out = (struct ntzc_filter){ .kind = rng_below(&a->rng, 3), .fd = -1 };
	if (out->kind == NTZC_FILTER_CLASSIC) {
		out->len = filter_classic(a, insns);
		out->insns = (uintptr_t)insns;
		out->fd = 0;
		if (a->mode & MODE_WILD)
			out->len = rng_one_in(&a->rng, 2) ? 4096 : args_number(a);
		if (a->mode & MODE_ADDRESS)
			out->insns = (uintptr_t)args_bad_address(a, 64);
	} else if (out->kind == NTZC_FILTER_EBPF) {
		out->fd = a->mode & MODE_WILD ? (int)args_number(a) : filter_ebpf(a);
	} else {
		out->fd = 0;
	}
}

void args_tx_setup(struct args *a, struct ntzc_tx_setup *out)
{
	static const uint32_t bufs[] = { 0, 1, 2, 15, 16, 64, 200 };

	*out = (struct ntzc_tx_setup){
		.n_bufs = bufs[rng_below(&a->rng, 7)],
		.buf_size = rng_one_in(&a->rng, 3) ? 2048u << rng_below(&a->rng, 4) : 0,
		.flags = rng_below(&a->rng, 2),
	};
	if (a->mode & MODE_WILD) {
		out->n_bufs = args_number(a);
		out->buf_size = rng_one_in(&a->rng, 2) ? 0 : args_number(a);
	}
}
