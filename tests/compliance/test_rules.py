"""Our own rules for cfn-guard: documented, tried on what they let pass and what they stop."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import cfnlint.data.AdditionalSpecs
import pytest
import yaml
from cfnlint.helpers import load_resource, valid_snapshot_types

from scripts import guard
from scripts.guard import CONTROL_TOWER, OUR_OWN
from tests.templates.loader import BESIDE, DIRECTORY, load, load_all
from tests.templates.test_tags import tag_property

FILES = sorted(OUR_OWN.glob("*.guard"))
RULES = guard.rules(OUR_OWN)
TRIALS = guard.trials()

each_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
each_rule = pytest.mark.parametrize("rule", RULES)


def listed(file: str, name: str) -> list[str]:
    """The strings of a list that a file of rules declares."""
    text = (OUR_OWN / f"{file}.guard").read_text(encoding="utf-8")
    found = re.search(rf"^let {name} = \[(.*?)^\]", text, re.DOTALL | re.MULTILINE)
    assert found, f"{file}.guard has no list {name}"
    return re.findall(r'"([^"]+)"', found[1])


@each_file
def test_every_trial_gives_what_is_expected(file: Path) -> None:
    mine = [trial for trial in TRIALS if trial.file == file.name]
    assert mine
    assert [trial.complaint for trial in mine if trial.complaint] == []


@each_rule
def test_rule_is_seen_to_pass_to_fail_and_to_be_skipped(rule: str) -> None:
    assert {trial.got for trial in TRIALS if trial.rule == rule} == {"PASS", "FAIL", "SKIP"}


@each_file
def test_every_expectation_names_a_rule_of_the_file(file: Path) -> None:
    """cfn-guard passes over a name that it does not know."""
    cases = yaml.safe_load((OUR_OWN / "tests" / f"{file.stem}.yml").read_text(encoding="utf-8"))
    expected = {rule for case in cases for rule in case["expectations"]["rules"]}
    assert expected == {rule for rule, path in RULES.items() if path == file}


@each_rule
def test_rule_is_documented_as_given_then(rule: str) -> None:
    text = RULES[rule].read_text(encoding="utf-8")
    comment = re.search(rf"((?:^#.*\n)+)rule {rule}\b", text, re.MULTILINE)
    assert comment, "there is no comment right above it"
    assert comment[1].startswith("# Given ")
    assert "#  Then " in comment[1]


def test_no_rule_has_the_name_of_one_of_control_tower() -> None:
    """A suppression names its rule by name only."""
    assert set(RULES) & set(guard.rules(CONTROL_TOWER)) == set()


@pytest.fixture
def spoiled(tmp_path: Path) -> Path:
    """A copy of the rules of which one no longer looks at what is replaced."""
    rules = tmp_path / "rules"
    shutil.copytree(OUR_OWN, rules)
    file = rules / "deletion.guard"
    text = file.read_text(encoding="utf-8")
    line = '        UpdateReplacePolicy == "Retain"\n'
    assert line in text
    file.write_text(text.replace(line, ""), encoding="utf-8")
    return rules


def test_spoiled_rule_fails_its_trials(spoiled: Path) -> None:
    complaints = [trial.complaint for trial in guard.trials(spoiled) if trial.complaint]
    assert len(complaints) == 2
    assert all("data_is_kept_in_prod gives PASS and not FAIL" in text for text in complaints)


def test_stateful_types_are_those_of_cloudformation() -> None:
    known = load_resource(cfnlint.data.AdditionalSpecs, "StatefulResources.json")
    # The stack of a child holds nothing itself: what is in it has policies of its own.
    types = set(known["ResourceTypes"]) - {"AWS::CloudFormation::Stack"}
    assert set(listed("deletion", "STATEFUL")) == types


def test_types_with_snapshots_are_those_of_cloudformation() -> None:
    assert set(listed("deletion", "WITH_SNAPSHOT")) == set(valid_snapshot_types)


@pytest.mark.parametrize("resource_type", listed("tags", "UNTAGGABLE"))
def test_type_without_tags_knows_none(resource_type: str) -> None:
    assert tag_property(resource_type) is None


def test_types_without_tags_are_those_in_use() -> None:
    """One that is no longer used would excuse the next resource of its type."""
    templates: list[dict[str, Any]] = [
        *load_all().values(),
        *(load(DIRECTORY / name) for name in BESIDE),
    ]
    used = {r["Type"] for template in templates for r in template["Resources"].values()}
    assert set(listed("tags", "UNTAGGABLE")) - used == set()
