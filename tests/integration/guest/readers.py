# SPDX-License-Identifier: GPL-2.0-or-later
"""Processes in the guest that each read a tap of their own, on a processor of their own."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import select
import signal
from typing import Any

import abi
import frames

Seen = tuple[tuple[int, int, int], ...]


class Reader:
    """A process that attaches to *name*, and reads and releases all that comes.

    Args:
        name: the interface.
        queues: mask of queues, or 0 for all.
        fanout: group to join, or 0.
        cpu: the processor to run on, or -1 for any.
    """

    def __init__(self, name: str, queues: int = 0, fanout: int = 0, cpu: int = -1) -> None:
        self._pipe, far = multiprocessing.Pipe()
        self.pid = os.fork()
        if not self.pid:
            try:
                abi.reset()  # the other taps' files and mappings are not ours to keep alive
                self._pipe.close()
                if cpu >= 0:
                    os.sched_setaffinity(0, {cpu})
                self._serve(far, abi.Tap().attach(name, queues, 4096, fanout=fanout).map())
            except OSError as error:
                far.send(error)
            finally:
                os._exit(1)
        far.close()
        _readers.append(self)
        self._answer()

    @staticmethod
    def _serve(pipe: multiprocessing.connection.Connection, tap: Any) -> None:
        """Read until the other end of the pipe goes; tell what came when asked."""
        seen: list[tuple[int, int, int]] = []
        poll = select.poll()
        poll.register(tap.fd, select.POLLIN)
        poll.register(pipe.fileno(), select.POLLIN)
        pipe.send(None)
        while True:
            ready = dict(poll.poll())
            if tap.fd in ready:
                descs = tap.read(256)
                seen += ((*frames.flow_of(tap.data(desc)), desc[frames.QUEUE]) for desc in descs)
                tap.release(*(desc[frames.HANDLE] for desc in descs))
            elif pipe.fileno() in ready:
                pipe.recv()
                pipe.send((tuple(seen), tap.stats()))

    def _answer(self) -> Any:
        answer = self._pipe.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def seen(self) -> tuple[Seen, tuple[tuple[str, int], ...]]:
        """What has come, as (flow, number in it, queue) in order of reading; and the counters.

        It has read all that waited when it was asked.
        """
        self._pipe.send(None)
        seen, stats = self._answer()
        return seen, tuple(stats.items())

    def kill(self) -> None:
        """End the process as it is; return when it is gone, and its tap with it."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self._pipe.close()
        _readers.remove(self)


_readers: list[Reader] = []


def end() -> None:
    """Leave no reader."""
    for reader in tuple(_readers):
        reader.kill()
