"""Sabotage of groups, keys, roles, buckets and functions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from tests.e2e.sabotages.victim import Victim, sabotage

noticed_by = partial(sabotage, on="dev")

ALL = "0.0.0.0/0"
STRANGER = "arn:aws:iam::999999999999:root"


def opening(
    peer: str, first: int, last: int | None = None, protocol: str = "tcp"
) -> dict[str, Any]:
    """A rule of a security group, for an address range or another group."""
    ports = {"FromPort": first, "ToPort": last or first} if protocol != "-1" else {}
    kind = (
        {"IpRanges": [{"CidrIp": peer}]}
        if "/" in peer
        else {"UserIdGroupPairs": [{"GroupId": peer}]}
    )
    return {"IpProtocol": protocol, **ports, **kind}


@contextmanager
def let_in(victim: Victim, group: str, rule: dict[str, Any]) -> Iterator[None]:
    """Let somebody into a group for a while."""
    victim.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
    yield
    victim.ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[rule])


@contextmanager
def let_out(victim: Victim, group: str, rule: dict[str, Any]) -> Iterator[None]:
    """Let a group out somewhere for a while."""
    victim.ec2.authorize_security_group_egress(GroupId=group, IpPermissions=[rule])
    yield
    victim.ec2.revoke_security_group_egress(GroupId=group, IpPermissions=[rule])


def default_group(victim: Victim) -> str:
    """The id of the default security group."""
    groups = victim.in_vpc("describe_security_groups", "SecurityGroups")
    return next(item["GroupId"] for item in groups if item["GroupName"] == "default")


# --- Groups -------------------------------------------------------------------------------------


@noticed_by(
    "reachability::test_groups_reach_each_other_as_planned_and_nobody_else",
    "reachability::test_the_internet_comes_only_through",
)
def database_is_open_to_the_world(victim: Victim) -> Iterator[str]:
    with let_in(victim, victim.outputs["DatabaseSecurityGroupId"], opening(ALL, 5432)):
        yield "internet -> database"


@noticed_by(
    "security::test_only_the_service_and_the_rotation_reach_the_database",
    "security::test_no_other_security_group_is_open_to_the_internet",
)
def database_takes_the_worlds_addresses(victim: Victim) -> Iterator[str]:
    with let_in(victim, victim.outputs["DatabaseSecurityGroupId"], opening(ALL, 5432)):
        yield "tcp 5432 with 0.0.0.0/0"


@noticed_by(
    "reachability::test_groups_reach_each_other_as_planned_and_nobody_else",
    "reachability::test_the_internet_comes_only_through",
)
def tasks_are_open_to_the_world_by_ssh(victim: Victim) -> Iterator[str]:
    with let_in(victim, victim.outputs["ServiceSecurityGroupId"], opening(ALL, 22)):
        yield "internet -> service"


@noticed_by("security::test_only_the_load_balancer_reaches_the_service")
def tasks_take_ssh(victim: Victim) -> Iterator[str]:
    with let_in(victim, victim.outputs["ServiceSecurityGroupId"], opening("10.0.0.0/8", 22)):
        yield "tcp 22 with 10.0.0.0/8"


@noticed_by(
    "security::test_the_internet_reaches_the_load_balancer_on_http_and_https",
    "reachability::test_groups_reach_each_other_as_planned_and_nobody_else",
)
def load_balancer_takes_another_port(victim: Victim) -> Iterator[str]:
    with let_in(victim, victim.outputs["LoadBalancerSecurityGroupId"], opening(ALL, 8443)):
        yield "tcp 8443"


@noticed_by("security::test_nobody_else_reaches_the_load_balancer")
def load_balancer_takes_a_neighbour(victim: Victim) -> Iterator[str]:
    group = victim.outputs["LoadBalancerSecurityGroupId"]
    with let_in(victim, group, opening("10.99.0.0/16", 8080)):
        yield "10.99.0.0/16"


@noticed_by(
    "security::test_the_service_leaves_only_by_tls_and_to_the_database",
    "reachability::test_groups_reach_each_other_as_planned_and_nobody_else",
)
def tasks_may_leave_by_every_port(victim: Victim) -> Iterator[str]:
    rule = opening(ALL, 0, protocol="-1")
    with let_out(victim, victim.outputs["ServiceSecurityGroupId"], rule):
        yield "all traffic"


@noticed_by(
    "security::test_the_database_reaches_nobody",
    "reachability::test_only_the_service_gets_out",
    "reachability::test_nothing_leads_on_from",
)
def database_may_leave(victim: Victim) -> Iterator[str]:
    with let_out(victim, victim.outputs["DatabaseSecurityGroupId"], opening(ALL, 443)):
        yield "database"


@noticed_by("network::test_interface_endpoints_answer_only_the_platform")
def endpoints_answer_the_whole_vpc(victim: Victim) -> Iterator[str]:
    block = victim.outputs["VpcCidr"]
    with let_in(victim, victim.outputs["VpcEndpointSecurityGroupId"], opening(block, 443)):
        yield block


@noticed_by(
    "security::test_the_rotation_reaches_only_the_database_and_secrets",
    "reachability::test_only_the_service_gets_out",
)
def rotation_may_leave(victim: Victim) -> Iterator[str]:
    with let_out(victim, victim.outputs["RotationSecurityGroupId"], opening(ALL, 443)):
        yield "rotation"


@contextmanager
def cut_off(victim: Victim) -> Iterator[None]:
    """Take the load balancer's way to the service for a while."""
    group = victim.outputs["LoadBalancerSecurityGroupId"]
    filters = [{"Name": "group-id", "Values": [group]}]
    found = victim.ec2.describe_security_group_rules(Filters=filters)["SecurityGroupRules"]
    [rule] = [item for item in found if item["IsEgress"] and "ReferencedGroupInfo" in item]
    victim.ec2.revoke_security_group_egress(
        GroupId=group, SecurityGroupRuleIds=[rule["SecurityGroupRuleId"]]
    )
    yield
    before = opening(rule["ReferencedGroupInfo"]["GroupId"], rule["FromPort"])
    victim.ec2.authorize_security_group_egress(GroupId=group, IpPermissions=[before])


