"""Nested stacks behave as on AWS, seen through the API."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local_cloud.support import Client, Stacks, Template, child_of, eventually


def topic(name: Any, **attributes: Any) -> Template:
    return {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": name}, **attributes}


def queue(name: Any, **properties: Any) -> Template:
    return {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": name, **properties}}


# Refused when it is created, not before: there is no such handle.
FAILING: Template = {
    "Type": "AWS::CloudFormation::WaitCondition",
    "Properties": {"Handle": "no-handle", "Timeout": "1"},
}


def template(resources: dict[str, Any], **sections: Any) -> Template:
    return {"Resources": resources, **sections}


NAMED = template(
    {"Topic": topic({"Ref": "Name"})},
    Parameters={"Name": {"Type": "String"}},
    Outputs={
        "Arn": {
            "Value": {"Ref": "Topic"},
            "Export": {"Name": {"Fn::Sub": "${AWS::StackName}-Arn"}},
        }
    },
)


def test_a_child_is_a_stack_of_its_own(stacks: Stacks) -> None:
    url = stacks.upload(NAMED)
    root = stacks.create(
        "whole",
        template(
            {"Child": child_of(url, {"Name": "whole"})},
            Outputs={"Arn": {"Value": {"Fn::GetAtt": ["Child", "Outputs.Arn"]}}},
        ),
        Tags=[{"Key": "Environment", "Value": "dev"}],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    child = stacks.child("whole", "Child")
    assert root["StackStatus"] == "CREATE_COMPLETE"
    assert stacks.outputs("whole") == {"Arn": "arn:aws:sns:eu-west-1:111111111111:whole"}
    assert re.fullmatch(r"whole-Child-[A-Z0-9]{12,13}", child["StackName"])
    assert (child["ParentId"], child["RootId"]) == (root["StackId"], root["StackId"])
    assert "ParentId" not in root
    assert child["Tags"] == [{"Key": "Environment", "Value": "dev"}]
    assert child["Capabilities"] == ["CAPABILITY_NAMED_IAM"]
    assert stacks.exports()[f"{child['StackName']}-Arn"] == stacks.outputs("whole")["Arn"]
    assert ("Topic", "CREATE_COMPLETE") in stacks.events(child["StackId"])


def test_the_child_is_known_while_it_is_in_progress(stacks: Stacks) -> None:
    url = stacks.upload(NAMED)
    stacks.create("early", template({"Child": child_of(url, {"Name": "early"})}))
    ids = [
        event["PhysicalResourceId"]
        for event in stacks.raw_events("early")
        if (event["LogicalResourceId"], event["ResourceStatus"]) == ("Child", "CREATE_IN_PROGRESS")
    ]
    assert ids[-1] == stacks.child("early", "Child")["StackId"]


def test_a_grandchild_knows_parent_and_root(stacks: Stacks) -> None:
    middle = template(
        {"Leaf": child_of(stacks.upload(NAMED), {"Name": {"Ref": "Name"}})},
        Parameters={"Name": {"Type": "String"}},
        Outputs={"Arn": {"Value": {"Fn::GetAtt": ["Leaf", "Outputs.Arn"]}}},
    )
    root = stacks.create(
        "deep",
        template(
            {"Middle": child_of(stacks.upload(middle), {"Name": "deep"})},
            Outputs={"Arn": {"Value": {"Fn::GetAtt": ["Middle", "Outputs.Arn"]}}},
        ),
    )
    between = stacks.child("deep", "Middle")
    leaf = stacks.child(between["StackName"], "Leaf")
    assert (leaf["ParentId"], leaf["RootId"]) == (between["StackId"], root["StackId"])
    assert stacks.outputs("deep")["Arn"].endswith(":deep")
    stacks.delete("deep")
    assert stacks.describe(leaf["StackId"])["StackStatus"] == "DELETE_COMPLETE"


def test_stacks_of_other_accounts_and_regions_are_apart(stacks: Stacks, client: Client) -> None:
    url = stacks.upload(NAMED)
    stacks.create("apart", template({"Child": child_of(url, {"Name": "apart"})}))
    for region, account in (("eu-west-1", "222222222222"), ("us-east-1", "111111111111")):
        listed = client("cloudformation", region=region, account=account).list_stacks()
        assert not [s for s in listed["StackSummaries"] if s["StackName"].startswith("apart")]


def test_transforms_of_a_child_are_applied(stacks: Stacks) -> None:
    child = template(
        {
            "Fn::ForEach::Topics": [
                "Suffix",
                ["A", "B"],
                {"Topic${Suffix}": topic({"Fn::Sub": "loop-${Suffix}"})},
            ]
        },
        Transform="AWS::LanguageExtensions",
    )
    root = template({"Child": child_of(stacks.upload(child))})
    stacks.create("loop", root, Capabilities=["CAPABILITY_AUTO_EXPAND"])
    child_id = stacks.child("loop", "Child")["StackId"]
    assert stacks.resource(child_id, "TopicB")["PhysicalResourceId"].endswith(":loop-B")


def test_a_failing_child_is_told_in_the_parent_and_rolled_back(
    stacks: Stacks, client: Client
) -> None:
    broken = template({"Topic": topic("broken-child"), "Bad": {**FAILING, "DependsOn": "Topic"}})
    root = stacks.create(
        "broken",
        template(
            {
                "Before": topic("broken-before"),
                "Child": {**child_of(stacks.upload(broken)), "DependsOn": "Before"},
                "After": {**topic("broken-after"), "DependsOn": "Child"},
            }
        ),
    )
    assert root["StackStatus"] == "ROLLBACK_COMPLETE"
    failed = next(
        event for event in stacks.raw_events("broken") if event["ResourceStatus"] == "CREATE_FAILED"
    )
    child_id = failed["PhysicalResourceId"]
    assert failed["ResourceStatusReason"] == (
        f"Embedded stack {child_id} was not successfully created: "
        "The following resource(s) failed to create: [Bad]. "
    )
    assert stacks.reason("broken", "broken", "ROLLBACK_IN_PROGRESS") == (
        "The following resource(s) failed to create: [Child]. Rollback requested by user."
    )
    assert ("Bad", "CREATE_FAILED") in stacks.events(child_id)
    assert stacks.events(child_id)[-1][1] == "DELETE_COMPLETE"
    assert ("After", "CREATE_IN_PROGRESS") not in stacks.events("broken")
    topics = [t["TopicArn"] for t in client("sns").list_topics()["Topics"]]
    assert not [arn for arn in topics if ":broken-" in arn]


def test_without_rollback_the_failed_tree_stays(stacks: Stacks) -> None:
    broken = template({"Topic": topic("kept-child"), "Bad": {**FAILING, "DependsOn": "Topic"}})
    root = stacks.create(
        "kept", template({"Child": child_of(stacks.upload(broken))}), DisableRollback=True
    )
    assert root["StackStatus"] == "CREATE_FAILED"
    assert stacks.child("kept", "Child")["StackStatus"] == "CREATE_FAILED"
    assert stacks.delete("kept")["StackStatus"] == "DELETE_COMPLETE"


@pytest.mark.parametrize("policy", ["Retain", "RetainExceptOnCreate"])
def test_delete_keeps_what_the_child_retains(stacks: Stacks, client: Client, policy: str) -> None:
    name = f"keep-{policy.lower()}"
    child = template({"Topic": topic(name, DeletionPolicy=policy), "Other": topic(f"{name}-other")})
    stacks.create(name, template({"Child": child_of(stacks.upload(child))}))
    child_id = stacks.child(name, "Child")["StackId"]
    assert stacks.delete(name)["StackStatus"] == "DELETE_COMPLETE"
    assert ("Topic", "DELETE_SKIPPED") in stacks.events(child_id)
    arns = [t["TopicArn"].split(":")[-1] for t in client("sns").list_topics()["Topics"]]
    assert name in arns
    assert f"{name}-other" not in arns


@pytest.mark.parametrize(("policy", "stays"), [("Retain", True), ("RetainExceptOnCreate", False)])
def test_rollback_of_a_create_obeys_the_childs_policies(
    stacks: Stacks, client: Client, policy: str, stays: bool
) -> None:
    name = f"undo-{policy.lower()}"
    child = template({"Topic": topic(name, DeletionPolicy=policy)})
    stacks.create(
        name,
        template(
            {
                "Child": child_of(stacks.upload(child)),
                "Bad": {**FAILING, "DependsOn": "Child"},
            }
        ),
    )
    arns = [t["TopicArn"].split(":")[-1] for t in client("sns").list_topics()["Topics"]]
    assert (name in arns) is stays


def test_an_unchanged_child_is_no_failure(stacks: Stacks) -> None:
    url = stacks.upload(NAMED)
    child = child_of(url, {"Name": "same"})
    stacks.create("same", template({"Child": child}))
    root = stacks.update("same", template({"Child": child, "New": topic("same-new")}))
    assert root["StackStatus"] == "UPDATE_COMPLETE"
    assert stacks.child("same", "Child")["StackStatus"] == "CREATE_COMPLETE"
    assert ("New", "CREATE_COMPLETE") in stacks.events("same")


def test_an_update_reaches_the_child(stacks: Stacks, client: Client) -> None:
    url = stacks.upload(NAMED)
    outputs = {"Arn": {"Value": {"Fn::GetAtt": ["Child", "Outputs.Arn"]}}}
    stacks.create("move", template({"Child": child_of(url, {"Name": "old"})}, Outputs=outputs))
    child_id = stacks.child("move", "Child")["StackId"]
    root = stacks.update(
        "move", template({"Child": child_of(url, {"Name": "new"})}, Outputs=outputs)
    )
    assert root["StackStatus"] == "UPDATE_COMPLETE"
    assert stacks.outputs("move")["Arn"].endswith(":new")
    assert stacks.describe(child_id)["StackStatus"] == "UPDATE_COMPLETE"
    assert [status for name, status in stacks.events(child_id) if name == "Topic"][3:] == [
        "UPDATE_IN_PROGRESS",
        "UPDATE_IN_PROGRESS",
        "UPDATE_COMPLETE",
        "DELETE_IN_PROGRESS",
        "DELETE_COMPLETE",
    ]
    arns = [t["TopicArn"].split(":")[-1] for t in client("sns").list_topics()["Topics"]]
    assert "new" in arns
    assert "old" not in arns


def test_a_removed_child_is_deleted(stacks: Stacks) -> None:
    url = stacks.upload(NAMED)
    stacks.create(
        "less",
        template({"Child": child_of(url, {"Name": "less"}), "Topic": topic("less-own")}),
    )
    child_id = stacks.child("less", "Child")["StackId"]
    stacks.update("less", template({"Topic": topic("less-own")}))
    assert stacks.describe(child_id)["StackStatus"] == "DELETE_COMPLETE"


def test_a_failed_update_sends_every_child_back(stacks: Stacks, client: Client) -> None:
    url = stacks.upload(NAMED)
    settings = template(
        {
            "Queue": queue("back-queue", VisibilityTimeout={"Ref": "Timeout"}),
            "Leaf": child_of(url, {"Name": {"Fn::Sub": "back-leaf-${Timeout}"}}),
        },
        Parameters={"Timeout": {"Type": "Number"}},
    )
    middle = stacks.upload(settings)
    before = template(
        {"First": child_of(url, {"Name": "back-1"}), "Second": child_of(middle, {"Timeout": 10})}
    )
    stacks.create("back", before)
    first, second = (stacks.child("back", name)["StackId"] for name in ("First", "Second"))
    leaf = stacks.child(second, "Leaf")["StackId"]
    topic_before = stacks.resource(first, "Topic")["PhysicalResourceId"]
    after = template(
        {
            "First": child_of(url, {"Name": "back-2"}),
            "Second": child_of(middle, {"Timeout": 20}),
            "Added": child_of(url, {"Name": "back-added"}),
            "Bad": {**FAILING, "DependsOn": ["First", "Second", "Added"]},
        }
    )
    root = stacks.update("back", after)
    assert root["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    for child_id in (first, second, leaf):
        assert stacks.describe(child_id)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    parameters = {
        p["ParameterKey"]: p["ParameterValue"] for p in stacks.describe(second)["Parameters"]
    }
    assert parameters == {"Timeout": "10"}
    # What the children replaced was not deleted yet, so the old one is there, not a new one.
    assert stacks.resource(first, "Topic")["PhysicalResourceId"] == topic_before
    arns = {t["TopicArn"].split(":")[-1] for t in client("sns").list_topics()["Topics"]}
    assert {a for a in arns if a.startswith("back-")} == {"back-1", "back-leaf-10"}
    sqs = client("sqs")
    attributes = sqs.get_queue_attributes(
        QueueUrl=sqs.get_queue_url(QueueName="back-queue")["QueueUrl"],
        AttributeNames=["VisibilityTimeout"],
    )
    assert attributes["Attributes"]["VisibilityTimeout"] == "10"
    assert json.loads(json.dumps(_body(stacks, second))) == settings
    # A child has gone back before its parent says so.
    gone_back = stacks.raw_events(first)[-1]["Timestamp"]
    told = [e["Timestamp"] for e in stacks.raw_events("back") if e["LogicalResourceId"] == "First"]
    assert gone_back <= told[-1]
    # And the tree is whole: the same update without the failure goes through.
    del after["Resources"]["Bad"]
    assert stacks.update("back", after)["StackStatus"] == "UPDATE_COMPLETE"


def _body(stacks: Stacks, name: str) -> Any:
    body = stacks.cloudformation.get_template(StackName=name)["TemplateBody"]
    return json.loads(body) if isinstance(body, str) else body


def test_a_template_changed_at_its_address_is_seen_and_sent_back(stacks: Stacks) -> None:
    key = "always-the-same.json"
    url = f"https://s3.eu-west-1.amazonaws.com/{stacks.bucket}/{key}"

    def store(timeout: int) -> None:
        child = template({"Queue": queue("address", VisibilityTimeout=timeout)})
        stacks.s3.put_object(Bucket=stacks.bucket, Key=key, Body=json.dumps(child).encode())

    store(10)
    stacks.create("address", template({"Child": child_of(url)}))
    child_id = stacks.child("address", "Child")["StackId"]
    store(20)
    bad = {**FAILING, "DependsOn": "Child"}
    root = stacks.update("address", template({"Child": child_of(url), "Bad": bad}))
    assert root["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert stacks.describe(child_id)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert _timeout(stacks, child_id) == 10
    stacks.update("address", template({"Child": child_of(url), "New": topic("address-new")}))
    assert _timeout(stacks, child_id) == 20


def _timeout(stacks: Stacks, name: str) -> int:
    resources = _body(stacks, name)["Resources"]
    return int(resources["Queue"]["Properties"]["VisibilityTimeout"])


def test_a_child_that_fails_to_update_goes_back_by_itself(stacks: Stacks) -> None:
    good = template({"Topic": topic("half")})
    bad = template({"Topic": topic("half"), "Bad": FAILING})
    stacks.create("half", template({"Child": child_of(stacks.upload(good))}))
    child_id = stacks.child("half", "Child")["StackId"]
    root = stacks.update("half", template({"Child": child_of(stacks.upload(bad))}))
    assert root["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert stacks.describe(child_id)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert stacks.reason("half", "Child", "UPDATE_FAILED") == (
        f"Embedded stack {child_id} was not successfully updated. Currently in "
        "UPDATE_ROLLBACK_IN_PROGRESS with reason: "
        "The following resource(s) failed to create: [Bad]. "
    )


def test_a_failed_delete_of_a_child_shows(stacks: Stacks, client: Client) -> None:
    cluster = {
        "Type": "AWS::RDS::DBCluster",
        "DeletionPolicy": "Delete",
        "Properties": {
            "DBClusterIdentifier": "protected",
            "Engine": "aurora-postgresql",
            "MasterUsername": "master",
            "ManageMasterUserPassword": True,
            "DeletionProtection": True,
        },
    }
    child = template({"Cluster": cluster, "Topic": topic("protected")})
    stacks.create("protected", template({"Child": child_of(stacks.upload(child))}))
    child_id = stacks.child("protected", "Child")["StackId"]
    assert stacks.delete("protected")["StackStatus"] == "DELETE_FAILED"
    assert stacks.describe(child_id)["StackStatus"] == "DELETE_FAILED"
    assert stacks.reason("protected", "Child", "DELETE_FAILED") == (
        f"Embedded stack {child_id} was not successfully deleted: "
        "The following resource(s) failed to delete: [Cluster]."
    )
    client("rds").modify_db_cluster(DBClusterIdentifier="protected", DeletionProtection=False)
    assert stacks.delete("protected")["StackStatus"] == "DELETE_COMPLETE"


def test_independent_resources_are_made_side_by_side(stacks: Stacks) -> None:
    url = stacks.upload(NAMED)
    stacks.create(
        "wide",
        template(
            {
                "A": child_of(url, {"Name": "wide-a"}),
                "B": child_of(url, {"Name": "wide-b"}),
                "C": {**child_of(url, {"Name": "wide-c"}), "DependsOn": ["A", "B"]},
            }
        ),
    )
    events = [event for event in stacks.events("wide") if event[0] in "ABC"]
    starts = {name: events.index((name, "CREATE_IN_PROGRESS")) for name in "ABC"}
    ends = {name: events.index((name, "CREATE_COMPLETE")) for name in "ABC"}
    assert max(starts["A"], starts["B"]) < min(ends["A"], ends["B"])
    assert starts["C"] > max(ends["A"], ends["B"])


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        (
            "https://s3.eu-west-1.amazonaws.com/templates/none.json",
            "S3 error: The specified key does not exist.",
        ),
        (
            "https://s3.eu-west-1.amazonaws.com/no-such-bucket/none.json",
            "S3 error: The specified bucket does not exist",
        ),
        ("https://example.com/none.json", "TemplateURL must be a supported URL."),
        ("./vpc.yml", "TemplateURL must be a supported URL."),
    ],
)
def test_a_template_that_is_not_there_is_named(stacks: Stacks, url: str, sentence: str) -> None:
    name = f"lost-{abs(hash(url))}"
    root = stacks.create(name, template({"Child": child_of(url)}))
    assert root["StackStatus"] == "ROLLBACK_COMPLETE"
    assert stacks.reason(name, "Child", "CREATE_FAILED").startswith(sentence)


def test_both_forms_of_an_s3_address_work(stacks: Stacks) -> None:
    path_style = stacks.upload(NAMED)
    host_style = path_style.replace(
        "s3.eu-west-1.amazonaws.com/templates", "templates.s3.eu-west-1.amazonaws.com"
    )
    for number, url in enumerate((path_style, host_style)):
        name = f"address-{number}"
        root = stacks.create(name, template({"Child": child_of(url, {"Name": name})}))
        assert root["StackStatus"] == "CREATE_COMPLETE"


def test_a_missing_parameter_of_a_child_is_told(stacks: Stacks) -> None:
    root = stacks.create("gap", template({"Child": child_of(stacks.upload(NAMED))}))
    assert root["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "Name" in stacks.reason("gap", "Child", "CREATE_FAILED")


@pytest.mark.parametrize("kind", ["AWS::CloudFormation::Macro", "AWS::Made::Up"])
def test_an_unknown_type_fails_loudly(stacks: Stacks, kind: str) -> None:
    with pytest.raises(ClientError, match=f"Unrecognized resource types: \\[{kind}\\]"):
        stacks.create("unknown", template({"Odd": {"Type": kind}}))
    root = stacks.create(
        f"unknown-{kind[-2:].lower()}",
        template({"Child": child_of(stacks.upload(template({"Odd": {"Type": kind}})))}),
    )
    assert root["StackStatus"] == "ROLLBACK_COMPLETE"
    reason = stacks.reason(root["StackName"], "Child", "CREATE_FAILED")
    assert f"Unrecognized resource types: [{kind}]" in reason


def test_an_unknown_type_behind_a_macro_makes_no_placeholder(stacks: Stacks) -> None:
    # The types of a template with a macro of one's own are not known before it ran.
    odd = template({"Odd": {"Type": "AWS::CloudFormation::Macro"}}, Transform="OwnMacro")
    root = stacks.create("placeholder", odd, Capabilities=["CAPABILITY_AUTO_EXPAND"])
    assert root["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "AWS::CloudFormation::Macro" in stacks.reason("placeholder", "Odd", "CREATE_FAILED")


def test_an_export_name_is_taken_only_once(stacks: Stacks) -> None:
    child = template(
        {"Topic": topic({"Ref": "Name"})},
        Parameters={"Name": {"Type": "String"}},
        Outputs={"Arn": {"Value": {"Ref": "Topic"}, "Export": {"Name": "the-only-one"}}},
    )
    url = stacks.upload(child)
    stacks.create("one", template({"Child": child_of(url, {"Name": "one"})}))
    other = stacks.create("two", template({"Child": child_of(url, {"Name": "two"})}))
    assert other["StackStatus"] == "ROLLBACK_COMPLETE"
    assert stacks.exports()["the-only-one"].endswith(":one")
    stacks.delete("one")
    assert "the-only-one" not in stacks.exports()


def test_an_imported_export_can_neither_change_nor_go(stacks: Stacks) -> None:
    def exporting(name: str, **outputs: Any) -> Template:
        return template({"Topic": topic(name)}, Outputs=outputs)

    out = {"Arn": {"Value": {"Ref": "Topic"}, "Export": {"Name": "lent"}}}
    stacks.create("lender", exporting("lent-1", **out))
    stacks.create(
        "borrower",
        template(
            {"Topic": topic("borrower")},
            Outputs={"Lent": {"Value": {"Fn::ImportValue": "lent"}}},
        ),
    )
    for changed in (exporting("lent-2", **out), exporting("lent-1")):
        assert stacks.update("lender", changed)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert stacks.exports()["lent"].endswith(":lent-1")


def test_rollback_complete_can_only_be_deleted(stacks: Stacks) -> None:
    stacks.create("stuck", template({"Bad": FAILING}))
    body = json.dumps(template({"Topic": topic("stuck")}))
    with pytest.raises(ClientError, match="already exists"):
        stacks.cloudformation.create_stack(StackName="stuck", TemplateBody=body)
    with pytest.raises(ClientError, match="is in ROLLBACK_COMPLETE state and can not be updated"):
        stacks.cloudformation.update_stack(StackName="stuck", TemplateBody=body)
    stacks.delete("stuck")
    assert stacks.create("stuck", json.loads(body))["StackStatus"] == "CREATE_COMPLETE"


def test_a_tree_without_rollback_is_rolled_back_later(stacks: Stacks) -> None:
    good = template({"Queue": queue("later", VisibilityTimeout=10)})
    bad = template({"Queue": queue("later", VisibilityTimeout=20), "Bad": FAILING})
    stacks.create("later", template({"Child": child_of(stacks.upload(good))}))
    child_id = stacks.child("later", "Child")["StackId"]
    root = stacks.update(
        "later", template({"Child": child_of(stacks.upload(bad))}), DisableRollback=True
    )
    assert root["StackStatus"] == "UPDATE_FAILED"
    assert stacks.describe(child_id)["StackStatus"] == "UPDATE_FAILED"
    stacks.cloudformation.rollback_stack(StackName="later")
    assert stacks.settled("later")["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert stacks.describe(child_id)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"


SIGNALLED: Template = {
    "Type": "AWS::CloudFormation::WaitCondition",
    "CreationPolicy": {"ResourceSignal": {"Count": 1, "Timeout": "PT1M"}},
    "DependsOn": "Child",
}


def _fail_rollback_of_child(stacks: Stacks, client: Client, name: str) -> str:
    """Update a child, take its resource away, fail the update; return the child's id."""
    urls = []
    for protection in (True, False):
        properties = {"GlobalClusterIdentifier": name, "Engine": "aurora-postgresql"}
        cluster = {
            "Type": "AWS::RDS::GlobalCluster",
            "Properties": {**properties, "DeletionProtection": protection},
        }
        urls.append(stacks.upload(template({"Cluster": cluster})))
    stacks.create(name, template({"Child": child_of(urls[0])}))
    after = template({"Child": child_of(urls[1]), "Signalled": SIGNALLED})
    stacks.cloudformation.update_stack(StackName=name, TemplateBody=json.dumps(after))
    waiting = ("Signalled", "CREATE_IN_PROGRESS")
    eventually(lambda: stacks.events(name), lambda events: waiting in events)
    client("rds").delete_global_cluster(GlobalClusterIdentifier=name)
    stacks.cloudformation.signal_resource(
        StackName=name, LogicalResourceId="Signalled", UniqueId="1", Status="FAILURE"
    )
    root = stacks.settled(name)
    child_id = stacks.child(name, "Child")["StackId"]
    assert root["StackStatus"] == "UPDATE_ROLLBACK_FAILED"
    assert stacks.describe(child_id)["StackStatus"] == "UPDATE_ROLLBACK_FAILED"
    return str(child_id)


