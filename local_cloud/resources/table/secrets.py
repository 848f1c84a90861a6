"""Secrets Manager."""

from __future__ import annotations

import json
from typing import Any

from ..model import Api, Call, Document, Read, ResourceType, Step, Tags

_VALUE = ("GenerateSecretString", "SecretString")


def _text(api: Api, properties: Any) -> str:
    """The value that a template gives, or one that is generated as it says."""
    rules = dict(properties.get("GenerateSecretString") or {})
    if not rules:
        return str(properties.get("SecretString", ""))
    template, key = rules.pop("SecretStringTemplate", None), rules.pop("GenerateStringKey", None)
    password = api("secretsmanager", "get_random_password", **rules)["RandomPassword"]
    if template is None:
        return str(password)
    return json.dumps({**json.loads(template), key: password})


def _create(api: Api, document: Document) -> Any:
    properties = document["properties"]
    known = ("Description", "KmsKeyId", "Tags")
    return api(
        "secretsmanager",
        "create_secret",
        Name=document["name"],
        SecretString=_text(api, properties),
        **{name: properties[name] for name in known if name in properties},
    )


def _put_value(api: Api, document: Document) -> None:
    """A change of the value, or of how it is made, makes a new version of the secret."""
    old, new = document["old"], document["properties"]
    if any(old.get(name) != new.get(name) for name in _VALUE):
        api(
            "secretsmanager",
            "put_secret_value",
            SecretId=document["id"],
            SecretString=_text(api, new),
        )


SECRETS: tuple[ResourceType, ...] = (
    ResourceType(
        name="AWS::SecretsManager::Secret",
        service="secretsmanager",
        create=Step(_create, on=("Description", "KmsKeyId", *_VALUE)),
        # The ARN, by which policies name it.
        reference="response.ARN",
        read=Read("describe_secret", {"SecretId": "id"}, "@"),
        attributes={"Id": "id"},
        updates=(
            Call(
                "update_secret",
                {
                    "SecretId": "id",
                    "Description": "properties.Description",
                    "KmsKeyId": "properties.KmsKeyId",
                },
            ),
            Step(_put_value, on=_VALUE),
        ),
        # CloudFormation leaves no time in which it could be restored.
        delete=Call("delete_secret", {"SecretId": "id", "ForceDeleteWithoutRecovery": "`true`"}),
        defaults={"Description": ""},
        named="Name",
        tags=Tags("secretsmanager"),
    ),
    ResourceType(
        name="AWS::SecretsManager::RotationSchedule",
        service="secretsmanager",
        create=Call(
            "rotate_secret",
            {
                "SecretId": "properties.SecretId",
                "RotateImmediately": "properties.RotateImmediatelyOnUpdate",
            },
            ("RotationLambdaARN", "RotationRules"),
        ),
        reference="response.ARN",
        read=Read("describe_secret", {"SecretId": "id"}, "@"),
        updates=(
            Call(
                "rotate_secret",
                {
                    "SecretId": "id",
                    "RotateImmediately": "properties.RotateImmediatelyOnUpdate",
                },
                ("RotationLambdaARN", "RotationRules"),
            ),
        ),
        delete=Call("cancel_rotate_secret", {"SecretId": "id"}),
        create_only=("SecretId",),
    ),
    ResourceType(
        name="AWS::SecretsManager::ResourcePolicy",
        service="secretsmanager",
        create=Call(
            "put_resource_policy",
            {"SecretId": "properties.SecretId"},
            ("BlockPublicPolicy", "ResourcePolicy"),
        ),
        reference="response.ARN",
        updates=(
            Call(
                "put_resource_policy", {"SecretId": "id"}, ("BlockPublicPolicy", "ResourcePolicy")
            ),
        ),
        delete=Call("delete_resource_policy", {"SecretId": "id"}),
        create_only=("SecretId",),
    ),
)
