"""The database: size, encryption, TLS, audit, backups and protection in each environment."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.templates.loader import Template

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES_A_DAY = 24 * 60


@pytest.fixture
def database(deployed: Callable[..., Template]) -> Template:
    """The template as it is deployed in the environment of the test."""
    return deployed("database.yml")


@pytest.fixture
def cluster(database: Template) -> dict[str, Any]:
    return dict(database["Resources"]["PaymentDBCluster"]["Properties"])


@pytest.fixture
def instances(database: Template) -> dict[str, dict[str, Any]]:
    return {
        logical_id: resource["Properties"]
        for logical_id, resource in database["Resources"].items()
        if resource["Type"] == "AWS::RDS::DBInstance"
    }


@pytest.fixture
def settings(database: Template) -> dict[str, str]:
    """Parameters of the cluster."""
    group = database["Resources"]["PaymentDBClusterParameterGroup"]
    return dict(group["Properties"]["Parameters"])


def minutes(clock: str) -> int:
    """Minutes since midnight of "hh:mm"."""
    hours, rest = clock.split(":")
    return int(hours) * 60 + int(rest)


# --- size


@pytest.mark.parametrize("environment", ["dev"], indirect=True)
def test_dev_has_one_large_instance(instances: dict[str, dict[str, Any]]) -> None:
    assert {name: item["DBInstanceClass"] for name, item in instances.items()} == {
        "PaymentDBInstance1": "db.r7g.large"
    }


@pytest.mark.parametrize("environment", ["staging"], indirect=True)
def test_staging_has_two_xlarge_instances(instances: dict[str, dict[str, Any]]) -> None:
    assert {name: item["DBInstanceClass"] for name, item in instances.items()} == {
        "PaymentDBInstance1": "db.r7g.xlarge",
        "PaymentDBInstance2": "db.r7g.xlarge",
    }


@pytest.mark.parametrize("environment", ["prod"], indirect=True)
def test_prod_has_three_2xlarge_instances(instances: dict[str, dict[str, Any]]) -> None:
    assert {name: item["DBInstanceClass"] for name, item in instances.items()} == {
        "PaymentDBInstance1": "db.r7g.2xlarge",
        "PaymentDBInstance2": "db.r7g.2xlarge",
        "PaymentDBInstance3": "db.r7g.2xlarge",
    }


def test_number_of_instances_is_the_one_in_the_mapping(
    templates: dict[str, Template], environment: str, instances: dict[str, dict[str, Any]]
) -> None:
    row = templates["database.yml"]["Mappings"]["Environment"][environment]
    assert len(instances) == int(row["Instances"])


def test_instances_stand_in_different_zones(instances: dict[str, dict[str, Any]]) -> None:
    zones = [item["AvailabilityZone"] for _, item in sorted(instances.items())]
    assert zones == [{"Fn::Select": [n, {"Fn::GetAZs": ""}]} for n in range(len(instances))]


# --- engine


def test_engine_is_the_long_term_support_version_everywhere(cluster: dict[str, Any]) -> None:
    """What is tested in dev is what runs in prod."""
    assert (cluster["Engine"], cluster["EngineVersion"]) == ("aurora-postgresql", "16.8")


def test_paid_extended_support_is_refused(cluster: dict[str, Any]) -> None:
    assert cluster["EngineLifecycleSupport"] == "open-source-rds-extended-support-disabled"


def test_instances_follow_the_version_of_the_cluster(instances: dict[str, dict[str, Any]]) -> None:
    for item in instances.values():
        assert item["DBClusterIdentifier"] == {"Ref": "PaymentDBCluster"}
        assert item["Engine"] == "aurora-postgresql"
        assert "EngineVersion" not in item


def test_no_upgrade_leaves_the_long_term_support_version(
    instances: dict[str, dict[str, Any]],
) -> None:
    assert {item["AutoMinorVersionUpgrade"] for item in instances.values()} == {False}


@pytest.mark.parametrize(
    "logical_id", ["PaymentDBClusterParameterGroup", "PaymentDBParameterGroup"]
)
def test_parameter_groups_are_of_the_major_version(
    database: Template, cluster: dict[str, Any], logical_id: str
) -> None:
    major = cluster["EngineVersion"].split(".")[0]
    group = database["Resources"][logical_id]["Properties"]
    assert group["Family"] == f"aurora-postgresql{major}"


def test_cluster_and_instances_use_the_parameter_groups(
    cluster: dict[str, Any], instances: dict[str, dict[str, Any]]
) -> None:
    assert cluster["DBClusterParameterGroupName"] == {"Ref": "PaymentDBClusterParameterGroup"}
    for item in instances.values():
        assert item["DBParameterGroupName"] == {"Ref": "PaymentDBParameterGroup"}


# --- encryption and secrets


def test_storage_is_encrypted_with_the_data_key(cluster: dict[str, Any]) -> None:
    assert cluster["StorageEncrypted"] is True
    assert cluster["KmsKeyId"] == {"Ref": "DataKeyArn"}


def test_master_password_is_read_from_its_secret(cluster: dict[str, Any]) -> None:
    """Not one that RDS manages: members of a global database may not have that."""
    assert cluster["MasterUserPassword"] == {
        "Fn::Sub": "{{resolve:secretsmanager:${PaymentDBMasterSecret}:SecretString:password}}"
    }
    assert "ManageMasterUserPassword" not in cluster


def test_no_password_is_a_parameter(templates: dict[str, Template]) -> None:
    assert not [name for name in templates["database.yml"]["Parameters"] if "Password" in name]


def test_name_of_the_master_user_is_allowed(cluster: dict[str, Any]) -> None:
    """Aurora takes no hyphens, and reserves some names."""
    assert cluster["MasterUsername"] == "payment_admin"
    assert re.fullmatch(r"[a-z][a-z0-9_]{0,62}", cluster["MasterUsername"])
    assert cluster["MasterUsername"] not in {"admin", "postgres", "rdsadmin", "rds_superuser"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rds.force_ssl", "1"),
        ("ssl_min_protocol_version", "TLSv1.2"),
        ("password_encryption", "scram-sha-256"),
        ("rds.restrict_password_commands", "1"),
    ],
)
def test_connections_are_encrypted(settings: dict[str, str], name: str, value: str) -> None:
    assert settings[name] == value


def test_certificate_authority_is_chosen(instances: dict[str, dict[str, Any]]) -> None:
    assert {item["CACertificateIdentifier"] for item in instances.values()} == {"rds-ca-rsa2048-g1"}


def test_iam_authentication_is_on(cluster: dict[str, Any]) -> None:
    assert cluster["EnableIAMDatabaseAuthentication"] is True


# --- audit


@pytest.mark.parametrize("name", ["log_connections", "log_disconnections"])
def test_sessions_are_logged(settings: dict[str, str], name: str) -> None:
    assert settings[name] == "1"


def test_changes_of_schema_and_roles_are_audited(settings: dict[str, str]) -> None:
    assert set(settings["shared_preload_libraries"].split(",")) == {"pg_stat_statements", "pgaudit"}
    assert set(settings["pgaudit.log"].split(",")) == {"ddl", "role"}
    assert settings["pgaudit.role"] == "rds_pgaudit"


def test_statements_are_not_logged_with_their_passwords(settings: dict[str, str]) -> None:
    """PostgreSQL would log the password of a CREATE ROLE; pgaudit leaves it out."""
    assert settings["log_statement"] == "none"
    assert "log_min_duration_statement" not in settings


def test_nothing_else_is_set(settings: dict[str, str]) -> None:
    """Every other parameter is as AWS tunes it for the instance class."""
    assert set(settings) == {
        "rds.force_ssl", "ssl_min_protocol_version", "rds.restrict_password_commands",
        "password_encryption", "shared_preload_libraries", "log_statement", "pgaudit.log",
        "pgaudit.role", "log_connections", "log_disconnections",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("environment", "milliseconds"),
    [("dev", "300000"), ("staging", "120000"), ("prod", "60000")],
    indirect=["environment"],
)
def test_idle_transactions_end_sooner_in_prod(database: Template, milliseconds: str) -> None:
    """Their locks hold payments up."""
    group = database["Resources"]["PaymentDBParameterGroup"]["Properties"]
    assert group["Parameters"] == {
        "idle_in_transaction_session_timeout": milliseconds,
        "log_lock_waits": "1",
    }


@pytest.mark.parametrize(
    ("logical_id", "text"),
    [
        ("PaymentDBSubnetGroup", "DBSubnetGroupDescription"),
        ("PaymentDBClusterParameterGroup", "Description"),
        ("PaymentDBParameterGroup", "Description"),
    ],
)
def test_group_says_whose_it_is(
    database: Template, environment: str, logical_id: str, text: str
) -> None:
    """RDS lists those of all platforms of an account side by side."""
    described = database["Resources"][logical_id]["Properties"][text]
    assert f"payments {environment}" in described


def test_log_is_exported_to_a_group_that_exists_before_the_cluster(database: Template) -> None:
    """Otherwise RDS makes the group: without encryption, and kept for ever."""
    cluster = database["Resources"]["PaymentDBCluster"]
    group = database["Resources"]["PaymentDBLogGroup"]["Properties"]["LogGroupName"]
    identifier = cluster["Properties"]["DBClusterIdentifier"]
    assert cluster["Properties"]["EnableCloudwatchLogsExports"] == ["postgresql"]
    assert group == f"/aws/rds/cluster/{identifier}/postgresql"
    assert cluster["DependsOn"] == "PaymentDBLogGroup"


@pytest.mark.parametrize(
    ("environment", "days"), [("dev", 30), ("staging", 90), ("prod", 400)], indirect=["environment"]
)
def test_log_is_encrypted_and_kept(database: Template, days: int) -> None:
    group = database["Resources"]["PaymentDBLogGroup"]["Properties"]
    assert group["KmsKeyId"] == {"Ref": "LogsKeyArn"}
    assert group["RetentionInDays"] == days


# --- monitoring


@pytest.mark.parametrize(
    ("environment", "mode", "days"),
    [("dev", "standard", 7), ("staging", "standard", 7), ("prod", "advanced", 465)],
    indirect=["environment"],
)
def test_performance_insights(cluster: dict[str, Any], mode: str, days: int) -> None:
    """The advanced mode takes 465 days and nothing else."""
    assert cluster["PerformanceInsightsEnabled"] is True
    assert cluster["PerformanceInsightsKmsKeyId"] == {"Ref": "DataKeyArn"}
    assert cluster["DatabaseInsightsMode"] == mode
    assert cluster["PerformanceInsightsRetentionPeriod"] == days


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [("dev", 60), ("staging", 30), ("prod", 15)],
    indirect=["environment"],
)
def test_enhanced_monitoring(cluster: dict[str, Any], seconds: int) -> None:
    assert cluster["MonitoringInterval"] == seconds
    assert cluster["MonitoringRoleArn"] == {"Ref": "DatabaseMonitoringRoleArn"}


# --- network


def test_database_is_in_the_isolated_subnets(database: Template, cluster: dict[str, Any]) -> None:
    group = database["Resources"]["PaymentDBSubnetGroup"]["Properties"]
    assert group["SubnetIds"] == {"Ref": "DatabaseSubnetIds"}
    assert cluster["DBSubnetGroupName"] == {"Ref": "PaymentDBSubnetGroup"}
    assert not cluster.get("PubliclyAccessible")
    assert cluster["VpcSecurityGroupIds"] == [{"Ref": "DatabaseSecurityGroupId"}]


def test_database_is_never_public(instances: dict[str, dict[str, Any]]) -> None:
    assert {item["PubliclyAccessible"] for item in instances.values()} == {False}


def test_port_is_the_one_the_security_groups_open(
    templates: dict[str, Template], cluster: dict[str, Any]
) -> None:
    ports = templates["security.yml"]["Mappings"]["Ports"]["Tcp"]
    assert cluster["Port"] == ports["Database"]


def test_nobody_queries_over_http(cluster: dict[str, Any]) -> None:
    """The data API would be a way to the data past the network."""
    assert not cluster.get("EnableHttpEndpoint")


def test_cluster_and_its_first_database_are_named_as_asked(
    deployed: Callable[..., Template], environment: str
) -> None:
    resources = deployed("database.yml", DatabaseName="ledger")["Resources"]
    cluster = resources["PaymentDBCluster"]["Properties"]
    assert cluster["DBClusterIdentifier"] == f"payments-{environment}"
    assert cluster["DatabaseName"] == "ledger"


# --- backups and protection


@pytest.mark.parametrize(
    ("environment", "days"), [("dev", 7), ("staging", 14), ("prod", 35)], indirect=["environment"]
)
def test_backups_are_kept(cluster: dict[str, Any], days: int) -> None:
    assert cluster["BackupRetentionPeriod"] == days
    assert cluster["CopyTagsToSnapshot"] is True


def test_windows_are_what_aws_takes(cluster: dict[str, Any]) -> None:
    """At least half an hour each, and never at the same time."""
    backup = [minutes(clock) for clock in cluster["PreferredBackupWindow"].split("-")]
    start, end = cluster["PreferredMaintenanceWindow"].split("-")
    assert start[:3] in DAYS
    assert start[:3] == end[:3]
    maintenance = [minutes(start[4:]), minutes(end[4:])]
    for window in (backup, maintenance):
        assert 30 <= window[1] - window[0] < MINUTES_A_DAY
    assert backup[1] <= maintenance[0] or maintenance[1] <= backup[0]


@pytest.mark.parametrize(
    ("environment", "backup", "maintenance"),
    [
        ("dev", "02:00-03:00", "sun:03:30-sun:04:30"),
        ("staging", "09:00-10:00", "sun:10:30-sun:11:30"),
        ("prod", "07:00-08:00", "sun:08:30-sun:09:30"),
    ],
    indirect=["environment"],
)
def test_windows_are_at_night_in_the_region_of_the_environment(
    cluster: dict[str, Any], backup: str, maintenance: str
) -> None:
    assert cluster["PreferredBackupWindow"] == backup
    assert cluster["PreferredMaintenanceWindow"] == maintenance


def test_instances_share_the_maintenance_window(
    cluster: dict[str, Any], instances: dict[str, dict[str, Any]]
) -> None:
    assert {item["PreferredMaintenanceWindow"] for item in instances.values()} == {
        cluster["PreferredMaintenanceWindow"]
    }


@pytest.mark.parametrize(
    ("environment", "protected"),
    [("dev", False), ("staging", False), ("prod", True)],
    indirect=["environment"],
)
def test_only_prod_is_protected_from_deletion(cluster: dict[str, Any], protected: bool) -> None:
    assert cluster["DeletionProtection"] is protected


@pytest.mark.parametrize("environment", ["prod"], indirect=True)
def test_protection_can_be_lifted(deployed: Callable[..., Template]) -> None:
    """A first deployment that fails could not be rolled back otherwise."""
    resources = deployed("database.yml", DeletionProtection="disabled")["Resources"]
    assert resources["PaymentDBCluster"]["Properties"]["DeletionProtection"] is False


def test_failover_prefers_the_instances_in_order(instances: dict[str, dict[str, Any]]) -> None:
    tiers = [item["PromotionTier"] for _, item in sorted(instances.items())]
    assert tiers == list(range(len(instances)))


def test_members_and_what_they_use_go_together(database: Template) -> None:
    """A kept instance still uses its groups, and AWS refuses to delete them."""
    fates = {
        resource["DeletionPolicy"]
        for resource in database["Resources"].values()
        if resource["Type"].startswith("AWS::RDS::") and resource["Type"] != "AWS::RDS::DBCluster"
    }
    assert len(fates) == 1


# --- seams


@pytest.mark.parametrize("name", ["payments", "p", "card_data_2"])
def test_name_of_the_database_is_accepted(templates: dict[str, Template], name: str) -> None:
    pattern = templates["database.yml"]["Parameters"]["DatabaseName"]["AllowedPattern"]
    assert re.search(pattern, name)


@pytest.mark.parametrize("name", ["", "1payments", "Payments", "card-data", "a" * 64, "a b"])
def test_name_of_the_database_is_refused(templates: dict[str, Template], name: str) -> None:
    pattern = templates["database.yml"]["Parameters"]["DatabaseName"]["AllowedPattern"]
    assert not re.search(pattern, name)


@pytest.mark.parametrize(
    ("output", "value"),
    [
        ("DatabaseClusterIdentifier", {"Ref": "PaymentDBCluster"}),
        ("DatabaseClusterEndpoint", {"Fn::GetAtt": ["PaymentDBCluster", "Endpoint.Address"]}),
        ("DatabaseReaderEndpoint", {"Fn::GetAtt": ["PaymentDBCluster", "ReadEndpoint.Address"]}),
        ("DatabasePort", {"Fn::GetAtt": ["PaymentDBCluster", "Endpoint.Port"]}),
        ("DatabaseSecretArn", {"Ref": "PaymentDBServiceSecretAttachment"}),
        ("DatabaseMasterSecretArn", {"Ref": "PaymentDBMasterSecretAttachment"}),
        ("DatabaseClusterArn", {"Fn::GetAtt": ["PaymentDBCluster", "DBClusterArn"]}),
        ("RotationFunctionName", {"Ref": "PaymentRotationFunction"}),
        ("DatabaseResourceId", {"Fn::GetAtt": ["PaymentDBCluster", "DBClusterResourceId"]}),
        ("DatabaseName", {"Ref": "DatabaseName"}),
    ],
)
def test_output(templates: dict[str, Template], output: str, value: dict[str, Any]) -> None:
    assert templates["database.yml"]["Outputs"][output]["Value"] == value
