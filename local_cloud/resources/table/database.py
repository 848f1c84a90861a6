"""RDS and the secrets of databases."""

from __future__ import annotations

from ..model import EVERY, Api, Call, Document, Properties, Read, ResourceType, Step, Tags


def _change_log_exports(kind: str) -> Step:
    """An update names the kinds of log to start and those to stop exporting."""

    def change(api: Api, document: Document) -> None:
        wanted = set(document["properties"].get("EnableCloudwatchLogsExports") or ())
        before = set(document["old"].get("EnableCloudwatchLogsExports") or ())
        parameters = {
            f"DB{kind.title()}Identifier": document["id"],
            "CloudwatchLogsExportConfiguration": {
                "EnableLogTypes": sorted(wanted - before),
                "DisableLogTypes": sorted(before - wanted),
            },
            "ApplyImmediately": True,
        }
        api("rds", f"modify_db_{kind}", **parameters)

    return Step(change, on=("EnableCloudwatchLogsExports",))


def _leave_members(api: Api, document: Document) -> None:
    """A global cluster can be deleted once its clusters stand alone."""
    found = api("rds", "describe_global_clusters", GlobalClusterIdentifier=document["id"])
    for member in found["GlobalClusters"][0]["GlobalClusterMembers"]:
        api(
            "rds",
            "remove_from_global_cluster",
            GlobalClusterIdentifier=document["id"],
            DbClusterIdentifier=member["DBClusterArn"],
        )


def _with_parameter_list(properties: Properties) -> Properties:
    """The API takes parameters as a list, the template as a mapping."""
    values = properties.get("Parameters") or {}
    listed = [
        {
            "ParameterName": name,
            "ParameterValue": str(value).lower() if isinstance(value, bool) else str(value),
            "ApplyMethod": "pending-reboot",
        }
        for name, value in values.items()
    ]
    return {**properties, "Parameters": listed}


_CLUSTER_CREATE_ONLY = (
    "ClusterScalabilityType",
    "DBSubnetGroupName",
    "DBSystemId",
    "DatabaseName",
    "EngineMode",
    "KmsKeyId",
    "PubliclyAccessible",
    "RestoreToTime",
    "RestoreType",
    "SnapshotIdentifier",
    "SourceDBClusterIdentifier",
    "SourceDbClusterResourceId",
    "SourceRegion",
    "StorageEncrypted",
    "UseLatestRestorableTime",
)
_INSTANCE_CREATE_ONLY = (
    "BackupTarget",
    "CharacterSetName",
    "CustomIAMInstanceProfile",
    "DBClusterIdentifier",
    "DBName",
    "DBSubnetGroupName",
    "DBSystemId",
    "KmsKeyId",
    "MasterUsername",
    "NcharCharacterSetName",
    "SourceRegion",
    "StorageEncrypted",
    "Timezone",
)
_INSTANCE_CONDITIONAL = (
    "AutoMinorVersionUpgrade",
    "AvailabilityZone",
    "BackupRetentionPeriod",
    "DBClusterSnapshotIdentifier",
    "DBParameterGroupName",
    "DBSnapshotIdentifier",
    "Engine",
    "MultiAZ",
    "PerformanceInsightsKMSKeyId",
    "PreferredMaintenanceWindow",
    "RestoreTime",
    "SourceDBClusterIdentifier",
    "SourceDBInstanceAutomatedBackupsArn",
    "SourceDBInstanceIdentifier",
    "SourceDbiResourceId",
    "UseLatestRestorableTime",
)
_CLUSTER_CHANGES = (
    "AutoMinorVersionUpgrade",
    "BackupRetentionPeriod",
    "CopyTagsToSnapshot",
    "DBClusterInstanceClass",
    "DBClusterParameterGroupName",
    "DBInstanceParameterGroupName",
    "DatabaseInsightsMode",
    "DeletionProtection",
    "EnableHttpEndpoint",
    "EnableIAMDatabaseAuthentication",
    "EngineVersion",
    "Iops",
    "MasterUserPassword",
    "ManageMasterUserPassword",
    "MonitoringInterval",
    "MonitoringRoleArn",
    "NetworkType",
    "PerformanceInsightsKmsKeyId",
    "PerformanceInsightsRetentionPeriod",
    "Port",
    "PreferredBackupWindow",
    "PreferredMaintenanceWindow",
    "ServerlessV2ScalingConfiguration",
    "StorageType",
    "VpcSecurityGroupIds",
)
_INSTANCE_CHANGES = (
    "AllocatedStorage",
    "AutoMinorVersionUpgrade",
    "BackupRetentionPeriod",
    "CACertificateIdentifier",
    "CopyTagsToSnapshot",
    "DBInstanceClass",
    "DBParameterGroupName",
    "DatabaseInsightsMode",
    "DeletionProtection",
    "EnableIAMDatabaseAuthentication",
    "EnablePerformanceInsights",
    "EngineVersion",
    "Iops",
    "LicenseModel",
    "ManageMasterUserPassword",
    "MasterUserPassword",
    "MaxAllocatedStorage",
    "MonitoringInterval",
    "MonitoringRoleArn",
    "MultiAZ",
    "NetworkType",
    "OptionGroupName",
    "PerformanceInsightsKMSKeyId",
    "PerformanceInsightsRetentionPeriod",
    "PreferredBackupWindow",
    "PreferredMaintenanceWindow",
    "PromotionTier",
    "PubliclyAccessible",
    "StorageThroughput",
    "StorageType",
)

