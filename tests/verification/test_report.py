"""The filter verify_report turns a JUnit report into words."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

HOST = "dev-eu-west-1"
SOURCE = Path(__file__).parents[2] / "roles/verify/filter_plugins/verify_report.py"

Filter = Callable[[str, str], dict[str, Any]]


@pytest.fixture
def verify_report(monkeypatch: pytest.MonkeyPatch) -> Filter:
    # The file lies where Ansible looks for filters of the role, outside of any package.
    spec = importlib.util.spec_from_file_location("verify_report", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up there.
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    found: Filter = module.FilterModule().filters()["verify_report"]
    return found


def _report(*cases: str) -> str:
    return f'<testsuites><testsuite time="1.26">{"".join(cases)}</testsuite></testsuites>'


def _case(name: str, problem: str = "", area: str = "network") -> str:
    return (
        f'<testcase classname="verification.test_{area}" name="{name}[ansible://{HOST}]">'
        f"{problem}</testcase>"
    )


def test_all_passed(verify_report: Filter) -> None:
    result = verify_report(_report(_case("test_a"), _case("test_b")), HOST)
    assert result == {
        "checks": 2,
        "passed": 2,
        "seconds": 1.3,
        "findings": [],
        "summary": f"All 2 checks of {HOST} passed in 1.3 s.",
    }


def test_a_failure_is_one_sentence(verify_report: Filter) -> None:
    problem = '<failure message="AssertionError: It is open.&#10;assert 1 == 2">trace</failure>'
    result = verify_report(_report(_case("test_it_is_closed", problem), _case("test_b")), HOST)
    assert result["passed"] == 1
    assert result["summary"] == (
        f"1 of 2 checks of {HOST} failed:\n- network: it is closed: It is open."
    )


def test_the_parameter_of_a_check_is_told(verify_report: Filter) -> None:
    case = (
        f'<testcase classname="verification.test_stack" name="test_x[ansible://{HOST}-VpcId]">'
        '<failure message="AssertionError: No."/></testcase>'
    )
    result = verify_report(_report(case, _case("test_y")), HOST)
    assert "- stack: x (VpcId): No." in result["summary"]


def test_one_cause_is_told_once(verify_report: Filter) -> None:
    problem = '<failure message="verification.platform.MissingError: Stack x does not exist."/>'
    cases = [_case(f"test_{name}", problem, "stack") for name in "abc"]
    result = verify_report(_report(*cases, _case("test_d")), HOST)
    assert result["findings"] == [
        {"message": "Stack x does not exist.", "checks": ["stack: a", "stack: b", "stack: c"]}
    ]
    assert "- 3 checks, the first is stack: a: Stack x does not exist." in result["summary"]


def test_nothing_could_be_checked(verify_report: Filter) -> None:
    problem = (
        '<error message="failed on setup with &quot;verification.settings.SettingError: '
        'The inventory lacks x.&quot;"/>'
    )
    cases = [_case("test_a", problem), _case("test_b", problem)]
    assert verify_report(_report(*cases), HOST)["summary"] == (
        f"All 2 checks of {HOST} failed for one reason: The inventory lacks x."
    )


def test_a_broken_check_is_not_taken_for_a_finding(verify_report: Filter) -> None:
    problem = "<failure message=\"KeyError: 'Rules'\">trace</failure>"
    result = verify_report(_report(_case("test_a", problem), _case("test_b")), HOST)
    assert result["findings"][0]["message"] == (
        "the check itself broke, verification.xml says where: KeyError: 'Rules'"
    )


def test_a_skipped_check_has_not_passed(verify_report: Filter) -> None:
    result = verify_report(_report(_case("test_a", '<skipped message="no reason"/>')), HOST)
    assert result["passed"] == 0
    assert "skipped: no reason" in result["summary"]


def test_no_check_at_all_is_a_finding(verify_report: Filter) -> None:
    result = verify_report(_report(), HOST)
    assert result["findings"]
    assert result["summary"] == f"No check of {HOST} was run."


def test_what_is_no_report(verify_report: Filter) -> None:
    with pytest.raises(AnsibleFilterError, match="not XML"):
        verify_report("oops", HOST)