@noticed_by("security::test_the_load_balancer_reaches_only_the_service")
def load_balancer_may_not_reach_the_service(victim: Victim) -> Iterator[str]:
    with cut_off(victim):
        yield "The load balancer lets out none"


@noticed_by(
    "reachability::test_groups_reach_each_other_as_planned_and_nobody_else",
    "reachability::test_the_internet_comes_only_through",
)
def internet_does_not_come_to_the_service(victim: Victim) -> Iterator[str]:
    with cut_off(victim):
        yield "service"


@noticed_by("network::test_default_security_group_is_closed")
def default_group_is_opened(victim: Victim) -> Iterator[str]:
    with let_in(victim, default_group(victim), opening(ALL, 22)):
        yield "tcp 22 with 0.0.0.0/0"


@noticed_by("reachability::test_only_the_planned_groups_come_to_the_database")
def another_group_comes_to_the_database(victim: Victim) -> Iterator[str]:
    group = victim.ec2.create_security_group(
        GroupName="bastion", Description="Nobody planned it", VpcId=victim.outputs["VpcId"]
    )["GroupId"]
    with let_in(victim, victim.outputs["DatabaseSecurityGroupId"], opening(group, 5432)):
        yield "bastion"
    victim.ec2.delete_security_group(GroupId=group)


@noticed_by("reachability::test_interfaces_carry_the_groups_of_their_tier")
def a_stranger_wears_the_group_of_the_service(victim: Victim) -> Iterator[str]:
    made = victim.ec2.create_network_interface(
        SubnetId=victim.subnets("Public")[0], Groups=[victim.outputs["ServiceSecurityGroupId"]]
    )["NetworkInterface"]["NetworkInterfaceId"]
    yield made
    victim.ec2.delete_network_interface(NetworkInterfaceId=made)


