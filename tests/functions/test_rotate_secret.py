"""The four steps of a rotation, which both kinds of secret share, on a real PostgreSQL server."""

from __future__ import annotations

import json
import logging
import re
from types import ModuleType

import pytest

from tests.functions.postgres import PostgresServer
from tests.functions.rotation import MASTER, OWNER, STEPS, Secret


@pytest.fixture(params=["master", "service"])
def secret(request: pytest.FixtureRequest) -> Secret:
    """A secret of each kind: one user that changes its own password, and a pair."""
    found: Secret = request.getfixturevalue(request.param)
    return found


def test_a_rotation_makes_a_new_password_current(secret: Secret, postgres: PostgresServer) -> None:
    before = secret.value()
    token = secret.rotate()

    after = secret.value()
    assert secret.value(VersionId=token) == after
    assert after["password"] != before["password"]
    assert postgres.accepts(after)
    assert secret.value(VersionStage="AWSPREVIOUS") == before


def test_the_new_password_needs_no_quoting_anywhere(secret: Secret) -> None:
    secret.rotate()

    assert re.fullmatch(r"[A-Za-z0-9]{40}", secret.value()["password"])


def test_everything_else_in_the_secret_stays(secret: Secret) -> None:
    before = secret.value()
    secret.rotate()

    after = secret.value()
    assert {**after, "username": before["username"], "password": before["password"]} == before


def test_rotations_follow_each_other(secret: Secret, postgres: PostgresServer) -> None:
    passwords = {secret.value()["password"]}
    for _ in range(3):
        secret.rotate()
        assert postgres.accepts(secret.value())
        passwords.add(secret.value()["password"])

    assert len(passwords) == 4


def test_every_step_can_be_repeated(secret: Secret, postgres: PostgresServer) -> None:
    token = secret.begin()
    secret.run(token, "createSecret")
    value = secret.value(VersionId=token)
    secret.run(token, *(step for step in STEPS for _ in range(2)))

    assert secret.value() == value
    assert postgres.accepts(value)


@pytest.mark.parametrize("done", range(5))
def test_a_rotation_that_was_cut_short_is_finished_from_the_start(
    done: int, secret: Secret, postgres: PostgresServer
) -> None:
    before = secret.value()
    token = secret.begin()
    secret.run(token, *STEPS[:done])
    made = secret.value(VersionId=token) if done else None
    secret.run(token, *STEPS)

    assert secret.value() == (made or secret.value(VersionId=token))
    assert secret.value(VersionStage="AWSPREVIOUS") == before
    assert postgres.accepts(secret.value())


def test_nothing_but_a_finished_rotation_changes_what_is_current(secret: Secret) -> None:
    before = secret.value()
    secret.run(secret.begin(), *STEPS[:3])

    assert secret.value() == before


def test_a_version_that_is_current_is_left_alone(
    secret: Secret, rotate_secret: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    token = secret.rotate()
    version = secret.secrets.get_secret_value(SecretId=secret.arn)
    with caplog.at_level(logging.INFO, rotate_secret.__name__):
        secret.run(token, *STEPS)

    after = secret.secrets.get_secret_value(SecretId=secret.arn)
    for key in ("VersionId", "SecretString", "CreatedDate"):
        assert after[key] == version[key]
    assert caplog.text.count(f"version {token} of {secret.arn} is current already") == 4


def test_a_secret_without_rotation_is_refused(secret: Secret, rotate_secret: ModuleType) -> None:
    token = secret.begin()
    secret.secrets.cancel_rotate_secret(SecretId=secret.arn)

    for step in STEPS:
        with pytest.raises(
            rotate_secret.RotationFailed, match=r"^Rotation of .* is not enabled\.$"
        ):
            secret.run(token, step)


def test_a_version_that_is_not_pending_is_refused(
    secret: Secret, rotate_secret: ModuleType
) -> None:
    (previous,) = secret.versions("AWSCURRENT")
    secret.rotate()

    for token in (previous, "00000000-0000-4000-8000-000000000000"):
        for step in STEPS:
            with pytest.raises(rotate_secret.RotationFailed, match=r"is not staged AWSPENDING\.$"):
                secret.run(token, step)


def test_an_unknown_step_is_refused(secret: Secret, rotate_secret: ModuleType) -> None:
    with pytest.raises(rotate_secret.RotationFailed, match=r"^cleanUp is no step of a rotation\.$"):
        secret.run(secret.begin(), "cleanUp")


def test_a_step_before_there_is_a_password_is_refused(
    secret: Secret, rotate_secret: ModuleType
) -> None:
    token = secret.begin()

    for step in ("setSecret", "testSecret"):
        with pytest.raises(
            rotate_secret.RotationFailed, match=r"has no value staged AWSPENDING\.$"
        ):
            secret.run(token, step)


def test_a_password_that_was_not_set_fails_the_test(
    secret: Secret, rotate_secret: ModuleType
) -> None:
    token = secret.begin()
    secret.run(token, "createSecret")

    with pytest.raises(rotate_secret.PasswordRefused, match="password authentication failed"):
        secret.run(token, "testSecret")


@pytest.mark.parametrize(
    ("key", "value"), [("username", "postgres"), ("host", "elsewhere"), ("dbname", "postgres")]
)
def test_a_pending_value_of_something_else_is_refused(
    key: str, value: str, secret: Secret, rotate_secret: ModuleType
) -> None:
    token = secret.begin()
    secret.run(token, "createSecret")
    secret.put({**secret.value(VersionId=token), key: value}, token)

    with pytest.raises(rotate_secret.RotationFailed, match=r"AWSPENDING, does not succeed"):
        secret.run(token, "setSecret")


def test_the_current_value_passes_the_test_too(secret: Secret, rotate_secret: ModuleType) -> None:
    """Secrets Manager tests a copy of it when a rotation is scheduled for later."""
    secret.rotate()
    token = secret.begin()
    secret.put(secret.value(), token)
    secret.run(token, "testSecret")

    secret.put({**secret.value(), "password": "wrong"}, token)
    with pytest.raises(rotate_secret.PasswordRefused):
        secret.run(token, "testSecret")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("password", r"does not hold the JSON of a database login\.$"),
        ("[]", r"does not hold the JSON of a database login\.$"),
        ('{"engine": "postgres"}', r"lacks the key 'host'\.$"),
        ("{}", r"lacks the key 'engine'\.$"),
    ],
)
def test_a_secret_of_another_form_is_refused(
    text: str, sentence: str, secret: Secret, rotate_secret: ModuleType
) -> None:
    secret.secrets.put_secret_value(SecretId=secret.arn, SecretString=text)

    with pytest.raises(rotate_secret.RotationFailed, match=sentence):
        secret.run(secret.begin(), "createSecret")


