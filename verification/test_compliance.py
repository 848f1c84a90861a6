"""AWS Config: what records, which rules judge the platform, and who is told of a breach."""

from __future__ import annotations

import json
from typing import Any

import pytest

from verification.cloud import CloudError, Record
from verification.declared import declared
from verification.platform import MissingError, Platform
from verification.policies import Statement, allowed, as_list, covers, principals, read_policy
from verification.recording import (
    delivery_channel,
    own_rules,
    recorder,
    recorder_status,
    records,
)
from verification.roles import Role, read_roles
from verification.settings import Settings
from verification.stacks import Resource

RULE = "AWS::Config::ConfigRule"
# The types whose changes trigger rules: unrecorded, they would never be judged.
JUDGED = (
    "AWS::ACM::Certificate",
    "AWS::EC2::SecurityGroup",
    "AWS::EC2::Subnet",
    "AWS::EC2::VPC",
    "AWS::ECS::Service",
    "AWS::ECS::TaskDefinition",
    "AWS::ElasticLoadBalancingV2::Listener",
    "AWS::ElasticLoadBalancingV2::LoadBalancer",
    "AWS::IAM::Policy",
    "AWS::Lambda::Function",
    "AWS::RDS::DBCluster",
    "AWS::RDS::DBClusterSnapshot",
    "AWS::RDS::DBInstance",
    "AWS::S3::Bucket",
    "AWS::SNS::Topic",
    "AWS::SecretsManager::Secret",
)
# Rules that protect only what the environment protects, and the one of the backup plan.
PROTECTING = ("rds-cluster-deletion-protection-enabled", "elb-deletion-protection-enabled")
BACKED_UP = "aurora-resources-protected-by-backup-plan"


def _declared_rules(platform: Platform) -> dict[str, Resource]:
    return {item.physical_id: item for item in platform.resources(RULE)}


def _parameters(rule: Record) -> dict[str, str]:
    found = json.loads(rule.get("InputParameters") or "{}")
    return {name: str(value) for name, value in found.items()}


def _rule(platform: Platform, name: str) -> Record:
    full = f"{platform.settings.prefix}-{name}"
    rules = own_rules(platform)
    if full not in rules:
        raise MissingError(f"AWS Config has no rule {full}.")
    return rules[full]


# --- Rules --------------------------------------------------------------------------------------


def test_rules_are_those_of_the_inventory(platform: Platform, settings: Settings) -> None:
    actual, wanted = set(own_rules(platform)), set(_declared_rules(platform))
    missing, unknown = sorted(wanted - actual), sorted(actual - wanted)
    assert not missing, f"AWS Config lacks rules of the stack: {', '.join(missing)}."
    assert not unknown, f"AWS Config has rules that the stack does not know: {', '.join(unknown)}."
    assert bool(actual) == settings.compliance, (
        f"AWS Config has {len(actual)} rules of {settings.prefix}, "
        f"but payments_compliance is {settings.compliance}."
    )


def test_rules_are_active(platform: Platform) -> None:
    # A rule is EVALUATING for a while each time it runs.
    idle = [
        f"{name} is {rule['ConfigRuleState']}"
        for name, rule in own_rules(platform).items()
        if rule["ConfigRuleState"] not in {"ACTIVE", "EVALUATING"}
    ]
    assert not idle, f"Rules of AWS Config are not active: {'; '.join(idle)}."


def _identity(rule: Record) -> dict[str, Any]:
    """What makes a rule the one that was deployed, its parameters as the API writes them."""
    parameters = rule.get("InputParameters") or {}
    if isinstance(parameters, str):
        parameters = json.loads(parameters)
    return {
        "Description": rule.get("Description"),
        "Source": {key: rule["Source"].get(key) for key in ("Owner", "SourceIdentifier")},
        "Scope": {key: value for key, value in rule.get("Scope", {}).items() if value},
        "MaximumExecutionFrequency": rule.get("MaximumExecutionFrequency"),
        "InputParameters": {name: str(value) for name, value in parameters.items()},
    }


def test_rules_are_as_they_were_deployed(platform: Platform) -> None:
    wrong = []
    actual = own_rules(platform)
    for name, resource in _declared_rules(platform).items():
        wanted = _identity(declared(platform, resource))
        found = _identity(actual[name]) if name in actual else {}
        wrong += [
            f"{name} has {key} {found.get(key)} instead of {value}"
            for key, value in wanted.items()
            if found.get(key) != value
        ]
    assert not wrong, f"Rules of AWS Config were changed: {'; '.join(wrong)}."


