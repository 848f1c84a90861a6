"""Backups: vault and lock, plan and windows, what is backed up, by whom, and who is told."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.templates.loader import BOUNDARY, Template

FILE = "backup.yml"
# Days that each rule keeps, and the days between which prod's vault is locked.
RETENTION = {
    "dev": {"daily": 7},
    "staging": {"daily": 14},
    "prod": {"daily": 35, "monthly": 365},
}
MAP_TAGS = {
    "Application": "payments",
    "CostCenter": {"Ref": "CostCenter"},
    "Owner": {"Ref": "Owner"},
    "DataClassification": {"Ref": "DataClassification"},
    "ManagedBy": "CloudFormation",
}
ALARMS = {
    "PaymentBackupFailuresAlarm": ("backup-failures", "NumberOfBackupJobsFailed"),
    "PaymentBackupExpirationsAlarm": ("backup-expirations", "NumberOfBackupJobsExpired"),
    "PaymentBackupCancellationsAlarm": ("backup-cancellations", "NumberOfBackupJobsAborted"),
}
VAULT = {"Ref": "PaymentBackupVault"}
ACCOUNT = {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}}
DAY = 24 * 60

Resources = dict[str, dict[str, Any]]


@pytest.fixture
def resources(deployed: Callable[..., Template]) -> Resources:
    """The resources that exist in the environment of the test."""
    return dict(deployed(FILE)["Resources"])


@pytest.fixture
def vault(resources: Resources) -> dict[str, Any]:
    return dict(resources["PaymentBackupVault"]["Properties"])


@pytest.fixture
def rules(resources: Resources) -> list[dict[str, Any]]:
    """The rules of the plan, in their order."""
    return list(resources["PaymentBackupPlan"]["Properties"]["BackupPlan"]["BackupPlanRule"])


# --- vault ----------------------------------------------------------------------------------------


def test_vault_is_encrypted_with_a_key_of_its_own(vault: dict[str, Any]) -> None:
    assert vault["EncryptionKeyArn"] == {"Fn::GetAtt": ["PaymentBackupKey", "Arn"]}


def test_every_stack_has_a_vault_of_its_own(vault: dict[str, Any], environment: str) -> None:
    """A vault that was kept has its name still, when its stack is made anew."""
    text, own = vault["BackupVaultName"]["Fn::Sub"]
    assert text == "${ApplicationName}-${EnvironmentType}-${Unique}"
    stack_id = {"Fn::Split": ["/", {"Ref": "AWS::StackId"}]}
    last_of_uuid = {"Fn::Select": [4, {"Fn::Split": ["-", {"Fn::Select": [2, stack_id]}]}]}
    assert own["Unique"] == last_of_uuid
    longest = text.replace("${ApplicationName}", "p" * 21)
    longest = longest.replace("${EnvironmentType}", environment).replace("${Unique}", "0" * 12)
    assert re.fullmatch(r"[a-zA-Z0-9_-]{2,50}", longest)


def test_prod_is_locked_and_nothing_else(vault: dict[str, Any], environment: str) -> None:
    lock = {"MinRetentionDays": 35, "MaxRetentionDays": 365}
    assert vault.get("LockConfiguration") == (lock if environment == "prod" else None)


def test_lock_can_be_lifted_by_its_owner(vault: dict[str, Any]) -> None:
    """With ChangeableForDays nobody could lift it any more, AWS included."""
    assert "ChangeableForDays" not in vault.get("LockConfiguration", {})


@pytest.mark.parametrize("environment", ["prod"], indirect=True)
def test_lock_lets_in_what_the_plan_keeps(
    vault: dict[str, Any], rules: list[dict[str, Any]]
) -> None:
    """A job whose recovery point would be kept shorter or longer fails."""
    lock = vault["LockConfiguration"]
    kept = [rule["Lifecycle"]["DeleteAfterDays"] for rule in rules]
    assert (min(kept), max(kept)) == (lock["MinRetentionDays"], lock["MaxRetentionDays"])


def test_nobody_deletes_recovery_points_or_changes_the_vault(vault: dict[str, Any]) -> None:
    [statement] = vault["AccessPolicy"]["Statement"]
    assert (statement["Effect"], statement["Principal"], statement["Resource"]) == (
        "Deny",
        "*",
        "*",
    )
    assert set(statement["Action"]) == {
        "backup:DeleteBackupVault",
        "backup:DeleteBackupVaultAccessPolicy",
        "backup:DeleteBackupVaultLockConfiguration",
        "backup:DeleteRecoveryPoint",
        "backup:DisassociateRecoveryPoint",
        "backup:PutBackupVaultAccessPolicy",
        "backup:PutBackupVaultLockConfiguration",
        "backup:UpdateRecoveryPointLifecycle",
    }


def test_cloudformation_can_still_change_the_vault(vault: dict[str, Any]) -> None:
    """With its role it comes as the role, else in the name of whoever called it.

    The first condition also holds for a request that came through no service at all.
    """
    [statement] = vault["AccessPolicy"]["Statement"]
    assert statement["Condition"] == {
        "ForAllValues:StringNotEquals": {"aws:CalledVia": "cloudformation.amazonaws.com"},
        "ArnNotEquals": {
            "aws:PrincipalArn": "{{resolve:ssm:/payments/bootstrap/service-role-arn}}"
        },
    }


def test_policy_of_the_vault_names_its_actions_one_by_one(vault: dict[str, Any]) -> None:
    """AWS Backup takes no wildcard in the actions of a vault's policy."""
    for statement in vault["AccessPolicy"]["Statement"]:
        assert [action for action in statement["Action"] if "*" in action] == []


