"""The entrance: cluster, load balancer, listeners, web ACL and where their logs go."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.templates.loader import Template
from tests.templates.policies import allowed, arn

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
    # A task is on Spot, which may end it at any time, only where its service says so.
    assert cluster["DefaultCapacityProviderStrategy"] == [
        {"CapacityProvider": "FARGATE", "Base": 1, "Weight": 1}
    ]


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
    assert not {"AccessControl", "CorsConfiguration", "WebsiteConfiguration"} & set(bucket)


@pytest.mark.parametrize(
    ("environment", "days"), [("dev", 30), ("staging", 90), ("prod", 400)], indirect=["environment"]
)
def test_access_logs_expire(resources: Resources, days: int) -> None:
    (rule,) = properties(resources, "PaymentAccessLogsBucket")["LifecycleConfiguration"]["Rules"]
    assert rule["Status"] == "Enabled"
    assert rule["ExpirationInDays"] == days
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": days}
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    assert not {"Prefix", "TagFilters", "ObjectSizeGreaterThan"} & set(rule), "some would stay"


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
    assert deny["Resource"] == [
        {"Fn::GetAtt": ["PaymentAccessLogsBucket", "Arn"]},
        {"Fn::Sub": "${PaymentAccessLogsBucket.Arn}/*"},
    ]


@pytest.mark.parametrize("kind", ["access", "connection"])
def test_load_balancer_logs_where_the_policy_lets_it(resources: Resources, kind: str) -> None:
    found = attributes(resources, "PaymentLoadBalancer", "LoadBalancerAttributes")
    assert found[f"{kind}_logs.s3.enabled"] == "true"
    assert found[f"{kind}_logs.s3.bucket"] == {"Ref": "PaymentAccessLogsBucket"}
    assert found[f"{kind}_logs.s3.prefix"] == kind, "the policy wants a prefix"
    assert resources["PaymentLoadBalancer"]["DependsOn"] == "PaymentAccessLogsBucketPolicy"


@pytest.mark.parametrize("environment", ["dev", "staging"], indirect=True)
def test_bucket_is_emptied_after_nothing_can_write_to_it(resources: Resources) -> None:
    """Deletion runs against the references: load balancer, policy, emptying, bucket."""
    policy = properties(resources, "PaymentAccessLogsBucketPolicy")
    assert policy["Bucket"] == {"Ref": "PaymentAccessLogsEmptying"}
    emptying = properties(resources, "PaymentAccessLogsEmptying")
    assert emptying["BucketName"] == {"Ref": "PaymentAccessLogsBucket"}
    assert emptying["ServiceToken"] == {"Fn::GetAtt": ["PaymentEmptyBucketFunction", "Arn"]}


@pytest.mark.parametrize("environment", ["prod"], indirect=True)
def test_nothing_in_prod_can_empty_the_bucket(resources: Resources) -> None:
    assert not EMPTYING & set(resources)
    policy = properties(resources, "PaymentAccessLogsBucketPolicy")
    assert policy["Bucket"] == {"Ref": "PaymentAccessLogsBucket"}


@pytest.mark.parametrize("environment", ["dev", "staging"], indirect=True)
def test_function_may_only_empty_this_bucket(resources: Resources) -> None:
    log = {"Fn::GetAtt": ["PaymentEmptyBucketLogGroup", "Arn"]}
    objects = {"Fn::Sub": "${PaymentAccessLogsBucket.Arn}/*"}
    assert allowed(properties(resources, "PaymentEmptyBucketRole")) == {
        "logs:CreateLogStream": log,
        "logs:PutLogEvents": log,
        "s3:ListBucketVersions": {"Fn::GetAtt": ["PaymentAccessLogsBucket", "Arn"]},
        "s3:DeleteObject": objects,
        "s3:DeleteObjectVersion": objects,
    }


@pytest.mark.parametrize("environment", ["dev", "staging"], indirect=True)
def test_cloudformation_waits_as_long_as_the_function_runs(resources: Resources) -> None:
    function = properties(resources, "PaymentEmptyBucketFunction")
    emptying = properties(resources, "PaymentAccessLogsEmptying")
    # The longest that Lambda allows: every object is a call's worth of work.
    assert emptying["ServiceTimeout"] == function["Timeout"] == 900
    assert function["MemorySize"] == 256


# --- load balancer


def test_load_balancer_is_public_in_the_public_subnets(resources: Resources) -> None:
    balancer = properties(resources, "PaymentLoadBalancer")
    assert (balancer["Type"], balancer["Scheme"]) == ("application", "internet-facing")
    assert balancer["IpAddressType"] == "ipv4", "the groups have no rule for IPv6"
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


@pytest.mark.parametrize(
    ("environment", "asked", "protected"),
    [
        ("dev", "enabled", "false"),
        ("staging", "enabled", "false"),
        ("prod", "enabled", "true"),
        ("prod", "disabled", "false"),
        ("dev", "disabled", "false"),
    ],
    indirect=["environment"],
)
def test_protection_is_lifted_only_by_saying_so(
    deployed: Callable[..., Template], asked: str, protected: str
) -> None:
    resources = deployed("compute.yml", DeletionProtection=asked)["Resources"]
    found = attributes(resources, "PaymentLoadBalancer", "LoadBalancerAttributes")
    assert found["deletion_protection.enabled"] == protected


def test_odd_requests_are_dropped(resources: Resources) -> None:
    found = attributes(resources, "PaymentLoadBalancer", "LoadBalancerAttributes")
    assert found["routing.http.drop_invalid_header_fields.enabled"] == "true"
    assert found["routing.http.desync_mitigation_mode"] in {"defensive", "strictest"}


def test_https_listener_takes_tls_1_2_or_newer(resources: Resources) -> None:
    listener = properties(resources, "PaymentHttpsListener")
    assert (listener["Protocol"], listener["Port"]) == ("HTTPS", 443)
    # TLS 1.3, and of TLS 1.2 the ciphers with forward secrecy and authentication.
    assert listener["SslPolicy"] == "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"
    assert listener["LoadBalancerArn"] == {"Ref": "PaymentLoadBalancer"}
    assert listener["Certificates"] == [{"CertificateArn": {"Ref": "CertificateArn"}}]
    assert listener["DefaultActions"] == [
        {"Type": "forward", "TargetGroupArn": {"Ref": "PaymentTargetGroup"}}
    ]


def test_browsers_are_told_to_stay_on_https(resources: Resources) -> None:
    found = attributes(resources, "PaymentHttpsListener", "ListenerAttributes")
    header = found["routing.http.response.strict_transport_security.header_value"]
    assert header == "max-age=31536000; includeSubDomains", "for a year, subdomains too"
    assert found["routing.http.response.x_content_type_options.header_value"] == "nosniff"
    assert found["routing.http.response.server.enabled"] == "false"


def test_http_listener_only_redirects(resources: Resources) -> None:
    listener = properties(resources, "PaymentHttpListener")
    assert (listener["Protocol"], listener["Port"]) == ("HTTP", 80)
    assert listener["LoadBalancerArn"] == {"Ref": "PaymentLoadBalancer"}
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
    assert (group["ProtocolVersion"], group["HealthCheckProtocol"]) == ("HTTP1", "HTTP")


def test_task_with_the_fewest_open_requests_gets_the_next(resources: Resources) -> None:
    found = attributes(resources, "PaymentTargetGroup", "TargetGroupAttributes")
    assert found["load_balancing.algorithm.type"] == "least_outstanding_requests"


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [("dev", 15), ("staging", 15), ("prod", 10)],
    indirect=["environment"],
)
def test_failing_task_is_left_out_after_three_checks(resources: Resources, seconds: int) -> None:
    group = properties(resources, "PaymentTargetGroup")
    assert group["HealthCheckIntervalSeconds"] == seconds
    assert group["HealthCheckTimeoutSeconds"] == 5
    assert (group["HealthyThresholdCount"], group["UnhealthyThresholdCount"]) == (2, 3)


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


def test_web_acl_stands_before_the_load_balancer(resources: Resources, environment: str) -> None:
    acl = properties(resources, "PaymentWebAcl")
    assert acl["Scope"] == "REGIONAL"
    # The rules say what is refused.
    assert acl["DefaultAction"] == {"Allow": {}}
    assert f"payments-{environment}" in acl["Description"]
    assert properties(resources, "PaymentWebAclAssociation") == {
        "ResourceArn": {"Ref": "PaymentLoadBalancer"},
        "WebACLArn": {"Fn::GetAtt": ["PaymentWebAcl", "Arn"]},
    }


def test_managed_rules_block(rules: list[dict[str, Any]]) -> None:
    """An override to Count would only watch, as would one of a rule in the group."""
    managed = [
        (rule["Statement"]["ManagedRuleGroupStatement"], rule["OverrideAction"])
        for rule in rules
        if "ManagedRuleGroupStatement" in rule["Statement"]
    ]
    assert {group["Name"] for group, _ in managed} == MANAGED_RULES
    for group, override in managed:
        assert override == {"None": {}}
        assert group == {"VendorName": "AWS", "Name": group["Name"]}


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


def test_what_costs_least_is_looked_at_first(rules: list[dict[str, Any]]) -> None:
    ordered = sorted(rules, key=lambda rule: int(rule["Priority"]))
    assert [rule["Name"] for rule in ordered] == [
        "ip-reputation",
        "rate-limit",
        "common",
        "known-bad-inputs",
        "sql-injection",
    ]
    assert [rule["Priority"] for rule in rules] == list(range(len(rules)))


def test_every_rule_and_the_acl_have_a_metric(
    resources: Resources, rules: list[dict[str, Any]], environment: str
) -> None:
    names = {f"payments-{environment}": properties(resources, "PaymentWebAcl")}
    names |= {rule["Name"]: rule for rule in rules}
    for name, watched in names.items():
        assert watched["VisibilityConfig"]["MetricName"] == name
        assert watched["VisibilityConfig"]["CloudWatchMetricsEnabled"] is True


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
    assert destination == arn("logs", "log-group:${PaymentWebAclLogGroup}")
    assert "LoggingFilter" not in logging, "every request is logged"


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
