"""Mutants that make no difference, each with its reason; one that does is not among them.

They stand in ``equivalents.yml``. An entry whose mutant is killed, or is no longer made, is a
mistake: it would excuse what nobody looks at.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from scripts.mutants.generate import Mutant
from scripts.mutants.run import Verdict

FILE = Path(__file__).with_name("equivalents.yml")


class WrongError(ValueError):
    """The file of equivalent mutants says something that it may not say."""


def load(path: Path = FILE) -> dict[str, str]:
    """The reason for each mutant that is equivalent, by its id."""
    entries: list[dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8")) or []
    found: dict[str, str] = {}
    for entry in entries:
        if set(entry) != {"mutants", "reason"} or not str(entry["reason"]).strip():
            raise WrongError(f"{path.name}: an entry has mutants and a reason, not {set(entry)}.")
        for name in entry["mutants"]:
            if name in found:
                raise WrongError(f"{path.name}: {name} stands there twice.")
            found[name] = str(entry["reason"]).strip()
    return found


def stale(
    excused: Collection[str], verdicts: Sequence[Verdict], generated: Sequence[Mutant]
) -> Iterator[str]:
    """What is excused without need, one sentence each."""
    killed = {verdict.mutant.id: verdict.killed_by for verdict in verdicts if verdict.killed_by}
    made = {mutant.id for mutant in generated}
    for name in excused:
        if name not in made:
            yield f"{FILE.name}: there is no mutant {name}; take it out."
        elif name in killed:
            yield f"{FILE.name}: {name} is killed by {killed[name]}; take it out."
