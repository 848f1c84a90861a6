"""The commands of the documentation, run as they stand in a new checkout."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT

BLOCK = re.compile(r"^ *```console\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
# Commands that this test leaves to others, and to whom.
LEFT_OUT = {
    "make test": "it runs this test",
    "make lint": "CI runs it beside the tests",
    "uv pip compile": "it looks for newer versions of what is pinned",
}


def commands(document: str) -> list[str]:
    """The command lines of a document's console blocks, without comments."""
    lines = [
        line.strip()
        for block in BLOCK.findall((ROOT / document).read_text())
        for line in block.splitlines()
    ]
    return [
        line
        for line in lines
        if line and not line.startswith("#") and not line.startswith(tuple(LEFT_OUT))
    ]


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Path]:
    """A copy of the project's files, with the installed packages beside them."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, files.split("\0")):
        if (ROOT / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tmp_path / name)
    installed = [
        ".venv",
        *(f"collections/ansible_collections/{n}" for n in ("amazon", "community")),
    ]
    for name in installed:
        (tmp_path / name).symlink_to(ROOT / name)
    yield tmp_path
    stop = [sys.executable, "-m", "local_cloud", "down"]
    subprocess.run(stop, cwd=tmp_path, check=True, capture_output=True)


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_commands_work(document: str, checkout: Path, cloud: dict[str, str]) -> None:
    script = "\n".join(["set -euxo pipefail", *commands(document)])
    # The commands that are meant for an account find one in this local cloud.
    environment = {**os.environ, **cloud, "AWS_ACCESS_KEY_ID": "380000000001"}
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=checkout,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:]


def test_readme_starts_with_the_two_commands() -> None:
    text = (ROOT / "README.md").read_text()
    assert BLOCK.findall(text)[0].split("\n")[:2] == ["make local", "make test"]
