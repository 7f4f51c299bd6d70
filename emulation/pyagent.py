# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest's end of :mod:`emulation.python`: serves its own interpreter to the host.

Arguments: folders to look for modules in first. The standard streams are the connection;
what the served code prints goes to standard error.
"""

from __future__ import annotations

import os
import sys

from rpyc.core.channel import Channel
from rpyc.core.service import SlaveService
from rpyc.core.stream import PipeStream


def main() -> None:
    """Serve until the host hangs up."""
    incoming = os.fdopen(os.dup(0), "rb", buffering=0)
    outgoing = os.fdopen(os.dup(1), "wb", buffering=0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    sys.path[:0] = sys.argv[1:]
    SlaveService()._connect(Channel(PipeStream(incoming, outgoing)), {}).serve_all()


if __name__ == "__main__":
    main()
