"""Reads the tags of the resources of the stack tree, each from the service that keeps them."""

from __future__ import annotations

from collections.abc import Callable

from verification.cloud import CloudError
from verification.platform import MissingError, Platform
from verification.stacks import NESTED, Resource, tag_map

Tags = dict[str, str]
Reader = Callable[[Platform, Resource], Tags]

# CloudFormation cannot tag these: they are parts of something, or have no tags at all.
UNTAGGABLE = {
    NESTED,  # test_stack_tags looks at these
    "AWS::ApplicationAutoScaling::ScalingPolicy",
    "AWS::Backup::BackupSelection",
    "AWS::Config::ConfigRule",
    "AWS::Config::ConfigurationRecorder",
    "AWS::Config::DeliveryChannel",
    "AWS::EC2::Route",
    "AWS::EC2::SecurityGroupEgress",
    "AWS::EC2::SecurityGroupIngress",
    "AWS::EC2::SubnetRouteTableAssociation",
    "AWS::EC2::VPCGatewayAttachment",
    "AWS::ECS::ClusterCapacityProviderAssociations",
    "AWS::IAM::ManagedPolicy",
    "AWS::IAM::Policy",
    "AWS::IAM::RolePolicy",
    "AWS::KMS::Alias",
    "AWS::Lambda::Permission",
    "AWS::Logs::MetricFilter",
    "AWS::Logs::ResourcePolicy",
    "AWS::S3::BucketPolicy",
    "AWS::SecretsManager::RotationSchedule",
    "AWS::SecretsManager::SecretTargetAttachment",
    "AWS::SNS::Subscription",
    "AWS::SNS::TopicPolicy",
    "AWS::WAFv2::LoggingConfiguration",
    "AWS::WAFv2::WebACLAssociation",
}


def _of_ec2(platform: Platform, resource: Resource) -> Tags:
    # One question for all of EC2 instead of one for each resource.
    ids = sorted(
        item.physical_id
        for stack in platform.stacks.values()
        for item in stack.resources
        if READERS.get(item.type) is _of_ec2
    )
    found = platform.cloud.every(
        "ec2", "describe_tags", "Tags", Filters=[{"Name": "resource-id", "Values": ids}]
    )
    return {
        item["Key"]: item["Value"] for item in found if item["ResourceId"] == resource.physical_id
    }


def _of_address(platform: Platform, resource: Resource) -> Tags:
    # CloudFormation names an elastic address by the address itself, its tags go by another id.
    found = platform.cloud.every(
        "ec2", "describe_addresses", "Addresses", PublicIps=[resource.physical_id]
    )
    return tag_map(found[0].get("Tags", []))


def _of_balancing(platform: Platform, resource: Resource) -> Tags:
    found = platform.cloud.get("elbv2", "describe_tags", ResourceArns=[resource.physical_id])
    return tag_map(found["TagDescriptions"][0]["Tags"])


def _of_rds(kind: str) -> Reader:
    def read(platform: Platform, resource: Resource) -> Tags:
        arn = platform.arn("rds", f"{kind}:{resource.physical_id}")
        found = platform.cloud.get("rds", "list_tags_for_resource", ResourceName=arn)
        return tag_map(found["TagList"])

    return read


def _of_key(platform: Platform, resource: Resource) -> Tags:
    found = platform.cloud.every("kms", "list_resource_tags", "Tags", KeyId=resource.physical_id)
    return {item["TagKey"]: item["TagValue"] for item in found}


def _of_role(platform: Platform, resource: Resource) -> Tags:
    found = platform.cloud.every("iam", "list_role_tags", "Tags", RoleName=resource.physical_id)
    return tag_map(found)


def _of_function(platform: Platform, resource: Resource) -> Tags:
    found = platform.cloud.get("lambda", "get_function", FunctionName=resource.physical_id)
    tags: Tags = found.get("Tags", {})
    return tags


