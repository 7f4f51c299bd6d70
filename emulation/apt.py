# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian suites beside the machine's own, without touching the machine's configuration.

A suite's source entry is derived from the one that the machine already has: the same
mirror and key, another suite's name. Its package lists live in a private apt state in the
cache, so a kernel downloaded through it can never be installed by mistake. ``ci/setup``
uses the same options where it means to install (QEMU from backports).

Run as ``python3 -m emulation.apt SUITE...`` it refreshes the state and prints the options
that point ``apt-get`` at it, one a line. Bare Python is enough.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from emulation.cache import cache_dir, locked

_OPTION = re.compile(r"\[(?P<options>[^]]*)\]\s*")
_COMPONENTS = "main"


class AptError(Exception):
    """The machine's apt cannot give what was asked for; the message says what to do."""


@dataclass(frozen=True)
class Source:
    """One source entry: where a suite comes from and which key signs it."""

    uris: str
    suite: str
    signed_by: str = ""

    def stanza(self) -> str:
        """Return the entry in deb822 form."""
        lines = [
            "Types: deb",
            f"URIs: {self.uris}",
            f"Suites: {self.suite}",
            f"Components: {_COMPONENTS}",
        ]
        if self.signed_by:
            lines.append(f"Signed-By: {self.signed_by}")
        return "\n".join(lines) + "\n"


def parse_deb822(text: str) -> Iterable[Source]:
    """Yield the entries of a ``.sources`` file, one per suite; disabled ones are left out."""
    text = "".join(line for line in text.splitlines(True) if not line.startswith("#"))
    for stanza in re.split(r"\n\s*\n", text):
        fields: dict[str, str] = {}
        for name, value in re.findall(r"^(\S+):((?:.*(?:\n[ \t].*)*))", stanza, re.MULTILINE):
            fields[name.lower()] = value.strip()
        if "deb" not in fields.get("types", "").split() or fields.get("enabled") == "no":
            continue
        signed_by = fields.get("signed-by", "")
        if "\n" in signed_by:  # a key written out in the entry: fold it back as it was
            signed_by = re.sub(r"\n\s*", "\n ", signed_by)
        for suite in fields.get("suites", "").split():
            yield Source(fields.get("uris", ""), suite, signed_by)


def parse_one_line(text: str) -> Iterable[Source]:
    """Yield the entries of a ``sources.list`` file."""
    for line in text.splitlines():
        if not line.startswith("deb "):
            continue
        rest = line[4:].strip()
        signed_by = ""
        if match := _OPTION.match(rest):
            rest = rest[match.end() :]
            if key := re.search(r"signed-by=(\S+)", match["options"]):
                signed_by = key[1]
        uri, suite, *_ = rest.split()
        yield Source(uri, suite, signed_by)


def own_sources(etc: Path = Path("/etc/apt")) -> list[Source]:
    """Return the entries that this machine is configured with."""
    found: list[Source] = []
    for path in [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*"))]:
        if path.suffix == ".sources" and path.is_file():
            found += parse_deb822(path.read_text())
        elif path.suffix == ".list" and path.is_file():
            found += parse_one_line(path.read_text())
    return found


def derive(wanted: str, own: Sequence[Source]) -> Source:
    """Return the entry for the suite *wanted*, derived from one in *own*.

    A security suite comes from the machine's security mirror; any other from the mirror
    that serves the machine's own release.

    Raises:
        AptError: the machine has no such Debian entry.

    """
    for source in own:
        if source.suite == wanted:
            return source
    debian = [s for s in own if "debian" in s.uris.rstrip("/").rsplit("/", 1)[-1]]
    security = wanted.endswith("-security")
    for source in debian:
        if source.suite.endswith("-security") == security:
            return replace(source, suite=wanted)
    raise AptError(
        f"no Debian source entry in /etc/apt to derive the suite {wanted} from: "
        "run this on Debian, or in a Debian container"
    )


class PrivateApt:
    """An apt state of its own, over the given suites alone.

    Creating it touches no network; :meth:`update` does.
    """

    def __init__(self, suites: Sequence[str]) -> None:
        self.suites = tuple(suites)
        self._dir = cache_dir() / "apt" / "+".join(suites)

    def options(self) -> list[str]:
        """Return the options that point an apt tool at this state."""
        settings = {
            "Dir::State::Lists": self._dir / "lists",
            "Dir::Etc::SourceList": self._dir / "ntzc.sources",
            "Dir::Etc::SourceParts": "/dev/null",
            "Dir::Cache": self._dir / "cache",
            "APT::Sandbox::User": "",
        }
        return [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]

    def update(self) -> None:
        """Fetch the suites' package lists.

        Raises:
            AptError: no source entry to derive from, or the mirror did not answer.

        """
        own = own_sources()
        stanzas = [derive(suite, own).stanza() for suite in self.suites]
        with locked("apt"):
            for part in ("lists/partial", "cache/archives/partial"):
                (self._dir / part).mkdir(parents=True, exist_ok=True)
            (self._dir / "ntzc.sources").write_text("\n".join(stanzas))
            self._apt("apt-get", "update", "-qq", "-o", "APT::Update::Error-Mode=any")

    def show(self, package: str) -> list[dict[str, str]]:
        """Return the records of *package*, newest version first.

        Raises:
            AptError: no suite here has it.

        """
        text = self._apt("apt-cache", "show", package)
        records = []
        for stanza in text.strip().split("\n\n"):
            fields = (line.split(": ", 1) for line in stanza.splitlines() if ": " in line)
            records.append({f[0]: f[1] for f in fields if not f[0].startswith(" ")})
        return records

    def download(self, packages: Sequence[str], into: Path) -> list[Path]:
        """Download *packages* (``name=version``) as ``.deb`` files into *into*.

        Raises:
            AptError: a package could not be fetched.

        """
        self._apt("apt-get", "download", "-qq", *packages, cwd=into)
        return sorted(into.glob("*.deb"))

    def _apt(self, tool: str, *args: str, cwd: Path | None = None) -> str:
        command = [tool, *self.options(), *args]
        try:
            done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise AptError(f"{tool} is missing: this step needs Debian's apt") from None
        if done.returncode:
            reason = done.stderr.strip().splitlines() or ["no reason given"]
            raise AptError(f"{tool} {' '.join(args)} failed: {reason[-1]}")
        return done.stdout


def main(suites: Sequence[str]) -> int:
    """Refresh the state over *suites* and print its options."""
    apt = PrivateApt(suites)
    try:
        apt.update()
    except AptError as error:
        print(f"apt: {error}", file=sys.stderr)
        return 1
    print("\n".join(apt.options()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
