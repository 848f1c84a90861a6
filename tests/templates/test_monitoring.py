"""Alarms, the alarm that payments are degraded, and the dashboard in each environment."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.templates.loader import ENVIRONMENTS, Template

SERVICE = {"ClusterName": {"Ref": "ClusterName"}, "ServiceName": {"Ref": "ServiceName"}}
DATABASE = {"DBClusterIdentifier": {"Ref": "DatabaseClusterIdentifier"}}
BALANCER = {"LoadBalancer": {"Ref": "LoadBalancerFullName"}}
TARGETS = {**BALANCER, "TargetGroup": {"Ref": "TargetGroupFullName"}}
ROTATION = {"FunctionName": {"Ref": "RotationFunctionName"}}
ABOVE, BELOW = "GreaterThanThreshold", "LessThanThreshold"

# logical id: namespace, metric, statistic, comparison, dimensions, missing data
ALARMS: dict[str, tuple[str, str, str, str, dict[str, Any], str]] = {
    "PaymentServiceCpuAlarm": (
        "AWS/ECS", "CPUUtilization", "Average", ABOVE, SERVICE, "missing"),
    "PaymentServiceMemoryAlarm": (
        "AWS/ECS", "MemoryUtilization", "Average", ABOVE, SERVICE, "missing"),
    "PaymentRunningTasksAlarm": (
        "ECS/ContainerInsights", "RunningTaskCount", "Minimum", BELOW, SERVICE, "breaching"),
    "PaymentDatabaseCpuAlarm": (
        "AWS/RDS", "CPUUtilization", "Maximum", ABOVE, DATABASE, "missing"),
    "PaymentDatabaseConnectionsAlarm": (
        "AWS/RDS", "DatabaseConnections", "Maximum", ABOVE, DATABASE, "missing"),
    "PaymentDatabaseMemoryAlarm": (
        "AWS/RDS", "FreeableMemory", "Minimum", BELOW, DATABASE, "missing"),
    "PaymentDatabaseDeadlocksAlarm": (
        "AWS/RDS", "Deadlocks", "Maximum", ABOVE, DATABASE, "notBreaching"),
    "PaymentReplicaLagAlarm": (
        "AWS/RDS", "AuroraReplicaLagMaximum", "Maximum", ABOVE, DATABASE, "missing"),
    "PaymentLatencyAlarm": (
        "AWS/ApplicationELB", "TargetResponseTime", "p99", ABOVE, TARGETS, "notBreaching"),
    "PaymentLoadBalancerErrorsAlarm": (
        "AWS/ApplicationELB", "HTTPCode_ELB_5XX_Count", "Sum", ABOVE, BALANCER, "notBreaching"),
    "PaymentUnhealthyHostsAlarm": (
        "AWS/ApplicationELB", "UnHealthyHostCount", "Maximum", ABOVE, TARGETS, "missing"),
    "PaymentRotationErrorsAlarm": (
        "AWS/Lambda", "Errors", "Sum", ABOVE, ROTATION, "notBreaching"),
}  # fmt: skip
# logical id: what is too much (or too little) in dev, staging and prod
THRESHOLDS: dict[str, tuple[float, float, float]] = {
    "PaymentServiceCpuAlarm": (80, 75, 70),
    "PaymentServiceMemoryAlarm": (80, 75, 70),
    "PaymentRunningTasksAlarm": (1, 2, 3),
    "PaymentDatabaseCpuAlarm": (80, 75, 70),
    # 80, 75 and 70 % of what Aurora admits on the instance class.
    "PaymentDatabaseConnectionsAlarm": (1440, 2700, 3500),
    # 5, 7.5 and 10 % of the instance's memory, in bytes.
    "PaymentDatabaseMemoryAlarm": (858993459, 2576980378, 6871947674),
    "PaymentDatabaseDeadlocksAlarm": (0.1, 0.05, 0.02),
    "PaymentReplicaLagAlarm": (2000, 1000, 500),
    "PaymentLatencyAlarm": (2, 1.5, 1),
    "PaymentServiceErrorsAlarm": (5, 2, 1),
    "PaymentLoadBalancerErrorsAlarm": (10, 5, 3),
    "PaymentUnhealthyHostsAlarm": (0, 0, 0),
    "PaymentNatGateway1PortsAlarm": (0, 0, 0),
    "PaymentNatGateway2PortsAlarm": (0, 0, 0),
    "PaymentNatGateway3PortsAlarm": (0, 0, 0),
    "PaymentRotationErrorsAlarm": (0, 0, 0),
}
GATEWAYS = {"dev": 1, "staging": 3, "prod": 3}
READERS = {"dev": False, "staging": True, "prod": True}

Resources = dict[str, dict[str, Any]]


@pytest.fixture
def resources(deployed: Callable[..., Template]) -> Resources:
    """The resources that exist in the environment of the test."""
    return dict(deployed("monitoring.yml")["Resources"])


@pytest.fixture
def alarms(resources: Resources) -> dict[str, dict[str, Any]]:
    """Properties of every alarm but the composite one."""
    return {
        logical_id: item["Properties"]
        for logical_id, item in resources.items()
        if item["Type"] == "AWS::CloudWatch::Alarm"
    }


def expected_alarms(environment: str) -> set[str]:
    """The logical ids of the alarms that an environment has."""
    gateways = {f"PaymentNatGateway{n + 1}PortsAlarm" for n in range(GATEWAYS[environment])}
    found = {*ALARMS, "PaymentServiceErrorsAlarm", *gateways}
    return found if READERS[environment] else found - {"PaymentReplicaLagAlarm"}


# --- alarms


def test_alarms_of_the_environment(alarms: dict[str, Any], environment: str) -> None:
    assert set(alarms) == expected_alarms(environment)


@pytest.mark.parametrize("environment", ["prod"], indirect=True)
@pytest.mark.parametrize("logical_id", ALARMS)
def test_what_an_alarm_watches(alarms: dict[str, Any], logical_id: str) -> None:
    namespace, metric, statistic, comparison, dimensions, missing = ALARMS[logical_id]
    alarm = alarms[logical_id]
    assert (alarm["Namespace"], alarm["MetricName"]) == (namespace, metric)
    assert alarm["ExtendedStatistic" if statistic[0] == "p" else "Statistic"] == statistic
    assert alarm["ComparisonOperator"] == comparison
    assert {item["Name"]: item["Value"] for item in alarm["Dimensions"]} == dimensions
    assert alarm["TreatMissingData"] == missing


def test_threshold_of_the_environment(alarms: dict[str, Any], environment: str) -> None:
    row = ENVIRONMENTS.index(environment)
    assert {name: alarm["Threshold"] for name, alarm in alarms.items()} == {
        name: THRESHOLDS[name][row] for name in expected_alarms(environment)
    }


def test_alarm_rises_after_some_minutes(alarms: dict[str, Any], environment: str) -> None:
    """A rotation runs once in weeks: its first failure counts."""
    minutes = {"dev": 5, "staging": 5, "prod": 3}[environment]
    for logical_id, alarm in alarms.items():
        metrics = [item["MetricStat"] for item in alarm.get("Metrics", []) if "MetricStat" in item]
        periods = {item["Period"] for item in (metrics or [alarm])}
        waits = (300, 1) if logical_id == "PaymentRotationErrorsAlarm" else (60, minutes)
        assert (periods, alarm["EvaluationPeriods"]) == ({waits[0]}, waits[1]), logical_id
        assert "DatapointsToAlarm" not in alarm, "every period counts"


def test_every_alarm_tells_when_it_begins_and_when_it_ends(alarms: dict[str, Any]) -> None:
    for alarm in alarms.values():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "AlarmTopicArn"}]


def test_every_alarm_has_a_name_the_topic_lets_publish(
    alarms: dict[str, Any], environment: str
) -> None:
    names = [alarm["AlarmName"] for alarm in alarms.values()]
    assert all(name.startswith(f"payments-{environment}-") for name in names)
    assert len(set(names)) == len(names)
    for alarm in alarms.values():
        assert {"Key": "Name", "Value": alarm["AlarmName"]} in alarm["Tags"]
        assert alarm["AlarmDescription"], "a message without it says only that something is wrong"


def test_names_differ_from_those_of_the_service(
    alarms: dict[str, Any], deployed: Callable[..., Template]
) -> None:
    others = {
        item["Properties"]["AlarmName"]
        for item in deployed("service.yml")["Resources"].values()
        if item["Type"] == "AWS::CloudWatch::Alarm"
    }
    assert not others & {alarm["AlarmName"] for alarm in alarms.values()}


def test_every_alarm_says_what_is_wrong_and_where_to_look(alarms: dict[str, Any]) -> None:
    for logical_id, alarm in alarms.items():
        assert len(alarm["AlarmDescription"]) > 40, logical_id


@pytest.mark.parametrize(
    ("environment", "percent"),
    [("dev", 80), ("staging", 75), ("prod", 70)],
    indirect=["environment"],
)
@pytest.mark.parametrize(
    "logical_id",
    ["PaymentServiceCpuAlarm", "PaymentServiceMemoryAlarm", "PaymentDatabaseCpuAlarm"],
)
def test_thresholds_in_percent(alarms: dict[str, Any], logical_id: str, percent: int) -> None:
    assert alarms[logical_id]["Threshold"] == percent


@pytest.mark.parametrize(
    "key",
    [
        "CpuPercent", "MemoryPercent", "DeadlocksPerSecond", "ReplicaLagMs", "LatencySeconds",
        "ServiceErrorPercent", "LoadBalancerErrors",
    ],
)  # fmt: skip
def test_prod_is_stricter_than_staging_and_staging_than_dev(
    templates: dict[str, Template], key: str
) -> None:
    rows = templates["monitoring.yml"]["Mappings"]["Environment"]
    assert rows["prod"][key] < rows["staging"][key] < rows["dev"][key]


def test_prod_waits_least(templates: dict[str, Template]) -> None:
    rows = templates["monitoring.yml"]["Mappings"]["Environment"]
    waits = [rows[name]["EvaluationPeriods"] for name in ("prod", "staging", "dev")]
    assert waits == sorted(waits)
    assert waits[0] < waits[2]


# GiB of memory, and the connections Aurora admits: memory / 9531392, at most 5000.
MEMORY_GIB = {"db.r7g.large": 16, "db.r7g.xlarge": 32, "db.r7g.2xlarge": 64}
SHARES = {"dev": (0.80, 0.05), "staging": (0.75, 0.075), "prod": (0.70, 0.10)}


def test_database_thresholds_fit_the_instance_class(
    templates: dict[str, Template], environment: str
) -> None:
    """Whoever changes the class in one template is told of the other."""
    size = templates["database.yml"]["Mappings"]["Environment"][environment]["InstanceClass"]
    row = templates["monitoring.yml"]["Mappings"]["Environment"][environment]
    memory = MEMORY_GIB[size] * 1024**3
    connections, free = SHARES[environment]
    assert row["DatabaseConnections"] == pytest.approx(
        min(memory / 9531392, 5000) * connections, rel=0.01
    )
    assert row["DatabaseFreeableBytes"] == pytest.approx(memory * free, rel=0.01)


def test_tasks_wanted_are_the_fewest_that_scaling_leaves(
    templates: dict[str, Template], environment: str
) -> None:
    row = templates["monitoring.yml"]["Mappings"]["Environment"][environment]
    least = templates["service.yml"]["Mappings"]["Environment"][environment]["MinCount"]
    assert row["MinTasks"] == least


def test_lag_is_watched_where_there_are_readers(
    templates: dict[str, Template], alarms: dict[str, Any], environment: str
) -> None:
    instances = templates["database.yml"]["Mappings"]["Environment"][environment]["Instances"]
    assert ("PaymentReplicaLagAlarm" in alarms) is (int(instances) > 1)


def test_gateways_are_watched_as_the_network_has_them(
    templates: dict[str, Template], alarms: dict[str, Any], environment: str
) -> None:
    per_zone = {
        file: templates[file]["Mappings"]["Environment"][environment]["NatGatewayPerZone"]
        for file in ("vpc.yml", "monitoring.yml")
    }
    assert len(set(per_zone.values())) == 1
    watched = [name for name in alarms if name.startswith("PaymentNatGateway")]
    assert len(watched) == (3 if per_zone["vpc.yml"] == "true" else 1)


@pytest.mark.parametrize("environment", ["prod"], indirect=True)
@pytest.mark.parametrize("number", [1, 2, 3])
def test_alarm_of_a_gateway(alarms: dict[str, Any], number: int) -> None:
    alarm = alarms[f"PaymentNatGateway{number}PortsAlarm"]
    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/NATGateway", "ErrorPortAllocation")
    assert (alarm["Statistic"], alarm["ComparisonOperator"]) == ("Sum", ABOVE)
    assert alarm["TreatMissingData"] == "notBreaching"
    (dimension,) = alarm["Dimensions"]
    assert dimension["Name"] == "NatGatewayId"
    padded = {"Fn::Split": [",", {"Fn::Sub": "${NatGatewayIds},-,-"}]}
    assert dimension["Value"] == {"Fn::Select": [number - 1, padded]}
    assert f"gateway {number} " in alarm["AlarmDescription"]


@pytest.mark.parametrize("environment", ["prod"], indirect=True)
@pytest.mark.parametrize("unknown", ["{{changeSet:KNOWN_AFTER_APPLY}}", "nat-1"])
def test_select_finds_something_while_the_ids_are_unknown(
    deployed: Callable[..., Template], unknown: str
) -> None:
    """A nested change set fails where Fn::Select reaches past the end of the list."""
    resources = deployed("monitoring.yml", NatGatewayIds=unknown)["Resources"]
    for number in (1, 2, 3):
        alarm = resources[f"PaymentNatGateway{number}PortsAlarm"]["Properties"]
        index, ids = alarm["Dimensions"][0]["Value"]["Fn::Select"]
        separator, text = ids["Fn::Split"]
        assert text.split(separator)[index]


def test_share_of_errors_is_of_the_requests_of_the_service(alarms: dict[str, Any]) -> None:
    alarm = alarms["PaymentServiceErrorsAlarm"]
    result, *sources = alarm["Metrics"]
    assert result["Expression"] == "100 * errors / requests"
    assert result["Label"] == "Server errors in percent of requests"
    assert result.get("ReturnData", True), "an alarm looks at what returns data"
    assert alarm["ComparisonOperator"] == ABOVE
    assert {item["Id"]: item["MetricStat"]["Metric"]["MetricName"] for item in sources} == {
        "errors": "HTTPCode_Target_5XX_Count",
        "requests": "RequestCount",
    }
    for item in sources:
        assert item["ReturnData"] is False
        assert item["MetricStat"]["Stat"] == "Sum"
        assert item["MetricStat"]["Metric"]["Namespace"] == "AWS/ApplicationELB"
        dimensions = item["MetricStat"]["Metric"]["Dimensions"]
        assert {entry["Name"]: entry["Value"] for entry in dimensions} == TARGETS
    assert alarm["TreatMissingData"] == "notBreaching"


def test_few_requests_make_no_alarm_of_latency(alarms: dict[str, Any]) -> None:
    assert alarms["PaymentLatencyAlarm"]["EvaluateLowSampleCountPercentile"] == "ignore"


# --- payments are degraded


@pytest.fixture
def degraded(resources: Resources) -> dict[str, Any]:
    return dict(resources["PaymentDegradedAlarm"]["Properties"])


@pytest.fixture
def causes(degraded: dict[str, Any]) -> list[str]:
    """The logical ids of the alarms that mean payments are degraded."""
    separator, terms = degraded["AlarmRule"]["Fn::Join"]
    assert separator == " OR "
    found = [re.fullmatch(r'ALARM\("\$\{(\w+)\}"\)', term["Fn::Sub"]) for term in terms]
    return [match[1] for match in found if match]


def test_degraded_is_named_and_tells(degraded: dict[str, Any], environment: str) -> None:
    assert degraded["AlarmName"] == f"payments-{environment}-degraded"
    assert degraded["AlarmDescription"].startswith("Payments are degraded")
    assert "ActionsSuppressor" not in degraded
    assert degraded["AlarmActions"] == degraded["OKActions"] == [{"Ref": "AlarmTopicArn"}]


def test_degraded_is_about_what_a_customer_feels(causes: list[str], environment: str) -> None:
    unfelt = {
        "PaymentServiceCpuAlarm",
        "PaymentServiceMemoryAlarm",
        "PaymentDatabaseCpuAlarm",
        "PaymentDatabaseMemoryAlarm",
        "PaymentRotationErrorsAlarm",
    }
    assert set(causes) == expected_alarms(environment) - unfelt


def test_degraded_names_only_alarms_that_exist(
    degraded: dict[str, Any], causes: list[str], alarms: dict[str, Any]
) -> None:
    assert len(causes) == len(degraded["AlarmRule"]["Fn::Join"][1])
    assert set(causes) <= set(alarms)


def test_rule_is_within_what_cloudwatch_takes(causes: list[str], alarms: dict[str, Any]) -> None:
    rule = " OR ".join(f'ALARM("{alarms[name]["AlarmName"]}")' for name in causes)
    assert len(rule) <= 10240
    assert len(causes) <= 100


# --- dashboard


def joined(node: dict[str, Any], value: Callable[[str], str]) -> str:
    """What an Fn::Join of texts becomes when each reference in them has a value."""
    separator, terms = node["Fn::Join"]
    texts = [term["Fn::Sub"] for term in terms]
    return str(separator).join(re.sub(r"\$\{([^}]+)\}", lambda m: value(m[1]), t) for t in texts)


@pytest.fixture
def dashboard(resources: Resources) -> dict[str, Any]:
    """The body as CloudWatch gets it, with made-up values for what is known only at run time."""
    text, own = resources["PaymentDashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    values = {
        "AlarmArns": joined(own["AlarmArns"], lambda name: f"arn:{name}"),
        "NatGateways": str(own["NatGateways"]["Fn::Sub"][0]).replace("${Ids}", "nat-1"),
        **{name: str(item) for name, item in own.items() if not isinstance(item, dict)},
    }
    text = re.sub(r"\$\{([^}!]+)\}", lambda match: values.get(match[1], match[1]), text)
    return dict(json.loads(text.replace("${!", "${")))


def metrics(dashboard: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Namespace and name of every metric that is drawn, not those that are searched for."""
    for widget in dashboard["widgets"]:
        for metric in widget["properties"].get("metrics", []):
            if isinstance(metric[0], str):
                yield metric[0], metric[1]


