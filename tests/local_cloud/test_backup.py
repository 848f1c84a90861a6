"""AWS Backup: what a vault refuses, and which services a region backs up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local_cloud.support import Client

VAULT = "refusing"


@pytest.fixture
def backup(client: Client) -> Iterator[Any]:
    """AWS Backup with an empty vault, in an account of its own."""
    api = client("backup", account="222222222222")
    api.create_backup_vault(BackupVaultName=VAULT)
    yield api
    if not api.describe_backup_vault(BackupVaultName=VAULT)["NumberOfRecoveryPoints"]:
        api.delete_backup_vault(BackupVaultName=VAULT)


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


@pytest.mark.parametrize(
    "lock",
    [
        {"MinRetentionDays": 0},
        {"MinRetentionDays": 35, "MaxRetentionDays": 14},
        {"MaxRetentionDays": 36501},
        {"MinRetentionDays": 7, "ChangeableForDays": 2},
    ],
    ids=str,
)
def test_a_lock_that_aws_refuses_is_refused(backup: Any, lock: dict[str, int]) -> None:
    with pytest.raises(ClientError) as error:
        backup.put_backup_vault_lock_configuration(BackupVaultName=VAULT, **lock)
    assert code(error) == "InvalidParameterValueException"
    assert not backup.describe_backup_vault(BackupVaultName=VAULT)["Locked"]


def test_a_lock_that_closes_says_when(backup: Any) -> None:
    backup.put_backup_vault_lock_configuration(BackupVaultName=VAULT, ChangeableForDays=3)
    vault = backup.describe_backup_vault(BackupVaultName=VAULT)
    assert (vault["LockDate"] - vault["CreationDate"]).days >= 3
    backup.put_backup_vault_lock_configuration(BackupVaultName=VAULT, MinRetentionDays=1)
    assert "LockDate" not in backup.describe_backup_vault(BackupVaultName=VAULT)


@pytest.mark.parametrize("policy", ["no policy", json.dumps({"Statement": {"Action": "backup:*"}})])
def test_a_policy_that_aws_refuses_is_refused(backup: Any, policy: str) -> None:
    with pytest.raises(ClientError) as error:
        backup.put_backup_vault_access_policy(BackupVaultName=VAULT, Policy=policy)
    assert code(error) == "InvalidParameterValueException"


@pytest.mark.parametrize(
    "operation", ["get_backup_vault_access_policy", "get_backup_vault_notifications"]
)
@pytest.mark.parametrize("name", [VAULT, "missing"])
def test_what_is_not_set_is_not_found(backup: Any, operation: str, name: str) -> None:
    with pytest.raises(ClientError) as error:
        getattr(backup, operation)(BackupVaultName=name)
    assert code(error) == "ResourceNotFoundException"


def test_what_is_removed_is_not_found(backup: Any) -> None:
    backup.put_backup_vault_notifications(
        BackupVaultName=VAULT, SNSTopicArn="of-no-importance", BackupVaultEvents=[]
    )
    backup.delete_backup_vault_notifications(BackupVaultName=VAULT)
    with pytest.raises(ClientError) as error:
        backup.get_backup_vault_notifications(BackupVaultName=VAULT)
    assert code(error) == "ResourceNotFoundException"


def test_a_vault_with_recovery_points_cannot_be_deleted(client: Client) -> None:
    backup = client("backup")
    backup.create_backup_vault(BackupVaultName="full")
    backup.start_backup_job(
        BackupVaultName="full", ResourceArn="of-no-importance", IamRoleArn="of-no-importance"
    )
    with pytest.raises(ClientError, match="contains recovery points") as error:
        backup.delete_backup_vault(BackupVaultName="full")
    assert code(error) == "InvalidRequestException"


def test_a_region_backs_up_every_service_until_somebody_chooses(client: Client) -> None:
    here, elsewhere = client("backup"), client("backup", region="us-east-1")
    assert _opted_in(here)["Aurora"] is True
    here.update_region_settings(ResourceTypeOptInPreference={"Aurora": False})
    assert (_opted_in(here)["Aurora"], _opted_in(here)["RDS"]) == (False, True)
    assert _opted_in(elsewhere)["Aurora"] is True


def _opted_in(backup: Any) -> dict[str, bool]:
    found: dict[str, bool] = backup.describe_region_settings()["ResourceTypeOptInPreference"]
    return found
