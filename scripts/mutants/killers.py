"""Tells whether the tests of the templates notice a change.

Tests run in a process that is forked for each mutant from one that has everything imported, with
the changed template in the place of the one that was read. Snapshots notice everything and are left
out: what counts is a test that states what is required.
"""

from __future__ import annotations

import os
import resource
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

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
_LIKELY = 12


# A mutant takes a tenth of a second where a test notices it, and ten where none does.
CPU_SECONDS = 60


class BrokenError(RuntimeError):
    """The tests could not be run at all: no verdict about a mutant."""


@dataclass(eq=False)  # pytest keeps its plugins in a set
class _Watcher:
    """A pytest plugin that keeps the first failure."""

    failed: str | None = None

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


def first_failure(sessions: Sequence[Sequence[str]]) -> str | None:
    """Run tests, or modules of them, session after session, up to the first that fails; name it."""
    for names in filter(None, sessions):
        _forget_tests()
        watcher = _Watcher()
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
    connection: Connection, file: str, template: loader.Template, order: list[list[str]]
) -> None:
    """Run in a forked process: put the changed template in place and report what failed first."""
    # Processor time, which a busy machine does not take away; what is over it ends without a word.
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    loader.READ[loader.DIRECTORY / file] = template
    loader.deployed.cache_clear()
    try:
        connection.send(("", first_failure(order)))
    except BrokenError as error:
        connection.send((str(error), None))


@dataclass
class Order:
    """What is tried first: tests that killed mutants of the kind, then whole modules."""

    last: dict[tuple[str, str], str] = field(default_factory=dict)
    kills: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def of(self, file: str, operator: str) -> list[list[str]]:
        """Likely tests, and after them every module, the most likely first."""
        often = [test for test, _ in self.kills[file].most_common(_LIKELY)]
        tests = list(dict.fromkeys([*filter(None, [self.last.get((file, operator))]), *often]))
        likely = [f"test_{Path(file).stem}.py", *(test.split("::")[0] for test in often)]
        every = modules()
        ordered = dict.fromkeys(name for name in [*likely, *every] if name in every)
        return [tests, *([name] for name in ordered)]

    def killed(self, file: str, operator: str, test: str) -> None:
        """Remember the test, whatever values it was run with."""
        name = test.split("[", maxsplit=1)[0]
        self.last[file, operator] = name
        self.kills[file][name] += 1
