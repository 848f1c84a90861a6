# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wheels made for a test, in a folder that pip is told to look into and nowhere else."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PYTHON_TAG = "py3-none-any"


@dataclass
class Wheelhouse:
    """A folder of wheels, and the requirements that name all of them."""

    directory: Path
    hashes: dict[str, list[str]] = field(default_factory=dict)

    def add(
        self,
        name: str,
        version: str = "1.0",
        files: Mapping[str, str] | None = None,
        *,
        requires: Sequence[str] = (),
        python: str = ">=3.8",
        tag: str = PYTHON_TAG,
    ) -> Path:
        """Make a wheel; without ``files`` it has one module of its own name."""
        info = f"{name}-{version}.dist-info"
        metadata = [
            "Metadata-Version: 2.1",
            f"Name: {name}",
            f"Version: {version}",
            f"Requires-Python: {python}",
            *(f"Requires-Dist: {needed}" for needed in requires),
            "",
            "Requires-Dist: only-a-description",
        ]
        pure = str(tag.endswith("-none-any")).lower()
        contents = {
            **({f"{name}.py": f"VERSION = {version!r}\n"} if files is None else files),
            f"{info}/METADATA": "\n".join(metadata) + "\n",
            f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: {pure}\nTag: {tag}\n",
            f"{info}/licenses/LICENSE": "Do as you like.\n",
            f"{info}/RECORD": "",
        }
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / f"{name}-{version}-{tag}.whl"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, text in contents.items():
                archive.writestr(member, text)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        self.hashes.setdefault(f"{name}=={version}", []).append(digest)
        return path

    def requirements(self) -> str:
        """The text of a requirements file that lists everything."""
        return "".join(
            f"{pinned}" + "".join(f" \\\n    --hash=sha256:{digest}" for digest in digests) + "\n"
            for pinned, digests in self.hashes.items()
        )

    def environment(self, cache: Path) -> dict[str, str]:
        """What makes pip look here, and keeps what is fetched in ``cache``."""
        return {
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_FIND_LINKS": str(self.directory),
            "PIP_NO_INDEX": "1",
            "XDG_CACHE_HOME": str(cache),
        }
