"""A pair of users that take turns, and their master, on a real PostgreSQL server."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from pg8000.native import DatabaseError

from tests.functions.postgres import DATABASE, PostgresServer
from tests.functions.rotation import CLONE, MASTER, OWNER, STEPS, Secret, login


def users(server: PostgresServer) -> list[str]:
    """Every user that somebody created."""
    found = server.run("SELECT rolname FROM pg_roles WHERE oid >= 16384 ORDER BY rolname")
    return [name for (name,) in found]


def test_the_first_rotation_creates_both_users(service: Secret, postgres: PostgresServer) -> None:
    """The one that is current too: clients were started with it."""
    given = service.value()
    assert users(postgres) == [MASTER]
    service.rotate()

    assert users(postgres) == [MASTER, OWNER, CLONE]
    assert service.value()["username"] == CLONE
    assert postgres.accepts(service.value())
    assert postgres.accepts(given)


def test_the_users_may_log_in_and_no_more(service: Secret, postgres: PostgresServer) -> None:
    service.rotate()
    attributes = postgres.run(
        "SELECT rolcanlogin, rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls "
        f"FROM pg_roles WHERE rolname LIKE '{OWNER}%'"
    )
    assert attributes == [[True, False, False, False, False, False]] * 2


def test_users_take_turns(service: Secret, postgres: PostgresServer) -> None:
    given = service.value()
    service.rotate()
    first = service.value()
    service.rotate()
    second = service.value()

    assert [given["username"], first["username"], second["username"]] == [OWNER, CLONE, OWNER]
    assert not postgres.accepts(given)
    assert postgres.accepts(first)
    assert postgres.accepts(second)


def test_what_clients_hold_stays_valid_until_the_next_rotation(
    service: Secret, postgres: PostgresServer
) -> None:
    for _ in range(3):
        held = service.value()
        token = service.begin()
        for step in STEPS:
            service.run(token, step)
            # The very first one is not valid before its user exists.
            assert step == "createSecret" or postgres.accepts(held)


def test_what_one_creates_belongs_to_both(service: Secret, postgres: PostgresServer) -> None:
    given = service.value()
    service.rotate()
    owner = postgres.connect(OWNER, given["password"])
    clone = postgres.connect(CLONE, service.value()["password"])
    with owner, clone:
        for connection, table in ((owner, "by_owner"), (clone, "by_clone")):
            connection.run(f"CREATE TABLE {table} (id int)")
        for connection in (owner, clone):
            connection.run("INSERT INTO by_owner VALUES (1)")
            connection.run("ALTER TABLE by_clone ADD COLUMN IF NOT EXISTS note text")
        owner.run("CREATE SCHEMA more")
        clone.run("CREATE TABLE more.things (id int)")
        clone.run("CREATE TEMPORARY TABLE scratch (id int)")
        owner.run("DROP TABLE by_clone")

    owners = postgres.run(
        "SELECT schemaname, tablename, tableowner FROM pg_tables "
        "WHERE schemaname !~ '^(pg_|information_schema)' ORDER BY 1, 2"
    )
    assert owners == [["more", "things", OWNER], [OWNER, "by_owner", OWNER]]


def test_the_master_can_not_read_what_belongs_to_the_pair(
    service: Secret, master: Secret, postgres: PostgresServer
) -> None:
    service.rotate()
    with postgres.connect(CLONE, service.value()["password"]) as clone:
        clone.run("CREATE TABLE payments (id int)")
    with (
        postgres.connect(MASTER, master.value()["password"]) as connection,
        pytest.raises(DatabaseError, match="permission denied"),
    ):
        connection.run(f"SELECT * FROM {OWNER}.payments")


def test_nothing_is_half_created(
    service: Secret,
    rotate_secret: ModuleType,
    postgres: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The function is killed where it has created the users and not yet committed."""

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    token = service.begin()
    with monkeypatch.context() as patch:
        patch.setattr(rotate_secret, "set_password", killed)
        with pytest.raises(KeyboardInterrupt):
            service.run(token, *STEPS)
    assert users(postgres) == [MASTER]
    service.run(token, *STEPS)

    assert postgres.accepts(service.value())
    assert postgres.accepts(service.value(VersionStage="AWSPREVIOUS"))


@pytest.mark.parametrize("done", range(5))
def test_the_master_may_be_rotated_at_any_time(
    done: int, service: Secret, master: Secret, postgres: PostgresServer
) -> None:
    token = service.begin()
    service.run(token, *STEPS[:done])
    master.rotate()
    service.run(token, *STEPS)

    assert postgres.accepts(service.value())
    assert postgres.accepts(service.value(VersionStage="AWSPREVIOUS"))


