"""The table of AWS's metrics, and what of a metric it finds wrong."""

from __future__ import annotations

import pytest

from verification.metrics import METRICS, Metric, problem, read_search

VALUES = {
    "ClusterName": {"payments-dev"},
    "ServiceName": {"payments"},
    "LoadBalancer": {"app/payments/1"},
    "NatGatewayId": {"nat-1", "nat-2"},
}
SERVICE = (("ClusterName", "payments-dev"), ("ServiceName", "payments"))


def test_a_metric_of_the_platform_has_no_problem() -> None:
    assert problem(Metric("AWS/ECS", "CPUUtilization", SERVICE), VALUES) == ""
    assert problem(Metric("AWS/ECS", "CPUUtilization", SERVICE[::-1]), VALUES) == ""


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        (Metric("AWS/EKS", "CPUUtilization", SERVICE), "no namespace 'AWS/EKS'"),
        (Metric("AWS/ECS", "CpuUtilization", SERVICE), "AWS/ECS has no metric CpuUtilization"),
        (
            Metric("AWS/ECS", "CPUUtilization", SERVICE[1:]),
            "not published by dimensions ServiceName",
        ),
        (Metric("AWS/ECS", "CPUUtilization", ()), "not published by dimensions none"),
        (
            Metric("AWS/ApplicationELB", "HTTPCode_ELB_5XX_Count", (("TargetGroup", "x"),)),
            "not published by dimensions TargetGroup",
        ),
        (
            Metric("AWS/ECS", "CPUUtilization", (("ClusterName", "payments-prod"),)),
            "no ClusterName 'payments-prod'",
        ),
    ],
    ids=str,
)
def test_problem(metric: Metric, words: str) -> None:
    assert words in problem(metric, VALUES)


def test_a_search_names_its_metrics_one_by_one() -> None:
    text = (
        'SEARCH(\'{AWS/NATGateway,NatGatewayId} NatGatewayId=("nat-1" OR "nat-2") '
        "MetricName=\"ErrorPortAllocation\"', 'Sum', 60)"
    )
    metrics = read_search(text)
    assert [str(item) for item in metrics] == [
        "AWS/NATGateway ErrorPortAllocation (NatGatewayId nat-1)",
        "AWS/NATGateway ErrorPortAllocation (NatGatewayId nat-2)",
    ]
    assert [problem(item, VALUES) for item in metrics] == ["", ""]


@pytest.mark.parametrize(
    "text",
    [
        "SEARCH('{AWS/NATGateway,NatGatewayId} MetricName=\"ErrorPortAllocation\"', 'Sum', 60)",
        "SEARCH('MetricName=\"ErrorPortAllocation\"', 'Sum', 60)",
        "SEARCH('{AWS/NATGateway,NatGatewayId} NatGatewayId=\"nat-1\"', 'Sum', 60)",
        'SEARCH(\'{AWS/NATGateway,NatGatewayId} NatGatewayId="a" MetricName="PacketsDropCount"\')',
    ],
)
def test_a_search_for_more_than_the_platform_is_found(text: str) -> None:
    assert any(problem(item, VALUES) for item in read_search(text))


def test_names_are_written_as_aws_writes_them() -> None:
    assert all(
        name[0].isupper() and name.replace("_", "").isalnum()
        for names in METRICS.values()
        for name in names
    )
