"""Sabotage of the database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from tests.e2e.sabotages.groups import default_group
from tests.e2e.sabotages.victim import Victim, sabotage

noticed_by = partial(sabotage, on="prod")


@contextmanager
def cluster(victim: Victim, before: dict[str, Any], **change: Any) -> Iterator[str]:
    """Change the cluster for a while, from what it is before; gives its name."""
    name = victim.outputs["DatabaseClusterIdentifier"]
    victim.rds.modify_db_cluster(DBClusterIdentifier=name, ApplyImmediately=True, **change)
    yield name
    victim.rds.modify_db_cluster(DBClusterIdentifier=name, ApplyImmediately=True, **before)


def described(victim: Victim) -> dict[str, Any]:
    """The cluster as RDS describes it."""
    name = victim.outputs["DatabaseClusterIdentifier"]
    [found] = victim.rds.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"]
    return dict(found)


@contextmanager
def writer(victim: Victim, field: str, value: Any, argument: str = "") -> Iterator[str]:
    """Change one thing of the writer for a while; gives the writer's name."""
    name = victim.resource("PaymentDatabaseStack", "PaymentDBInstance1")
    [found] = victim.rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"]
    for new in (value, found[field]):
        victim.rds.modify_db_instance(
            DBInstanceIdentifier=name, ApplyImmediately=True, **{argument or field: new}
        )
        if new is value:
            yield name


# --- Cluster ------------------------------------------------------------------------------------


@noticed_by("database::test_cluster_is_protected_from_deletion")
def database_can_be_deleted(victim: Victim) -> Iterator[str]:
    with cluster(victim, {"DeletionProtection": True}, DeletionProtection=False):
        yield "Deletion protection of the cluster is False"


@noticed_by("database::test_cluster_keeps_backups")
def backups_are_soon_deleted(victim: Victim) -> Iterator[str]:
    before = {"BackupRetentionPeriod": described(victim)["BackupRetentionPeriod"]}
    with cluster(victim, before, BackupRetentionPeriod=1):
        yield "backups for 1 days"


@noticed_by("database::test_cluster_takes_iam_logins")
def database_takes_no_iam_logins(victim: Victim) -> Iterator[str]:
    before = {"EnableIAMDatabaseAuthentication": True}
    with cluster(victim, before, EnableIAMDatabaseAuthentication=False):
        yield "IAM logins"


@noticed_by("database::test_backups_carry_the_tags")
def snapshots_lose_their_tags(victim: Victim) -> Iterator[str]:
    with cluster(victim, {"CopyTagsToSnapshot": True}, CopyTagsToSnapshot=False):
        yield "snapshots"


@noticed_by("database::test_cluster_has_only_the_database_security_group")
def database_gets_another_group(victim: Victim) -> Iterator[str]:
    group = default_group(victim)
    before = {"VpcSecurityGroupIds": [victim.outputs["DatabaseSecurityGroupId"]]}
    with cluster(victim, before, VpcSecurityGroupIds=[group]):
        yield group


@noticed_by("database::test_cluster_exports_its_logs_encrypted")
def database_exports_no_logs(victim: Victim) -> Iterator[str]:
    on = {"CloudwatchLogsExportConfiguration": {"EnableLogTypes": ["postgresql"]}}
    off = {"DisableLogTypes": ["postgresql"]}
    with cluster(victim, on, CloudwatchLogsExportConfiguration=off):
        yield "PostgreSQL log"


@noticed_by("database::test_cluster_answers_no_http")
def database_answers_the_data_api(victim: Victim) -> Iterator[str]:
    with cluster(victim, {"EnableHttpEndpoint": False}, EnableHttpEndpoint=True):
        yield "Data API"


@noticed_by("declared::test_values_are_those_that_were_deployed")
def backups_start_at_noon(victim: Victim) -> Iterator[str]:
    before = {"PreferredBackupWindow": described(victim)["PreferredBackupWindow"]}
    with cluster(victim, before, PreferredBackupWindow="12:00-13:00"):
        yield "PreferredBackupWindow 12:00-13:00"


