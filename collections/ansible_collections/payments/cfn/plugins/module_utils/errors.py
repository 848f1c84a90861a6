# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one exception tree: whatever a user can mend is a :class:`CfnError`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


class CfnError(Exception):
    """A problem stated in one sentence: what is wrong, where, and what to do."""

    @property
    def findings(self) -> tuple[str, ...]:
        """The sentences to show, one for each problem."""
        return (str(self),)


class TemplateError(CfnError):
    """A template that cannot be read or does not hold together.

    ``path`` is the file; ``line`` and ``column`` count from 1 and are None where unknown.
    """

    def __init__(
        self,
        message: str,
        *,
        path: Path,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        """Put the place in front of ``message``."""
        place = str(path)
        if line is not None:
            place += f", line {line}"
        if column is not None:
            place += f", column {column}"
        super().__init__(f"{place}: {message}")
        self.path = path
        self.line = line
        self.column = column


class ParameterError(CfnError):
    """A parameter value that CloudFormation would refuse."""


class PackageError(CfnError):
    """A template tree that cannot be packaged."""


class ManifestError(CfnError):
    """A release manifest that is missing or malformed."""


class OutputError(CfnError):
    """A file of the results that cannot be written."""


class CloudError(CfnError):
    """AWS could not be reached, or refused a request."""


class FindingsError(CfnError):
    """Several problems at once; ``str()`` gives one sentence a line."""

    def __init__(self, errors: Iterable[CfnError]) -> None:
        """Gather ``errors``, in the order found."""
        self.errors = tuple(errors)
        super().__init__("\n".join(self.findings))

    @property
    def findings(self) -> tuple[str, ...]:
        """The sentences of all problems, each once, in the order found."""
        return tuple(dict.fromkeys(text for error in self.errors for text in error.findings))


def raise_all(errors: Iterable[CfnError]) -> None:
    """Raise what was collected: nothing, the one error itself, or a :class:`FindingsError`."""
    collected = tuple(errors)
    if len(collected) == 1:
        raise collected[0]
    if collected:
        raise FindingsError(collected)
