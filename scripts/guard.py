"""Holds the packaged templates of every environment against rules for cfn-guard.

Two sets: the rules of AWS Control Tower, which come with the program from the package that
compliance/package.json pins, and our own in compliance/rules, for what Control Tower does not look
at, which are tried on their tests first. What may break a rule of Control Tower stands with its
reason in compliance/suppressions.yml, where what suppresses nothing is a mistake too; what breaks
one of our own is mended.

    python scripts/guard.py
"""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scripts.packaged import write_templates  # noqa: E402 - needs the path above

SUPPRESSIONS = ROOT / "compliance" / "suppressions.yml"
GUARD = ROOT / "compliance" / "node_modules" / "@cdklabs" / "cdk-validator-cfnguard"
CONTROL_TOWER = GUARD / "rules" / "control-tower" / "cfn-guard"
OUR_OWN = ROOT / "compliance" / "rules"

_RULE = re.compile(r"^rule (\w+)(?!\w*\()", re.MULTILINE)


@dataclass(frozen=True)
class Finding:
    """A rule that a resource breaks in an environment; ``own`` says which set the rule is of."""

    environment: str
    stack: str
    rule: str
    resource: str
    own: bool = False


@dataclass(frozen=True)
class Suppression:
    """Resources that may break a rule, and why; in all environments unless some are named."""

    rule: str
    resources: list[str]
    reason: str
    environments: list[str] | None = None

    def covers(self, finding: Finding) -> bool:
        """Whether a finding is explained by this."""
        return (
            not finding.own
            and finding.rule == self.rule
            and finding.resource in self.resources
            and (self.environments is None or finding.environment in self.environments)
        )


def main() -> int:
    """Try the rules, check every environment and return how the program is to exit."""
    if not GUARD.is_dir():
        print("cfn-guard is not installed; run scripts/setup dev.", file=sys.stderr)
        return 1
    suppressions = [
        Suppression(**entry) for entry in yaml.safe_load(SUPPRESSIONS.read_text(encoding="utf-8"))
    ]
    tried = trials()
    with tempfile.TemporaryDirectory() as folder:
        checked = list(write_templates(Path(folder)))
        found = list(findings(Path(folder)))
    complaints = [
        *(trial.complaint for trial in tried if trial.complaint),
        *unexplained(found, suppressions),
        *needless(found, suppressions),
    ]
    for complaint in complaints:
        print(complaint)
    own = sum(finding.own for finding in found)
    print(
        f"cfn-guard: {len(rules(OUR_OWN))} rules of our own in {len(tried)} trials; "
        f"{len(checked)} stacks, {own} findings of our own rules, {len(found) - own} of Control "
        f"Tower's, {len(complaints)} complaints."
    )
    return 1 if complaints else 0


def unexplained(found: Sequence[Finding], suppressions: Sequence[Suppression]) -> Iterator[str]:
    """What breaks a rule without a reason, one sentence each."""
    for finding in found:
        if any(suppression.covers(finding) for suppression in suppressions):
            continue
        where = f"{finding.stack} in {finding.environment}: {finding.resource}"
        if finding.own:
            yield f"{where} breaks {finding.rule} of compliance/rules; mend the template."
        else:
            yield (
                f"{where} breaks {finding.rule} of Control Tower; mend it, or say in "
                "compliance/suppressions.yml why it may."
            )


def needless(found: Sequence[Finding], suppressions: Sequence[Suppression]) -> Iterator[str]:
    """What is suppressed although nothing breaks the rule, one sentence each."""
    for suppression in suppressions:
        broken = {finding.resource for finding in found if suppression.covers(finding)}
        for resource in suppression.resources:
            if resource not in broken:
                yield (
                    f"compliance/suppressions.yml: {resource} does not break {suppression.rule} of "
                    "Control Tower; take it out."
                )


def rules(folder: Path) -> dict[str, Path]:
    """The file of each rule in a folder; what a rule calls, which takes arguments, is none."""
    return {
        name: path
        for path in sorted(folder.rglob("*.guard"))
        for name in _RULE.findall(path.read_text(encoding="utf-8"))
    }


@dataclass(frozen=True)
class Trial:
    """A rule of our own that was run on a case of its tests; ``got`` is PASS, FAIL or SKIP."""

    file: str
    case: str
    rule: str
    expected: str
    got: str

    @property
    def complaint(self) -> str:
        """What went wrong, in a sentence; empty if nothing."""
        if self.got == self.expected:
            return ""
        return f"{self.file}, {self.case!r}: {self.rule} gives {self.got} and not {self.expected}."


def trials(folder: Path = OUR_OWN) -> list[Trial]:
    """Run the tests of our own rules."""
    # 0: every rule gives what is expected, 7: one does not.
    reports = _run("test", "--dir", str(folder), "--output-format", "json", codes=(0, 7))
    return [
        Trial(
            Path(report["rule_file"]).name,
            case["name"],
            rule["name"],
            # A rule that does what is expected is listed with what it did only.
            rule.get("expected", rule["evaluated"]),
            "".join(rule["evaluated"]),
        )
        for report in reports
        for case in report["test_cases"]
        for rule in (*case["passed_rules"], *case["failed_rules"])
    ]


def findings(folder: Path) -> Iterator[Finding]:
    """Run cfn-guard over the written templates and read what it says."""
    for environment in sorted((folder / "templates").iterdir()):
        for own, chosen in ((False, CONTROL_TOWER), (True, OUR_OWN)):
            for report in _validate(chosen, environment):
                stack = Path(report["name"]).stem
                for broken in report["not_compliant"]:
                    rule = broken["Rule"]
                    for name in _broken_by(rule):
                        yield Finding(environment.name, stack, rule["name"], name, own)


def _validate(chosen: Path, templates: Path) -> Any:
    where = ["--rules", str(chosen), "--data", str(templates)]
    how = ["--structured", "--output-format", "json", "--show-summary", "none"]
    # 0: everything complies, 19: something does not.
    return _run("validate", *where, *how, codes=(0, 19))


def _broken_by(rule: dict[str, Any]) -> list[str]:
    """The resources or parameters that do not comply; a rule on the whole may name none."""
    paths = (re.match(r"/(?:Resources|Parameters)/(\w+)", path) for path in _checked(rule))
    return sorted({path[1] for path in paths if path}) or ["the template"]


def _checked(node: Any) -> Iterator[str]:
    """Paths into the template: of what did not compare well, or lacks what was looked for."""
    if isinstance(node, list):
        for item in node:
            yield from _checked(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key in ("from", "traversed_to"):
                yield value["path"]
            else:
                yield from _checked(value)


def _run(*arguments: str, codes: tuple[int, ...]) -> Any:
    """Run cfn-guard and give the JSON that it prints."""
    machine = {"x86_64": "x86_64", "amd64": "x86_64", "arm64": "aarch64"}.get(
        platform.machine().lower(), platform.machine().lower()
    )
    system = "macos" if platform.system() == "Darwin" else "ubuntu"
    program = GUARD / "bin" / system / machine / "cfn-guard"
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    if done.returncode not in codes:
        raise SystemExit(f"cfn-guard ended with {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout)


if __name__ == "__main__":
    sys.exit(main())
