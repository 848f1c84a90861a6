"""Backups: where they are planned they happen, and nobody deletes them; else there are none."""

from __future__ import annotations

import pytest

from verification.backups import (
    deploying_role,
    minutes_of_job,
    minutes_of_window,
    plans,
    plans_of_account,
    vaults,
)
from verification.metrics import measured
from verification.platform import MissingError, Platform
from verification.policies import Statement, as_list, principals, read_policy
from verification.settings import Settings

DELETING = (
    "backup:DeleteRecoveryPoint",
    "backup:UpdateRecoveryPointLifecycle",
    "backup:PutBackupVaultAccessPolicy",
)
# How a job can end without a recovery point.
BAD_ENDS = ("NumberOfBackupJobsFailed", "NumberOfBackupJobsExpired", "NumberOfBackupJobsAborted")


# --- Vault --------------------------------------------------------------------------------------


def test_vault_is_named_after_its_environment(platform: Platform, settings: Settings) -> None:
    for vault in vaults(platform, settings):
        name = vault["BackupVaultName"]
        assert name == platform.output("BackupVaultName"), f"BackupVaultName is not {name}."
        assert name.startswith(settings.prefix), f"Vault {name} is not named {settings.prefix}."


def test_vault_is_encrypted_with_a_key_of_the_platform(
    platform: Platform, settings: Settings
) -> None:
    keys = {
        platform.arn("kms", f"key/{k.physical_id}") for k in platform.resources("AWS::KMS::Key")
    }
    for vault in vaults(platform, settings):
        key = vault.get("EncryptionKeyArn")
        assert key in keys, f"Vault {vault['BackupVaultName']} is encrypted with {key}."


def test_vault_is_locked_as_planned(platform: Platform, settings: Settings) -> None:
    wanted = settings.expectations.backup_vault_lock_days
    for vault in vaults(platform, settings):
        name, locked = vault["BackupVaultName"], vault.get("Locked", False)
        days = {"min": vault.get("MinRetentionDays"), "max": vault.get("MaxRetentionDays")}
        actual = days if locked else {}
        assert actual == wanted, f"Vault {name} is locked to {actual} days instead of {wanted}."
        # With a date nobody, AWS included, could lift the lock after it.
        assert "LockDate" not in vault, f"The lock of {name} closes for ever {vault['LockDate']}."


def _refusing(platform: Platform, vault: str) -> list[Statement]:
    """Return the statements of a vault's policy that deny everybody everything they name."""
    policy = platform.cloud.get("backup", "get_backup_vault_access_policy", BackupVaultName=vault)
    return [
        item
        for item in read_policy(policy["Policy"])
        if item["Effect"] == "Deny"
        and principals(item) == ["*"]
        and as_list(item["Resource"]) == ["*"]
    ]


@pytest.mark.parametrize("action", DELETING)
def test_vault_refuses(platform: Platform, settings: Settings, action: str) -> None:
    for vault in vaults(platform, settings):
        name = vault["BackupVaultName"]
        refused = [a for item in _refusing(platform, name) for a in as_list(item["Action"])]
        assert action in refused, f"Vault {name} does not refuse {action} to everybody."


def test_only_cloudformation_changes_the_vault(platform: Platform, settings: Settings) -> None:
    exempt = {"ForAllValues:StringNotEquals": "aws:CalledVia", "ArnNotEquals": "aws:PrincipalArn"}
    for vault in vaults(platform, settings):
        for item in _refusing(platform, vault["BackupVaultName"]):
            conditions = item.get("Condition", {})
            others = {
                f"{operator} {key}"
                for operator, keys in conditions.items()
                for key in keys
                if exempt.get(operator) != key
            }
            via = conditions.get("ForAllValues:StringNotEquals", {}).get("aws:CalledVia")
            role = conditions.get("ArnNotEquals", {}).get("aws:PrincipalArn", "")
            told = f"The policy of vault {vault['BackupVaultName']}"
            assert not others, f"{told} also exempts by {', '.join(sorted(others))}."
            assert via == "cloudformation.amazonaws.com", f"{told} exempts calls by {via}."
            assert role == deploying_role(platform), f"{told} exempts {role or 'no role'}."


# --- Plan ---------------------------------------------------------------------------------------


def test_plan_keeps_as_long_as_planned(platform: Platform, settings: Settings) -> None:
    wanted = settings.expectations.backup_plan_retention_days
    for plan in plans(platform, settings):
        kept = {rule["RuleName"]: rule["Lifecycle"].get("DeleteAfterDays") for rule in plan.rules}
        assert kept == wanted, f"Plan {plan.name} keeps {kept} days, {wanted} are planned."


