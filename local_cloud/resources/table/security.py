"""WAF, keys, secrets and identities."""

from __future__ import annotations

import json
from typing import Any

from ..model import EVERY, Api, Call, Document, Read, ResourceType, Step, Tags

_LOGGING = {
    "LoggingConfiguration": """{
    ResourceArn: properties.ResourceArn,
    LogDestinationConfigs: properties.LogDestinationConfigs,
    RedactedFields: properties.RedactedFields,
    LoggingFilter: properties.LoggingFilter
}"""
}


def _replicate(api: Api, document: Document) -> Any:
    """A replica is asked for in the region of its primary key."""
    properties = document["properties"]
    primary = str(properties["PrimaryKeyArn"])
    made = api(
        f"kms@{primary.split(':')[3]}",
        "replicate_key",
        KeyId=primary,
        ReplicaRegion=document["region"],
        Policy=json.dumps(properties["KeyPolicy"]),
        Description=properties.get("Description", ""),
    )
    return made["ReplicaKeyMetadata"]


def _enable(api: Api, document: Document) -> None:
    enabled = str(document["properties"].get("Enabled", True)).lower() == "true"
    api("kms", "enable_key" if enabled else "disable_key", KeyId=document["id"])


def _change_clients(api: Api, document: Document) -> None:
    """The clients of an identity provider are added and removed one by one."""
    arn = document["id"]
    wanted = set(document["properties"].get("ClientIdList") or ())
    before = set(document["record"].get("ClientIDList") or ())
    for operation, clients in (
        ("add_client_id_to_open_id_connect_provider", wanted - before),
        ("remove_client_id_from_open_id_connect_provider", before - wanted),
    ):
        for client in sorted(clients):
            api("iam", operation, OpenIDConnectProviderArn=arn, ClientID=client)


def _bound(api: Api, document: Document) -> None:
    """MiniStack's own handler for roles leaves the permissions boundary out."""
    role, boundary = document["id"], document["properties"].get("PermissionsBoundary")
    if boundary:
        api("iam", "put_role_permissions_boundary", RoleName=role, PermissionsBoundary=boundary)
    elif document["old"].get("PermissionsBoundary"):
        api("iam", "delete_role_permissions_boundary", RoleName=role)


def _disassociate(api: Api, document: Document) -> None:
    """Leave a resource alone that has been given another web ACL since."""
    resource, acl = document["ids"]
    found = api("wafv2", "get_web_acl_for_resource", ResourceArn=resource)
    if found["WebACL"]["ARN"] == acl:
        api("wafv2", "disassociate_web_acl", ResourceArn=resource)


_WEB_ACL = {"Name": "ids[0]", "Id": "ids[1]", "Scope": "ids[2]"}
_ROLE_POLICY = {"RoleName": "properties.RoleName", "PolicyName": "properties.PolicyName"}

SECURITY = (
    ResourceType(
        name="AWS::KMS::ReplicaKey",
        service="kms",
        create=Step(
            _replicate, on=("Description", "KeyPolicy", "PendingWindowInDays", "PrimaryKeyArn")
        ),
        reference="response.KeyId",
        read=Read("describe_key", {"KeyId": "id"}, "KeyMetadata"),
        attributes={"Arn": "record.Arn", "KeyId": "id"},
        settings=(Step(_enable, on=("Enabled",)),),
        updates=(
            Call(
                "update_key_description", {"KeyId": "id", "Description": "properties.Description"}
            ),
            Call(
                "put_key_policy",
                {"KeyId": "id", "PolicyName": "'default'", "Policy": "properties.KeyPolicy"},
            ),
        ),
        delete=Call(
            "schedule_key_deletion",
            {"KeyId": "id", "PendingWindowInDays": "properties.PendingWindowInDays"},
        ),
        defaults={"Description": ""},
        create_only=("PrimaryKeyArn",),
        tags=Tags("kms", at_create=False),
    ),
    ResourceType(
        name="AWS::IAM::RolePolicy",
        service="iam",
        create=Call("put_role_policy", _ROLE_POLICY, ("PolicyDocument",)),
        reference="join('|', [properties.PolicyName, properties.RoleName])",
        updates=(Call("put_role_policy", _ROLE_POLICY, ("PolicyDocument",)),),
        delete=Call("delete_role_policy", _ROLE_POLICY),
        create_only=("PolicyName", "RoleName"),
    ),
    ResourceType(
        name="AWS::IAM::OIDCProvider",
        service="iam",
        create=Call("create_open_id_connect_provider", takes=EVERY),
        reference="response.OpenIDConnectProviderArn",
        read=Read("get_open_id_connect_provider", {"OpenIDConnectProviderArn": "id"}, "@"),
        attributes={"Arn": "id"},
        updates=(
            Call(
                "update_open_id_connect_provider_thumbprint",
                {"OpenIDConnectProviderArn": "id"},
                ("ThumbprintList",),
            ),
            Step(_change_clients, on=("ClientIdList",)),
        ),
        delete=Call("delete_open_id_connect_provider", {"OpenIDConnectProviderArn": "id"}),
        create_only=("Url",),
        tags=Tags("iam oidc"),
    ),
    ResourceType(
        name="AWS::IAM::Role",
        service="iam",
        mends_builtin=True,
        settings=(Step(_bound, on=("PermissionsBoundary",)),),
        create_only=("Path",),
        named="RoleName",
        name_limit=64,
    ),
    ResourceType(
        name="AWS::WAFv2::WebACL",
        service="wafv2",
        create=Call("create_web_acl", {"Name": "name"}, EVERY),
        reference="join('|', [response.Summary.Name, response.Summary.Id, properties.Scope])",
        read=Read("get_web_acl", _WEB_ACL, "@"),
        attributes={
            "Arn": "record.WebACL.ARN",
            "Capacity": "record.WebACL.Capacity",
            "Id": "record.WebACL.Id",
            "LabelNamespace": "record.WebACL.LabelNamespace",
        },
        updates=(Call("update_web_acl", {**_WEB_ACL, "LockToken": "record.LockToken"}, EVERY),),
        delete=Call("delete_web_acl", {**_WEB_ACL, "LockToken": "record.LockToken"}),
        defaults={"Rules": [], "Description": ""},
        create_only=("Scope",),
        named="Name",
        tags=Tags("ResourceARN", "record.WebACL.ARN"),
    ),
    ResourceType(
        name="AWS::WAFv2::WebACLAssociation",
        service="wafv2",
        create=Call(
            "associate_web_acl",
            {"ResourceArn": "properties.ResourceArn", "WebACLArn": "properties.WebACLArn"},
        ),
        reference="join('|', [properties.ResourceArn, properties.WebACLArn])",
        delete=Step(_disassociate),
        create_only=("ResourceArn", "WebACLArn"),
    ),
    ResourceType(
        name="AWS::WAFv2::LoggingConfiguration",
        service="wafv2",
        create=Call("put_logging_configuration", _LOGGING),
        reference="response.LoggingConfiguration.ResourceArn",
        read=Read("get_logging_configuration", {"ResourceArn": "id"}, "LoggingConfiguration"),
        attributes={"ManagedByFirewallManager": "record.ManagedByFirewallManager"},
        updates=(Call("put_logging_configuration", _LOGGING),),
        delete=Call("delete_logging_configuration", {"ResourceArn": "id"}),
        create_only=("ResourceArn",),
    ),
)
