"""Rotates the password of a PostgreSQL user, in AWS Secrets Manager and in the database alike.

Secrets Manager calls the function for each step of a rotation (``createSecret``, ``setSecret``,
``testSecret``, ``finishSecret``) and again when a step failed: each can be repeated, wherever it
was cut short.

A secret is JSON with the keys that AWS documents: ``engine``, ``host``, ``port``, ``dbname``,
``username`` and ``password``. ``masterarn`` decides who changes the password:

- without it, the user itself;
- with it, the user of that secret, who need be no superuser but must be able to create roles. It
  serves a pair of users in turn, ``name`` and ``name_clone``: the new password goes to the one that
  is not current, so what clients were given stays valid until the next rotation. Both are created
  when neither exists; the clone acts as the first, which so owns what either creates.

Environment variable ``DATABASE_CA_FILE``: certificates to trust in place of Amazon RDS's.
"""

from __future__ import annotations

import json
import logging
import os
import ssl
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from pg8000.native import Connection, DatabaseError, InterfaceError, identifier, literal
from scramp import ScramMechanism

CURRENT, PENDING = "AWSCURRENT", "AWSPENDING"
ENGINES = ("postgres", "aurora-postgresql")
CLONE_SUFFIX = "_clone"
# Letters and digits need no escaping in a URL, a DSN or a shell; 40 of them are 238 bits.
PASSWORD_RULES = {"PasswordLength": 40, "ExcludePunctuation": True}

AWS_LIMITS = Config(
    connect_timeout=3, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3}
)
DATABASE_TIMEOUT_SECONDS = 5
SESSION = {
    "statement_timeout": f"{DATABASE_TIMEOUT_SECONDS}s",
    # So that nothing a user put into the database runs with the rights of who logs in here.
    "search_path": "pg_catalog",
}
DATABASE_ERRORS = (DatabaseError, InterfaceError, OSError)
INVALID_PASSWORD = "28P01"
# No default trust store has the authorities of Amazon RDS.
AUTHORITIES = Path(__file__).with_name("rds-ca.pem")

log = logging.getLogger(__name__)
log.setLevel(logging.INFO)


class RotationFailed(Exception):
    """A step can't be done; the message says why."""


class PasswordRefused(RotationFailed):
    """The database is there, and takes another password."""


@dataclass(frozen=True)
class Login:
    """A user with its password, and where it logs in."""

    host: str
    port: int
    database: str
    username: str
    password: str = field(repr=False)
    master_arn: str | None

    @property
    def pair(self) -> tuple[str, str]:
        """The user that owns what is created, and its clone; twice the same where there is none."""
        if not self.master_arn:
            return self.username, self.username
        owner = self.username.removesuffix(CLONE_SUFFIX)
        return owner, owner + CLONE_SUFFIX

    @property
    def successor(self) -> str:
        """The user whose password is the next to be changed."""
        owner, clone = self.pair
        return clone if self.username == owner else owner

    @property
    def name(self) -> str:
        """The user and where it logs in, for people."""
        return f"{self.username} at {self.host}:{self.port}"


@dataclass(frozen=True)
class Rotation:
    """A rotation under way: ``token`` is the id of the version that becomes current."""

    secrets: Any
    arn: str
    token: str

    def text(self, stage: str, arn: str | None = None) -> str | None:
        """What a stage of this or another secret holds; None where there is no value yet."""
        # Only the version of this rotation counts as pending.
        version = {"VersionId": self.token} if stage == PENDING and not arn else {}
        try:
            value = self.secrets.get_secret_value(
                SecretId=arn or self.arn, VersionStage=stage, **version
            )
        except self.secrets.exceptions.ResourceNotFoundException:
            return None
        return value.get("SecretString")

    def login(self, stage: str, arn: str | None = None) -> Login | None:
        """The login that a stage holds; None where there is no value yet."""
        text = self.text(stage, arn)
        return parse(text, arn or self.arn) if text else None

    def needed(self, stage: str) -> Login:
        """The login that a stage of this secret holds."""
        login = self.login(stage)
        if not login:
            raise RotationFailed(f"{self.arn} has no value staged {stage}.")
        return login


