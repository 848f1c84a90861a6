"""What a run says: its survivors, what is excused, and excuses that nobody needs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts.mutants import equivalents, report
from scripts.mutants.generate import Mutant
from scripts.mutants.run import Verdict


def mutant(name: str) -> Mutant:
    return Mutant(name, "vpc.yml", "switch-flip", f"{name} turned over", ("Resources",), {}, True)


KILLED = Verdict(mutant("killed"), "test_vpc.py::test_one")
BY_RULE = Verdict(mutant("rule"), "cfn-guard: a rule")
SURVIVOR = Verdict(mutant("survivor"), None)
EQUIVALENT = Verdict(mutant("equivalent"), None)
VERDICTS = [KILLED, BY_RULE, SURVIVOR, EQUIVALENT]
RESULT = report.Result(10, VERDICTS, {"equivalent": "AWS's default"}, 60.0)


def test_only_a_survivor_without_excuse_is_a_complaint() -> None:
    assert list(RESULT.complaints()) == ["Survives: survivor (survivor turned over)"]


def test_summary_counts_what_was_made_and_what_ran() -> None:
    assert RESULT.summary() == (
        "10 mutants were made, 4 ran: 2 killed (1 of them by rules), 1 survive, "
        "1 make no difference. It took 1.0 minutes."
    )


def test_report_is_written_for_people_and_programs(tmp_path: Path) -> None:
    paths = report.write(RESULT, tmp_path)
    assert [path.name for path in paths] == ["mutants.json", "mutants.svg", "mutants.md"]
    written = json.loads(paths[0].read_text())["mutants"]
    assert [item["killed_by"] for item in written] == [v.killed_by for v in VERDICTS]
    text = paths[2].read_text()
    assert "## Survivors\n\n- `survivor` survivor turned over\n" in text
    assert "- `equivalent` equivalent turned over: AWS's default\n" in text
    assert "3/4" not in paths[1].read_text(), "what makes no difference is not counted"
    assert "2/3" in paths[1].read_text()


@pytest.mark.parametrize(
    ("excused", "complaint"),
    [
        ("killed", "killed is killed by test_vpc.py::test_one; take it out."),
        ("unknown", "there is no mutant unknown; take it out."),
    ],
)
def test_an_excuse_that_nobody_needs_is_refused(excused: str, complaint: str) -> None:
    generated = [verdict.mutant for verdict in VERDICTS]
    assert list(equivalents.stale(["equivalent"], VERDICTS, generated)) == []
    [found] = equivalents.stale([excused], VERDICTS, generated)
    assert found.endswith(complaint)


@pytest.mark.parametrize(
    "text",
    ["- mutants: [a]\n", "- {mutants: [a], reason: ''}\n", "- {mutants: [a, a], reason: same}\n"],
)
def test_an_excuse_needs_a_reason_and_is_given_once(tmp_path: Path, text: str) -> None:
    path = tmp_path / "equivalents.yml"
    path.write_text(text)
    with pytest.raises(equivalents.WrongError):
        equivalents.load(path)


def test_the_excuses_of_the_project_can_be_read() -> None:
    assert all(equivalents.load().values())
