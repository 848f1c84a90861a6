"""Rotates secrets as Secrets Manager does, and reads what became of them."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from tests.functions.postgres import DATABASE, HOST, PostgresServer

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
FUNCTION_ARN = "arn:aws:lambda:eu-west-1:000000000000:function:rotate-secret"

MASTER = "payment_admin"
OWNER = "payment_app"
CLONE = "payment_app_clone"


@dataclass(frozen=True)
class Secret:
    """A secret in the local cloud that the function under test rotates."""

    secrets: Any
    code: ModuleType
    arn: str

    @classmethod
    def create(cls, secrets: Any, code: ModuleType, value: dict[str, Any]) -> Secret:
        """Create a secret that has its rotation enabled."""
        text = json.dumps(value)
        arn = secrets.create_secret(Name=f"test/{uuid.uuid4()}", SecretString=text)["ARN"]
        secrets.rotate_secret(SecretId=arn, RotationLambdaARN=FUNCTION_ARN, RotateImmediately=False)
        return cls(secrets, code, arn)

    def value(self, **version: str) -> dict[str, Any]:
        """What is current, or the ``VersionStage`` or ``VersionId`` that is given."""
        answer = self.secrets.get_secret_value(SecretId=self.arn, **version)
        value: dict[str, Any] = json.loads(answer["SecretString"])
        return value

    def put(self, value: dict[str, Any], token: str | None = None) -> None:
        """Replace the current value, or that of a pending version, as who may write the secret."""
        version = {"ClientRequestToken": token, "VersionStages": ["AWSPENDING"]} if token else {}
        self.secrets.put_secret_value(SecretId=self.arn, SecretString=json.dumps(value), **version)

    def versions(self, stage: str) -> list[str]:
        """Ids of the versions that are in a stage."""
        versions = self.secrets.describe_secret(SecretId=self.arn)["VersionIdsToStages"]
        return [version for version, stages in versions.items() if stage in stages]

    def begin(self) -> str:
        """Begin a rotation: a version that is pending and has no value yet; returns its id."""
        token = str(uuid.uuid4())
        self.secrets.put_secret_value(
            SecretId=self.arn, ClientRequestToken=token, VersionStages=["AWSPENDING"]
        )
        return token

    def run(self, token: str, *steps: str) -> None:
        """Have the function do some steps, in the order given."""
        for step in steps:
            event = {"Step": step, "SecretId": self.arn, "ClientRequestToken": token}
            self.code.handler(event, None)

    def rotate(self) -> str:
        """Rotate from beginning to end; returns the id of the version that is current now."""
        token = self.begin()
        self.run(token, *STEPS)
        return token


def login(server: PostgresServer, username: str, password: str, **more: str) -> dict[str, Any]:
    """The JSON of a secret for a user of the server, as an attachment to a cluster completes it."""
    return {
        "engine": "postgres",
        "host": HOST,
        "port": server.port,
        "dbname": DATABASE,
        "dbClusterIdentifier": "payments-dev",
        "username": username,
        "password": password,
        **more,
    }