@noticed_by("database::test_backups_and_maintenance_keep_apart")
def maintenance_meets_the_backup(victim: Victim) -> Iterator[str]:
    found = described(victim)
    before = {"PreferredMaintenanceWindow": found["PreferredMaintenanceWindow"]}
    window = "-".join(f"sun:{time}" for time in found["PreferredBackupWindow"].split("-"))
    with cluster(victim, before, PreferredMaintenanceWindow=window) as name:
        yield name


@contextmanager
def parameter(victim: Victim, name: str, before: str, value: str) -> Iterator[str]:
    """Change a parameter of the cluster for a while; gives the name of the parameter group."""
    group = described(victim)["DBClusterParameterGroup"]
    for new in (value, before):
        change = {"ParameterName": name, "ParameterValue": new, "ApplyMethod": "immediate"}
        victim.rds.modify_db_cluster_parameter_group(
            DBClusterParameterGroupName=group, Parameters=[change]
        )
        if new == value:
            yield group


@noticed_by("database::test_cluster_parameter")
def database_takes_connections_without_tls(victim: Victim) -> Iterator[str]:
    with parameter(victim, "rds.force_ssl", "1", "0"):
        yield "rds.force_ssl is 0"


@noticed_by("database::test_cluster_parameter")
def database_takes_old_tls(victim: Victim) -> Iterator[str]:
    with parameter(victim, "ssl_min_protocol_version", "TLSv1.2", "TLSv1"):
        yield "ssl_min_protocol_version is TLSv1"


@noticed_by("database::test_sessions_end_and_locks_are_told")
def idle_transactions_stay_open(victim: Victim) -> Iterator[str]:
    name = victim.resource("PaymentDatabaseStack", "PaymentDBParameterGroup")
    found = victim.rds.describe_db_parameters(DBParameterGroupName=name)["Parameters"]
    key = "idle_in_transaction_session_timeout"
    [before] = [item["ParameterValue"] for item in found if item["ParameterName"] == key]
    for value in ("0", before):
        change = {"ParameterName": key, "ParameterValue": value, "ApplyMethod": "immediate"}
        victim.rds.modify_db_parameter_group(DBParameterGroupName=name, Parameters=[change])
        if value == "0":
            yield name


# --- Instances ----------------------------------------------------------------------------------


@noticed_by("database::test_instances_are_never_public")
def database_becomes_public(victim: Victim) -> Iterator[str]:
    with writer(victim, "PubliclyAccessible", True) as name:
        yield name


@noticed_by("database::test_instances_have_the_planned_class")
def database_shrinks(victim: Victim) -> Iterator[str]:
    with writer(victim, "DBInstanceClass", "db.t4g.medium") as name:
        yield name


@noticed_by("database::test_instances_stay_on_the_planned_version")
def database_upgrades_itself(victim: Victim) -> Iterator[str]:
    with writer(victim, "AutoMinorVersionUpgrade", True) as name:
        yield name


@noticed_by("database::test_instances_have_enhanced_monitoring")
def database_is_not_monitored(victim: Victim) -> Iterator[str]:
    with writer(victim, "MonitoringInterval", 0) as name:
        yield name


@noticed_by("database::test_instances_have_performance_insights")
def database_has_no_insights(victim: Victim) -> Iterator[str]:
    with writer(victim, "PerformanceInsightsEnabled", False, "EnablePerformanceInsights") as name:
        yield name


@noticed_by(
    "database::test_insights_are_kept_as_their_mode_asks",
    "declared::test_values_are_those_that_were_deployed",
)
def insights_shrink_to_the_least(victim: Victim) -> Iterator[str]:
    before = {"DatabaseInsightsMode": "advanced", "PerformanceInsightsRetentionPeriod": 465}
    with cluster(
        victim, before, DatabaseInsightsMode="standard", PerformanceInsightsRetentionPeriod=7
    ):
        yield "standard"


@noticed_by("database::test_instances_show_a_certificate_that_clients_can_check")
def database_shows_another_certificate(victim: Victim) -> Iterator[str]:
    with writer(victim, "CACertificateIdentifier", "rds-ca-2019") as name:
        yield name


@noticed_by("database::test_cluster_has_one_writer_and_the_planned_readers", lasting=True)
def reader_is_deleted(victim: Victim) -> Iterator[str]:
    name = victim.resource("PaymentDatabaseStack", "PaymentDBInstance3")
    victim.rds.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)
    yield "has 2 instances"