_PARAMETERS = {"Parameters": "properties.Parameters"}


def _parameter_group(cluster: bool) -> ResourceType:
    """The parameter groups of clusters and of instances differ in their names alone."""
    infix, kind = ("_cluster", "DBClusterParameterGroup") if cluster else ("", "DBParameterGroup")
    name = f"{kind}Name"
    return ResourceType(
        name=f"AWS::RDS::{kind}",
        service="rds",
        prepare=_with_parameter_list,
        create=Call(
            f"create_db{infix}_parameter_group",
            {name: "name", "DBParameterGroupFamily": "properties.Family"},
            ("Description",),
        ),
        reference="name",
        read=Read(f"describe_db{infix}_parameter_groups", {name: "id"}, f"{kind}s[0]"),
        settings=(
            Call(
                f"modify_db{infix}_parameter_group",
                {name: "id", "Parameters": "item"},
                each="properties.Parameters && [properties.Parameters]",
            ),
        ),
        updates=(
            Call(
                f"reset_db{infix}_parameter_group",
                {name: "id", "ResetAllParameters": "`true`"},
                on=("Parameters",),
            ),
        ),
        delete=Call(f"delete_db{infix}_parameter_group", {name: "id"}),
        attributes={} if cluster else {"DBParameterGroupArn": "record.DBParameterGroupArn"},
        create_only=("Description", "Family"),
        named=name,
        name_limit=255,
        name_lowercase=True,
        tags=Tags("rds", f"record.{kind}Arn"),
    )


