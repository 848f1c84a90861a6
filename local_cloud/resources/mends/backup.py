"""AWS Backup: what protects a vault, who is told of it, and which services a region backs up.

MiniStack takes none of these. What is of a vault is kept in its own record, and goes with it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from ministack.services import backup as _backup

from .core import Members, Refusal, scoped
from .protocol import Response

_SECONDS_OF_A_DAY = 86400
_SHORTEST_GRACE_DAYS = 3
_LONGEST_RETENTION_DAYS = 36500
_POLICY = ("Policy",)
_LOCK = ("MinRetentionDays", "MaxRetentionDays", "LockDate")
_NOTIFICATIONS = ("SNSTopicArn", "BackupVaultEvents")

# What accounts have chosen to back up, by account and region.
_opted_in: dict[tuple[str, str, str], dict[str, bool]] = {}


def keep_settings() -> None:
    """Make AWS Backup keep the settings of vaults and regions."""
    original = _backup.handle_request

    async def handle_request(
        method: str, path: str, headers: Mapping[str, str], body: bytes, query: Mapping[str, Any]
    ) -> Response:
        answer = _answer(method, [part for part in path.split("/") if part])
        if answer is None:
            response: Response = await original(method, path, headers, body, query)
            return response
        try:
            return _written(200, answer(json.loads(body or b"{}")))
        except Refusal as refusal:
            error = {"__type": refusal.code, "Code": refusal.code, "Message": str(refusal)}
            return _written(refusal.status, error)

    _backup.handle_request = handle_request


def _written(status: int, members: Members) -> Response:
    return status, {"Content-Type": "application/json"}, json.dumps(members).encode()


def _answer(method: str, parts: list[str]) -> Callable[[Members], Members] | None:
    """What answers a request; None where MiniStack does."""
    match parts:
        case ["account-settings"]:
            return _update_region if method == "PUT" else _describe_region
        case ["backup-vaults", name] if method == "DELETE" and name in _backup._vaults:
            return _refuse_to_delete(_backup._vaults[name])
        case ["backup-vaults", name, part] if (part, method) in _PARTS:
            return lambda request: _PARTS[part, method](_vault(name), request)
    return None


# --- vaults ---------------------------------------------------------------------------------------


def _vault(name: str) -> Members:
    if name not in _backup._vaults:
        raise Refusal("ResourceNotFoundException", f"Backup vault {name} does not exist.")
    vault: Members = _backup._vaults[name]
    return vault


def _refuse_to_delete(vault: Members) -> Callable[[Members], Members] | None:
    if not vault["NumberOfRecoveryPoints"]:
        return None

    def refuse(_request: Members) -> Members:
        raise Refusal(
            "InvalidRequestException",
            f"Backup vault {vault['BackupVaultName']} contains recovery points.",
        )

    return refuse


def _invalid(message: str) -> Refusal:
    return Refusal("InvalidParameterValueException", message)


def _shows(*members: str) -> Callable[[Members, Members], Members]:
    def show(vault: Members, _request: Members) -> Members:
        if members[0] not in vault:
            raise Refusal(
                "ResourceNotFoundException", f"{vault['BackupVaultName']} has no {members[0]}."
            )
        return {name: vault[name] for name in ("BackupVaultName", "BackupVaultArn", *members)}

    return show


def _forgets(*members: str) -> Callable[[Members, Members], Members]:
    def forget(vault: Members, _request: Members) -> Members:
        for name in members:
            vault.pop(name, None)
        return {}

    return forget


def _put_policy(vault: Members, request: Members) -> Members:
    try:
        statements = json.loads(request["Policy"])["Statement"]
    except (KeyError, TypeError, ValueError):
        raise _invalid("The policy is no valid JSON.") from None
    for statement in statements if isinstance(statements, list) else [statements]:
        # Unlike other policies, that of a vault has to name its actions one by one.
        if "*" in json.dumps(statement.get("Action", "")):
            raise _invalid("The policy of a vault takes no wildcard in an action.")
    vault["Policy"] = request["Policy"]
    return {}


def _put_lock(vault: Members, request: Members) -> Members:
    shortest, longest = request.get("MinRetentionDays"), request.get("MaxRetentionDays")
    grace = request.get("ChangeableForDays")
    if shortest is not None and not 1 <= shortest <= _LONGEST_RETENTION_DAYS:
        raise _invalid(f"MinRetentionDays must be 1 to {_LONGEST_RETENTION_DAYS}.")
    if longest is not None and not (shortest or 1) <= longest <= _LONGEST_RETENTION_DAYS:
        raise _invalid(f"MaxRetentionDays must be MinRetentionDays to {_LONGEST_RETENTION_DAYS}.")
    if grace is not None and grace < _SHORTEST_GRACE_DAYS:
        raise _invalid(f"ChangeableForDays must be {_SHORTEST_GRACE_DAYS} or more.")
    lock_date = None if grace is None else int(time.time()) + grace * _SECONDS_OF_A_DAY
    values = zip(_LOCK, (shortest, longest, lock_date), strict=True)
    _forgets(*_LOCK)(vault, request)
    vault.update({name: value for name, value in values if value is not None}, Locked=True)
    return {}


def _delete_lock(vault: Members, request: Members) -> Members:
    vault["Locked"] = False
    return _forgets(*_LOCK)(vault, request)


def _put_notifications(vault: Members, request: Members) -> Members:
    vault.update({name: request[name] for name in _NOTIFICATIONS})
    return {}


_PARTS: dict[tuple[str, str], Callable[[Members, Members], Members]] = {
    ("access-policy", "PUT"): _put_policy,
    ("access-policy", "GET"): _shows(*_POLICY),
    ("access-policy", "DELETE"): _forgets(*_POLICY),
    ("vault-lock", "PUT"): _put_lock,
    ("vault-lock", "DELETE"): _delete_lock,
    ("notification-configuration", "PUT"): _put_notifications,
    ("notification-configuration", "GET"): _shows(*_NOTIFICATIONS),
    ("notification-configuration", "DELETE"): _forgets(*_NOTIFICATIONS),
}


# --- regions --------------------------------------------------------------------------------------


def _region() -> dict[str, bool]:
    """The services that a region backs up: all of them, until somebody chooses."""
    every = dict.fromkeys(_backup._SUPPORTED_RESOURCE_TYPES, True)
    return _opted_in.setdefault(scoped("settings"), every)


def _describe_region(_request: Members) -> Members:
    return {"ResourceTypeOptInPreference": _region(), "ResourceTypeManagementPreference": {}}


def _update_region(request: Members) -> Members:
    _region().update(request.get("ResourceTypeOptInPreference", {}))
    return {}
