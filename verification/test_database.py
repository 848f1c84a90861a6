"""The database: Aurora PostgreSQL, encrypted, isolated, watched and recoverable."""

from __future__ import annotations

import pytest

from verification.cloud import Record
from verification.logs import log_group
from verification.platform import MissingError, Platform
from verification.settings import Settings

MONITORING_SECONDS = 60
TLS = {"rds.force_ssl": "1", "ssl_min_protocol_version": "TLSv1.2"}


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
    wanted = settings.expectations.deletion_protection
    assert actual == wanted, (
        f"Deletion protection of the cluster is {actual}, "
        f"for {settings.environment} it is {wanted}."
    )


def test_cluster_exports_its_logs_encrypted(platform: Platform, settings: Settings) -> None:
    cluster = platform.cluster
    assert "postgresql" in cluster.get("EnabledCloudwatchLogsExports", []), (
        "The cluster does not export its PostgreSQL log."
    )
    group = log_group(platform, f"/aws/rds/cluster/{cluster['DBClusterIdentifier']}/postgresql")
    wanted = settings.expectations.log_retention_days
    assert group.get("kmsKeyId"), f"{group['logGroupName']} is not encrypted with a customer key."
    assert group.get("retentionInDays") == wanted, (
        f"{group['logGroupName']} keeps {group.get('retentionInDays')} days, not {wanted}."
    )


@pytest.mark.parametrize(("name", "wanted"), TLS.items())
def test_cluster_forces_tls(platform: Platform, name: str, wanted: str) -> None:
    group = platform.cluster["DBClusterParameterGroup"]
    parameters = {
        item["ParameterName"]: item.get("ParameterValue")
        for item in platform.cloud.every(
            "rds", "describe_db_cluster_parameters", "Parameters", DBClusterParameterGroupName=group
        )
    }
    actual = parameters.get(name)
    assert actual == wanted, f"{name} is {actual} in parameter group {group}, not {wanted}."


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
        assert item.get("MonitoringRoleArn"), f"{name} has no role for enhanced monitoring."


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
    actual = [item["VpcSecurityGroupId"] for item in platform.cluster["VpcSecurityGroups"]]
    wanted = platform.output("DatabaseSecurityGroupId")
    assert actual == [wanted], f"The cluster's security groups are {actual}, not {wanted}."


# --- Secret -------------------------------------------------------------------------------------


def test_secret_is_managed_and_rotated(platform: Platform) -> None:
    secret = platform.secret
    managed = platform.cluster.get("MasterUserSecret", {})
    assert managed.get("SecretArn") == secret["ARN"], (
        f"The cluster's secret is {managed.get('SecretArn')}, the output names {secret['ARN']}."
    )
    assert managed.get("SecretStatus") == "active", (
        f"The cluster's secret is {managed.get('SecretStatus')}, not active."
    )
    assert secret.get("RotationEnabled") is True, f"Secret {secret['Name']} is not rotated."


def test_secret_is_encrypted_with_the_data_key(platform: Platform) -> None:
    key = platform.secret.get("KmsKeyId", "")
    wanted = platform.output("DataKeyArn")
    # Secrets Manager answers with the id or the ARN, as the key was given to it.
    assert key, "The secret is not encrypted with a customer key."
    assert wanted.endswith(key), f"The secret is encrypted with {key}, not with {wanted}."
