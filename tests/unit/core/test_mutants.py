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
        "tap.c",
        "if (m_buf_unref(m))\n\t\t\tdone[n_done++] = m;",
        "(void)done;",
    ),
    Mutant(
        "close frees what others still hold",
        "tap.c",
        "if (!m_buf_unref(&pool->bufs[i]))\n\t\t\tcontinue;",
        "",
    ),
    Mutant(
        "a release leaves the held mark",
        "core.h",
        "WRITE_ONCE(*mark, 0);\n\treturn m;",
        "return m;",
    ),
    Mutant(
        "an old handle of the same buffer is as good",
        "core.h",
        "|| READ_ONCE(m->desc.handle) != handle",
        "",
    ),
    Mutant(
        "a handle is taken from who does not hold it",
        "core.h",
        "!smp_load_acquire(mark) ||",
        "",
    ),
    Mutant(
        "the generation stands still",
        "pool.c",
        "((handle + NTZC_HANDLE_GEN_ONE) & NTZC_HANDLE_GEN)",
        "(handle & NTZC_HANDLE_GEN)",
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
        "d->offset >> pool->shift != m_buf_index(m) ||",
        "",
    ),
    Mutant(
        "padding may pass the end of the buffer",
        "tx.c",
        "need > m->size - in",
        "d->len > m->size - in",
        tests="transmit",
    ),
    Mutant(
        "a frame may be longer than the buffer",
        "tx.c",
        "need > m->size - in",
        "in > m->size",
        tests="transmit",
    ),
    Mutant(
        "padding shows what was there",
        "tx.c",
        "memset(m_buf_data(m) + d->len, 0, need - d->len);",
        "(void)0;",
    ),
    Mutant(
        "an unread forward may change its length",
        "tx.c",
        "d->len != m->desc.len ||",
        "",
    ),
    Mutant(
        "the quota is one too many",
        "rx.c",
        "held < c->quota ? c->quota - held : 0",
        "held <= c->quota ? c->quota - held + 1 : 0",
    ),
    Mutant(
        "the ring is one too long",
        "rx.c",
        "u32 space = c->mask + 1 -",
        "u32 space = c->mask + 2 -",
    ),
    Mutant(
        "a loss is not counted",
        "rx.c",
        "c->lost_pool += n - may;",
        "",
    ),
    Mutant(
        "taps may drain the card's ring",
        "rx.c",
        "return have < q->wanted ? 0 : min(n, have - q->wanted);",
        "return (void)have, n;",
    ),
    Mutant(
        "one reference for all taps",
        "rx.c",
        "refcount_set(&m[i]->refs, refs[i]);",
        "refcount_set(&m[i]->refs, 1);",
    ),
    Mutant(
        "a sleeping reader is not woken",
        "rx.c",
        "wake_up_interruptible_poll(&c->tap->rx_wait, EPOLLIN | EPOLLRDNORM);",
        "(void)0;",
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
        "if (m_buf_unref(m[i]))\n\t\t\tntzc_pool_push(pool, m[i]);",
        "m_buf_unref(m[i]);",
    ),
    Mutant(
        "transmit is not stopped with the card",
        "port.c",
        "q->tx_up = false;",
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
        "ntzc_tx_sync(pool, m, n);",
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
        "vma_pages(vma) > pages - pgoff",
        "vma_pages(vma) > pages - pgoff + 1",
        tests="mapping",
    ),
    Mutant(
        "a full pull steps into the next buffer",
        "include/m_buf.h",
        "|| m_buf_headroom(m) + len >= m->size",
        "",
        tests="packet",
    ),
]


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
