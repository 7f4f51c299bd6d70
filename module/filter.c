// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Filters: classic and extended BPF, run by the kernel's own machinery. A
 * program expects an sk_buff; it gets one that lives on the stack for one run of
 * the poll and points at the frame, of which it takes no part. A VLAN tag
 * that the card stripped is put back in the frame's headroom meanwhile, so
 * that a filter means what it means to tcpdump.
 */
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/if_vlan.h>
#include <linux/skbuff.h>
#include <linux/uaccess.h>

#include "core.h"

static struct bpf_prog *ntzc_filter_classic(const struct ntzc_filter *arg)
{
	struct sock_fprog fprog = { .len = arg->len, .filter = u64_to_user_ptr(arg->insns) };
	struct bpf_prog *prog;
	int err;

	if (!arg->len || arg->len > BPF_MAXINSNS || arg->fd)
		return ERR_PTR(-EINVAL);
	err = bpf_prog_create_from_user(&prog, &fprog, NULL, false);
	return err ? ERR_PTR(err) : prog;
}

static struct bpf_prog *ntzc_filter_ebpf(const struct ntzc_filter *arg)
{
	if (arg->len || arg->insns)
		return ERR_PTR(-EINVAL);
	return bpf_prog_get_type(arg->fd, BPF_PROG_TYPE_SOCKET_FILTER);
}

static struct bpf_prog *ntzc_filter_make(const struct ntzc_filter *arg)
{
	switch (arg->kind) {
	case NTZC_FILTER_NONE:
		return arg->len || arg->insns || arg->fd ? ERR_PTR(-EINVAL) : NULL;
	case NTZC_FILTER_CLASSIC:
		return ntzc_filter_classic(arg);
	case NTZC_FILTER_EBPF:
		return ntzc_filter_ebpf(arg);
	default:
		return ERR_PTR(-EINVAL);
	}
}

/**
 * ntzc_filter_set() - replace the tap's filter
 * @tap: the tap, attached or not
 * @arg: checked for reserved fields by the caller
 *
 * When it returns, no frame is judged by the old filter any more.
 * Context: process. Return: 0, -EINVAL, -EBADF, -EFAULT, -ENOMEM; nothing changed then.
 */
int ntzc_filter_set(struct ntzc_tap *tap, const struct ntzc_filter *arg)
{
	struct bpf_prog *new = ntzc_filter_make(arg), *old;

	if (IS_ERR(new))
		return PTR_ERR(new);
	mutex_lock(&tap->setup_lock);
	old = rcu_replace_pointer(tap->filter, new, lockdep_is_held(&tap->setup_lock));
	mutex_unlock(&tap->setup_lock);
	/* polls may have seen that there was none, too */
	if (old || ntzc_tap_port(tap))
		synchronize_net();
	if (old)
		bpf_prog_destroy(old);
	return 0;
}

/**
 * ntzc_filter_drop() - free the filter of a tap that goes
 * @tap: the tap; no poll knows it any more
 */
void ntzc_filter_drop(struct ntzc_tap *tap)
{
	struct bpf_prog *prog = rcu_dereference_protected(tap->filter, true);

	if (prog)
		bpf_prog_destroy(prog);
}

/* Put the stripped tag back. Return: the frame's first byte. */
static u8 *ntzc_filter_tag(const struct m_buf *m, u8 *macs)
{
	u8 *data = m_buf_data(m), *frame = data - VLAN_HLEN;
	struct vlan_ethhdr *eth = (struct vlan_ethhdr *)frame;

	memcpy(macs, data, 2 * ETH_ALEN);
	memcpy(frame, macs, 2 * ETH_ALEN);
	eth->h_vlan_proto = htons(ETH_P_8021Q);
	eth->h_vlan_TCI = htons(m->desc.vlan_tci);
	return frame;
}

static void ntzc_filter_untag(const struct m_buf *m, const u8 *macs)
{
	memcpy(m_buf_data(m), macs, 2 * ETH_ALEN);
}

/* Point the sk_buff at a frame */
static void ntzc_filter_show(struct sk_buff *skb, const struct m_buf *m, u8 *frame, u32 len)
{
	skb->head = m->head;
	skb->data = frame;
	skb->len = len;
	skb_reset_mac_header(skb);
	skb_set_network_header(skb, ETH_HLEN);
	skb_set_tail_pointer(skb, len);
	/* an empty skb_shared_info: the room for it is left by ntzc_buf_size_for() */
	skb_set_end_offset(skb, m->size - SKB_DATA_ALIGN(sizeof(struct skb_shared_info)));
	skb->protocol = ((struct ethhdr *)frame)->h_proto;
	skb->hash = m->desc.hash;
}

static void ntzc_filter_frame(struct sk_buff *skb, const struct ntzc_taps *taps,
			      const struct m_buf *m, u64 bit)
{
	u8 macs[2 * ETH_ALEN], *frame = m_buf_data(m);
	bool tagged = m_buf_has_vlan(m);
	unsigned int t;

	if (tagged)
		frame = ntzc_filter_tag(m, macs);
	ntzc_filter_show(skb, m, frame, m_buf_len(m) + (tagged ? VLAN_HLEN : 0));
	for (t = 0; t < taps->n; t++) {
		struct ntzc_chan *c = taps->chan[t];
		const struct bpf_prog *prog = rcu_dereference(c->tap->filter);

		if (!prog || !(c->want & bit))
			continue;
		if (!bpf_prog_run_clear_cb(prog, skb)) {
			c->want &= ~bit;
			c->filtered++;
		}
	}
	if (tagged)
		ntzc_filter_untag(m, macs);
}

/**
 * ntzc_filter_run() - take from each channel's want what its tap's filter refuses
 * @q: the queue
 * @taps: its set of taps
 * @m: the frames
 * @n: how many
 *
 * Context: the queue's poll, under rcu_read_lock().
 */
void ntzc_filter_run(const struct ntzc_queue *q, const struct ntzc_taps *taps, struct m_buf **m,
		     unsigned int n)
{
	struct sk_buff skb = { };
	unsigned int i;

	refcount_set(&skb.users, 1);
	skb.dev = READ_ONCE(q->port->netdev);
	skb.pkt_type = q == ntzc_port_host_queue(q->port) ? PACKET_OUTGOING : PACKET_HOST;
	skb_record_rx_queue(&skb, q->index);
	for (i = 0; i < n; i++)
		ntzc_filter_frame(&skb, taps, m[i], BIT_ULL(i));
}
