"""Who may reach whom, who may do what, and what is encrypted with which key."""

from __future__ import annotations

from typing import Any

from verification.cloud import Record
from verification.platform import MissingError, Platform
from verification.policies import (
    Statement,
    allowed,
    as_list,
    grants,
    principals,
    read_policy,
    refuses_plain_http,
)
from verification.rules import Rule, port, read_rules, spell
from verification.settings import Settings

# The roles that touch payments. The boundary does not fit the helpers of network and load balancer,
# which tidy up what CloudFormation cannot.
BOUNDED_STACKS = ("PaymentSecurityStack", "PaymentServiceStack")


# --- Who may reach whom -------------------------------------------------------------------------


def _inward(platform: Platform, output: str) -> set[Rule]:
    return read_rules(platform.security_group(output)["IpPermissions"])


def _outward(platform: Platform, output: str) -> set[Rule]:
    return read_rules(platform.security_group(output)["IpPermissionsEgress"])


def test_the_internet_reaches_the_load_balancer_on_http_and_https(platform: Platform) -> None:
    actual = {rule for rule in _inward(platform, "LoadBalancerSecurityGroupId") if rule.is_open}
    ports = {(rule.protocol, rule.first, rule.last) for rule in actual}
    assert ports == {("tcp", 80, 80), ("tcp", 443, 443)}, (
        f"The internet reaches the load balancer by {spell(actual)}, not by tcp 80 and 443."
    )


def test_nobody_else_reaches_the_load_balancer(platform: Platform) -> None:
    others = {rule for rule in _inward(platform, "LoadBalancerSecurityGroupId") if not rule.is_open}
    assert not others, f"The load balancer lets in {spell(others)}."


def test_the_load_balancer_reaches_only_the_service(platform: Platform, settings: Settings) -> None:
    actual = _outward(platform, "LoadBalancerSecurityGroupId")
    wanted = {port(settings.container_port, platform.output("ServiceSecurityGroupId"))}
    assert actual == wanted, f"The load balancer lets out {spell(actual)}, not {spell(wanted)}."


def test_only_the_load_balancer_reaches_the_service(platform: Platform, settings: Settings) -> None:
    actual = _inward(platform, "ServiceSecurityGroupId")
    wanted = {port(settings.container_port, platform.output("LoadBalancerSecurityGroupId"))}
    assert actual == wanted, f"The service lets in {spell(actual)}, not {spell(wanted)}."


def test_the_service_reaches_the_database(platform: Platform) -> None:
    actual = _outward(platform, "ServiceSecurityGroupId")
    wanted = port(int(platform.output("DatabasePort")), platform.output("DatabaseSecurityGroupId"))
    assert wanted in actual, f"The service lets out {spell(actual)}, but not {wanted}."


def test_the_service_leaves_only_by_tls_and_to_the_database(platform: Platform) -> None:
    database = port(
        int(platform.output("DatabasePort")), platform.output("DatabaseSecurityGroupId")
    )
    others = {
        rule
        for rule in _outward(platform, "ServiceSecurityGroupId")
        if rule != database and (rule.protocol, rule.first, rule.last) != ("tcp", 443, 443)
    }
    assert not others, f"The service lets out {spell(others)}."


def test_only_the_service_reaches_the_database(platform: Platform) -> None:
    actual = _inward(platform, "DatabaseSecurityGroupId")
    wanted = {port(int(platform.output("DatabasePort")), platform.output("ServiceSecurityGroupId"))}
    assert actual == wanted, f"The database lets in {spell(actual)}, not {spell(wanted)}."


def test_the_database_reaches_nobody(platform: Platform) -> None:
    out = _outward(platform, "DatabaseSecurityGroupId")
    assert not out, f"The database lets out {spell(out)}."


