"""The filter verify_report: what a JUnit report says, in words for people."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from ansible.errors import AnsibleFilterError

_SETUP = re.compile(r'^failed on \w+ with "(.*)"?$')
# Errors whose message is already a sentence for the reader.
_OWN_ERRORS = re.compile(r"^(AssertionError|Failed|verification\.\w+\.\w+): ")


@dataclass(frozen=True)
class _Finding:
    """One thing that is wrong, and the checks that found it."""

    message: str
    checks: tuple[str, ...]

    def __str__(self) -> str:
        if len(self.checks) == 1:
            return f"{self.checks[0]}: {self.message}"
        return f"{len(self.checks)} checks, the first is {self.checks[0]}: {self.message}"


def verify_report(report: str, host: str) -> dict[str, Any]:
    """Return the numbers, the findings and a summary of a JUnit report.

    Args:
        report: the XML text.
        host: the inventory host the checks ran for; it is left out of their names.

    Returns:
        checks, passed (numbers), seconds, findings (a list of {message, checks}) and summary.

    Raises:
        AnsibleFilterError: the text is no JUnit report.
    """
    try:
        root = ElementTree.fromstring(report)
    except ElementTree.ParseError as error:
        raise AnsibleFilterError(f"The verification report is not XML: {error}") from error
    cases = list(root.iter("testcase"))
    findings = _group(_failed(cases, host))
    if not cases:
        findings = [_Finding("No check was run.", ())]
    failed = sum(len(item.checks) for item in findings)
    seconds = sum(float(suite.get("time", 0)) for suite in root.iter("testsuite"))
    return {
        "checks": len(cases),
        "passed": len(cases) - failed,
        "seconds": round(seconds, 1),
        "findings": [{"message": item.message, "checks": list(item.checks)} for item in findings],
        "summary": _summary(host, len(cases), failed, seconds, findings),
    }


def _failed(cases: list[ElementTree.Element], host: str) -> Iterator[tuple[str, str]]:
    for case in cases:
        for problem in case:
            if problem.tag in {"failure", "error", "skipped"}:
                yield _message(problem), _name(case, host)
                break


def _message(problem: ElementTree.Element) -> str:
    first = (problem.get("message") or "no message").splitlines()[0]
    if setup := _SETUP.match(first):
        first = setup[1].removesuffix('"')
    if problem.tag == "skipped":
        return f"the check was skipped: {first}"
    if _OWN_ERRORS.match(first):
        return _OWN_ERRORS.sub("", first)
    return f"the check itself broke, verification.xml says where: {first}"


def _name(case: ElementTree.Element, host: str) -> str:
    area = case.get("classname", "").rpartition("test_")[2]
    name, _, parameters = case.get("name", "").removesuffix("]").partition("[")
    words = name.removeprefix("test_").replace("_", " ")
    detail = parameters.removeprefix(f"ansible://{host}").removeprefix("-")
    return f"{area}: {words} ({detail})" if detail else f"{area}: {words}"


def _group(failed: Iterator[tuple[str, str]]) -> list[_Finding]:
    # What is missing altogether fails many checks with the same words: it is told once.
    checks: dict[str, list[str]] = {}
    for message, name in failed:
        checks.setdefault(message, []).append(name)
    return [_Finding(message, tuple(names)) for message, names in checks.items()]


def _summary(host: str, checks: int, failed: int, seconds: float, findings: list[_Finding]) -> str:
    if not checks:
        return f"No check of {host} was run."
    if not findings:
        return f"All {checks} checks of {host} passed in {seconds:.1f} s."
    if failed == checks and len(findings) == 1:
        return f"All {checks} checks of {host} failed for one reason: {findings[0].message}"
    told = "\n".join(f"- {item}" for item in findings)
    return f"{failed} of {checks} checks of {host} failed:\n{told}"


class FilterModule:
    """Offers the filter to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"verify_report": verify_report}
