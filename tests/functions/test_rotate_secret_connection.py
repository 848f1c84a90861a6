"""The way from the function to the database: verified TLS or none, and never for long."""

from __future__ import annotations

import socket
import time
from types import ModuleType

import pytest
from pg8000.native import Connection, DatabaseError

from tests.functions.conftest import FUNCTIONS
from tests.functions.postgres import DATABASE, HOST, PostgresServer
from tests.functions.rotation import STEPS, Secret


@pytest.fixture
def token(service: Secret) -> str:
    """A rotation whose next step goes to the database."""
    token = service.begin()
    service.run(token, "createSecret")
    return token


def listener() -> socket.socket:
    """A port of this machine where nobody answers."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    return listening


def refused(secret: Secret, token: str, code: ModuleType, why: str) -> None:
    """Both steps that log in fail for the reason given."""
    for step in ("setSecret", "testSecret"):
        with pytest.raises(code.RotationFailed, match=f"can't log in: .*{why}") as caught:
            secret.run(token, step)
        assert not isinstance(caught.value, code.PasswordRefused)


def test_a_server_of_another_authority_is_refused(
    service: Secret, token: str, rotate_secret: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No authority of this machine is trusted, nor that of the tests, but Amazon RDS's."""
    monkeypatch.delenv("DATABASE_CA_FILE")
    refused(service, token, rotate_secret, "certificate verify failed: unable to get local issuer")


def test_without_a_setting_the_authorities_of_amazon_rds_are_trusted(
    service: Secret,
    token: str,
    rotate_secret: ModuleType,
    postgres: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert FUNCTIONS / "rotate_secret" / "rds-ca.pem" == rotate_secret.AUTHORITIES
    monkeypatch.delenv("DATABASE_CA_FILE")
    monkeypatch.setattr(rotate_secret, "AUTHORITIES", postgres.authority)
    service.run(token, "setSecret", "testSecret")


def test_a_server_of_another_name_is_refused(
    service: Secret, token: str, rotate_secret: ModuleType
) -> None:
    """The certificate is for a name, not for its address."""
    address = "127.0.0.1"
    service.put({**service.value(VersionId=token), "host": address}, token)
    service.put({**service.value(), "host": address})
    refused(service, token, rotate_secret, "certificate is not valid for '127.0.0.1'")


def test_a_server_without_tls_is_refused(
    service: Secret, token: str, rotate_secret: ModuleType, postgres: PostgresServer
) -> None:
    with postgres.switched("ssl", "off"):
        refused(service, token, rotate_secret, "Server refuses SSL")


def test_the_server_itself_takes_no_plain_connection(
    service: Secret, postgres: PostgresServer
) -> None:
    """What the tests prove is proven against a server that is set up as Aurora is."""
    service.rotate()
    value = service.value()
    with pytest.raises(DatabaseError, match="no encryption"):
        Connection(
            value["username"],
            host=HOST,
            port=postgres.port,
            database=DATABASE,
            password=value["password"],
            ssl_context=False,
        )


def test_a_server_that_is_not_there_is_told(
    service: Secret, token: str, rotate_secret: ModuleType
) -> None:
    with listener() as closed:
        port = closed.getsockname()[1]
    service.put({**service.value(VersionId=token), "port": port}, token)
    service.put({**service.value(), "port": port})
    refused(service, token, rotate_secret, f"port {port}")


def test_a_server_that_does_not_answer_is_left(
    service: Secret, token: str, rotate_secret: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotate_secret, "DATABASE_TIMEOUT_SECONDS", 0.2)
    with listener() as silent:
        port = silent.getsockname()[1]
        service.put({**service.value(VersionId=token), "port": port}, token)
        service.put({**service.value(), "port": port})
        begun = time.monotonic()
        refused(service, token, rotate_secret, "timed out")
    assert time.monotonic() - begun < 10


def test_a_statement_that_waits_is_cancelled(
    service: Secret,
    rotate_secret: ModuleType,
    postgres: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Somebody else is just changing the same user, and does not come to an end."""
    service.rotate()
    token = service.begin()
    service.run(token, "createSecret")
    monkeypatch.setitem(rotate_secret.SESSION, "statement_timeout", "200ms")
    user = service.value(VersionId=token)["username"]
    path = str(postgres.directory / f".s.PGSQL.{postgres.port}")
    with Connection("postgres", unix_sock=path, database=DATABASE) as other:
        other.run("BEGIN")
        other.run(f"ALTER ROLE {user} CONNECTION LIMIT 10")
        with pytest.raises(
            rotate_secret.RotationFailed, match="canceling statement due to statement timeout"
        ):
            service.run(token, "setSecret")
    service.run(token, *STEPS)

    assert postgres.accepts(service.value())


def test_what_does_not_answer_ends_a_step_before_lambda_does(rotate_secret: ModuleType) -> None:
    """The first call that fails is the last of a step: one to AWS, or one to the database."""
    limits = rotate_secret.AWS_LIMITS
    attempts = limits.retries["total_max_attempts"]
    aws_seconds = attempts * (limits.connect_timeout + limits.read_timeout)
    assert aws_seconds + rotate_secret.DATABASE_TIMEOUT_SECONDS < 60
