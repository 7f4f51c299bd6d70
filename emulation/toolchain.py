# SPDX-License-Identifier: GPL-2.0-or-later
"""Another Debian release's compiler, for kernels whose headers want it.

It is a small Debian of its own in the cache, made once, which nothing of this machine's is
mixed with. A command runs inside it with the folders it works on mounted where they are
outside, in a mount namespace of its own, so that nothing stays mounted.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from emulation.apt import AptError, derive, own_sources
from emulation.cache import REPOSITORY, cache_dir, locked, replacing

# the development packages for their libraries, whose own names change with releases
_PACKAGES = "gcc,make,libc6-dev,libelf-dev,libssl-dev,xz-utils,zstd"
# Arguments: the root, then folders up to "--", then the command.
_ENTER = """
set -e
root=$1
shift
while [ "$1" != -- ]; do
    mkdir -p "$root$1"
    mount --rbind "$1" "$root$1"
    shift
done
shift
exec chroot "$root" "$@"
"""


class ToolchainError(Exception):
    """The other release could not be set up."""


def inside(suite: str, folders: Sequence[Path], command: Sequence[str]) -> list[str]:
    """Return the command that runs *command* in the release *suite*, made if it is missing.

    Args:
        suite: the release, such as ``trixie``.
        folders: what of this machine is visible inside, under the same paths.
        command: what to run there; a name is looked up there.

    Raises:
        ToolchainError: the release cannot be set up.

    """
    root = _root(suite)
    shown = [str(folder) for folder in (Path("/dev"), Path("/proc"), *folders)]
    enter = ["unshare", "--mount", "sh", "-c", _ENTER, "sh", str(root)]
    return [*enter, *shown, "--", *command]


def _root(suite: str) -> Path:
    root = cache_dir() / "toolchains" / suite
    if not root.exists():
        with locked(f"toolchain-{suite}"):
            if not root.exists():
                _make(suite, root)
    return root


def _make(suite: str, root: Path) -> None:
    log = cache_dir() / f"toolchain-{suite}.log"
    try:
        source = derive(suite, own_sources())
        subprocess.run([REPOSITORY / "ci" / "setup", "toolchain"], check=True)
        keyring = [f"--keyring={source.signed_by}"] if source.signed_by.startswith("/") else []
        with replacing(root) as scratch, log.open("w") as output:
            options = ["--variant=minbase", f"--include={_PACKAGES}", *keyring]
            subprocess.run(
                ["debootstrap", *options, suite, scratch, source.uris.split()[0]],
                stdout=output,
                stderr=subprocess.STDOUT,
                check=True,
            )
            shutil.rmtree(scratch / "var" / "cache" / "apt", ignore_errors=True)
    except (AptError, subprocess.CalledProcessError) as error:
        raise ToolchainError(f"the compiler of {suite}: {error} (see {log})") from error