def handler(event: dict[str, Any], _context: object) -> None:
    """Do one step for Secrets Manager, which is told of a failure by the exception."""
    step, arn, token = event["Step"], event["SecretId"], event["ClientRequestToken"]
    if step not in STEPS:
        raise RotationFailed(f"{step} is no step of a rotation.")
    secrets = boto3.client("secretsmanager", config=AWS_LIMITS)
    secret = secrets.describe_secret(SecretId=arn)
    if not secret.get("RotationEnabled"):
        raise RotationFailed(f"Rotation of {arn} is not enabled.")
    stages = secret["VersionIdsToStages"].get(token, [])
    if CURRENT in stages:
        log.info("%s: version %s of %s is current already", step, token, arn)
        return
    if PENDING not in stages:
        raise RotationFailed(f"Version {token} of {arn} is not staged {PENDING}.")
    try:
        STEPS[step](Rotation(secrets, arn, token))
    except DATABASE_ERRORS as error:
        raise RotationFailed(f"{step} of {arn}: {reason_of(error)}") from error
    log.info("%s: done for version %s of %s", step, token, arn)


def create_secret(rotation: Rotation) -> None:
    """Store a new password for the user whose turn it is, unless that was done before."""
    text = rotation.text(CURRENT) or ""
    current = parse(text, rotation.arn)
    if rotation.text(PENDING):
        return
    password = rotation.secrets.get_random_password(**PASSWORD_RULES)["RandomPassword"]
    value = json.loads(text) | {"username": current.successor, "password": password}
    rotation.secrets.put_secret_value(
        SecretId=rotation.arn,
        ClientRequestToken=rotation.token,
        SecretString=json.dumps(value),
        VersionStages=[PENDING],
    )


def set_secret(rotation: Rotation) -> None:
    """Give the user in the database the pending password, unless that was done before."""
    current, pending = rotation.needed(CURRENT), rotation.needed(PENDING)
    if pending != replace(current, username=current.successor, password=pending.password):
        raise RotationFailed(f"{pending.name}, {PENDING}, does not succeed {current.name}.")
    if logs_in(pending):
        return
    if not current.master_arn:
        with connect(current) as connection:
            set_password(connection, pending)
        return
    with connect_master(rotation, current) as master:
        master.run("BEGIN")
        create_missing(master, current, pending)
        set_password(master, pending)
        master.run("COMMIT")


def test_secret(rotation: Rotation) -> None:
    """Log in with the pending password, as a client will.

    Secrets Manager also runs this step alone, on a copy of the current value, when a rotation is
    scheduled and not begun at once: what is pending need not succeed what is current.
    """
    pending = rotation.needed(PENDING)
    owner, _ = pending.pair
    with connect(pending) as connection:
        ((role,),) = connection.run("SELECT current_user")
    if role != owner:
        raise RotationFailed(f"{pending.name} acts as {role} instead of {owner}.")


def finish_secret(rotation: Rotation) -> None:
    """Make the pending version current; Secrets Manager keeps the last one as AWSPREVIOUS."""
    versions = rotation.secrets.describe_secret(SecretId=rotation.arn)["VersionIdsToStages"]
    rotation.secrets.update_secret_version_stage(
        SecretId=rotation.arn,
        VersionStage=CURRENT,
        MoveToVersionId=rotation.token,
        RemoveFromVersionId=next(id for id, stages in versions.items() if CURRENT in stages),
    )


STEPS: dict[str, Callable[[Rotation], None]] = {
    "createSecret": create_secret,
    "setSecret": set_secret,
    "testSecret": test_secret,
    "finishSecret": finish_secret,
}


def parse(text: str, arn: str) -> Login:
    """Read what a secret holds; no message gives any of its values away but the engine."""
    try:
        value = json.loads(text)
        engine = value["engine"]
        login = Login(
            host=value["host"],
            port=int(value.get("port", 5432)),
            database=value.get("dbname", "postgres"),
            username=value["username"],
            password=value["password"],
            master_arn=value.get("masterarn"),
        )
    except KeyError as error:
        raise RotationFailed(f"{arn} lacks the key {error}.") from None
    except (TypeError, ValueError):
        raise RotationFailed(f"{arn} does not hold the JSON of a database login.") from None
    if engine not in ENGINES:
        raise RotationFailed(f"{arn} is for {engine}, not for {' or '.join(ENGINES)}.")
    return login


