"""Tells whether the tests of the templates notice a change.

Tests run in a process that is forked for each mutant from one that has everything imported, with
the changed template in the place of the one that was read. Snapshots notice everything and are left
out: what counts is a test that states what is required.
"""

from __future__ import annotations

import gc
import inspect
import os
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType

import pytest

from scripts.mutants.generate import Mutant
from scripts.mutants.relevance import Relevance
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
_LIKELY = 10
# A mutant takes a tenth of a second where a test notices it, and ten where none does.
CPU_SECONDS = 60


class BrokenError(RuntimeError):
    """The tests could not be run at all: no verdict about a mutant."""


@dataclass(eq=False)  # pytest keeps its plugins in a set
class _Watcher:
    """A pytest plugin that puts the tests of what is changed first, and keeps the first failure."""

    mutant: Mutant | None = None
    failed: str | None = None
    collected: list[pytest.Item] = field(default_factory=list)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Begin with the cases that name the changed resource, then those of its template."""
        self.collected = list(items)
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


def warm_up() -> Order:
    """Import and read here what every forked process needs, and see what each test is about."""
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    texts: dict[str, str] = {}
    seconds: dict[str, float] = {}
    for name in modules():
        began, watcher = time.process_time(), _Watcher()
        if _run([name], watcher):
            raise BrokenError(f"{watcher.failed} fails without any change; mend it first.")
        seconds[name] = time.process_time() - began
        for item in watcher.collected:
            test = _without_values(item.nodeid)
            if test not in texts and isinstance(item, pytest.Function):
                texts[test] = f"{name} {inspect.getsource(item.function)}"
            # The values it is run with, such as the names of resources.
            texts[test] += f" {item.name}"
    gc.freeze()  # else each process would copy what its collector looks at
    return Order(Relevance(texts), seconds)


def first_failure(sessions: Sequence[Sequence[str]], mutant: Mutant | None = None) -> str | None:
    """Run tests, or modules of them, session after session, up to the first that fails; name it."""
    for names in filter(None, sessions):
        failed = _run(names, _Watcher(mutant))
        if failed:
            return failed
    return None


def _run(names: Sequence[str], watcher: _Watcher) -> str | None:
    chosen = [f"--rootdir={FOLDER}", *(str(FOLDER / name) for name in names)]
    code = pytest.main([*_ARGUMENTS, *chosen], plugins=[watcher])
    # A test that the change leaves nothing to do is no failure.
    fine = code in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
    if not fine and not watcher.failed:
        raise BrokenError(f"pytest ended with {code!r} and no failure at {', '.join(names)}.")
    return watcher.failed


def _without_values(test: str) -> str:
    return test.split("[", maxsplit=1)[0]


def _forget_tests() -> None:
    """Let modules that look at the templates while they are imported be imported again."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if module is not loader and file and FOLDER in Path(file).parents and _is_reader(module):
            del sys.modules[name]


def _is_reader(module: ModuleType) -> bool:
    """Whether a module has anything of the loader, or of a module that has."""
    of = {getattr(value, "__module__", None) for value in vars(module).values()}
    return any(str(name).startswith("tests.templates.") for name in of - {module.__name__})


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
    _forget_tests()
    try:
        connection.send(("", first_failure(order, mutant)))
    except BrokenError as error:
        connection.send((str(error), None))


@dataclass
class Order:
    """What is tried first: tests that look at what is changed, then whole modules."""

    relevance: Relevance
    # What each module takes.
    seconds: dict[str, float]
    # The last test that killed a mutant of the operator, and one of the resource, in a template.
    last: dict[tuple[str, str], str] = field(default_factory=dict)

    def of(self, mutant: Mutant) -> list[list[str]]:
        """A session of likely tests, and one of every module, likely and quick ones first."""
        last = [self.last[kind] for kind in _kinds(mutant) if kind in self.last]
        likely = list(dict.fromkeys([*last, *self.relevance.best(mutant.about, _LIKELY)]))
        quick = sorted(modules(), key=lambda name: self.seconds.get(name, 0))
        ordered = dict.fromkeys([*(test.split("::")[0] for test in likely), *quick])
        return [likely, *([name] for name in ordered)]

    def killed(self, mutant: Mutant, test: str) -> None:
        """Remember the test, whatever values it was run with."""
        self.last |= dict.fromkeys(_kinds(mutant), _without_values(test))


def _kinds(mutant: Mutant) -> list[tuple[str, str]]:
    """What other mutants a mutant is like: of its operator, and of its resource."""
    return [(mutant.file, mutant.operator), (mutant.file, str(mutant.path[1:2]))]