def test_rules_ask_for_the_tags_of_the_inventory(platform: Platform, settings: Settings) -> None:
    if not settings.compliance:
        return
    asked = {
        value
        for name, value in _parameters(_rule(platform, "required-tags")).items()
        if name.endswith("Key")
    }
    assert asked == set(settings.tags), (
        f"AWS Config asks for the tags {sorted(asked)}, the inventory for {sorted(settings.tags)}."
    )


def test_rules_ask_for_the_retention_of_the_inventory(
    platform: Platform, settings: Settings
) -> None:
    if not settings.compliance:
        return
    asked = _parameters(_rule(platform, "cw-loggroup-retention-period-check"))["MinRetentionTime"]
    wanted = settings.expectations.log_retention_days
    assert asked == str(wanted), f"AWS Config asks for logs of {asked} days instead of {wanted}."


@pytest.mark.parametrize("name", PROTECTING)
def test_rules_ask_for_protection_where_there_is_any(
    platform: Platform, settings: Settings, name: str
) -> None:
    wanted = settings.compliance and settings.expectations.deletion_protection
    _assert_rule(platform, name, wanted)


def test_rules_ask_for_backups_where_there_is_a_plan(
    platform: Platform, settings: Settings
) -> None:
    wanted = settings.compliance and bool(settings.expectations.backup_plan_retention_days)
    _assert_rule(platform, BACKED_UP, wanted)


def _assert_rule(platform: Platform, name: str, wanted: bool) -> None:
    full = f"{platform.settings.prefix}-{name}"
    exists = full in own_rules(platform)
    assert exists == wanted, f"AWS Config {'has' if exists else 'lacks'} the rule {full}."


# --- Recorder -----------------------------------------------------------------------------------


def test_one_recorder_records(platform: Platform, settings: Settings) -> None:
    if not settings.compliance:
        assert not platform.resources("AWS::Config::ConfigurationRecorder"), (
            "The stack has a recorder of AWS Config, although payments_compliance is off."
        )
        return
    status = recorder_status(platform)
    assert status["recording"], f"The recorder {status['name']} of AWS Config is stopped."
    assert str(status.get("lastStatus")).upper() != "FAILURE", (
        f"The recorder {status['name']} of AWS Config fails: {status.get('lastErrorMessage')}."
    )


def test_recorder_records_what_the_rules_judge(platform: Platform, settings: Settings) -> None:
    if not settings.compliance:
        return
    found = recorder(platform)
    missing = [kind for kind in JUDGED if not records(found, kind)]
    assert not missing, (
        f"The recorder {found['name']} does not record {', '.join(missing)}: "
        "no rule would ever judge them."
    )


