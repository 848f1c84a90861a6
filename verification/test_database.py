"""The database: Aurora PostgreSQL, encrypted, isolated, watched and recoverable."""

from __future__ import annotations

import pytest

from verification.cloud import Record
from verification.logs import log_group_problem
from verification.platform import MissingError, Platform
from verification.settings import Settings

# The most that is planned anywhere: seconds between measurements, and an open transaction idle.
MONITORING_SECONDS = 60
IDLE_MILLISECONDS = 300_000
# The advanced mode of Database Insights takes exactly 15 months of retention.
INSIGHTS_DAYS = {"standard": 7, "advanced": 465}
CERTIFICATE_AUTHORITY = "rds-ca-rsa2048-g1"
PARAMETERS = {
    "rds.force_ssl": "1",
    "ssl_min_protocol_version": "TLSv1.2",
    "rds.restrict_password_commands": "1",
    "password_encryption": "scram-sha-256",
    "shared_preload_libraries": "pg_stat_statements,pgaudit",
    # pgaudit redacts the passwords of roles; log_statement would write them to the log.
    "log_statement": "none",
    "pgaudit.log": "ddl,role",
    "pgaudit.role": "rds_pgaudit",
    "log_connections": "1",
    "log_disconnections": "1",
}


# --- Cluster ------------------------------------------------------------------------------------


def test_cluster_is_available(platform: Platform) -> None:
    cluster = platform.cluster
    assert cluster["Status"] == "available", (
        f"Cluster {cluster['DBClusterIdentifier']} is {cluster['Status']}."
    )


def test_cluster_is_named_after_its_environment(platform: Platform, settings: Settings) -> None:
    name = platform.cluster["DBClusterIdentifier"]
    assert name.startswith(settings.prefix), f"Cluster {name} is not named {settings.prefix}."


def test_cluster_runs_the_planned_engine(platform: Platform, settings: Settings) -> None:
    engine = (platform.cluster["Engine"], platform.cluster["EngineVersion"])
    wanted = ("aurora-postgresql", settings.expectations.database_engine_version)
    assert engine == wanted, f"The cluster runs {' '.join(engine)}, not {' '.join(wanted)}."


def test_cluster_serves_the_database(platform: Platform, settings: Settings) -> None:
    name = platform.cluster.get("DatabaseName")
    assert name == settings.database_name, (
        f"The cluster's database is {name}, the inventory says {settings.database_name}."
    )


def test_cluster_is_encrypted_with_the_data_key(platform: Platform) -> None:
    cluster = platform.cluster
    assert cluster["StorageEncrypted"] is True, "The cluster's storage is not encrypted."
    assert cluster.get("KmsKeyId") == platform.output("DataKeyArn"), (
        f"The cluster is encrypted with {cluster.get('KmsKeyId')}, not with the data key."
    )


def test_cluster_takes_iam_logins(platform: Platform) -> None:
    assert platform.cluster.get("IAMDatabaseAuthenticationEnabled") is True, (
        "The cluster takes no IAM logins."
    )


def test_cluster_keeps_backups(platform: Platform, settings: Settings) -> None:
    days = platform.cluster["BackupRetentionPeriod"]
    wanted = settings.expectations.backup_retention_days
    assert days == wanted, f"The cluster keeps backups for {days} days, not {wanted}."


def test_backups_carry_the_tags(platform: Platform) -> None:
    assert platform.cluster.get("CopyTagsToSnapshot") is True, (
        "The cluster does not copy its tags to snapshots."
    )


def test_cluster_is_protected_from_deletion(platform: Platform, settings: Settings) -> None:
    actual = platform.cluster.get("DeletionProtection", False)
    wanted = settings.expectations.deletion_protection and settings.termination_protection
    assert actual == wanted, (
        f"Deletion protection of the cluster is {actual}, "
        f"for {settings.environment} it is {wanted}."
    )


def test_cluster_exports_its_logs_encrypted(platform: Platform) -> None:
    cluster = platform.cluster
    assert "postgresql" in cluster.get("EnabledCloudwatchLogsExports", []), (
        "The cluster does not export its PostgreSQL log."
    )
    name = f"/aws/rds/cluster/{cluster['DBClusterIdentifier']}/postgresql"
    problem = log_group_problem(platform, name)
    assert not problem, problem


