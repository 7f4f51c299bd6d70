// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Filters and flows: classic BPF, checked and run as its documentation says
 * (Documentation/networking/filter.rst), without Linux's extensions; and
 * flows that are told apart by their Ethernet addresses.
 */
#include "shim.h"

struct bpf_prog {
	unsigned int len;
	struct sock_filter insn[];
};

/* ---- whether a program is one ---- */

static bool load_is_good(const struct sock_filter *f)
{
	switch (BPF_MODE(f->code)) {
	case BPF_IMM:
	case BPF_LEN:
		return BPF_SIZE(f->code) == BPF_W;
	case BPF_MEM:
		return BPF_SIZE(f->code) == BPF_W && f->k < BPF_MEMWORDS;
	case BPF_ABS:
	case BPF_IND:
		return BPF_CLASS(f->code) == BPF_LD && BPF_SIZE(f->code) <= BPF_B;
	case BPF_MSH:
		return BPF_CLASS(f->code) == BPF_LDX && BPF_SIZE(f->code) == BPF_B;
	default:
		return false;
	}
}

static bool alu_is_good(const struct sock_filter *f)
{
	unsigned int op = BPF_OP(f->code);

	if (op > BPF_XOR)
		return false;
	return !(BPF_SRC(f->code) == BPF_K && (op == BPF_DIV || op == BPF_MOD) && !f->k);
}

static bool insn_is_good(const struct sock_filter *f, unsigned int left)
{
	if (f->code > 0xff)
		return false;
	switch (BPF_CLASS(f->code)) {
	case BPF_LD:
	case BPF_LDX:
		return load_is_good(f);
	case BPF_ST:
	case BPF_STX:
		return f->k < BPF_MEMWORDS;
	case BPF_ALU:
		return alu_is_good(f);
	case BPF_JMP:
		if (BPF_OP(f->code) == BPF_JA)
			return f->k < left;
		return BPF_OP(f->code) <= BPF_JSET && f->jt < left && f->jf < left;
	case BPF_MISC:
		return BPF_MISCOP(f->code) == BPF_TAX || BPF_MISCOP(f->code) == BPF_TXA;
	default:
		return BPF_RVAL(f->code) <= BPF_A;
	}
}

static struct bpf_prog *make(const struct sock_filter *insn, unsigned int len)
{
	struct bpf_prog *prog = kzalloc(sizeof(*prog) + len * sizeof(*insn), GFP_KERNEL);

	if (!prog)
		return NULL;
	prog->len = len;
	memcpy(prog->insn, insn, len * sizeof(*insn));
	return prog;
}

int bpf_prog_create_from_user(struct bpf_prog **out, struct sock_fprog *fprog,
			      int (*trans)(struct sock_filter *, unsigned int), bool save_orig)
{
	struct sock_filter insn[BPF_MAXINSNS];
	unsigned int i;

	(void)trans, (void)save_orig;
	if (copy_from_user(insn, fprog->filter, fprog->len * sizeof(*insn)))
		return -EFAULT;
	for (i = 0; i < fprog->len; i++)
		if (!insn_is_good(&insn[i], fprog->len - 1 - i))
			return -EINVAL;
	if (BPF_CLASS(insn[fprog->len - 1].code) != BPF_RET)
		return -EINVAL;
	*out = make(insn, fprog->len);
	return *out ? 0 : -ENOMEM;
}

/* Two programs that were loaded by other means: of the right type, and of another */
struct bpf_prog *bpf_prog_get_type(u32 fd, enum bpf_prog_type type)
{
	static const struct sock_filter longer_than_64[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 64, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};

	if (fd != SHIM_EBPF && fd != SHIM_EBPF_OTHER)
		return ERR_PTR(-EBADF);
	if (fd == SHIM_EBPF_OTHER || type != BPF_PROG_TYPE_SOCKET_FILTER)
		return ERR_PTR(-EINVAL);
	return make(longer_than_64, ARRAY_SIZE(longer_than_64)) ?: ERR_PTR(-ENOMEM);
}

void bpf_prog_destroy(struct bpf_prog *prog)
{
	shim_might_sleep("bpf_prog_destroy");
	kfree(prog);
}

/* ---- running it ---- */

struct machine {
	const struct sk_buff *skb;
	u32 a, x, mem[BPF_MEMWORDS];
	bool outside;
};

