"""The metrics that AWS publishes, so that a name which never gets a value is found.

CloudWatch takes an alarm or a widget on any name: a misspelt one stays without data and silent for
ever. The table has the namespaces that the platform uses, from the services' documentation; what
is new in the templates has to be added here, or the checks say so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from verification.cloud import Record

Dimensions = frozenset[str]


@dataclass(frozen=True)
class Metric:
    """One series: where it is, what it is called, and of what it is."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        """Return the metric as people write it: `AWS/ECS CPUUtilization (ClusterName a)`."""
        of = ", ".join(f"{name} {value}" for name, value in self.dimensions)
        return f"{self.namespace} {self.name} ({of})"


def _sets(*names: str) -> tuple[Dimensions, ...]:
    return tuple(frozenset(item.split()) for item in names)


_SERVICE = _sets("ClusterName", "ClusterName ServiceName")
_CLUSTER = _sets("DBClusterIdentifier")
_INSTANCES = _sets("DBClusterIdentifier", "DBClusterIdentifier Role", "DBInstanceIdentifier")
_BALANCER = _sets("LoadBalancer", "LoadBalancer AvailabilityZone")
_TARGETS = _sets("LoadBalancer TargetGroup", "LoadBalancer TargetGroup AvailabilityZone")
_NAT = _sets("NatGatewayId")
_FUNCTION = _sets("FunctionName", "FunctionName Resource")
_EVENT_RULE = _sets("RuleName")
_VAULT = _sets("BackupVaultName", "BackupVaultName ResourceType", "ResourceType")

# Namespace, name, and the sets of dimensions that the metric is published under.
METRICS: dict[str, dict[str, tuple[Dimensions, ...]]] = {
    "AWS/ECS": {
        "CPUUtilization": _SERVICE,
        "MemoryUtilization": _SERVICE,
    },
    "ECS/ContainerInsights": {
        "CpuReserved": _SERVICE,
        "CpuUtilized": _SERVICE,
        "DeploymentCount": _sets("ClusterName ServiceName"),
        "DesiredTaskCount": _sets("ClusterName ServiceName"),
        "MemoryReserved": _SERVICE,
        "MemoryUtilized": _SERVICE,
        "PendingTaskCount": _sets("ClusterName ServiceName"),
        "RunningTaskCount": _sets("ClusterName ServiceName"),
        "TaskCount": _sets("ClusterName"),
    },
    "AWS/RDS": {
        "AuroraReplicaLag": _INSTANCES,
        "AuroraReplicaLagMaximum": _INSTANCES,
        "AuroraReplicaLagMinimum": _INSTANCES,
        "BufferCacheHitRatio": _INSTANCES,
        "CommitLatency": _INSTANCES,
        "CommitThroughput": _INSTANCES,
        "CPUUtilization": _INSTANCES,
        "DatabaseConnections": _INSTANCES,
        "DBLoad": _INSTANCES,
        "Deadlocks": _INSTANCES,
        "FreeableMemory": _INSTANCES,
        "FreeLocalStorage": _INSTANCES,
        "MaximumUsedTransactionIDs": _INSTANCES,
        "ReadLatency": _INSTANCES,
        "SwapUsage": _INSTANCES,
        "VolumeBytesUsed": _CLUSTER,
        "VolumeReadIOPs": _CLUSTER,
        "VolumeWriteIOPs": _CLUSTER,
        "WriteLatency": _INSTANCES,
    },
    "AWS/ApplicationELB": {
        "ActiveConnectionCount": _BALANCER,
        "HealthyHostCount": _TARGETS,
        "HTTPCode_ELB_4XX_Count": _BALANCER,
        "HTTPCode_ELB_5XX_Count": _BALANCER,
        "HTTPCode_Target_2XX_Count": _BALANCER + _TARGETS,
        "HTTPCode_Target_4XX_Count": _BALANCER + _TARGETS,
        "HTTPCode_Target_5XX_Count": _BALANCER + _TARGETS,
        "RejectedConnectionCount": _BALANCER,
        "RequestCount": _BALANCER + _TARGETS,
        "TargetConnectionErrorCount": _BALANCER + _TARGETS,
        "TargetResponseTime": _BALANCER + _TARGETS,
        "UnHealthyHostCount": _TARGETS,
    },
    "AWS/NATGateway": {
        "ActiveConnectionCount": _NAT,
        "ConnectionAttemptCount": _NAT,
        "ConnectionEstablishedCount": _NAT,
        "ErrorPortAllocation": _NAT,
        "IdleTimeoutCount": _NAT,
        "PacketsDropCount": _NAT,
    },
    "AWS/Backup": {
        "NumberOfBackupJobsAborted": _VAULT,
        "NumberOfBackupJobsCompleted": _VAULT,
        "NumberOfBackupJobsExpired": _VAULT,
        "NumberOfBackupJobsFailed": _VAULT,
    },
    "AWS/Events": {
        "FailedInvocations": _EVENT_RULE,
        "Invocations": _EVENT_RULE,
        "TriggeredRules": _EVENT_RULE,
    },
    "AWS/Lambda": {
        "Duration": _FUNCTION,
        "Errors": _FUNCTION,
        "Invocations": _FUNCTION,
        "Throttles": _FUNCTION,
    },
}

_SCHEMA = re.compile(r"\{(?P<namespace>[^,}]+),(?P<dimensions>[^}]*)\}")
_NAME = re.compile(r'MetricName\s*=\s*"(?P<name>[^"]+)"')
_QUOTED = re.compile(r'"([^"]+)"')


def read_search(expression: str) -> list[Metric]:
    """Return the metrics that a SEARCH expression names one by one.

    Understands what this project writes: `{Namespace,Dimension} Dimension=("a" OR "b")
    MetricName="name"`. Another form gives a metric without a name, which no namespace has.
    """
    schema, name = _SCHEMA.search(expression), _NAME.search(expression)
    if not schema or not name:
        return [Metric("", expression, ())]
    found = []
    for dimension in schema["dimensions"].split(","):
        values = re.search(rf"\b{dimension.strip()}\s*=\s*\(?([^)]*)\)?", expression)
        for value in _QUOTED.findall(values[1] if values else ""):
            found.append(
                Metric(schema["namespace"].strip(), name["name"], ((dimension.strip(), value),))
            )
    return found or [Metric(schema["namespace"].strip(), name["name"], ())]


def measured(alarm: Record) -> Iterator[Record]:
    """Yield the metrics that an alarm looks at, alone or in an expression, with the statistic."""
    if "MetricName" in alarm:
        yield {**alarm, "Statistic": alarm.get("ExtendedStatistic") or alarm.get("Statistic")}
    for query in alarm.get("Metrics", []):
        if "MetricStat" in query:
            stat = query["MetricStat"]
            yield {"Statistic": stat["Stat"], **stat["Metric"]}


def problem(metric: Metric, values: dict[str, set[str]]) -> str:
    """Return what is wrong with a metric, or nothing where AWS publishes it for this platform.

    Args:
        metric: the series that an alarm or a widget looks at.
        values: what the platform has, by dimension: `{"ClusterName": {"payments-dev"}}`.
    """
    names = METRICS.get(metric.namespace)
    if names is None:
        return f"verification/metrics.py has no namespace {metric.namespace!r}"
    if metric.name not in names:
        return f"{metric.namespace} has no metric {metric.name}"
    dimensions = frozenset(name for name, _ in metric.dimensions)
    if dimensions not in names[metric.name]:
        told = ", ".join(sorted(dimensions)) or "none"
        return f"{metric.namespace} {metric.name} is not published by dimensions {told}"
    strange = [
        f"{name} {value!r}"
        for name, value in metric.dimensions
        if value not in values.get(name, set())
    ]
    return f"this platform has no {' and no '.join(strange)}" if strange else ""
