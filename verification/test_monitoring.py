"""Alarms: everything that matters is watched, and somebody is told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pytest

from verification.cloud import Record
from verification.metrics import Metric, measured, problem
from verification.platform import MissingError, Platform
from verification.settings import Settings


@dataclass(frozen=True)
class Watch:
    """A metric that an alarm must watch; `of` is the output that its dimension names."""

    namespace: str
    metric: str
    dimension: str
    of: str
    statistic: str

    def __str__(self) -> str:
        """Return the metric as CloudWatch's console shows it."""
        return f"{self.namespace} {self.metric}"


SERVICE = ("ServiceName", "ServiceName")
DATABASE = ("DBClusterIdentifier", "DatabaseClusterIdentifier")
BALANCER = ("LoadBalancer", "LoadBalancerFullName")
TARGETS = ("TargetGroup", "TargetGroupFullName")
ROTATION = ("FunctionName", "RotationFunctionName")
LATENCY = Watch("AWS/ApplicationELB", "TargetResponseTime", *BALANCER, "p99")
LAG = Watch("AWS/RDS", "AuroraReplicaLagMaximum", *DATABASE, "Maximum")
# The worst instance counts, so the maximum: an average would hide one behind the others.
WATCHES = (
    Watch("AWS/ECS", "CPUUtilization", *SERVICE, "Average"),
    Watch("AWS/ECS", "MemoryUtilization", *SERVICE, "Average"),
    Watch("ECS/ContainerInsights", "RunningTaskCount", *SERVICE, "Minimum"),
    Watch("AWS/RDS", "CPUUtilization", *DATABASE, "Maximum"),
    Watch("AWS/RDS", "DatabaseConnections", *DATABASE, "Maximum"),
    Watch("AWS/RDS", "FreeableMemory", *DATABASE, "Minimum"),
    Watch("AWS/RDS", "Deadlocks", *DATABASE, "Maximum"),
    LATENCY,
    Watch("AWS/ApplicationELB", "HTTPCode_ELB_5XX_Count", *BALANCER, "Sum"),
    Watch("AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", *BALANCER, "Sum"),
    Watch("AWS/ApplicationELB", "UnHealthyHostCount", *TARGETS, "Maximum"),
    Watch("AWS/Lambda", "Errors", *ROTATION, "Sum"),
)
SCARCE = {"FreeableMemory", "RunningTaskCount"}
# An alarm that speaks later than this, in seconds, comes after the customers' calls.
LATEST = 600
# What a customer feels, by the names of alarms without application and environment.
FELT = {
    "running-tasks",
    "unhealthy-hosts",
    "latency",
    "service-errors",
    "load-balancer-errors",
    "database-connections",
    "database-deadlocks",
}


# --- Alarms -------------------------------------------------------------------------------------


