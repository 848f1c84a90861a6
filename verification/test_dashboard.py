"""The dashboard: what it shows is of this platform, exists, and is what the alarms watch."""

from __future__ import annotations

import json

import pytest

from verification.cloud import Record
from verification.metrics import Metric, measured, problem, read_search
from verification.platform import Platform
from verification.settings import Settings

WIDGET_NAMESPACES = ("AWS/ECS", "AWS/RDS", "AWS/ApplicationELB")
# What happens once in a day or in weeks draws no line.
UNSHOWN = {"AWS/Backup", "AWS/Events", "AWS/Lambda"}


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


def _metrics(platform: Platform) -> list[Metric]:
    """Return every metric that the widgets show, in a line or by a search."""
    series = [
        Metric(line[0], line[1], tuple(zip(line[2::2], line[3::2], strict=False)))
        for line in _series(platform)
    ]
    return [*series, *(item for text in _searches(platform) for item in read_search(text))]


def test_dashboard_shows_metrics_that_exist(platform: Platform) -> None:
    metrics = _metrics(platform)
    wrong = {
        str(item): found for item in metrics if (found := problem(item, platform.dimension_values))
    }
    told = "; ".join(f"{item}: {found}" for item, found in sorted(wrong.items()))
    assert metrics, f"The dashboard {platform.output('DashboardName')} shows no metric."
    assert not wrong, f"Widgets that stay empty: {told}."


def test_dashboard_shows_what_the_alarms_watch(platform: Platform) -> None:
    shown = {(item.namespace, item.name) for item in _metrics(platform)}
    watched = {
        (metric["Namespace"], metric["MetricName"])
        for alarm in platform.alarms.values()
        for metric in measured(alarm)
        if metric["Namespace"] not in UNSHOWN
    }
    missing = sorted(" ".join(item) for item in watched - shown)
    assert watched, "No alarm watches anything that the dashboard could show."
    assert not missing, f"Alarms watch it, but the dashboard does not show {', '.join(missing)}."


def test_dashboard_draws_the_thresholds(platform: Platform) -> None:
    wrong = []
    for widget in _metric_widgets(platform):
        drawn = [item["value"] for item in widget.get("annotations", {}).get("horizontal", [])]
        names = {tuple(line[:2]) for line in widget["metrics"] if isinstance(line[0], str)}
        thresholds = {
            alarm["Threshold"]
            for alarm in platform.alarms.values()
            for metric in measured(alarm)
            if (metric["Namespace"], metric["MetricName"]) in names
        }
        # Replica lag is drawn in dev too, where no reader is watched.
        strange = [value for value in drawn if thresholds and value not in thresholds]
        if strange:
            wrong.append(f"{widget.get('title')} draws {strange}, alarms start at {thresholds}")
    assert not wrong, f"Lines that are not where the alarms start: {'; '.join(wrong)}."


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
