# SPDX-License-Identifier: GPL-2.0-or-later
"""The slow static checks: coccinelle with the kernel's own rules, and clang's analyzer.

Each function returns what was found, or nothing. Run as ``make analyze``.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from emulation import kernels, modules

ROOT = Path(__file__).resolve().parent.parent
KERNEL = "6.12"

# Rules that Debian's spatch cannot run, as they are partly in OCaml; one is about another
# driver, and what the other finds, sparse does too.
_OCAML = {"check_bq27xxx_data.cocci", "badzero.cocci"}

# gcc's flags that clang has not; they change what is generated, not what is meant. Warnings
# are gcc's business.
_GCC_ONLY = re.compile(
    r"-W|-m(preferred-stack|indirect|function-return|harden|record-mcount|skip-rax|fentry)"
    r"|-f(no-allow-store|conserve|patchable|align|trivial-auto|min-function)|-pg$|-c$"
)

# What is no fault, by file of the kernel's headers and checker: the bit operations' macros
# compare an address with nothing, which the analyzer takes for a hint that it may be; a
# register variable is made from itself.
_KERNELS_OWN = {
    ("linux/bitmap.h", "unix.cstring.NullArg"),
    ("asm/paravirt.h", "core.uninitialized.Assign"),
}
_FINDING = re.compile(
    r"(?P<file>/?[^:\s]+):\d+:\d+: (?:warning: .*\[(?P<checker>[\w.]+)\]$|error:)"
)

# The copy from user space is in assembler, which the analyzer does not follow: it would take
# what was copied for uninitialised.
_MODEL = """
#include <linux/uaccess.h>
extern unsigned long ntzc_analyzer_copy(void *to, const void *from, unsigned long n);
#define copy_from_user(to, from, n) ntzc_analyzer_copy(to, (const void *)(from), n)
"""


def scripts() -> Path:
    """Return the folder of the kernel's own checkers, fetched on first use."""
    done = subprocess.run(
        ["ci/setup", "--print-scripts"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    return Path(done.stdout.strip())


def coccinelle() -> str:
    """Run each of the kernel's rules over the modules."""
    rules = sorted(p for p in (scripts() / "coccinelle").rglob("*.cocci") if p.name not in _OCAML)
    assert rules, "no rules"
    return _gather(map(_spatch, rules))


def _spatch(rule: Path) -> list[str]:
    options = re.findall(r"^// Options:(.*)$", rule.read_text(), re.MULTILINE)
    words = ["-D", "report", "--no-show-diff", "--very-quiet", "-I", "module/include"]
    words += ["--cocci-file", str(rule), *shlex.split(" ".join(options))]
    # what comes to be in build/ is a copy
    return ["spatch", *words, "module", "driver"]


def clang_modules() -> str:
    """Analyze each file of the modules as it is built, but by clang."""
    kernel = kernels.fetch(KERNEL)
    built = modules.build(kernel)
    model = ROOT / "build" / "analyzer.h"
    model.write_text(_MODEL)
    commands = [
        _as_clang(recorded, ["-include", str(model)])
        for module in built
        for recorded in sorted(module.parent.glob(".*.o.cmd"))
        # not what is linked of others, nor what kbuild writes
        if (module.parent / recorded.name[1:].replace(".o.cmd", ".c")).exists()
        and ".mod.o" not in recorded.name
    ]
    assert commands, "nothing was built"
    return _gather(commands, kernel.headers)


def _as_clang(recorded: Path, more: Iterable[str]) -> list[str]:
    """Turn gcc's command, as kbuild wrote it down, into clang's."""
    line = recorded.read_text().splitlines()[0].split(":=", 1)[1]
    # objtool's command follows gcc's
    words = shlex.split(line.split(" ; ")[0])[1:]
    output = words.index("-o")
    del words[output : output + 2]
    kept = [word for word in words if not _GCC_ONLY.match(word)]
    return ["clang", "--analyze", "-Wno-everything", "-Qunused-arguments", *kept, *more]


def clang_lib() -> str:
    """Analyze the C library, its samples, and the meter on it."""
    includes = [f"-I{ROOT / path}" for path in ("libntzc/include", "module/include")]
    folders = ("libntzc/src", "libntzc/samples", "pyntzc/meter")
    sources = [path for folder in folders for path in sorted((ROOT / folder).glob("*.c"))]
    command = ["clang", "--analyze", "-Wno-everything", "-std=c11", "-D_DEFAULT_SOURCE", *includes]
    return _gather([*command, str(source)] for source in sources)


def _gather(commands: Iterable[list[str]], cwd: Path = ROOT) -> str:
    """Run the commands and return all that they find, each once."""

    def run(command: list[str]) -> list[str]:
        if command[0] == "clang":
            command = [*command, "-Xclang", "-analyzer-output=text", "-o", os.devnull]
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
        if done.returncode:
            return [f"{command[0]} failed: {done.stderr.strip()[-1000:]}"]
        if command[0] == "clang":
            return [line for line in done.stderr.splitlines() if _is_fault(line)]
        return done.stdout.splitlines()

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = [line for lines in pool.map(run, commands) for line in lines]
    return "\n".join(dict.fromkeys(found))


def _is_fault(line: str) -> bool:
    match = _FINDING.match(line)
    return match is not None and not any(
        match["file"].endswith(f"/{file}") and match["checker"] == checker
        for file, checker in _KERNELS_OWN
    )