def test_cluster_is_not_paid_for_beyond_its_life(platform: Platform) -> None:
    # Extended support is charged per vCPU hour and is on unless it is refused.
    actual = platform.cluster.get("EngineLifecycleSupport", "not told")
    assert actual == "open-source-rds-extended-support-disabled", (
        f"Extended support of the cluster is {actual}."
    )


def test_cluster_answers_no_http(platform: Platform) -> None:
    # The Data API answers from outside the VPC, past every security group.
    assert not platform.cluster.get("HttpEndpointEnabled"), "The cluster answers the Data API."


def test_cluster_has_nothing_pending(platform: Platform) -> None:
    pending = {
        item["DBInstanceIdentifier"]: sorted(item["PendingModifiedValues"])
        for item in _instances(platform)
        if item.get("PendingModifiedValues")
    }
    if platform.cluster.get("PendingModifiedValues"):
        pending["the cluster"] = sorted(platform.cluster["PendingModifiedValues"])
    told = "; ".join(f"{', '.join(what)} of {who}" for who, what in pending.items())
    assert not pending, f"Changes wait for a restart or the window: {told}."


def test_snapshots_are_shared_with_nobody(platform: Platform) -> None:
    name = platform.output("DatabaseClusterIdentifier")
    for snapshot in platform.cloud.every(
        "rds", "describe_db_cluster_snapshots", "DBClusterSnapshots", DBClusterIdentifier=name
    ):
        snapshot_id = snapshot["DBClusterSnapshotIdentifier"]
        assert snapshot["StorageEncrypted"] is True, f"Snapshot {snapshot_id} is not encrypted."
        if snapshot["SnapshotType"] != "manual":
            continue
        found = platform.cloud.get(
            "rds",
            "describe_db_cluster_snapshot_attributes",
            DBClusterSnapshotIdentifier=snapshot_id,
        )["DBClusterSnapshotAttributesResult"]["DBClusterSnapshotAttributes"]
        others = [who for item in found for who in item["AttributeValues"]]
        assert not others, f"Snapshot {snapshot_id} is shared with {', '.join(others)}."


# --- Parameters ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "wanted"), PARAMETERS.items())
def test_cluster_parameter(platform: Platform, name: str, wanted: str) -> None:
    group = platform.cluster["DBClusterParameterGroup"]
    parameters = {
        item["ParameterName"]: item.get("ParameterValue")
        for item in platform.cloud.every(
            "rds", "describe_db_cluster_parameters", "Parameters", DBClusterParameterGroupName=group
        )
    }
    actual = parameters.get(name)
    assert actual == wanted, f"{name} is {actual} in parameter group {group}, not {wanted}."


def test_parameter_groups_are_of_the_stack(platform: Platform) -> None:
    made = {
        item.physical_id
        for item in platform.resources(
            "AWS::RDS::DBClusterParameterGroup", "AWS::RDS::DBParameterGroup"
        )
    }
    used = {platform.cluster["DBClusterParameterGroup"]} | {
        group["DBParameterGroupName"]
        for item in _instances(platform)
        for group in item["DBParameterGroups"]
    }
    others = sorted(used - made)
    assert not others, f"Parameter groups that are not of the stack: {', '.join(others)}."


def test_parameters_are_in_force(platform: Platform) -> None:
    states = {
        f"cluster parameters of {item['DBInstanceIdentifier']}": item[
            "DBClusterParameterGroupStatus"
        ]
        for item in platform.cluster["DBClusterMembers"]
    } | {
        f"parameters of {item['DBInstanceIdentifier']}": group["ParameterApplyStatus"]
        for item in _instances(platform)
        for group in item["DBParameterGroups"]
    }
    waiting = [f"{what} are {state}" for what, state in states.items() if state != "in-sync"]
    assert states, "No instance has a parameter group."
    assert not waiting, f"Parameters are not in force: {'; '.join(waiting)}."