# The parameter that each dimension of a graph has its value from.
DIMENSIONS = {
    "ClusterName": {"ClusterName"},
    "ServiceName": {"ServiceName"},
    "LoadBalancer": {"LoadBalancerFullName"},
    "TargetGroup": {"TargetGroupFullName"},
    "DBClusterIdentifier": {"DatabaseClusterIdentifier"},
    "Role": {"WRITER", "READER"},
}


def test_every_line_is_of_this_platform(dashboard: dict[str, Any]) -> None:
    for widget in dashboard["widgets"]:
        for metric in widget["properties"].get("metrics", []):
            if isinstance(metric[0], str):
                *names, options = metric[2:]
                assert options["label"]
                for name, value in zip(names[::2], names[1::2], strict=True):
                    assert value in DIMENSIONS[name], metric


def test_graphs_show_every_minute(dashboard: dict[str, Any]) -> None:
    graphs = [item for item in dashboard["widgets"] if item["type"] == "metric"]
    assert {graph["properties"]["period"] for graph in graphs} == {60}


def test_dashboard_is_named_after_the_environment(resources: Resources, environment: str) -> None:
    name = resources["PaymentDashboard"]["Properties"]["DashboardName"]
    # Dashboards belong to no region: without its name a second one would be refused.
    assert name == {"Fn::Sub": f"payments-{environment}-${{AWS::Region}}"}


