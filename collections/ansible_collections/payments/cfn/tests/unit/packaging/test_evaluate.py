# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.payments.cfn.plugins.module_utils import evaluate
from ansible_collections.payments.cfn.plugins.module_utils.evaluate import (
    NO_VALUE,
    PlannedResource,
    Scope,
    Unknown,
    root_scope,
)
from ansible_collections.payments.cfn.plugins.module_utils.templates import load_template, load_tree

from .conftest import ReadTemplate

TEMPLATE = """
    Parameters:
      Stage: {Type: String, Default: dev}
      Other: {Type: String}
      Names: {Type: CommaDelimitedList, Default: "a, b"}
      Ami: {Type: "AWS::SSM::Parameter::Value<String>", Default: /ami}
    Mappings:
      Sizes: {dev: {Nodes: 1, Zones: [x, y]}, prod: {Nodes: 3, Zones: [z]}}
    Conditions:
      IsProd: !Equals [!Ref Stage, prod]
      IsDev: !Not [!Condition IsProd]
      HasOther: !Not [!Equals [!Ref Other, ""]]
      Either: !Or [!Condition IsDev, !Condition HasOther]
      Both: !And [!Condition IsProd, !Condition HasOther]
      Open: !And [!Condition IsDev, !Condition HasOther]
    Resources:
      Always: {Type: T1}
      Prod: {Type: T2, Condition: IsProd}
      Dev: {Type: T3, Condition: IsDev}
      Perhaps: {Type: T4, Condition: HasOther}
    """


@pytest.fixture
def scope(template: ReadTemplate) -> Scope:
    return root_scope(template(TEMPLATE), {}, {"AWS::Region": "eu-west-1"})


REF_OTHER = Unknown(parameters=frozenset({"Other"}))


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ({"Ref": "Stage"}, "dev"),
        ({"Ref": "Names"}, ["a", "b"]),
        ({"Ref": "AWS::Region"}, "eu-west-1"),
        ({"Ref": "AWS::NoValue"}, NO_VALUE),
        ({"Ref": "Other"}, REF_OTHER),
        ({"Fn::FindInMap": ["Sizes", {"Ref": "Stage"}, "Nodes"]}, 1),
        ({"Fn::FindInMap": ["Sizes", {"Ref": "Other"}, "Nodes"]}, REF_OTHER),
        ({"Fn::FindInMap": ["Sizes", "qa", "Nodes", {"DefaultValue": 9}]}, 9),
        ({"Fn::Select": [1, {"Fn::FindInMap": ["Sizes", "dev", "Zones"]}]}, "y"),
        ({"Fn::If": ["IsProd", "Retain", "Delete"]}, "Delete"),
        ({"Fn::If": ["HasOther", "x", "x"]}, "x"),
        ({"Fn::If": ["HasOther", "x", "y"]}, REF_OTHER),
        ({"Fn::Equals": [{"Ref": "Stage"}, "dev"]}, True),
        ({"Fn::Equals": [True, "true"]}, True),
        ({"Fn::Equals": [80, "80"]}, True),
        ({"Fn::Sub": "${Stage}-${AWS::Region}-${!Literal}"}, "dev-eu-west-1-${Literal}"),
        ({"Fn::Sub": ["${a}${Stage}", {"a": {"Fn::Join": ["-", {"Ref": "Names"}]}}]}, "a-bdev"),
        ({"Fn::Sub": "${Stage}-${Other}"}, REF_OTHER),
        ({"Fn::Split": [",", "a,b"]}, ["a", "b"]),
        (["a", {"Ref": "AWS::NoValue"}, {"Ref": "Stage"}], ["a", "dev"]),
        ({"A": {"Ref": "Stage"}, "B": {"Ref": "AWS::NoValue"}}, {"A": "dev"}),
        ({"A": 1, "B": {"Ref": "Other"}}, REF_OTHER),
    ],
)
def test_what_can_be_known_is_known(scope: Scope, expression: Any, value: object) -> None:
    assert evaluate.evaluate(expression, scope) == value


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ({"Fn::GetAtt": ["Network", "Outputs.Id"]}, "Fn::GetAtt of Network.Outputs.Id"),
        ({"Fn::Sub": "${Network.Arn}"}, "Fn::GetAtt of Network.Arn"),
        ({"Fn::ImportValue": "x"}, "Fn::ImportValue"),
        ({"Ref": "Topic"}, "Ref of Topic"),
        ({"Ref": "AWS::AccountId"}, "Ref of AWS::AccountId"),
        ({"Ref": "Ami"}, "SSM parameter /ami"),
        ({"Fn::FindInMap": ["Sizes", "qa", "Nodes"]}, "Sizes.qa.Nodes, which is not in Mappings"),
        ({"Fn::If": ["Nope", 1, 2]}, "condition Nope, which is not declared"),
        ({"Fn::If": ["IsProd", 1]}, "a malformed Fn::If"),
        ({"Fn::Select": [9, ["a"]]}, "a malformed Fn::Select"),
        ({"Fn::Split": ["", "a"]}, "a malformed Fn::Split"),
        ({"Fn::Join": ["-", "a"]}, "a malformed Fn::Join"),
        ({"Fn::Sub": [1, 2, 3]}, "a malformed Fn::Sub"),
        ({"Fn::Not": ["maybe"]}, "a condition that is neither true nor false"),
    ],
)
def test_what_cannot_be_known_says_why(scope: Scope, expression: Any, reason: str) -> None:
    assert evaluate.evaluate(expression, scope) == Unknown(others=frozenset({reason}))