def test_sessions_end_and_locks_are_told(platform: Platform) -> None:
    for item in _instances(platform):
        for group in item["DBParameterGroups"]:
            name = group["DBParameterGroupName"]
            found = {
                parameter["ParameterName"]: parameter.get("ParameterValue")
                for parameter in platform.cloud.every(
                    "rds", "describe_db_parameters", "Parameters", DBParameterGroupName=name
                )
            }
            idle = int(found.get("idle_in_transaction_session_timeout") or 0)
            assert 0 < idle <= IDLE_MILLISECONDS, (
                f"Idle transactions may stay open {idle} ms (0 is for ever) by {name}, "
                f"at most {IDLE_MILLISECONDS} ms was planned."
            )
            assert found.get("log_lock_waits") == "1", f"Waits for locks are not logged by {name}."


# --- Windows ------------------------------------------------------------------------------------


def _minutes(text: str) -> range:
    """Return the minutes of the day of a window such as `07:00-08:00`; it may pass midnight."""
    first, last = (int(time[:2]) * 60 + int(time[3:]) for time in text.split("-"))
    return range(first, last if last > first else last + 24 * 60)


def test_backups_and_maintenance_keep_apart(platform: Platform) -> None:
    cluster = platform.cluster
    backup = cluster["PreferredBackupWindow"]
    windows = {cluster["DBClusterIdentifier"]: cluster["PreferredMaintenanceWindow"]} | {
        item["DBInstanceIdentifier"]: item["PreferredMaintenanceWindow"]
        for item in _instances(platform)
    }
    for name, window in windows.items():
        (day, first), (other, last) = (time.split(":", 1) for time in window.split("-"))
        assert day == other == "sun", f"Maintenance of {name} is at {window}, not on a Sunday."
        assert not set(_minutes(backup)) & set(_minutes(f"{first}-{last}")), (
            f"Maintenance of {name} at {window} meets the backup at {backup}."
        )


# --- Endpoints ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "field"),
    [
        ("DatabaseClusterEndpoint", "Endpoint"),
        ("DatabaseReaderEndpoint", "ReaderEndpoint"),
        ("DatabasePort", "Port"),
    ],
)
def test_outputs_name_the_cluster(platform: Platform, output: str, field: str) -> None:
    actual = str(platform.cluster.get(field))
    assert platform.output(output) == actual, (
        f"Output {output} is {platform.output(output)}, the cluster's {field} is {actual}."
    )


# --- Instances ----------------------------------------------------------------------------------


def test_cluster_has_one_writer_and_the_planned_readers(
    platform: Platform, settings: Settings
) -> None:
    members = platform.cluster["DBClusterMembers"]
    wanted = settings.expectations.database_instances
    writers = [item for item in members if item["IsClusterWriter"]]
    assert len(members) == wanted, f"The cluster has {len(members)} instances, not {wanted}."
    assert len(writers) == 1, f"The cluster has {len(writers)} writers, not one."


def _instances(platform: Platform) -> list[Record]:
    if not platform.database_instances:
        raise MissingError(
            f"Cluster {platform.output('DatabaseClusterIdentifier')} has no instance."
        )
    return platform.database_instances


def test_instances_are_available(platform: Platform) -> None:
    for item in _instances(platform):
        name, status = item["DBInstanceIdentifier"], item["DBInstanceStatus"]
        assert status == "available", f"Database instance {name} is {status}."


def test_instances_have_the_planned_class(platform: Platform, settings: Settings) -> None:
    wanted = settings.expectations.database_instance_class
    for item in _instances(platform):
        assert item["DBInstanceClass"] == wanted, (
            f"{item['DBInstanceIdentifier']} is a {item['DBInstanceClass']}, not a {wanted}."
        )


def test_instances_are_never_public(platform: Platform) -> None:
    public = [
        item["DBInstanceIdentifier"]
        for item in _instances(platform)
        if item["PubliclyAccessible"] is not False
    ]
    assert not public, f"Reachable from the internet: {', '.join(public)}."


def test_instances_are_encrypted(platform: Platform) -> None:
    for item in _instances(platform):
        name = item["DBInstanceIdentifier"]
        assert item["StorageEncrypted"] is True, f"{name} is not encrypted."
        assert item.get("KmsKeyId") == platform.output("DataKeyArn"), (
            f"{name} is encrypted with {item.get('KmsKeyId')}, not with the data key."
        )


