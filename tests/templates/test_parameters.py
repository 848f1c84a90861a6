"""What the parameters accept and refuse, and how a console shows them."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Any

import pytest

from tests.templates.loader import ROOT, children, load_all

TEMPLATES = load_all()
PARAMETERS = TEMPLATES[ROOT]["Parameters"]
DIGEST = "sha256:" + "0123456789abcdef" * 4
CERTIFICATE = "acm:eu-west-1:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef"

ACCEPTED = {
    "ApplicationName": ["payments", "pay-2", "ab"],
    "CostCenter": ["CC-1001", "R+D", "payments team"],
    "Owner": ["payments@example.com", "Platform Team"],
    "VpcCidr": [
        "10.0.0.0/16",
        "10.255.0.0/16",
        "172.16.128.0/17",
        "172.31.192.0/18",
        "192.168.32.0/19",
        "192.168.240.0/20",
    ],
    "CertificateArn": [
        f"arn:aws:{CERTIFICATE}",
        f"arn:aws-cn:{CERTIFICATE}",
        f"arn:aws-us-gov:{CERTIFICATE}",
    ],
    "ContainerImage": [
        "ghcr.io/stefanprodan/podinfo:6.7.1",
        f"ghcr.io/stefanprodan/podinfo@{DIGEST}",
        f"ghcr.io/stefanprodan/podinfo:6.7.1@{DIGEST}",
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com/payments:v1",
        "localhost:5000/payments:latest-2",
        "registry.example.com:5000/team/payments-api:1.0_rc.1",
    ],
    "HealthCheckPath": ["/", "/healthz", "/health/ready"],
    "ServiceDesiredCount": ["", "1", "999"],
    "DatabaseName": ["payments", "p", "pay_2"],
    "AlarmEmail": ["", "ops@example.com", "pay.ops+prod@mail.example.co.uk"],
}

REFUSED = {
    "ApplicationName": [
        "Payments",
        "1pay",
        "p",
        "pay_1",
        "p" * 22,
        "",
        "pay--2",
        "pay-",
        "aws-pay",
        "ssmpay",
    ],
    "CostCenter": ["", " padded", "tab\t", "a" * 129],
    "Owner": ["", "-", "a" * 129],
    "VpcCidr": [
        "10.0.0.0/15",
        "10.0.0.0/21",
        "10.0.0.0",
        "10.0.1.0/16",
        "10.256.0.0/16",
        "10.0.64.0/17",
        "172.32.0.0/16",
        "192.169.0.0/16",
        "8.8.0.0/16",
        "10.0.8.0/20",
    ],
    "CertificateArn": [
        "",
        f"arn:other:{CERTIFICATE}",
        "arn:aws:iam::123456789012:server-certificate/payments",
        f"arn:aws:{CERTIFICATE}0",
    ],
    "ContainerImage": [
        "",
        "podinfo:6.7.1",
        "ghcr.io/stefanprodan/podinfo",
        "ghcr.io/stefanprodan/podinfo:latest",
        "ghcr.io/stefanprodan/podinfo@sha256:0123",
        "https://ghcr.io/stefanprodan/podinfo:6.7.1",
        "ghcr.io/Stefan/podinfo:6.7.1",
        "ghcr.io/stefanprodan/podinfo:6.7.1 ",
    ],
    "HealthCheckPath": ["", "healthz", "/a b", "/" + "a" * 128],
    "ServiceDesiredCount": ["0", "-1", "1000", "two", "1.5"],
    "DatabaseName": ["", "Payments", "1st", "pay-1", "p" * 64],
    "AlarmEmail": ["ops", "ops@", "@example.com", "ops@example", "a b@example.com"],
}

CHOICES = {
    "EnvironmentType": ["dev", "staging", "prod"],
    "DataClassification": ["public", "internal", "confidential", "restricted"],
    "DeletionProtection": ["enabled", "disabled"],
    "ComplianceRules": ["enabled", "disabled"],
}
DEFAULTS = {
    "ApplicationName": "payments",
    "VpcCidr": "10.0.0.0/16",
    "ContainerPort": 8080,
    "HealthCheckPath": "/healthz",
    "ServiceDesiredCount": "",
    "DatabaseName": "payments",
    "AlarmEmail": "",
    # Protected and watched unless somebody says otherwise.
    "DeletionProtection": "enabled",
    "ComplianceRules": "enabled",
}


def cases(values: dict[str, list[str]]) -> list[Any]:
    return [
        pytest.param(name, value, id=f"{name}-{value[:40]!r}")
        for name, some in values.items()
        for value in some
    ]


@pytest.mark.parametrize(("name", "value"), cases(ACCEPTED))
def test_value_is_accepted(name: str, value: str) -> None:
    assert re.fullmatch(PARAMETERS[name]["AllowedPattern"], value)


@pytest.mark.parametrize(("name", "value"), cases(REFUSED))
def test_value_is_refused(name: str, value: str) -> None:
    assert not re.fullmatch(PARAMETERS[name]["AllowedPattern"], value)


@pytest.mark.parametrize(("name", "values"), CHOICES.items())
def test_choice_is_among(name: str, values: list[str]) -> None:
    assert PARAMETERS[name]["AllowedValues"] == values


def test_a_container_that_is_not_root_opens_no_lower_port() -> None:
    port = PARAMETERS["ContainerPort"]
    assert (port["MinValue"], port["MaxValue"]) == (1024, 65535)


def test_whoever_asks_for_nothing_special_gets_this() -> None:
    """What has no default has to be said: whose platform it is, and what it runs."""
    assert {n: p["Default"] for n, p in PARAMETERS.items() if "Default" in p} == DEFAULTS


@pytest.mark.parametrize("file", [file for file in TEMPLATES if file != ROOT])
def test_a_child_has_the_defaults_of_the_root_and_no_others(file: str) -> None:
    """A template that is deployed alone, to try it, is what the platform would make of it."""
    handed = {child.file: child.parameters for child in children(TEMPLATES[ROOT])}[file]
    for name, parameter in TEMPLATES[file]["Parameters"].items():
        source = handed[name].get("Ref") if isinstance(handed[name], dict) else None
        assert parameter.get("Default") == PARAMETERS.get(source, {}).get("Default"), name


def test_every_pattern_of_the_root_is_tried_both_ways() -> None:
    patterns = {name for name, definition in PARAMETERS.items() if "AllowedPattern" in definition}
    assert patterns == set(ACCEPTED) == set(REFUSED)


@pytest.mark.parametrize("cidr", ACCEPTED["VpcCidr"])
def test_an_accepted_range_is_one_that_aws_takes(cidr: str) -> None:
    network = ip_network(cidr)  # refuses addresses that are not on the boundary
    assert network.is_private
    assert 16 <= network.prefixlen <= 20


@pytest.mark.parametrize("file", TEMPLATES)
def test_every_constraint_is_explained(file: str) -> None:
    constraints = {"AllowedPattern", "AllowedValues", "MinValue", "MaxValue", "MinLength"}
    unexplained = [
        name
        for name, definition in TEMPLATES[file]["Parameters"].items()
        if constraints & set(definition) and not definition.get("ConstraintDescription")
    ]
    assert unexplained == []


@pytest.mark.parametrize("file", TEMPLATES)
def test_every_parameter_is_described(file: str) -> None:
    for name, definition in TEMPLATES[file]["Parameters"].items():
        assert definition.get("Description"), name


@pytest.mark.parametrize("file", TEMPLATES)
def test_default_meets_its_own_constraint(file: str) -> None:
    for name, definition in TEMPLATES[file]["Parameters"].items():
        if {"Default", "AllowedPattern"} <= set(definition):
            assert re.fullmatch(definition["AllowedPattern"], definition["Default"]), name


@pytest.mark.parametrize("file", TEMPLATES)
def test_every_parameter_is_in_one_group_and_has_a_label(file: str) -> None:
    interface = TEMPLATES[file]["Metadata"]["AWS::CloudFormation::Interface"]
    grouped = [name for group in interface["ParameterGroups"] for name in group["Parameters"]]
    assert sorted(grouped) == sorted(TEMPLATES[file]["Parameters"])
    assert set(interface["ParameterLabels"]) == set(TEMPLATES[file]["Parameters"])


@pytest.mark.parametrize("file", TEMPLATES)
def test_the_five_common_parameters_are_the_same_everywhere(file: str) -> None:
    common = ("ApplicationName", "EnvironmentType", "CostCenter", "Owner", "DataClassification")
    here = {name: TEMPLATES[file]["Parameters"][name] for name in common}
    assert here == {name: PARAMETERS[name] for name in common}


def test_no_parameter_is_a_secret() -> None:
    """Secrets are made in the account; none passes through a parameter."""
    for file, template in TEMPLATES.items():
        for name, definition in template["Parameters"].items():
            assert "NoEcho" not in definition, f"{file} {name}"
            assert not re.search(r"password|token$|secret$", name, re.IGNORECASE), f"{file} {name}"
