"""Sabotage of what watches and keeps the platform: AWS Config, AWS Backup, Parameter Store."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from tests.e2e.sabotages.victim import Victim, again, sabotage

noticed_by = partial(sabotage, on="prod")


# --- AWS Config ---------------------------------------------------------------------------------


def rule(victim: Victim) -> dict[str, Any]:
    """One of the rules."""
    name = f"{victim.prefix}-rds-cluster-encrypted-at-rest"
    found = victim.client("config").describe_config_rules(ConfigRuleNames=[name])["ConfigRules"]
    return dict(found[0])


@noticed_by("compliance::test_one_recorder_records")
def recorder_is_stopped(victim: Victim) -> Iterator[str]:
    config = victim.client("config")
    [found] = config.describe_configuration_recorders()["ConfigurationRecorders"]
    name = {"ConfigurationRecorderName": found["name"]}
    config.stop_configuration_recorder(**name)
    yield found["name"]
    config.start_configuration_recorder(**name)


@noticed_by("compliance::test_recorder_records_what_the_rules_judge")
def recorder_leaves_the_database_out(victim: Victim) -> Iterator[str]:
    config = victim.client("config")
    [found] = config.describe_configuration_recorders()["ConfigurationRecorders"]
    one = {"allSupported": False, "resourceTypes": ["AWS::EC2::VPC"]}
    for group in (one, found["recordingGroup"]):
        again(
            config,
            "put_configuration_recorder",
            {"ConfigurationRecorder": {**found, "recordingGroup": group}},
        )
        if group is one:
            yield found["name"]


@noticed_by("compliance::test_rules_are_as_they_were_deployed")
def rule_asks_for_something_else(victim: Victim) -> Iterator[str]:
    config, found = victim.client("config"), rule(victim)
    other = {**found["Source"], "SourceIdentifier": "RDS_SNAPSHOT_ENCRYPTED"}
    for source in (other, found["Source"]):
        config.put_config_rule(ConfigRule={**found, "Source": source})
        if source is other:
            yield found["ConfigRuleName"]


@noticed_by("compliance::test_rules_are_those_of_the_inventory", lasting=True)
def rule_is_deleted(victim: Victim) -> Iterator[str]:
    name = rule(victim)["ConfigRuleName"]
    victim.client("config").delete_config_rule(ConfigRuleName=name)
    yield name


@noticed_by("compliance::test_breaches_are_told_as_the_inventory_says")
def breaches_are_told_to_nobody(victim: Victim) -> Iterator[str]:
    name = f"{victim.prefix}-compliance"
    victim.client("events").disable_rule(Name=name)
    yield "DISABLED"
    victim.client("events").enable_rule(Name=name)


# --- AWS Backup ---------------------------------------------------------------------------------


@noticed_by("backup::test_vault_refuses")
def vault_lets_backups_be_deleted(victim: Victim) -> Iterator[str]:
    backup, vault = victim.client("backup"), victim.outputs["BackupVaultName"]
    policy = backup.get_backup_vault_access_policy(BackupVaultName=vault)["Policy"]
    backup.delete_backup_vault_access_policy(BackupVaultName=vault)
    yield vault
    backup.put_backup_vault_access_policy(BackupVaultName=vault, Policy=policy)


@noticed_by("backup::test_plan_keeps_as_long_as_planned")
def plan_keeps_for_a_day(victim: Victim) -> Iterator[str]:
    backup, plan_id = victim.client("backup"), victim.outputs["BackupPlanId"]
    before = backup.get_backup_plan(BackupPlanId=plan_id)["BackupPlan"]
    known = ("RuleName", "TargetBackupVaultName", "ScheduleExpression", "Lifecycle")
    times = ("StartWindowMinutes", "CompletionWindowMinutes", "RecoveryPointTags")
    rules = [
        {key: value for key, value in item.items() if key in known + times}
        for item in before["Rules"]
    ]
    short = [{**item, "Lifecycle": {"DeleteAfterDays": 1}} for item in rules]
    for new in (short, rules):
        backup.update_backup_plan(
            BackupPlanId=plan_id,
            BackupPlan={"BackupPlanName": before["BackupPlanName"], "Rules": new},
        )
        if new is short:
            yield before["BackupPlanName"]


@noticed_by("backup::test_plan_backs_up_exactly_the_cluster", lasting=True)
def plan_backs_up_nothing(victim: Victim) -> Iterator[str]:
    backup, plan = victim.client("backup"), victim.outputs["BackupPlanId"]
    for item in backup.list_backup_selections(BackupPlanId=plan)["BackupSelectionsList"]:
        backup.delete_backup_selection(BackupPlanId=plan, SelectionId=item["SelectionId"])
    yield victim.outputs["DatabaseClusterArn"]


# --- Parameter Store ----------------------------------------------------------------------------


@noticed_by("parameter_store::test_parameter_holds_what_the_stack_puts_out")
def parameter_leads_to_another_database(victim: Victim) -> Iterator[str]:
    ssm = victim.client("ssm")
    name = f"/payments/{victim.target.inventory}/database/cluster-endpoint"
    [kept] = ssm.describe_parameters(ParameterFilters=[{"Key": "Name", "Values": [name]}])[
        "Parameters"
    ]
    before = ssm.get_parameter(Name=name)["Parameter"]["Value"]
    for value in ("db.example.com", before):
        again(ssm, "put_parameter", kept, Value=value, Overwrite=True)
        if value != before:
            yield "db.example.com"


@noticed_by("parameter_store::test_no_parameter_is_left_over")
def parameter_is_added(victim: Victim) -> Iterator[str]:
    ssm, name = victim.client("ssm"), f"/payments/{victim.target.inventory}/network/forgotten"
    ssm.put_parameter(Name=name, Value="x", Type="String")
    yield "network/forgotten"
    ssm.delete_parameter(Name=name)


@noticed_by("parameter_store::test_parameter_holds_what_the_stack_puts_out", lasting=True)
def parameter_is_deleted(victim: Victim) -> Iterator[str]:
    name = f"/payments/{victim.target.inventory}/network/vpc-id"
    victim.client("ssm").delete_parameter(Name=name)
    yield "network/vpc-id"
