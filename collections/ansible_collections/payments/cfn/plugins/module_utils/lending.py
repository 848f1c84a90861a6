# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates in the bucket for as long as a plan takes.

CloudFormation reads nested templates from S3 only. A plan that must not change anything lends it
those that are missing and takes them away again. It lends them under keys that no other run has:
under their own, a deployment beside it would take them as uploaded and then miss them.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import CloudError
from .manifest import Artifact, Release
from .upload import find_missing

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import DeleteObjectRequestTypeDef

# What the keys of lent templates begin with, after the prefix of the release.
FOLDER = "plans"


@dataclass(frozen=True)
class _Loan:
    """A template under another key, which names the lent ones among its nested templates."""

    key: str
    body: bytes


@dataclass(frozen=True)
class _Lent:
    key: str
    version: str | None


@contextmanager
def lent_templates(
    client: S3Client, pool: Executor, release: Release, directory: Path
) -> Iterator[Mapping[str, str]]:
    """Lend the templates that the bucket lacks, and those that nest them, for a while.

    Every upload is taken away again, also when another one fails.

    :param directory: where the manifest lies; its artifacts' paths are relative to it.
    :return: the URL of each lent template by the one that it stands in for.
    :raises CloudError: an object that was uploaded cannot be deleted.
    """
    missing = {item.key for item in find_missing(client, release)}
    loans = _loans(release, missing, directory)
    uploads = [pool.submit(_put, client, release.bucket, loan) for loan in loans.values()]
    lent: list[_Lent] = []
    failures: list[BaseException] = []
    for upload in uploads:
        error = upload.exception()
        if error is None:
            lent.append(upload.result())
        else:
            failures.append(error)
    try:
        if failures:
            raise failures[0]
        yield {item.url: _url(item, loan.key) for item, loan in loans.items()}
    finally:
        _take_back(client, release.bucket, lent)


def _loans(release: Release, missing: set[str], directory: Path) -> dict[Artifact, _Loan]:
    """What to lend; a template nests others by their URLs, so those above a lent one are lent."""
    own = "/".join(part for part in (release.prefix, FOLDER, secrets.token_hex(8)) if part)
    loans: dict[Artifact, _Loan] = {}
    for item in release.templates:  # children before parents
        body = original = (directory / item.path).read_bytes()
        for below, loan in loans.items():
            body = body.replace(below.url.encode(), _url(below, loan.key).encode())
        if item.key in missing or body != original:
            loans[item] = _Loan(f"{own}/{item.path}", body)
    return loans


def _url(item: Artifact, key: str) -> str:
    return item.url.removesuffix(item.key) + key


def _put(client: S3Client, bucket: str, loan: _Loan) -> _Lent:
    answer = client.put_object(Bucket=bucket, Key=loan.key, Body=loan.body)
    return _Lent(loan.key, answer.get("VersionId"))


def _take_back(client: S3Client, bucket: str, lent: Sequence[_Lent]) -> None:
    left = []
    for item in lent:
        request: DeleteObjectRequestTypeDef = {"Bucket": bucket, "Key": item.key}
        if item.version:
            request["VersionId"] = item.version
        try:
            client.delete_object(**request)
        except client.exceptions.ClientError:
            left.append(item.key)
    if left:
        raise CloudError(
            f"the plan uploaded to the bucket {bucket} what it could not delete again: "
            f"{', '.join(left)}; delete these objects."
        )
