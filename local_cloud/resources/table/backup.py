"""AWS Backup: vaults, plans and what they back up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..model import EVERY, Api, Call, Document, Read, ResourceType, Step, Tags

_VAULT = {"BackupVaultName": "id"}


def _setting(
    name: str, operation: str, parameters: Callable[[Any], Mapping[str, Any]] = dict
) -> Step:
    """A setting of a vault: put where the template has it, else deleted."""

    def run(api: Api, document: Document) -> None:
        given = document["properties"].get(name)
        verb, values = ("put", parameters(given)) if given else ("delete", {})
        api("backup", f"{verb}_{operation}", BackupVaultName=document["id"], **values)

    return Step(run, on=(name,))


BACKUP: tuple[ResourceType, ...] = (
    ResourceType(
        name="AWS::Backup::BackupVault",
        service="backup",
        create=Call("create_backup_vault", takes=EVERY),
        reference="response.BackupVaultName",
        read=Read("describe_backup_vault", _VAULT, "@"),
        attributes={"BackupVaultArn": "record.BackupVaultArn", "BackupVaultName": "id"},
        settings=(
            _setting("AccessPolicy", "backup_vault_access_policy", lambda given: {"Policy": given}),
            _setting("LockConfiguration", "backup_vault_lock_configuration"),
            _setting("Notifications", "backup_vault_notifications"),
        ),
        delete=Call("delete_backup_vault", _VAULT),
        create_only=("EncryptionKeyArn",),
        named="BackupVaultName",
        name_limit=50,
        tags=Tags(
            "backup",
            "record.BackupVaultArn",
            property_name="BackupVaultTags",
            shape="map",
            at_create=False,
        ),
    ),
    # MiniStack serves plans well; it only does not know that nothing replaces one.
    ResourceType(name="AWS::Backup::BackupPlan", service="", mends_builtin=True),
    ResourceType(
        name="AWS::Backup::BackupSelection",
        service="backup",
        create=Call(
            "create_backup_selection",
            {"BackupPlanId": "properties.BackupPlanId"},
            ("BackupSelection",),
        ),
        reference="join('_', [response.SelectionId, response.BackupPlanId])",
        attributes={
            "BackupPlanId": "properties.BackupPlanId",
            "Id": "id",
            "SelectionId": lambda document: document["id"].partition("_")[0],
        },
        delete=Step(
            lambda api, document: api(
                "backup",
                "delete_backup_selection",
                SelectionId=document["id"].partition("_")[0],
                BackupPlanId=document["properties"]["BackupPlanId"],
            )
        ),
        create_only=("BackupPlanId", "BackupSelection"),
    ),
)
