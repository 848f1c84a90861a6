"""The stack tree: whole, exported, protected and tagged."""

from __future__ import annotations

import re

import pytest

from verification.cloud import CloudError
from verification.platform import COMPLETE, Platform
from verification.settings import Settings
from verification.stacks import Resource
from verification.tags import read_tags, taggable

NESTED_STACKS = (
    "PaymentVPCStack",
    "PaymentSecurityStack",
    "PaymentDatabaseStack",
    "PaymentComputeStack",
    "PaymentServiceStack",
    "PaymentMonitoringStack",
    "PaymentParametersStack",
)
EXPORTS = (
    "VpcId",
    "VpcCidr",
    "PublicSubnetIds",
    "PrivateSubnetIds",
    "DatabaseSubnetIds",
    "LoadBalancerSecurityGroupId",
    "ServiceSecurityGroupId",
    "DatabaseSecurityGroupId",
    "DataKeyArn",
    "AlarmTopicArn",
    "DatabaseClusterEndpoint",
    "DatabaseReaderEndpoint",
    "DatabasePort",
    "DatabaseSecretArn",
    "ClusterName",
    "ClusterArn",
    "LoadBalancerArn",
    "LoadBalancerDnsName",
    "LoadBalancerHostedZoneId",
    "TargetGroupArn",
    "HttpsListenerArn",
    "ServiceName",
    "DashboardName",
    "DegradedAlarmArn",
)
STATEFUL = (
    "AWS::KMS::Key",
    "AWS::Logs::LogGroup",
    "AWS::RDS::DBCluster",
    "AWS::RDS::DBInstance",
    "AWS::S3::Bucket",
    "AWS::SecretsManager::Secret",
)
SECRET_WORDS = re.compile(r"password|passphrase|credential|token|secret(?!arn$)", re.IGNORECASE)


def test_root_stack_is_complete(platform: Platform) -> None:
    root = platform.root
    assert root.status in COMPLETE, f"Stack {root.name} is {root.status}, not complete."


@pytest.mark.parametrize("name", NESTED_STACKS)
def test_nested_stack_is_complete(platform: Platform, name: str) -> None:
    stack = platform.nested(name)
    assert stack.status in COMPLETE, f"Nested stack {name} is {stack.status}, not complete."


def test_tree_has_the_planned_stacks(platform: Platform, settings: Settings) -> None:
    planned = {"", *NESTED_STACKS}
    planned |= {"PaymentComplianceStack"} if settings.compliance else set()
    planned |= {"PaymentBackupStack"} if settings.expectations.backup_plan_retention_days else set()
    missing, others = sorted(planned - set(platform.stacks)), sorted(set(platform.stacks) - planned)
    assert not missing, f"Stacks that were planned do not exist: {', '.join(missing)}."
    assert not others, f"Stacks that were not planned: {', '.join(others)}."


def test_every_nested_stack_belongs_to_the_root(platform: Platform) -> None:
    root = platform.root.stack_id
    strays = [
        path
        for path, stack in platform.stacks.items()
        if path and (stack.root_id != root or not stack.parent_id)
    ]
    assert not strays, f"Not under the root stack {platform.root.name}: {', '.join(strays)}."


def test_no_resource_of_the_tree_has_failed(platform: Platform) -> None:
    bad = [
        f"{item} is {item.status}"
        for stack in platform.stacks.values()
        for item in stack.resources
        if not item.status.endswith("_COMPLETE") or item.status.startswith("DELETE")
    ]
    assert not bad, f"Resources are not complete: {'; '.join(bad)}."


@pytest.mark.parametrize("name", EXPORTS)
def test_output_is_exported(platform: Platform, name: str) -> None:
    value = platform.output(name)
    export = f"{platform.root.name}-{name}"
    found = {
        item["Name"]: item
        for item in platform.cloud.every("cloudformation", "list_exports", "Exports")
    }
    assert value.strip(), f"Output {name} is empty."
    assert export in found, f"Output {name} is not exported as {export}."
    assert found[export]["Value"] == value, (
        f"Export {export} is {found[export]['Value']!r}, but the output is {value!r}."
    )
    assert found[export]["ExportingStackId"] == platform.root.stack_id, (
        f"Export {export} comes from another stack: {found[export]['ExportingStackId']}."
    )


def test_no_other_export_has_the_name_of_the_stack(platform: Platform) -> None:
    beginning = f"{platform.root.name}-"
    planned = {f"{beginning}{name}" for name in EXPORTS}
    others = sorted(
        item["Name"]
        for item in platform.cloud.every("cloudformation", "list_exports", "Exports")
        if item["Name"].startswith(beginning) and item["Name"] not in planned
    )
    assert not others, f"Exports that were not planned: {', '.join(others)}."


