"""Writes the page on PCI DSS, for assessors, from the mapping of requirements.

python scripts/compliance_page.py
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scripts.controls import (  # noqa: E402 - needs the path above
    CONTROLS,
    Controls,
    Existing,
    Requirement,
    existing,
    load,
    mistakes,
)

PAGE = ROOT / "docs" / "compliance.md"

_INTRODUCTION = """\
# {standard}: what the platform does

Made from [compliance/controls.yml](../compliance/controls.yml) by `make docs`; change it there.

This page says, for each requirement of {standard} that infrastructure can meet, which
properties of which resources meet it, which rules of AWS Config watch it in the account, and which
tests and static rules prove it, so that an assessor can follow each claim to its evidence. Titles
are in our words: the standard has the wording that counts.

- **Met by** names properties in the CloudFormation templates, as they are in production.
- **Watched by** names AWS's managed Config rules, which judge what is deployed when it changes, or
  every few hours, and tell the alarm topic of every new breach. They are there as long as
  `payments_compliance` is true, in the inventory.
- **Proven by** names tests: of the deployed platform (`verification/`, whose report is
  `artifacts/<target>/verification.xml`), and of the templates (`tests/templates/`).
- **Enforced by** names rules for cfn-guard that refuse a template without it: our own in
  `compliance/rules/`, and those of AWS Control Tower. Where one of those may be broken,
  [compliance/suppressions.yml](../compliance/suppressions.yml) says why.
- **Left to you** is what the platform cannot do for its owner.

Of the {requirements} requirements here, {shared} leave a part to you. Not here is what no template
can meet: policies and procedures, training, physical security (AWS's: its attestation of compliance
is in AWS Artifact), scans and penetration tests (11.3, 11.4), and what the service itself does with
account data.

A test fails when a property, rule or test that is named here no longer exists, and when a Config
rule or a static rule of our own is mapped to no requirement.
"""


def page(controls: Controls, there: Existing) -> str:
    """The page, in Markdown."""
    requirements = controls.requirements
    introduction = _INTRODUCTION.format(
        standard=controls.standard,
        requirements=len(requirements),
        shared=sum(bool(requirement.left_to_you) for requirement in requirements),
    )
    parts = [introduction, "## Overview\n", _table(requirements)]
    for number, title in controls.chapters.items():
        parts.append(f"## {number} {title}\n")
        for requirement in requirements:
            if requirement.chapter == number:
                parts.append("\n".join(_section(requirement, there)) + "\n")
    return "\n".join(parts)


def _table(requirements: Sequence[Requirement]) -> str:
    lines = [
        "| No. | What it asks | Met in | Config rules | Tests | Static rules | Left to you |",
        "|---|---|---|---:|---:|---:|---|",
    ]
    for requirement in requirements:
        met = ", ".join(_template(file) for file in requirement.resources) or "-"
        counts = (
            len(requirement.config_rules),
            len(requirement.verification) + len(requirement.template_tests),
            len(requirement.guard_rules),
        )
        row = [
            f"[{requirement.id}](#{_anchor(requirement.id)})",
            requirement.title.removesuffix("."),
            met,
            *(str(count) if count else "-" for count in counts),
            "a part" if requirement.left_to_you else "-",
        ]
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines) + "\n"


def _section(requirement: Requirement, there: Existing) -> Iterator[str]:
    # The heading is the number alone, so that the links of the overview are short and stay.
    yield f"### {requirement.id}\n"
    yield f"{requirement.title}\n"
    if requirement.resources:
        yield "- **Met by**"
    for file, resources in requirement.resources.items():
        for logical_id, paths in resources.items():
            yield f"  - {_template(file)}, `{logical_id}`: {_code(paths)}"
    if requirement.config_rules:
        known = there.config_rules
        names = (
            f"`{known[rule]['Source']['SourceIdentifier']}` ({rule})"
            for rule in requirement.config_rules
        )
        yield f"- **Watched by** {', '.join(names)}"
    for folder, tests, what in (
        ("verification", requirement.verification, "of the deployed platform"),
        ("tests/templates", requirement.template_tests, "of the templates"),
    ):
        if tests:
            yield f"- **Proven by** tests {what}: {_tests(folder, tests)}"
    if requirement.guard_rules:
        rules = (_guard_rule(rule, there) for rule in requirement.guard_rules)
        yield f"- **Enforced by** {', '.join(rules)}"
    if requirement.left_to_you:
        yield f"- **Left to you:** {requirement.left_to_you}"


def _anchor(id_: str) -> str:
    """How a heading is linked to that is a number."""
    return id_.replace(".", "")


def _template(file: str) -> str:
    return f"[{file}](../cloudformation/{file})"


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _tests(folder: str, tests: Iterable[str]) -> str:
    by_file: dict[str, list[str]] = {}
    for test in tests:
        file, _, name = test.partition("::")
        by_file.setdefault(file, []).append(name)
    return "; ".join(
        f"[{file}](../{folder}/{file}) {_code(names)}" for file, names in by_file.items()
    )


def _guard_rule(rule: str, there: Existing) -> str:
    if rule in there.own_rules:
        return f"[`{rule}`](../compliance/rules/{there.own_rules[rule].name})"
    return f"`{rule}` (Control Tower)"


def write(target: Path = PAGE, mapping: Path = CONTROLS) -> list[str]:
    """Write the page, unless the mapping is wrong; return what is wrong with it."""
    controls, there = load(mapping), existing()
    wrong = mistakes(controls, there)
    if not wrong:
        target.write_text(page(controls, there), encoding="utf-8")
    return wrong


if __name__ == "__main__":
    sys.exit("\n".join(f"compliance/controls.yml: {mistake}" for mistake in write()) or 0)
