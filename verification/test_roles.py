"""The roles: each may do what it is for, is taken by whom it is for, and cannot outgrow that."""

from __future__ import annotations

from verification.platform import MissingError, Platform
from verification.policies import allowed, as_list, covers, grants, principals
from verification.roles import RESOURCELESS, Role, duty, read_managed, read_roles
from verification.settings import Settings


def test_roles_may_do_exactly_what_they_are_for(platform: Platform, settings: Settings) -> None:
    wrong = []
    for role in read_roles(platform):
        planned = duty(role, settings).actions
        more, less = sorted(role.actions - planned), sorted(planned - role.actions)
        wrong += [f"{role} may also {', '.join(more)}"] if more else []
        wrong += [f"{role} may not {', '.join(less)}"] if less else []
    assert not wrong, f"Permissions are not as planned: {'; '.join(wrong)}."


def test_roles_have_exactly_the_planned_policies_of_aws(
    platform: Platform, settings: Settings
) -> None:
    wrong = [
        f"{role} has {', '.join(sorted(role.managed)) or 'none'} "
        f"instead of {', '.join(sorted(planned)) or 'none'}"
        for role in read_roles(platform)
        if role.managed != (planned := duty(role, settings).managed)
    ]
    assert not wrong, f"Policies of AWS are not as planned: {'; '.join(wrong)}."


def test_roles_are_taken_only_by_their_service(platform: Platform, settings: Settings) -> None:
    for role in read_roles(platform):
        wanted = duty(role, settings).service
        assert allowed(role.trust), f"{role} can be taken by nobody."
        for item in allowed(role.trust):
            who = principals(item)
            assert who == [wanted], f"{role} can be taken by {', '.join(who)}, not by {wanted}."
            # Lambda takes a role only for a function of the same account, and tells no source.
            if wanted != "lambda.amazonaws.com":
                source = item.get("Condition", {}).get("StringEquals", {}).get("aws:SourceAccount")
                assert source == platform.account, (
                    f"{role} can be taken for account {source or 'any'}, "
                    f"not only for {platform.account}."
                )


def test_roles_have_the_permissions_boundary(platform: Platform) -> None:
    wanted = platform.boundary
    bare = [
        f"{role} has {role.boundary or 'none'}"
        for role in read_roles(platform)
        if role.boundary != wanted
    ]
    assert not bare, f"Roles without the permissions boundary {wanted}: {'; '.join(bare)}."


def test_boundary_leaves_roles_what_they_need(platform: Platform) -> None:
    inside = [
        str(action)
        for item in allowed(read_managed(platform, platform.boundary))
        for action in as_list(item.get("Action"))
    ]
    cut = [
        f"{role} cannot {action}"
        for role in read_roles(platform)
        for action in sorted(role.actions)
        if not covers(inside, action)
    ]
    assert not cut, f"The permissions boundary takes away what is needed: {'; '.join(cut)}."


def test_boundary_forbids_changing_identities(platform: Platform) -> None:
    statements = allowed(read_managed(platform, platform.boundary))
    wide = [item for item in statements if "*" in as_list(item.get("Action"))]
    # To look at them is no danger.
    identity = [
        action
        for item in statements
        for action in [*grants(item, "iam"), *grants(item, "sts")]
        if not covers(["iam:Get*", "iam:List*", "iam:GenerateCredentialReport"], action)
    ]
    assert not wide, "The permissions boundary allows everything."
    assert not identity, f"The permissions boundary allows changing identities by {identity}."


def test_roles_work_only_in_their_environment(platform: Platform, settings: Settings) -> None:
    loose = [
        f"{role} ({item.get('Sid', 'unnamed')})"
        for role in read_roles(platform)
        for item in allowed(role.statements)
        if item.get("Condition", {}).get("StringEquals", {}).get("aws:PrincipalTag/Environment")
        != settings.environment
    ]
    assert not loose, f"Not conditioned on the environment's tag: {', '.join(loose)}."


def test_roles_name_what_they_work_on(platform: Platform) -> None:
    wide = [
        f"{role} may {action} on everything"
        for role in read_roles(platform)
        for item in allowed(role.statements)
        if "*" in as_list(item.get("Resource", "*"))
        for action in as_list(item.get("Action", "*"))
        if not covers(list(RESOURCELESS), action)
    ]
    assert not wide, f"Permissions without a resource: {'; '.join(wide)}."


def test_no_role_may_do_everything(platform: Platform) -> None:
    wide = [
        f"{role} ({item.get('Sid', 'unnamed')})"
        for role in read_roles(platform)
        for item in allowed(role.statements)
        if any(action == "*" or action.endswith(":*") for action in as_list(item.get("Action")))
        or "NotAction" in item
        or "NotResource" in item
    ]
    assert not wide, f"Roles that may do everything, or all of a service: {', '.join(wide)}."


# --- Secrets ------------------------------------------------------------------------------------


def _task_roles(platform: Platform) -> list[Role]:
    arns = {
        platform.task_definition.get("taskRoleArn"),
        platform.task_definition.get("executionRoleArn"),
    }
    roles = [role for role in read_roles(platform) if role.arn in arns]
    if len(roles) != 2:
        raise MissingError(f"The task needs two roles of the stack tree, it has {len(roles)}.")
    return roles


def test_roles_read_only_their_own_secret(platform: Platform) -> None:
    service = platform.output("DatabaseSecretArn")
    both = {service, platform.output("DatabaseMasterSecretArn")}
    for role in read_roles(platform):
        # The rotation sets the passwords of the service with the master user's.
        own = both if role.resource.logical_id == "PaymentRotationRole" else {service}
        for item in allowed(role.statements):
            actions = set(grants(item, "secretsmanager")) - {"secretsmanager:GetRandomPassword"}
            resources = set(as_list(item.get("Resource", "*")))
            assert not actions or resources <= own, (
                f"{role} may {', '.join(sorted(actions))} on {', '.join(sorted(resources - own))}."
            )


def test_somebody_may_read_the_secret_for_the_task(platform: Platform) -> None:
    secret = platform.output("DatabaseSecretArn")
    may = [
        role.arn
        for role in _task_roles(platform)
        for item in allowed(role.statements)
        if "secretsmanager:GetSecretValue" in as_list(item.get("Action"))
        and secret in as_list(item.get("Resource"))
    ]
    assert may, "Neither role of the task may read the database secret: it could not start."


def test_roles_use_keys_only_through_services(platform: Platform) -> None:
    data = platform.output("DataKeyArn")
    for role in read_roles(platform):
        for item in allowed(role.statements):
            # To describe a key reads nothing.
            if not set(grants(item, "kms")) - {"kms:DescribeKey"}:
                continue
            keys = set(as_list(item.get("Resource", "*")))
            others = sorted(keys - platform.keys)
            condition = item.get("Condition", {}).get("StringEquals", {})
            via = {name.split(".")[0] for name in as_list(condition.get("kms:ViaService"))}
            assert not others, f"{role} may use {', '.join(others)}, no key of the platform."
            assert via, f"{role} may use {', '.join(sorted(keys))} by itself."
            assert data not in keys or via == {"secretsmanager"}, (
                f"{role} may use the data key through {', '.join(sorted(via))}, "
                "not only through Secrets Manager."
            )