@pytest.mark.parametrize("done", range(1, 4))
def test_the_master_may_be_in_the_middle_of_its_own_rotation(
    done: int, service: Secret, master: Secret, postgres: PostgresServer
) -> None:
    token = master.begin()
    master.run(token, *STEPS[:done])
    service.rotate()
    master.run(token, *STEPS)

    assert postgres.accepts(service.value())
    assert postgres.accepts(master.value())


def test_a_user_that_exists_already_gets_its_clone(
    service: Secret, master: Secret, postgres: PostgresServer
) -> None:
    given = service.value()
    service.rotate()
    with postgres.connect(MASTER, master.value()["password"]) as connection:
        connection.run(f"DROP ROLE {CLONE}")
    service.put(given)
    service.rotate()

    assert service.value()["username"] == CLONE
    assert postgres.accepts(service.value())
    assert postgres.accepts(given)


@pytest.mark.parametrize("username", [MASTER, f"{MASTER}_clone"])
def test_the_master_is_no_user_of_a_pair(
    username: str,
    service: Secret,
    master: Secret,
    rotate_secret: ModuleType,
    postgres: PostgresServer,
) -> None:
    service.put({**service.value(), "username": username})

    with pytest.raises(rotate_secret.RotationFailed, match="can't be the master of"):
        service.rotate()
    assert users(postgres) == [MASTER]
    assert postgres.accepts(master.value())


@pytest.mark.parametrize("username", ["auditor", "auditor_clone"])
def test_a_secret_that_was_pointed_at_another_user_is_refused(
    username: str, service: Secret, rotate_secret: ModuleType, postgres: PostgresServer
) -> None:
    """Otherwise who may write this secret could have anybody's password set."""
    postgres.run("CREATE ROLE auditor LOGIN PASSWORD 'known to the auditor only'")
    service.put({**service.value(), "username": username})

    with pytest.raises(rotate_secret.PasswordRefused, match=f"^{username} at localhost"):
        service.rotate()
    assert users(postgres) == ["auditor", MASTER]
    assert postgres.accepts({"username": "auditor", "password": "known to the auditor only"})


def test_two_users_that_are_no_pair_are_refused(
    service: Secret, rotate_secret: ModuleType, postgres: PostgresServer
) -> None:
    postgres.run(
        "CREATE ROLE auditor LOGIN PASSWORD 'known to the auditor only';"
        "CREATE ROLE auditor_clone LOGIN PASSWORD 'mine'"
    )
    service.put({**service.value(), "username": "auditor_clone", "password": "mine"})

    with pytest.raises(rotate_secret.RotationFailed, match=r"they are no pair\.$"):
        service.rotate()
    assert postgres.accepts({"username": "auditor", "password": "known to the auditor only"})


def test_a_clone_that_acts_for_itself_fails_the_test(
    service: Secret, rotate_secret: ModuleType, postgres: PostgresServer
) -> None:
    """What it creates would be its own, and out of reach for the other after the next rotation."""
    token = service.begin()
    service.run(token, "createSecret", "setSecret")
    postgres.run(f"ALTER ROLE {CLONE} RESET role")

    with pytest.raises(rotate_secret.RotationFailed, match=f"acts as {CLONE} instead of {OWNER}"):
        service.run(token, "testSecret")


def test_a_master_of_another_host_is_refused(
    service: Secret, master: Secret, rotate_secret: ModuleType
) -> None:
    master.put({**master.value(), "host": "elsewhere.example"})

    with pytest.raises(rotate_secret.RotationFailed, match="can't be the master of"):
        service.rotate()


def test_a_master_of_another_database_serves_this_one(
    service: Secret, master: Secret, postgres: PostgresServer
) -> None:
    master.put({**master.value(), "dbname": "postgres"})
    service.rotate()

    schemas = postgres.run("SELECT 1 FROM pg_namespace WHERE nspname = 'payment_app'", DATABASE)
    assert schemas == [[1]]


def test_a_master_that_does_not_log_in_is_named(
    service: Secret, master: Secret, rotate_secret: ModuleType
) -> None:
    master.put({**master.value(), "password": "wrong"})

    with pytest.raises(
        rotate_secret.RotationFailed,
        match=f"^{master.arn} holds no password that its user logs in with",
    ):
        service.rotate()


def test_names_are_quoted(
    cloud: Any, rotate_secret: ModuleType, master: Secret, postgres: PostgresServer
) -> None:
    name = 'o\'brien "the" app; DROP'
    value = login(postgres, name, "password", masterarn=master.arn)
    secret = Secret.create(cloud("secretsmanager"), rotate_secret, value)
    secret.rotate()

    assert users(postgres) == sorted([MASTER, name, f"{name}_clone"])
    assert postgres.accepts(value)
    assert postgres.accepts(secret.value())
