"""Sabotage of the stacks, their exports and the tags."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial

from tests.e2e.sabotages.victim import Victim, sabotage

noticed_by = partial(sabotage, on="prod")


@noticed_by("stack::test_termination_protection", stacks=True)
def stack_is_protected_otherwise(victim: Victim) -> Iterator[str]:
    cloudformation, wanted = victim.client("cloudformation"), victim.target.inventory == "prod"
    for on in (not wanted, wanted):
        cloudformation.update_termination_protection(
            StackName=victim.prefix, EnableTerminationProtection=on
        )
        if on != wanted:
            yield f"is {on}"


@noticed_by("stack::test_no_other_export_has_the_name_of_the_stack")
def a_stranger_exports_by_our_name(victim: Victim) -> Iterator[str]:
    cloudformation, name = victim.client("cloudformation"), f"{victim.prefix}-Stranger"
    template = {
        "Resources": {"Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"}},
        "Outputs": {"Stranger": {"Value": "x", "Export": {"Name": name}}},
    }
    cloudformation.create_stack(StackName="stranger", TemplateBody=json.dumps(template))
    cloudformation.get_waiter("stack_create_complete").wait(
        StackName="stranger", WaiterConfig={"Delay": 1}
    )
    yield name
    cloudformation.delete_stack(StackName="stranger")


@noticed_by("stack::test_tags_of_every_taggable_resource")
def subnet_loses_a_tag(victim: Victim) -> Iterator[str]:
    tag = {"Resources": [victim.subnets("Private")[0]], "Tags": [{"Key": "CostCenter"}]}
    found = victim.ec2.describe_subnets(SubnetIds=tag["Resources"])["Subnets"][0]["Tags"]
    [before] = [item for item in found if item["Key"] == "CostCenter"]
    victim.ec2.delete_tags(**tag)
    yield "PaymentPrivateSubnet1"
    victim.ec2.create_tags(Resources=tag["Resources"], Tags=[before])


@noticed_by("network::test_network_parts_carry_names")
def subnet_loses_its_name(victim: Victim) -> Iterator[str]:
    subnet = victim.subnets("Public")[0]
    found = victim.ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["Tags"]
    [before] = [item for item in found if item["Key"] == "Name"]
    victim.ec2.delete_tags(Resources=[subnet], Tags=[{"Key": "Name"}])
    yield subnet
    victim.ec2.create_tags(Resources=[subnet], Tags=[before])


@noticed_by("stack::test_tags_of_every_taggable_resource")
def database_belongs_to_somebody_else(victim: Victim) -> Iterator[str]:
    arn = victim.rds.describe_db_clusters()["DBClusters"][0]["DBClusterArn"]
    found = victim.rds.list_tags_for_resource(ResourceName=arn)["TagList"]
    [before] = [item for item in found if item["Key"] == "Owner"]
    for tag in ({"Key": "Owner", "Value": "nobody"}, before):
        victim.rds.add_tags_to_resource(ResourceName=arn, Tags=[tag])
        if tag is not before:
            yield "PaymentDBCluster"


@noticed_by("stack::test_name_tags_tell_application_and_environment")
def key_goes_by_another_name(victim: Victim) -> Iterator[str]:
    kms, key = victim.client("kms"), victim.outputs["DataKeyArn"].rpartition("/")[2]
    found = kms.list_resource_tags(KeyId=key)["Tags"]
    [before] = [item for item in found if item["TagKey"] == "Name"]
    for tag in ({"TagKey": "Name", "TagValue": "mine"}, before):
        kms.tag_resource(KeyId=key, Tags=[tag])
        if tag is not before:
            yield "PaymentDataKey"


@noticed_by("stack::test_tags_of_every_taggable_resource", lasting=True)
def topic_is_deleted(victim: Victim) -> Iterator[str]:
    victim.client("sns").delete_topic(TopicArn=victim.outputs["AlarmTopicArn"])
    yield "PaymentAlarmTopic"


@noticed_by("security::test_keys_go_by_their_names", lasting=True)
def alias_is_deleted(victim: Victim) -> Iterator[str]:
    alias = f"alias/{victim.prefix}-logs"
    victim.client("kms").delete_alias(AliasName=alias)
    yield alias