# --- Keys ---------------------------------------------------------------------------------------


@noticed_by("security::test_keys_are_rotated")
def key_is_not_rotated(victim: Victim) -> Iterator[str]:
    key = victim.outputs["DataKeyArn"].rpartition("/")[2]
    victim.client("kms").disable_key_rotation(KeyId=key)
    yield key
    victim.client("kms").enable_key_rotation(KeyId=key)


@noticed_by("security::test_keys_are_enabled")
def key_is_disabled(victim: Victim) -> Iterator[str]:
    key = victim.outputs["LogsKeyArn"].rpartition("/")[2]
    victim.client("kms").disable_key(KeyId=key)
    yield key
    victim.client("kms").enable_key(KeyId=key)


@contextmanager
def key_policy(victim: Victim, change: dict[str, Any]) -> Iterator[str]:
    """Add a statement to the policy of the data key for a while; gives the key's id."""
    kms, key = victim.client("kms"), victim.outputs["DataKeyArn"].rpartition("/")[2]
    before = kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"]
    policy = json.loads(before)
    policy["Statement"].append({"Sid": "Sabotage", "Effect": "Allow", "Resource": "*", **change})
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(policy))
    yield key
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=before)


@noticed_by(
    "security::test_key_policies_grant_only_the_account_and_its_services",
    "security::test_keys_are_used_only_through_services",
)
def key_is_given_to_everybody(victim: Victim) -> Iterator[str]:
    with key_policy(victim, {"Principal": "*", "Action": "kms:Decrypt"}):
        yield "Sabotage"


@noticed_by("security::test_keys_are_used_only_through_services")
def key_is_used_without_a_service(victim: Victim) -> Iterator[str]:
    account = victim.outputs["DataKeyArn"].split(":")[4]
    who = {"AWS": f"arn:aws:iam::{account}:root"}
    with key_policy(victim, {"Principal": who, "Action": "kms:*"}):
        yield "kms:*"


@noticed_by("security::test_key_policies_refuse_grants_to_others")
def key_can_be_given_away(victim: Victim) -> Iterator[str]:
    kms, key = victim.client("kms"), victim.outputs["DataKeyArn"].rpartition("/")[2]
    before = kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"]
    kept = [item for item in json.loads(before)["Statement"] if item["Effect"] == "Allow"]
    kms.put_key_policy(
        KeyId=key,
        PolicyName="default",
        Policy=json.dumps({"Version": "2012-10-17", "Statement": kept}),
    )
    yield key
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=before)


@noticed_by("security::test_keys_go_by_their_names")
def alias_leads_to_another_key(victim: Victim) -> Iterator[str]:
    kms, alias = victim.client("kms"), f"alias/{victim.prefix}-data"
    other = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.update_alias(AliasName=alias, TargetKeyId=other)
    yield alias
    kms.update_alias(AliasName=alias, TargetKeyId=victim.outputs["DataKeyArn"].rpartition("/")[2])


# --- Roles --------------------------------------------------------------------------------------


@contextmanager
def task_role(victim: Victim, statement: dict[str, Any]) -> Iterator[None]:
    """Give the task's role a policy more for a while."""
    role = victim.outputs["TaskRoleArn"].rpartition("/")[2]
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]}
    victim.iam.put_role_policy(
        RoleName=role, PolicyName="sabotage", PolicyDocument=json.dumps(policy)
    )
    yield
    victim.iam.delete_role_policy(RoleName=role, PolicyName="sabotage")


@noticed_by(
    "roles::test_roles_may_do_exactly_what_they_are_for",
    "roles::test_boundary_leaves_roles_what_they_need",
    "roles::test_roles_work_only_in_their_environment",
    "roles::test_roles_name_what_they_work_on",
)
def task_may_write_everywhere(victim: Victim) -> Iterator[str]:
    with task_role(victim, {"Action": "dynamodb:PutItem", "Resource": "*"}):
        yield "PaymentTaskRole"


