// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The semaphores that software shares with the firmware and with the driver of
 * the chip's other port, and the NVM behind them. In process context;
 * igb->hw_lock keeps this port's own threads apart, the semaphores the others.
 */
#include <linux/bitfield.h>
#include <linux/delay.h>
#include <linux/etherdevice.h>

#include "igb.h"

#define NTZC_IGB_SYNC_TRIES	200	/* of 5 ms: the firmware may hold a resource for 1 s */
#define NTZC_IGB_SMBI_TRIES	40000	/* of 50 us: whoever holds it may wait for the next */
#define NTZC_IGB_SWSM_TRIES	2000	/* of 50 us: the firmware needs it for a few accesses */
#define NTZC_IGB_EERD_TRIES	1000	/* of 5 us; a word takes some 30 us */

#define NTZC_IGB_NVM_WORDS	0x40	/* covered by the checksum */
#define NTZC_IGB_NVM_SUM	0xbaba
#define NTZC_IGB_NVM_ALT_MAC	0x37	/* points to addresses that an administrator gave */

static bool ntzc_igb_swsm_smbi(struct ntzc_igb *igb)
{
	unsigned int i;

	/* datasheet 8.7.1: it reads as 0 once, and is ours then */
	for (i = 0; i < NTZC_IGB_SMBI_TRIES; i++) {
		if (!(ntzc_igb_rd(igb, IGB_SWSM) & IGB_SWSM_SMBI))
			return true;
		if (READ_ONCE(igb->gone))
			return false;
		usleep_range(50, 100);
	}
	return false;
}

static void ntzc_igb_swsm_release(struct ntzc_igb *igb)
{
	u32 swsm = ntzc_igb_rd(igb, IGB_SWSM);

	ntzc_igb_wr(igb, IGB_SWSM, swsm & ~(IGB_SWSM_SMBI | IGB_SWSM_SWESMBI));
}

/* The semaphore that guards SW_FW_SYNC itself */
static int ntzc_igb_swsm_acquire(struct ntzc_igb *igb)
{
	unsigned int i;

	if (!ntzc_igb_swsm_smbi(igb)) {
		/* a driver that died may have left it taken; one that lives lets go in a tenth */
		ntzc_igb_swsm_release(igb);
		if (!ntzc_igb_swsm_smbi(igb))
			return READ_ONCE(igb->gone) ? -ENODEV : -ETIMEDOUT;
	}
	for (i = 0; i < NTZC_IGB_SWSM_TRIES; i++) {
		u32 swsm = ntzc_igb_rd(igb, IGB_SWSM);

		ntzc_igb_wr(igb, IGB_SWSM, swsm | IGB_SWSM_SWESMBI);
		if (READ_ONCE(igb->gone))
			return -ENODEV;
		if (ntzc_igb_rd(igb, IGB_SWSM) & IGB_SWSM_SWESMBI)
			return 0;
		usleep_range(50, 100);
	}
	ntzc_igb_swsm_release(igb);
	return -ETIMEDOUT;
}

/**
 * ntzc_igb_sync_acquire() - take a resource that is shared with the firmware
 * @igb: the card
 * @what: IGB_SYNC_*
 *
 * Context: process, igb->hw_lock held. Return: 0, -ETIMEDOUT, -ENODEV.
 */
int ntzc_igb_sync_acquire(struct ntzc_igb *igb, u32 what)
{
	unsigned int i;

	for (i = 0; i < NTZC_IGB_SYNC_TRIES; i++) {
		int err = ntzc_igb_swsm_acquire(igb);
		u32 sync;

		if (err)
			return err;
		sync = ntzc_igb_rd(igb, IGB_SW_FW_SYNC);
		if (!(sync & (what | what << 16)))
			ntzc_igb_wr(igb, IGB_SW_FW_SYNC, sync | what);
		ntzc_igb_swsm_release(igb);
		if (!(sync & (what | what << 16)))
			return 0;
		usleep_range(5000, 6000);
	}
	return -ETIMEDOUT;
}

/**
 * ntzc_igb_sync_release() - give the resource back
 * @igb: the card
 * @what: IGB_SYNC_*, acquired
 *
 * Context: process, igb->hw_lock held.
 */