def test_key_works_only_through_backup(resources: Resources) -> None:
    key = resources["PaymentBackupKey"]["Properties"]
    assert set(key) == {
        "Description",
        "EnableKeyRotation",
        "KeyPolicy",
        "PendingWindowInDays",
        "Tags",
    }
    _administering, using, granting, _refusing = key["KeyPolicy"]["Statement"]
    through = {
        "kms:CallerAccount": {"Ref": "AWS::AccountId"},
        "kms:ViaService": {"Fn::Sub": "backup.${AWS::Region}.${AWS::URLSuffix}"},
    }
    assert using == {
        "Sid": "UseThroughBackup",
        "Effect": "Allow",
        "Principal": ACCOUNT,
        "Action": ["kms:Decrypt", "kms:GenerateDataKey*", "kms:RetireGrant"],
        "Resource": "*",
        "Condition": {"StringEquals": through},
    }
    assert granting == {
        "Sid": "GrantToBackup",
        "Effect": "Allow",
        "Principal": ACCOUNT,
        "Action": "kms:CreateGrant",
        "Resource": "*",
        "Condition": {"Bool": {"kms:GrantIsForAWSResource": "true"}, "StringEquals": through},
    }


def test_key_has_a_name_and_waits_before_it_goes(resources: Resources, environment: str) -> None:
    alias = resources["PaymentBackupKeyAlias"]["Properties"]
    assert alias["AliasName"] == f"alias/payments-{environment}-backup"
    assert alias["TargetKeyId"] == {"Ref": "PaymentBackupKey"}
    waits = {"dev": 7, "staging": 14, "prod": 30}
    key = resources["PaymentBackupKey"]["Properties"]
    assert key["PendingWindowInDays"] == waits[environment]


def test_what_recovery_points_need_is_kept_with_them(
    resources: Resources, environment: str
) -> None:
    policy = "Delete" if environment == "dev" else "Retain"
    policies = {
        name: (item["DeletionPolicy"], item["UpdateReplacePolicy"])
        for name, item in resources.items()
        if "DeletionPolicy" in item
    }
    needed = ("PaymentBackupKey", "PaymentBackupVault", "PaymentBackupRole")
    assert policies == dict.fromkeys(needed, (policy, policy))


# --- plan -----------------------------------------------------------------------------------------


def test_plan_is_named_after_the_deployment(resources: Resources, environment: str) -> None:
    plan = resources["PaymentBackupPlan"]["Properties"]["BackupPlan"]
    assert set(plan) == {"BackupPlanName", "BackupPlanRule"}
    assert plan["BackupPlanName"] == f"payments-{environment}"


def test_rules_of_the_environment(rules: list[dict[str, Any]], environment: str) -> None:
    kept = {rule["RuleName"]: rule["Lifecycle"] for rule in rules}
    assert kept == {
        name: {"DeleteAfterDays": days} for name, days in RETENTION[environment].items()
    }