@noticed_by("roles::test_no_role_may_do_everything")
def task_may_do_everything(victim: Victim) -> Iterator[str]:
    with task_role(victim, {"Action": "*", "Resource": "*"}):
        yield "PaymentTaskRole"


@noticed_by("roles::test_roles_read_only_their_own_secret")
def task_may_read_every_secret(victim: Victim) -> Iterator[str]:
    with task_role(victim, {"Action": "secretsmanager:GetSecretValue", "Resource": "*"}):
        yield "PaymentTaskRole"


@noticed_by("roles::test_roles_use_keys_only_through_services")
def task_may_decrypt_by_itself(victim: Victim) -> Iterator[str]:
    with task_role(victim, {"Action": "kms:Decrypt", "Resource": victim.outputs["DataKeyArn"]}):
        yield "PaymentTaskRole"


@noticed_by(
    "roles::test_roles_may_do_exactly_what_they_are_for",
    "roles::test_somebody_may_read_the_secret_for_the_task",
)
def task_may_not_read_its_secret(victim: Victim) -> Iterator[str]:
    arns = [victim.outputs["TaskRoleArn"]]
    task = victim.client("ecs").describe_task_definition(
        taskDefinition=victim.outputs["TaskDefinitionArn"]
    )["taskDefinition"]
    arns.append(task["executionRoleArn"])
    before = []
    for arn in arns:
        role = arn.rpartition("/")[2]
        for name in victim.iam.list_role_policies(RoleName=role)["PolicyNames"]:
            policy = victim.iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
            before.append(
                {"RoleName": role, "PolicyName": name, "PolicyDocument": json.dumps(policy)}
            )
            kept = [item for item in policy["Statement"] if item.get("Sid") != "ReadSecret"]
            victim.iam.put_role_policy(
                RoleName=role,
                PolicyName=name,
                PolicyDocument=json.dumps({**policy, "Statement": kept}),
            )
    yield "secret"
    for policy in before:
        victim.iam.put_role_policy(**policy)


@noticed_by("roles::test_roles_have_the_permissions_boundary")
def role_loses_its_boundary(victim: Victim) -> Iterator[str]:
    role = victim.outputs["TaskRoleArn"].rpartition("/")[2]
    arn = victim.iam.get_role(RoleName=role)["Role"]["PermissionsBoundary"][
        "PermissionsBoundaryArn"
    ]
    victim.iam.delete_role_permissions_boundary(RoleName=role)
    yield "PaymentTaskRole"
    victim.iam.put_role_permissions_boundary(RoleName=role, PermissionsBoundary=arn)


@noticed_by("roles::test_boundary_forbids_changing_identities")
def boundary_is_widened(victim: Victim) -> Iterator[str]:
    role = victim.outputs["TaskRoleArn"].rpartition("/")[2]
    arn = victim.iam.get_role(RoleName=role)["Role"]["PermissionsBoundary"][
        "PermissionsBoundaryArn"
    ]
    version = victim.iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    before = victim.iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]
    wide = {
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"},
    }
    for document in (wide, before["Document"]):
        victim.iam.create_policy_version(
            PolicyArn=arn, PolicyDocument=json.dumps(document), SetAsDefault=True
        )
        if document is wide:
            yield "boundary"


@noticed_by("roles::test_roles_are_taken_only_by_their_service")
def role_is_taken_by_a_stranger(victim: Victim) -> Iterator[str]:
    role = victim.outputs["TaskRoleArn"].rpartition("/")[2]
    before = victim.iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
    more = {"Effect": "Allow", "Principal": {"AWS": STRANGER}, "Action": "sts:AssumeRole"}
    wide = {**before, "Statement": [*before["Statement"], more]}
    victim.iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(wide))
    yield STRANGER
    victim.iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(before))


