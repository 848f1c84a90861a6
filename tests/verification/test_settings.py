"""The variables of the inventory become typed settings, or one sentence says what is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from verification.settings import SettingError, read_settings


@pytest.fixture
def variables() -> dict[str, Any]:
    return {
        "ansible_connection": "local",
        "payments_environment": "dev",
        "payments_region": "eu-west-1",
        "payments_stack_name": "payments-dev",
        "payments_application": "payments",
        "payments_tags": {"Environment": "dev", "CostCenter": 4711},
        "payments_vpc_cidr": "10.0.0.0/16",
        "payments_container_image": "registry.example/app:1",
        "payments_container_port": "8080",
        "payments_health_check_path": "/healthz",
        "payments_database_name": "payments",
        "payments_certificate_arn": "arn:aws:acm:eu-west-1:000000000000:certificate/x",
        "payments_alarm_email": "",
        "payments_termination_protection": False,
        "payments_compliance": True,
        "payments_service_desired_count": "",
        "payments_expectations": {
            "nat_gateways": 1,
            "database_instances": 1,
            "database_instance_class": "db.r7g.large",
            "database_engine_version": "16.8",
            "backup_retention_days": 7,
            "backup_plan_retention_days": {"daily": "14"},
            "backup_vault_lock_days": {},
            "service_desired_count": 1,
            "service_min_count": 1,
            "service_max_count": 2,
            "service_execute_command": True,
            "alarm_thresholds": {"service-cpu": 80, "database-deadlocks": 0.1},
            "log_retention_days": 30,
            "deletion_protection": False,
        },
    }


def test_values_get_their_types(variables: dict[str, Any]) -> None:
    settings = read_settings(variables)
    assert settings.container_port == 8080
    assert settings.tags == {"Environment": "dev", "CostCenter": "4711"}
    assert settings.prefix == "payments-dev"
    assert settings.expectations.log_retention_days == 30
    assert settings.expectations.alarm_thresholds["database-deadlocks"] == 0.1
    assert settings.expectations.backup_plan_retention_days == {"daily": 14}
    assert settings.expectations.backup_vault_lock_days == {}


@pytest.mark.parametrize(("asked", "wanted"), [("", 1), (3, 3), ("4", 4), (0, 0)])
def test_desired_count_is_the_environments_unless_asked(
    variables: dict[str, Any], asked: Any, wanted: int
) -> None:
    variables["payments_service_desired_count"] = asked
    assert read_settings(variables).service_desired_count == wanted


@pytest.mark.parametrize(
    ("value", "wanted"), [(True, True), ("true", True), ("False", False), ("no", False)]
)
def test_truth_may_be_text(variables: dict[str, Any], value: Any, wanted: bool) -> None:
    variables["payments_termination_protection"] = value
    assert read_settings(variables).termination_protection is wanted


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("payments_container_port", "http", "payments_container_port is 'http', not a whole"),
        ("payments_termination_protection", "perhaps", "is 'perhaps', not true or false"),
        ("payments_tags", ["a"], r"payments_tags is \['a'\], not a mapping"),
    ],
)
def test_a_wrong_value_is_named(
    variables: dict[str, Any], name: str, value: Any, sentence: str
) -> None:
    variables[name] = value
    with pytest.raises(SettingError, match=sentence):
        read_settings(variables)


def test_a_missing_variable_is_named(variables: dict[str, Any]) -> None:
    del variables["payments_vpc_cidr"]
    with pytest.raises(SettingError, match="lacks payments_vpc_cidr"):
        read_settings(variables)


def test_a_wrong_threshold_is_named(variables: dict[str, Any]) -> None:
    variables["payments_expectations"]["alarm_thresholds"] = {"latency": "slow"}
    with pytest.raises(SettingError, match=r"alarm_thresholds\.latency is 'slow', not a number"):
        read_settings(variables)


def test_a_missing_size_is_named(variables: dict[str, Any]) -> None:
    del variables["payments_expectations"]["nat_gateways"]
    with pytest.raises(SettingError, match=r"lacks payments_expectations\.nat_gateways"):
        read_settings(variables)
