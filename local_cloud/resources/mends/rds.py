"""RDS: settings that clusters and instances take and forget, and the secrets RDS manages."""

from __future__ import annotations

import hashlib

from ministack.services import rds as _rds
from ministack.services import secretsmanager as _secrets

from .core import Amendment, Members, Memory, Mend, scoped
from .secrets import OWNER_TAG

_SHOWN_AS = {
    "AutoMinorVersionUpgrade": "AutoMinorVersionUpgrade",
    "CACertificateIdentifier": "CACertificateIdentifier",
    "DatabaseInsightsMode": "DatabaseInsightsMode",
    "EnablePerformanceInsights": "PerformanceInsightsEnabled",
    "Iops": "Iops",
    "MonitoringInterval": "MonitoringInterval",
    "MonitoringRoleArn": "MonitoringRoleArn",
    "NetworkType": "NetworkType",
    "PerformanceInsightsKMSKeyId": "PerformanceInsightsKMSKeyId",
    "PerformanceInsightsRetentionPeriod": "PerformanceInsightsRetentionPeriod",
    "PubliclyAccessible": "PubliclyAccessible",
    "StorageType": "StorageType",
}

_INHERITED = (
    "BackupRetentionPeriod",
    "CopyTagsToSnapshot",
    "DeletionProtection",
    "KmsKeyId",
    "MasterUsername",
    "PreferredBackupWindow",
    "StorageEncrypted",
    "VpcSecurityGroups",
)
# Set for a cluster, these hold for its instances, unless one has its own.
_WATCHED = (
    "DatabaseInsightsMode",
    "MonitoringInterval",
    "MonitoringRoleArn",
    "PerformanceInsightsEnabled",
    "PerformanceInsightsKMSKeyId",
    "PerformanceInsightsRetentionPeriod",
)


def _settings(request: Members, before: Members) -> Members:
    """What a request sets, in the words of the response."""
    shown = {name: request[given] for given, name in _SHOWN_AS.items() if given in request}
    exports = set(request.get("EnableCloudwatchLogsExports") or ())
    exports |= set(before.get("EnabledCloudwatchLogsExports") or ())
    change = request.get("CloudwatchLogsExportConfiguration") or {}
    exports |= set(change.get("EnableLogTypes") or ())
    exports -= set(change.get("DisableLogTypes") or ())
    return {**shown, "EnabledCloudwatchLogsExports": sorted(exports)}


_CLUSTERS = Memory(
    identity="DBClusterIdentifier",
    writes={"CreateDBCluster": "DBCluster", "ModifyDBCluster": "DBCluster"},
    reads={"DescribeDBClusters": "DBClusters"},
    remember=_settings,
    keeps=("Endpoint", "ReaderEndpoint"),
)
_INSTANCES = Memory(
    identity="DBInstanceIdentifier",
    writes={"CreateDBInstance": "DBInstance", "ModifyDBInstance": "DBInstance"},
    reads={"DescribeDBInstances": "DBInstances"},
    remember=_settings,
)


def _own_secret(request: Members, response: Members) -> None:
    """RDS encrypts, tags and rotates the secret that it manages."""
    cluster = response["DBCluster"]
    managed = cluster.get("MasterUserSecret")
    if not managed:
        return
    _key, secret = _secrets._resolve(managed["SecretArn"])
    key = request.get("MasterUserSecretKmsKeyId")
    if key:
        secret["KmsKeyId"] = key
    secret["RotationEnabled"] = True
    secret["RotationRules"] = {"AutomaticallyAfterDays": 7}
    secret["Tags"] = [
        {"Key": OWNER_TAG, "Value": "rds"},
        {"Key": "aws:rds:primaryDBClusterArn", "Value": cluster["DBClusterArn"]},
    ]


def _like_the_cluster(_request: Members, response: Members) -> None:
    """What an instance of a cluster has from its cluster."""
    for instance in response.get("DBInstances", [response.get("DBInstance")]):
        name = instance["DBInstanceIdentifier"]
        digest = hashlib.sha256(instance["DBInstanceArn"].encode()).hexdigest()[:12]
        region = instance["DBInstanceArn"].split(":")[3]
        address = f"{name}.{digest}.{region}.rds.amazonaws.com"
        instance["Endpoint"] = {**instance.get("Endpoint", {}), "Address": address}
        cluster = _rds._clusters.get(instance.get("DBClusterIdentifier") or "")
        if not cluster:
            continue
        for setting in _INHERITED:
            instance[setting] = cluster.get(setting)
        own = _INSTANCES.kept.get(scoped(name), {})
        watched = _CLUSTERS.kept.get(scoped(cluster["DBClusterIdentifier"]), {})
        instance.update({n: watched[n] for n in _WATCHED if n in watched and n not in own})
        instance["StorageType"] = cluster.get("StorageType") or "aurora"
        instance["Endpoint"]["Port"] = cluster["Port"]
        group = _rds._subnet_groups.get(cluster.get("DBSubnetGroup") or "")
        if group:
            instance["DBSubnetGroup"] = group


def _spread(request: Members, _response: Members) -> None:
    """Put an instance of a cluster where the cluster has the fewest, as Aurora does."""
    instance = _rds._instances[request["DBInstanceIdentifier"]]
    cluster = _rds._clusters.get(instance.get("DBClusterIdentifier") or "", {})
    group = _rds._subnet_groups.get(cluster.get("DBSubnetGroup") or "", {})
    zones = sorted(
        {subnet["SubnetAvailabilityZone"]["Name"] for subnet in group.get("Subnets", ())}
    )
    if "AvailabilityZone" in request or not zones:
        return
    members = {member["DBInstanceIdentifier"] for member in cluster.get("DBClusterMembers", ())}
    taken = [
        other["AvailabilityZone"]
        for name, other in _rds._instances.items()
        if name in members and other is not instance
    ]
    instance["AvailabilityZone"] = min(zones, key=taken.count)


def _move_tier(request: Members, response: Members) -> None:
    """The failover tier of an instance is kept in its cluster too."""
    if "PromotionTier" not in request:
        return
    instance = _rds._instances[request["DBInstanceIdentifier"]]
    instance["PromotionTier"] = request["PromotionTier"]
    response["DBInstance"]["PromotionTier"] = request["PromotionTier"]
    cluster = _rds._clusters.get(instance.get("DBClusterIdentifier") or "", {})
    for member in cluster.get("DBClusterMembers", ()):
        if member["DBInstanceIdentifier"] == request["DBInstanceIdentifier"]:
            member["PromotionTier"] = request["PromotionTier"]


MENDS: tuple[Mend, ...] = (
    _CLUSTERS,
    _INSTANCES,
    Amendment("CreateDBCluster", _own_secret),
    Amendment("CreateDBInstance", _spread),
    Amendment("CreateDBInstance", _like_the_cluster),
    Amendment("ModifyDBInstance", _move_tier),
    Amendment("ModifyDBInstance", _like_the_cluster),
    Amendment("DescribeDBInstances", _like_the_cluster),
)


def start_no_containers() -> None:
    """A database here is its description: no image is pulled where Docker happens to run."""
    _rds._get_docker = lambda: None
