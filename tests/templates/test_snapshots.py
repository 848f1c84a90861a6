"""What is deployed changes only where somebody has read the change."""

from __future__ import annotations

import pytest

from tests.templates.snapshots import FOLDER, snapshots

WANTED = snapshots()


def test_there_is_a_snapshot_of_every_packaged_template_and_no_other() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(WANTED)


@pytest.mark.parametrize("name", WANTED)
def test_packaged_template_is_the_one_that_was_reviewed(name: str) -> None:
    accepted = (FOLDER / name).read_text(encoding="utf-8")
    assert WANTED[name] == accepted, "read the difference; `make snapshots` accepts it"