def test_dashboard_shows_the_state_of_every_alarm(
    dashboard: dict[str, Any], environment: str
) -> None:
    (widget,) = [item for item in dashboard["widgets"] if item["type"] == "alarm"]
    shown = {
        arn.removeprefix("arn:").removesuffix(".Arn") for arn in widget["properties"]["alarms"]
    }
    assert shown == expected_alarms(environment) | {"PaymentDegradedAlarm"}


@pytest.mark.parametrize(
    ("namespace", "names"),
    [
        ("AWS/ECS", {"CPUUtilization", "MemoryUtilization"}),
        ("ECS/ContainerInsights", {"DesiredTaskCount", "RunningTaskCount", "PendingTaskCount"}),
        (
            "AWS/ApplicationELB",
            {
                "RequestCount", "TargetResponseTime", "HealthyHostCount", "UnHealthyHostCount",
                "HTTPCode_ELB_5XX_Count", "HTTPCode_Target_5XX_Count", "HTTPCode_Target_4XX_Count",
            },
        ),
        (
            "AWS/RDS",
            {
                "CPUUtilization", "DatabaseConnections", "FreeableMemory", "Deadlocks",
                "AuroraReplicaLagMaximum", "CommitLatency",
            },
        ),
    ],
)  # fmt: skip
def test_dashboard_draws_the_metrics_of(
    dashboard: dict[str, Any], namespace: str, names: set[str]
) -> None:
    assert {name for space, name in metrics(dashboard) if space == namespace} == names


