# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan: what DescribeChangeSet answers becomes a tree."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.payments.cfn.plugins.module_utils.plan import (
    Counts,
    Difference,
    HeldResource,
    HeldStack,
    build_plan,
    creation_plan,
    deletion_plan,
    deletion_policy,
    kept_resources,
    no_changes,
    parameter_differences,
    same_template,
)

STACK = "AWS::CloudFormation::Stack"
NOTHING = "The submitted information didn't contain changes. Submit different information."


def change(action: str, logical_id: str, kind: str = "AWS::SNS::Topic", **more: Any) -> Any:
    resource = {"Action": action, "LogicalResourceId": logical_id, "ResourceType": kind, **more}
    return {"Type": "Resource", "ResourceChange": resource}


def page(*changes: Any, status: str = "CREATE_COMPLETE", reason: str = "") -> Any:
    return {"Status": status, "StatusReason": reason, "Changes": list(changes), "StackId": "arn:s"}


def detail(source: str, name: str = "Size", recreation: str = "Never", **more: Any) -> Any:
    target = {"Attribute": "Properties", "Name": name, "RequiresRecreation": recreation}
    return {"Target": target, "ChangeSource": source, "Evaluation": "Static", **more}


def test_counts_resources_of_the_whole_tree_and_no_nested_stack() -> None:
    pages = {
        "root": [
            page(change("Add", "Child", STACK, ChangeSetId="child"), change("Remove", "Old")),
        ],
        "child": [
            page(change("Add", "A"), change("Add", "Below", STACK, ChangeSetId="deep")),
            page(change("Modify", "B", Replacement="False")),
        ],
        "deep": [
            page(
                change("Modify", "C", Replacement="True"),
                change("Modify", "D", Replacement="Conditional"),
                change("Import", "E"),
            )
        ],
    }
    plan = build_plan("app", "update", "root", pages)
    assert plan.counts == Counts(add=1, modify=1, replace=2, conditional=1, remove=1, imports=1)
    assert plan.to_dict()["changes"] == 6
    assert sorted("/".join(path) for path in plan.paths()) == [
        "Child/A", "Child/B", "Child/Below/C", "Child/Below/D", "Child/Below/E", "Old",
    ]  # fmt: skip


def test_nested_stack_that_does_not_change_is_dropped() -> None:
    pages = {
        "root": [page(change("Modify", "Child", STACK, ChangeSetId="child"))],
        "child": [page(change("Modify", "Below", STACK, ChangeSetId="deep"))],
        "deep": [page(status="FAILED", reason=NOTHING)],
    }
    plan = build_plan("app", "update", "root", pages)
    assert plan.root.children == ()
    assert plan.root.changes == ()
    assert plan.counts.total == 0


def test_nested_stack_whose_outputs_alone_change_is_kept() -> None:
    pages = {
        "root": [page(change("Modify", "Child", STACK, ChangeSetId="child"))],
        "child": [page()],
    }
    plan = build_plan("app", "update", "root", pages)
    assert [child.name for child in plan.root.children] == ["Child"]
    assert plan.bare
    assert plan.counts.total == 0


def test_nested_stack_without_a_change_set_of_its_own_is_a_change() -> None:
    pages = {"root": [page(change("Modify", "Child", STACK, Replacement="False"))]}
    plan = build_plan("app", "update", "root", pages)
    assert plan.counts.modify == 1


def test_nested_stack_that_goes_shows_what_it_holds() -> None:
    held = HeldStack(
        "arn:child",
        (HeldResource("Table", "AWS::DynamoDB::Table", "t-1", "Retain"),),
        {"Below": HeldStack("arn:below", (HeldResource("Topic", "AWS::SNS::Topic"),))},
    )
    pages = {"root": [page(change("Remove", "Child", STACK, PhysicalResourceId="arn:child"))]}
    plan = build_plan("app", "update", "root", pages, {"arn:child": held})
    assert [
        ("/".join((*path, item.logical_id)), item.policy_action) for path, item in plan.changes()
    ] == [("Child/Table", "Retain"), ("Child/Below/Topic", "Delete")]
    assert plan.counts == Counts(remove=2)


def test_nested_stack_that_is_retained_keeps_everything_in_it() -> None:
    held = HeldStack("arn:child", (HeldResource("Topic", "AWS::SNS::Topic"),))
    removal = change(
        "Remove", "Child", STACK, PhysicalResourceId="arn:child", PolicyAction="Retain"
    )
    plan = build_plan("app", "update", "root", {"root": [page(removal)]}, {"arn:child": held})
    assert [item.policy_action for _path, item in plan.changes()] == ["Retain"]


def test_causes_are_named_once_and_the_strongest_recreation_counts() -> None:
    details = [
        detail("ParameterReference", CausingEntity="Size"),
        detail("ParameterReference", CausingEntity="Size"),
        detail("ResourceAttribute", recreation="Always", CausingEntity="Key.Arn"),
        detail("DirectModification", Evaluation="Dynamic"),
        detail("DirectModification", name="Kind"),
        {"Target": {"Attribute": "Tags", "RequiresRecreation": "Never"}},
        {"Target": {"Attribute": "DeletionPolicy"}, "ChangeSource": "DirectModification"},
    ]
    changed = change("Modify", "A", Replacement="True", Details=details)
    plan = build_plan("app", "update", "root", {"root": [page(changed)]})
    ((_path, found),) = plan.changes()
    assert [(p.name, p.recreation, [str(c) for c in p.causes]) for p in found.properties] == [
        ("Size", "Always", ["parameter Size", "attribute of Key.Arn"]),
        ("Kind", "Never", ["template"]),
        ("Tags", "Never", ["stack tags"]),
        ("DeletionPolicy", "Never", ["template"]),
    ]