DATABASE: tuple[ResourceType, ...] = (
    ResourceType(
        name="AWS::RDS::DBCluster",
        service="rds",
        create=Call(
            "create_db_cluster",
            {
                "DBClusterIdentifier": "name",
                "EnablePerformanceInsights": "properties.PerformanceInsightsEnabled",
                "MasterUserSecretKmsKeyId": "properties.MasterUserSecret.KmsKeyId",
                "PerformanceInsightsKMSKeyId": "properties.PerformanceInsightsKmsKeyId",
            },
            EVERY,
        ),
        reference="response.DBCluster.DBClusterIdentifier",
        read=Read("describe_db_clusters", {"DBClusterIdentifier": "id"}, "DBClusters[0]"),
        ready="record.Status == 'available'",
        attributes={
            "DBClusterArn": "record.DBClusterArn",
            "DBClusterResourceId": "record.DbClusterResourceId",
            "Endpoint": "record.Endpoint",
            "Endpoint.Address": "record.Endpoint",
            "Endpoint.Port": "to_string(record.Port)",
            "ReadEndpoint.Address": "record.ReaderEndpoint",
            "MasterUserSecret.SecretArn": "record.MasterUserSecret.SecretArn",
        },
        updates=(
            Call(
                "modify_db_cluster",
                {
                    "DBClusterIdentifier": "id",
                    "ApplyImmediately": "`true`",
                    "EnablePerformanceInsights": "properties.PerformanceInsightsEnabled",
                    "PerformanceInsightsKMSKeyId": "properties.PerformanceInsightsKmsKeyId",
                    "MasterUserSecretKmsKeyId": "properties.MasterUserSecret.KmsKeyId",
                },
                _CLUSTER_CHANGES,
            ),
            _change_log_exports("cluster"),
        ),
        delete=Call(
            "delete_db_cluster", {"DBClusterIdentifier": "id", "SkipFinalSnapshot": "`true`"}
        ),
        create_only=_CLUSTER_CREATE_ONLY,
        conditional=("AvailabilityZones", "Engine", "GlobalClusterIdentifier", "MasterUsername"),
        named="DBClusterIdentifier",
        name_limit=63,
        name_lowercase=True,
        tags=Tags("rds", "record.DBClusterArn"),
    ),
    ResourceType(
        name="AWS::RDS::DBInstance",
        service="rds",
        create=Call(
            "create_db_instance",
            {
                "DBInstanceIdentifier": "name",
                "VpcSecurityGroupIds": "properties.VPCSecurityGroups",
                "MasterUserSecretKmsKeyId": "properties.MasterUserSecret.KmsKeyId",
            },
            EVERY,
        ),
        reference="response.DBInstance.DBInstanceIdentifier",
        read=Read("describe_db_instances", {"DBInstanceIdentifier": "id"}, "DBInstances[0]"),
        ready="record.DBInstanceStatus == 'available'",
        attributes={
            "DBInstanceArn": "record.DBInstanceArn",
            "DbiResourceId": "record.DbiResourceId",
            "Endpoint.Address": "record.Endpoint.Address",
            "Endpoint.HostedZoneId": "record.Endpoint.HostedZoneId",
            "Endpoint.Port": "to_string(record.Endpoint.Port)",
            "MasterUserSecret.SecretArn": "record.MasterUserSecret.SecretArn",
            "CertificateDetails.CAIdentifier": "record.CertificateDetails.CAIdentifier",
        },
        updates=(
            Call(
                "modify_db_instance",
                {
                    "DBInstanceIdentifier": "id",
                    "ApplyImmediately": "`true`",
                    "VpcSecurityGroupIds": "properties.VPCSecurityGroups",
                    "MasterUserSecretKmsKeyId": "properties.MasterUserSecret.KmsKeyId",
                },
                _INSTANCE_CHANGES,
            ),
            _change_log_exports("instance"),
        ),
        delete=Call(
            "delete_db_instance",
            {
                "DBInstanceIdentifier": "id",
                "SkipFinalSnapshot": "`true`",
                "DeleteAutomatedBackups": "properties.DeleteAutomatedBackups",
            },
        ),
        create_only=_INSTANCE_CREATE_ONLY,
        conditional=_INSTANCE_CONDITIONAL,
        ignored=("AllowMajorVersionUpgrade", "DeleteAutomatedBackups", "ApplyImmediately"),
        named="DBInstanceIdentifier",
        name_limit=63,
        name_lowercase=True,
        tags=Tags("rds", "record.DBInstanceArn"),
    ),
    _parameter_group(cluster=True),
    _parameter_group(cluster=False),
    ResourceType(
        name="AWS::RDS::GlobalCluster",
        service="rds",
        create=Call(
            "create_global_cluster",
            {
                "GlobalClusterIdentifier": "name",
                "SourceDBClusterIdentifier": "properties.SourceDBClusterIdentifier",
            },
            EVERY,
        ),
        reference="response.GlobalCluster.GlobalClusterIdentifier",
        read=Read(
            "describe_global_clusters", {"GlobalClusterIdentifier": "id"}, "GlobalClusters[0]"
        ),
        attributes={"GlobalEndpoint.Address": "record.Endpoint"},
        updates=(
            Call(
                "modify_global_cluster",
                {"GlobalClusterIdentifier": "id"},
                ("DeletionProtection", "EngineVersion"),
            ),
        ),
        before_delete=(Step(_leave_members),),
        delete=Call("delete_global_cluster", {"GlobalClusterIdentifier": "id"}),
        create_only=("Engine", "SourceDBClusterIdentifier", "StorageEncrypted"),
        named="GlobalClusterIdentifier",
        name_limit=63,
        name_lowercase=True,
        tags=Tags("rds", "record.GlobalClusterArn"),
    ),
)
