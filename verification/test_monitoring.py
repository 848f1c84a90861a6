"""Alarms and dashboard: everything that matters is watched, and somebody is told."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pytest

from verification.cloud import Record
from verification.platform import MissingError, Platform
from verification.settings import Settings


@dataclass(frozen=True)
class Watch:
    """A metric that an alarm must watch; `of` is the output that its dimension names."""

    namespace: str
    metric: str
    dimension: str
    of: str

    def __str__(self) -> str:
        """Return the metric as CloudWatch's console shows it."""
        return f"{self.namespace} {self.metric}"


WATCHES = (
    Watch("AWS/ECS", "CPUUtilization", "ServiceName", "ServiceName"),
    Watch("AWS/ECS", "MemoryUtilization", "ServiceName", "ServiceName"),
    Watch("ECS/ContainerInsights", "RunningTaskCount", "ServiceName", "ServiceName"),
    Watch("AWS/RDS", "CPUUtilization", "DBClusterIdentifier", "DatabaseClusterIdentifier"),
    Watch("AWS/RDS", "DatabaseConnections", "DBClusterIdentifier", "DatabaseClusterIdentifier"),
    Watch("AWS/RDS", "FreeableMemory", "DBClusterIdentifier", "DatabaseClusterIdentifier"),
    Watch("AWS/RDS", "Deadlocks", "DBClusterIdentifier", "DatabaseClusterIdentifier"),
    Watch("AWS/ApplicationELB", "TargetResponseTime", "LoadBalancer", "LoadBalancerFullName"),
    Watch("AWS/ApplicationELB", "HTTPCode_ELB_5XX_Count", "LoadBalancer", "LoadBalancerFullName"),
    Watch(
        "AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", "LoadBalancer", "LoadBalancerFullName"
    ),
    Watch("AWS/ApplicationELB", "UnHealthyHostCount", "TargetGroup", "TargetGroupFullName"),
)
SCARCE = {"FreeableMemory", "RunningTaskCount"}
WIDGET_NAMESPACES = ("AWS/ECS", "AWS/RDS", "AWS/ApplicationELB")


# --- Alarms -------------------------------------------------------------------------------------


def _measured(alarm: Record) -> Iterator[Record]:
    """Yield the metrics that an alarm looks at, alone or in an expression."""
    if "MetricName" in alarm:
        yield alarm
    for query in alarm.get("Metrics", []):
        if "MetricStat" in query:
            yield query["MetricStat"]["Metric"]


def _watching(platform: Platform, watch: Watch) -> list[Record]:
    """Return the alarms that watch a metric of this platform."""
    wanted = {"Name": watch.dimension, "Value": platform.output(watch.of)}
    found = [
        alarm
        for alarm in platform.alarms.values()
        for metric in _measured(alarm)
        if (metric["Namespace"], metric["MetricName"]) == (watch.namespace, watch.metric)
        and wanted in metric["Dimensions"]
    ]
    if not found:
        raise MissingError(f"No alarm watches {watch} of {wanted['Value']}.")
    return found


@pytest.mark.parametrize("watch", WATCHES, ids=str)
def test_metric_is_watched(platform: Platform, watch: Watch) -> None:
    deaf = [
        alarm["AlarmName"] for alarm in _watching(platform, watch) if not _acts(platform, alarm)
    ]
    assert not deaf, f"Alarms on {watch} tell nobody: {', '.join(deaf)}."


def _short(settings: Settings, alarms: Iterable[str]) -> set[str]:
    """Return the names of alarms without the application and environment they start with."""
    return {name.removeprefix(f"{settings.prefix}-") for name in alarms}


def test_environment_has_the_planned_alarms(platform: Platform, settings: Settings) -> None:
    actual = _short(settings, platform.alarms)
    wanted = set(settings.expectations.alarm_thresholds)
    missing, unknown = sorted(wanted - actual), sorted(actual - wanted)
    assert not missing, f"Alarms that were planned do not exist: {', '.join(missing)}."
    assert not unknown, f"Alarms that the inventory does not know: {', '.join(unknown)}."


def test_thresholds_are_the_environments(platform: Platform, settings: Settings) -> None:
    wanted = settings.expectations.alarm_thresholds
    wrong = [
        f"{name} starts at {alarm['Threshold']:g} instead of {wanted[short]:g}"
        for name, alarm in platform.alarms.items()
        if (short := name.removeprefix(f"{settings.prefix}-")) in wanted
        and alarm["Threshold"] != wanted[short]
    ]
    assert wanted, "The inventory plans no alarm: payments_expectations.alarm_thresholds is empty."
    assert not wrong, f"Thresholds are not those of {settings.environment}: {'; '.join(wrong)}."


