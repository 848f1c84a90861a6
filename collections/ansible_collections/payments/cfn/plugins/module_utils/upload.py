# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a release to its bucket: only what is missing there, in parallel."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from .errors import CloudError
from .manifest import Artifact, Release
from .session import in_words

with suppress(ImportError):  # without boto3 there are no clients, see session
    from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MAX_WORKERS = 16

# Path style, as in a TemplateURL: it also works with dots in the bucket's name. Adaptive retries,
# because other tools share the account's request rate.
CLIENT_SETTINGS: Mapping[str, Any] = {
    "max_pool_connections": MAX_WORKERS,
    "retries": {"mode": "adaptive", "total_max_attempts": 8},
    "s3": {"addressing_style": "path"},
}

_CONTENT_TYPES = {".json": "application/json", ".zip": "application/zip"}
_ABSENT = ("404", "NoSuchKey", "NotFound")
# another run has put, or is putting, an object of the same name
_CONFLICT = ("PreconditionFailed", "412", "ConditionalRequestConflict", "409")

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Uploaded:
    """What an upload did: the keys, and sentences about what to look at."""

    keys: tuple[str, ...]
    warnings: tuple[str, ...]


class MissingBucketError(CloudError):
    """There is no such bucket."""


def find_missing(client: S3Client, release: Release) -> tuple[Artifact, ...]:
    """The artifacts that the bucket does not hold, or holds with another size.

    One ListObjectsV2 suffices for most buckets; what its first page does not show is asked for
    one by one.

    Raises:
        MissingBucketError: there is no such bucket.
        CloudError: the bucket is in another region, or refuses access.
    """
    with _asking(release.bucket, "s3:ListBucket", f"arn:*:s3:::{release.bucket}"):
        prefix = f"{release.prefix}/" if release.prefix else ""
        page = client.list_objects_v2(Bucket=release.bucket, Prefix=prefix)
    _check_region(page, release)
    sizes = {entry["Key"]: entry["Size"] for entry in page.get("Contents", [])}
    if page.get("IsTruncated"):
        unseen = [artifact for artifact in release.artifacts if artifact.key not in sizes]
        found = _in_parallel(lambda artifact: _size(client, release.bucket, artifact.key), unseen)
        sizes |= {
            artifact.key: size
            for artifact, size in zip(unseen, found, strict=True)
            if size is not None
        }
    return tuple(
        artifact for artifact in release.artifacts if sizes.get(artifact.key) != artifact.size
    )


def upload(
    client: S3Client,
    bucket: str,
    artifacts: Sequence[Artifact],
    contents: Mapping[str, bytes],
    kms_key_id: str | None = None,
) -> Uploaded:
    """Put artifacts into the bucket.

    Without ``kms_key_id`` the bucket's own default encryption is used: naming ``aws:kms`` without
    a key would choose the account's AWS managed key instead of the bucket's.

    Raises:
        CloudError: the bucket is missing, or refuses access.
    """

    def put(artifact: Artifact) -> str:
        return _put(client, bucket, artifact, contents[artifact.key], kms_key_id)

    encryptions = _in_parallel(put, artifacts)
    plain = any(not encryption.startswith("aws:kms") for encryption in encryptions)
    warning = (
        f"bucket {bucket} does not encrypt with a KMS key; set SSE-KMS as its default encryption "
        "or give kms_key_id."
    )
    return Uploaded(tuple(artifact.key for artifact in artifacts), (warning,) if plain else ())


def _put(
    client: S3Client, bucket: str, artifact: Artifact, content: bytes, kms_key_id: str | None
) -> str:
    """Put one object; return the encryption it has."""
    suffix = artifact.key[artifact.key.rfind(".") :]
    request: dict[str, Any] = {
        "Bucket": bucket,
        "Key": artifact.key,
        "Body": content,
        "ContentType": _CONTENT_TYPES.get(suffix, "application/octet-stream"),
        "ChecksumSHA256": base64.b64encode(bytes.fromhex(artifact.sha256)).decode(),
    }
    if kms_key_id:
        request |= {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key_id}
    with _asking(
        bucket,
        "s3:PutObject (and kms:GenerateDataKey on the key that encrypts)",
        f"arn:*:s3:::{bucket}/{artifact.key}",
    ):
        try:
            response = client.put_object(**request, IfNoneMatch="*")
        except ClientError as error:
            if _code(error) not in _CONFLICT:
                raise
            present = _head(client, bucket, artifact.key)
            # its name is its digest, so with the same size it is the same object
            if present is not None and present["ContentLength"] == artifact.size:
                return str(present.get("ServerSideEncryption", ""))
            response = client.put_object(**request)
    return response.get("ServerSideEncryption", "")


def _size(client: S3Client, bucket: str, key: str) -> int | None:
    with _asking(bucket, "s3:GetObject", f"arn:*:s3:::{bucket}/{key}"):
        present = _head(client, bucket, key)
    return None if present is None else int(present["ContentLength"])


def _head(client: S3Client, bucket: str, key: str) -> Mapping[str, Any] | None:
    try:
        return client.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if _code(error) in _ABSENT:
            return None
        raise


def _in_parallel(function: Callable[[_Item], _Result], items: Sequence[_Item]) -> list[_Result]:
    if not items:
        return []
    with ThreadPoolExecutor(min(MAX_WORKERS, len(items))) as pool:
        return list(pool.map(function, items))


def _check_region(response: Any, release: Release) -> None:
    headers: Mapping[str, str] = response["ResponseMetadata"].get("HTTPHeaders", {})
    region = headers.get("x-amz-bucket-region", release.region)
    if region != release.region:
        raise CloudError(
            f"bucket {release.bucket} lies in {region}, but the stack goes to {release.region}; "
            "use a bucket in the region of the stack."
        )


@contextmanager
def _asking(bucket: str, action: str, resource: str) -> Iterator[None]:
    """Say in one sentence what S3 refuses, and how to mend it."""
    try:
        with in_words(f"bucket {bucket}"):
            yield
    except CloudError as error:
        code = _code(error.__cause__)
        if code == "NoSuchBucket":
            raise MissingBucketError(
                f"bucket {bucket} does not exist; create it or correct the option bucket."
            ) from error
        if code in ("AccessDenied", "403", "Forbidden"):
            raise CloudError(
                f"bucket {bucket} refuses access{_said(error.__cause__)}; allow {action} on "
                f"{resource} to these credentials, in their policies and in the bucket's."
            ) from error
        if code in ("PermanentRedirect", "301", "AuthorizationHeaderMalformed"):
            raise CloudError(
                f"bucket {bucket} lies in another region than the stack; use a bucket in the "
                "region of the stack."
            ) from error
        raise


def _said(error: BaseException | None) -> str:
    """AWS's own words in brackets: they name the caller and the policy that decided."""
    text = str(_details(error).get("Message", "")).strip(" .")
    return f" ({text})" if text else ""


def _code(error: BaseException | None) -> str:
    return str(_details(error).get("Code", ""))


def _details(error: BaseException | None) -> Mapping[str, Any]:
    response: Mapping[str, Any] = getattr(error, "response", None) or {}
    details: Mapping[str, Any] = response.get("Error", {})
    return details
