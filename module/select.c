// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which tap is to get which frame: fan-out groups share the frames out by flow,
 * then each tap's filter says what it wants of its share.
 */
#include <linux/if_ether.h>
#include <linux/jhash.h>
#include <linux/skbuff.h>
#include <net/flow_dissector.h>
#include <net/net_namespace.h>

#include "core.h"

/* The card's hash, or the same for all frames of a flow that it has none for */
static u32 ntzc_flow_hash(const struct m_buf *m)
{
	const struct ethhdr *eth = m_buf_data(m);
	struct flow_keys keys;

	if (likely(m->desc.hash_type != NTZC_HASH_NONE))
		return m->desc.hash;
	memset(&keys, 0, sizeof(keys));
	if (!__skb_flow_dissect(&init_net, NULL, &flow_keys_dissector, &keys, eth, eth->h_proto,
				ETH_HLEN, m_buf_len(m), 0))
		return 0;
	return flow_hash_from_keys(&keys);
}

/*
 * The member of a flow: that with the highest score for it. When one leaves,
 * the scores of the others stay as they were, so that no other's flows move.
 */
static struct ntzc_chan *ntzc_fanout_member(struct ntzc_chan *const *chan, unsigned int n, u32 hash)
{
	struct ntzc_chan *best = chan[0];
	u32 high = 0, score;
	unsigned int i;

	for (i = 0; i < n; i++) {
		score = jhash_2words(hash, chan[i]->tap->id, 0);
		if (score > high) {
			high = score;
			best = chan[i];
		}
	}
	return best;
}

static void ntzc_fanout_share(struct ntzc_chan *const *chan, unsigned int n, struct m_buf **m,
			      unsigned int n_frames)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		chan[i]->want = 0;
	for (i = 0; i < n_frames; i++)
		ntzc_fanout_member(chan, n, ntzc_flow_hash(m[i]))->want |= BIT_ULL(i);
}

/**
 * ntzc_select() - set the want of each channel
 * @q: the queue
 * @taps: its set of taps
 * @m: the frames
 * @n: how many, at most NTZC_BATCH
 *
 * Context: the queue's poll, under rcu_read_lock().
 * Return: false if every channel wants all, and nothing was set.
 */
bool ntzc_select(const struct ntzc_queue *q, const struct ntzc_taps *taps, struct m_buf **m,
		 unsigned int n)
{
	bool fanout = false, filter = false;
	unsigned int t, run;

	for (t = 0; t < taps->n; t++) {
		fanout |= taps->chan[t]->fanout;
		filter |= !!rcu_access_pointer(taps->chan[t]->tap->filter);
	}
	if (likely(!fanout && !filter))
		return false;

	for (t = 0; t < taps->n; t += run) {
		struct ntzc_chan *const *chan = &taps->chan[t];

		for (run = 1; t + run < taps->n && chan[0]->fanout; run++)
			if (chan[run]->fanout != chan[0]->fanout)
				break;
		if (run > 1)
			ntzc_fanout_share(chan, run, m, n);
		else
			chan[0]->want = GENMASK_ULL(n - 1, 0);
	}
	if (filter)
		ntzc_filter_run(q, taps, m, n);
	return true;
}
