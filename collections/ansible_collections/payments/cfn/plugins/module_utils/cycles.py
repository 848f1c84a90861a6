# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find resources that wait for each other, so that none of them could ever be created."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .errors import CfnError
from .evaluate import Scope, condition, planned
from .references import Kind, declares_unseen_names, entry_uses


def check_cycles(scope: Scope) -> tuple[CfnError, ...]:
    """Every circle among the resources that the values of ``scope`` bring about.

    What hangs on a condition that is not known yet is left out: CloudFormation settles conditions
    before it looks at dependencies.
    """
    template = scope.template
    if declares_unseen_names(template):
        return ()
    return tuple(
        template.error(_in_words(cycle), "Resources", cycle[0])
        for cycle in _cycles(_dependencies(scope))
    )


def _in_words(cycle: Sequence[str]) -> str:
    if len(cycle) == 2:
        return f"resource {cycle[0]} depends on itself; remove what it reads of itself."
    return f"the resources {' → '.join(cycle)} depend on each other in a circle; break it."


def _dependencies(scope: Scope) -> dict[str, list[str]]:
    def taken(arguments: list[Any]) -> list[Any]:
        name = arguments[0] if arguments else None
        holds = condition(name, scope) if isinstance(name, str) else None
        if not isinstance(holds, bool) or len(arguments) != 3:
            return []
        return [arguments[1] if holds else arguments[2]]

    present = {item.logical_id: None for item in planned(scope) if item.certain}
    return {
        name: list(
            dict.fromkeys(
                use.name
                for use in entry_uses("Resources", scope.template.resources[name], taken)
                if use.kind in (Kind.VALUE, Kind.RESOURCE) and use.name in present
            )
        )
        for name in present
    }


def _cycles(graph: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, ...]]:
    """Each circle that a walk in the order of the file runs into; its first name is also its last.

    The walk keeps its own stack: a chain may be longer than Python's.
    """
    done: set[str] = set()
    for start in graph:
        if start in done:
            continue
        path = {start: None}
        open_edges = [iter(graph[start])]
        while open_edges:
            name = next(open_edges[-1], None)
            if name is None:
                open_edges.pop()
                done.add(path.popitem()[0])
            elif name in path:
                names = list(path)
                yield (*names[names.index(name) :], name)
            elif name not in done:
                path[name] = None
                open_edges.append(iter(graph[name]))