@pytest.mark.parametrize("watch", WATCHES, ids=str)
def test_alarm_starts_on_the_bad_side(platform: Platform, watch: Watch) -> None:
    # Few tasks and little memory are bad; of everything else, much is.
    wanted = "LessThan" if watch.metric in SCARCE else "GreaterThan"
    for alarm in _watching(platform, watch):
        operator = alarm["ComparisonOperator"]
        assert operator.startswith(wanted), (
            f"Alarm {alarm['AlarmName']} starts at {operator}, not {wanted}."
        )


def test_latency_is_watched_at_the_99th_percentile(platform: Platform) -> None:
    watch = Watch(
        "AWS/ApplicationELB", "TargetResponseTime", "LoadBalancer", "LoadBalancerFullName"
    )
    statistics = {alarm.get("ExtendedStatistic") for alarm in _watching(platform, watch)}
    assert "p99" in statistics, f"Latency is watched by {statistics}, not at p99."


def test_replica_lag_is_watched_where_there_are_readers(
    platform: Platform, settings: Settings
) -> None:
    lag = Watch(
        "AWS/RDS", "AuroraReplicaLagMaximum", "DBClusterIdentifier", "DatabaseClusterIdentifier"
    )
    readers = settings.expectations.database_instances - 1
    watched = [
        alarm["AlarmName"]
        for alarm in platform.alarms.values()
        for metric in _measured(alarm)
        if metric["MetricName"] == lag.metric
    ]
    assert bool(watched) == (readers > 0), (
        f"The cluster should have {readers} readers, replica lag is watched by {watched}."
    )
    if readers:
        assert _watching(platform, lag), f"No alarm watches {lag} of this cluster."


def test_every_nat_gateway_is_watched(platform: Platform) -> None:
    watched = {
        item["Value"]
        for alarm in platform.alarms.values()
        for metric in _measured(alarm)
        if metric["MetricName"] == "ErrorPortAllocation"
        for item in metric["Dimensions"]
    }
    missing = sorted({item["NatGatewayId"] for item in platform.nat_gateways} - watched)
    assert platform.nat_gateways, "The VPC has no NAT gateway."
    assert not missing, f"No alarm watches the ports of {', '.join(missing)}."


def test_alarms_of_the_stack_exist(platform: Platform) -> None:
    wanted = {item.physical_id for item in platform.resources("AWS::CloudWatch::Alarm")}
    missing = sorted(wanted - set(platform.alarms))
    assert wanted, "The stack tree has no alarm."
    assert not missing, f"Alarms of the stack do not exist: {', '.join(missing)}."


def _acts(platform: Platform, alarm: Record) -> bool:
    return alarm["ActionsEnabled"] and platform.output("AlarmTopicArn") in alarm["AlarmActions"]


def test_every_alarm_tells_the_topic(platform: Platform) -> None:
    alarms = {**platform.alarms, **platform.composite_alarms}
    deaf = sorted(name for name, alarm in alarms.items() if not _acts(platform, alarm))
    assert alarms, "The environment has no alarm."
    assert not deaf, f"Alarms that tell nobody: {', '.join(deaf)}."


def test_every_alarm_explains_itself(platform: Platform) -> None:
    silent = sorted(
        name for name, alarm in platform.alarms.items() if not alarm.get("AlarmDescription")
    )
    assert platform.alarms, "The environment has no alarm."
    assert not silent, f"Alarms without a description: {', '.join(silent)}."


def test_topic_reaches_the_address_of_the_inventory(platform: Platform, settings: Settings) -> None:
    found = platform.cloud.every(
        "sns",
        "list_subscriptions_by_topic",
        "Subscriptions",
        TopicArn=platform.output("AlarmTopicArn"),
    )
    told = {item["Endpoint"] for item in found if item["Protocol"] == "email"}
    wanted = {settings.alarm_email} if settings.alarm_email else set()
    assert told == wanted, (
        f"Alarms are sent to {sorted(told)}, the inventory says {sorted(wanted)}."
    )


# --- Degraded -----------------------------------------------------------------------------------


def _degraded(platform: Platform) -> Record:
    name = platform.output("DegradedAlarmName")
    if name not in platform.composite_alarms:
        raise MissingError(f"Composite alarm {name} does not exist.")
    return platform.composite_alarms[name]


def test_composite_alarm_names_alarms_that_exist(platform: Platform) -> None:
    alarm = _degraded(platform)
    named = [
        quoted.strip("\"'").rpartition(":alarm:")[2]
        for quoted in alarm["AlarmRule"].replace("(", " ").replace(")", " ").split()
        if quoted not in {"ALARM", "OK", "INSUFFICIENT_DATA", "AND", "OR", "NOT", "TRUE", "FALSE"}
    ]
    missing = sorted(set(named) - set(platform.alarms))
    assert named, f"Composite alarm {alarm['AlarmName']} looks at no alarm: {alarm['AlarmRule']}."
    assert not missing, f"{alarm['AlarmName']} names alarms that do not exist: {missing}."