def test_what_depends_on_an_attribute_that_may_differ_is_not_certain() -> None:
    dynamic = detail("ResourceAttribute", recreation="Always", Evaluation="Dynamic",
                     CausingEntity="Service.Name")  # fmt: skip
    both = [detail("ParameterReference", CausingEntity="Size"), dynamic]
    changes = page(
        change("Modify", "Maybe", Replacement="Conditional", Details=[dynamic]),
        change("Modify", "Certain", Replacement="Conditional", Details=both),
        change("Add", "New"),
    )
    plan = build_plan("app", "update", "root", {"root": [changes]})
    assert plan.counts == Counts(add=1, replace=1, conditional=1, possible=1)
    assert sorted(path[-1] for path in plan.paths()) == ["Certain", "New"]
    assert plan.to_dict()["changes"] == 2


def test_plan_of_a_new_tree_has_only_what_is_reachable() -> None:
    resources = [
        (("Child",), STACK),
        (("Child", "A"), "AWS::SNS::Topic"),
        (("Left", "Out"), "AWS::SNS::Topic"),
        (("B",), "AWS::SQS::Queue"),
    ]
    plan = creation_plan("app", resources)
    assert sorted("/".join(path) for path in plan.paths()) == ["B", "Child/A"]
    assert plan.root.action == "Add"


def test_json_is_stable_and_carries_its_version() -> None:
    plan = creation_plan("app", [(("A",), "AWS::SNS::Topic")])
    data = json.loads(json.dumps(plan.to_dict()))
    assert data == {
        "schema": 1,
        "stack_name": "app",
        "operation": "create",
        "changes": 1,
        "counts": {
            "add": 1, "modify": 0, "replace": 0, "replace_conditional": 0, "remove": 0, "import": 0,
            "possible": 0,
        },
        "parameters": [],
        "settings": [],
        "stacks": [
            {
                "name": "app", "path": "", "action": "Add", "stack_id": "", "change_set_id": "",
                "policy_action": "",
                "changes": [
                    {
                        "logical_id": "A", "type": "AWS::SNS::Topic", "action": "Add",
                        "replacement": "", "physical_id": "", "policy_action": "",
                        "certain": True, "properties": [],
                    }
                ],
                "stacks": [],
            }
        ],
    }  # fmt: skip


def test_deletion_keeps_what_its_policies_say() -> None:
    held = HeldStack(
        "arn:root",
        (HeldResource("Bucket", "AWS::S3::Bucket", "b-1", "Retain"),),
        {
            "Data": HeldStack(
                "arn:data", (HeldResource("Cluster", "AWS::RDS::DBCluster", "c-1", "Snapshot"),)
            ),
            "Kept": HeldStack(
                "arn:kept", (HeldResource("Topic", "AWS::SNS::Topic"),), deletion_policy="Retain"
            ),
        },
    )
    plan = deletion_plan("app", held)
    assert plan.counts == Counts(remove=3)
    assert [(item.path, item.how) for item in kept_resources(plan)] == [
        ("Bucket", "retained"),
        ("Data/Cluster", "snapshot"),
        ("Kept/Topic", "retained"),
    ]


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        ({"Type": "AWS::SNS::Topic"}, "Delete"),
        ({"Type": "AWS::SNS::Topic", "DeletionPolicy": "Retain"}, "Retain"),
        ({"Type": "AWS::SNS::Topic", "DeletionPolicy": "RetainExceptOnCreate"}, "Retain"),
        ({"Type": "AWS::RDS::DBCluster"}, "Snapshot"),
        ({"Type": "AWS::RDS::DBCluster", "DeletionPolicy": "Delete"}, "Delete"),
        ({"Type": "AWS::RDS::DBInstance"}, "Snapshot"),
        ({"Type": "AWS::RDS::DBInstance", "Properties": {"DBClusterIdentifier": "c"}}, "Delete"),
    ],
)
def test_deletion_policy(definition: dict[str, Any], expected: str) -> None:
    assert deletion_policy(definition) == expected


@pytest.mark.parametrize(
    ("status", "reason", "expected"),
    [
        ("FAILED", NOTHING, True),
        ("FAILED", "No updates are to be performed.", True),
        ("FAILED", "Parameter validation failed", False),
        ("CREATE_COMPLETE", NOTHING, False),
    ],
)
def test_no_changes(status: str, reason: str, expected: bool) -> None:
    assert no_changes(status, reason) is expected


def test_parameters_that_differ() -> None:
    old = {"Same": "1", "Count": "", "Gone": "x", "Secret": "****"}
    new = {"Same": "1", "Count": "2", "New": "y", "Secret": "topsecret"}
    assert parameter_differences(old, new, {"Secret"}) == (
        Difference("Count", "", "2"),
        Difference("Gone", "x", None),
        Difference("New", None, "y"),
    )


def test_no_value_of_a_secret_parameter_is_in_a_difference() -> None:
    assert parameter_differences(None, {"Secret": "topsecret"}, {"Secret"}) == (
        Difference("Secret", None, "****"),
    )
    # AWS masks what the caller may not know to be secret.
    assert parameter_differences({"Secret": "****"}, {"Secret": "topsecret"}) == ()


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ({"A": 1}, {"A": 1}, True),
        ('{"A": 1}', '{ "A":1 }', True),
        ({"A": 1}, '{"A": 1}', True),
        ("A: 1", "A: 1", True),
        ("A: 1", "A: 2", False),
        ('{"A": 1}', '{"A": 2}', False),
    ],
)
def test_same_template(left: object, right: object, expected: bool) -> None:
    assert same_template(left, right) is expected