@pytest.mark.parametrize(
    "metric", ["ErrorPortAllocation", "ActiveConnectionCount", "PacketsDropCount"]
)
def test_dashboard_searches_the_gateways(dashboard: dict[str, Any], metric: str) -> None:
    expressions = [
        line["expression"]
        for widget in dashboard["widgets"]
        for (line, *_) in widget["properties"].get("metrics", [])
        if isinstance(line, dict)
    ]
    (found,) = [item for item in expressions if f'MetricName="{metric}"' in item]
    assert found.startswith('SEARCH(\'{AWS/NATGateway,NatGatewayId} NatGatewayId=("nat-1") ')
    assert found.endswith(", 60)")


def test_dashboard_searches_for_all_the_gateways(resources: Resources) -> None:
    _, own = resources["PaymentDashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    _, ids = own["NatGateways"]["Fn::Sub"]
    gateways = {"Fn::Split": [",", {"Ref": "NatGatewayIds"}]}
    assert ids == {"Ids": {"Fn::Join": [r"\" OR \"", gateways]}}


def test_lines_of_the_graphs_are_those_of_the_alarms(
    dashboard: dict[str, Any], templates: dict[str, Template], environment: str
) -> None:
    row = templates["monitoring.yml"]["Mappings"]["Environment"][environment]
    drawn = {
        widget["properties"]["title"]: widget["properties"]["annotations"]["horizontal"][0]["value"]
        for widget in dashboard["widgets"]
        if "annotations" in widget["properties"]
    }
    assert drawn == {
        "CPU of the tasks (%)": row["CpuPercent"],
        "CPU of the instances (%)": row["CpuPercent"],
        "Memory of the tasks (%)": row["MemoryPercent"],
        "Tasks": row["MinTasks"],
        "Latency (s)": row["LatencySeconds"],
        "Connections": row["DatabaseConnections"],
        "Freeable memory (bytes)": row["DatabaseFreeableBytes"],
        "Replica lag (ms)": row["ReplicaLagMs"],
        "Deadlocks (per second)": row["DeadlocksPerSecond"],
    }


def test_widgets_neither_overlap_nor_stick_out(dashboard: dict[str, Any]) -> None:
    taken: set[tuple[int, int]] = set()
    for widget in dashboard["widgets"]:
        cells = {
            (x, y)
            for x in range(widget["x"], widget["x"] + widget["width"])
            for y in range(widget["y"], widget["y"] + widget["height"])
        }
        assert widget["x"] + widget["width"] <= 24
        assert not cells & taken, widget["properties"].get("title")
        taken |= cells


def test_every_graph_has_a_title_and_is_of_the_region_of_the_stack(
    dashboard: dict[str, Any],
) -> None:
    graphs = [widget for widget in dashboard["widgets"] if widget["type"] == "metric"]
    assert {widget["properties"]["region"] for widget in graphs} == {"AWS::Region"}
    assert len({widget["properties"]["title"] for widget in graphs}) == len(graphs)


# --- seams


@pytest.mark.parametrize(
    ("output", "value"),
    [
        ("DashboardName", {"Ref": "PaymentDashboard"}),
        ("DegradedAlarmName", {"Ref": "PaymentDegradedAlarm"}),
        ("DegradedAlarmArn", {"Fn::GetAtt": ["PaymentDegradedAlarm", "Arn"]}),
    ],
)
def test_output(templates: dict[str, Template], output: str, value: dict[str, Any]) -> None:
    assert templates["monitoring.yml"]["Outputs"][output]["Value"] == value
