# SPDX-License-Identifier: GPL-2.0-or-later
"""Take the kernel's own checkers out of Debian's kernel source into a folder.

They are the kernel's, so they stay out of this repository: ``checkpatch.pl`` with its word
lists, and the rules of ``coccinelle/``. Run as ``python3 -m ci.fetch_scripts FOLDER``.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from emulation.apt import AptError, PrivateApt
from emulation.cache import replacing

SUITE = "bookworm-backports"
SERIES = "6.12"
FILES = ("checkpatch.pl", "const_structs.checkpatch", "spelling.txt", "coccinelle")


def fetch(folder: Path) -> None:
    """Put :data:`FILES` into *folder*.

    Raises:
        AptError: the source package cannot be had.
        subprocess.CalledProcessError: it does not hold the files.
    """
    apt = PrivateApt([SUITE])
    apt.update()
    package = f"linux-source-{SERIES}"
    members = [f"{package}/scripts/{name}" for name in FILES]
    with tempfile.TemporaryDirectory() as scratch:
        (deb,) = apt.download([package], Path(scratch))
        script = (
            'dpkg-deb --fsys-tarfile "$1" | tar -xO "./usr/src/$2.tar.xz" |'
            ' tar -xJ -C "$3" --strip-components=2 "${@:4}"'
        )
        with replacing(folder) as target:
            words = [str(deb), package, str(target), *members]
            subprocess.run(
                ["bash", "-c", script, "bash", *words], check=True, stderr=subprocess.DEVNULL
            )


def main() -> int:
    """Fetch into the folder named on the command line."""
    try:
        fetch(Path(sys.argv[1]))
    except (AptError, subprocess.CalledProcessError) as error:
        print(f"fetch_scripts: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
