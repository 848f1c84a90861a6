"""Sabotage of the load balancer and the web ACL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from tests.e2e.sabotages.groups import default_group
from tests.e2e.sabotages.victim import Victim, again, sabotage

noticed_by = partial(sabotage, on="dev")


def listener(victim: Victim, port: int) -> dict[str, Any]:
    """The listener on a port."""
    arn = victim.outputs["LoadBalancerArn"]
    found = victim.elb.describe_listeners(LoadBalancerArn=arn)["Listeners"]
    return next(dict(item) for item in found if item["Port"] == port)


@contextmanager
def attribute(victim: Victim, key: str, value: str) -> Iterator[str]:
    """Change an attribute of the load balancer for a while; gives its key."""
    arn = victim.outputs["LoadBalancerArn"]
    found = victim.elb.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]
    [before] = [item["Value"] for item in found if item["Key"] == key]
    for new in (value, before):
        victim.elb.modify_load_balancer_attributes(
            LoadBalancerArn=arn, Attributes=[{"Key": key, "Value": new}]
        )
        if new == value:
            yield key


# --- Load balancer ------------------------------------------------------------------------------


@noticed_by(
    "compute::test_load_balancer_attribute", "security::test_load_balancer_may_write_its_logs"
)
def access_logs_are_off(victim: Victim) -> Iterator[str]:
    with attribute(victim, "access_logs.s3.enabled", "false"):
        yield "access"


@noticed_by(
    "security::test_access_logs_arrive_in_the_bucket",
    "security::test_load_balancer_may_write_its_logs",
)
def access_logs_go_elsewhere(victim: Victim) -> Iterator[str]:
    bucket = f"{victim.prefix}-elsewhere"
    victim.client("s3").create_bucket(
        Bucket=bucket,
        CreateBucketConfiguration={"LocationConstraint": victim.target.region},
    )
    with attribute(victim, "access_logs.s3.bucket", bucket):
        yield bucket


@noticed_by("compute::test_load_balancer_deletion_protection", on="prod")
def load_balancer_can_be_deleted(victim: Victim) -> Iterator[str]:
    with attribute(victim, "deletion_protection.enabled", "false"):
        yield "load balancer is false"


@noticed_by("compute::test_load_balancer_resists_desync")
def load_balancer_takes_ambiguous_requests(victim: Victim) -> Iterator[str]:
    with attribute(victim, "routing.http.desync_mitigation_mode", "monitor"):
        yield "monitor"


@noticed_by("compute::test_load_balancer_has_only_its_security_group")
def load_balancer_gets_another_group(victim: Victim) -> Iterator[str]:
    arn = victim.outputs["LoadBalancerArn"]
    group = default_group(victim)
    for groups in ([group], [victim.outputs["LoadBalancerSecurityGroupId"]]):
        victim.elb.set_security_groups(LoadBalancerArn=arn, SecurityGroups=groups)
        if groups == [group]:
            yield group


# --- Listeners ----------------------------------------------------------------------------------


@noticed_by("compute::test_https_listener_takes_only_tls_1_2_and_later")
def https_takes_old_tls(victim: Victim) -> Iterator[str]:
    found = listener(victim, 443)
    arn, old = found["ListenerArn"], "ELBSecurityPolicy-2016-08"
    victim.elb.modify_listener(ListenerArn=arn, SslPolicy=old)
    yield old
    victim.elb.modify_listener(ListenerArn=arn, SslPolicy=found["SslPolicy"])


@noticed_by("compute::test_http_is_redirected_to_https")
def http_is_forwarded(victim: Victim) -> Iterator[str]:
    found = listener(victim, 80)
    forward = {"Type": "forward", "TargetGroupArn": victim.outputs["TargetGroupArn"]}
    for actions in ([forward], found["DefaultActions"]):
        victim.elb.modify_listener(ListenerArn=found["ListenerArn"], DefaultActions=actions)
        if actions == [forward]:
            yield "forward"


@noticed_by("compute::test_https_listener_forwards_to_the_service")
def https_answers_by_itself(victim: Victim) -> Iterator[str]:
    found = listener(victim, 443)
    fixed = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200"}}
    for actions in ([fixed], found["DefaultActions"]):
        victim.elb.modify_listener(ListenerArn=found["ListenerArn"], DefaultActions=actions)
        if actions == [fixed]:
            yield "fixed-response"


@noticed_by("compute::test_https_listener_shows_the_certificate")
def https_shows_another_certificate(victim: Victim) -> Iterator[str]:
    found = listener(victim, 443)
    other = {"CertificateArn": found["Certificates"][0]["CertificateArn"][:-12] + "0" * 12}
    for certificates in ([other], found["Certificates"]):
        victim.elb.modify_listener(ListenerArn=found["ListenerArn"], Certificates=certificates)
        if certificates == [other]:
            yield other["CertificateArn"]


@noticed_by("compute::test_load_balancer_listens_on_http_and_https_only")
def another_port_is_open(victim: Victim) -> Iterator[str]:
    forward = {"Type": "forward", "TargetGroupArn": victim.outputs["TargetGroupArn"]}
    made = victim.elb.create_listener(
        LoadBalancerArn=victim.outputs["LoadBalancerArn"],
        Protocol="HTTP",
        Port=8080,
        DefaultActions=[forward],
    )["Listeners"][0]
    yield "8080"
    victim.elb.delete_listener(ListenerArn=made["ListenerArn"])


@noticed_by("compute::test_listener_has_no_rule_beside_its_own")
def some_requests_go_elsewhere(victim: Victim) -> Iterator[str]:
    made = victim.elb.create_rule(
        ListenerArn=victim.outputs["HttpsListenerArn"],
        Priority=1,
        Conditions=[{"Field": "path-pattern", "Values": ["/admin"]}],
        Actions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200"}}],
    )["Rules"][0]
    yield made["RuleArn"]
    victim.elb.delete_rule(RuleArn=made["RuleArn"])


@contextmanager
def answer(victim: Victim, key: str, value: str) -> Iterator[None]:
    """Change what the HTTPS listener adds to answers for a while."""
    arn = victim.outputs["HttpsListenerArn"]
    found = victim.elb.describe_listener_attributes(ListenerArn=arn)["Attributes"]
    [before] = [item["Value"] for item in found if item["Key"] == key]
    for new in (value, before):
        victim.elb.modify_listener_attributes(
            ListenerArn=arn, Attributes=[{"Key": key, "Value": new}]
        )
        if new == value:
            yield


@noticed_by("compute::test_browsers_are_told_to_stay_on_https")
def browsers_may_leave_https(victim: Victim) -> Iterator[str]:
    key = "routing.http.response.strict_transport_security.header_value"
    with answer(victim, key, "max-age=60"):
        yield "60 s"


@noticed_by("compute::test_answers_tell_no_more_than_needed")
def answers_tell_the_server(victim: Victim) -> Iterator[str]:
    key = "routing.http.response.server.enabled"
    with answer(victim, key, "true"):
        yield key


# --- Target group -------------------------------------------------------------------------------


@noticed_by("compute::test_target_group_asks_the_health_check_path")
def health_check_asks_another_path(victim: Victim) -> Iterator[str]:
    arn = victim.outputs["TargetGroupArn"]
    [found] = victim.elb.describe_target_groups(TargetGroupArns=[arn])["TargetGroups"]
    for path in ("/", found["HealthCheckPath"]):
        victim.elb.modify_target_group(TargetGroupArn=arn, HealthCheckPath=path)
        if path == "/":
            yield "ask /,"


@noticed_by("compute::test_target_group_judges_by_the_answer")
def health_check_takes_every_answer(victim: Victim) -> Iterator[str]:
    arn = victim.outputs["TargetGroupArn"]
    for codes in ("200-499", "200"):
        victim.elb.modify_target_group(TargetGroupArn=arn, Matcher={"HttpCode": codes})
        if codes != "200":
            yield codes


@noticed_by("compute::test_targets_are_tasks_in_the_private_subnets")
def payments_go_to_a_stranger(victim: Victim) -> Iterator[str]:
    place = {
        "TargetGroupArn": victim.outputs["TargetGroupArn"],
        "Targets": [{"Id": "10.99.0.1", "Port": 8080}],
    }
    victim.elb.register_targets(**place)
    yield "10.99.0.1"
    victim.elb.deregister_targets(**place)


@noticed_by("compute::test_requests_are_finished_before_a_task_ends")
def requests_are_cut_off(victim: Victim) -> Iterator[str]:
    arn, key = victim.outputs["TargetGroupArn"], "deregistration_delay.timeout_seconds"
    found = victim.elb.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"]
    [before] = [item["Value"] for item in found if item["Key"] == key]
    for value in ("0", before):
        victim.elb.modify_target_group_attributes(
            TargetGroupArn=arn, Attributes=[{"Key": key, "Value": value}]
        )
        if value == "0":
            yield "0 s"


# --- Web ACL ------------------------------------------------------------------------------------


@noticed_by(
    "compute::test_firewall_guards_the_load_balancer",
    "compute::test_firewall_has_managed_rules_and_a_rate_limit",
)
def web_acl_is_detached(victim: Victim) -> Iterator[str]:
    waf, arn = victim.client("wafv2"), victim.outputs["LoadBalancerArn"]
    waf.disassociate_web_acl(ResourceArn=arn)
    yield "No web ACL"
    waf.associate_web_acl(ResourceArn=arn, WebACLArn=victim.outputs["WebAclArn"])


@contextmanager
def web_acl_rules(victim: Victim, rules: list[dict[str, Any]]) -> Iterator[None]:
    """Give the web ACL other rules for a while."""
    waf = victim.client("wafv2")
    name, acl_id = victim.outputs["WebAclArn"].split("/")[-2:]
    place = {"Name": name, "Id": acl_id, "Scope": "REGIONAL"}
    before = waf.get_web_acl(**place)["WebACL"]["Rules"]
    for new in (rules, before):
        found = waf.get_web_acl(**place)
        again(
            waf, "update_web_acl", found["WebACL"], **place, Rules=new, LockToken=found["LockToken"]
        )
        if new is rules:
            yield


def rules_of(victim: Victim) -> list[dict[str, Any]]:
    """The rules of the web ACL."""
    name, acl_id = victim.outputs["WebAclArn"].split("/")[-2:]
    found = victim.client("wafv2").get_web_acl(Name=name, Id=acl_id, Scope="REGIONAL")
    return list(found["WebACL"]["Rules"])


@noticed_by("compute::test_firewall_has_managed_rules_and_a_rate_limit")
def web_acl_only_counts(victim: Victim) -> Iterator[str]:
    counting = [
        {**item, "OverrideAction": {"Count": {}}} if item["Name"] == "sql-injection" else item
        for item in rules_of(victim)
    ]
    with web_acl_rules(victim, counting):
        yield "sql-injection"


@noticed_by("compute::test_firewall_has_the_planned_rules")
def web_acl_loses_a_rule(victim: Victim) -> Iterator[str]:
    kept = [item for item in rules_of(victim) if item["Name"] != "known-bad-inputs"]
    with web_acl_rules(victim, kept):
        yield "AWSManagedRulesKnownBadInputsRuleSet"


@noticed_by("compute::test_firewall_blocks_who_asks_too_much")
def web_acl_lets_one_address_ask_too_much(victim: Victim) -> Iterator[str]:
    rules = rules_of(victim)
    for item in rules:
        if item["Name"] == "rate-limit":
            item["Statement"]["RateBasedStatement"]["Limit"] = 2_000_000
    with web_acl_rules(victim, rules):
        yield "rate-limit"


@noticed_by("compute::test_firewall_is_measured_and_keeps_no_samples")
def web_acl_keeps_samples(victim: Victim) -> Iterator[str]:
    rules = rules_of(victim)
    rules[0]["VisibilityConfig"]["SampledRequestsEnabled"] = True
    with web_acl_rules(victim, rules):
        yield rules[0]["Name"]


@noticed_by("compute::test_firewall_logs_every_request")
def web_acl_logs_only_what_it_blocks(victim: Victim) -> Iterator[str]:
    waf, arn = victim.client("wafv2"), victim.outputs["WebAclArn"]
    before = waf.get_logging_configuration(ResourceArn=arn)["LoggingConfiguration"]
    blocked = {"ActionCondition": {"Action": "BLOCK"}}
    keep = {"Behavior": "KEEP", "Requirement": "MEETS_ANY", "Conditions": [blocked]}
    some = {"Filters": [keep], "DefaultBehavior": "DROP"}
    waf.put_logging_configuration(LoggingConfiguration={**before, "LoggingFilter": some})
    yield "leave requests out"
    waf.put_logging_configuration(LoggingConfiguration=before)


@noticed_by("compute::test_firewall_keeps_its_logs")
def web_acl_keeps_no_logs(victim: Victim) -> Iterator[str]:
    waf, arn = victim.client("wafv2"), victim.outputs["WebAclArn"]
    before = waf.get_logging_configuration(ResourceArn=arn)["LoggingConfiguration"]
    waf.delete_logging_configuration(ResourceArn=arn)
    yield "does not log"
    waf.put_logging_configuration(LoggingConfiguration=before)


@noticed_by("compute::test_firewall_redacts_credentials_in_its_logs")
def web_acl_logs_credentials(victim: Victim) -> Iterator[str]:
    waf, arn = victim.client("wafv2"), victim.outputs["WebAclArn"]
    before = waf.get_logging_configuration(ResourceArn=arn)["LoggingConfiguration"]
    waf.put_logging_configuration(LoggingConfiguration={**before, "RedactedFields": []})
    yield "authorization"
    waf.put_logging_configuration(LoggingConfiguration=before)
