"""Makes the mutants of templates: every operator at every place where it fits."""

from __future__ import annotations

import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from scripts.mutants.operators import network, policies, settings, values, wiring
from scripts.mutants.operators.model import OPERATORS, Edit, Operator
from scripts.mutants.places import Path, Place, changed, places
from tests.templates.loader import Template

# By default one in so many of the mutants that an operator makes of a template is run, the first of
# them always: as many as two cores try in a quarter of an hour.
ONE_IN = 18

# Importing an operator's module registers it.
_MODULES = (network, policies, settings, values, wiring)


@dataclass(frozen=True)
class Mutant:
    """A template with one change."""

    id: str
    file: str
    operator: str
    description: str
    path: Path
    value: Any
    selected: bool
    # Words by which to find the tests that look at what is changed.
    about: str = ""

    def of(self, template: Template) -> Template:
        """The template with the change."""
        found: Template = changed(template, self.path, self.value)
        return found


def generate(templates: Mapping[str, Template]) -> list[Mutant]:
    """Every mutant of some templates, in the order of their text; the ids are stable."""
    found: dict[str, Mutant] = {}
    made: set[tuple[str, Path, str]] = set()
    for file, template in templates.items():
        every = list(places(file, template))
        uses = _uses(every)
        for place in every:
            for operator, edit in _edits(place):
                # Two operators may come to the same change; the one that is named first keeps it.
                same = (file, edit.path, repr(edit.value))
                if same not in made:
                    made.add(same)
                    mutant = _mutant(place, operator, edit, uses.get(place.path[1:4:2], ""))
                    if mutant.id in found:
                        raise ValueError(f"two mutants are called {mutant.id}")
                    found[mutant.id] = mutant
    return list(_sampled(found.values()))


def _sampled(mutants: Iterable[Mutant]) -> Iterator[Mutant]:
    seen: Counter[tuple[str, str]] = Counter()
    for mutant in mutants:
        kind = (mutant.file, mutant.operator)
        chosen = mutant.selected and seen[kind] % ONE_IN == 0
        seen[kind] += mutant.selected
        yield replace(mutant, selected=chosen)


def _edits(place: Place) -> Iterator[tuple[Operator, Edit]]:
    for operator in OPERATORS.values():
        for edit in operator.find(place):
            yield operator, edit


def _uses(every: Iterable[Place]) -> dict[Path, str]:
    """Where each value of a mapping is used, by the mapping and the second key."""
    found: defaultdict[Path, str] = defaultdict(str)
    for place in every:
        match place.value:
            case {"Fn::FindInMap": [str(mapping), _, str(key), *_]}:
                found[mapping, key] += f" {place.label}"
    return found


def _mutant(place: Place, operator: Operator, edit: Edit, uses: str) -> Mutant:
    variant = f"={edit.variant}" if edit.variant else ""
    selected = not operator.one_a_resource or _is_the_one(place)
    return Mutant(
        id=f"{place.file}:{place.label}:{operator.name}{variant}",
        file=place.file,
        operator=operator.name,
        description=f"{place.label}: {edit.what}",
        path=edit.path,
        value=edit.value,
        selected=selected,
        about=f"{place.file} {place.label} {edit.what} {uses}",
    )


def _is_the_one(place: Place) -> bool:
    """Whether this is the item that is run of those of its resource: another one for each."""
    names = list(range(len(place.parent))) if isinstance(place.parent, list) else [*place.parent]
    resource = zlib.crc32(f"{place.file}:{place.path[1]}".encode())
    return names.index(place.key) == resource % len(names)
