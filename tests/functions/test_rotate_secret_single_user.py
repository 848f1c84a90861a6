"""A user that changes its own password, on a real PostgreSQL server."""

from __future__ import annotations

from types import ModuleType

import pytest
from pg8000.native import literal

from tests.functions.postgres import PostgresServer
from tests.functions.rotation import MASTER, STEPS, Secret


def test_the_user_stays_and_the_password_that_was_is_refused(
    master: Secret, postgres: PostgresServer
) -> None:
    before = master.value()
    master.rotate()

    assert master.value()["username"] == MASTER
    assert postgres.accepts(master.value())
    assert not postgres.accepts(before)


def test_the_password_is_valid_until_it_is_set(master: Secret, postgres: PostgresServer) -> None:
    before = master.value()
    master.run(master.begin(), "createSecret")

    assert postgres.accepts(before)


def test_an_open_connection_outlives_a_rotation(master: Secret, postgres: PostgresServer) -> None:
    with postgres.connect(MASTER, master.value()["password"]) as connection:
        master.rotate()
        assert connection.run("SELECT 1") == [[1]]


def test_a_password_that_was_changed_by_hand_is_told(
    master: Secret, rotate_secret: ModuleType, postgres: PostgresServer
) -> None:
    before = master.value()
    token = master.begin()
    postgres.run(f"ALTER ROLE {MASTER} PASSWORD 'by hand'")
    with pytest.raises(
        rotate_secret.PasswordRefused,
        match=f"^{MASTER} at localhost:[0-9]+ can't log in: password authentication failed",
    ):
        master.run(token, *STEPS)

    # Put right, the same rotation goes on.
    postgres.run(f"ALTER ROLE {MASTER} PASSWORD {literal(before['password'])}")
    master.run(token, *STEPS)
    assert postgres.accepts(master.value())