def test_instances_stay_on_the_planned_version(platform: Platform, settings: Settings) -> None:
    wanted = settings.expectations.database_engine_version
    for item in _instances(platform):
        name = item["DBInstanceIdentifier"]
        assert item["EngineVersion"] == wanted, (
            f"{name} runs {item['EngineVersion']}, not {wanted}."
        )
        # It would leave the long-term support version.
        assert item["AutoMinorVersionUpgrade"] is False, f"{name} upgrades itself."


def test_instances_are_spread_over_zones(platform: Platform) -> None:
    zones = [item["AvailabilityZone"] for item in _instances(platform)]
    wanted = min(len(zones), 3)
    assert len(set(zones)) == wanted, (
        f"{len(zones)} instances should be in {wanted} different zones, "
        f"they are in {', '.join(sorted(zones))}."
    )


def test_instances_take_over_in_a_planned_order(platform: Platform) -> None:
    tiers = [item.get("PromotionTier") for item in platform.cluster["DBClusterMembers"]]
    assert len(tiers) == len(set(tiers)), f"Instances share promotion tiers: {tiers}."


def test_instances_show_a_certificate_that_clients_can_check(platform: Platform) -> None:
    for item in _instances(platform):
        actual = item.get("CACertificateIdentifier")
        assert actual == CERTIFICATE_AUTHORITY, (
            f"The certificate of {item['DBInstanceIdentifier']} is of {actual}, "
            f"not of {CERTIFICATE_AUTHORITY}."
        )


def test_insights_are_kept_as_their_mode_asks(platform: Platform, settings: Settings) -> None:
    mode = platform.cluster.get("DatabaseInsightsMode", "none")
    wanted = "advanced" if settings.environment == "prod" else "standard"
    assert mode == wanted, f"Database Insights is {mode}, for {settings.environment} {wanted}."
    for item in _instances(platform):
        days = item.get("PerformanceInsightsRetentionPeriod")
        assert days == INSIGHTS_DAYS[mode], (
            f"Insights of {item['DBInstanceIdentifier']} are kept {days} days, "
            f"not {INSIGHTS_DAYS[mode]}."
        )


def test_instances_have_performance_insights(platform: Platform) -> None:
    for item in _instances(platform):
        name = item["DBInstanceIdentifier"]
        assert item.get("PerformanceInsightsEnabled") is True, (
            f"{name} has no Performance Insights."
        )
        assert item.get("PerformanceInsightsKMSKeyId") == platform.output("DataKeyArn"), (
            f"Performance Insights of {name} is not encrypted with the data key."
        )


def test_instances_have_enhanced_monitoring(platform: Platform) -> None:
    for item in _instances(platform):
        name, seconds = item["DBInstanceIdentifier"], item.get("MonitoringInterval", 0)
        assert 0 < seconds <= MONITORING_SECONDS, (
            f"Enhanced monitoring of {name} is every {seconds} s (0 is off), "
            f"at most {MONITORING_SECONDS} s was planned."
        )
        role, wanted = item.get("MonitoringRoleArn"), platform.output("DatabaseMonitoringRoleArn")
        assert role == wanted, f"{name} is monitored by role {role}, not by {wanted}."


# --- Where it is --------------------------------------------------------------------------------


def test_cluster_is_in_the_database_subnets(platform: Platform) -> None:
    name = platform.cluster["DBSubnetGroup"]
    group = platform.cloud.every(
        "rds", "describe_db_subnet_groups", "DBSubnetGroups", DBSubnetGroupName=name
    )[0]
    actual = {item["SubnetIdentifier"] for item in group["Subnets"]}
    wanted = {item["SubnetId"] for item in platform.tier("Database")}
    assert actual == wanted, (
        f"The cluster is in {', '.join(sorted(actual))}, not in the database subnets."
    )


def test_cluster_has_only_the_database_security_group(platform: Platform) -> None:
    wanted = platform.output("DatabaseSecurityGroupId")
    members = [(item["DBInstanceIdentifier"], item) for item in _instances(platform)]
    for name, item in [("the cluster", platform.cluster), *members]:
        actual = [group["VpcSecurityGroupId"] for group in item["VpcSecurityGroups"]]
        assert actual == [wanted], f"Security groups of {name} are {actual}, not {wanted}."