static u32 bytes(struct machine *m, u32 at, unsigned int size)
{
	const u8 *p = m->skb->data + at;

	if (at > m->skb->len || size > m->skb->len - at) {
		m->outside = true;
		return 0;
	}
	return size == 1 ? p[0] : size == 2 ? p[0] << 8 | p[1] :
	       (u32)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

static u32 load(struct machine *m, const struct sock_filter *f)
{
	unsigned int size = BPF_SIZE(f->code) == BPF_W ? 4 : BPF_SIZE(f->code) == BPF_H ? 2 : 1;

	switch (BPF_MODE(f->code)) {
	case BPF_IMM:
		return f->k;
	case BPF_LEN:
		return m->skb->len;
	case BPF_MEM:
		return m->mem[f->k];
	case BPF_ABS:
		return bytes(m, f->k, size);
	case BPF_IND:
		return bytes(m, m->x + f->k, size);
	default:
		return (bytes(m, f->k, 1) & 0xf) << 2;
	}
}

static u32 alu(struct machine *m, unsigned int op, u32 by)
{
	switch (op) {
	case BPF_ADD: return m->a + by;
	case BPF_SUB: return m->a - by;
	case BPF_MUL: return m->a * by;
	case BPF_OR:  return m->a | by;
	case BPF_AND: return m->a & by;
	case BPF_LSH: return m->a << (by & 31);
	case BPF_RSH: return m->a >> (by & 31);
	case BPF_NEG: return -m->a;
	case BPF_XOR: return m->a ^ by;
	default:
		break;
	}
	m->outside |= !by;
	if (!by)
		return 0;
	return op == BPF_DIV ? m->a / by : m->a % by;
}

static bool holds(const struct machine *m, unsigned int op, u32 to)
{
	switch (op) {
	case BPF_JEQ: return m->a == to;
	case BPF_JGT: return m->a > to;
	case BPF_JGE: return m->a >= to;
	default:      return m->a & to;
	}
}

static u32 run(struct machine *m, const struct sock_filter *f)
{
	for (;; f++) {
		u32 by = BPF_SRC(f->code) == BPF_X ? m->x : f->k;

		switch (BPF_CLASS(f->code)) {
		case BPF_LD:
			m->a = load(m, f);
			break;
		case BPF_LDX:
			m->x = load(m, f);
			break;
		case BPF_ST:
			m->mem[f->k] = m->a;
			break;
		case BPF_STX:
			m->mem[f->k] = m->x;
			break;
		case BPF_ALU:
			m->a = alu(m, BPF_OP(f->code), by);
			break;
		case BPF_JMP:
			if (BPF_OP(f->code) == BPF_JA)
				f += f->k;
			else
				f += holds(m, BPF_OP(f->code), by) ? f->jt : f->jf;
			break;
		case BPF_MISC:
			if (BPF_MISCOP(f->code) == BPF_TAX)
				m->x = m->a;
			else
				m->a = m->x;
			break;
		default:
			return BPF_RVAL(f->code) == BPF_A ? m->a : f->k;
		}
		if (m->outside)
			return 0;
	}
}

/* What the kernel's machinery may look at must be there, and be the frame's */
static void check_skb(const struct sk_buff *skb)
{
	u32 at = skb->data - skb->head;

	if (skb->data < skb->head || at + skb->len > skb->end || skb->tail != at + skb->len)
		shim_bug("sk_buff: data at %u, %u bytes, tail %u, end %u", at, skb->len, skb->tail,
			 skb->end);
	if (skb->mac_header != at || skb->network_header != at + ETH_HLEN)
		shim_bug("sk_buff: headers are not where the frame is");
	if (!skb->dev || refcount_read(&skb->users) != 1)
		shim_bug("sk_buff: without a device or a user");
}

u32 bpf_prog_run_clear_cb(const struct bpf_prog *prog, struct sk_buff *skb)
{
	struct machine m = { .skb = skb };

	check_skb(skb);
	return run(&m, prog->insn);
}

/* ---- flows ---- */

struct flow_dissector flow_keys_dissector;

bool __skb_flow_dissect(const struct net *net, const struct sk_buff *skb,
			struct flow_dissector *dissector, void *to, const void *data,
			__be16 proto, int nhoff, int hlen, unsigned int flags)
{
	struct flow_keys *keys = to;

	(void)net, (void)skb, (void)dissector, (void)proto, (void)flags;
	if (hlen < nhoff)
		return false;
	memcpy(keys->addresses, data, sizeof(keys->addresses));
	return true;
}

/* Any mixing will do, as long as every bit of the input counts */
static u32 mix(u32 h, u32 more)
{
	h = (h ^ more) * 0x9e3779b1u;
	return h ^ h >> 15;
}

u32 flow_hash_from_keys(struct flow_keys *keys)
{
	u32 h = 1;
	size_t i;

	for (i = 0; i < sizeof(keys->addresses); i++)
		h = mix(h, keys->addresses[i]);
	return h;
}

u32 jhash_2words(u32 a, u32 b, u32 initval)
{
	return mix(mix(mix(initval, a), b), 0xb5);
}