def test_composite_alarm_is_the_exported_one(platform: Platform) -> None:
    actual, told = _degraded(platform)["AlarmArn"], platform.output("DegradedAlarmArn")
    assert actual == told, f"Output DegradedAlarmArn is {told}, the alarm is {actual}."


def test_payments_are_not_degraded(platform: Platform) -> None:
    alarm = _degraded(platform)
    assert alarm["StateValue"] != "ALARM", f"Payments are degraded: {alarm.get('StateReason')}."


# --- Dashboard ----------------------------------------------------------------------------------


def _widgets(platform: Platform) -> list[Record]:
    found = platform.cloud.get(
        "cloudwatch", "get_dashboard", DashboardName=platform.output("DashboardName")
    )
    widgets: list[Record] = json.loads(found["DashboardBody"])["widgets"]
    return widgets


def _metric_widgets(platform: Platform) -> list[Record]:
    return [item["properties"] for item in _widgets(platform) if item["type"] == "metric"]


def _series(platform: Platform) -> list[list[str]]:
    """Return the metrics of the widgets as [namespace, metric, dimension, value, ...]."""
    series: list[list[str]] = []
    for widget in _metric_widgets(platform):
        previous: list[str] = []
        for line in widget["metrics"]:
            # "." repeats the value of the line above in the same place.
            values = [item for item in line if isinstance(item, str)]
            full = [previous[index] if item == "." else item for index, item in enumerate(values)]
            if full:
                series.append(full)
                previous = full
    return series


def _searches(platform: Platform) -> list[str]:
    """Return the expressions of the widgets that search for metrics."""
    return [
        item["expression"]
        for widget in _metric_widgets(platform)
        for line in widget["metrics"]
        for item in line
        if isinstance(item, dict) and "SEARCH(" in item.get("expression", "")
    ]


def test_dashboard_is_named_after_its_environment(platform: Platform, settings: Settings) -> None:
    name = platform.output("DashboardName")
    assert name.startswith(settings.prefix), f"The dashboard {name} is not named {settings.prefix}."
    assert _widgets(platform), f"The dashboard {name} is empty."


@pytest.mark.parametrize("namespace", WIDGET_NAMESPACES)
def test_dashboard_shows(platform: Platform, namespace: str) -> None:
    shown = {line[0] for line in _series(platform)}
    assert namespace in shown, f"The dashboard shows nothing of {namespace}, only {sorted(shown)}."


def test_every_widget_shows_something(platform: Platform) -> None:
    empty = [
        item.get("title", "untitled") for item in _metric_widgets(platform) if not item["metrics"]
    ]
    assert not empty, f"Widgets without a metric: {', '.join(empty)}."


def _own_names(platform: Platform) -> set[str]:
    """Return the values that the dimensions of this platform's metrics have."""
    outputs = (
        "ClusterName",
        "ServiceName",
        "LoadBalancerFullName",
        "TargetGroupFullName",
        "DatabaseClusterIdentifier",
    )
    return {platform.output(name) for name in outputs} | set(platform.outputs("NatGatewayIds"))


def test_dashboard_metrics_are_of_this_platform(platform: Platform) -> None:
    own = _own_names(platform)
    strange = [
        " ".join(line)
        for line in _series(platform)
        if "/" not in line[0] or len(line) < 4 or not own & set(line[3::2])
    ]
    strange += [text for text in _searches(platform) if not any(name in text for name in own)]
    assert not strange, f"Widgets show metrics of something else: {'; '.join(strange)}."


def test_dashboard_shows_every_nat_gateway(platform: Platform) -> None:
    shown = " ".join([*_searches(platform), *(" ".join(line) for line in _series(platform))])
    missing = sorted(
        item["NatGatewayId"] for item in platform.nat_gateways if item["NatGatewayId"] not in shown
    )
    assert not missing, f"The dashboard does not show {', '.join(missing)}."


def test_dashboard_widgets_look_at_this_region(platform: Platform, settings: Settings) -> None:
    elsewhere = {
        widget["properties"]["region"]
        for widget in _widgets(platform)
        if widget["properties"].get("region", settings.region) != settings.region
    }
    assert not elsewhere, f"Widgets look at {', '.join(sorted(elsewhere))}."


def test_dashboard_shows_the_state_of_alarms(platform: Platform) -> None:
    shown = [
        arn.rpartition(":alarm:")[2]
        for widget in _widgets(platform)
        for arn in widget["properties"].get("alarms", [])
    ]
    missing = sorted(set(shown) - set(platform.alarms) - set(platform.composite_alarms))
    assert shown, "The dashboard has no widget with the state of alarms."
    assert not missing, f"The dashboard shows alarms that do not exist: {', '.join(missing)}."