def test_a_failed_rollback_of_a_child_can_be_continued(stacks: Stacks, client: Client) -> None:
    child_id = _fail_rollback_of_child(stacks, client, "resume")
    client("rds").create_global_cluster(
        GlobalClusterIdentifier="resume", Engine="aurora-postgresql"
    )
    stacks.cloudformation.continue_update_rollback(StackName="resume")
    assert stacks.settled("resume")["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert stacks.describe(child_id)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"


def test_a_resource_of_a_child_can_be_skipped(stacks: Stacks, client: Client) -> None:
    child_id = _fail_rollback_of_child(stacks, client, "skip")
    with pytest.raises(ClientError, match="is not nested in this stack"):
        stacks.cloudformation.continue_update_rollback(
            StackName="skip", ResourcesToSkip=["resume.Cluster"]
        )
    name = stacks.describe(child_id)["StackName"]
    stacks.cloudformation.continue_update_rollback(
        StackName="skip", ResourcesToSkip=[f"{name}.Cluster"]
    )
    assert stacks.settled("skip")["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert stacks.describe(child_id)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"


def test_unchanged_resources_make_no_events(stacks: Stacks) -> None:
    stacks.create("calm", template({"A": topic("calm-a"), "B": queue("calm-b")}))
    stacks.update(
        "calm", template({"A": topic("calm-a"), "B": queue("calm-b", VisibilityTimeout=5)})
    )
    updated = {name for name, status in stacks.events("calm") if status == "UPDATE_COMPLETE"}
    assert updated == {"B", "calm"}
    assert stacks.resource("calm", "A")["ResourceStatus"] == "CREATE_COMPLETE"