void ntzc_igb_sync_release(struct ntzc_igb *igb, u32 what)
{
	/* without the semaphore, better a race than a resource that nobody gets again */
	int err = ntzc_igb_swsm_acquire(igb);
	u32 sync = ntzc_igb_rd(igb, IGB_SW_FW_SYNC);

	ntzc_igb_wr(igb, IGB_SW_FW_SYNC, sync & ~what);
	if (!err)
		ntzc_igb_swsm_release(igb);
}

static int ntzc_igb_nvm_word(struct ntzc_igb *igb, u32 addr, u16 *word)
{
	unsigned int i;

	ntzc_igb_wr(igb, IGB_EERD, FIELD_PREP(IGB_EERD_ADDR, addr) | IGB_EERD_START);
	for (i = 0; i < NTZC_IGB_EERD_TRIES; i++) {
		u32 eerd = ntzc_igb_rd(igb, IGB_EERD);

		if (READ_ONCE(igb->gone))
			return -ENODEV;
		if (eerd & IGB_EERD_DONE) {
			*word = FIELD_GET(IGB_EERD_DATA, eerd);
			return 0;
		}
		udelay(5);
	}
	return -ETIMEDOUT;
}

/**
 * ntzc_igb_nvm_read() - read words of the NVM
 * @igb: the card
 * @first: where
 * @n: how many
 * @words: where to
 *
 * Context: process. Return: 0, -ETIMEDOUT, -ENODEV.
 */
int ntzc_igb_nvm_read(struct ntzc_igb *igb, u32 first, u32 n, u16 *words)
{
	int err;
	u32 i;

	mutex_lock(&igb->hw_lock);
	err = ntzc_igb_sync_acquire(igb, IGB_SYNC_NVM);
	if (err)
		goto unlock;
	for (i = 0; i < n && !err; i++)
		err = ntzc_igb_nvm_word(igb, first + i, &words[i]);
	ntzc_igb_sync_release(igb, IGB_SYNC_NVM);
unlock:
	mutex_unlock(&igb->hw_lock);
	return err;
}

/**
 * ntzc_igb_nvm_check() - verify the checksum over the NVM's first words
 * @igb: the card
 *
 * Context: process. Return: 0, -EIO if it is wrong, -ETIMEDOUT, -ENODEV.
 */
int ntzc_igb_nvm_check(struct ntzc_igb *igb)
{
	u16 words[NTZC_IGB_NVM_WORDS];
	u16 sum = 0;
	int err, i;

	err = ntzc_igb_nvm_read(igb, 0, ARRAY_SIZE(words), words);
	if (err)
		return err;
	for (i = 0; i < ARRAY_SIZE(words); i++)
		sum += words[i];
	return sum == NTZC_IGB_NVM_SUM ? 0 : -EIO;
}

static void ntzc_igb_words_to_mac(const u16 *words, u8 *addr)
{
	int i;

	for (i = 0; i < ETH_ALEN / 2; i++) {
		addr[2 * i] = words[i] & 0xff;
		addr[2 * i + 1] = words[i] >> 8;
	}
}

/**
 * ntzc_igb_nvm_mac() - the card's address
 * @igb: the card, just reset
 * @addr: where to
 *
 * An administrator's alternative in the NVM comes first. Else it is what the
 * reset loaded from NVM words 0 to 2 into the first address register, adjusted
 * there for the chip's second port (datasheet 8.10, RAL and RAH).
 *
 * Context: process. Return: 0, -EIO if there is no valid address, -ETIMEDOUT, -ENODEV.
 */
int ntzc_igb_nvm_mac(struct ntzc_igb *igb, u8 *addr)
{
	u16 words[ETH_ALEN / 2], at;
	u32 ral, rah;
	int err;

	err = ntzc_igb_nvm_read(igb, NTZC_IGB_NVM_ALT_MAC, 1, &at);
	if (err)
		return err;
	if (at && at != 0xffff) {
		err = ntzc_igb_nvm_read(igb, at + igb->lan_id * ARRAY_SIZE(words),
					ARRAY_SIZE(words), words);
		if (err)
			return err;
		ntzc_igb_words_to_mac(words, addr);
		if (is_valid_ether_addr(addr))
			return 0;
	}
	ral = ntzc_igb_rd(igb, IGB_RAL(0));
	rah = ntzc_igb_rd(igb, IGB_RAL(0) + IGB_RAH);
	words[0] = ral;
	words[1] = ral >> 16;
	words[2] = rah;
	ntzc_igb_words_to_mac(words, addr);
	return is_valid_ether_addr(addr) ? 0 : -EIO;
}
