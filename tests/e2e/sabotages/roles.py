"""Sabotage of the roles and their boundary."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from tests.e2e.sabotages.victim import Victim, sabotage

noticed_by = partial(sabotage, on="dev")
STRANGER = "arn:aws:iam::999999999999:root"


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