def test_no_other_security_group_is_open_to_the_internet(platform: Platform) -> None:
    public = platform.output("LoadBalancerSecurityGroupId")
    found = {
        group_id: opened
        for group_id, group in platform.security_groups.items()
        if group_id != public
        and (opened := {rule for rule in read_rules(group["IpPermissions"]) if rule.is_open})
    }
    told = "; ".join(f"{group_id} lets in {spell(rules)}" for group_id, rules in found.items())
    assert not found, f"Open to the internet: {told}."


# --- Keys ---------------------------------------------------------------------------------------


def _keys(platform: Platform) -> list[Record]:
    keys = [
        platform.cloud.get("kms", "describe_key", KeyId=item.physical_id)["KeyMetadata"]
        for item in platform.resources("AWS::KMS::Key")
    ]
    if not keys:
        raise MissingError("The stack tree has no KMS key.")
    return keys


def test_keys_are_enabled(platform: Platform) -> None:
    for key in _keys(platform):
        state = key["KeyState"]
        assert state == "Enabled", f"Key {key['KeyId']} is {state}."
        assert key["KeyManager"] == "CUSTOMER", f"Key {key['KeyId']} is managed by AWS."


def test_keys_are_rotated(platform: Platform) -> None:
    still = [
        key["KeyId"]
        for key in _keys(platform)
        if not platform.cloud.get("kms", "get_key_rotation_status", KeyId=key["KeyId"])[
            "KeyRotationEnabled"
        ]
    ]
    assert not still, f"Keys without rotation: {', '.join(still)}."


def test_data_key_and_logs_key_are_of_the_platform(platform: Platform) -> None:
    arns = {key["Arn"] for key in _keys(platform)}
    for output in ("DataKeyArn", "LogsKeyArn"):
        assert platform.output(output) in arns, f"{output} is no key of the stack tree."


def test_key_policies_grant_only_the_account_and_its_services(platform: Platform) -> None:
    for key in _keys(platform):
        policy = platform.cloud.get(
            "kms", "get_key_policy", KeyId=key["KeyId"], PolicyName="default"
        )["Policy"]
        wide = [
            item.get("Sid", "unnamed")
            for item in allowed(read_policy(policy))
            if _is_unbounded(item, key["Arn"].split(":")[4])
        ]
        assert not wide, f"Key {key['KeyId']} is granted without bounds by {', '.join(wide)}."


def _is_unbounded(statement: Statement, account: str) -> bool:
    """Whether somebody outside the account may use the key and no condition narrows it."""
    foreign = [item for item in principals(statement) if account not in item]
    return bool(foreign) and not statement.get("Condition")


# --- Topic and buckets --------------------------------------------------------------------------


def _topic(platform: Platform) -> dict[str, str]:
    found: dict[str, str] = platform.cloud.get(
        "sns", "get_topic_attributes", TopicArn=platform.output("AlarmTopicArn")
    )["Attributes"]
    return found


def test_alarm_topic_is_encrypted_with_a_key_of_the_platform(platform: Platform) -> None:
    key = _topic(platform).get("KmsMasterKeyId", "")
    known = {value for item in _keys(platform) for value in (item["Arn"], item["KeyId"])}
    assert key in known, f"The alarm topic is encrypted with {key!r}, no key of the platform."


def test_alarm_topic_refuses_plain_http(platform: Platform) -> None:
    policy = read_policy(_topic(platform)["Policy"])
    assert refuses_plain_http(policy), "The alarm topic takes messages without TLS."


def test_alarms_may_publish_to_the_topic(platform: Platform) -> None:
    policy = allowed(read_policy(_topic(platform)["Policy"]))
    may = [item for item in policy if "cloudwatch.amazonaws.com" in principals(item)]
    assert may, "CloudWatch may not publish to the alarm topic: nobody would hear of an alarm."
    assert all(item.get("Condition") for item in may), (
        "Alarms of any account may publish to the topic: its policy has no condition."
    )


def _buckets(platform: Platform) -> list[str]:
    names = [item.physical_id for item in platform.resources("AWS::S3::Bucket")]
    if platform.output("AccessLogsBucketName") not in names:
        raise MissingError("The access log bucket is not in the stack tree.")
    return names