def test_recovery_points_go_to_the_vault(rules: list[dict[str, Any]]) -> None:
    assert [rule["TargetBackupVault"] for rule in rules] == [VAULT] * len(rules)


@pytest.mark.parametrize(
    ("environment", "schedules"),
    [
        ("dev", {"daily": "cron(0 21 * * ? *)"}),
        ("staging", {"daily": "cron(0 3 * * ? *)"}),
        ("prod", {"daily": "cron(0 2 * * ? *)", "monthly": "cron(0 12 1 * ? *)"}),
    ],
    indirect=["environment"],
)
def test_schedules(rules: list[dict[str, Any]], schedules: dict[str, str]) -> None:
    assert {rule["RuleName"]: rule["ScheduleExpression"] for rule in rules} == schedules


def test_a_job_starts_within_an_hour_and_ends_within_four(rules: list[dict[str, Any]]) -> None:
    windows = [(rule["StartWindowMinutes"], rule["CompletionWindowMinutes"]) for rule in rules]
    assert windows == [(60, 180)] * len(rules)


def test_plan_keeps_at_least_as_long_as_the_cluster(
    rules: list[dict[str, Any]], templates: dict[str, Template], environment: str
) -> None:
    row = templates["database.yml"]["Mappings"]["Environment"][environment]
    kept = [rule["Lifecycle"]["DeleteAfterDays"] for rule in rules]
    assert min(kept) >= row["BackupRetentionDays"]


def test_continuous_backup_is_left_to_the_cluster(rules: list[dict[str, Any]]) -> None:
    """AWS Backup would change the cluster's retention and window, which the database stack sets."""
    assert [rule for rule in rules if rule.get("EnableContinuousBackup")] == []


def taken(rule: dict[str, Any]) -> set[int]:
    """The minutes of a day in which a job of the rule may run, with an hour before and after."""
    found = re.fullmatch(r"cron\((\d+) (\d+) .*\)", rule["ScheduleExpression"])
    assert found, rule["ScheduleExpression"]
    start = int(found[2]) * 60 + int(found[1])
    end = start + rule["StartWindowMinutes"] + rule["CompletionWindowMinutes"]
    return {moment % DAY for moment in range(start - 60, end + 60)}


def window(text: str) -> set[int]:
    """The minutes of a day in a window of RDS, such as 02:00-03:00 or sun:03:30-sun:04:30."""
    start, end = (int(h) * 60 + int(m) for h, m in re.findall(r"(\d\d):(\d\d)", text))
    return {moment % DAY for moment in range(start, end)}


@pytest.mark.parametrize("key", ["BackupWindow", "MaintenanceWindow"])
def test_backups_stay_an_hour_away_from_the_windows_of_the_cluster(
    rules: list[dict[str, Any]], templates: dict[str, Template], environment: str, key: str
) -> None:
    occupied = window(templates["database.yml"]["Mappings"]["Environment"][environment][key])
    assert len(occupied) == 60
    for rule in rules:
        assert not taken(rule) & occupied, rule["RuleName"]


def test_rules_do_not_meet(rules: list[dict[str, Any]]) -> None:
    """Of two rules whose windows meet, AWS Backup follows only the one that keeps longer."""
    moments = [moment for rule in rules for moment in taken(rule)]
    assert len(moments) == len(set(moments))


# --- what is backed up, and by whom ---------------------------------------------------------------


def test_exactly_the_cluster_is_backed_up(resources: Resources) -> None:
    assert resources["PaymentBackupSelection"]["Properties"] == {
        "BackupPlanId": {"Ref": "PaymentBackupPlan"},
        "BackupSelection": {
            "SelectionName": "database",
            "IamRoleArn": {"Fn::GetAtt": ["PaymentBackupRole", "Arn"]},
            "Resources": [{"Ref": "DatabaseClusterArn"}],
        },
    }


