"""A mutant is killed by a test that notices it, and by nothing else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from scripts.mutants import killers
from scripts.mutants.generate import Mutant, generate
from scripts.mutants.relevance import Relevance
from scripts.mutants.run import Verdict, run
from tests.templates import loader

FILE = "vpc.yml"
NOTICED = f"{FILE}:Resources.PaymentVPC.Properties.EnableDnsSupport:switch-flip"
UNNOTICED = f"{FILE}:Resources.PaymentVPC.Properties.EnableDnsHostnames:switch-flip"
ANY_ORDER = killers.Order(Relevance({}), {})

TESTS = {
    "test_dns.py": """
from tests.templates.loader import load_all

VPC = load_all()["vpc.yml"]["Resources"]["PaymentVPC"]["Properties"]

def test_names_are_resolved():
    assert VPC["EnableDnsSupport"] is True
""",
    "test_snapshots.py": """
def test_everything_is_noticed():
    assert False
""",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of tests in the place of those of the templates."""
    for name, text in TESTS.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(killers, "FOLDER", tmp_path)
    monkeypatch.delitem(sys.modules, "test_dns", raising=False)  # of another folder
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "")
    return tmp_path


@pytest.fixture
def templates() -> dict[str, loader.Template]:
    return {FILE: loader.load(loader.DIRECTORY / FILE)}


@pytest.fixture
def mutants(templates: dict[str, loader.Template]) -> list[Mutant]:
    found = {mutant.id: mutant for mutant in generate(templates)}
    return [found[UNNOTICED], found[NOTICED]]


@pytest.mark.usefixtures("folder")
def test_what_a_test_notices_is_killed_by_it(
    mutants: list[Mutant], templates: dict[str, loader.Template]
) -> None:
    seen: list[Verdict] = []
    verdicts = run(mutants, templates, ANY_ORDER, jobs=2, progress=seen.append)
    assert [verdict.mutant.id for verdict in verdicts] == [UNNOTICED, NOTICED]
    assert verdicts[0].killed_by is None
    assert verdicts[1].killed_by == "test_dns.py::test_names_are_resolved"
    assert len(seen) == 2


def test_a_module_that_cannot_be_read_because_of_the_change_kills(
    folder: Path, mutants: list[Mutant], templates: dict[str, loader.Template]
) -> None:
    text = f"{TESTS['test_dns.py']}\nassert VPC['EnableDnsSupport'], 'while it is read'\n"
    (folder / "test_dns.py").write_text(text, encoding="utf-8")
    unnoticed, noticed = run(mutants, templates, ANY_ORDER, jobs=1, progress=lambda _: None)
    assert unnoticed.killed_by is None
    assert noticed.killed_by == "test_dns.py"


def test_nothing_is_tried_on_tests_that_fail_anyway(folder: Path) -> None:
    (folder / "test_dns.py").write_text("def test_fails():\n    assert False\n", encoding="utf-8")
    with pytest.raises(killers.BrokenError, match="test_fails fails without any change"):
        killers.warm_up()


def test_a_process_that_ends_without_a_verdict_is_no_verdict(
    folder: Path, mutants: list[Mutant], templates: dict[str, loader.Template]
) -> None:
    (folder / "test_dns.py").write_text("import os\nos._exit(1)\n", encoding="utf-8")
    with pytest.raises(killers.BrokenError, match="without a verdict"):
        run(mutants, templates, ANY_ORDER, jobs=1, progress=lambda _: None)


def test_what_killed_last_is_tried_first_then_what_has_the_same_words(
    folder: Path, mutants: list[Mutant]
) -> None:
    (folder / "test_a.py").touch()
    about = {"test_dns.py::test_names": "EnableDnsSupport", "test_a.py::test_other": "CidrBlock"}
    order = killers.Order(Relevance(about), {"test_dns.py": 1.0, "test_a.py": 2.0})
    unnoticed, noticed = mutants
    assert order.of(unnoticed) == [[], ["test_dns.py"], ["test_a.py"]]
    assert order.of(noticed)[0] == ["test_dns.py::test_names"]
    order.killed(noticed, "test_a.py::test_other[dev]")
    assert order.of(noticed) == [
        ["test_a.py::test_other", "test_dns.py::test_names"],
        ["test_a.py"],
        ["test_dns.py"],
    ]