def _watching(platform: Platform, watch: Watch) -> list[Record]:
    """Return the alarms that watch a metric of this platform."""
    wanted = {"Name": watch.dimension, "Value": platform.output(watch.of)}
    found = [
        alarm
        for alarm in platform.alarms.values()
        for metric in measured(alarm)
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


@pytest.mark.parametrize("watch", WATCHES, ids=str)
def test_alarm_looks_at_the_right_statistic(platform: Platform, watch: Watch) -> None:
    for alarm in _watching(platform, watch):
        for metric in measured(alarm):
            if (metric["Namespace"], metric["MetricName"]) == (watch.namespace, watch.metric):
                assert metric["Statistic"] == watch.statistic, (
                    f"Alarm {alarm['AlarmName']} looks at the {metric['Statistic']} of {watch}, "
                    f"not at the {watch.statistic}."
                )


def test_latency_is_watched_at_the_99th_percentile(platform: Platform) -> None:
    statistics = {alarm.get("ExtendedStatistic") for alarm in _watching(platform, LATENCY)}
    assert "p99" in statistics, f"Latency is watched by {statistics}, not at p99."


def test_replica_lag_is_watched_where_there_are_readers(
    platform: Platform, settings: Settings
) -> None:
    readers = settings.expectations.database_instances - 1
    watched = [
        alarm["AlarmName"]
        for alarm in platform.alarms.values()
        for metric in measured(alarm)
        if metric["MetricName"] == LAG.metric
    ]
    assert bool(watched) == (readers > 0), (
        f"The cluster should have {readers} readers, replica lag is watched by {watched}."
    )
    if readers:
        assert _watching(platform, LAG), f"No alarm watches {LAG} of this cluster."


def test_every_nat_gateway_is_watched(platform: Platform) -> None:
    watched = {
        item["Value"]
        for alarm in platform.alarms.values()
        for metric in measured(alarm)
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


def test_alarms_tell_nobody_else(platform: Platform) -> None:
    topic = platform.output("AlarmTopicArn")
    told = {
        name: sorted({*alarm["AlarmActions"], *alarm["OKActions"]} - {topic})
        for name, alarm in {**platform.alarms, **platform.composite_alarms}.items()
    }
    others = [f"{name} tells {', '.join(who)}" for name, who in sorted(told.items()) if who]
    assert not others, f"Alarms act on something else than {topic}: {'; '.join(others)}."


def test_alarms_say_when_it_is_over(platform: Platform) -> None:
    topic = platform.output("AlarmTopicArn")
    silent = sorted(
        name
        for name, alarm in {**platform.alarms, **platform.composite_alarms}.items()
        if topic not in alarm["OKActions"]
    )
    assert not silent, f"Alarms that do not tell when it is over: {', '.join(silent)}."


def test_alarms_watch_metrics_that_exist(platform: Platform) -> None:
    values = platform.dimension_values
    wrong = [
        f"{alarm['AlarmName']}: {found}"
        for alarm in platform.alarms.values()
        for metric in measured(alarm)
        if (found := problem(_metric(metric), values))
    ]
    assert not wrong, f"Alarms that never get a value: {'; '.join(wrong)}."


def _metric(metric: Record) -> Metric:
    dimensions = tuple((item["Name"], item["Value"]) for item in metric["Dimensions"])
    return Metric(metric["Namespace"], metric["MetricName"], dimensions)


def _seconds(alarm: Record) -> int:
    """Return how long it takes an alarm to speak once something is wrong."""
    queries = [
        item["MetricStat"]["Period"] for item in alarm.get("Metrics", []) if "MetricStat" in item
    ]
    period = max([alarm.get("Period", 0), *queries])
    return int(period * alarm["EvaluationPeriods"])


def test_alarms_speak_in_time(platform: Platform) -> None:
    slow = [
        f"{name} after {_seconds(alarm)} s"
        for name, alarm in sorted(platform.alarms.items())
        if not 0 < _seconds(alarm) <= LATEST
    ]
    assert not slow, f"Alarms speak later than {LATEST} s: {', '.join(slow)}."


def test_alarms_judge_a_missing_value(platform: Platform) -> None:
    # A service that reports no task has none; and to ignore silence would keep the last state.
    for name, alarm in platform.alarms.items():
        missing = alarm.get("TreatMissingData", "missing")
        if alarm.get("MetricName") == "RunningTaskCount":
            assert missing == "breaching", f"Alarm {name} takes missing tasks as {missing}."
        assert missing != "ignore", f"Alarm {name} keeps its state when values are missing."


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


def _named(alarm: Record) -> list[str]:
    """Return the alarms that the rule of a composite alarm names."""
    return [
        quoted.strip("\"'").rpartition(":alarm:")[2]
        for quoted in alarm["AlarmRule"].replace("(", " ").replace(")", " ").split()
        if quoted not in {"ALARM", "OK", "INSUFFICIENT_DATA", "AND", "OR", "NOT", "TRUE", "FALSE"}
    ]


def test_composite_alarm_names_alarms_that_exist(platform: Platform) -> None:
    alarm = _degraded(platform)
    named = _named(alarm)
    missing = sorted(set(named) - set(platform.alarms))
    assert named, f"Composite alarm {alarm['AlarmName']} looks at no alarm: {alarm['AlarmRule']}."
    assert not missing, f"{alarm['AlarmName']} names alarms that do not exist: {missing}."


def test_composite_alarm_is_any_of_what_customers_feel(
    platform: Platform, settings: Settings
) -> None:
    alarm = _degraded(platform)
    ports = {f"nat-{index + 1}-ports" for index in range(settings.expectations.nat_gateways)}
    lag = {"replica-lag"} if settings.expectations.database_instances > 1 else set()
    missing = sorted((FELT | ports | lag) - _short(settings, _named(alarm)))
    assert not missing, f"{alarm['AlarmName']} does not look at {', '.join(missing)}."
    # One of them is enough: an AND or a NOT would wait for more.
    words = set(alarm["AlarmRule"].replace("(", " ").replace(")", " ").split())
    hedged = sorted(words & {"AND", "NOT", "OK", "INSUFFICIENT_DATA", "FALSE"})
    assert not hedged, f"{alarm['AlarmName']} is hedged by {', '.join(hedged)}."


def test_composite_alarm_is_the_exported_one(platform: Platform) -> None:
    actual, told = _degraded(platform)["AlarmArn"], platform.output("DegradedAlarmArn")
    assert actual == told, f"Output DegradedAlarmArn is {told}, the alarm is {actual}."


def test_payments_are_not_degraded(platform: Platform) -> None:
    alarm = _degraded(platform)
    assert alarm["StateValue"] != "ALARM", f"Payments are degraded: {alarm.get('StateReason')}."
