"""The mapping of PCI DSS points at what exists, leaves nothing out, and is what people read."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scripts import compliance_page, controls
from scripts.compliance_page import PAGE, page
from scripts.controls import Existing, Requirement

CONTROLS = controls.load()


@pytest.fixture(scope="module")
def there() -> Existing:
    return controls.existing()


def test_everything_that_is_named_exists_and_nothing_is_left_out(there: Existing) -> None:
    assert controls.mistakes(CONTROLS, there) == []


def test_the_committed_page_is_what_the_mapping_gives(there: Existing) -> None:
    assert PAGE.read_text(encoding="utf-8") == page(CONTROLS, there), (
        "The mapping or what it names changed; run: make docs"
    )


def test_requirements_are_in_the_order_of_the_standard() -> None:
    numbers = [[int(part) for part in r.id.split(".")] for r in CONTROLS.requirements]
    assert numbers == sorted(numbers)
    assert {r.chapter for r in CONTROLS.requirements} == set(CONTROLS.chapters)


# A requirement that is right; each test breaks one thing of it.
RIGHT = Requirement(
    id="3.7.4",
    title="Keys are changed.",
    resources={"security.yml": {"PaymentDataKey": ["EnableKeyRotation", "DeletionPolicy"]}},
    config_rules=["PaymentKeyRotationRule"],
    verification=["test_security.py::test_keys_are_rotated"],
    template_tests=["test_iam.py::test_key_is_rotated"],
    guard_rules=["kms_key_rotation_enabled_check"],
)


def mistakes_of(requirement: Requirement, there: Existing) -> list[str]:
    """What is said of one requirement in the place of its namesake, and not of the mapping."""
    others = [r for r in CONTROLS.requirements if r.id != requirement.id]
    return more_mistakes([*others, requirement], there)


def more_mistakes(requirements: list[Requirement], there: Existing) -> list[str]:
    before = controls.mistakes(CONTROLS, there)
    found = controls.mistakes(replace(CONTROLS, requirements=requirements), there)
    return [mistake for mistake in found if mistake not in before]


def test_right_requirement_is_no_mistake(there: Existing) -> None:
    assert mistakes_of(RIGHT, there) == []


@pytest.mark.parametrize(
    ("change", "mistake"),
    [
        (
            {"resources": {"safety.yml": {"PaymentDataKey": []}}},
            "3.7.4: safety.yml has no PaymentDataKey in prod.",
        ),
        (
            {"resources": {"security.yml": {"PaymentNoKey": []}}},
            "3.7.4: security.yml has no PaymentNoKey in prod.",
        ),
        (
            {"resources": {"security.yml": {"PaymentDataKey": ["EnableKeyRotations"]}}},
            "3.7.4: PaymentDataKey of security.yml has no EnableKeyRotations in prod.",
        ),
        (
            {"resources": {"security.yml": {"PaymentDataKey": ["KeyPolicy/Statement/Nobody"]}}},
            "3.7.4: PaymentDataKey of security.yml has no KeyPolicy/Statement/Nobody in prod.",
        ),
        (
            {"resources": {"security.yml": {"PaymentDataKey": ["EnableKeyRotation/Days"]}}},
            "3.7.4: PaymentDataKey of security.yml has no EnableKeyRotation/Days in prod.",
        ),
        (
            {"resources": {"security.yml": {"PaymentAlarmTopic": ["DeletionPolicy"]}}},
            "3.7.4: PaymentAlarmTopic of security.yml has no DeletionPolicy in prod.",
        ),
        (
            {"config_rules": ["PaymentKeyRotationRule", "PaymentDataKey"]},
            "3.7.4: PaymentDataKey is no rule of AWS Config in compliance.yml.",
        ),
        (
            {"verification": ["test_security.py::test_keys"]},
            "3.7.4: test_security.py::test_keys is no test in verification/.",
        ),
        (
            {"template_tests": ["test_keys.py::test_key_is_rotated"]},
            "3.7.4: test_keys.py::test_key_is_rotated is no test in tests/templates/.",
        ),
        (
            {"guard_rules": ["kms_key_rotation"]},
            "3.7.4: kms_key_rotation is no rule of ours or of Control Tower.",
        ),
        (
            # A rule that others call, and that stops nothing by itself.
            {"guard_rules": ["names_its_principals"]},
            "3.7.4: names_its_principals is no rule of ours or of Control Tower.",
        ),
        (
            {"verification": [], "template_tests": []},
            "3.7.4: no test proves it.",
        ),
        (
            {"config_rules": []},
            "PaymentKeyRotationRule says that it watches 3.7.4, but is mapped to nothing.",
        ),
        (
            {"config_rules": ["PaymentKeyRotationRule", "PaymentSshRule"]},
            "PaymentSshRule says that it watches 1.3.1, but is mapped to 1.3.1, 3.7.4.",
        ),
    ],
)
def test_what_points_at_nothing_is_a_mistake(
    change: dict[str, Any], mistake: str, there: Existing
) -> None:
    assert mistakes_of(replace(RIGHT, **change), there) == [mistake]


def test_requirement_that_nothing_meets_is_a_mistake(there: Existing) -> None:
    found = mistakes_of(Requirement(id="9.9.9", title="Nothing meets this."), there)
    assert found == ["9.9.9: nothing meets or watches it."]


def test_requirement_that_is_listed_twice_is_a_mistake(there: Existing) -> None:
    found = more_mistakes([*CONTROLS.requirements, RIGHT], there)
    assert found == ["3.7.4 is listed twice."]


def test_rule_of_our_own_that_is_mapped_to_nothing_is_a_mistake(there: Existing) -> None:
    more = replace(there, own_rules={**there.own_rules, "new_rule": Path("new.guard")})
    found = controls.mistakes(CONTROLS, more)
    assert "new_rule of compliance/rules is mapped to nothing." in found


@pytest.fixture(scope="module")
def text(there: Existing) -> str:
    return page(CONTROLS, there)


def test_every_link_of_the_page_leads_to_a_file(text: str) -> None:
    links = set(re.findall(r"\]\((?!#)([^)]+)\)", text))
    assert len(links) > 20
    assert [link for link in links if not (PAGE.parent / link).is_file()] == []


def test_every_row_of_the_overview_leads_to_its_requirement(text: str) -> None:
    rows = re.findall(r"^\| \[([0-9.]+)\]\(#(\d+)\)", text, re.MULTILINE)
    headings = re.findall(r"^### ([0-9.]+)$", text, re.MULTILINE)
    assert [number for number, _ in rows] == headings == [r.id for r in CONTROLS.requirements]
    anchors = [anchor for _, anchor in rows]
    assert anchors == [heading.replace(".", "") for heading in headings]
    assert len(anchors) == len(set(anchors)), "two requirements have the same link"


def test_page_says_what_is_left_to_the_owner(text: str) -> None:
    left = [r.left_to_you for r in CONTROLS.requirements if r.left_to_you]
    assert left
    assert [words for words in left if f"- **Left to you:** {words}" not in text] == []


def test_page_names_the_rules_of_aws_config_as_aws_does(text: str, there: Existing) -> None:
    identifiers = [rule["Source"]["SourceIdentifier"] for rule in there.config_rules.values()]
    assert len(identifiers) > 40
    assert [name for name in identifiers if f"`{name}`" not in text] == []


def test_page_is_written(tmp_path: Path) -> None:
    target = tmp_path / "compliance.md"
    assert compliance_page.write(target) == []
    assert target.read_text(encoding="utf-8") == PAGE.read_text(encoding="utf-8")


def test_page_of_a_wrong_mapping_is_not_written(tmp_path: Path) -> None:
    mapping = tmp_path / "controls.yml"
    text = controls.CONTROLS.read_text(encoding="utf-8")
    mapping.write_text(text.replace("[EnableKeyRotation]", "[EnableRotation]", 1), encoding="utf-8")
    target = tmp_path / "compliance.md"
    [mistake] = compliance_page.write(target, mapping)
    assert "has no EnableRotation in prod" in mistake
    assert not target.exists()
