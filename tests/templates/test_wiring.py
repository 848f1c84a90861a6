"""How the templates hang together: what is passed, read, used and exported."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.templates.loader import (
    DIRECTORY,
    ENVIRONMENTS,
    ROOT,
    Child,
    Template,
    children,
    in_environment,
    load_all,
    references,
)

TEMPLATES = load_all()
CHILDREN = {child.logical_id: child for child in children(TEMPLATES[ROOT])}

# The network comes first, then security; database, compute and compliance side by side; the service
# waits for database and compute, the monitoring for the service, the backup for the database alone.
# What the platform publishes comes last.
GRAPH = {
    "PaymentVPCStack": set(),
    "PaymentSecurityStack": {"PaymentVPCStack"},
    "PaymentDatabaseStack": {"PaymentVPCStack", "PaymentSecurityStack"},
    "PaymentComputeStack": {"PaymentVPCStack", "PaymentSecurityStack"},
    "PaymentServiceStack": {
        "PaymentVPCStack",
        "PaymentSecurityStack",
        "PaymentDatabaseStack",
        "PaymentComputeStack",
    },
    "PaymentMonitoringStack": {
        "PaymentVPCStack",
        "PaymentSecurityStack",
        "PaymentDatabaseStack",
        "PaymentComputeStack",
        "PaymentServiceStack",
    },
    "PaymentComplianceStack": {"PaymentVPCStack", "PaymentSecurityStack"},
    "PaymentBackupStack": {"PaymentSecurityStack", "PaymentDatabaseStack"},
    "PaymentParametersStack": {
        "PaymentVPCStack",
        "PaymentSecurityStack",
        "PaymentDatabaseStack",
        "PaymentComputeStack",
        "PaymentServiceStack",
        "PaymentMonitoringStack",
    },
}

EXPORTS = {
    "VpcId", "VpcCidr", "PublicSubnetIds", "PrivateSubnetIds", "DatabaseSubnetIds",
    "LoadBalancerSecurityGroupId", "ServiceSecurityGroupId", "DatabaseSecurityGroupId",
    "DataKeyArn", "AlarmTopicArn",
    "DatabaseClusterEndpoint", "DatabaseReaderEndpoint", "DatabasePort", "DatabaseSecretArn",
    "ClusterName", "ClusterArn", "LoadBalancerArn", "LoadBalancerDnsName",
    "LoadBalancerHostedZoneId", "TargetGroupArn", "HttpsListenerArn",
    "ServiceName", "DashboardName", "DegradedAlarmArn",
}  # fmt: skip

COMMON = ("ApplicationName", "EnvironmentType", "CostCenter", "Owner", "DataClassification")
CONSTRAINTS = (
    "Type", "AllowedValues", "AllowedPattern", "MinLength", "MaxLength", "MinValue", "MaxValue",
)  # fmt: skip

each_child = pytest.mark.parametrize("child", CHILDREN.values(), ids=CHILDREN)
each_template = pytest.mark.parametrize("file", TEMPLATES)


def outputs_read(template: Template) -> Iterator[tuple[str, str]]:
    """Every output of a nested stack that the template reads: logical id and output."""
    for reference in references(template):
        if reference.kind == "GetAtt" and reference.detail and reference.name in CHILDREN:
            word, _, output = reference.detail.partition(".")
            assert word == "Outputs", f"{reference.name}.{reference.detail} is no output"
            yield reference.name, output


def dependencies(logical_id: str) -> set[str]:
    """The nested stacks that one of them has to wait for."""
    resource = TEMPLATES[ROOT]["Resources"][logical_id]
    named = resource.get("DependsOn", [])
    return set([named] if isinstance(named, str) else named) | {
        name for name, _ in outputs_read(resource)
    }


def test_every_nested_template_is_a_file_beside_the_root() -> None:
    assert {child.file for child in CHILDREN.values()} <= set(TEMPLATES)


@each_child
def test_every_passed_parameter_exists(child: Child) -> None:
    assert set(child.parameters) <= set(TEMPLATES[child.file]["Parameters"])


@each_child
def test_every_parameter_is_passed(child: Child) -> None:
    assert set(child.parameters) >= set(TEMPLATES[child.file]["Parameters"])


def source(output: str) -> dict[str, list[str]]:
    """The one nested stack that has an output, as its siblings and the root read it."""
    (stack,) = [
        logical_id
        for logical_id, child in CHILDREN.items()
        if output in TEMPLATES[child.file]["Outputs"]
    ]
    return {"Fn::GetAtt": [stack, f"Outputs.{output}"]}


@each_child
def test_a_parameter_has_the_value_that_its_name_says(child: Child) -> None:
    for name, value in child.parameters.items():
        assert value == ({"Ref": name} if "Ref" in value else source(name)), name


# The environment, whether there are rules, and what is not there.
@pytest.mark.parametrize(
    ("environment", "rules", "missing"),
    [
        ("dev", "enabled", {"PaymentBackupStack"}),
        ("dev", "disabled", {"PaymentBackupStack", "PaymentComplianceStack"}),
        ("staging", "enabled", set()),
        ("staging", "disabled", {"PaymentComplianceStack"}),
        ("prod", "enabled", set()),
    ],
)
def test_stacks_that_are_asked_for_and_their_outputs(
    environment: str, rules: str, missing: set[str]
) -> None:
    root = in_environment(TEMPLATES[ROOT], environment, ComplianceRules=rules)
    assert set(CHILDREN) - set(root["Resources"]) == missing
    # An output of what is not there could not be resolved.
    absent = {
        name for name in TEMPLATES[ROOT]["Outputs"] if source(name)["Fn::GetAtt"][0] in missing
    }
    assert set(TEMPLATES[ROOT]["Outputs"]) - set(root["Outputs"]) == absent


def test_every_output_that_is_read_exists() -> None:
    missing = [
        f"{name}.{output}"
        for name, output in outputs_read(TEMPLATES[ROOT])
        if output not in TEMPLATES[CHILDREN[name].file]["Outputs"]
    ]
    assert missing == []


@each_child
def test_every_output_is_read_by_somebody(child: Child) -> None:
    read = {output for name, output in outputs_read(TEMPLATES[ROOT]) if name == child.logical_id}
    assert set(TEMPLATES[child.file]["Outputs"]) - read == set()


def test_graph_is_the_one_that_was_designed() -> None:
    assert {logical_id: dependencies(logical_id) for logical_id in CHILDREN} == GRAPH


@each_child
def test_nothing_waits_by_name_for_what_it_reads_from(child: Child) -> None:
    """An output orders two stacks by itself: a DependsOn would only lengthen the chain."""
    assert "DependsOn" not in TEMPLATES[ROOT]["Resources"][child.logical_id]


@each_child
@pytest.mark.parametrize("name", COMMON)
def test_common_parameters_are_handed_down_unchanged(child: Child, name: str) -> None:
    assert child.parameters[name] == {"Ref": name}


@each_child
def test_a_value_of_the_root_meets_the_same_constraint_in_the_child(child: Child) -> None:
    """Otherwise the root accepts what fails later, in the middle of a deployment."""
    inner, outer = TEMPLATES[child.file]["Parameters"], TEMPLATES[ROOT]["Parameters"]
    different = [
        f"{name}.{constraint}"
        for name, value in child.parameters.items()
        if isinstance(value, dict) and "Ref" in value
        for constraint in CONSTRAINTS
        if inner[name].get(constraint) != outer[value["Ref"]].get(constraint)
    ]
    assert different == []


@each_child
def test_values_of_siblings_are_not_constrained(child: Child) -> None:
    """While a nested change set is made they are unknown, and a placeholder has to be let in."""
    refusing = [
        name
        for name, value in child.parameters.items()
        if isinstance(value, dict) and "Fn::GetAtt" in value
        for parameter in [TEMPLATES[child.file]["Parameters"][name]]
        if parameter["Type"] not in ("String", "CommaDelimitedList")
        or set(parameter) & set(CONSTRAINTS) != {"Type"}
    ]
    assert refusing == []


@each_template
def test_every_parameter_is_used(file: str) -> None:
    template = TEMPLATES[file]
    body = {key: template.get(key) for key in ("Conditions", "Rules", "Resources", "Outputs")}
    used = {reference.name for reference in references(body) if reference.kind == "Ref"}
    assert set(template["Parameters"]) - used == set()


@each_template
def test_every_mapping_is_used_to_its_last_key(file: str) -> None:
    template = TEMPLATES[file]
    read = {
        (reference.name, reference.detail)
        for reference in references(template)
        if reference.kind == "FindInMap"
    }
    held = {
        (mapping, key)
        for mapping, rows in template.get("Mappings", {}).items()
        for row in rows.values()
        for key in row
    }
    assert held == read


@each_template
def test_mappings_by_environment_have_every_environment_and_the_same_keys(file: str) -> None:
    for name, rows in TEMPLATES[file].get("Mappings", {}).items():
        if set(rows) & set(ENVIRONMENTS):
            assert set(rows) == set(ENVIRONMENTS), name
            assert len({frozenset(row) for row in rows.values()}) == 1, name


@each_template
def test_every_condition_is_used(file: str) -> None:
    template = TEMPLATES[file]
    used = {reference.name for reference in references(template) if reference.kind == "Condition"}
    assert set(template.get("Conditions", {})) == used


def test_only_the_root_exports() -> None:
    exporting = {
        file
        for file, template in TEMPLATES.items()
        for output in template["Outputs"].values()
        if "Export" in output
    }
    assert exporting == {ROOT}


def test_exports_are_the_agreed_ones_under_the_name_of_the_stack() -> None:
    exports = {
        name: output["Export"]["Name"]
        for name, output in TEMPLATES[ROOT]["Outputs"].items()
        if "Export" in output
    }
    assert exports == {name: {"Fn::Sub": f"${{AWS::StackName}}-{name}"} for name in EXPORTS}


def test_an_output_of_the_root_has_the_name_it_has_in_the_child() -> None:
    for name, output in TEMPLATES[ROOT]["Outputs"].items():
        assert output["Value"] == source(name)


@each_template
def test_every_output_says_what_it_is_for(file: str) -> None:
    for name, output in TEMPLATES[file]["Outputs"].items():
        assert len(output.get("Description", "")) > 15, name


@each_template
def test_every_local_code_path_exists(file: str) -> None:
    for logical_id, resource in TEMPLATES[file]["Resources"].items():
        code = resource.get("Properties", {}).get("Code")
        if resource["Type"] == "AWS::Lambda::Function":
            module = resource["Properties"]["Handler"].split(".")[0]
            assert isinstance(code, str), f"{logical_id} has its code inline or in a bucket"
            assert (DIRECTORY / code / f"{module}.py").is_file(), logical_id
