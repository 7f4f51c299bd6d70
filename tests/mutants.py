# SPDX-License-Identifier: GPL-2.0-or-later
"""Break the modules on purpose and see the suite notice: ``make mutants [ARGS=NAME...]``.

Each breakage is made in a copy of the repository, in which the modules are built and the part
of the suite runs that must fail. Prints what was caught by which test; fails if a breakage
survives, or does not build. The suite must pass as it is: that is `make vm-test`'s business.

``tests/unit/core/test_mutants.py`` has many more, of the core in user space alone: those run
first, and are called ``units``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COPIES = ROOT / "build/mutants"
KERNEL = "6.12"
DEBUG = "debug"  # finds what a distribution's kernel does not look for
TIMEOUT_S = 1800
UNITS = "units"


@dataclass(frozen=True)
class Mutant:
    """A change to one file, and tests each of which must see it.

    Attributes:
        name: what goes wrong.
        old: what the file has exactly once.
        new: what it becomes.
        tests: of ``tests/``, as pytest takes them.
        kernel: where those of ``tests/integration`` run.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    kernel: str = KERNEL


_RECEIVE = "integration/test_receive.py::test_a_frame_is_read_where_the_card_wrote_it"
_MISUSE = "integration/test_misuse.py::test_"
_UNLOAD = "integration/test_lifecycle.py::test_unloading_leaves_nothing_and_loading_again_works"
MUTANTS = {
    "put": Mutant(
        "a release drops no reference",
        "module/hold.c",
        "if (unlikely(!m_buf_unref(m)))\n\t\t\tcontinue;\n\t\t/* as in ntzc_chan_take() */",
        "continue;",
        ("unit/core/test_sharing.py", _RECEIVE),
    ),
    "free": Mutant(
        "close frees the buffers that the tap holds twice",
        "module/tap.c",
        "\t\tcond_resched();\n\t}\n\tntzc_pool_free(pool, done, n);",
        "\t\tcond_resched();\n\t}\n\tntzc_pool_free(pool, done, n);\n"
        "\tntzc_pool_free(pool, done, n);",
        (
            "unit/core/test_machine.py",
            f"{_MISUSE}closing_the_file_leaves_the_mapping_usable_and_the_frame_held",
        ),
    ),
    "handle": Mutant(
        "a handle is taken from who does not hold it",
        "module/hold.c",
        "if (unlikely(smp_load_acquire(mark) != handle))",
        "if (unlikely(m->desc.handle != handle))",
        (
            "unit/core/test_machine.py",
            f"{_MISUSE}a_handle_of_a_frame_that_only_another_tap_holds_is_refused",
        ),
    ),
    "offset": Mutant(
        "the offset to send from may lie in another buffer",
        "module/tx.c",
        "return offset - (m->desc.offset & b->base);",
        "return offset & (b->size - 1);",
        (
            "unit/core/test_machine.py",
            "integration/test_transmit.py::test_an_offset_outside_the_buffer_is_refused",
        ),
    ),
    "unmap": Mutant(
        "memory is freed while it is mapped for the card",
        "module/pool.c",
        "\tntzc_pool_unmap(pool);\n\tlist_del",
        "\tlist_del",
        ("unit/core/test_machine.py", _UNLOAD),
        kernel=DEBUG,
    ),
    "barrier": Mutant(
        "a ring's index is published without its release",
        "module/include/ntzc_ring.h",
        "ntzc_ring_store_release(&ring->prod, prod);\t\t/* (A) */",
        "ntzc_ring_store(&ring->prod, prod);",
        ("unit/ring/test_protocol.py", "unit/ring/test_threads.py"),
    ),
    "lock": Mutant(
        "a spinlock is not released on the way out",
        "module/tx.c",
        "\t\tntzc_tx_door_rest(tap, 0);\n\tspin_unlock_bh(&tap->hold_lock);\n",
        "\t\tntzc_tx_door_rest(tap, 0);\n\tif (sent >= 0)\n\t\tspin_unlock_bh(&tap->hold_lock);\n",
        ("unit/core/test_transmit.py",),
    ),
    "rights": Mutant(
        "anybody sets a card's quotas",
        "module/sysfs.c",
        "\tif (!capable(CAP_NET_ADMIN))\n\t\treturn -EPERM;\n",
        "",
        (
            "integration/test_permissions.py::"
            "test_a_cards_files_are_everybodys_to_read_and_the_administrators_to_write",
        ),
    ),
    "pages": Mutant(
        "packet memory can be pinned, as any other",
        "module/mmap.c",
        "VM_IO | VM_MIXEDMAP",
        "VM_MIXEDMAP",
        ("integration/test_mapping.py::test_no_way_of_input_or_output_pins_packet_memory",),
    ),
    "rings": Mutant(
        "rings that taps use are changed before anybody asks",
        "module/port.c",
        "\treturn err;\n}\nEXPORT_SYMBOL_GPL(ntzc_port_check_rings);",
        "\treturn 0;\n}\nEXPORT_SYMBOL_GPL(ntzc_port_check_rings);",
        ("integration/test_lifecycle.py::test_ring_and_mtu_changes_under_an_open_tap",),
    ),
    "link": Mutant(
        "frames wait in the card for a link",
        "driver/igb/watchdog.c",
        "ntzc_igb_tx_open(&igb->queues[i], link->up)",
        "ntzc_igb_tx_open(&igb->queues[i], true)",
        (
            "integration/test_transmit.py::"
            "test_frames_sent_while_the_link_is_down_come_back_and_never_leave_late",
        ),
    ),
    "sleep": Mutant(
        "the machine sleeps and the driver does not know",
        "driver/igb/pci.c",
        "\t.driver.pm\t= pm_sleep_ptr(&ntzc_igb_pm_ops),\n",
        "",
        ("integration/test_sleep.py::test_a_tap_goes_on_after_the_machine_slept",),
    ),
}


