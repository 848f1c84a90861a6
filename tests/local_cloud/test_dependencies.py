"""The order in which resources are created."""

from __future__ import annotations

from tests.local_cloud.support import Stacks


def test_a_resource_waits_for_what_its_metadata_names(stacks: Stacks) -> None:
    chain = {
        "First": {"Type": "AWS::SNS::Topic"},
        "Second": {"Type": "AWS::SNS::Topic", "DependsOn": "First"},
        "Third": {"Type": "AWS::SNS::Topic", "DependsOn": "Second"},
    }
    handle = {
        "Type": "AWS::CloudFormation::WaitConditionHandle",
        "Metadata": {"Topic": {"Fn::If": ["Wanted", {"Ref": "Third"}, "none"]}},
    }
    template = {
        "Conditions": {"Wanted": {"Fn::Equals": ["yes", "yes"]}},
        "Resources": {**chain, "Handle": handle},
    }
    assert stacks.create("metadata", template)["StackStatus"] == "CREATE_COMPLETE"
    events = stacks.cloudformation.describe_stack_events(StackName="metadata")["StackEvents"]
    complete = [
        event["LogicalResourceId"]
        for event in reversed(events)
        if event["ResourceStatus"] == "CREATE_COMPLETE"
    ]
    assert complete == ["First", "Second", "Third", "Handle", "metadata"]
