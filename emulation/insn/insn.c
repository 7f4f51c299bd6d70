// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A QEMU plugin that counts the guest's instructions by the address of their
 * translation block, the atomic ones among them, and what is watched (watch.h).
 * Whenever the guest executes a mark (marker.h), what was executed since the mark
 * before is appended to the file given as out=FILE:
 *
 *	u32 magic, u32 mark's id, u32 counts, u32 0, then for each that has
 *	changed: u64 address, u64 kind, u64 by how much.
 *
 * Counts are of their own virtual CPU, inline and without a lock. The table of
 * counts is guarded by `lock`: translation and marks come from any virtual CPU's
 * thread. MMIO is counted for instructions of modules (mmio=on), and of user code if
 * the list of what is watched says so, as each counted access is a call.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decode.h"
#include "qemu_plugin.h"
#include "watch.h"

#define MAGIC		0x4e544943u
#define MARK_PREFIX	0x00841f0fu	/* nopl disp32(%rax,%rax,1) */
#define MARK_LEN	8
#define MAX_BLOCKS	(1u << 20)
#define HASH_SLOTS	(MAX_BLOCKS * 2)
#define MODULES_START	0xffffffffc0000000ull
#define KERNEL_START	(1ull << 63)
#define MAX_INSN_LEN	15

/* What a count is of; its address is a block's, or that which is watched. */
enum kind {
	INSNS,
	ATOMICS,
	WATCHED,
	MMIO_READS,
	MMIO_WRITES,
};

/* The scoreboard's element: a counter for each count. */
struct counters {
	uint64_t of[MAX_BLOCKS];
};

struct block {
	uint64_t vaddr;
	enum kind kind;
	uint64_t seen;			/* its counter at the last mark */
};

struct record {
	uint32_t magic, id, blocks, zero;
};

int qemu_plugin_version = QEMU_PLUGIN_VERSION;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct qemu_plugin_scoreboard *score;
static struct block blocks[MAX_BLOCKS];
static uint32_t block_count;
static uint32_t slots[HASH_SLOTS];	/* a block's index + 1, or 0 */
static FILE *out;
static char watch_path[4096];
static bool count_mmio;
static qemu_plugin_id_t self;

static void start(qemu_plugin_id_t id);

static qemu_plugin_u64 block_counter(uint32_t index)
{
	return (qemu_plugin_u64) {
		score, offsetof(struct counters, of) + index * sizeof(uint64_t)
	};
}

/*
 * Find or add the count of a kind at vaddr. A block is translated again and again,
 * and each time it finds its counter here. Called with the lock held.
 */
static uint32_t block_index(uint64_t vaddr, enum kind kind)
{
	uint32_t slot = ((vaddr ^ kind) * 0x9e3779b97f4a7c15ull) >> 43;

	for (; slots[slot]; slot = (slot + 1) % HASH_SLOTS) {
		if (blocks[slots[slot] - 1].vaddr == vaddr &&
		    blocks[slots[slot] - 1].kind == kind)
			return slots[slot] - 1;
	}
	if (block_count == MAX_BLOCKS) {
		qemu_plugin_outs("insn: too many blocks\n");
		abort();
	}
	blocks[block_count].vaddr = vaddr;
	blocks[block_count].kind = kind;
	slots[slot] = ++block_count;
	return block_count - 1;
}

static qemu_plugin_u64 counter_of(uint64_t vaddr, enum kind kind)
{
	uint32_t index;

	pthread_mutex_lock(&lock);
	index = block_index(vaddr, kind);
	pthread_mutex_unlock(&lock);
	return block_counter(index);
}

static void write_or_die(const void *data, size_t len)
{
	if (fwrite(data, 1, len, out) != len) {
		qemu_plugin_outs("insn: cannot write\n");
		abort();
	}
}

static void on_mark(unsigned int vcpu, void *data)
{
	static uint64_t changed[MAX_BLOCKS][3];
	struct record record = { MAGIC, (uint32_t)(uintptr_t)data, 0, 0 };
	uint64_t now;

	(void)vcpu;
	pthread_mutex_lock(&lock);
	for (uint32_t i = 0; i < block_count; i++) {
		now = qemu_plugin_u64_sum(block_counter(i));
		if (now == blocks[i].seen)
			continue;
		changed[record.blocks][0] = blocks[i].vaddr;
		changed[record.blocks][1] = blocks[i].kind;
		changed[record.blocks++][2] = now - blocks[i].seen;
		blocks[i].seen = now;
	}
	write_or_die(&record, sizeof(record));
	write_or_die(changed, record.blocks * sizeof(changed[0]));
	fflush(out);
	pthread_mutex_unlock(&lock);
}

static void on_access(unsigned int vcpu, qemu_plugin_meminfo_t info,
		      uint64_t vaddr, void *data)
{
	struct qemu_plugin_hwaddr *hwaddr = qemu_plugin_get_hwaddr(info, vaddr);
	enum kind kind = qemu_plugin_mem_is_store(info) ? MMIO_WRITES : MMIO_READS;

	if (hwaddr && qemu_plugin_hwaddr_is_io(hwaddr))
		qemu_plugin_u64_add(counter_of((uintptr_t)data, kind), vcpu, 1);
}