def test_role_is_for_backup_in_this_account(resources: Resources) -> None:
    role = resources["PaymentBackupRole"]["Properties"]
    [trust] = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust == {
        "Effect": "Allow",
        "Principal": {"Service": "backup.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}},
    }
    assert role["PermissionsBoundary"] == BOUNDARY
    assert "ManagedPolicyArns" not in role


RDS = "arn:${AWS::Partition}:rds:${AWS::Region}:${AWS::AccountId}:"
OF_BACKUP = {"Fn::Sub": f"{RDS}cluster-snapshot:awsbackup:*"}
VAULT_ARN = {"Fn::GetAtt": ["PaymentBackupVault", "BackupVaultArn"]}
KEYS = [{"Ref": "DataKeyArn"}, {"Fn::GetAtt": ["PaymentBackupKey", "Arn"]}]
PERMISSIONS: dict[str, tuple[Any, Any]] = {
    "TakeSnapshots": ("rds:CreateDBClusterSnapshot", [{"Ref": "DatabaseClusterArn"}, OF_BACKUP]),
    "KeepSnapshots": (["rds:AddTagsToResource", "rds:DeleteDBClusterSnapshot"], OF_BACKUP),
    "FindSnapshots": (
        ["rds:DescribeDBClusterSnapshots", "rds:DescribeDBClusters", "rds:ListTagsForResource"],
        [{"Fn::Sub": f"{RDS}cluster:*"}, {"Fn::Sub": f"{RDS}cluster-snapshot:*"}],
    ),
    "ReadVault": ("backup:DescribeBackupVault", VAULT_ARN),
    "ReadKeys": ("kms:DescribeKey", KEYS),
    "ReadTags": ("tag:GetResources", "*"),
}


def test_role_takes_snapshots_of_the_cluster_and_deletes_only_its_own(
    resources: Resources, environment: str
) -> None:
    [policy] = resources["PaymentBackupRole"]["Properties"]["Policies"]
    statements = policy["PolicyDocument"]["Statement"]
    assert {s["Sid"]: (s["Action"], s["Resource"]) for s in statements} == PERMISSIONS
    for statement in statements:
        assert statement["Effect"] == "Allow"
        of_environment = {"aws:PrincipalTag/Environment": environment}
        if statement["Sid"] == "ReadKeys":
            of_environment["aws:ResourceTag/Environment"] = environment
        assert statement["Condition"] == {"StringEquals": of_environment}


@pytest.mark.parametrize(
    ("name", "tags"),
    [("PaymentBackupVault", "BackupVaultTags"), ("PaymentBackupPlan", "BackupPlanTags")],
)
def test_vault_and_plan_are_tagged_by_a_mapping(
    resources: Resources, environment: str, name: str, tags: str
) -> None:
    assert resources[name]["Properties"][tags] == {
        **MAP_TAGS,
        "Name": f"payments-{environment}",
        "Environment": environment,
    }


# --- who is told ----------------------------------------------------------------------------------


def test_alarms(resources: Resources) -> None:
    alarms = {n for n, item in resources.items() if item["Type"] == "AWS::CloudWatch::Alarm"}
    assert alarms == set(ALARMS)


@pytest.mark.parametrize("logical_id", ALARMS)
def test_somebody_is_told_of_the_first_backup_that_ends_badly(
    resources: Resources, environment: str, logical_id: str
) -> None:
    name, metric = ALARMS[logical_id]
    alarm = resources[logical_id]["Properties"]
    assert alarm["AlarmName"] == f"payments-{environment}-{name}"
    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/Backup", metric)
    assert alarm["Dimensions"] == [{"Name": "BackupVaultName", "Value": VAULT}]
    assert (alarm["Statistic"], alarm["ComparisonOperator"]) == ("Sum", "GreaterThanThreshold")
    assert (alarm["Period"], alarm["EvaluationPeriods"], alarm["Threshold"]) == (300, 1, 0)
    assert alarm["TreatMissingData"] == "notBreaching"
    assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "AlarmTopicArn"}]
    assert len(alarm["AlarmDescription"]) > 40


@pytest.mark.parametrize(
    ("output", "value"),
    [
        ("BackupVaultName", VAULT),
        ("BackupVaultArn", VAULT_ARN),
        ("BackupPlanId", {"Ref": "PaymentBackupPlan"}),
    ],
)
def test_output(templates: dict[str, Template], output: str, value: dict[str, Any]) -> None:
    assert templates[FILE]["Outputs"][output]["Value"] == value
