"""Tries every mutant against the tests, some at a time, each in a process of its own."""

from __future__ import annotations

import multiprocessing
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from scripts.mutants.generate import Mutant
from scripts.mutants.killers import BrokenError, Order, judge
from tests.templates.loader import Template

# For a process that waits for something; one that works too long ends before.
LIMIT_SECONDS = 1200


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant: ``killed_by`` names the test or rule that noticed the change."""

    mutant: Mutant
    killed_by: str | None


@dataclass
class _Running:
    mutant: Mutant
    process: BaseProcess
    until: float


def run(
    mutants: Sequence[Mutant],
    templates: dict[str, Template],
    order: Order,
    jobs: int,
    progress: Callable[[Verdict], None],
) -> list[Verdict]:
    """Give a verdict on each mutant, in the order in which they are given."""
    verdicts: dict[str, Verdict] = {}
    for verdict in _verdicts(mutants, templates, jobs, order):
        if verdict.killed_by:
            order.killed(verdict.mutant, verdict.killed_by)
        verdicts[verdict.mutant.id] = verdict
        progress(verdict)
    return [verdicts[mutant.id] for mutant in mutants]


def _verdicts(
    mutants: Sequence[Mutant], templates: dict[str, Template], jobs: int, order: Order
) -> Iterator[Verdict]:
    waiting = list(reversed(mutants))
    running: dict[Connection, _Running] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                mutant = waiting.pop()
                template = mutant.of(templates[mutant.file])
                connection, started = _start(mutant, template, order)
                running[connection] = started
            first = min(item.until for item in running.values())
            ready = wait(list(running), timeout=max(0.0, first - time.monotonic()))
            if not ready:
                late = next(item for item in running.values() if item.until == first)
                raise BrokenError(f"{late.mutant.id}: no verdict within {LIMIT_SECONDS} s.")
            for connection in [item for item in running if item in ready]:
                yield _verdict(connection, running.pop(connection))
    finally:
        for item in running.values():
            item.process.kill()


def _start(mutant: Mutant, template: Template, order: Order) -> tuple[Connection, _Running]:
    context = multiprocessing.get_context("fork")
    mine, theirs = context.Pipe(duplex=False)
    process = context.Process(
        target=judge,
        args=(theirs, mutant, template, order.of(mutant)),
        daemon=True,
    )
    process.start()
    theirs.close()
    return mine, _Running(mutant, process, time.monotonic() + LIMIT_SECONDS)


def _verdict(connection: Connection, item: _Running) -> Verdict:
    try:
        problem, killed_by = connection.recv()
    except EOFError:
        problem, killed_by = "its process ended without a verdict", None
    item.process.join()
    connection.close()
    if problem:
        raise BrokenError(f"{item.mutant.id}: {problem}")
    return Verdict(item.mutant, killed_by)


def count(verdicts: Sequence[Verdict]) -> tuple[int, int]:
    """How many were killed and how many survive."""
    found = Counter(verdict.killed_by is not None for verdict in verdicts)
    return found[True], found[False]
