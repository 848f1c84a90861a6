"""Load balancer and web ACL: what answers the internet, and what it lets through."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network

import pytest

from verification.cloud import CloudError, Record
from verification.logs import log_group_problem
from verification.platform import MissingError, Platform
from verification.settings import Settings

# TLS 1.2 and later only, with forward secrecy.
TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-"
ATTRIBUTES = {
    "access_logs.s3.enabled": "true",
    "routing.http.drop_invalid_header_fields.enabled": "true",
    # When the web ACL does not answer, nothing gets through.
    "waf.fail_open.enabled": "false",
}
DESYNC_MODES = {"defensive", "strictest"}
# What the HTTPS listener adds to answers, or takes away: value by attribute.
ANSWERS = {
    "routing.http.response.x_content_type_options.header_value": "nosniff",
    "routing.http.response.server.enabled": "false",
}
YEAR = 365 * 24 * 60 * 60
MANAGED_RULES = {
    "AWSManagedRulesAmazonIpReputationList",
    "AWSManagedRulesCommonRuleSet",
    "AWSManagedRulesKnownBadInputsRuleSet",
    "AWSManagedRulesSQLiRuleSet",
}
# The most that any environment lets one address ask in five minutes.
RATE_LIMIT = 10_000


# --- Load balancer ------------------------------------------------------------------------------


def test_load_balancer_faces_the_internet_from_public_subnets(platform: Platform) -> None:
    balancer = platform.load_balancer
    zones = {item["SubnetId"] for item in balancer["AvailabilityZones"]}
    public = {item["SubnetId"] for item in platform.tier("Public")}
    assert balancer["Type"] == "application", f"The load balancer is of type {balancer['Type']}."
    assert balancer["State"]["Code"] == "active", f"It is {balancer['State']['Code']}, not active."
    assert balancer["Scheme"] == "internet-facing", f"The load balancer is {balancer['Scheme']}."
    assert zones == public, (
        f"The load balancer is in {', '.join(sorted(zones))}, not in the public subnets."
    )


def test_load_balancer_has_only_its_security_group(platform: Platform) -> None:
    actual = platform.load_balancer["SecurityGroups"]
    wanted = platform.output("LoadBalancerSecurityGroupId")
    assert actual == [wanted], f"The load balancer's security groups are {actual}, not {wanted}."


@pytest.mark.parametrize(("name", "wanted"), ATTRIBUTES.items())
def test_load_balancer_attribute(platform: Platform, name: str, wanted: str) -> None:
    actual = platform.load_balancer_attributes.get(name)
    assert actual == wanted, f"{name} of the load balancer is {actual}, not {wanted}."


def test_load_balancer_resists_desync(platform: Platform) -> None:
    mode = platform.load_balancer_attributes.get("routing.http.desync_mitigation_mode")
    assert mode in DESYNC_MODES, f"The load balancer's desync mitigation mode is {mode}."


def test_load_balancer_deletion_protection(platform: Platform, settings: Settings) -> None:
    actual = platform.load_balancer_attributes.get("deletion_protection.enabled")
    # Lifting the protection of the stack, to remove the platform, lifts this one too.
    protected = settings.expectations.deletion_protection and settings.termination_protection
    wanted = str(protected).lower()
    assert actual == wanted, (
        f"Deletion protection of the load balancer is {actual}, "
        f"for {settings.environment} it is {wanted}."
    )


def test_outputs_name_the_load_balancer(platform: Platform) -> None:
    balancer = platform.load_balancer
    told = (platform.output("LoadBalancerDnsName"), platform.output("LoadBalancerHostedZoneId"))
    actual = (balancer["DNSName"], balancer["CanonicalHostedZoneId"])
    assert told == actual, f"The outputs say {told}, the load balancer has {actual}."


# --- Listeners ----------------------------------------------------------------------------------


def test_load_balancer_listens_on_http_and_https_only(platform: Platform) -> None:
    listeners = {port: item["Protocol"] for port, item in platform.listeners.items()}
    assert listeners == {80: "HTTP", 443: "HTTPS"}, f"The load balancer listens on {listeners}."


def test_https_listener_takes_only_tls_1_2_and_later(platform: Platform) -> None:
    policy = platform.listener(443).get("SslPolicy", "none")
    assert policy.startswith(TLS_POLICY), (
        f"The HTTPS listener has policy {policy}, not one of {TLS_POLICY}*."
    )


def test_https_listener_shows_the_certificate(platform: Platform, settings: Settings) -> None:
    found = [item["CertificateArn"] for item in platform.listener(443).get("Certificates", [])]
    assert settings.certificate_arn in found, (
        f"The HTTPS listener shows {found}, the inventory says {settings.certificate_arn}."
    )


def test_https_listener_forwards_to_the_service(platform: Platform) -> None:
    listener = platform.listener(443)
    assert listener["ListenerArn"] == platform.output("HttpsListenerArn"), (
        f"Output HttpsListenerArn names another listener than {listener['ListenerArn']}."
    )
    targets = {target for action in listener["DefaultActions"] for target in _targets(action)}
    wanted = platform.output("TargetGroupArn")
    assert targets == {wanted}, f"HTTPS is forwarded to {sorted(targets)}, not to {wanted}."


def _targets(action: Record) -> list[str]:
    if action["Type"] != "forward":
        return [action["Type"]]
    groups = action.get("ForwardConfig", {}).get("TargetGroups", [])
    return [item["TargetGroupArn"] for item in groups] or [action["TargetGroupArn"]]


def test_http_is_redirected_to_https(platform: Platform) -> None:
    actions = platform.listener(80)["DefaultActions"]
    kinds = [item["Type"] for item in actions]
    assert kinds == ["redirect"], f"The HTTP listener does {kinds}, it should only redirect."
    redirect = actions[0]["RedirectConfig"]
    where = (redirect["Protocol"], redirect["Port"], redirect["StatusCode"])
    assert where == ("HTTPS", "443", "HTTP_301"), f"The HTTP listener redirects to {where}."


@pytest.mark.parametrize("port", [80, 443])
def test_listener_has_no_rule_beside_its_own(platform: Platform, port: int) -> None:
    listener = platform.listener(port)
    rules = platform.cloud.every(
        "elbv2", "describe_rules", "Rules", ListenerArn=listener["ListenerArn"]
    )
    others = [
        f"{item['RuleArn']} to {', '.join(_targets(action))}"
        for item in rules
        if not item["IsDefault"]
        for action in item["Actions"]
    ]
    assert rules, f"The listener on port {port} has no rule."
    assert not others, f"The listener on port {port} also has rules: {'; '.join(others)}."


def _answers(platform: Platform) -> dict[str, str]:
    found = platform.cloud.get(
        "elbv2", "describe_listener_attributes", ListenerArn=platform.listener(443)["ListenerArn"]
    )["Attributes"]
    return {item["Key"]: item["Value"] for item in found}


def test_browsers_are_told_to_stay_on_https(platform: Platform) -> None:
    actual = _answers(platform).get(
        "routing.http.response.strict_transport_security.header_value", ""
    )
    seconds = re.search(r"max-age=(\d+)", actual)
    assert seconds, "The HTTPS listener sends no Strict-Transport-Security header."
    assert int(seconds[1]) >= YEAR, f"Browsers stay on HTTPS for only {seconds[1]} s."


@pytest.mark.parametrize(("name", "wanted"), ANSWERS.items())
def test_answers_tell_no_more_than_needed(platform: Platform, name: str, wanted: str) -> None:
    actual = _answers(platform).get(name, "not set")
    assert actual == wanted, f"{name} of the HTTPS listener is {actual}, not {wanted}."


# --- Target group -------------------------------------------------------------------------------


def test_target_group_asks_the_health_check_path(platform: Platform, settings: Settings) -> None:
    group = platform.target_group
    assert group["HealthCheckPath"] == settings.health_check_path, (
        f"Health checks ask {group['HealthCheckPath']}, "
        f"the inventory says {settings.health_check_path}."
    )
    assert group["HealthCheckEnabled"] is True, "The target group has no health check."


def test_target_group_leads_to_the_container(platform: Platform, settings: Settings) -> None:
    group = platform.target_group
    actual = (group["TargetType"], group["Port"], group["VpcId"])
    wanted = ("ip", settings.container_port, platform.output("VpcId"))
    assert actual == wanted, f"The target group is {actual}, not {wanted}."


def test_target_group_judges_by_the_answer(platform: Platform) -> None:
    group = platform.target_group
    actual = (group["Protocol"], group["HealthCheckProtocol"], group.get("Matcher"))
    wanted = ("HTTP", "HTTP", {"HttpCode": "200"})
    assert actual == wanted, f"The target group judges by {actual}, not by {wanted}."
    # A target that is gone must be found before the next minute's requests.
    seconds = group["HealthCheckIntervalSeconds"] * group["UnhealthyThresholdCount"]
    assert seconds <= 60, f"A sick task is found only after {seconds} s."


def test_requests_are_finished_before_a_task_ends(platform: Platform) -> None:
    seconds = int(platform.target_group_attributes.get("deregistration_delay.timeout_seconds", "0"))
    assert 15 <= seconds <= 60, f"A task that ends is given {seconds} s to finish its requests."


def test_targets_are_tasks_in_the_private_subnets(platform: Platform) -> None:
    ranges = [ip_network(subnet["CidrBlock"]) for subnet in platform.tier("Private")]
    strangers, sick = [], []
    for item in platform.cloud.every(
        "elbv2",
        "describe_target_health",
        "TargetHealthDescriptions",
        TargetGroupArn=platform.output("TargetGroupArn"),
    ):
        target, state = item["Target"]["Id"], item["TargetHealth"]["State"]
        if not any(ip_address(target) in part for part in ranges):
            strangers.append(target)
        if state == "unhealthy":
            sick.append(f"{target} ({item['TargetHealth'].get('Reason', 'no reason told')})")
    assert not strangers, f"Payments are sent to {', '.join(strangers)}, which is no task."
    assert not sick, f"Tasks fail the health check: {', '.join(sick)}."


# --- Web application firewall -------------------------------------------------------------------


def _web_acl(platform: Platform) -> Record:
    try:
        found = platform.cloud.get(
            "wafv2", "get_web_acl_for_resource", ResourceArn=platform.output("LoadBalancerArn")
        )
    except CloudError as error:
        if error.code != "WAFNonexistentItemException":
            raise
        found = {}
    if not found.get("WebACL"):
        raise MissingError("No web ACL guards the load balancer.")
    acl: Record = found["WebACL"]
    return acl


def test_firewall_guards_the_load_balancer(platform: Platform) -> None:
    actual, wanted = _web_acl(platform)["ARN"], platform.output("WebAclArn")
    assert actual == wanted, f"The load balancer is guarded by {actual}, not by {wanted}."


def test_firewall_has_managed_rules_and_a_rate_limit(platform: Platform) -> None:
    rules = _web_acl(platform)["Rules"]
    managed = [item["Name"] for item in rules if "ManagedRuleGroupStatement" in item["Statement"]]
    limits = [item for item in rules if "RateBasedStatement" in item["Statement"]]
    assert managed, "The web ACL has no managed rule group."
    assert limits, "The web ACL has no rate limit."
    # A managed group that is only counted, and a limit that blocks nobody, would protect nothing.
    counted = [
        item["Name"]
        for item in rules
        if "Count" in item.get("OverrideAction", {}) or "Count" in item.get("Action", {})
    ]
    assert not counted, f"Rules of the web ACL only count: {', '.join(counted)}."


def test_firewall_has_the_planned_rules(platform: Platform) -> None:
    managed = {
        item["Statement"]["ManagedRuleGroupStatement"]["Name"]: item["Statement"][
            "ManagedRuleGroupStatement"
        ]
        for item in _web_acl(platform)["Rules"]
        if "ManagedRuleGroupStatement" in item["Statement"]
    }
    missing = sorted(MANAGED_RULES - set(managed))
    assert not missing, f"The web ACL lacks {', '.join(missing)}."
    for name, statement in managed.items():
        softened = [
            key
            for key in ("ExcludedRules", "RuleActionOverrides", "ScopeDownStatement")
            if statement.get(key)
        ]
        assert not softened, f"{name} of the web ACL is softened by {', '.join(softened)}."


def test_firewall_blocks_who_asks_too_much(platform: Platform) -> None:
    limits = [
        item for item in _web_acl(platform)["Rules"] if "RateBasedStatement" in item["Statement"]
    ]
    assert limits, "The web ACL has no rate limit."
    for item in limits:
        name, limit = item["Name"], item["Statement"]["RateBasedStatement"]["Limit"]
        assert "Block" in item.get("Action", {}), f"Rule {name} of the web ACL does not block."
        assert limit <= RATE_LIMIT, (
            f"Rule {name} lets one address ask {limit} times in five minutes, "
            f"more than {RATE_LIMIT}."
        )


def test_firewall_is_measured_and_keeps_no_samples(platform: Platform) -> None:
    acl = _web_acl(platform)
    for name, item in [("the web ACL", acl), *((rule["Name"], rule) for rule in acl["Rules"])]:
        shown = item["VisibilityConfig"]
        assert shown["CloudWatchMetricsEnabled"] is True, f"{name} is not measured."
        # They would show the headers that the log leaves out.
        assert shown["SampledRequestsEnabled"] is False, f"{name} keeps samples of requests."


def test_firewall_logs_every_request(platform: Platform) -> None:
    found = platform.cloud.get(
        "wafv2", "get_logging_configuration", ResourceArn=platform.output("WebAclArn")
    )["LoggingConfiguration"]
    assert not found.get("LoggingFilter"), (
        f"The web ACL's logs leave requests out: {found.get('LoggingFilter')}."
    )


def test_firewall_keeps_its_logs(platform: Platform) -> None:
    arn = platform.output("WebAclArn")
    try:
        found = platform.cloud.get("wafv2", "get_logging_configuration", ResourceArn=arn)
    except CloudError as error:
        if error.code != "WAFNonexistentItemException":
            raise
        found = {}
    targets = found.get("LoggingConfiguration", {}).get("LogDestinationConfigs", [])
    assert targets, "The web ACL does not log."
    name = targets[0].split(":log-group:")[-1].removesuffix(":*")
    # AWS delivers only to log groups with this beginning.
    assert name.startswith("aws-waf-logs-"), f"The web ACL logs to {targets[0]}."
    problem = log_group_problem(platform, name)
    assert not problem, problem


def test_firewall_redacts_credentials_in_its_logs(platform: Platform) -> None:
    found = platform.cloud.get(
        "wafv2", "get_logging_configuration", ResourceArn=platform.output("WebAclArn")
    )["LoggingConfiguration"]
    hidden = {
        item["SingleHeader"]["Name"].lower()
        for item in found.get("RedactedFields", [])
        if "SingleHeader" in item
    }
    assert {"authorization", "cookie"} <= hidden, (
        f"Web ACL logs hide only {sorted(hidden)}, not the authorization and cookie headers."
    )
