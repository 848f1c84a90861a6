"""What the inventory says of one deployment target, checked and typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class SettingError(Exception):
    """A variable of the inventory is missing or has a value of the wrong kind."""


@dataclass(frozen=True, kw_only=True)
class Expectations:
    """The sizes of one environment: `payments_expectations` in the inventory."""

    nat_gateways: int
    database_instances: int
    database_instance_class: str
    database_engine_version: str
    backup_retention_days: int
    backup_plan_retention_days: dict[str, int]
    backup_vault_lock_days: dict[str, int]
    service_desired_count: int
    service_min_count: int
    service_max_count: int
    service_execute_command: bool
    alarm_thresholds: dict[str, float]
    log_retention_days: int
    deletion_protection: bool


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The `payments_*` variables of one deployment target."""

    environment: str
    region: str
    stack_name: str
    application: str
    tags: dict[str, str]
    vpc_cidr: str
    container_image: str
    container_port: int
    health_check_path: str
    database_name: str
    certificate_arn: str
    alarm_email: str
    termination_protection: bool
    compliance: bool
    service_desired_count: int
    expectations: Expectations

    @property
    def prefix(self) -> str:
        """Return the beginning of every physical name, for example `payments-dev`."""
        return f"{self.application}-{self.environment}"


class _Reader:
    """Takes typed values out of variables and names the variable where one is wrong."""

    def __init__(self, variables: Mapping[str, Any], prefix: str) -> None:
        self._variables = variables
        self._prefix = prefix

    def value(self, name: str) -> Any:
        try:
            return self._variables[name]
        except KeyError:
            raise SettingError(
                f"The inventory lacks {self._prefix}{name}: "
                "set it in the group_vars of this environment (verification/README.md)."
            ) from None

    def text(self, name: str) -> str:
        return str(self.value(name))

    def number(self, name: str) -> int:
        value = self.value(name)
        try:
            return int(value)
        except (TypeError, ValueError):
            raise SettingError(
                f"{self._prefix}{name} is {value!r}, not a whole number: correct the inventory."
            ) from None

    def truth(self, name: str) -> bool:
        # Extra variables given as key=value arrive as text.
        words = {"true": True, "yes": True, "false": False, "no": False}
        value = str(self.value(name)).lower()
        if value not in words:
            raise SettingError(
                f"{self._prefix}{name} is {value!r}, not true or false: correct the inventory."
            )
        return words[value]

    def mapping(self, name: str) -> dict[str, Any]:
        value = self.value(name)
        if not isinstance(value, Mapping):
            raise SettingError(
                f"{self._prefix}{name} is {value!r}, not a mapping: correct the inventory."
            )
        return dict(value)

    def numbers(self, name: str) -> dict[str, int]:
        values = self.mapping(name)
        reader = _Reader(values, f"{self._prefix}{name}.")
        return {key: reader.number(key) for key in values}


def _threshold(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise SettingError(
            f"payments_expectations.alarm_thresholds.{name} is {value!r}, not a number: "
            "correct the inventory."
        ) from None


def _expectations(values: Mapping[str, Any]) -> Expectations:
    reader = _Reader(values, "payments_expectations.")
    return Expectations(
        nat_gateways=reader.number("nat_gateways"),
        database_instances=reader.number("database_instances"),
        database_instance_class=reader.text("database_instance_class"),
        database_engine_version=reader.text("database_engine_version"),
        backup_retention_days=reader.number("backup_retention_days"),
        backup_plan_retention_days=reader.numbers("backup_plan_retention_days"),
        backup_vault_lock_days=reader.numbers("backup_vault_lock_days"),
        service_desired_count=reader.number("service_desired_count"),
        service_min_count=reader.number("service_min_count"),
        service_max_count=reader.number("service_max_count"),
        service_execute_command=reader.truth("service_execute_command"),
        alarm_thresholds={
            name: _threshold(name, value)
            for name, value in reader.mapping("alarm_thresholds").items()
        },
        log_retention_days=reader.number("log_retention_days"),
        deletion_protection=reader.truth("deletion_protection"),
    )


def read_settings(variables: Mapping[str, Any]) -> Settings:
    """Return the settings that the variables of one host hold.

    Raises:
        SettingError: a variable is missing or of the wrong kind; the message names it.
    """
    own = {
        name.removeprefix("payments_"): value
        for name, value in variables.items()
        if name.startswith("payments_")
    }
    reader = _Reader(own, "payments_")
    expectations = _expectations(reader.mapping("expectations"))
    asked = reader.text("service_desired_count")
    return Settings(
        environment=reader.text("environment"),
        region=reader.text("region"),
        stack_name=reader.text("stack_name"),
        application=reader.text("application"),
        tags={key: str(value) for key, value in reader.mapping("tags").items()},
        vpc_cidr=reader.text("vpc_cidr"),
        container_image=reader.text("container_image"),
        container_port=reader.number("container_port"),
        health_check_path=reader.text("health_check_path"),
        database_name=reader.text("database_name"),
        certificate_arn=reader.text("certificate_arn"),
        alarm_email=reader.text("alarm_email"),
        termination_protection=reader.truth("termination_protection"),
        compliance=reader.truth("compliance"),
        # Empty means: the number that the template's mapping has for this environment.
        service_desired_count=(
            reader.number("service_desired_count") if asked else expectations.service_desired_count
        ),
        expectations=expectations,
    )