def test_recorder_delivers_to_a_private_encrypted_bucket(
    platform: Platform, settings: Settings
) -> None:
    if not settings.compliance:
        return
    name = delivery_channel(platform)["s3BucketName"]
    try:
        encryption = platform.cloud.get("s3", "get_bucket_encryption", Bucket=name)
        access = platform.cloud.get("s3", "get_public_access_block", Bucket=name)
    except CloudError as error:
        own = {item.physical_id for item in platform.resources("AWS::S3::Bucket")}
        # Where an organization keeps the history of all accounts in one, only that one sees it.
        if error.code == "AccessDenied" and name not in own:
            return
        raise
    rules = encryption["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules, f"The history of AWS Config in {name} is not encrypted."
    blocks = access["PublicAccessBlockConfiguration"]
    assert list(blocks.values()) == [True] * 4, (
        f"The history of AWS Config in {name} can be made public: it blocks only {blocks}."
    )


# --- Who is told --------------------------------------------------------------------------------


def _event(platform: Platform) -> Record:
    return platform.cloud.get(
        "events", "describe_rule", Name=f"{platform.settings.prefix}-compliance"
    )


def _target(platform: Platform) -> Record:
    name = f"{platform.settings.prefix}-compliance"
    targets = platform.cloud.every("events", "list_targets_by_rule", "Targets", Rule=name)
    if len(targets) != 1:
        raise MissingError(f"The event rule {name} has {len(targets)} targets instead of one.")
    return targets[0]


def _breach(platform: Platform, rule: str, outcome: str = "NON_COMPLIANT") -> str:
    """Return what AWS Config tells EventBridge when a resource is judged anew."""
    return json.dumps(
        {
            "id": "00000000-0000-0000-0000-000000000000",
            "account": platform.account,
            "region": platform.settings.region,
            "time": "2026-01-02T03:04:05Z",
            "resources": [],
            "source": "aws.config",
            "detail-type": "Config Rules Compliance Change",
            "detail": {
                "messageType": "ComplianceChangeNotification",
                "configRuleName": rule,
                "resourceType": "AWS::RDS::DBCluster",
                "resourceId": "cluster",
                "newEvaluationResult": {"complianceType": outcome},
            },
        }
    )


def test_breaches_are_told_as_the_inventory_says(platform: Platform, settings: Settings) -> None:
    found = platform.cloud.every(
        "events", "list_rules", "Rules", NamePrefix=f"{settings.prefix}-compliance"
    )
    states = [item["State"] for item in found]
    wanted = ["ENABLED"] if settings.compliance else []
    assert states == wanted, (
        f"EventBridge has rules {states} that tell of breaches in {settings.prefix}, "
        f"not {wanted}: payments_compliance is {settings.compliance}."
    )


def test_only_new_breaches_of_own_rules_are_told(platform: Platform, settings: Settings) -> None:
    if not settings.compliance:
        return
    pattern = _event(platform)["EventPattern"]
    told = {
        (rule, outcome): platform.cloud.get(
            "events", "test_event_pattern", EventPattern=pattern,
            Event=_breach(platform, rule, outcome),
        )["Result"]
        for rule, outcome in (
            (f"{settings.prefix}-required-tags", "NON_COMPLIANT"),
            (f"{settings.prefix}-required-tags", "COMPLIANT"),
            ("somebody-elses-rule", "NON_COMPLIANT"),
        )
    }  # fmt: skip
    assert list(told.values()) == [True, False, False], (
        f"The event rule of {settings.prefix} lets through {told}, not only its own new breaches."
    )


def test_breaches_reach_the_alarm_topic(platform: Platform, settings: Settings) -> None:
    if not settings.compliance:
        return
    target, topic = _target(platform), platform.output("AlarmTopicArn")
    assert target["Arn"] == topic, f"Breaches are told to {target['Arn']}, not to {topic}."
    role = _role(platform, target["RoleArn"])
    assert _grants(role.statements, "sns:Publish", topic), f"{role} may not publish to {topic}."
    key = _key_of(platform, topic)
    for action in ("kms:Decrypt", "kms:GenerateDataKey"):
        assert _grants(role.statements, action, key["Arn"]), f"{role} lacks {action} on the key."
        assert _key_lets(platform, key, action, role), (
            f"The policy of key {key['Arn']} does not let {role} {action} through SNS."
        )


def _role(platform: Platform, arn: str) -> Role:
    for role in read_roles(platform):
        if role.arn == arn:
            return role
    raise MissingError(f"EventBridge tells of breaches with {arn}, no role of the platform.")


def _grants(policy: list[Statement], action: str, resource: str) -> bool:
    return any(
        covers(as_list(item.get("Action")), action)
        and covers(as_list(item.get("Resource")), resource)
        for item in allowed(policy)
    )


def _key_of(platform: Platform, topic: str) -> Record:
    attributes = platform.cloud.get("sns", "get_topic_attributes", TopicArn=topic)["Attributes"]
    key: Record = platform.cloud.get(
        "kms", "describe_key", KeyId=attributes.get("KmsMasterKeyId", "")
    )["KeyMetadata"]
    return key


def _key_lets(platform: Platform, key: Record, action: str, role: Role) -> bool:
    """Whether the key's policy lets the role act, by its name or through IAM, by way of SNS."""
    found = platform.cloud.get("kms", "get_key_policy", KeyId=key["KeyId"], PolicyName="default")
    root = f"arn:{platform.partition}:iam::{platform.account}:root"
    return any(
        covers(as_list(item.get("Action")), action)
        and {root, role.arn} & set(principals(item))
        and _by_way_of_sns(platform, item)
        for item in allowed(read_policy(found["Policy"]))
    )


def _by_way_of_sns(platform: Platform, statement: Statement) -> bool:
    condition = statement.get("Condition", {}).get("StringEquals", {})
    services = as_list(condition.get("kms:ViaService"))
    return not services or any(
        name.startswith(f"sns.{platform.settings.region}.") for name in services
    )
