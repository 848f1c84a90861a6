# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates in the bucket for as long as a plan takes.

CloudFormation reads nested templates from S3 only. A plan that must not change anything lends it
those that are missing and takes exactly them away again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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


@dataclass(frozen=True)
class _Lent:
    key: str
    version: str | None


@contextmanager
def lent_templates(
    client: S3Client, pool: Executor, release: Release, directory: Path
) -> Iterator[tuple[str, ...]]:
    """Upload the templates that the bucket lacks, and delete those versions at the end.

    Every upload is taken away again, also when another one fails.

    :param directory: where the manifest lies; its artifacts' paths are relative to it.
    :return: the keys that were missing.
    :raises CloudError: an object that was uploaded cannot be deleted.
    """
    missing = [item for item in find_missing(client, release) if item.kind == "template"]
    uploads = [pool.submit(_put, client, release.bucket, item, directory) for item in missing]
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
        yield tuple(item.key for item in missing)
    finally:
        _take_back(client, release.bucket, lent)


def _put(client: S3Client, bucket: str, item: Artifact, directory: Path) -> _Lent:
    body = (directory / item.path).read_bytes()
    answer = client.put_object(Bucket=bucket, Key=item.key, Body=body)
    return _Lent(item.key, answer.get("VersionId"))


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
            f"{', '.join(left)}; delete these objects, or deploy, which needs them."
        )