@noticed_by("roles::test_roles_have_exactly_the_planned_policies_of_aws")
def role_becomes_an_administrator(victim: Victim) -> Iterator[str]:
    policy = {
        "RoleName": victim.outputs["TaskRoleArn"].rpartition("/")[2],
        "PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess",
    }
    victim.iam.attach_role_policy(**policy)
    yield "AdministratorAccess"
    victim.iam.detach_role_policy(**policy)


# --- Buckets, topic and log groups --------------------------------------------------------------


@noticed_by("security::test_buckets_block_public_access")
def bucket_may_become_public(victim: Victim) -> Iterator[str]:
    s3, name = victim.client("s3"), victim.outputs["AccessLogsBucketName"]
    before = s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]
    s3.delete_public_access_block(Bucket=name)
    yield name
    s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=before)


@contextmanager
def bucket_policy(victim: Victim, sid: str = "", **more: Any) -> Iterator[str]:
    """Take a statement from the policy of the log bucket, or add one, for a while."""
    s3, name = victim.client("s3"), victim.outputs["AccessLogsBucketName"]
    before = s3.get_bucket_policy(Bucket=name)["Policy"]
    policy = json.loads(before)
    policy["Statement"] = [item for item in policy["Statement"] if item["Sid"] != sid]
    if more:
        place = f"arn:aws:s3:::{name}/*"
        policy["Statement"].append(
            {"Sid": "Sabotage", "Effect": "Allow", "Resource": place, **more}
        )
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps(policy))
    yield name
    s3.put_bucket_policy(Bucket=name, Policy=before)


@noticed_by("security::test_buckets_refuse_plain_http")
def bucket_answers_without_tls(victim: Victim) -> Iterator[str]:
    with bucket_policy(victim, "RefusePlainText") as name:
        yield name


@noticed_by("security::test_load_balancer_may_write_its_logs")
def logs_are_refused_by_the_bucket(victim: Victim) -> Iterator[str]:
    with bucket_policy(victim, "DeliverLogs") as name:
        yield name


@noticed_by("security::test_buckets_are_granted_to_services_only")
def bucket_is_granted_to_a_stranger(victim: Victim) -> Iterator[str]:
    with bucket_policy(victim, Principal={"AWS": STRANGER}, Action="s3:GetObject"):
        yield STRANGER


@noticed_by("security::test_buckets_keep_versions_and_own_their_objects")
def bucket_keeps_no_versions(victim: Victim) -> Iterator[str]:
    s3, name = victim.client("s3"), victim.outputs["AccessLogsBucketName"]
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Suspended"})
    yield name
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})


@noticed_by("security::test_access_logs_are_kept_as_planned")
def access_logs_are_soon_deleted(victim: Victim) -> Iterator[str]:
    s3, name = victim.client("s3"), victim.outputs["AccessLogsBucketName"]
    before = s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
    rules = [{**item, "Expiration": {"Days": 1}} for item in before]
    s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": rules})
    yield name
    s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": before})


@noticed_by("security::test_alarm_topic_is_encrypted_with_a_key_of_the_platform")
def topic_is_not_encrypted(victim: Victim) -> Iterator[str]:
    sns, topic = victim.client("sns"), victim.outputs["AlarmTopicArn"]
    key = sns.get_topic_attributes(TopicArn=topic)["Attributes"]["KmsMasterKeyId"]
    for value in ("", key):
        sns.set_topic_attributes(
            TopicArn=topic, AttributeName="KmsMasterKeyId", AttributeValue=value
        )
        if not value:
            yield "alarm topic"


@noticed_by("security::test_alarms_may_publish_to_the_topic")
def alarms_may_not_publish(victim: Victim) -> Iterator[str]:
    sns, topic = victim.client("sns"), victim.outputs["AlarmTopicArn"]
    before = sns.get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"]
    policy = before.replace("cloudwatch.amazonaws.com", "s3.amazonaws.com")
    for new in (policy, before):
        sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=new)
        if new == policy:
            yield "CloudWatch may not publish"