def _of_log_group(platform: Platform, resource: Resource) -> Tags:
    arn = platform.arn("logs", f"log-group:{resource.physical_id}")
    tags: Tags = platform.cloud.get("logs", "list_tags_for_resource", resourceArn=arn)["tags"]
    return tags


def _of_secret(platform: Platform, resource: Resource) -> Tags:
    found = platform.cloud.get("secretsmanager", "describe_secret", SecretId=resource.physical_id)
    return tag_map(found.get("Tags", []))


def _of_topic(platform: Platform, resource: Resource) -> Tags:
    found = platform.cloud.get("sns", "list_tags_for_resource", ResourceArn=resource.physical_id)
    return tag_map(found["Tags"])


def _of_alarm(platform: Platform, resource: Resource) -> Tags:
    arn = platform.arn("cloudwatch", f"alarm:{resource.physical_id}")
    found = platform.cloud.get("cloudwatch", "list_tags_for_resource", ResourceARN=arn)
    return tag_map(found["Tags"])


def _of_dashboard(platform: Platform, resource: Resource) -> Tags:
    # Dashboards belong to no region.
    _, partition, _, _, account, _ = platform.root.stack_id.split(":", 5)
    arn = f"arn:{partition}:cloudwatch::{account}:dashboard/{resource.physical_id}"
    found = platform.cloud.get("cloudwatch", "list_tags_for_resource", ResourceARN=arn)
    return tag_map(found["Tags"])


def _of_bucket(platform: Platform, resource: Resource) -> Tags:
    try:
        found = platform.cloud.get("s3", "get_bucket_tagging", Bucket=resource.physical_id)
    except CloudError as error:
        if error.code == "NoSuchTagSet":
            return {}
        raise
    return tag_map(found["TagSet"])


def _of_ecs_cluster(platform: Platform, resource: Resource) -> Tags:
    return _of_ecs_arn(platform, platform.arn("ecs", f"cluster/{resource.physical_id}"))


def _of_ecs(platform: Platform, resource: Resource) -> Tags:
    return _of_ecs_arn(platform, resource.physical_id)


def _of_ecs_arn(platform: Platform, arn: str) -> Tags:
    found = platform.cloud.get("ecs", "list_tags_for_resource", resourceArn=arn)
    return {item["key"]: item["value"] for item in found["tags"]}


def _of_scalable_target(platform: Platform, resource: Resource) -> Tags:
    # The physical id is resource|dimension|namespace.
    name, dimension, namespace = resource.physical_id.split("|")
    target = platform.cloud.every(
        "application-autoscaling",
        "describe_scalable_targets",
        "ScalableTargets",
        ServiceNamespace=namespace,
        ResourceIds=[name],
        ScalableDimension=dimension,
    )[0]
    tags: Tags = platform.cloud.get(
        "application-autoscaling", "list_tags_for_resource", ResourceARN=target["ScalableTargetARN"]
    )["Tags"]
    return tags


def _of_web_acl(platform: Platform, resource: Resource) -> Tags:
    # The physical id is name|id|scope.
    name, acl_id, _scope = resource.physical_id.split("|")
    arn = platform.arn("wafv2", f"regional/webacl/{name}/{acl_id}")
    found = platform.cloud.get("wafv2", "list_tags_for_resource", ResourceARN=arn)
    return tag_map(found["TagInfoForResource"]["TagList"])


def _of_vault(platform: Platform, resource: Resource) -> Tags:
    return _of_backup(platform, f"backup-vault:{resource.physical_id}")


def _of_plan(platform: Platform, resource: Resource) -> Tags:
    return _of_backup(platform, f"backup-plan:{resource.physical_id}")


def _of_backup(platform: Platform, resource: str) -> Tags:
    arn = platform.arn("backup", resource)
    tags: Tags = platform.cloud.get("backup", "list_tags", ResourceArn=arn)["Tags"]
    return tags