/* The list of what is watched is there: translate everything anew, and find it. */
static void on_watch_mark(unsigned int vcpu, void *data)
{
	(void)vcpu;
	(void)data;
	if (!watch_load(watch_path)) {
		qemu_plugin_outs("insn: cannot read the list of what is watched\n");
		abort();
	}
	qemu_plugin_reset(self, start);
}

static void on_watched(unsigned int vcpu, void *data)
{
	const struct watch *watch = data;

	qemu_plugin_u64_add(counter_of(watch->given, WATCHED), vcpu, watch_register(watch));
}

static void instrument_watched(struct qemu_plugin_insn *insn)
{
	const struct watch *watch = watch_find(qemu_plugin_insn_vaddr(insn));

	if (watch && watch->reg)
		qemu_plugin_register_vcpu_insn_exec_cb(insn, on_watched, QEMU_PLUGIN_CB_R_REGS,
						       (void *)watch);
	else if (watch)
		qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(insn,
								    QEMU_PLUGIN_INLINE_ADD_U64,
								    counter_of(watch->given,
									       WATCHED),
								    1);
}

static bool is_atomic(const struct qemu_plugin_insn *insn)
{
	uint8_t bytes[MAX_INSN_LEN];
	size_t len = qemu_plugin_insn_data(insn, bytes, sizeof(bytes));

	return insn_is_atomic(bytes, len);
}

/* Can instructions there access devices that are counted? */
static bool may_access(uint64_t vaddr)
{
	return count_mmio && (vaddr >= MODULES_START ||
			      (vaddr < KERNEL_START && watch_user_mmio()));
}

/* Is the instruction a mark? Then *id is its id. */
static bool is_mark(const struct qemu_plugin_insn *insn, uint32_t *id)
{
	uint32_t words[2];

	if (qemu_plugin_insn_size(insn) != MARK_LEN)
		return false;
	qemu_plugin_insn_data(insn, words, sizeof(words));
	*id = words[1] & 0xffff;
	return words[0] == MARK_PREFIX && words[1] >> 16 == 0x4e54;
}

/* All that is counted besides the instructions of the block at vaddr. */
static void instrument(struct qemu_plugin_insn *insn, uint64_t vaddr)
{
	if (vaddr >= KERNEL_START)
		instrument_watched(insn);
	if (may_access(vaddr))
		qemu_plugin_register_vcpu_mem_cb(insn, on_access, QEMU_PLUGIN_CB_NO_REGS,
						 QEMU_PLUGIN_MEM_RW, (void *)(uintptr_t)vaddr);
	if (is_atomic(insn))
		qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(insn,
								    QEMU_PLUGIN_INLINE_ADD_U64,
								    counter_of(vaddr, ATOMICS), 1);
}

/*
 * A block with a mark counts each instruction on its own, so that the mark
 * parts those before it from those after it; any other counts as a whole.
 */
static void on_translation(qemu_plugin_id_t plugin, struct qemu_plugin_tb *tb)
{
	uint64_t vaddr = qemu_plugin_tb_vaddr(tb);
	size_t count = qemu_plugin_tb_n_insns(tb);
	struct qemu_plugin_insn *insn;
	qemu_plugin_u64 counter;
	qemu_plugin_udata_cb on_this;
	bool marked = false;
	uint32_t id;

	(void)plugin;
	counter = counter_of(vaddr, INSNS);
	for (size_t i = 0; i < count; i++) {
		insn = qemu_plugin_tb_get_insn(tb, i);
		instrument(insn, vaddr);
		if (is_mark(insn, &id)) {
			marked = true;
			on_this = id == WATCH_MARK ? on_watch_mark : on_mark;
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_this,
							       QEMU_PLUGIN_CB_NO_REGS,
							       (void *)(uintptr_t)id);
		}
	}
	if (!marked) {
		qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb,
								  QEMU_PLUGIN_INLINE_ADD_U64,
								  counter, count);
		return;
	}
	for (size_t i = 0; i < count; i++)
		qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(qemu_plugin_tb_get_insn(tb, i),
								    QEMU_PLUGIN_INLINE_ADD_U64,
								    counter, 1);
}

static void start(qemu_plugin_id_t id)
{
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
}

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc,
			char **argv)
{
	(void)info;
	for (int i = 0; i < argc; i++) {
		if (!strncmp(argv[i], "out=", 4)) {
			out = fopen(argv[i] + 4, "wb");
			snprintf(watch_path, sizeof(watch_path), "%s.watch", argv[i] + 4);
		} else if (!strcmp(argv[i], "mmio=on")) {
			count_mmio = true;
		} else if (strcmp(argv[i], "mmio=off")) {
			return -1;
		}
	}
	if (!out)
		return -1;
	self = id;
	score = qemu_plugin_scoreboard_new(sizeof(struct counters));
	start(id);
	return 0;
}
