# SPDX-License-Identifier: GPL-2.0-or-later
"""What can go wrong with a virtual machine, each as a type of its own."""

from __future__ import annotations

from collections.abc import Sequence


class VMError(Exception):
    """Base of the errors of this package's virtual machines."""


class VMDied(VMError):  # noqa: N818 - what happened, not an error's name
    """The machine ended although nobody asked it to; carries the console's last lines."""

    def __init__(self, reason: str, console: str) -> None:
        super().__init__(f"{reason}\n{console}")
        self.reason = reason
        self.console = console


class CommandFailed(VMError):  # noqa: N818
    """A command in the guest ended with another status than 0, or could not be started."""

    def __init__(self, argv: Sequence[str], returncode: int, stdout: str, stderr: str) -> None:
        output = "\n".join(part.rstrip() for part in (stdout, stderr) if part.strip())
        super().__init__(f"{' '.join(argv)}: status {returncode}\n{output}".rstrip())
        self.argv = tuple(argv)
        self.returncode = returncode
        self.stdout = stdout
        self.stderr = stderr


class GuestTimeout(VMError, TimeoutError):  # noqa: N818
    """Something in the guest took longer than its deadline."""
