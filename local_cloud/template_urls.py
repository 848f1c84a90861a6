"""Reading a template that a request names by URL, with AWS's sentences where there is none."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from local_cloud import operations
from local_cloud.operations import Parameters, Response

_PATH_STYLE = re.compile(r"s3[.-](?:(?:dualstack\.)?[a-z0-9-]+\.)?amazonaws\.com(?:\.cn)?")
_HOST_STYLE = re.compile(r"(?P<bucket>.+)\.s3[.-](?:(?:dualstack\.)?[a-z0-9-]+\.)?amazonaws\.com.*")
_LOOPBACK = re.compile(r"(?:localhost|127\.0\.0\.1)(?::\d+)?")
_MORE = (
    "\nFor more information check "
    "http://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"
)

Document = tuple[str | None, Response | None]
Resolve = Callable[[Parameters, str, str, str], Document]


def reads_from_s3(original: Resolve) -> Resolve:
    """A replacement of MiniStack's ``_resolve_document``, which reads both kinds of S3 URL."""

    def resolve(params: Parameters, body_key: str, url_key: str, label: str) -> Document:
        url = operations.first(params, url_key)
        if operations.first(params, body_key) or not url:
            return original(params, body_key, url_key, label)
        place = _place(url)
        if place is None:
            return None, _refusal(f"{url_key} must be a supported URL.")
        bucket, key, version = place
        problem = _problem(bucket, key, version)
        if problem:
            return None, _refusal(f"S3 error: {problem}{_MORE}")
        if version:
            return _version(bucket, key, version), None
        # MiniStack takes the first part of the path as the bucket.
        path_style = {**params, url_key: [f"https://s3.amazonaws.com/{bucket}/{key}"]}
        return original(path_style, body_key, url_key, label)

    return resolve


def _refusal(sentence: str) -> Response:
    return operations.refusal("ValidationError", sentence)


def _place(url: str) -> tuple[str, str, str] | None:
    """Bucket, key and version that a URL names; None where it is not one of S3's."""
    parts = urlsplit(url)
    path = unquote(parts.path.lstrip("/"))
    version = parse_qs(parts.query).get("versionId", [""])[0]
    host = _HOST_STYLE.fullmatch(parts.netloc)
    if parts.scheme not in ("https", "http"):
        return None
    if host:
        bucket, key = host["bucket"], path
    elif _PATH_STYLE.fullmatch(parts.netloc) or _LOOPBACK.fullmatch(parts.netloc):
        bucket, _, key = path.partition("/")
    else:
        return None
    return (bucket, key, version) if bucket and key else None


def _problem(bucket: str, key: str, version: str) -> str:
    from ministack.services import s3

    if bucket not in s3._buckets:
        return "The specified bucket does not exist"
    data: Any = s3._get_object_data(bucket, key, version or None)
    if data is not None:
        return ""
    return f"The specified {'version' if version else 'key'} does not exist."


def _version(bucket: str, key: str, version: str) -> str:
    from ministack.services import s3

    data: bytes = s3._get_object_data(bucket, key, version)
    return data.decode("utf-8")
