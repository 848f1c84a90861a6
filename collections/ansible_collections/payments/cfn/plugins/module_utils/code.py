# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Code artifacts: which properties hold local paths, and how a path becomes bytes."""

from __future__ import annotations

import io
import re
import stat
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from .dependencies import dependency_files
from .errors import PackageError, TemplateError
from .requirements import FILE_NAME, read_requirements
from .templates import Template, is_remote


class Form(Enum):
    """How a property names an object in S3."""

    S3_BUCKET_KEY = ("S3Bucket", "S3Key")
    BUCKET_KEY = ("Bucket", "Key")
    URI = ()


@dataclass(frozen=True)
class CodeProperty:
    """A property that CloudFormation wants in S3, and that may be a local path beforehand.

    ``path`` leads to it below Properties; with ``zipped`` a file or directory is put in a zip,
    otherwise it must be a file and is taken as it is. ``max_unzipped`` is the most that AWS
    unpacks, in bytes. ``runtime`` names the property that says what runs the code, if packaging
    has to add what Python code depends on.
    """

    type: str
    path: tuple[str, ...]
    form: Form
    zipped: bool = False
    max_unzipped: int | None = None
    runtime: str | None = None


# Lambda's quota for a function with its layers; that of 50 MB is for zips that do not lie in S3
MAX_LAMBDA_BYTES = 262_144_000


CODE_PROPERTIES = (
    CodeProperty("AWS::ApiGateway::RestApi", ("BodyS3Location",), Form.BUCKET_KEY),
    CodeProperty("AWS::AppSync::FunctionConfiguration", ("CodeS3Location",), Form.URI),
    CodeProperty(
        "AWS::AppSync::FunctionConfiguration", ("RequestMappingTemplateS3Location",), Form.URI
    ),
    CodeProperty(
        "AWS::AppSync::FunctionConfiguration", ("ResponseMappingTemplateS3Location",), Form.URI
    ),
    CodeProperty("AWS::AppSync::GraphQLSchema", ("DefinitionS3Location",), Form.URI),
    CodeProperty("AWS::AppSync::Resolver", ("CodeS3Location",), Form.URI),
    CodeProperty("AWS::AppSync::Resolver", ("RequestMappingTemplateS3Location",), Form.URI),
    CodeProperty("AWS::AppSync::Resolver", ("ResponseMappingTemplateS3Location",), Form.URI),
    CodeProperty("AWS::CloudFormation::ModuleVersion", ("ModulePackage",), Form.URI, zipped=True),
    CodeProperty(
        "AWS::CloudFormation::ResourceVersion", ("SchemaHandlerPackage",), Form.URI, zipped=True
    ),
    CodeProperty("AWS::CodeCommit::Repository", ("Code", "S3"), Form.BUCKET_KEY, zipped=True),
    CodeProperty(
        "AWS::ElasticBeanstalk::ApplicationVersion",
        ("SourceBundle",),
        Form.S3_BUCKET_KEY,
        zipped=True,
    ),
    CodeProperty("AWS::Glue::Job", ("Command", "ScriptLocation"), Form.URI),
    CodeProperty(
        "AWS::Lambda::Function",
        ("Code",),
        Form.S3_BUCKET_KEY,
        zipped=True,
        max_unzipped=MAX_LAMBDA_BYTES,
        runtime="Runtime",
    ),
    CodeProperty(
        "AWS::Lambda::LayerVersion",
        ("Content",),
        Form.S3_BUCKET_KEY,
        zipped=True,
        max_unzipped=MAX_LAMBDA_BYTES,
    ),
    CodeProperty("AWS::Serverless::Api", ("DefinitionUri",), Form.URI),
    CodeProperty("AWS::Serverless::Function", ("CodeUri",), Form.URI, zipped=True),
    CodeProperty("AWS::Serverless::LayerVersion", ("ContentUri",), Form.URI, zipped=True),
    CodeProperty("AWS::Serverless::StateMachine", ("DefinitionUri",), Form.URI),
    CodeProperty("AWS::StepFunctions::StateMachine", ("DefinitionS3Location",), Form.BUCKET_KEY),
)

_INCLUDE = CodeProperty("AWS::Include", (), Form.URI)

_EXCLUDED_DIRECTORIES = {"__pycache__"}
_EXCLUDED_SUFFIXES = {".pyc"}
# the earliest time a zip can hold
_EPOCH = (1980, 1, 1, 0, 0, 0)
_UNIX = 3


@dataclass(frozen=True)
class LocalCode:
    """A local path found in a template.

    ``at`` leads to the property from the top of the template; ``location`` is as written there.
    """

    logical_id: str
    at: tuple[str | int, ...]
    location: str
    property: CodeProperty


def find_local_code(template: Template) -> Iterator[LocalCode]:
    """Every local path in the template; remote locations and intrinsics are left alone."""
    for logical_id, resource in template.resources.items():
        for known, location in _local_properties(resource):
            below = ("Resources", logical_id, "Properties", *known.path)
            yield LocalCode(logical_id, below, location, known)
    for at, location in _includes(template.body, ()):
        yield LocalCode(str(at[1]) if len(at) > 1 else "Transform", at, location, _INCLUDE)


def has_local_code(resource: Mapping[str, Any]) -> bool:
    """Whether a resource has a local path where CloudFormation wants an object in S3."""
    return any(True for _ in _local_properties(resource))


def _local_properties(resource: Mapping[str, Any]) -> Iterator[tuple[CodeProperty, str]]:
    for known in CODE_PROPERTIES:
        if known.type == resource["Type"]:
            value: Any = resource.get("Properties")
            for step in known.path:
                value = value.get(step) if isinstance(value, Mapping) else None
            if isinstance(value, str) and not is_remote(value):
                yield known, value


