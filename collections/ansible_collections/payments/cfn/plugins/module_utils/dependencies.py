# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that the packages in a ``requirements.txt`` consist of.

Only wheels of pure Python are taken: their bytes are the same for every machine, and unpacking them
is all that installing them means.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from .errors import CfnError, raise_all
from .requirements import Requirement, normalized, read_requirements
from .wheels import wheels

with suppress(ImportError):  # Ansible itself needs it; only a check imports this without
    from packaging.requirements import InvalidRequirement
    from packaging.requirements import Requirement as Needed

# What installers write or read; nothing that runs does.
_FOR_INSTALLERS = re.compile(r"[^/]+\.dist-info/(RECORD(\.\w+)?|WHEEL)")
_METADATA = re.compile(r"[^/]+\.dist-info/METADATA")
# What has to be put elsewhere than beside the packages, such as scripts.
_ELSEWHERE = re.compile(r"[^/]+-[^/]+\.data/")
# The two kinds of machine that Lambda has.
_MACHINES = ("x86_64", "aarch64")


def dependency_files(path: Path, python: str, taken: Collection[str]) -> dict[str, bytes]:
    """The files of everything that a requirements file lists, by their names in the zip.

    ``python`` is the version that will run them (``3.13``), ``taken`` the names that the code
    itself has.

    Raises:
        CfnError: everything that stands in the way, one sentence each.
    """
    requirements = read_requirements(path)
    owners = dict.fromkeys(taken, "the code")
    found: dict[str, bytes] = {}
    needs: dict[Requirement, list[str]] = {}
    for requirement, content in wheels(requirements, python).items():
        for name, data in _files(requirement, content):
            if name in owners:
                raise requirement.error(
                    f"{requirement} brings the file {name}, which {owners[name]} has as well; "
                    "leave one of them out"
                )
            owners[name] = str(requirement)
            found[name] = data
            if _METADATA.fullmatch(name):
                needs[requirement] = _required(data)
    raise_all([*_unlisted(requirements, needs, python), *_in_the_way(requirements, owners)])
    return found


def _files(requirement: Requirement, content: bytes) -> Iterator[tuple[str, bytes]]:
    """The files of a wheel that are needed to run it."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for info in archive.infolist():
                name = info.filename
                if info.is_dir():
                    continue
                if not _is_inside(name):
                    raise requirement.error(
                        f"the wheel of {requirement} has a file {name!r}, which would lie outside "
                        "of the zip; choose another version or package"
                    )
                if _ELSEWHERE.match(name):
                    raise requirement.error(
                        f"the wheel of {requirement} has {name}, which is installed outside of "
                        "the packages and cannot go into a zip; choose another version or package"
                    )
                if not _FOR_INSTALLERS.fullmatch(name) and not _is_compiled(name):
                    yield name, archive.read(info)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise requirement.error(
            f"the wheel of {requirement} cannot be unpacked ({error}); choose another version"
        ) from error


def _is_inside(name: str) -> bool:
    return "\\" not in name and not any(part in ("", ".", "..") for part in name.split("/"))


def _is_compiled(name: str) -> bool:
    return name.endswith(".pyc") or "__pycache__" in name.split("/")


def _in_the_way(
    requirements: tuple[Requirement, ...], owners: Mapping[str, str]
) -> Iterator[CfnError]:
    """Files that have the name of a directory."""
    by_name = {str(requirement): requirement for requirement in requirements}
    directories: dict[str, str] = {}
    for name, owner in owners.items():
        above = name
        while "/" in above:
            above = above.rpartition("/")[0]
            directories.setdefault(above, owner)
    for name in sorted(directories.keys() & owners.keys()):
        pair = owners[name], directories[name]
        requirement = next(by_name[owner] for owner in pair if owner in by_name)
        yield requirement.error(
            f"{name} is a file of {pair[0]} and a directory of {pair[1]}; leave one of them out"
        )


def _required(metadata: bytes) -> list[str]:
    """What a wheel says that it needs."""
    headers, *_ = metadata.decode("utf-8", "replace").replace("\r\n", "\n").split("\n\n", 1)
    return re.findall(r"^Requires-Dist:\s*(.+?)\s*$", headers, re.MULTILINE)


def _unlisted(
    requirements: tuple[Requirement, ...], needs: Mapping[Requirement, list[str]], python: str
) -> Iterator[CfnError]:
    """What is needed and not listed: pip was told to look for nothing that is not."""
    listed = {requirement.name: requirement for requirement in requirements}
    for requirement, texts in needs.items():
        for text in texts:
            try:
                needed = Needed(text)
            except InvalidRequirement:
                continue
            if needed.marker is not None and not _holds(needed, python):
                continue
            present = listed.get(normalized(needed.name))
            if present is None:
                yield requirement.error(
                    f"{requirement} needs {needed.name}{needed.specifier}, which is not listed; "
                    "list everything that is needed, as `pip-compile --generate-hashes` does"
                )
            elif not needed.specifier.contains(present.version, prereleases=True):
                yield present.error(
                    f"{requirement} needs {needed.name}{needed.specifier}, but {present} is "
                    "listed; change one of the two"
                )


def _holds(needed: Needed, python: str) -> bool:
    assert needed.marker is not None  # the caller looks
    return any(
        needed.marker.evaluate(
            {
                "implementation_name": "cpython",
                "implementation_version": f"{python}.0",
                "os_name": "posix",
                "platform_machine": machine,
                "platform_python_implementation": "CPython",
                "platform_system": "Linux",
                "python_full_version": f"{python}.0",
                "python_version": python,
                "sys_platform": "linux",
                "extra": "",
            }
        )
        for machine in _MACHINES
    )