def test_a_secret_of_another_engine_is_refused(secret: Secret, rotate_secret: ModuleType) -> None:
    secret.put({**secret.value(), "engine": "mysql"})

    with pytest.raises(
        rotate_secret.RotationFailed,
        match=r"is for mysql, not for postgres or aurora-postgresql\.$",
    ):
        secret.run(secret.begin(), "createSecret")


def test_aurora_is_postgresql_too(secret: Secret, postgres: PostgresServer) -> None:
    secret.put({**secret.value(), "engine": "aurora-postgresql"})
    secret.rotate()

    assert postgres.accepts(secret.value())


def test_port_and_database_may_be_left_to_their_defaults(rotate_secret: ModuleType) -> None:
    found = rotate_secret.parse(
        '{"engine": "postgres", "host": "h", "username": "u", "password": "p"}', "arn"
    )
    assert (found.port, found.database) == (5432, "postgres")


def test_what_a_database_says_is_the_reason(
    secret: Secret, rotate_secret: ModuleType, postgres: PostgresServer
) -> None:
    token = secret.begin()
    secret.run(token, "createSecret")
    with (
        postgres.switched("default_transaction_read_only", "on"),
        pytest.raises(
            rotate_secret.RotationFailed,
            match=r"^setSecret of .*: cannot execute \w+ ROLE in a read-only transaction$",
        ),
    ):
        secret.run(token, "setSecret")


def test_no_log_and_no_failure_gives_a_password_away(
    master: Secret, service: Secret, postgres: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    passwords = {master.value()["password"], service.value()["password"]}
    with caplog.at_level(logging.INFO):
        for secret in (service, master, service):
            secret.rotate()
            passwords.add(secret.value()["password"])

    assert len(passwords) == 5
    assert f"set the password of {MASTER} at localhost:{postgres.port}" in caplog.text
    assert f'ALTER ROLE "{OWNER}" PASSWORD \'SCRAM-SHA-256$' in postgres.log
    for password in passwords:
        assert password not in caplog.text
        assert password not in postgres.log


def test_a_login_does_not_show_its_password(rotate_secret: ModuleType, service: Secret) -> None:
    value = service.value()
    shown = repr(rotate_secret.parse(json.dumps(value), service.arn))

    assert value["username"] in shown
    assert value["password"] not in shown
    assert "password=" not in shown


def test_a_password_is_kept_as_the_server_would_keep_it(
    rotate_secret: ModuleType, master: Secret, postgres: PostgresServer
) -> None:
    assert master
    by_function = rotate_secret.verifier("a password")
    (by_server,) = postgres.run(
        "CREATE ROLE somebody PASSWORD 'a password';"
        "SELECT rolpassword FROM pg_authid WHERE rolname = 'somebody'"
    )[0]
    form = r"SCRAM-SHA-256\$4096:[\w+/]+=*\$[\w+/]{43}=:[\w+/]{43}="
    assert re.fullmatch(form, by_function)
    assert re.fullmatch(form, by_server)
