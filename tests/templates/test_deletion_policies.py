"""What becomes of resources that hold data when their stack lets go of them, per environment."""

from __future__ import annotations

from typing import Any

import cfnlint.data.AdditionalSpecs
import pytest
from cfnlint.helpers import load_resource, valid_snapshot_types

from tests.templates.loader import ENVIRONMENTS, Template, in_environment, load_all

TEMPLATES = load_all()
POLICIES = ("DeletionPolicy", "UpdateReplacePolicy")

_SPEC = load_resource(cfnlint.data.AdditionalSpecs, "StatefulResources.json")
# The stack of a child holds nothing itself: what is in it has policies of its own.
STATEFUL = set(_SPEC["ResourceTypes"]) - {"AWS::CloudFormation::Stack"}

EXCEPTIONS = {
    # The snapshot that staging takes of its database cannot be read without the key.
    ("security.yml", "PaymentDataKey", "staging"): "Retain",
    # A vault with recovery points cannot be deleted, and they expire through the role.
    ("backup.yml", "PaymentBackupVault", "staging"): "Retain",
    ("backup.yml", "PaymentBackupKey", "staging"): "Retain",
    ("backup.yml", "PaymentBackupRole", "staging"): "Retain",
}


def has_snapshot(resource: dict[str, Any]) -> bool:
    """Whether CloudFormation can take a snapshot; of an instance in a cluster it cannot."""
    if resource["Type"] not in valid_snapshot_types:
        return False
    return "DBClusterIdentifier" not in resource["Properties"] or "Cluster" in resource["Type"]


def expected(file: str, logical_id: str, resource: dict[str, Any], environment: str) -> str:
    """Retain in prod, a snapshot in staging where there is one, else Delete."""
    usual = {
        "prod": "Retain",
        "staging": "Snapshot" if has_snapshot(resource) else "Delete",
        "dev": "Delete",
    }[environment]
    return EXCEPTIONS.get((file, logical_id, environment), usual)


def policies(template: Template, environment: str) -> dict[str, dict[str, Any]]:
    """The resources of an environment that hold data or have a policy."""
    return {
        logical_id: resource
        for logical_id, resource in in_environment(template, environment)["Resources"].items()
        if resource["Type"] in STATEFUL or set(POLICIES) & set(resource)
    }


CASES = [
    pytest.param(file, logical_id, environment, id=f"{environment}-{file}-{logical_id}")
    for environment in ENVIRONMENTS
    for file, template in TEMPLATES.items()
    for logical_id in policies(template, environment)
]


@pytest.mark.parametrize(("file", "logical_id", "environment"), CASES)
def test_both_policies_are_those_of_the_environment(
    file: str, logical_id: str, environment: str
) -> None:
    resource = policies(TEMPLATES[file], environment)[logical_id]
    policy = expected(file, logical_id, resource, environment)
    assert {name: resource.get(name) for name in POLICIES} == dict.fromkeys(POLICIES, policy)


@pytest.mark.parametrize("file", TEMPLATES)
def test_a_function_as_policy_comes_with_the_transform_that_allows_it(file: str) -> None:
    template = TEMPLATES[file]
    computed = any(
        isinstance(resource.get(name), dict)
        for resource in template["Resources"].values()
        for name in POLICIES
    )
    assert (template.get("Transform") == "AWS::LanguageExtensions") is computed


@pytest.mark.parametrize(
    ("environment", "policy"), [("dev", "Delete"), ("staging", "Snapshot"), ("prod", "Retain")]
)
def test_database_is_deleted_snapshotted_or_kept(environment: str, policy: str) -> None:
    clusters = [
        resource["DeletionPolicy"]
        for resource in policies(TEMPLATES["database.yml"], environment).values()
        if resource["Type"] == "AWS::RDS::DBCluster"
    ]
    assert clusters == [policy]


@pytest.mark.parametrize(
    ("file", "logical_id"),
    [
        ("vpc.yml", "PaymentVPC"),
        ("vpc.yml", "PaymentDatabaseSubnet1"),
        ("vpc.yml", "PaymentDatabaseSubnet2"),
        ("vpc.yml", "PaymentDatabaseSubnet3"),
        ("security.yml", "PaymentDatabaseSecurityGroup"),
        ("security.yml", "PaymentDatabaseMonitoringRole"),
    ],
)
def test_what_a_kept_database_stands_on_is_kept(file: str, logical_id: str) -> None:
    """AWS refuses to delete a network, a group or a role's boundary that is in use."""
    assert logical_id in policies(TEMPLATES[file], "prod")