def _of_parameter(platform: Platform, resource: Resource) -> Tags:
    found = platform.cloud.get(
        "ssm",
        "list_tags_for_resource",
        ResourceType="Parameter",
        ResourceId=resource.physical_id,
    )
    return tag_map(found["TagList"])


def _of_event_rule(platform: Platform, resource: Resource) -> Tags:
    arn = platform.arn("events", f"rule/{resource.physical_id}")
    found = platform.cloud.get("events", "list_tags_for_resource", ResourceARN=arn)
    return tag_map(found["Tags"])


READERS: dict[str, Reader] = {
    "AWS::Backup::BackupPlan": _of_plan,
    "AWS::Backup::BackupVault": _of_vault,
    "AWS::CloudWatch::Dashboard": _of_dashboard,
    "AWS::ApplicationAutoScaling::ScalableTarget": _of_scalable_target,
    "AWS::CloudWatch::Alarm": _of_alarm,
    "AWS::CloudWatch::CompositeAlarm": _of_alarm,
    "AWS::EC2::EIP": _of_address,
    "AWS::EC2::FlowLog": _of_ec2,
    "AWS::EC2::InternetGateway": _of_ec2,
    "AWS::EC2::NatGateway": _of_ec2,
    "AWS::EC2::NetworkAcl": _of_ec2,
    "AWS::EC2::RouteTable": _of_ec2,
    "AWS::EC2::SecurityGroup": _of_ec2,
    "AWS::EC2::Subnet": _of_ec2,
    "AWS::EC2::VPC": _of_ec2,
    "AWS::EC2::VPCEndpoint": _of_ec2,
    "AWS::ECS::Cluster": _of_ecs_cluster,
    "AWS::ECS::Service": _of_ecs,
    "AWS::ECS::TaskDefinition": _of_ecs,
    "AWS::ElasticLoadBalancingV2::Listener": _of_balancing,
    "AWS::ElasticLoadBalancingV2::LoadBalancer": _of_balancing,
    "AWS::ElasticLoadBalancingV2::TargetGroup": _of_balancing,
    "AWS::Events::Rule": _of_event_rule,
    "AWS::IAM::Role": _of_role,
    "AWS::KMS::Key": _of_key,
    "AWS::Lambda::Function": _of_function,
    "AWS::Logs::LogGroup": _of_log_group,
    "AWS::RDS::DBCluster": _of_rds("cluster"),
    "AWS::RDS::DBClusterParameterGroup": _of_rds("cluster-pg"),
    "AWS::RDS::DBInstance": _of_rds("db"),
    "AWS::RDS::DBParameterGroup": _of_rds("pg"),
    "AWS::RDS::DBSubnetGroup": _of_rds("subgrp"),
    "AWS::S3::Bucket": _of_bucket,
    "AWS::SecretsManager::Secret": _of_secret,
    "AWS::SNS::Topic": _of_topic,
    "AWS::SSM::Parameter": _of_parameter,
    "AWS::WAFv2::WebACL": _of_web_acl,
}


def taggable(platform: Platform) -> list[Resource]:
    """Return the resources of the stack tree that CloudFormation can tag.

    Raises:
        MissingError: the tree has a type of which this module does not know how it is tagged.
    """
    resources = [
        item
        for stack in platform.stacks.values()
        for item in stack.resources
        if item.type not in UNTAGGABLE
        and not item.type.startswith("Custom::")
        # What failed to be created has none, and another check says so.
        and item.physical_id
    ]
    unknown = sorted({item.type for item in resources} - set(READERS))
    if unknown:
        raise MissingError(
            f"verification/tags.py does not know how {', '.join(unknown)} is tagged: add it there."
        )
    return resources


def read_tags(platform: Platform, resource: Resource) -> Tags:
    """Return the tags that a service keeps for a resource of the stack tree."""
    return READERS[resource.type](platform, resource)
