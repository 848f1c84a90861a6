"""The errors of resource types, told the way CloudFormation tells them."""

from __future__ import annotations

import re
import uuid

from botocore.exceptions import ClientError


class ResourceError(Exception):
    """A resource could not be created, changed or deleted; the message is the event's reason."""


_HANDLER_CODES = (
    ("AlreadyExists|Duplicate|EntityAlreadyExists|AlreadyInUse", "AlreadyExists"),
    ("NotFound|NoSuch|DoesNotExist|NonExistent", "NotFound"),
    ("AccessDenied|Unauthorized|NotAuthorized", "AccessDenied"),
    ("Throttl|RequestLimit", "Throttling"),
    ("LimitExceeded|QuotaExceeded", "ServiceLimitExceeded"),
)
_GONE = re.compile(_HANDLER_CODES[1][0])


def is_gone(error: ClientError) -> bool:
    """Whether the service says that the resource does not exist."""
    details = error.response["Error"]
    # Application Auto Scaling answers a ValidationException, and tells the rest in words.
    return bool(_GONE.search(details["Code"]) or details["Message"].startswith("No scal"))


def already_exists(kind: str, identifier: str) -> ResourceError:
    """Refuse a resource whose name another one has."""
    return ResourceError(
        f"Resource handler returned message: \"Resource of type '{kind}' with identifier "
        f"'{identifier}' already exists.\" (RequestToken: {uuid.uuid4()}, "
        "HandlerErrorCode: AlreadyExists)"
    )


def handler_error(error: ClientError) -> ResourceError:
    """Word a service's error as the resource handlers of CloudFormation do."""
    details = error.response["Error"]
    metadata = error.response.get("ResponseMetadata", {})
    code = next(
        (name for pattern, name in _HANDLER_CODES if re.search(pattern, details["Code"])),
        "InvalidRequest",
    )
    return ResourceError(
        f'Resource handler returned message: "{details["Message"]} '
        f"(Error Code: {details['Code']}, Operation: {error.operation_name}, "
        f"Status Code: {metadata.get('HTTPStatusCode', 0)}, "
        f'Request ID: {metadata.get("RequestId", "")})" '
        f"(RequestToken: {uuid.uuid4()}, HandlerErrorCode: {code})"
    )