def _includes(node: Any, at: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Each local Location of an AWS::Include, wherever a transform may stand."""
    if isinstance(node, list):
        for index, item in enumerate(node):
            yield from _includes(item, (*at, index))
    elif isinstance(node, dict):
        if node.get("Name") == _INCLUDE.type and at and at[-1] in ("Transform", "Fn::Transform"):
            parameters = node.get("Parameters")
            location = parameters.get("Location") if isinstance(parameters, dict) else None
            if isinstance(location, str) and not is_remote(location):
                yield (*at, "Parameters", "Location"), location
        for key, value in node.items():
            yield from _includes(value, (*at, key))


def read_code(template: Template, code: LocalCode, *, fetch: bool = True) -> tuple[bytes, str]:
    """The bytes to upload for a local path, and the suffix of the object's name.

    Without ``fetch``, what the code depends on is checked as far as that is possible without
    fetching it, and left out.

    Raises:
        TemplateError: the path does not exist, is empty, or is not of the kind needed.
        CfnError: what the code depends on cannot be packaged.
    """
    path = template.path.parent / code.location
    name = code.at[-1]
    try:
        if code.property.zipped:
            return _zipped(path, code.property, _python(template, code, path), fetch), ".zip"
        return path.read_bytes(), path.suffix or ".bin"
    except FileNotFoundError as error:
        missing = Path(error.filename or path)
        raise _refused(
            template,
            code,
            f"{name} points to {missing}, which does not exist; create it or correct the path.",
        ) from error
    except IsADirectoryError as error:
        raise _refused(
            template,
            code,
            f"{name} points to the directory {path}, but it must be a file; correct the path.",
        ) from error
    except OSError as error:
        raise _refused(
            template,
            code,
            f"{name} points to {path}, which cannot be read ({error.strerror}); "
            "correct its permissions.",
        ) from error
    except PackageError as error:
        raise _refused(template, code, f"{name} points to {path}, {error}") from error


def _refused(template: Template, code: LocalCode, message: str) -> TemplateError:
    return template.error(f"{code.logical_id}: {message}", "Resources", code.logical_id)


def _python(template: Template, code: LocalCode, path: Path) -> str | None:
    """The version of Python (``3.13``) that dependencies are to be added for, if there are any."""
    if code.property.runtime is None or not (path / FILE_NAME).is_file():
        return None
    runtime = template.resources[code.logical_id]["Properties"].get(code.property.runtime)
    if isinstance(runtime, str):
        python = re.fullmatch(r"python(3\.\d+)", runtime)
        return python[1] if python else None
    raise _refused(
        template,
        code,
        f"{code.property.runtime} must be written out, for example python3.13, because what "
        f"{path / FILE_NAME} lists is packaged for it.",
    )


def _zipped(path: Path, known: CodeProperty, python: str | None, fetch: bool) -> bytes:
    if path.is_file() and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            _check_size(known, sum(info.file_size for info in archive.infolist()))
        return path.read_bytes()
    if path.suffix == ".zip" and path.is_file():
        raise PackageError("which is not a zip; create it anew.")
    files: dict[str, Path | bytes] = dict(_files(path)) if path.is_dir() else {path.name: path}
    if python is not None:
        files |= _dependencies(files, python, fetch)
    if not files:
        raise PackageError("which holds no files; add the code or correct the path.")
    sizes = (len(it) if isinstance(it, bytes) else it.stat().st_size for it in files.values())
    _check_size(known, sum(sizes))
    return deterministic_zip(files)


def _dependencies(files: dict[str, Path | bytes], python: str, fetch: bool) -> dict[str, bytes]:
    """What the code depends on, in place of the file that lists it."""
    listed = files[FILE_NAME]
    assert isinstance(listed, Path)  # it comes from the directory
    if not fetch:
        read_requirements(listed)
        return {}
    del files[FILE_NAME]
    return dependency_files(listed, python, files)


def _check_size(known: CodeProperty, size: int) -> None:
    limit = known.max_unzipped
    if limit is not None and size > limit:
        raise PackageError(
            f"which has {size:,} bytes unzipped, and {known.type} takes at most {limit:,}; leave "
            "out what it does not need to run."
        )


def _files(
    directory: Path, prefix: str = "", above: tuple[Path, ...] = ()
) -> Iterator[tuple[str, Path]]:
    real = directory.resolve()
    if real in above:
        raise PackageError(f"where the link {directory} leads back into itself; remove it.")
    for entry in directory.iterdir():
        if entry.is_dir():
            if entry.name not in _EXCLUDED_DIRECTORIES:
                yield from _files(entry, f"{prefix}{entry.name}/", (*above, real))
        elif entry.suffix not in _EXCLUDED_SUFFIXES:
            yield prefix + entry.name, entry


def deterministic_zip(files: Mapping[str, Path | bytes]) -> bytes:
    """A zip whose bytes depend only on the names, the contents and who may execute them.

    ``files`` maps names in the zip to files, or to contents that nobody needs to execute. Names
    are sorted, times fixed, permissions 644 or 755. Nothing is compressed: zlib's output differs
    between its versions and would change the digest from one machine to the next.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, file in sorted(files.items()):
            executable = isinstance(file, Path) and file.stat().st_mode & stat.S_IXUSR
            content = file.read_bytes() if isinstance(file, Path) else file
            info = zipfile.ZipInfo(name, _EPOCH)
            info.create_system = _UNIX
            info.external_attr = (stat.S_IFREG | (0o755 if executable else 0o644)) << 16
            archive.writestr(info, content)
    return buffer.getvalue()