@pytest.mark.parametrize(
    ("name", "holds"),
    [
        ("IsProd", False),
        ("IsDev", True),
        ("HasOther", REF_OTHER),
        ("Either", True),
        ("Both", False),
        ("Open", REF_OTHER),
    ],
)
def test_conditions_are_settled_by_what_is_decisive(scope: Scope, name: str, holds: object) -> None:
    assert evaluate.condition(name, scope) == holds


def test_an_iam_condition_is_no_condition_of_the_template(scope: Scope) -> None:
    statement = {"Condition": {"StringEquals": {"a": {"Ref": "Stage"}}}}
    assert evaluate.evaluate(statement, scope) == {"Condition": {"StringEquals": {"a": "dev"}}}


def test_defaults_count_on_creation_only(template: ReadTemplate) -> None:
    read = template(TEMPLATE)
    assert root_scope(read, {}).parameters["Stage"] == "dev"
    unknown = root_scope(read, {}, use_defaults=False).parameters["Stage"]
    assert unknown == Unknown(parameters=frozenset({"Stage"}))


def test_resources_to_create(template: ReadTemplate) -> None:
    read = template(TEMPLATE)
    assert evaluate.resources_to_create(read, {"Stage": "prod", "Other": ""}) == (
        PlannedResource("Always", "T1"),
        PlannedResource("Prod", "T2"),
    )
    assert evaluate.resources_to_create(read, {}) == (
        PlannedResource("Always", "T1"),
        PlannedResource("Dev", "T3"),
        PlannedResource("Perhaps", "T4", certain=False),
    )


@pytest.mark.parametrize(("stage", "data"), [("dev", ["Table"]), ("prod", ["Table", "Replica"])])
def test_values_flow_to_nested_stacks(root: Path, stage: str, data: list[str]) -> None:
    tree = load_tree(root)
    scope = root_scope(tree.template, {"Stage": stage, "Cidr": "10.0.0.0/16"})
    scopes = evaluate.tree_scopes(tree, scope)
    assert list(scopes) == [(), ("Network",), ("Data",)]
    inner = scopes["Data",][1]
    assert inner.parameters["Stage"] == stage
    assert inner.parameters["Network"] == Unknown(
        others=frozenset({"Fn::GetAtt of Network.Outputs.Id"})
    )
    assert [planned.logical_id for planned in evaluate.planned(inner)] == data


def test_a_parameter_that_is_not_passed_has_its_default(root: Path, tmp_path: Path) -> None:
    data = load_template(tmp_path / "data/data.yml")
    parent = root_scope(load_template(root), {})
    inner = evaluate.nested_scope(parent, data, {})
    assert inner.parameters["Stage"] == "dev"
    assert isinstance(inner.parameters["Network"], Unknown)
