"""What AWS Backup does for the platform, and when."""

from __future__ import annotations

import re
from dataclasses import dataclass

from verification.cloud import Record
from verification.platform import MissingError, Platform
from verification.settings import Settings

_DAY = 24 * 60
_SCHEDULE = re.compile(r"cron\((?P<minute>\d+) (?P<hour>\d+) ")
_TIME = re.compile(r"(\d\d):(\d\d)")


@dataclass(frozen=True)
class Plan:
    """A backup plan with its rules, and what it backs up with which role."""

    plan_id: str
    name: str
    rules: tuple[Record, ...]
    selections: tuple[Record, ...]

    def selects(self, arn: str) -> bool:
        """Whether the plan names a resource."""
        return any(arn in selection.get("Resources", []) for selection in self.selections)


def vaults(platform: Platform, settings: Settings) -> list[Record]:
    """Return the platform's vaults: one where backups are planned, else none.

    Raises:
        MissingError: there are more or fewer.
    """
    return [
        platform.cloud.get("backup", "describe_backup_vault", BackupVaultName=name)
        for name in _planned(platform, settings, "AWS::Backup::BackupVault")
    ]


def plans(platform: Platform, settings: Settings) -> list[Plan]:
    """Return the platform's backup plans: one where backups are planned, else none.

    Raises:
        MissingError: there are more or fewer.
    """
    return [
        _plan(platform, plan_id)
        for plan_id in _planned(platform, settings, "AWS::Backup::BackupPlan")
    ]


def plans_of_account(platform: Platform) -> list[Plan]:
    """Return every backup plan of the account in the region, whoever made it."""
    found = platform.cloud.every("backup", "list_backup_plans", "BackupPlansList")
    return [_plan(platform, item["BackupPlanId"]) for item in found]


def _planned(platform: Platform, settings: Settings, kind: str) -> list[str]:
    found = [item.physical_id for item in platform.resources(kind)]
    wanted = 1 if settings.expectations.backup_plan_retention_days else 0
    if len(found) != wanted:
        raise MissingError(
            f"The stack tree has {len(found)} of {kind}, {wanted} planned for "
            f"{settings.environment}."
        )
    return found


def _plan(platform: Platform, plan_id: str) -> Plan:
    found = platform.cloud.get("backup", "get_backup_plan", BackupPlanId=plan_id)["BackupPlan"]
    selections = platform.cloud.every(
        "backup", "list_backup_selections", "BackupSelectionsList", BackupPlanId=plan_id
    )
    return Plan(
        plan_id=plan_id,
        name=found["BackupPlanName"],
        rules=tuple(found["Rules"]),
        selections=tuple(
            platform.cloud.get(
                "backup",
                "get_backup_selection",
                BackupPlanId=plan_id,
                SelectionId=item["SelectionId"],
            )["BackupSelection"]
            for item in selections
        ),
    )


def deploying_role(platform: Platform) -> str:
    """Return the ARN of the role that CloudFormation was given when the account was prepared."""
    name = f"/{platform.settings.application}/bootstrap/service-role-arn"
    value: str = platform.cloud.get("ssm", "get_parameter", Name=name)["Parameter"]["Value"]
    return value


def minutes_of_job(rule: Record) -> set[int]:
    """Return the minutes of a day, in UTC, in which a job of the rule may be at work.

    Raises:
        ValueError: its schedule names no hour and minute.
    """
    found = _SCHEDULE.match(rule.get("ScheduleExpression", ""))
    if not found:
        raise ValueError(f"Rule {rule['RuleName']} has no schedule with an hour and a minute.")
    start = int(found["hour"]) * 60 + int(found["minute"])
    length = int(rule["StartWindowMinutes"]) + int(rule["CompletionWindowMinutes"])
    return {minute % _DAY for minute in range(start, start + length)}


def minutes_of_window(window: str) -> set[int]:
    """Return the minutes of a day in a window of RDS, `02:00-03:00` or `sun:03:30-sun:04:30`."""
    start, end = (int(hour) * 60 + int(minute) for hour, minute in _TIME.findall(window))
    return {minute % _DAY for minute in range(start, end if end > start else end + _DAY)}