def _copy(name: str) -> Path:
    """Copy what is in version control, with what the tests need of what was built."""
    copy = COPIES / name
    # the modules' objects stay: the next run builds only what changed
    for path in copy.iterdir() if copy.exists() else ():
        if path.name != "build":
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for relative in filter(None, listed.split("\0")):
        if (ROOT / relative).is_file():
            (copy / relative).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / relative, copy / relative)
            shutil.copymode(ROOT / relative, copy / relative)
    (copy / "build").mkdir(exist_ok=True)
    for built in ("lib", "python"):
        link = copy / "build" / built
        if not link.is_symlink():
            link.symlink_to(ROOT / "build" / built)
    return copy


def _break(copy: Path, mutant: Mutant) -> None:
    path = copy / mutant.file
    text = path.read_text()
    if text.count(mutant.old) != 1:
        raise SystemExit(f"mutants: {mutant.file} changed: say anew what to break")
    path.write_text(text.replace(mutant.old, mutant.new))


def _run(copy: Path, *words: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, *words],
        cwd=copy,
        env=os.environ | {"NTZC_HYPOTHESIS_PROFILE": "mutant"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )
    return done.returncode, done.stdout


def _first_failure(output: str) -> str:
    match = re.search(r"^(?:FAILED|ERROR) \S*?(test_\w+\.py(?:::\w+)?)", output, re.MULTILINE)
    return match[1] if match else "the test run crashed"


def _caught(copy: Path, mutant: Mutant, test: str) -> str:
    """Return the test that failed, or nothing if the mutant survived this."""
    words = ["-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", f"tests/{test}"]
    if test.startswith("integration"):
        words += ["--kernels", mutant.kernel]
    status, output = _run(copy, *words)
    # 1: a test failed; negative: the core crashed, in user space
    if status != 1 and status >= 0:
        if status:
            raise SystemExit(f"mutants: pytest: {output[-2000:]}")
        return ""
    if "ImportError" in output or "BuildError" in output:
        raise SystemExit(f"mutants: {mutant.name}: {output[-2000:]}")
    return _first_failure(output)


def _judge(name: str, mutant: Mutant) -> Iterator[tuple[str, str]]:
    """Build one; yield each of its tests and which of it failed, if any."""
    copy = _copy(name)
    _break(copy, mutant)
    status, output = _run(copy, "-m", "emulation", "modules", KERNEL)
    if status:
        raise SystemExit(f"mutants: {mutant.name} does not build: {output[-2000:]}")
    for test in mutant.tests:
        yield test, _caught(copy, mutant, test)


def _units_survive() -> bool:
    """Break the core in user space; pytest says how that went."""
    words = ["-m", "pytest", "-q", "-m", "mutants", "tests/unit/core/test_mutants.py"]
    return bool(subprocess.run([sys.executable, *words], cwd=ROOT, check=False).returncode)


def main(names: list[str]) -> int:
    """Judge those named, or all; return 1 if one survives anything that should see it."""
    known = [UNITS, *MUTANTS]
    if unknown := set(names) - set(known):
        raise SystemExit(f"mutants: no {', '.join(unknown)}: choose from {', '.join(known)}")
    survivors = 0
    for name in names or known:
        if name == UNITS:
            survivors += _units_survive()
            continue
        mutant = MUTANTS[name]
        for test, failed in _judge(name, mutant):
            where = mutant.kernel if test.startswith("integration") else "units"
            survivors += not failed
            verdict = f"caught by {failed}" if failed else f"SURVIVED {test}"
            print(f"{name:8} {mutant.name:52} {where:6} {verdict}", flush=True)
    return bool(survivors)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
