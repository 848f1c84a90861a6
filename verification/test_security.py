"""What each security group lets through, what is encrypted with which key, and what is public."""

from __future__ import annotations

import pytest

from verification.cloud import Record
from verification.logs import log_group_problem
from verification.platform import MissingError, Platform
from verification.policies import (
    Statement,
    allowed,
    as_list,
    overlaps,
    principals,
    read_policy,
    refuses_plain_http,
)
from verification.rules import Rule, port, read_rules, spell
from verification.settings import Settings

# The service that writes the logs of load balancers.
LOG_DELIVERY = "logdelivery.elasticloadbalancing.amazonaws.com"
# What reads or writes with a key, or gives that away.
USES = ["kms:CreateGrant", "kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
# Conditions that put a service, or what a service encrypts, between a principal and a key.
NARROWING = ("kms:ViaService", "kms:EncryptionContext:", "aws:SourceArn", "aws:SourceAccount")


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
    actual = _outward(platform, "ServiceSecurityGroupId")
    wanted = {
        port(int(platform.output("DatabasePort")), platform.output("DatabaseSecurityGroupId")),
        port(443, platform.output("VpcEndpointSecurityGroupId")),
        # Payment providers, whose addresses nobody can list.
        port(443, "0.0.0.0/0"),
    }
    assert actual == wanted, f"The service lets out {spell(actual)}, not {spell(wanted)}."


def test_only_the_service_and_the_rotation_reach_the_database(platform: Platform) -> None:
    actual = _inward(platform, "DatabaseSecurityGroupId")
    number = int(platform.output("DatabasePort"))
    wanted = {
        port(number, platform.output(name))
        for name in ("ServiceSecurityGroupId", "RotationSecurityGroupId")
    }
    assert actual == wanted, f"The database lets in {spell(actual)}, not {spell(wanted)}."


def test_the_rotation_reaches_only_the_database_and_secrets(platform: Platform) -> None:
    inward = _inward(platform, "RotationSecurityGroupId")
    outward = _outward(platform, "RotationSecurityGroupId")
    wanted = {
        port(int(platform.output("DatabasePort")), platform.output("DatabaseSecurityGroupId")),
        port(443, platform.output("VpcEndpointSecurityGroupId")),
    }
    assert not inward, f"The rotation lets in {spell(inward)}."
    assert outward == wanted, f"The rotation lets out {spell(outward)}, not {spell(wanted)}."


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


def _key_policy(platform: Platform, key: Record) -> list[Statement]:
    found = platform.cloud.get("kms", "get_key_policy", KeyId=key["KeyId"], PolicyName="default")
    return read_policy(found["Policy"])


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
        wide = [
            item.get("Sid", "unnamed")
            for item in allowed(_key_policy(platform, key))
            if _is_unbounded(item, key["Arn"].split(":")[4])
        ]
        assert not wide, f"Key {key['KeyId']} is granted without bounds by {', '.join(wide)}."


def test_keys_are_used_only_through_services(platform: Platform) -> None:
    # What is encrypted is read only by who may ask the service that keeps it.
    for key in _keys(platform):
        for item in allowed(_key_policy(platform, key)):
            used = [name for name in as_list(item.get("Action", "*")) if overlaps(USES, name)]
            names = [name for test in item.get("Condition", {}).values() for name in test]
            assert not used or any(name.startswith(NARROWING) for name in names), (
                f"Key {key['KeyId']}: {item.get('Sid', 'unnamed')} gives "
                f"{', '.join(used)} to {', '.join(principals(item))} without a service between."
            )


def test_key_policies_refuse_grants_to_others(platform: Platform) -> None:
    for key in _keys(platform):
        refusing = [
            item
            for item in _key_policy(platform, key)
            if item.get("Effect") == "Deny"
            and "*" in principals(item)
            and "kms:CreateGrant" in as_list(item.get("Action"))
        ]
        assert refusing, f"Key {key['KeyId']} can be given away: nothing refuses kms:CreateGrant."


def test_keys_go_by_their_names(platform: Platform) -> None:
    keys = {item.physical_id for item in platform.resources("AWS::KMS::Key")}
    targets = {
        item["AliasName"]: item.get("TargetKeyId")
        for item in platform.cloud.every("kms", "list_aliases", "Aliases")
    }
    aliases = {item.physical_id for item in platform.resources("AWS::KMS::Alias")}
    missing = sorted(aliases - set(targets))
    astray = sorted(name for name in aliases & set(targets) if targets[name] not in keys)
    nameless = sorted(keys - {targets.get(name) for name in aliases})
    assert not missing, f"Aliases of keys do not exist: {', '.join(missing)}."
    assert not astray, f"Aliases that lead to a key of somebody else: {', '.join(astray)}."
    assert not nameless, f"Keys without an alias: {', '.join(nameless)}."


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


def test_only_services_of_the_account_publish_to_the_topic(platform: Platform) -> None:
    for item in allowed(read_policy(_topic(platform)["Policy"])):
        strangers = [name for name in principals(item) if not name.endswith(".amazonaws.com")]
        condition = item.get("Condition", {}).get("StringEquals", {})
        account = condition.get("aws:SourceAccount")
        assert not strangers, f"The alarm topic takes messages of {', '.join(strangers)}."
        assert account == platform.account, (
            f"The alarm topic takes messages of {', '.join(principals(item))} for account "
            f"{account or 'any'}, not only for {platform.account}."
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


def test_buckets_are_granted_to_services_only(platform: Platform) -> None:
    for name in _buckets(platform):
        policy = platform.cloud.get("s3", "get_bucket_policy", Bucket=name)["Policy"]
        others = sorted(
            who
            for item in allowed(read_policy(policy))
            for who in principals(item)
            if not who.endswith(".amazonaws.com")
        )
        assert not others, f"Bucket {name} is granted to {', '.join(others)}."


def test_buckets_keep_versions_and_own_their_objects(platform: Platform) -> None:
    for name in _buckets(platform):
        versions = platform.cloud.get("s3", "get_bucket_versioning", Bucket=name).get("Status")
        owners = [
            item["ObjectOwnership"]
            for item in platform.cloud.get("s3", "get_bucket_ownership_controls", Bucket=name)[
                "OwnershipControls"
            ]["Rules"]
        ]
        assert versions == "Enabled", f"Versioning of bucket {name} is {versions or 'off'}."
        # With anything else, access control lists count beside the policy.
        assert owners == ["BucketOwnerEnforced"], f"Objects in {name} belong to {owners}."


def test_access_logs_are_kept_as_planned(platform: Platform, settings: Settings) -> None:
    name = platform.output("AccessLogsBucketName")
    rules = platform.cloud.get("s3", "get_bucket_lifecycle_configuration", Bucket=name)["Rules"]
    days = {
        item["Expiration"]["Days"]
        for item in rules
        if item["Status"] == "Enabled" and "Days" in item.get("Expiration", {})
    }
    wanted = settings.expectations.log_retention_days
    assert days == {wanted}, f"Bucket {name} keeps logs {sorted(days)} days, not {wanted}."


@pytest.mark.parametrize("kind", ["access", "connection"])
def test_load_balancer_may_write_its_logs(platform: Platform, kind: str) -> None:
    attributes = platform.load_balancer_attributes
    bucket = platform.output("AccessLogsBucketName")
    assert attributes.get(f"{kind}_logs.s3.enabled") == "true", f"The {kind} logs are off."
    assert attributes.get(f"{kind}_logs.s3.bucket") == bucket, (
        f"The {kind} logs go to {attributes.get(f'{kind}_logs.s3.bucket')}, not to {bucket}."
    )
    prefix = attributes.get(f"{kind}_logs.s3.prefix", "")
    folder = f"{prefix}/AWSLogs" if prefix else "AWSLogs"
    place = f"arn:{platform.partition}:s3:::{bucket}/{folder}/{platform.account}/log"
    policy = platform.cloud.get("s3", "get_bucket_policy", Bucket=bucket)["Policy"]
    may = [
        item
        for item in allowed(read_policy(policy))
        if LOG_DELIVERY in principals(item)
        and overlaps(as_list(item.get("Action")), "s3:PutObject")
        and overlaps(as_list(item.get("Resource")), place)
    ]
    assert may, f"The policy of bucket {bucket} does not let {LOG_DELIVERY} write the {kind} logs."


def test_access_logs_arrive_in_the_bucket(platform: Platform) -> None:
    actual = platform.load_balancer_attributes.get("access_logs.s3.bucket")
    wanted = platform.output("AccessLogsBucketName")
    assert actual == wanted, f"The load balancer logs to {actual}, not to {wanted}."


# --- Logs ---------------------------------------------------------------------------------------


def test_log_groups_are_encrypted_and_kept_as_planned(platform: Platform) -> None:
    names = sorted(item.physical_id for item in platform.resources("AWS::Logs::LogGroup"))
    assert names, "The stack tree has no log group."
    wrong = []
    for name in names:
        try:
            wrong.append(log_group_problem(platform, name))
        except MissingError as error:
            wrong.append(str(error))
    told = " ".join(filter(None, wrong))
    assert not told, told
