"""Reading and writing what goes over the wire, by the API's own description (botocore's model).

The mends work on requests and responses as mappings, so that one mend serves whatever protocol
its service speaks: AWS query, EC2 query or JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

import botocore.parsers
import botocore.session

Response = tuple[int, Mapping[str, str], bytes]

_loader = botocore.session.Session()


@dataclass(frozen=True)
class Protocol:
    """The wire format of one service, named as boto3 names it."""

    service: str

    @cached_property
    def _model(self) -> Any:
        return _loader.get_service_model(self.service)

    @property
    def _kind(self) -> str:
        return str(self._model.metadata["protocol"])

    @property
    def _speaks_json(self) -> bool:
        return self._kind == "json"

    def operation(self, headers: Mapping[str, str], body: bytes) -> str:
        """The operation that a request asks for."""
        if self._speaks_json:
            return headers.get("x-amz-target", "").rpartition(".")[2]
        if b"Action=" not in body:
            return ""
        return parse_qs(body.decode()).get("Action", [""])[0]

    def request(self, operation: str, body: bytes) -> dict[str, Any]:
        """The parameters of a request."""
        if self._speaks_json:
            return dict(json.loads(body or b"{}"))
        flat = {key: values[0] for key, values in parse_qs(body.decode(), True).items()}
        shape = self._model.operation_model(operation).input_shape
        return dict(_unflatten(flat, shape, "", self._kind))

    def response(self, operation: str, response: Response) -> dict[str, Any]:
        """The members of a response."""
        status, headers, body = response
        raw = body if isinstance(body, bytes) else str(body).encode()
        if self._speaks_json:
            return dict(json.loads(raw or b"{}"))
        parser = botocore.parsers.create_parser(self._kind)
        shape = self._model.operation_model(operation).output_shape
        parsed = parser.parse({"status_code": status, "headers": headers, "body": raw}, shape)
        return {key: value for key, value in parsed.items() if key != "ResponseMetadata"}

    def written(self, operation: str, members: Mapping[str, Any]) -> Response:
        """A successful response with these members."""
        if self._speaks_json:
            return 200, {"Content-Type": "application/x-amz-json-1.1"}, _json(members)
        shape = self._model.operation_model(operation).output_shape
        inner = _members(members, shape) if shape else ""
        namespace = self._model.metadata.get("xmlNamespace", "")
        if self._kind == "ec2":
            inner += "<requestId>local-cloud</requestId>"
        else:
            inner = f"<{operation}Result>{inner}</{operation}Result>"
            inner += "<ResponseMetadata><RequestId>local-cloud</RequestId></ResponseMetadata>"
        text = f'<{operation}Response xmlns="{namespace}">{inner}</{operation}Response>'
        return 200, {"Content-Type": "text/xml"}, text.encode()

    def refusal(self, status: int, code: str, message: str) -> Response:
        """An error of the service."""
        if self._speaks_json:
            body = json.dumps({"__type": code, "message": message}).encode()
            return status, {"Content-Type": "application/x-amz-json-1.1"}, body
        error = f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>"
        if self._kind == "ec2":
            text = (
                f"<Response><Errors>{error}</Errors><RequestID>local-cloud</RequestID></Response>"
            )
        else:
            text = f"<ErrorResponse>{error}<RequestId>local-cloud</RequestId></ErrorResponse>"
        return status, {"Content-Type": "text/xml"}, text.encode()


def _json(members: Mapping[str, Any]) -> bytes:
    return json.dumps(members, default=str).encode()


def _unflatten(flat: Mapping[str, str], shape: Any, prefix: str, kind: str) -> Any:
    if shape.type_name == "structure":
        return _unflatten_structure(flat, shape, prefix, kind)
    if shape.type_name == "list":
        return _unflatten_list(flat, shape, prefix, kind)
    text = flat[prefix]
    if shape.type_name == "boolean":
        return text == "true"
    return int(text) if shape.type_name in ("integer", "long") else text


def _unflatten_structure(
    flat: Mapping[str, str], shape: Any, prefix: str, kind: str
) -> dict[str, Any]:
    found = {}
    for name, inner in shape.members.items():
        key = _query_name(name, inner, kind)
        path = f"{prefix}.{key}" if prefix else key
        if any(given == path or given.startswith(path + ".") for given in flat):
            found[name] = _unflatten(flat, inner, path, kind)
    return found


def _unflatten_list(flat: Mapping[str, str], shape: Any, prefix: str, kind: str) -> list[Any]:
    path = prefix
    if kind == "query" and not shape.serialization.get("flattened"):
        path += "." + shape.member.serialization.get("name", "member")
    items: list[Any] = []
    while any(
        key == f"{path}.{len(items) + 1}" or key.startswith(f"{path}.{len(items) + 1}.")
        for key in flat
    ):
        items.append(_unflatten(flat, shape.member, f"{path}.{len(items) + 1}", kind))
    return items


def _query_name(name: str, shape: Any, kind: str) -> str:
    given = str(shape.serialization.get("name", name))
    if kind != "ec2":
        return given
    return str(shape.serialization.get("queryName", given[0].upper() + given[1:]))


def _members(value: Mapping[str, Any], shape: Any) -> str:
    return "".join(
        _element(str(inner.serialization.get("name", name)), value[name], inner)
        for name, inner in shape.members.items()
        if value.get(name) is not None
    )


def _element(name: str, value: Any, shape: Any) -> str:
    if shape.type_name == "list":
        if shape.serialization.get("flattened"):
            return "".join(_element(name, item, shape.member) for item in value)
        inner_name = str(shape.member.serialization.get("name", "member"))
        return f"<{name}>{''.join(_element(inner_name, i, shape.member) for i in value)}</{name}>"
    if shape.type_name == "structure":
        return f"<{name}>{_members(value, shape)}</{name}>"
    return f"<{name}>{escape(_scalar(value))}</{name}>"


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if isinstance(value, datetime) else str(value)