def test_only_the_root_exports(platform: Platform) -> None:
    # The names of nested stacks are generated, so their exports would change with each replacement.
    strays = [path for path, stack in platform.stacks.items() if path and stack.exports]
    assert not strays, f"Nested stacks export values: {', '.join(strays)}."


def test_exports_carry_the_stack_name(platform: Platform) -> None:
    wrong = [
        export
        for name, export in platform.root.exports.items()
        if export != f"{platform.root.name}-{name}"
    ]
    assert not wrong, f"Exports not named {platform.root.name}-<output>: {', '.join(wrong)}."


def test_termination_protection(platform: Platform, settings: Settings) -> None:
    actual = platform.root.termination_protection
    assert actual == settings.termination_protection, (
        f"Termination protection of {platform.root.name} is {actual}, "
        f"the inventory says {settings.termination_protection}."
    )


def test_stack_was_deployed_for_this_environment(platform: Platform, settings: Settings) -> None:
    actual = platform.root.parameters.get("EnvironmentType")
    assert actual == settings.environment, (
        f"Stack {platform.root.name} was deployed as {actual}, not as {settings.environment}."
    )


def test_no_secret_in_parameters_or_outputs(platform: Platform) -> None:
    told = [
        f"{stack.path or 'root'}.{name}"
        for stack in platform.stacks.values()
        for name in [*stack.parameters, *stack.outputs]
        if SECRET_WORDS.search(name)
    ]
    assert not told, f"Parameters or outputs that look like secrets: {', '.join(told)}."


def test_stack_tags(platform: Platform, settings: Settings) -> None:
    for stack in platform.stacks.values():
        wrong = _differences(stack.tags, settings.tags)
        assert not wrong, f"Tags of stack {stack.path or stack.name}: {wrong}."


def test_tags_of_every_taggable_resource(platform: Platform, settings: Settings) -> None:
    resources = taggable(platform)
    wrong = [
        f"{resource}: {problem}"
        for resource in resources
        if (problem := _tag_problem(platform, resource, settings.tags))
    ]
    assert resources, "The stack tree has no taggable resource."
    assert not wrong, (
        f"{len(wrong)} of {len(resources)} resources are tagged wrongly: {'; '.join(wrong)}."
    )


def test_name_tags_tell_application_and_environment(platform: Platform, settings: Settings) -> None:
    strange = []
    for resource in taggable(platform):
        try:
            name = read_tags(platform, resource).get("Name", settings.prefix)
        except CloudError:
            # What cannot be read is told by the check above.
            continue
        if not name.startswith(settings.prefix):
            strange.append(f"{resource} is {name!r}")
    assert not strange, f"Name tags do not begin with {settings.prefix}: {'; '.join(strange)}."


def _tag_problem(platform: Platform, resource: Resource, wanted: dict[str, str]) -> str:
    try:
        return _differences(read_tags(platform, resource), wanted)
    except CloudError as error:
        # One resource that is gone must not hide the tags of the others.
        return f"its tags cannot be read ({error})"


@pytest.mark.parametrize("attribute", ["DeletionPolicy", "UpdateReplacePolicy"])
def test_stateful_resources_outlive_the_stack_as_planned(
    platform: Platform, settings: Settings, attribute: str
) -> None:
    made = {(item.stack, item.logical_id) for item in platform.resources(*STATEFUL)}
    wrong = []
    for path, name in sorted(made):
        resource = platform.template(path)["Resources"][name]
        actual = resource.get(attribute, "missing")
        if actual not in _wanted_policies(settings.environment, resource["Type"]):
            wrong.append(f"{path}/{name} has {actual}")
    assert made, "The stack tree has no stateful resource."
    assert not wrong, f"{attribute} is not what {settings.environment} needs: {'; '.join(wrong)}."


def _wanted_policies(environment: str, kind: str) -> set[str]:
    if environment == "staging":
        if kind == "AWS::RDS::DBCluster":
            return {"Snapshot"}
        # A snapshot is worth nothing without its key, so the data key stays too.
        return {"Delete", "Retain"} if kind == "AWS::KMS::Key" else {"Delete"}
    return {"Retain"} if environment == "prod" else {"Delete"}


def _differences(actual: dict[str, str], wanted: dict[str, str]) -> str:
    return ", ".join(
        f"{key} is {actual.get(key, 'missing')!r} instead of {value!r}"
        for key, value in wanted.items()
        if actual.get(key) != value
    )