@noticed_by(
    "security::test_alarm_topic_refuses_plain_http",
    "security::test_only_services_of_the_account_publish_to_the_topic",
)
def topic_takes_messages_of_anybody(victim: Victim) -> Iterator[str]:
    sns, topic = victim.client("sns"), victim.outputs["AlarmTopicArn"]
    before = sns.get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"]
    anybody = {
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": "sns:Publish",
        "Resource": topic,
    }
    wide = json.dumps({"Version": "2012-10-17", "Statement": [anybody]})
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=wide)
    yield "alarm topic takes messages"
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=before)


@noticed_by(
    "security::test_log_groups_are_encrypted_and_kept_as_planned",
    "service::test_containers_log_to_an_encrypted_group",
)
def logs_of_the_service_are_soon_deleted(victim: Victim) -> Iterator[str]:
    logs, name = victim.client("logs"), victim.outputs["ServiceLogGroupName"]
    found = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"][0]
    logs.put_retention_policy(logGroupName=name, retentionInDays=1)
    yield name
    logs.put_retention_policy(logGroupName=name, retentionInDays=found["retentionInDays"])


# --- Functions ----------------------------------------------------------------------------------


def closing(victim: Victim) -> str:
    """The name of the function that closes the default security group."""
    return victim.resource("PaymentVPCStack", "PaymentDefaultSecurityGroupFunction")


@contextmanager
def function(victim: Victim, name: str, before: dict[str, Any], **change: Any) -> Iterator[None]:
    """Change a function for a while, from what it is before."""
    client = victim.client("lambda")
    for fields in (change, before):
        client.update_function_configuration(FunctionName=name, **fields)
        client.get_waiter("function_active_v2").wait(
            FunctionName=name, WaiterConfig={"Delay": 0.2, "MaxAttempts": 100}
        )
        if fields is change:
            yield


@noticed_by("functions::test_functions_are_started_by_services_only")
def function_is_started_by_anybody(victim: Victim) -> Iterator[str]:
    statement = {"FunctionName": closing(victim), "StatementId": "sabotage"}
    victim.client("lambda").add_permission(
        **statement, Action="lambda:InvokeFunction", Principal="*"
    )
    yield "PaymentDefaultSecurityGroupFunction"
    victim.client("lambda").remove_permission(**statement)


@noticed_by("functions::test_functions_have_no_address")
def function_gets_an_address(victim: Victim) -> Iterator[str]:
    name = closing(victim)
    victim.client("lambda").create_function_url_config(FunctionName=name, AuthType="NONE")
    yield "PaymentDefaultSecurityGroupFunction"
    victim.client("lambda").delete_function_url_config(FunctionName=name)


def configuration(victim: Victim, name: str, field: str) -> dict[str, Any]:
    """One field of a function's configuration."""
    found = victim.client("lambda").get_function_configuration(FunctionName=name)
    return {field: found[field]}


@noticed_by(
    "functions::test_functions_are_ready", "declared::test_values_are_those_that_were_deployed"
)
def function_runs_an_old_python(victim: Victim) -> Iterator[str]:
    name = closing(victim)
    with function(victim, name, configuration(victim, name, "Runtime"), Runtime="python3.9"):
        yield "python3.9"


@noticed_by("functions::test_functions_have_roles_of_the_stack")
def function_gets_another_role(victim: Victim) -> Iterator[str]:
    name = closing(victim)
    before = configuration(victim, name, "Role")
    other = f"{before['Role'].rpartition('/')[0]}/administrator"
    with function(victim, name, before, Role=other):
        yield other


@noticed_by("functions::test_functions_log_to_groups_of_the_stack")
def function_logs_elsewhere(victim: Victim) -> Iterator[str]:
    name = closing(victim)
    before = configuration(victim, name, "LoggingConfig")
    elsewhere = {**before["LoggingConfig"], "LogGroup": "/aws/lambda/elsewhere"}
    with function(victim, name, before, LoggingConfig=elsewhere):
        yield "/aws/lambda/elsewhere"