def test_buckets_block_public_access(platform: Platform) -> None:
    for name in _buckets(platform):
        found = platform.cloud.get("s3", "get_public_access_block", Bucket=name)
        blocks = found["PublicAccessBlockConfiguration"]
        off = [key for key, value in blocks.items() if value is not True]
        assert len(blocks) == 4, f"Bucket {name} blocks only {', '.join(blocks)}."
        assert not off, f"Bucket {name} does not have {', '.join(off)}."


def test_buckets_are_encrypted(platform: Platform) -> None:
    for name in _buckets(platform):
        rules = platform.cloud.get("s3", "get_bucket_encryption", Bucket=name)[
            "ServerSideEncryptionConfiguration"
        ]["Rules"]
        kinds = [item["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] for item in rules]
        assert kinds, f"Bucket {name} has no default encryption."


def test_buckets_refuse_plain_http(platform: Platform) -> None:
    for name in _buckets(platform):
        policy = platform.cloud.get("s3", "get_bucket_policy", Bucket=name)["Policy"]
        assert refuses_plain_http(read_policy(policy)), f"Bucket {name} answers without TLS."


def test_access_logs_arrive_in_the_bucket(platform: Platform) -> None:
    actual = platform.load_balancer_attributes.get("access_logs.s3.bucket")
    wanted = platform.output("AccessLogsBucketName")
    assert actual == wanted, f"The load balancer logs to {actual}, not to {wanted}."


# --- Roles --------------------------------------------------------------------------------------


def _roles(platform: Platform) -> list[Record]:
    roles = [
        platform.cloud.get("iam", "get_role", RoleName=item.physical_id)["Role"]
        for item in platform.resources("AWS::IAM::Role")
    ]
    if not roles:
        raise MissingError("The stack tree has no IAM role.")
    return roles


def _inline(platform: Platform, role: str) -> list[Statement]:
    """Return the statements of the policies inside a role."""
    names = platform.cloud.every("iam", "list_role_policies", "PolicyNames", RoleName=role)
    return [
        statement
        for name in names
        for statement in read_policy(
            platform.cloud.get("iam", "get_role_policy", RoleName=role, PolicyName=str(name))[
                "PolicyDocument"
            ]
        )
    ]


def test_roles_have_the_permissions_boundary(platform: Platform) -> None:
    wanted = platform.output("PermissionsBoundaryArn")
    bounded = {
        item.physical_id
        for item in platform.resources("AWS::IAM::Role")
        if item.stack in BOUNDED_STACKS
    }
    bare = [
        role["RoleName"]
        for role in _roles(platform)
        if role["RoleName"] in bounded
        and role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn") != wanted
    ]
    assert bounded, f"There is no role in {' and '.join(BOUNDED_STACKS)}."
    assert not bare, f"Roles without the permissions boundary {wanted}: {', '.join(bare)}."


def _task_roles(platform: Platform) -> list[Record]:
    arns = {
        platform.task_definition.get("taskRoleArn"),
        platform.task_definition.get("executionRoleArn"),
    }
    roles = [role for role in _roles(platform) if role["Arn"] in arns]
    if len(roles) != 2:
        raise MissingError(f"The task needs two roles of the stack tree, it has {len(roles)}.")
    return roles


def test_no_role_may_do_everything(platform: Platform) -> None:
    wide = [
        role["RoleName"]
        for role in _roles(platform)
        for item in allowed(_inline(platform, role["RoleName"]))
        if any(action == "*" or action.endswith(":*") for action in as_list(item.get("Action")))
        or "NotAction" in item
    ]
    assert not wide, f"Roles that may do everything, or all of a service: {', '.join(wide)}."


def test_no_role_is_an_administrator(platform: Platform) -> None:
    powers = ("AdministratorAccess", "PowerUserAccess", "FullAccess")
    found = [
        f"{role['RoleName']} has {policy['PolicyName']}"
        for role in _roles(platform)
        for policy in platform.cloud.every(
            "iam", "list_attached_role_policies", "AttachedPolicies", RoleName=role["RoleName"]
        )
        if any(power in policy["PolicyName"] for power in powers)
    ]
    assert not found, f"Too powerful: {'; '.join(found)}."


def test_task_roles_are_taken_only_by_tasks_of_this_account(platform: Platform) -> None:
    for role in _task_roles(platform):
        for item in allowed(read_policy(role["AssumeRolePolicyDocument"])):
            who = principals(item)
            condition = str(item.get("Condition", {}))
            assert who == ["ecs-tasks.amazonaws.com"], f"{role['RoleName']} can be taken by {who}."
            assert "aws:SourceAccount" in condition or "aws:SourceArn" in condition, (
                f"{role['RoleName']} does not say from which account it may be taken."
            )


def test_roles_read_only_their_own_secret(platform: Platform) -> None:
    secret = platform.output("DatabaseSecretArn")
    for role in _task_roles(platform):
        for item in allowed(_inline(platform, role["RoleName"])):
            if grants(item, "secretsmanager"):
                resources = as_list(item.get("Resource"))
                assert resources == [secret], (
                    f"{role['RoleName']} may read {resources}, not only {secret}."
                )


def test_task_roles_work_only_in_their_environment(platform: Platform, settings: Settings) -> None:
    loose = [
        f"{role['RoleName']} ({item.get('Sid', 'unnamed')})"
        for role in _task_roles(platform)
        for item in allowed(_inline(platform, role["RoleName"]))
        if item.get("Condition", {}).get("StringEquals", {}).get("aws:PrincipalTag/Environment")
        != settings.environment
    ]
    assert not loose, f"Not conditioned on the environment's tag: {', '.join(loose)}."


def test_somebody_may_read_the_secret_for_the_task(platform: Platform) -> None:
    secret = platform.output("DatabaseSecretArn")
    may = [
        role["RoleName"]
        for role in _task_roles(platform)
        for item in allowed(_inline(platform, role["RoleName"]))
        if "secretsmanager:GetSecretValue" in as_list(item.get("Action"))
        and secret in as_list(item.get("Resource"))
    ]
    assert may, "Neither role of the task may read the database secret: it could not start."


def test_boundary_forbids_changing_identities(platform: Platform) -> None:
    arn = platform.output("PermissionsBoundaryArn")
    version = platform.cloud.get("iam", "get_policy", PolicyArn=arn)["Policy"]["DefaultVersionId"]
    document: Any = platform.cloud.get(
        "iam", "get_policy_version", PolicyArn=arn, VersionId=version
    )["PolicyVersion"]["Document"]
    statements = read_policy(document)
    wide = [item for item in allowed(statements) if "*" in as_list(item.get("Action"))]
    identity = [item for item in allowed(statements) if grants(item, "iam")]
    assert not wide, "The permissions boundary allows everything."
    assert not identity, "The permissions boundary allows changing identities."


# --- Logs ---------------------------------------------------------------------------------------


def test_log_groups_are_encrypted_and_kept_as_planned(
    platform: Platform, settings: Settings
) -> None:
    names = {item.physical_id for item in platform.resources("AWS::Logs::LogGroup")}
    groups = {
        item["logGroupName"]: item
        for item in platform.cloud.every("logs", "describe_log_groups", "logGroups")
    }
    assert names, "The stack tree has no log group."
    missing = sorted(names - set(groups))
    assert not missing, f"Log groups do not exist: {', '.join(missing)}."
    plain = sorted(name for name in names if not groups[name].get("kmsKeyId"))
    assert not plain, f"Log groups without a customer key: {', '.join(plain)}."
    wanted = settings.expectations.log_retention_days
    other = sorted(name for name in names if groups[name].get("retentionInDays") != wanted)
    assert not other, f"Log groups that are not kept {wanted} days: {', '.join(other)}."
