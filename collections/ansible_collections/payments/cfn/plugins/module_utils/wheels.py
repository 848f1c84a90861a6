# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetch the wheels that requirements name, once: after that they are in the user's cache."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from .requirements import Requirement, RequirementsError

_NOT_FOUND = re.compile(r"No matching distribution found for (\S+)")
# Where pip was given the requirements, which is no file of the user's.
_ORIGIN = re.compile(r" \(from -r [^)]*\(line \d+\)\)")
_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+@")


def wheels(requirements: Sequence[Requirement], python: str) -> dict[Requirement, bytes]:
    """The wheel of each requirement, from the cache if it is there.

    ``python`` is the version of Python that the wheels must suit (``3.13``). In the cache a set of
    requirements is there as a whole or not at all, and what is there is held against its hashes.

    Raises:
        RequirementsError: a wheel cannot be fetched, or none is of pure Python.
    """
    if not requirements:
        return {}
    entry = cache_directory() / _key(requirements, python)
    found = _read(entry, requirements)
    if len(found) == len(requirements):
        return found
    return _fetched(requirements, python, entry)


def cache_directory() -> Path:
    """Where wheels are kept: below XDG_CACHE_HOME, which is ``~/.cache`` by default."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    # a relative path is to be ignored, by the specification
    base = Path(home) if home.startswith("/") else Path("~/.cache").expanduser()
    return base / "payments.cfn" / "wheels"


def _key(requirements: Sequence[Requirement], python: str) -> str:
    pinned = [(str(requirement), requirement.hashes) for requirement in requirements]
    return hashlib.sha256(json.dumps([python, pinned]).encode()).hexdigest()


def _read(directory: Path, requirements: Sequence[Requirement]) -> dict[Requirement, bytes]:
    """The wheels in a directory that are as the requirements want them."""
    wanted = {digest: requirement for requirement in requirements for digest in requirement.hashes}
    found: dict[Requirement, bytes] = {}
    with suppress(OSError):  # not there, or just being replaced
        for path in sorted(directory.glob("*-none-any.whl")):
            content = path.read_bytes()
            requirement = wanted.get(hashlib.sha256(content).hexdigest())
            if requirement is not None:
                found[requirement] = content
    return {requirement: found[requirement] for requirement in requirements if requirement in found}


def _fetched(
    requirements: Sequence[Requirement], python: str, entry: Path
) -> dict[Requirement, bytes]:
    with _workplace(entry.parent) as workplace:
        downloads = workplace / "wheels"
        listed = workplace / "requirements.txt"
        listed.write_text("".join(f"{_line(item)}\n" for item in requirements), encoding="utf-8")
        _download(listed, downloads, requirements, python)
        found = _read(downloads, requirements)
        for requirement in requirements:
            if requirement not in found:
                raise requirement.error(_no_wheel(requirement, python))
        # What is there is not whole, else nothing would be fetched; another run may put it in
        # order first, and then it is as good.
        shutil.rmtree(entry, ignore_errors=True)
        with suppress(OSError):
            downloads.rename(entry)
    return found


@contextmanager
def _workplace(parent: Path) -> Iterator[Path]:
    """A directory beside what is cached, so that moving into the cache is one step."""
    try:
        parent.mkdir(parents=True, exist_ok=True)
        directory = tempfile.TemporaryDirectory(dir=parent, prefix=".", ignore_cleanup_errors=True)
    except OSError as error:
        raise RequirementsError(
            f"{parent} cannot be written ({error.strerror}), and fetched packages are kept there; "
            "set XDG_CACHE_HOME to a directory that this user can write to."
        ) from error
    with directory as name:
        yield Path(name)


def _line(requirement: Requirement) -> str:
    hashes = (f" --hash=sha256:{digest}" for digest in requirement.hashes)
    return f"{requirement}{''.join(hashes)}"


def _download(
    listed: Path, directory: Path, requirements: Sequence[Requirement], python: str
) -> None:
    command = [sys.executable, "-P", "-m", "pip", "download", "--requirement", str(listed)]
    command += ["--dest", str(directory), "--no-deps", "--require-hashes", "--only-binary=:all:"]
    command += ["--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
    # These choose pure Python, for the Python of the function and not for the one that runs this.
    command += ["--python-version", python, "--implementation", "py", "--abi", "none"]
    command += ["--platform", "any"]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        return
    said = _said(done.stderr) or f"it ended with status {done.returncode}"
    by_name = {str(requirement): requirement for requirement in requirements}
    missing = _NOT_FOUND.search(done.stderr)
    if missing and missing[1] in by_name and "Retrying" not in done.stderr:
        requirement = by_name[missing[1]]
        raise requirement.error(f"{_no_wheel(requirement, python)} (pip says: {said})")
    raise RequirementsError(
        f"{requirements[0].path}: pip cannot fetch these packages: {said}; mend that, or pip's "
        "configuration and environment, and run this again."
    )


def _no_wheel(requirement: Requirement, python: str) -> str:
    return (
        f"pip finds no wheel of pure Python (…-none-any.whl) of {requirement} for Python {python}; "
        "choose a version or a package that has one, or an index that has it"
    )


def _said(text: str) -> str:
    """What pip gives as the reason, in one line: its errors, and what broke a connection."""
    broken = re.findall(r"connection broken by '(.+)': ", text)
    errors = text[text.index("ERROR:") :] if "ERROR:" in text else text
    lines = [line for line in errors.splitlines() if not line.startswith("WARNING:")]
    words = " ".join([*broken[-1:], *lines]).replace("ERROR: ", "").split()
    return _CREDENTIALS.sub("****@", _ORIGIN.sub("", " ".join(words))).rstrip(".")
