# SPDX-License-Identifier: GPL-2.0-or-later
"""Keeps a machine's processes from outliving the program that started them.

virtme-ng starts QEMU through several processes, so no single parent-death signal reaches
it. This small program leads a session of its own, starts the command in it, and waits for
two things: the command's end, and the end of the lifeline, a pipe whose other end only its
starter holds. When the lifeline goes first, the machine's folder is removed and the whole
session killed.

Run as ``python -I keeper.py LIFELINE-FD FOLDER COMMAND...``.
"""

import os
import select
import shutil
import signal
import subprocess
import sys


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
        shutil.rmtree(sys.argv[2], ignore_errors=True)
        os.killpg(os.getpgid(0), signal.SIGKILL)
    return child.wait()


if __name__ == "__main__":
    sys.exit(main())
