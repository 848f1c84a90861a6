"""Tells whether the tests of the templates notice a change.

Tests run in a process that is forked for each mutant from one that has everything imported, with
the changed template in the place of the one that was read. Snapshots notice everything and are left
out: what counts is a test that states what is required.
"""

from __future__ import annotations

import gc
import os
import resource
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from scripts.mutants.generate import Mutant
from tests.templates import loader

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "tests" / "templates"
SNAPSHOTS = "test_snapshots.py"
# No plugin that only reports, and plain assertions: nobody reads why a test failed here.
_ARGUMENTS = [
    "--override-ini=addopts=--import-mode=importlib",
    "--exitfirst",
    "--assert=plain",
    "--capture=no",
    *(f"-pno:{name}" for name in ("terminal", "cacheprovider", "junitxml", "xdist", "logging",
                                   "faulthandler", "unraisableexception", "threadexception")),
]  # fmt: skip


# How many tests are tried before whole modules.
_LIKELY = 8


# A mutant takes a tenth of a second where a test notices it, and ten where none does.
CPU_SECONDS = 60


class BrokenError(RuntimeError):
    """The tests could not be run at all: no verdict about a mutant."""


@dataclass(eq=False)  # pytest keeps its plugins in a set
class _Watcher:
    """A pytest plugin that puts the tests of what is changed first, and keeps the first failure."""

    mutant: Mutant | None
    failed: str | None = None

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Begin with the cases that name the changed resource, then those of its template."""
        if self.mutant:
            names = [str(name) for name in (*self.mutant.path[1:2], self.mutant.file)]
            items.sort(key=lambda item: [name not in item.nodeid for name in names])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep a test that failed."""
        if report.failed and self.failed is None:
            self.failed = report.nodeid

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep a module that could not be read, which an assertion in it may be the cause of."""
        if report.failed and self.failed is None:
            self.failed = report.nodeid


def modules() -> list[str]:
    """The test modules that may kill, by their names."""
    return sorted(path.name for path in FOLDER.glob("test_*.py") if path.name != SNAPSHOTS)


def warm_up() -> None:
    """Import and read here what every forked process needs."""
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    failed = first_failure([[name] for name in modules()])
    if failed:
        raise BrokenError(f"{failed} fails without any change; mend it first.")
    gc.freeze()  # else each process would copy what its collector looks at


def first_failure(sessions: Sequence[Sequence[str]], mutant: Mutant | None = None) -> str | None:
    """Run tests, or modules of them, session after session, up to the first that fails; name it."""
    for names in filter(None, sessions):
        _forget_tests()
        watcher = _Watcher(mutant)
        chosen = [f"--rootdir={FOLDER}", *(str(FOLDER / name) for name in names)]
        code = pytest.main([*_ARGUMENTS, *chosen], plugins=[watcher])
        if watcher.failed:
            return watcher.failed
        # A test that the change leaves nothing to do is no failure.
        if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            raise BrokenError(f"pytest ended with {code!r} and no failure at {', '.join(names)}.")
    return None


def _forget_tests() -> None:
    """Let test modules be imported again: they look at the templates while they are."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if module is not loader and file and FOLDER in Path(file).parents:
            del sys.modules[name]


def judge(
    connection: Connection, mutant: Mutant, template: loader.Template, order: list[list[str]]
) -> None:
    """Run in a forked process: put the changed template in place and report what failed first."""
    # Processor time, which a busy machine does not take away; what is over it ends without a word.
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    loader.READ[loader.DIRECTORY / mutant.file] = template
    try:
        connection.send(("", first_failure(order, mutant)))
    except BrokenError as error:
        connection.send((str(error), None))


@dataclass
class Order:
    """What is tried first: what killed the mutants most like this one, then whole modules."""

    # The last test that killed a mutant of the operator, and one of the resource, in a template.
    last: dict[tuple[str, str], str] = field(default_factory=dict)
    kills: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def of(self, mutant: Mutant) -> list[list[str]]:
        """Likely tests, then less likely ones, and after them every module."""
        last = list(dict.fromkeys(self.last[key] for key in _kinds(mutant) if key in self.last))
        often = [test for test, _ in self.kills[mutant.file].most_common(_LIKELY)]
        often = [test for test in often if test not in last]
        likely = [test.split("::")[0] for test in (*last, *often)]
        likely.append(f"test_{Path(mutant.file).stem}.py")
        every = modules()
        ordered = dict.fromkeys(name for name in [*likely, *every] if name in every)
        return [last, often, *([name] for name in ordered)]

    def killed(self, mutant: Mutant, test: str) -> None:
        """Remember the test, whatever values it was run with."""
        name = test.split("[", maxsplit=1)[0]
        self.last |= dict.fromkeys(_kinds(mutant), name)
        self.kills[mutant.file][name] += 1


def _kinds(mutant: Mutant) -> list[tuple[str, str]]:
    """What other mutants a mutant is like: of its operator, and of its resource."""
    return [(mutant.file, mutant.operator), (mutant.file, str(mutant.path[1:2]))]
