# SPDX-License-Identifier: GPL-2.0-or-later
"""Keeps a machine's processes from outliving the program that started them.

virtme-ng starts QEMU through several processes, so no single parent-death signal reaches
it. This small program leads a session of its own, starts the command in it, and waits for
two things: the command's end, and the end of the lifeline, a pipe whose other end only its
starter holds. When the lifeline goes first, the whole session is killed and the machine's
folder removed.

Run as ``python -I keeper.py LIFELINE-FD FOLDER COMMAND...``.
"""

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path

GRACE_S = 5


def end(child: "subprocess.Popen[bytes]", folder: Path) -> None:
    """Kill the session, this process last, and remove the folder once nobody writes there."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(os.getpgid(0), signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(GRACE_S)
    shutil.rmtree(folder, ignore_errors=True)
    os.killpg(os.getpgid(0), signal.SIGKILL)


def main() -> int:
    """Start the command and see it, or its starter, to the end."""
    lifeline = int(sys.argv[1])
    # Only this process listens to the lifeline; the starter's Ctrl-C is not for us.
    os.set_inheritable(lifeline, False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    child = subprocess.Popen(sys.argv[3:])
    poll = select.poll()
    poll.register(lifeline, select.POLLIN)
    poll.register(os.pidfd_open(child.pid), select.POLLIN)
    if any(fd == lifeline for fd, _ in poll.poll()):
        end(child, Path(sys.argv[2]))
    return child.wait()


if __name__ == "__main__":
    sys.exit(main())
