"""Security group rules, policies and answers of AWS as the checks read them."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from verification.cloud import Cloud, CloudError
from verification.policies import covers, overlaps, principals, read_policy, refuses_plain_http
from verification.rules import Rule, port, read_rules, spell


def test_rules_of_every_kind_of_peer() -> None:
    permissions = [
        {
            "IpProtocol": "tcp",
            "FromPort": 443,
            "ToPort": 443,
            "IpRanges": [{"CidrIp": "0.0.0.0/0"}],
            "Ipv6Ranges": [{"CidrIpv6": "::/0"}],
            "UserIdGroupPairs": [{"GroupId": "sg-1"}],
            "PrefixListIds": [{"PrefixListId": "pl-1"}],
        }
    ]
    rules = read_rules(permissions)
    assert rules == {port(443, peer) for peer in ("0.0.0.0/0", "::/0", "sg-1", "pl-1")}
    assert {rule.peer for rule in rules if rule.is_open} == {"0.0.0.0/0", "::/0"}


def test_a_rule_for_everything() -> None:
    rules = read_rules([{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
    assert rules == {Rule("0.0.0.0/0", 0, 65535, "all")}
    assert spell(rules) == "all traffic with 0.0.0.0/0"


def test_the_rule_that_leads_nowhere_is_none() -> None:
    rules = read_rules([{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "127.0.0.1/32"}]}])
    assert rules == set()
    assert spell(rules) == "none"


STATEMENT: dict[str, Any] = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:*",
    "Resource": "*",
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}


@pytest.mark.parametrize("encode", [str, quote], ids=["plain", "url-encoded"])
def test_policies_are_read_from_text(encode: Any) -> None:
    text = '{"Version": "2012-10-17", "Statement": {"Effect": "Allow"}}'
    assert read_policy(encode(text)) == [{"Effect": "Allow"}]


def test_tls_only_is_recognised() -> None:
    assert refuses_plain_http([STATEMENT])
    assert refuses_plain_http([{**STATEMENT, "Principal": {"AWS": "*"}}])
    assert refuses_plain_http(
        [{**STATEMENT, "Condition": {"Bool": {"aws:SecureTransport": False}}}]
    )


@pytest.mark.parametrize(
    "change",
    [
        {"Effect": "Allow"},
        {"Principal": {"AWS": "arn:aws:iam::000000000000:root"}},
        {"Condition": {}},
        {"Condition": {"Bool": {"aws:SecureTransport": "true"}}},
    ],
)
def test_what_is_not_tls_only(change: dict[str, Any]) -> None:
    assert not refuses_plain_http([{**STATEMENT, **change}])


def test_principals_of_every_form() -> None:
    assert principals({"Principal": "*"}) == ["*"]
    assert principals({"Principal": {"Service": ["a", "b"], "AWS": "c"}}) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("patterns", "name", "covered", "overlapping"),
    [
        (["s3:Get*"], "s3:GetObject", True, True),
        (["S3:getobject"], "s3:GetObject", True, True),
        (["s3:GetObject"], "s3:*", False, True),
        (["kms:Decrypt", "s3:Put*"], "s3:GetObject", False, False),
        (["*"], "anything:AtAll", True, True),
        ([], "s3:GetObject", False, False),
    ],
)
def test_patterns_of_policies(
    patterns: list[str], name: str, covered: bool, overlapping: bool
) -> None:
    assert covers(patterns, name) is covered
    assert overlaps(patterns, name) is overlapping


def test_a_cloud_that_does_not_answer_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "000000000000")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-that-protects-nothing")
    cloud = Cloud("eu-west-1")
    with pytest.raises(
        CloudError, match="sts get_caller_identity in eu-west-1: Could not"
    ) as first:
        cloud.get("sts", "get_caller_identity")
    # Another endpoint would be asked now if the refusal had not been kept.
    monkeypatch.setattr(cloud, "_clients", None)
    with pytest.raises(CloudError) as second:
        cloud.get("sts", "get_caller_identity")
    assert str(second.value) == str(first.value)
    # It has nothing to ask by, which only shows when it asks.
    with pytest.raises(TypeError):
        cloud.again().get("sts", "get_caller_identity")
