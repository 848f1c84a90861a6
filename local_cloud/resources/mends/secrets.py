"""Secrets Manager: the end of a rotation, which service owns a secret, and drift by ARN."""

from __future__ import annotations

from typing import Any

from ministack.services import secretsmanager as _secrets
from ministack.services.cloudformation import drift as _drift

from .core import Amendment, Members, Mend, Operation, Refusal

OWNER_TAG = "aws:secretsmanager:owningService"


def _cancel_rotation(request: Members) -> Members:
    _key, secret = _secrets._resolve(request["SecretId"])
    if not secret:
        raise Refusal(
            "ResourceNotFoundException", "Secrets Manager can't find the specified secret."
        )
    secret["RotationEnabled"] = False
    return {"ARN": secret["ARN"], "Name": secret["Name"]}


def _show_owner(_request: Members, response: Members) -> None:
    for secret in response.get("SecretList", [response]):
        owner = next((t["Value"] for t in secret.get("Tags") or () if t["Key"] == OWNER_TAG), None)
        if owner:
            secret["OwningService"] = owner


MENDS: tuple[Mend, ...] = (
    Operation("CancelRotateSecret", _cancel_rotation),
    Amendment("DescribeSecret", _show_owner),
    Amendment("ListSecrets", _show_owner),
)


def read_drift_by_arn() -> None:
    """MiniStack reads the drift of a secret by its name, but CloudFormation knows its ARN."""
    kind = "AWS::SecretsManager::Secret"
    read, compared = _drift._DRIFT_READERS[kind]

    def read_by_arn(physical_id: str, properties: Any) -> Any:
        name, _secret = _secrets._resolve(physical_id)
        return read(name, properties)

    _drift._DRIFT_READERS[kind] = read_by_arn, compared