def connect(login: Login) -> Connection:
    """Log in over TLS to the host that the certificate names."""
    trusted = ssl.create_default_context(cafile=os.environ.get("DATABASE_CA_FILE", AUTHORITIES))
    try:
        return Connection(
            login.username,
            host=login.host,
            port=login.port,
            database=login.database,
            password=login.password,
            ssl_context=trusted,
            timeout=DATABASE_TIMEOUT_SECONDS,
            application_name="rotate_secret",
            startup_params=SESSION,
        )
    except DATABASE_ERRORS as error:
        refused = isinstance(error, DatabaseError) and error.args[0]["C"] == INVALID_PASSWORD
        failure = PasswordRefused if refused else RotationFailed
        raise failure(f"{login.name} can't log in: {reason_of(error)}") from error


def logs_in(login: Login) -> bool:
    """Whether the database takes the password."""
    try:
        connect(login).close()
    except PasswordRefused:
        return False
    return True


def connect_master(rotation: Rotation, current: Login) -> Connection:
    """Log in as the master, whose own password may be just changing hands."""
    for stage in (CURRENT, PENDING):
        master = rotation.login(stage, current.master_arn)
        if not master:
            continue
        if master.host != current.host or master.username in current.pair:
            raise RotationFailed(f"{master.name} can't be the master of {current.name}.")
        try:
            return connect(replace(master, database=current.database))
        except PasswordRefused:
            log.info("the password staged %s is not the master's", stage)
    raise RotationFailed(f"{current.master_arn} holds no password that its user logs in with.")


def create_missing(master: Connection, current: Login, pending: Login) -> None:
    """Create both users where neither exists, or the clone of a user that the secret is for."""
    owner, clone = current.pair
    query = "SELECT rolname FROM pg_roles WHERE rolname IN (:owner, :clone)"
    found = [name for (name,) in master.run(query, owner=owner, clone=clone)]
    if found:
        # The master may set anybody's password: only a secret that knows the current one was not
        # pointed at somebody else's user.
        connect(current).close()
    passwords = {login.username: login.password for login in (current, pending)}
    if owner not in found:
        create_user(master, owner, passwords[owner])
        create_schema(master, owner, current.database)
    if clone not in found:
        create_user(master, clone, passwords[clone])
        master.run(f"GRANT {identifier(owner)} TO {identifier(clone)}")
        master.run(f"ALTER ROLE {identifier(clone)} SET role = {literal(owner)}")
    query = "SELECT pg_has_role(:clone, :owner, 'MEMBER')"
    ((is_member,),) = master.run(query, owner=owner, clone=clone)
    if not is_member:
        raise RotationFailed(f"{clone} is no member of {owner}: they are no pair.")


def create_user(connection: Connection, name: str, password: str) -> None:
    """Create a user that can log in and nothing else."""
    connection.run(f"CREATE ROLE {identifier(name)} LOGIN PASSWORD {literal(verifier(password))}")
    log.info("created the user %s", name)


def create_schema(master: Connection, owner: str, database: str) -> None:
    """Let the user work in the database, in a schema of its own."""
    role = identifier(owner)
    master.run(f"GRANT CONNECT, CREATE, TEMPORARY ON DATABASE {identifier(database)} TO {role}")
    # A schema for another is made by a member only, which the master then is no longer.
    master.run(f"GRANT {role} TO CURRENT_USER")
    master.run(f"CREATE SCHEMA {role} AUTHORIZATION {role}")
    master.run(f"REVOKE {role} FROM CURRENT_USER")


def set_password(connection: Connection, login: Login) -> None:
    """Change the password of a user."""
    password = literal(verifier(login.password))
    connection.run(f"ALTER ROLE {identifier(login.username)} PASSWORD {password}")
    log.info("set the password of %s", login.name)


def verifier(password: str) -> str:
    """What PostgreSQL keeps of a password: sent in its place, so that no log gives that away."""
    mechanism = ScramMechanism("SCRAM-SHA-256")
    *binary, iterations = mechanism.make_auth_info(password)
    salt, stored_key, server_key = (b64encode(part).decode() for part in binary)
    return f"{mechanism.name}${iterations}:{salt}${stored_key}:{server_key}"


def reason_of(error: Exception) -> str:
    """What an error of the database, or of the way to it, says to a person."""
    return error.args[0]["M"] if isinstance(error, DatabaseError) else str(error)
