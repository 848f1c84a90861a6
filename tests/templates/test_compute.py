"""The entrance: cluster, load balancer, listeners, web ACL and where their logs go."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.templates.loader import Template, references

MANAGED_RULES = {
    "AWSManagedRulesAmazonIpReputationList",
    "AWSManagedRulesCommonRuleSet",
    "AWSManagedRulesKnownBadInputsRuleSet",
    "AWSManagedRulesSQLiRuleSet",
}
EMPTYING = {
    "PaymentAccessLogsEmptying",
    "PaymentEmptyBucketFunction",
    "PaymentEmptyBucketLogGroup",
    "PaymentEmptyBucketRole",
}
LOGS = {
    "PaymentExecLogGroup": "/aws/ecs/payments-{}/exec",
    "PaymentContainerInsightsLogGroup": "/aws/ecs/containerinsights/payments-{}/performance",
    "PaymentWebAclLogGroup": "aws-waf-logs-payments-{}",
}

Resources = dict[str, dict[str, Any]]


@pytest.fixture
def resources(deployed: Callable[..., Template]) -> Resources:
    """The resources that exist in the environment of the test."""
    return dict(deployed("compute.yml")["Resources"])


def properties(resources: Resources, logical_id: str) -> dict[str, Any]:
    return dict(resources[logical_id]["Properties"])


def attributes(resources: Resources, logical_id: str, name: str) -> dict[str, Any]:
    """A list of Key and Value as a dictionary."""
    return {item["Key"]: item["Value"] for item in properties(resources, logical_id)[name]}


# --- cluster


def test_cluster_is_named_and_watched(resources: Resources, environment: str) -> None:
    cluster = properties(resources, "PaymentCluster")
    assert cluster["ClusterName"] == f"payments-{environment}"
    assert cluster["ClusterSettings"] == [{"Name": "containerInsights", "Value": "enhanced"}]


def test_cluster_runs_on_fargate_alone(resources: Resources) -> None:
    cluster = properties(resources, "PaymentCluster")
    assert set(cluster["CapacityProviders"]) == {"FARGATE", "FARGATE_SPOT"}
    (default,) = cluster["DefaultCapacityProviderStrategy"]
    assert default["CapacityProvider"] == "FARGATE"


def test_sessions_in_containers_are_logged_encrypted(resources: Resources) -> None:
    command = properties(resources, "PaymentCluster")["Configuration"][
        "ExecuteCommandConfiguration"
    ]
    assert command["Logging"] == "OVERRIDE"
    assert command["LogConfiguration"] == {
        "CloudWatchLogGroupName": {"Ref": "PaymentExecLogGroup"},
        "CloudWatchEncryptionEnabled": True,
    }


def test_group_of_container_insights_exists_before_the_cluster(resources: Resources) -> None:
    """Otherwise ECS makes it, without encryption."""
    assert resources["PaymentCluster"]["DependsOn"] == "PaymentContainerInsightsLogGroup"


# --- log groups


@pytest.mark.parametrize("logical_id", LOGS)
def test_log_group_is_named_as_its_writer_asks(
    resources: Resources, environment: str, logical_id: str
) -> None:
    name = properties(resources, logical_id)["LogGroupName"]
    assert name == LOGS[logical_id].format(environment)


def test_every_log_group_is_encrypted_and_expires(resources: Resources, environment: str) -> None:
    groups = [item for item in resources.values() if item["Type"] == "AWS::Logs::LogGroup"]
    assert len(groups) >= len(LOGS)
    for group in groups:
        assert group["Properties"]["KmsKeyId"] == {"Ref": "LogsKeyArn"}
        days = {"dev": 30, "staging": 90, "prod": 400}[environment]
        assert group["Properties"]["RetentionInDays"] == days


# --- access logs


def test_bucket_is_private_versioned_and_encrypted_as_the_load_balancer_can(
    resources: Resources,
) -> None:
    """The load balancer writes only where S3 holds the key."""
    bucket = properties(resources, "PaymentAccessLogsBucket")
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}


@pytest.mark.parametrize(
    ("environment", "days"), [("dev", 30), ("staging", 90), ("prod", 400)], indirect=["environment"]
)
def test_access_logs_expire(resources: Resources, days: int) -> None:
    (rule,) = properties(resources, "PaymentAccessLogsBucket")["LifecycleConfiguration"]["Rules"]
    assert rule["Status"] == "Enabled"
    assert rule["ExpirationInDays"] == days
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": days}


def test_only_log_delivery_may_write_and_only_over_tls(resources: Resources) -> None:
    policy = properties(resources, "PaymentAccessLogsBucketPolicy")["PolicyDocument"]
    allow, deny = policy["Statement"]
    assert (allow["Effect"], allow["Principal"], allow["Action"]) == (
        "Allow",
        {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"},
        "s3:PutObject",
    )
    assert allow["Resource"] == {
        "Fn::Sub": "${PaymentAccessLogsBucket.Arn}/*/AWSLogs/${AWS::AccountId}/*"
    }
    assert (deny["Effect"], deny["Principal"], deny["Action"]) == ("Deny", "*", "s3:*")
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert len(deny["Resource"]) == 2


@pytest.mark.parametrize("kind", ["access", "connection"])
def test_load_balancer_logs_where_the_policy_lets_it(resources: Resources, kind: str) -> None:
    found = attributes(resources, "PaymentLoadBalancer", "LoadBalancerAttributes")
    assert found[f"{kind}_logs.s3.enabled"] == "true"
    assert found[f"{kind}_logs.s3.bucket"] == {"Ref": "PaymentAccessLogsBucket"}
    assert found[f"{kind}_logs.s3.prefix"], "the policy wants a prefix"
    assert resources["PaymentLoadBalancer"]["DependsOn"] == "PaymentAccessLogsBucketPolicy"


@pytest.mark.parametrize("environment", ["dev", "staging"], indirect=True)
def test_bucket_is_emptied_after_nothing_can_write_to_it(resources: Resources) -> None:
    """Deletion runs against the references: load balancer, policy, emptying, bucket."""
    policy = properties(resources, "PaymentAccessLogsBucketPolicy")
    assert policy["Bucket"] == {"Ref": "PaymentAccessLogsEmptying"}
    assert properties(resources, "PaymentAccessLogsEmptying")["BucketName"] == {
        "Ref": "PaymentAccessLogsBucket"
    }


@pytest.mark.parametrize("environment", ["prod"], indirect=True)
def test_nothing_in_prod_can_empty_the_bucket(resources: Resources) -> None:
    assert not EMPTYING & set(resources)
    policy = properties(resources, "PaymentAccessLogsBucketPolicy")
    assert policy["Bucket"] == {"Ref": "PaymentAccessLogsBucket"}


@pytest.mark.parametrize("environment", ["dev", "staging"], indirect=True)
def test_function_may_only_empty_this_bucket(resources: Resources) -> None:
    (policy,) = properties(resources, "PaymentEmptyBucketRole")["Policies"]
    allowed = {}
    for statement in policy["PolicyDocument"]["Statement"]:
        actions = statement["Action"]
        for action in [actions] if isinstance(actions, str) else actions:
            allowed[action] = {reference.name for reference in references(statement["Resource"])}
    assert allowed == {
        "logs:CreateLogStream": {"PaymentEmptyBucketLogGroup"},
        "logs:PutLogEvents": {"PaymentEmptyBucketLogGroup"},
        "s3:ListBucketVersions": {"PaymentAccessLogsBucket"},
        "s3:DeleteObject": {"PaymentAccessLogsBucket"},
        "s3:DeleteObjectVersion": {"PaymentAccessLogsBucket"},
    }


@pytest.mark.parametrize("environment", ["dev", "staging"], indirect=True)
def test_cloudformation_waits_as_long_as_the_function_runs(resources: Resources) -> None:
    function = properties(resources, "PaymentEmptyBucketFunction")
    assert (
        properties(resources, "PaymentAccessLogsEmptying")["ServiceTimeout"] >= function["Timeout"]
    )
    assert function["Timeout"] <= 900


# --- load balancer


def test_load_balancer_is_public_in_the_public_subnets(resources: Resources) -> None:
    balancer = properties(resources, "PaymentLoadBalancer")
    assert (balancer["Type"], balancer["Scheme"]) == ("application", "internet-facing")
    assert balancer["Subnets"] == {"Ref": "PublicSubnetIds"}
    assert balancer["SecurityGroups"] == [{"Ref": "LoadBalancerSecurityGroupId"}]


def test_load_balancer_can_be_replaced(resources: Resources) -> None:
    """A name of its own would be taken while the new one is made."""
    assert "Name" not in properties(resources, "PaymentLoadBalancer")
    assert "Name" not in properties(resources, "PaymentTargetGroup")


@pytest.mark.parametrize(
    ("environment", "protected"),
    [("dev", "false"), ("staging", "false"), ("prod", "true")],
    indirect=["environment"],
)
def test_only_prod_is_protected_from_deletion(resources: Resources, protected: str) -> None:
    found = attributes(resources, "PaymentLoadBalancer", "LoadBalancerAttributes")
    assert found["deletion_protection.enabled"] == protected


def test_odd_requests_are_dropped(resources: Resources) -> None:
    found = attributes(resources, "PaymentLoadBalancer", "LoadBalancerAttributes")
    assert found["routing.http.drop_invalid_header_fields.enabled"] == "true"
    assert found["routing.http.desync_mitigation_mode"] in {"defensive", "strictest"}


def test_https_listener_takes_tls_1_2_or_newer(resources: Resources) -> None:
    listener = properties(resources, "PaymentHttpsListener")
    assert (listener["Protocol"], listener["Port"]) == ("HTTPS", 443)
    assert listener["SslPolicy"].startswith("ELBSecurityPolicy-TLS13-1-2-Res")
    assert listener["Certificates"] == [{"CertificateArn": {"Ref": "CertificateArn"}}]
    assert listener["DefaultActions"] == [
        {"Type": "forward", "TargetGroupArn": {"Ref": "PaymentTargetGroup"}}
    ]


def test_browsers_are_told_to_stay_on_https(resources: Resources) -> None:
    found = attributes(resources, "PaymentHttpsListener", "ListenerAttributes")
    header = found["routing.http.response.strict_transport_security.header_value"]
    age = re.match(r"max-age=(\d+)", header)
    assert age is not None
    assert int(age[1]) >= 31536000
    assert found["routing.http.response.server.enabled"] == "false"


def test_http_listener_only_redirects(resources: Resources) -> None:
    listener = properties(resources, "PaymentHttpListener")
    assert (listener["Protocol"], listener["Port"]) == ("HTTP", 80)
    (action,) = listener["DefaultActions"]
    assert action["Type"] == "redirect"
    assert action["RedirectConfig"] == {
        "Protocol": "HTTPS",
        "Port": 443,
        "Host": "#{host}",
        "Path": "/#{path}",
        "Query": "#{query}",
        "StatusCode": "HTTP_301",
    }


def test_there_is_no_other_way_in(resources: Resources) -> None:
    listeners = {
        logical_id
        for logical_id, item in resources.items()
        if item["Type"] == "AWS::ElasticLoadBalancingV2::Listener"
    }
    assert listeners == {"PaymentHttpsListener", "PaymentHttpListener"}


# --- target group


def test_targets_are_addresses_of_tasks(deployed: Callable[..., Template]) -> None:
    template = deployed("compute.yml", ContainerPort="9898", HealthCheckPath="/healthz")
    group = properties(template["Resources"], "PaymentTargetGroup")
    assert (group["TargetType"], group["Protocol"], group["Port"]) == ("ip", "HTTP", "9898")
    assert group["HealthCheckPath"] == "/healthz"
    assert group["Matcher"] == {"HttpCode": "200"}
    assert group["VpcId"] == {"Ref": "VpcId"}


def test_health_check_ends_before_the_next_begins(resources: Resources) -> None:
    group = properties(resources, "PaymentTargetGroup")
    assert group["HealthCheckTimeoutSeconds"] < group["HealthCheckIntervalSeconds"]


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [("dev", "15"), ("staging", "30"), ("prod", "60")],
    indirect=["environment"],
)
def test_requests_in_flight_are_let_finish(resources: Resources, seconds: str) -> None:
    found = attributes(resources, "PaymentTargetGroup", "TargetGroupAttributes")
    assert found["deregistration_delay.timeout_seconds"] == seconds


# --- web ACL


@pytest.fixture
def rules(resources: Resources) -> list[dict[str, Any]]:
    return list(properties(resources, "PaymentWebAcl")["Rules"])


def test_web_acl_stands_before_the_load_balancer(resources: Resources) -> None:
    assert properties(resources, "PaymentWebAcl")["Scope"] == "REGIONAL"
    assert properties(resources, "PaymentWebAclAssociation") == {
        "ResourceArn": {"Ref": "PaymentLoadBalancer"},
        "WebACLArn": {"Fn::GetAtt": ["PaymentWebAcl", "Arn"]},
    }


def test_managed_rules_block(rules: list[dict[str, Any]]) -> None:
    """An override to Count would only watch."""
    managed = {
        rule["Statement"]["ManagedRuleGroupStatement"]["Name"]: rule["OverrideAction"]
        for rule in rules
        if "ManagedRuleGroupStatement" in rule["Statement"]
    }
    assert managed == {name: {"None": {}} for name in MANAGED_RULES}


@pytest.mark.parametrize(
    ("environment", "limit"),
    [("dev", 1000), ("staging", 2000), ("prod", 10000)],
    indirect=["environment"],
)
def test_rate_of_one_address_is_limited(rules: list[dict[str, Any]], limit: int) -> None:
    (rule,) = [rule for rule in rules if "RateBasedStatement" in rule["Statement"]]
    statement = rule["Statement"]["RateBasedStatement"]
    assert rule["Action"] == {"Block": {}}
    assert statement == {"AggregateKeyType": "IP", "Limit": limit, "EvaluationWindowSec": 300}


def test_rules_have_an_order_and_a_metric(rules: list[dict[str, Any]]) -> None:
    assert [rule["Priority"] for rule in rules] == list(range(len(rules)))
    assert len({rule["VisibilityConfig"]["MetricName"] for rule in rules}) == len(rules)
    assert all(rule["VisibilityConfig"]["CloudWatchMetricsEnabled"] for rule in rules)


def test_headers_that_identify_a_caller_are_kept_out_of_logs_and_samples(
    resources: Resources, rules: list[dict[str, Any]]
) -> None:
    logging = properties(resources, "PaymentWebAclLogging")
    redacted = {field["SingleHeader"]["Name"] for field in logging["RedactedFields"]}
    assert redacted == {"authorization", "cookie"}
    assert not any(rule["VisibilityConfig"]["SampledRequestsEnabled"] for rule in rules)
    acl = properties(resources, "PaymentWebAcl")
    assert acl["VisibilityConfig"]["SampledRequestsEnabled"] is False


def test_web_acl_logs_to_its_group(resources: Resources) -> None:
    """The attribute Arn of the group would end in ":*", which WAF refuses."""
    logging = properties(resources, "PaymentWebAclLogging")
    (destination,) = logging["LogDestinationConfigs"]
    assert logging["ResourceArn"] == {"Fn::GetAtt": ["PaymentWebAcl", "Arn"]}
    assert destination["Fn::Sub"].endswith(":log-group:${PaymentWebAclLogGroup}")
    assert destination["Fn::Sub"].startswith("arn:${AWS::Partition}:")


# --- seams


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:acm:eu-west-1:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef",
        "arn:aws-us-gov:acm:us-gov-west-1:123456789012:certificate/"
        "01234567-89ab-cdef-0123-456789abcdef",
    ],
)
def test_certificate_is_accepted(templates: dict[str, Template], arn: str) -> None:
    pattern = templates["compute.yml"]["Parameters"]["CertificateArn"]["AllowedPattern"]
    assert re.search(pattern, arn)


@pytest.mark.parametrize(
    "arn",
    [
        "",
        "arn:aws:iam::123456789012:server-certificate/payments",
        "arn:aws:acm:eu-west-1:1234:certificate/01234567-89ab-cdef-0123-456789abcdef",
        "arn:aws:acm:eu-west-1:123456789012:certificate/payments",
    ],
)
def test_certificate_is_refused(templates: dict[str, Template], arn: str) -> None:
    pattern = templates["compute.yml"]["Parameters"]["CertificateArn"]["AllowedPattern"]
    assert not re.search(pattern, arn)


@pytest.mark.parametrize(
    ("output", "value"),
    [
        ("ClusterName", {"Ref": "PaymentCluster"}),
        ("ClusterArn", {"Fn::GetAtt": ["PaymentCluster", "Arn"]}),
        ("LoadBalancerArn", {"Ref": "PaymentLoadBalancer"}),
        ("LoadBalancerDnsName", {"Fn::GetAtt": ["PaymentLoadBalancer", "DNSName"]}),
        (
            "LoadBalancerHostedZoneId",
            {"Fn::GetAtt": ["PaymentLoadBalancer", "CanonicalHostedZoneID"]},
        ),
        (
            "LoadBalancerFullName",
            {"Fn::GetAtt": ["PaymentLoadBalancer", "LoadBalancerFullName"]},
        ),
        ("TargetGroupArn", {"Ref": "PaymentTargetGroup"}),
        ("TargetGroupFullName", {"Fn::GetAtt": ["PaymentTargetGroup", "TargetGroupFullName"]}),
        ("HttpsListenerArn", {"Ref": "PaymentHttpsListener"}),
        ("WebAclArn", {"Fn::GetAtt": ["PaymentWebAcl", "Arn"]}),
        ("AccessLogsBucketName", {"Ref": "PaymentAccessLogsBucket"}),
    ],
)
def test_output(templates: dict[str, Template], output: str, value: dict[str, Any]) -> None:
    assert templates["compute.yml"]["Outputs"][output]["Value"] == value
