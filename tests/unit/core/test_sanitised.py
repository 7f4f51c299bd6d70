# SPDX-License-Identifier: GPL-2.0-or-later
"""All of this folder's tests once more, with the core under ASan and UBSan."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.core import build

HERE = Path(__file__).resolve().parent
TESTS = ["machine", "packet", "failures", "sharing", "mapping", "transmit"]
TESTS += ["rings", "filters", "fanout", "targets"]


def _runtime(name: str) -> str:
    command = ["gcc", f"-print-file-name={name}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.skipif(os.environ.get("NTZC_UNIT_SANITIZE") == "1", reason="this is the sanitised run")
def test_no_access_out_of_bounds_after_free_or_undefined(tmp_path: Path) -> None:
    log = tmp_path / "sanitizer"
    build.build(sanitize=True)
    environment = os.environ | {
        "NTZC_UNIT_SANITIZE": "1",
        "NTZC_HYPOTHESIS_PROFILE": "quick",
        # Python itself is not built so: the runtime must come first, and Python's own leaks
        # and its allocator are not ours to look at (the stand-in counts what the core leaks)
        "LD_PRELOAD": f"{_runtime('libasan.so')} {_runtime('libubsan.so')}",
        "ASAN_OPTIONS": f"detect_leaks=0:log_path={log}",
        "UBSAN_OPTIONS": f"halt_on_error=1:print_stacktrace=1:log_path={log}",
    }
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        + [str(HERE / f"test_{name}.py") for name in TESTS],
        cwd=build.ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    found = "".join(path.read_text()[:6000] for path in tmp_path.glob("sanitizer.*"))
    assert done.returncode == 0, found or done.stdout[-6000:] + done.stderr[-6000:]
