"""The custom resource that closes the default security group, on a local cloud."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.functions.conftest import Answers

Request = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def code(function: Callable[[str], ModuleType]) -> ModuleType:
    """The function under test."""
    return function("default_security_group")


@pytest.fixture
def ec2(cloud: Any) -> Any:
    """Client of EC2 on the local cloud."""
    return cloud("ec2")


@pytest.fixture
def group_id(ec2: Any) -> str:
    """The default security group of a new VPC, open as it is born."""
    vpc_id = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    groups = ec2.describe_security_groups(
        Filters=[
            {"Name": "vpc-id", "Values": [vpc_id]},
            {"Name": "group-name", "Values": ["default"]},
        ]
    )["SecurityGroups"]
    found = str(groups[0]["GroupId"])
    open_to_everybody(ec2, found)
    assert rules(ec2, found)
    return found


def open_to_everybody(ec2: Any, group_id: str) -> None:
    """Let everybody in, and the members talk to each other."""
    everybody = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}
    ec2.authorize_security_group_ingress(
        GroupId=group_id,
        IpPermissions=[
            {**everybody, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]},
            {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group_id}]},
        ],
    )


def rules(ec2: Any, group_id: str) -> list[dict[str, Any]]:
    """Every rule of the group, in both directions."""
    group = ec2.describe_security_groups(GroupIds=[group_id])["SecurityGroups"][0]
    return [*group["IpPermissions"], *group["IpPermissionsEgress"]]


def test_create_removes_every_rule(
    code: ModuleType, ec2: Any, group_id: str, request_of: Request, answers: Answers
) -> None:
    code.handler(request_of("Create", {"SecurityGroupId": group_id}), None)

    assert rules(ec2, group_id) == []
    assert answers.only == {
        "Status": "SUCCESS",
        "Reason": "",
        "PhysicalResourceId": group_id,
        "StackId": "arn:aws:cloudformation:eu-west-1:000000000000:stack/payments-dev/1",
        "RequestId": "request-1",
        "LogicalResourceId": "PaymentResource",
    }


def test_create_of_a_closed_group_changes_nothing(
    code: ModuleType, ec2: Any, group_id: str, request_of: Request, answers: Answers
) -> None:
    request = request_of("Create", {"SecurityGroupId": group_id})
    code.handler(request, None)
    code.handler(request, None)

    assert rules(ec2, group_id) == []
    assert [body["Status"] for body in answers.bodies] == ["SUCCESS", "SUCCESS"]


def test_update_closes_a_group_that_was_opened_again(
    code: ModuleType, ec2: Any, group_id: str, request_of: Request, answers: Answers
) -> None:
    code.close(group_id)
    open_to_everybody(ec2, group_id)
    properties = {"SecurityGroupId": group_id}
    code.handler(request_of("Update", properties, PhysicalResourceId=group_id), None)

    assert rules(ec2, group_id) == []
    assert answers.only["Status"] == "SUCCESS"


def test_delete_leaves_the_group_as_it_is(
    code: ModuleType, ec2: Any, group_id: str, request_of: Request, answers: Answers
) -> None:
    before = rules(ec2, group_id)
    properties = {"SecurityGroupId": group_id}
    code.handler(request_of("Delete", properties, PhysicalResourceId="earlier"), None)

    assert rules(ec2, group_id) == before
    assert answers.only["Status"] == "SUCCESS"
    assert answers.only["PhysicalResourceId"] == "earlier"


def test_a_rule_that_has_just_gone_is_no_failure(code: ModuleType, ec2: Any, group_id: str) -> None:
    code.revoke_rule(ec2.revoke_security_group_ingress, group_id, "sgr-0123456789abcdef0")


def test_any_other_refusal_is_a_failure(code: ModuleType, ec2: Any) -> None:
    with pytest.raises(ClientError, match=r"InvalidGroup\.NotFound"):
        code.revoke_rule(ec2.revoke_security_group_ingress, "sg-0", "sgr-0123456789abcdef0")


def test_failure_is_answered_with_its_reason(
    code: ModuleType, request_of: Request, answers: Answers
) -> None:
    code.handler(request_of("Create", {}), None)

    assert answers.only["Status"] == "FAILED"
    assert answers.only["Reason"] == "KeyError: 'SecurityGroupId'"
    assert answers.only["PhysicalResourceId"] == "PaymentResource"


def test_unreachable_service_is_answered(
    code: ModuleType, request_of: Request, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nobody listens on port 9, which is reserved for services that throw everything away.
    monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "000000000000")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-access-key-that-protects-nothing")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    code.handler(request_of("Create", {"SecurityGroupId": "sg-0"}), None)

    assert answers.only["Status"] == "FAILED"
    assert answers.only["Reason"].startswith("EndpointConnectionError: ")


def test_a_long_reason_is_cut_to_what_an_answer_can_hold(
    code: ModuleType, request_of: Request, answers: Answers
) -> None:
    code.handler(request_of("x" * 10, {}) | {"ResourceProperties": LongFailure()}, None)

    assert answers.only["Status"] == "FAILED"
    assert len(answers.only["Reason"]) == code.MAX_REASON_CHARACTERS


class LongFailure(dict[str, str]):
    """Properties that fail with more words than an answer can hold."""

    def __getitem__(self, key: str) -> str:
        raise LookupError(key * 1000)


def test_the_answer_has_no_content_type(
    code: ModuleType, request_of: Request, answers: Answers
) -> None:
    """The URL is signed without one, and S3 refuses the answer if it comes with one."""
    code.handler(request_of("Delete", {}), None)

    assert answers.content_types == [""]


class Refusals:
    """Something that is refused some times before it is allowed, on a clock of its own."""

    def __init__(self, code: str, times: int) -> None:
        """Refuse with an error code so many times."""
        self.error = ClientError({"Error": {"Code": code, "Message": "no"}}, "RevokeIngress")
        self.left, self.now = times, 0.0

    def act(self) -> None:
        if self.left:
            self.left -= 1
            raise self.error

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_a_role_that_is_not_known_everywhere_yet_is_tried_again(code: ModuleType) -> None:
    refusals = Refusals("UnauthorizedOperation", 3)
    code.once_allowed(refusals.act, refusals.sleep, lambda: refusals.now)
    assert (refusals.left, refusals.now) == (0, 3 * code.RETRY_SECONDS)


def test_a_role_that_may_not_is_given_up_in_time(code: ModuleType) -> None:
    refusals = Refusals("UnauthorizedOperation", 1000)
    with pytest.raises(ClientError):
        code.once_allowed(refusals.act, refusals.sleep, lambda: refusals.now)
    assert refusals.now == code.ROLE_KNOWN_AFTER_SECONDS


def test_another_refusal_is_no_reason_to_wait(code: ModuleType) -> None:
    refusals = Refusals("InvalidGroup.NotFound", 1)
    with pytest.raises(ClientError):
        code.once_allowed(refusals.act, refusals.sleep, lambda: refusals.now)
    assert refusals.now == 0
