"""Change sets of a whole tree of stacks behave as on AWS, seen through the API."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local_cloud.support import Stacks, Template, child_of

UNKNOWN = "{{changeSet:KNOWN_AFTER_APPLY}}"
NO_CHANGES = "The submitted information didn't contain changes."


def topic(name: Any) -> Template:
    return {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": name}}


def queue(name: Any, timeout: Any = 30) -> Template:
    properties = {"QueueName": name, "VisibilityTimeout": timeout}
    return {"Type": "AWS::SQS::Queue", "Properties": properties}


PRODUCER: Template = {
    "Parameters": {"Name": {"Type": "String"}, "Timeout": {"Type": "Number", "Default": 30}},
    "Resources": {"Queue": queue({"Ref": "Name"}, {"Ref": "Timeout"})},
    "Outputs": {
        "Arn": {"Value": {"Fn::GetAtt": ["Queue", "Arn"]}},
        "Name": {"Value": {"Ref": "Name"}},
        "Both": {"Value": {"Fn::Sub": "${Queue.Arn},${Name}"}},
    },
}
CONSUMER: Template = {
    "Parameters": {
        "Arn": {"Type": "String", "AllowedPattern": "arn:aws:sqs:.*"},
        "Name": {"Type": "String"},
        "Both": {"Type": "CommaDelimitedList"},
        "Count": {"Type": "Number", "Default": 1},
    },
    "Resources": {
        "Parameter": {
            "Type": "AWS::SSM::Parameter",
            "Properties": {
                "Name": {"Fn::Sub": "/tree/${Name}"},
                "Type": "String",
                "Value": {"Fn::Sub": "${Arn} ${Count}"},
                "Description": {"Fn::Select": [1, {"Ref": "Both"}]},
            },
        }
    },
}


def tree(stacks: Stacks, name: str, *, timeout: int = 30, count: int = 1) -> Template:
    """A producer and a consumer that takes its outputs."""
    producer = {"Name": name, "Timeout": timeout}
    consumer = {
        output: {"Fn::GetAtt": ["Producer", f"Outputs.{output}"]}
        for output in ("Arn", "Name", "Both")
    }
    return {
        "Resources": {
            "Producer": child_of(stacks.upload(PRODUCER), producer),
            "Consumer": child_of(stacks.upload(CONSUMER), {**consumer, "Count": count}),
        }
    }


def changes(change_set: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        change["ResourceChange"]["LogicalResourceId"]: change["ResourceChange"]
        for change in change_set["Changes"]
    }


def child_set(stacks: Stacks, change_set: dict[str, Any], logical_id: str) -> dict[str, Any]:
    described: dict[str, Any] = stacks.cloudformation.describe_change_set(
        ChangeSetName=changes(change_set)[logical_id]["ChangeSetId"]
    )
    return described


def parameters(change_set: dict[str, Any]) -> dict[str, str]:
    return {p["ParameterKey"]: p["ParameterValue"] for p in change_set["Parameters"]}


def test_a_new_tree_is_planned_whole(stacks: Stacks) -> None:
    root = stacks.plan("new-tree", tree(stacks, "new-tree"))
    assert root["Status"] == "CREATE_COMPLETE"
    assert root["IncludeNestedStacks"] is True
    assert "ParentChangeSetId" not in root
    assert {name: c["Action"] for name, c in changes(root).items()} == {
        "Producer": "Add",
        "Consumer": "Add",
    }
    consumer = child_set(stacks, root, "Consumer")
    assert consumer["ParentChangeSetId"] == consumer["RootChangeSetId"] == root["ChangeSetId"]
    assert consumer["IncludeNestedStacks"] is True
    assert {n: c["Action"] for n, c in changes(consumer).items()} == {"Parameter": "Add"}
    assert parameters(consumer) == {
        "Arn": UNKNOWN,
        "Name": "new-tree",
        "Both": UNKNOWN,
        "Count": "1",
    }
    child = stacks.describe(consumer["StackId"])
    assert child["StackStatus"] == "REVIEW_IN_PROGRESS"
    assert child["ParentId"] == child["RootId"] == root["StackId"]
    assert child["StackName"].startswith("new-tree-Consumer-")


def test_executing_the_root_deploys_the_tree(stacks: Stacks) -> None:
    root = stacks.plan("run-tree", tree(stacks, "run-tree"))
    reviewed = {name: child_set(stacks, root, name) for name in ("Producer", "Consumer")}
    stacks.cloudformation.execute_change_set(ChangeSetName=root["ChangeSetId"])
    assert stacks.settled("run-tree")["StackStatus"] == "CREATE_COMPLETE"
    for name, change_set in reviewed.items():
        child = stacks.child("run-tree", name)
        assert child["StackId"] == change_set["StackId"]
        assert child["StackStatus"] == "CREATE_COMPLETE"
        own = stacks.events(child["StackId"])
        assert own[0][1] == "REVIEW_IN_PROGRESS"
        assert own[-1] == (child["StackName"], "CREATE_COMPLETE")
        executed = stacks.cloudformation.describe_change_set(
            ChangeSetName=change_set["ChangeSetId"]
        )
        assert executed["ExecutionStatus"] == "EXECUTE_COMPLETE"
    arn = "arn:aws:sqs:eu-west-1:111111111111:run-tree"
    given = {
        p["ParameterKey"]: p["ParameterValue"]
        for p in stacks.child("run-tree", "Consumer")["Parameters"]
    }
    assert (given["Arn"], given["Both"]) == (arn, f"{arn},run-tree")


def test_an_unchanged_tree_has_no_changes(stacks: Stacks) -> None:
    stacks.apply("calm-tree", tree(stacks, "calm-tree"))
    before = stacks.cloudformation.list_stacks()["StackSummaries"]
    root = stacks.plan("calm-tree", tree(stacks, "calm-tree"))
    assert root["Status"] == "FAILED"
    assert root["ExecutionStatus"] == "UNAVAILABLE"
    assert root["StatusReason"].startswith(NO_CHANGES)
    assert root["Changes"] == []
    stacks.cloudformation.delete_change_set(ChangeSetName=root["ChangeSetId"])
    assert stacks.cloudformation.list_stacks()["StackSummaries"] == before


def test_one_change_is_one_change_and_unchanged_children_say_so(stacks: Stacks) -> None:
    stacks.apply("one-change", tree(stacks, "one-change"))
    root = stacks.plan("one-change", tree(stacks, "one-change", count=2))
    assert {name: c["Action"] for name, c in changes(root).items()} == {
        "Consumer": "Modify",
        "Producer": "Modify",
    }
    assert changes(root)["Producer"]["Details"] == [
        {
            "Target": {"Attribute": "Properties", "RequiresRecreation": "Never"},
            "Evaluation": "Dynamic",
            "ChangeSource": "Automatic",
        }
    ]
    producer = child_set(stacks, root, "Producer")
    assert producer["Status"] == "FAILED"
    assert producer["StatusReason"].startswith(NO_CHANGES)
    consumer = child_set(stacks, root, "Consumer")
    assert parameters(consumer)["Arn"] == "arn:aws:sqs:eu-west-1:111111111111:one-change"
    detail = changes(consumer)["Parameter"]
    assert (detail["Action"], detail["Replacement"]) == ("Modify", "False")
    assert {d["Target"]["Name"] for d in detail["Details"]} == {"Value"}
    stacks.cloudformation.execute_change_set(ChangeSetName=root["ChangeSetId"])
    assert stacks.settled("one-change")["StackStatus"] == "UPDATE_COMPLETE"
    assert stacks.child("one-change", "Producer")["StackStatus"] == "CREATE_COMPLETE"
    assert stacks.child("one-change", "Consumer")["StackStatus"] == "UPDATE_COMPLETE"


def test_what_an_in_place_change_outputs_stays_known(stacks: Stacks) -> None:
    stacks.apply("in-place", tree(stacks, "in-place"))
    root = stacks.plan("in-place", tree(stacks, "in-place", timeout=60))
    assert child_set(stacks, root, "Consumer")["Status"] == "FAILED"
    assert changes(child_set(stacks, root, "Producer"))["Queue"]["Replacement"] == "False"


def test_what_a_replacement_outputs_is_unknown(stacks: Stacks) -> None:
    stacks.apply("replaced", tree(stacks, "replaced"))
    after = tree(stacks, "replaced")
    after["Resources"]["Producer"]["Properties"]["Parameters"]["Name"] = "replaced-2"
    root = stacks.plan("replaced", after)
    assert changes(child_set(stacks, root, "Producer"))["Queue"]["Replacement"] == "True"
    given = parameters(child_set(stacks, root, "Consumer"))
    assert given == {"Arn": UNKNOWN, "Name": "replaced-2", "Both": UNKNOWN, "Count": "1"}


def test_a_part_of_an_unknown_value_is_unknown(stacks: Stacks) -> None:
    template = tree(stacks, "part")
    consumer = template["Resources"]["Consumer"]["Properties"]["Parameters"]
    both = {"Fn::Split": [",", {"Fn::GetAtt": ["Producer", "Outputs.Both"]}]}
    consumer["Name"] = {"Fn::Select": [1, both]}
    root = stacks.plan("part", template)
    assert parameters(child_set(stacks, root, "Consumer"))["Name"] == UNKNOWN
    stacks.cloudformation.execute_change_set(ChangeSetName=root["ChangeSetId"])
    assert stacks.settled("part")["StackStatus"] == "CREATE_COMPLETE"
    given = stacks.child("part", "Consumer")["Parameters"]
    assert {"ParameterKey": "Name", "ParameterValue": "part"} in given


def test_a_child_added_to_a_running_tree_is_reviewed_first(stacks: Stacks) -> None:
    before = {"Resources": {"Producer": tree(stacks, "grown")["Resources"]["Producer"]}}
    stacks.apply("grown", before)
    root = stacks.plan("grown", tree(stacks, "grown"))
    consumer = child_set(stacks, root, "Consumer")
    assert stacks.describe(consumer["StackId"])["StackStatus"] == "REVIEW_IN_PROGRESS"
    stacks.cloudformation.execute_change_set(ChangeSetName=root["ChangeSetId"])
    assert stacks.settled("grown")["StackStatus"] == "UPDATE_COMPLETE"
    assert stacks.child("grown", "Consumer")["StackId"] == consumer["StackId"]


def test_a_removed_child_is_listed_and_deleted(stacks: Stacks) -> None:
    stacks.apply("shrunk", tree(stacks, "shrunk"))
    consumer = stacks.child("shrunk", "Consumer")["StackId"]
    after = {"Resources": {"Producer": tree(stacks, "shrunk")["Resources"]["Producer"]}}
    root = stacks.plan("shrunk", after)
    removed = changes(root)["Consumer"]
    assert (removed["Action"], removed["PhysicalResourceId"]) == ("Remove", consumer)
    stacks.cloudformation.execute_change_set(ChangeSetName=root["ChangeSetId"])
    stacks.settled("shrunk")
    assert stacks.describe(consumer)["StackStatus"] == "DELETE_COMPLETE"


def test_grandchildren_have_parent_and_root(stacks: Stacks) -> None:
    middle = {
        "Resources": {"Leaf": child_of(stacks.upload(PRODUCER), {"Name": {"Ref": "Name"}})},
        "Parameters": {"Name": {"Type": "String"}},
        "Outputs": {"Arn": {"Value": {"Fn::GetAtt": ["Leaf", "Outputs.Arn"]}}},
    }
    template: Template = {
        "Resources": {"Middle": child_of(stacks.upload(middle), {"Name": "deep-tree"})}
    }
    root = stacks.plan("deep-tree", template)
    between = child_set(stacks, root, "Middle")
    leaf = child_set(stacks, between, "Leaf")
    assert leaf["ParentChangeSetId"] == between["ChangeSetId"]
    assert leaf["RootChangeSetId"] == root["ChangeSetId"]
    assert stacks.describe(leaf["StackId"])["ParentId"] == between["StackId"]
    assert stacks.describe(leaf["StackId"])["RootId"] == root["StackId"]
    listed = stacks.cloudformation.list_change_sets(StackName=leaf["StackName"])["Summaries"]
    assert [s["RootChangeSetId"] for s in listed] == [root["ChangeSetId"]]
    stacks.cloudformation.execute_change_set(ChangeSetName=root["ChangeSetId"])
    assert stacks.settled("deep-tree")["StackStatus"] == "CREATE_COMPLETE"
    assert stacks.describe(leaf["StackId"])["StackStatus"] == "CREATE_COMPLETE"


@pytest.mark.parametrize("action", ["execute_change_set", "delete_change_set"])
def test_only_the_root_can_be_executed_or_deleted(stacks: Stacks, action: str) -> None:
    name = f"root-only-{action[:6]}"
    root = stacks.plan(name, tree(stacks, name))
    child = child_set(stacks, root, "Producer")
    with pytest.raises(ClientError) as caught:
        getattr(stacks.cloudformation, action)(ChangeSetName=child["ChangeSetId"])
    assert caught.value.response["Error"]["Code"] == "InvalidChangeSetStatus"
    assert root["ChangeSetId"] in str(caught.value)


def test_deleting_the_root_deletes_the_tree(stacks: Stacks) -> None:
    root = stacks.plan("dropped", tree(stacks, "dropped"))
    child = child_set(stacks, root, "Producer")
    stacks.cloudformation.delete_change_set(ChangeSetName=root["ChangeSetId"])
    assert stacks.find(child["StackName"]) is None
    with pytest.raises(ClientError, match="does not exist"):
        stacks.cloudformation.describe_change_set(ChangeSetName=child["ChangeSetId"])
    # AWS leaves the root itself, for the next change set or a delete.
    assert stacks.find("dropped") == "REVIEW_IN_PROGRESS"


def test_a_second_plan_of_a_new_stack_keeps_its_id(stacks: Stacks) -> None:
    first = stacks.plan("again", tree(stacks, "again"))
    second = stacks.plan("again", tree(stacks, "again"))
    assert first["StackId"] == second["StackId"]
    left_over = child_set(stacks, first, "Producer")["StackName"]
    stacks.cloudformation.execute_change_set(ChangeSetName=second["ChangeSetId"])
    assert stacks.settled("again")["StackStatus"] == "CREATE_COMPLETE"
    # Executing one drops the other, with the children that it kept ready.
    assert stacks.find(left_over) is None
    assert stacks.events("again")[0] == ("again", "REVIEW_IN_PROGRESS")


def test_deleting_a_stack_under_review_leaves_nothing(stacks: Stacks) -> None:
    root = stacks.plan("review", tree(stacks, "review"))
    child = child_set(stacks, root, "Producer")["StackName"]
    stacks.cloudformation.delete_stack(StackName="review")
    stacks.settled(root["StackId"])
    assert stacks.find("review") is None
    assert stacks.find(child) is None


def test_a_broken_child_fails_the_root_and_says_why(stacks: Stacks) -> None:
    template = tree(stacks, "sick")
    del template["Resources"]["Producer"]["Properties"]["Parameters"]["Name"]
    root = stacks.plan("sick", template)
    child = child_set(stacks, root, "Producer")
    assert root["Status"] == "FAILED"
    assert root["StatusReason"] == (
        f"Nested change set {child['ChangeSetId']} was not successfully created: "
        "Currently in FAILED."
    )
    assert child["Status"] == "FAILED"
    assert "Name" in child["StatusReason"]


def test_a_missing_template_of_a_child_is_named(stacks: Stacks) -> None:
    url = "https://s3.eu-west-1.amazonaws.com/templates/nowhere.json"
    root = stacks.plan("nowhere", {"Resources": {"Child": child_of(url)}})
    child = child_set(stacks, root, "Child")
    assert child["StatusReason"].startswith("S3 error: The specified key does not exist.")


def test_changed_outputs_alone_can_be_executed(stacks: Stacks) -> None:
    template: Template = {"Resources": {"Topic": topic("outputs")}}
    stacks.apply("outputs", template)
    template["Outputs"] = {"Arn": {"Value": {"Ref": "Topic"}}}
    root = stacks.apply("outputs", template)
    assert root["StackStatus"] == "UPDATE_COMPLETE"
    assert stacks.outputs("outputs") == {"Arn": "arn:aws:sns:eu-west-1:111111111111:outputs"}


def test_changed_outputs_of_a_child_can_be_executed(stacks: Stacks) -> None:
    child: Template = {"Resources": {"Topic": topic("child-outputs")}}
    stacks.apply("child-outputs", {"Resources": {"Child": child_of(stacks.upload(child))}})
    child["Outputs"] = {"Arn": {"Value": {"Ref": "Topic"}}}
    stacks.apply("child-outputs", {"Resources": {"Child": child_of(stacks.upload(child))}})
    assert "Arn" in stacks.outputs(stacks.child("child-outputs", "Child")["StackName"])


def test_without_nested_stacks_there_is_one_change_set(stacks: Stacks) -> None:
    root = stacks.plan("flat", tree(stacks, "flat"), IncludeNestedStacks=False)
    assert root["IncludeNestedStacks"] is False
    assert "ChangeSetId" not in changes(root)["Producer"]
    stacks.cloudformation.execute_change_set(ChangeSetName=root["ChangeSetId"])
    assert stacks.settled("flat")["StackStatus"] == "CREATE_COMPLETE"


def test_conditions_decide_what_is_listed(stacks: Stacks) -> None:
    def template(wanted: str) -> Template:
        return {
            "Conditions": {"Wanted": {"Fn::Equals": [wanted, "yes"]}},
            "Resources": {
                "Always": topic("always"),
                "Sometimes": {**topic("sometimes"), "Condition": "Wanted"},
            },
        }

    assert set(changes(stacks.plan("conditional", template("no")))) == {"Always"}
    stacks.apply("conditional", template("no"))
    for wanted, action in (("yes", "Add"), ("no", "Remove")):
        listed = changes(stacks.plan("conditional", template(wanted)))
        assert {name: c["Action"] for name, c in listed.items()} == {"Sometimes": action}
        stacks.apply("conditional", template(wanted))


def test_many_changes_come_in_pages(stacks: Stacks) -> None:
    resources = {f"Topic{number:03}": topic(f"page-{number}") for number in range(230)}
    first = stacks.plan("pages", {"Resources": resources})
    assert len(first["Changes"]) == 100
    pages = stacks.cloudformation.get_paginator("describe_change_set").paginate(
        ChangeSetName=first["ChangeSetId"]
    )
    listed = [change["ResourceChange"] for page in pages for change in page["Changes"]]
    assert [change["LogicalResourceId"] for change in listed] == sorted(resources)
    with pytest.raises(ClientError, match="Invalid NextToken"):
        stacks.cloudformation.describe_change_set(
            ChangeSetName=first["ChangeSetId"], NextToken="of-something-else"
        )


@pytest.mark.parametrize("kind", ["CREATE", "UPDATE"])
def test_rollback_complete_takes_no_change_set(stacks: Stacks, kind: str) -> None:
    name = f"dead-{kind.lower()}"
    handle = {"Handle": "no-handle", "Timeout": "1"}
    bad = {"Type": "AWS::CloudFormation::WaitCondition", "Properties": handle}
    stacks.create(name, {"Resources": {"Bad": bad}})
    with pytest.raises(ClientError, match="is in ROLLBACK_COMPLETE state and can not be updated"):
        stacks.cloudformation.create_change_set(
            StackName=name,
            ChangeSetName="late",
            ChangeSetType=kind,
            TemplateBody=json.dumps({"Resources": {"Topic": topic(name)}}),
        )


def test_a_failed_execution_rolls_the_tree_back(stacks: Stacks) -> None:
    stacks.apply("fall", tree(stacks, "fall"))
    after = tree(stacks, "fall", timeout=60)
    handle = {"Handle": "no-handle", "Timeout": "1"}
    after["Resources"]["Bad"] = {
        "Type": "AWS::CloudFormation::WaitCondition",
        "Properties": handle,
        "DependsOn": "Producer",
    }
    root = stacks.plan("fall", after)
    producer = child_set(stacks, root, "Producer")
    stacks.cloudformation.execute_change_set(ChangeSetName=root["ChangeSetId"])
    assert stacks.settled("fall")["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert stacks.describe(producer["StackId"])["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    executed = stacks.cloudformation.describe_change_set(ChangeSetName=producer["ChangeSetId"])
    assert executed["ExecutionStatus"] == "EXECUTE_FAILED"
    # The tree is as it was, so the old template has nothing to change.
    assert stacks.plan("fall", tree(stacks, "fall"))["StatusReason"].startswith(NO_CHANGES)


def test_stack_ids_are_accepted_where_names_are(stacks: Stacks) -> None:
    root = stacks.plan("by-id", tree(stacks, "by-id"))
    described = stacks.cloudformation.describe_change_set(
        ChangeSetName=root["ChangeSetName"], StackName=root["StackId"]
    )
    assert described["ChangeSetId"] == root["ChangeSetId"]
