# SPDX-License-Identifier: GPL-2.0-or-later
"""The tests can fail: each mutant breaks the core in one place, and must be seen.

They run with ``-m mutants``: each is a compile and up to some hundred examples, too much for
a suite that one runs all day.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.unit.core import build

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Mutant:
    """One change: ``old``, which the file has exactly once, becomes ``new``."""

    name: str
    file: str
    old: str
    new: str
    tests: str = "machine"


MUTANTS = [
    Mutant(
        "a release drops no reference",
        "hold.c",
        "if (unlikely(!m_buf_unref(m)))\n\t\t\tcontinue;\n\t\t/* as in ntzc_chan_take() */",
        "continue;",
    ),
    Mutant(
        "close frees what others still hold",
        "tap.c",
        "if (!m_buf_unref(&pool->bufs[i]))\n\t\t\tcontinue;",
        "",
    ),
    Mutant(
        "the last of many holders leaves a free buffer without a reference",
        "core.h",
        "\t/* a free buffer has one reference: its next owner's */\n\tatomic_set(&m->refs, 1);",
        "",
        tests="sharing",
    ),
    Mutant(
        "a release through the ring drops no reference where there are many taps",
        "chan.c",
        "shared ? likely(!m_buf_unref_shared(m)) :",
        "shared ? true :",
        tests="machine",
    ),
    Mutant(
        "a release leaves the held mark",
        "hold.c",
        "WRITE_ONCE(*mark, NTZC_MARK_NONE);\n\t\tif (!only",
        "if (!only",
    ),
    Mutant(
        "an old handle of the same buffer is as good",
        "core.h",
        "return smp_load_acquire(&held[handle & pool->mask]) == handle;",
        "return held[handle & pool->mask] != NTZC_MARK_NONE;",
    ),
    Mutant(
        "a handle is taken from who does not hold it",
        "core.h",
        "return smp_load_acquire(&held[handle & pool->mask]) == handle;",
        "return pool->bufs[handle & (pool->mask >> 1)].desc.handle == handle;",
    ),
    Mutant(
        "the generation stands still",
        "core.h",
        "handle += NTZC_HANDLE_GEN_ONE;",
        ";",
    ),
    Mutant(
        "close forgets the last batch",
        "tap.c",
        "\t\tcond_resched();\n\t}\n\tntzc_pool_free(pool, done, n);",
        "\t\tcond_resched();\n\t}",
    ),
    Mutant(
        "memory is freed while mapped for the card",
        "pool.c",
        "\tntzc_pool_unmap(pool);\n\tlist_del",
        "\tlist_del",
    ),
    Mutant(
        "a chunk that cannot be mapped leaves the others mapped",
        "pool.c",
        "while (i--)\n\t\tdma_unmap_page",
        "while (0)\n\t\tdma_unmap_page",
        tests="failures",
    ),
    Mutant(
        "the offset may lie in another buffer",
        "tx.c",
        "return offset - (m->desc.offset & b->base);",
        "return offset & (b->size - 1);",
    ),
    Mutant(
        "padding may pass the end of the buffer",
        "tx.c",
        "w.offset) > b->size - need)",
        "w.offset) > b->size - w.len)",
        tests="transmit",
    ),
    Mutant(
        "a frame may be longer than the buffer",
        "tx.c",
        "min(b.frame_max, b.size - NTZC_HEADROOM) - NTZC_PAD_FRAME;",
        "b.size - NTZC_PAD_FRAME;",
        tests="transmit",
    ),
    Mutant(
        "padding shows what was there",
        "tx.c",
        "memset(m_buf_data(m) + w.len, 0, need - w.len);",
        "(void)0;",
    ),
    Mutant(
        "an unread forward may change its length",
        "tx.c",
        "len != m->desc.len ||",
        "",
    ),
    Mutant(
        "the quota is one too many",
        "chan.c",
        "held < c->quota ? c->quota - held : 0",
        "held <= c->quota ? c->quota - held + 1 : 0",
    ),
    Mutant(
        "the ring is one too long",
        "chan.c",
        "ntzc_ring_space(&c->rings->rx, c->prod, c->mask + 1)",
        "ntzc_ring_space(&c->rings->rx, c->prod, c->mask + 2)",
    ),
    Mutant(
        "a loss is not counted",
        "chan.c",
        "c->lost_pool += hweight64(c->want & ~may);",
        "{ }",
        tests="sharing",
    ),
    Mutant(
        "taps may drain the card's ring",
        "rx.c",
        "u32 may = have < q->wanted ? 0 : min(n, have - q->wanted);",
        "u32 may = have < q->wanted ? n : n;",
        tests="sharing",
    ),
    Mutant(
        "one reference for all taps",
        "deliver.c",
        "atomic_set(&m[i]->refs, taps->n + own);",
        "atomic_set(&m[i]->refs, 1);",
    ),
    Mutant(
        "a sleeping reader is not woken",
        "chan.c",
        "wake_up_interruptible_poll(&c->tap->rx_wait, EPOLLIN | EPOLLRDNORM);",
        "{ }",
    ),
    Mutant(
        "what the full ring refused is still in flight",
        "tx.c",
        "ntzc_pool_recall(m[sent]->pool, m + sent, k - sent);",
        "(void)0;",
    ),
    Mutant(
        "what the full ring refused is held no more",
        "tx.c",
        "ntzc_tx_untake(tap, m[i]);",
        "(void)ntzc_tx_untake;",
    ),
    Mutant(
        "a pool does not wait for what is in flight",
        "pool.c",
        "if (!pool->in_flight)\n\t\tkref_get(&pool->ref);",
        "",
    ),
    Mutant(
        "sent buffers do not come back",
        "pool.c",
        "\n\t\t*free++ = one;\n\t}\n\treturn free;\n}\n\n/**",
        "\n\t}\n\treturn free;\n}\n\n/**",
    ),
    Mutant(
        "transmit is not stopped with the card",
        "port.c",
        "WRITE_ONCE(q->tx_up, false);",
        ";",
    ),
    Mutant(
        "spare buffers are lost when the card stops",
        "port.c",
        "ntzc_rx_drop_spare(&port->queues[i]);\n\t}\n\tntzc_port_wake_all",
        "port->queues[i].n_spare = 0;\n\t}\n\tntzc_port_wake_all",
    ),
    Mutant(
        "a departed tap still gets frames",
        "tap.c",
        "\t\tif (c)\n\t\t\tntzc_queue_remove(c->queue, c);",
        "\t\t(void)ntzc_queue_remove, (void)c;",
    ),
    Mutant(
        "the pool is freed under a lock that its work takes",
        "pool.c",
        "queue_work(ntzc_wq, &pool->free_work);",
        "ntzc_pool_free_work(&pool->free_work);",
    ),
    Mutant(
        "bounced frames are not synced for the reader",
        "rx.c",
        "ntzc_rx_sync_for_cpu(pool, m, n);",
        "(void)ntzc_rx_sync_for_cpu;",
    ),
    Mutant(
        "bounced frames are not synced for the card",
        "tx.c",
        "ntzc_tx_sync(run, m, n);",
        "(void)ntzc_tx_sync;",
    ),
    Mutant(
        "a fault finds the next page",
        "mmap.c",
        "u64 offset = (u64)pgoff << PAGE_SHIFT;",
        "u64 offset = ((u64)pgoff + 1) << PAGE_SHIFT;",
        tests="mapping",
    ),
    Mutant(
        "a mapping may be one page too long",
        "mmap.c",
        "vma_pages(vma) > area.pages - pgoff",
        "vma_pages(vma) > area.pages - pgoff + 1",
        tests="mapping",
    ),
    Mutant(
        "a mapping's pages can be pinned",
        "mmap.c",
        "VM_IO | VM_MIXEDMAP",
        "VM_IO",
        tests="mapping",
    ),
    Mutant(
        "frames are delivered after the end was told",
        "port.c",
        "ntzc_queue_clear(&port->queues[i]);",
        "(void)i;",
        tests="sharing",
    ),
    Mutant(
        "a full pull steps into the next buffer",
        "include/m_buf.h",
        "|| m_buf_headroom(m) + len >= m->size",
        "",
        tests="packet",
    ),
    Mutant(
        "a frame of some taps only has a reference of each",
        "deliver.c",
        "atomic_set(&m[i]->refs, refs[i]);",
        "atomic_set(&m[i]->refs, taps->n + own);",
    ),
    Mutant(
        "the release ring takes frames of any queue",
        "chan.c",
        "smp_load_acquire(mark) != handle ||\n\t\t\t     (!only && m->desc.queue != queue)",
        "smp_load_acquire(mark) != handle ||\n\t\t\t     (!queue && !m)",
    ),
    Mutant(
        "the release ring takes what is not held",
        "chan.c",
        "smp_load_acquire(mark) != handle ||",
        "(handle & mask) >= pool->size ||",
    ),
    Mutant(
        "the handle that is all ones is held",
        "pool.c",
        "marks[pool->mask] = 0;",
        ";",
        tests="rings",
    ),
    Mutant(
        "the release ring leaves the held mark",
        "chan.c",
        "WRITE_ONCE(*mark, NTZC_MARK_NONE);",
        "",
    ),
    Mutant(
        "the release ring gives buffers back with their handles",
        "chan.c",
        "WRITE_ONCE(m->desc.handle, ntzc_handle_next(handle, false));",
        "",
        tests="rings",
    ),
    Mutant(
        "a spoiled release index is believed",
        "chan.c",
        "if (likely(n <= mask + 1)) {",
        "if (likely(n <= -1u)) {",
        tests="rings",
    ),
    Mutant(
        "bad entries of the release ring are not counted",
        "chan.c",
        "c->bad_release += bad;",
        "(void)bad;",
    ),
    Mutant(
        "bad entries of the release ring count as given back",
        "chan.c",
        "c->released + n - bad",
        "c->released + n",
    ),
    Mutant(
        "reading trusts the program's index",
        "chan.c",
        "return n <= c->mask + 1 ? n : 0;",
        "return n;",
        tests="rings",
    ),
    Mutant(
        "release rings are not looked at in the poll",
        "rx.c",
        "\t\tntzc_rx_reclaim(q, taps);\n",
        "\t\t(void)ntzc_rx_reclaim;\n",
        tests="rings",
    ),
    Mutant(
        "release rings of other queues are not looked at",
        "rx.c",
        "\t\t\tntzc_rx_reclaim_all(q->port);\n\t\t\tmay",
        "\t\t\tmay",
        tests="rings",
    ),
    Mutant(
        "a hungry pool asks and does not look",
        "rx.c",
        "\tntzc_rx_reclaim_all(q->port);\n\trcu_read_unlock();",
        "\trcu_read_unlock();",
        tests="rings",
    ),
    Mutant(
        "a hungry pool looks and does not ask",
        "rx.c",
        "pool->hungry |= BIT_ULL(q->index);\n\tntzc_rx_ask(q->port, true);",
        "pool->hungry |= BIT_ULL(q->index);",
        tests="rings",
    ),
    Mutant(
        "who comes to a hungry pool is not asked",
        "rx.c",
        "if (pool->hungry)\n\t\tntzc_rx_ask(port, true);",
        ";",
        tests="rings",
    ),
    Mutant(
        "a fed pool asks for ever",
        "rx.c",
        "ntzc_rx_ask(q->port, false);",
        "{ }",
        tests="rings",
    ),
    Mutant(
        "a ring that found no room is forgotten",
        "tx_door.c",
        "WRITE_ONCE(q->tx_behind, true);",
        "{ }",
        tests="rings",
    ),
    Mutant(
        "a tap joins a card that went while memory was waited for",
        "tap.c",
        "\tif (port->gone)\n\t\treturn -ENODEV;\n\t/* others may",
        "\t/* others may",
        tests="targets",
    ),
    Mutant(
        "a card that went while memory was waited for has transmit memory",
        "tx_setup.c",
        "err = port->gone ? -ENODEV : ntzc_pool_add(pool);",
        "err = ntzc_pool_add(pool);",
        tests="targets",
    ),
    Mutant(
        "rings that wait come before the host",
        "tx.c",
        "\tif (READ_ONCE(ntzc_port_host_queue(q->port)->tx_full))\n\t\tntzc_stack_completed(",
        "\tif (behind)\n\t\tntzc_tx_resume(q);\n"
        "\tif (READ_ONCE(ntzc_port_host_queue(q->port)->tx_full))\n\t\tntzc_stack_completed(",
        tests="rings",
    ),
    Mutant(
        "who waits for the card sleeps on when it took none",
        "pool.c",
        "\tif (last)\n\t\tntzc_pool_idle(pool);\n}\n\n/* Received",
        "\tif (last)\n\t\tntzc_pool_put(pool);\n}\n\n/* Received",
        tests="transmit",
    ),
    Mutant(
        "rings may take every buffer of a pool in use",
        "port.c",
        "return pool->size >= rx_slots + NTZC_BATCH &&",
        "return pool->size >= 1 &&",
        tests="sharing",
    ),
    Mutant(
        "a bad entry stops the transmit ring",
        "tx_door.c",
        "\t\t\tbad++;\n\t\t\tsent = 1;\n",
        "\t\t\tbad++;\n\t\t\treturn sent;\n",
    ),
    Mutant(
        "what a refused entry names is lost",
        "tx_door.c",
        "\tntzc_tap_release_held(tap, &handle, 1);\n",
        "\t(void)handle;\n",
        tests="rings",
    ),
    Mutant(
        "a poll looks at all that is no frame",
        "tx_door.c",
        "if (bad == NTZC_BATCH)",
        "if (bad > door->mask)",
        tests="rings",
    ),
    Mutant(
        "a spoiled transmit index is believed",
        "tx_door.c",
        "if (unlikely(n > door->mask + 1)) {",
        "if (unlikely(n > 0x100000)) {",
        tests="rings",
    ),
    Mutant(
        "nobody asks for a KICK when nothing is in flight",
        "tx_door.c",
        "\t\tntzc_ring_ask(ring);\n\t\tif",
        "\t\tif",
    ),
    Mutant(
        "the transmit ring is not served by completions",
        "tx.c",
        "\tif (tap->tx_door.rings)\n\t\tntzc_tx_door_run(tap);",
        "\tif (tap->tx_door.rings && !q)\n\t\tntzc_tx_door_run(tap);",
    ),
    Mutant(
        "the free ring ignores what the program has not taken",
        "tx_door.c",
        "return ntzc_ring_space(&door->rings->free, READ_ONCE(door->free_prod), door->mask + 1);",
        "return door->mask + 1;",
    ),
    Mutant(
        "completions serve the rings of a tap that is gone",
        "tap.c",
        "WRITE_ONCE(tap->tx_pool->tap, NULL);",
        "WRITE_ONCE(tap->tx_pool->tap, tap);",
        tests="rings",
    ),
    Mutant(
        "what cannot be sent across is recalled and was not launched",
        "tx.c",
        "\tntzc_pool_launch(pool, m, n);\n\tif",
        "\tif (pool->port == target->port)\n\t\tntzc_pool_launch(pool, m, n);\n\tif",
        tests="targets",
    ),
    Mutant(
        "another card is told its neighbour's addresses",
        "tx.c",
        "dma[i] = map->dma[m_buf_index(m[i])] + m_buf_headroom(m[i]);",
        "dma[i] = m_buf_dma(m[i]) + 0 * map->dma[0];",
    ),
    Mutant(
        "the rest of a run has the addresses of its start",
        "tx.c",
        "run->dma ? run->dma + sent : NULL",
        "run->dma",
        tests="targets",
    ),
    Mutant(
        "what is mapped for another card stays mapped when that goes",
        "map.c",
        "\tntzc_map_undo(map, map->pool->n_chunks);",
        "\t(void)ntzc_map_undo;",
        tests="targets",
    ),
    Mutant(
        "a pool is freed while mapped for another card",
        "pool.c",
        "\tntzc_map_drop_pool(pool);\n",
        "\t(void)ntzc_map_drop_pool;\n",
    ),
    Mutant(
        "a chunk that another card cannot map leaves the others mapped",
        "map.c",
        "\t\t\tntzc_map_undo(map, c);\n",
        "",
        tests="targets",
    ),
    Mutant(
        "a mapping for another card has no reference to it",
        "map.c",
        "\tkref_get(&map->port->ref);\n\tlist_add(&map->pool_link",
        "\tlist_add(&map->pool_link",
        tests="targets",
    ),
    Mutant(
        "who is killed goes on taking memory",
        "pool.c",
        "\t\tif (pool->tx && fatal_signal_pending(current))\n\t\t\treturn -ENOMEM;\n",
        "",
        tests="failures",
    ),
    Mutant(
        "who is killed goes on mapping memory",
        "mmap.c",
        "\t\tif (fatal_signal_pending(current))\n\t\t\treturn -ENOMEM;\n",
        "",
        tests="failures",
    ),
    Mutant(
        "a card's memory goes with who is killed",
        "pool.c",
        "if (pool->tx && fatal_signal_pending(current))",
        "if (fatal_signal_pending(current))",
        tests="failures",
    ),
    Mutant(
        "a buffer that was given back ends what is taken back",
        "tx.c",
        "\t\ti += max(ntzc_tap_release(tap, handles + i, n - i), 1);",
        "\t\ti += max(ntzc_tap_release(tap, handles + i, n - i), (int)n);",
        tests="transmit",
    ),
    Mutant(
        "what was sent and not counted is taken to be on its way",
        "tx.c",
        "READ_ONCE(q->tx_frames) > q->tx_done",
        "READ_ONCE(q->tx_frames) != q->tx_done",
        tests="rings",
    ),
    Mutant(
        "frames given back before they were told of are held for ever",
        "hold.c",
        "max_t(s32, prod - c->released, 0)",
        "prod - c->released",
        tests="rings",
    ),
    Mutant(
        "a filter is freed while polls may run it",
        "filter.c",
        "\t\tsynchronize_net();\n\tif (old)",
        "\t\t{ }\n\tif (old)",
        tests="filters",
    ),
    Mutant(
        "a tap leaves its filter behind",
        "filter.c",
        "\tif (prog)\n\t\tbpf_prog_destroy(prog);",
        "\t(void)prog;",
    ),
    Mutant(
        "a refused frame is not counted",
        "filter.c",
        "\t\t\tc->filtered++;\n",
        "",
    ),
    Mutant(
        "a filter sees the tag in the host's order",
        "filter.c",
        "htons(m->desc.vlan_tci)",
        "m->desc.vlan_tci",
        tests="filters",
    ),
    Mutant(
        "a filter's tag stays in the frame",
        "filter.c",
        "\tif (tagged)\n\t\tntzc_filter_untag(m, macs);",
        "\t(void)ntzc_filter_untag;",
        tests="filters",
    ),
    Mutant(
        "all members of a group get all frames",
        "select.c",
        "\tfor (i = 0; i < n; i++)\n\t\tchan[i]->want = 0;\n",
        "\tfor (i = 0; i < n; i++)\n\t\tchan[i]->want = GENMASK_ULL(n_frames - 1, 0);\n",
        tests="fanout",
    ),
    Mutant(
        "a flow's member depends on who stands where",
        "select.c",
        "score = jhash_2words(hash, chan[i]->tap->id, 0);",
        "score = jhash_2words(hash, i, 0);",
        tests="fanout",
    ),
    Mutant(
        "groups do not stand together",
        "deliver.c",
        "if (taps->chan[i - 1]->fanout == c->fanout)\n\t\t\treturn i;",
        ";",
        tests="fanout",
    ),
    Mutant(
        "a set of taps is freed while polls may use it",
        "deliver.c",
        "\tif (old)\n\t\tkfree_rcu(old, rcu);\n",
        "\tkfree(old);\n",
    ),
    Mutant(
        "a tap is freed while polls may find it",
        "tap.c",
        "\t\t\tntzc_queue_remove(c->queue, c);\n\t}\n\tsynchronize_net();",
        "\t\t\tntzc_queue_remove(c->queue, c);\n\t}",
    ),
]


def test_every_mutant_says_what_to_break() -> None:
    """They are tried rarely: one that the core has outgrown must not wait until then."""
    stale = [m.name for m in MUTANTS if (build.MODULE / m.file).read_text().count(m.old) != 1]
    assert not stale


@pytest.mark.mutants
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_broken_core_is_noticed(mutant: Mutant) -> None:
    text = (build.MODULE / mutant.file).read_text()
    assert text.count(mutant.old) == 1, "the core changed: say anew what to break"
    extension = build.build({mutant.file: text.replace(mutant.old, mutant.new)})
    environment = os.environ | {
        "NTZC_UNIT_EXTENSION": str(extension),
        "NTZC_HYPOTHESIS_PROFILE": "mutant",
    }
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, str(HERE / f"test_{mutant.tests}.py")],
        cwd=build.ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    # 1: a test failed; negative: the mutant crashed
    assert done.returncode == 1 or done.returncode < 0, f"survived\n{done.stdout[-2000:]}"
    assert "ImportError" not in done.stdout, done.stdout[-2000:]
