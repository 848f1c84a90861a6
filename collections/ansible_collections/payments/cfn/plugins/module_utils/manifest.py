# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The release manifest (``release.json``): what a packaged template tree consists of."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from .errors import ManifestError, OutputError

FILE_NAME = "release.json"


@dataclass(frozen=True)
class Artifact:
    """One object of a release in the bucket, and its copy on disk.

    ``kind`` is ``template`` or ``code``; ``source`` the file or directory it was made from,
    relative to the root template's directory; ``sha256`` that of the object's bytes; ``size`` in
    bytes; ``path`` the copy on disk, relative to the manifest's directory.
    """

    kind: str
    source: str
    key: str
    url: str
    sha256: str
    size: int
    path: str


@dataclass(frozen=True)
class Release:
    """A packaged template tree; the last artifact is the root template."""

    release_id: str
    bucket: str
    prefix: str
    region: str
    template_url: str
    literals: Mapping[str, str]
    artifacts: tuple[Artifact, ...]

    @property
    def root(self) -> Artifact:
        """The root template."""
        return self.artifacts[-1]

    @property
    def templates(self) -> tuple[Artifact, ...]:
        """The templates only, children before parents."""
        return tuple(artifact for artifact in self.artifacts if artifact.kind == "template")

    def template_paths(self, directory: Path) -> dict[str, Path]:
        """Template URL → its copy on disk, for a manifest that lies in ``directory``."""
        return {artifact.url: directory / artifact.path for artifact in self.templates}


def read(path: Path | str) -> Release:
    """Read a manifest.

    Raises:
        ManifestError: the file is missing, not JSON, or lacks a field.
    """
    path = Path(path)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ManifestError(
            f"{path}: the release manifest cannot be read ({error.strerror}); "
            "package the templates first."
        ) from error
    except ValueError as error:
        raise ManifestError(
            f"{path}: the release manifest is not valid JSON ({error}); package the templates anew."
        ) from error
    return _release(data, path)


def write(release: Release, path: Path | str) -> bool:
    """Write a manifest in one step; tell whether the file's content changed."""
    path = Path(path)
    return replace_file(path, (json.dumps(asdict(release), indent=2) + "\n").encode())


def replace_file(path: Path, content: bytes) -> bool:
    """Write ``content`` so that a reader never sees half of it; False if it was there already.

    Raises:
        OutputError: it cannot be written.
    """
    with writing(path):
        if path.is_file() and path.read_bytes() == content:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            temporary.write_bytes(content)
            temporary.replace(path)
        except OSError:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
    return True


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say in one sentence why a file of the output cannot be written."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written ({error.strerror}); make {path.parent} a directory that "
            "this user can write to, or choose another with the option output_dir."
        ) from error


def _release(data: Any, path: Path) -> Release:
    try:
        artifacts = tuple(_typed(Artifact, item) for item in data["artifacts"])
        release: Release = _typed(Release, {**data, "artifacts": artifacts})
    except (KeyError, TypeError) as error:
        raise ManifestError(
            f"{path}: the release manifest is malformed ({error}); package the templates anew."
        ) from error
    if not release.artifacts or release.root.kind != "template":
        raise ManifestError(
            f"{path}: the release manifest does not end with the root template; "
            "package the templates anew."
        )
    return release


def _typed(kind: Any, data: Mapping[str, Any]) -> Any:
    """Build a dataclass from the fields it knows, so that a newer manifest can still be read."""
    return kind(**{field.name: data[field.name] for field in fields(kind)})
