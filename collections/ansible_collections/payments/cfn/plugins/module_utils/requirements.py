# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a ``requirements.txt`` that leaves nothing open: each package pinned, with its hashes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .errors import CfnError, raise_all

FILE_NAME = "requirements.txt"

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_PINNED = re.compile(rf"({_NAME})\s*==\s*([A-Za-z0-9.!+_-]+)")
_HASH = re.compile(r"\s--hash[=\s]\s*(\S+)")
_SHA256 = re.compile(r"sha256:([0-9a-f]{64})")
_COMMENT = re.compile(r"(^|\s)#.*")


class RequirementsError(CfnError):
    """Dependencies of code that cannot be packaged."""


@dataclass(frozen=True)
class Requirement:
    """A pinned package.

    ``name`` is normalized, ``hashes`` are SHA-256 in hexadecimal digits, sorted, ``line`` is where
    it stands in ``path``, counted from 1.
    """

    name: str
    version: str
    hashes: tuple[str, ...]
    path: Path
    line: int

    def __str__(self) -> str:
        """Give the requirement as pip takes it, without hashes."""
        return f"{self.name}=={self.version}"

    def error(self, message: str) -> RequirementsError:
        """An error about this requirement."""
        return _error(self.path, self.line, message)


def read_requirements(path: Path) -> tuple[Requirement, ...]:
    """Read a requirements file, in alphabetical order.

    Raises:
        CfnError: everything that is not ``name==version --hash=sha256:…``, one sentence each.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise RequirementsError(f"{path} cannot be read ({why}); mend or remove it.") from error
    found: dict[str, Requirement] = {}
    errors: list[CfnError] = []
    for line, written in _lines(text):
        try:
            requirement = _requirement(path, line, written)
            first = found.setdefault(requirement.name, requirement)
            if first is not requirement:
                raise requirement.error(
                    f"{requirement.name} stands in line {first.line} already; remove one of the two"
                )
        except RequirementsError as error:
            errors.append(error)
    raise_all(errors)
    return tuple(found[name] for name in sorted(found))


def normalized(name: str) -> str:
    """The one spelling of a package's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Each entry with the line it begins in; continued lines are joined, comments left out."""
    joined, begin = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        begin = begin or number
        joined += _COMMENT.sub("", line).rstrip()
        if joined.endswith("\\"):
            joined = joined[:-1] + " "
            continue
        if joined.strip():
            yield begin, joined.strip()
        joined, begin = "", 0
    if joined.strip():
        yield begin, joined.strip()


def _requirement(path: Path, line: int, written: str) -> Requirement:
    what, *_ = re.split(r"\s--hash", written, maxsplit=1)
    if what.startswith("-"):
        raise _error(
            path, line, f"the option {what.split()[0]} is not taken; list packages only, and say "
            "where they come from in pip's configuration or environment"
        )  # fmt: skip
    if ";" in what:
        raise _error(
            path, line, f"{what} has a marker, but the list is for one Python only; remove the "
            "marker, or the whole line if it does not hold"
        )  # fmt: skip
    pinned = _PINNED.fullmatch(what.strip())
    if pinned is None:
        raise _error(
            path, line, f"{what} is not pinned; write it as name==version, as `pip-compile "
            "--generate-hashes` does"
        )  # fmt: skip
    hashes = _HASH.findall(written)
    known = [match[1] for text in hashes if (match := _SHA256.fullmatch(text))]
    if not known or len(known) != len(hashes):
        raise _error(
            path, line, f"{what} has no valid --hash=sha256:…, so nobody could tell what is "
            "fetched; add it, as `pip-compile --generate-hashes` does"
        )  # fmt: skip
    return Requirement(normalized(pinned[1]), pinned[2], tuple(sorted(known)), path, line)


def _error(path: Path, line: int, message: str) -> RequirementsError:
    return RequirementsError(f"{path}, line {line}: {message}.")