def test_plan_fills_the_vault_of_the_platform(platform: Platform, settings: Settings) -> None:
    names = {vault["BackupVaultName"] for vault in vaults(platform, settings)}
    for plan in plans(platform, settings):
        astray = {rule["TargetBackupVaultName"] for rule in plan.rules} - names
        assert not astray, f"Plan {plan.name} fills {', '.join(sorted(astray))}."


def test_plan_leaves_continuous_backup_to_the_cluster(
    platform: Platform, settings: Settings
) -> None:
    for plan in plans(platform, settings):
        rules = [rule["RuleName"] for rule in plan.rules if rule.get("EnableContinuousBackup")]
        assert not rules, f"Rules of {plan.name} take over the cluster's backups: {rules}."


@pytest.mark.parametrize("window", ["PreferredBackupWindow", "PreferredMaintenanceWindow"])
def test_plan_stays_clear_of_the_windows_of_the_cluster(
    platform: Platform, settings: Settings, window: str
) -> None:
    occupied = minutes_of_window(platform.cluster[window])
    for plan in plans(platform, settings):
        meeting = [rule["RuleName"] for rule in plan.rules if minutes_of_job(rule) & occupied]
        assert not meeting, (
            f"Rules of {plan.name} meet the cluster's {window} {platform.cluster[window]}: "
            f"{', '.join(meeting)}."
        )


def test_plan_backs_up_exactly_the_cluster(platform: Platform, settings: Settings) -> None:
    wanted = [platform.output("DatabaseClusterArn")]
    for plan in plans(platform, settings):
        named = [arn for selection in plan.selections for arn in selection.get("Resources", [])]
        found = [s["SelectionName"] for s in plan.selections if s.get("ListOfTags")]
        assert named == wanted, f"Plan {plan.name} backs up {named}, not {wanted}."
        assert not found, f"Selections of {plan.name} take whatever has a tag: {found}."


def test_nobody_else_backs_up_the_cluster(platform: Platform, settings: Settings) -> None:
    """Where no plan is wanted, there is none in the whole account that names the cluster."""
    own = {plan.plan_id for plan in plans(platform, settings)}
    arn = platform.output("DatabaseClusterArn")
    others = [
        plan.name
        for plan in plans_of_account(platform)
        if plan.selects(arn) and plan.plan_id not in own
    ]
    assert not others, f"The cluster is also backed up by {', '.join(others)}."


def test_role_of_the_plan_is_of_the_platform_and_for_backup(
    platform: Platform, settings: Settings
) -> None:
    roles = {item.physical_id for item in platform.resources("AWS::IAM::Role")}
    for plan in plans(platform, settings):
        for selection in plan.selections:
            name = selection["IamRoleArn"].rpartition("/")[2]
            assert name in roles, f"Plan {plan.name} works with {name}, no role of the platform."
            trust = platform.cloud.get("iam", "get_role", RoleName=name)["Role"]
            who = [
                item
                for statement in read_policy(trust["AssumeRolePolicyDocument"])
                for item in principals(statement)
            ]
            assert who == ["backup.amazonaws.com"], f"Role {name} can be taken by {who}."


def test_aurora_is_backed_up_in_this_region(platform: Platform, settings: Settings) -> None:
    """Of Aurora, AWS Backup skips even what a plan names, where the account has not opted in."""
    preference = platform.cloud.get("backup", "describe_region_settings")[
        "ResourceTypeOptInPreference"
    ]
    for plan in plans(platform, settings):
        assert preference.get("Aurora"), (
            f"Plan {plan.name} does nothing: opt in to Aurora in AWS Backup's settings of "
            f"{settings.region}."
        )


# --- Who is told --------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", BAD_ENDS)
def test_somebody_is_told_when_a_backup_ends_badly(
    platform: Platform, settings: Settings, metric: str
) -> None:
    for vault in vaults(platform, settings):
        wanted = {"Name": "BackupVaultName", "Value": vault["BackupVaultName"]}
        watching = [
            alarm
            for alarm in platform.alarms.values()
            for item in measured(alarm)
            if (item["Namespace"], item["MetricName"]) == ("AWS/Backup", metric)
            and wanted in item["Dimensions"]
        ]
        if not watching:
            raise MissingError(f"No alarm watches {metric} of vault {wanted['Value']}.")
        for alarm in watching:
            told = (
                alarm["ActionsEnabled"]
                and platform.output("AlarmTopicArn") in alarm["AlarmActions"]
            )
            assert told, f"Alarm {alarm['AlarmName']} tells nobody of a backup."
            assert alarm["Threshold"] == 0, f"{alarm['AlarmName']} lets backups end badly."
