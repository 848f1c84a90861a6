# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a release of a template tree: content-addressed, with nothing local left in it."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from . import manifest
from .code import Form, LocalCode, find_local_code, has_local_code, read_code
from .errors import CfnError, PackageError, ParameterError, raise_all
from .evaluate import NO_VALUE, Scope, Unknown, as_text, evaluate, nested_scope, root_scope
from .manifest import Artifact, Release
from .parameters import check_value, did_you_mean, is_secret
from .templates import LANGUAGE_EXTENSIONS, MAX_BYTES, STACK_TYPE, Template, TemplateTree

POLICY_ATTRIBUTES = ("DeletionPolicy", "UpdateReplacePolicy")
_POLICIES = {
    "DeletionPolicy": ("Delete", "Retain", "RetainExceptOnCreate", "Snapshot"),
    "UpdateReplacePolicy": ("Delete", "Retain", "Snapshot"),
}
SNAPSHOT_TYPES = frozenset(
    {
        "AWS::DocDB::DBCluster",
        "AWS::EC2::Volume",
        "AWS::ElastiCache::CacheCluster",
        "AWS::ElastiCache::ReplicationGroup",
        "AWS::Neptune::DBCluster",
        "AWS::RDS::DBCluster",
        "AWS::RDS::DBInstance",
        "AWS::Redshift::Cluster",
    }
)
# what only works with the language extensions, besides policy attributes
_EXTENDED_FUNCTIONS = frozenset({"Fn::Length", "Fn::ToJsonString"})
_IN_FIND_IN_MAP = frozenset({"Fn::FindInMap", "Ref"})
RELEASE_ID_LENGTH = 16
_OBJECT_NAME = re.compile(r"[0-9a-f]{64}\.")
_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


@dataclass(frozen=True)
class Destination:
    """Where a release goes; ``prefix`` has no slash at either end."""

    bucket: str
    region: str
    prefix: str = ""
    dns_suffix: str = "amazonaws.com"

    def key(self, name: str) -> str:
        """The key of an object."""
        return f"{self.prefix}/{name}" if self.prefix else name

    def url(self, key: str) -> str:
        """The URL of an object, path style."""
        return f"https://s3.{self.region}.{self.dns_suffix}/{self.bucket}/{key}"


@dataclass(frozen=True)
class Package:
    """A release with its bytes.

    ``contents`` maps each artifact's key to its bytes; ``warnings`` are sentences about what
    could not be made as simple as intended.
    """

    release: Release
    contents: Mapping[str, bytes]
    warnings: tuple[str, ...]


def build(
    tree: TemplateTree,
    parameters: Mapping[str, Any],
    literals: Sequence[str],
    target: Destination,
    *,
    fetch: bool = True,
) -> Package:
    """Package a tree.

    ``parameters`` are the root's values, of which only those named in ``literals`` are used: they
    are written into the templates. Without ``fetch``, what code depends on is left out, and no
    network is needed; such a package is for looking at its templates.

    Raises:
        CfnError: everything that stands in the way, one sentence each.
    """
    package, errors = try_build(tree, parameters, literals, target, fetch=fetch)
    raise_all(errors)
    # try_build gives no package only together with an error
    assert package is not None
    return package


def try_build(
    tree: TemplateTree,
    parameters: Mapping[str, Any],
    literals: Sequence[str],
    target: Destination,
    *,
    fetch: bool = True,
) -> tuple[Package | None, tuple[CfnError, ...]]:
    """Like :func:`build`, but return the errors."""
    pinned, errors = pinned_values(tree.template, parameters, literals)
    if errors:
        return None, errors
    builder = _Builder(target, fetch)
    scope = root_scope(tree.template, pinned, use_defaults=False)
    root = builder.template(tree, scope, frozenset(pinned))
    if builder.errors:
        return None, tuple(builder.errors)
    release = Release(
        release_id=root.identity[:RELEASE_ID_LENGTH],
        bucket=target.bucket,
        prefix=target.prefix,
        region=target.region,
        template_url=root.artifact.url,
        literals=pinned,
        artifacts=tuple(builder.artifacts.values()),
    )
    return Package(release, builder.contents, tuple(dict.fromkeys(builder.warnings))), ()


def check(
    tree: TemplateTree, parameters: Mapping[str, Any], literals: Sequence[str]
) -> tuple[CfnError, ...]:
    """What would stand in the way of packaging, except for wrong parameter values.

    With those, no policy attribute that depends on them could be resolved, so none is looked at.
    Nothing is fetched.
    """
    misnamed = check_literals(tree.template, literals)
    _, wrong = pinned_values(tree.template, parameters, literals)
    if not wrong:
        nowhere = Destination("bucket", "region")
        return try_build(tree, parameters, literals, nowhere, fetch=False)[1]
    errors = [*misnamed]
    for template in tree.templates():
        for code in find_local_code(template):
            try:
                read_code(template, code, fetch=False)
            except CfnError as error:
                errors.append(error)
    return tuple(errors)


def check_literals(template: Template, literals: Sequence[str]) -> tuple[CfnError, ...]:
    """What is wrong with the names of the parameters to be written into the templates."""
    errors = []
    for name in dict.fromkeys(literals):
        declared = template.parameters.get(name)
        if declared is None:
            errors.append(
                PackageError(
                    f"literals: {name} is not a parameter of {template.path}; remove it or correct "
                    f"its name{did_you_mean(name, template.parameters)}."
                )
            )
        elif is_secret(declared) or str(declared["Type"]).startswith("AWS::SSM::Parameter::Value"):
            errors.append(
                PackageError(
                    f"literals: {name} is NoEcho or read from SSM, so its value cannot be written "
                    "into a template; remove it."
                )
            )
    return tuple(errors)


def pinned_values(
    template: Template, parameters: Mapping[str, Any], literals: Sequence[str]
) -> tuple[dict[str, str], tuple[CfnError, ...]]:
    """The values of the parameters named in ``literals``, and what is wrong with them."""
    values: dict[str, str] = {}
    errors = list(check_literals(template, literals))
    if errors:
        return values, tuple(errors)
    for name in dict.fromkeys(literals):
        declared = template.parameters[name]
        value = parameters.get(name)
        value = declared.get("Default") if value is None else value
        if value is None:
            errors.append(
                PackageError(f"literals: {name} has no value; give it one in parameters.")
            )
            continue
        values[name] = as_text(value)
        errors += [
            ParameterError(f"parameter {name} {problem}.")
            for problem in check_value(declared, value)
        ]
    return values, tuple(errors)


def save(package: Package, directory: Path) -> Path:
    """Write a release's files and manifest to a directory; return the manifest's path.

    Files of an earlier release in the same directory are removed.

    Raises:
        OutputError: the directory cannot be written.
    """
    wanted = {artifact.path for artifact in package.release.artifacts}
    for artifact in package.release.artifacts:
        manifest.replace_file(directory / artifact.path, package.contents[artifact.key])
    path = directory / manifest.FILE_NAME
    manifest.write(package.release, path)
    with manifest.writing(path):
        for entry in directory.iterdir():
            if entry.name not in wanted and _OBJECT_NAME.match(entry.name):
                entry.unlink()
    return path


class _Remove(Enum):
    """An edit that takes a key away."""

    REMOVE = "remove"


_Path = tuple[str | int, ...]
_Edits = dict[_Path, Any]


@dataclass(frozen=True)
class _Built:
    """An artifact, and a digest of what it is regardless of where it lies."""

    artifact: Artifact
    identity: str


class _Builder:
    """Collects artifacts, children before parents, and what is wrong with them."""

    def __init__(self, target: Destination, fetch: bool) -> None:
        self.target = target
        self.fetch = fetch
        self.artifacts: dict[str, Artifact] = {}
        self.contents: dict[str, bytes] = {}
        self.errors: list[CfnError] = []
        self.warnings: list[str] = []

    def template(self, tree: TemplateTree, scope: Scope, pinned: frozenset[str]) -> _Built:
        """Add a template with all it refers to."""
        template = tree.template
        self._refuse_loops(template)
        located: _Edits = {}
        identities: _Edits = {}
        for child in tree.nested:
            if child.tree is not None:
                built = self._nested(tree, child.logical_id, scope, pinned)
                at: _Path = ("Resources", child.logical_id, "Properties", "TemplateURL")
                located[at] = built.artifact.url
                identities[at] = {"artifact": built.identity}
        for code in find_local_code(template):
            found = self._code(template, code)
            if found is not None:
                located[code.at] = self._reference(code.property.form, found.artifact.key)
                identities[code.at] = {"artifact": found.identity}
        edits = self._pins(scope, pinned) | self._policies(scope)
        body = _edited(template.body, edits)
        body = _edited(body, self._transform(template, body))
        content = _to_json(_edited(body, located))
        if len(content) > MAX_BYTES:
            self.errors.append(
                template.error(
                    f"packaged, the template has {len(content):,} bytes, and CloudFormation takes "
                    f"at most {MAX_BYTES:,}; move some of its resources into a nested stack."
                )
            )
        artifact = self._add("template", template.source, ".template.json", content)
        return _Built(artifact, _digest(_to_json(_edited(body, identities))))

    def _refuse_loops(self, template: Template) -> None:
        for name, loop in template.section("Resources").items():
            if name.startswith("Fn::ForEach::") and _needs_packaging(loop):
                self.errors.append(
                    template.error(
                        f"{name} makes nested stacks, local code or computed policies, which "
                        "cannot be packaged inside a loop; write these resources out.",
                        "Resources",
                        name,
                    )
                )

    def _nested(
        self, tree: TemplateTree, logical_id: str, scope: Scope, pinned: frozenset[str]
    ) -> _Built:
        child = tree.children[logical_id]
        assert child.tree is not None  # the caller looks for the readable ones
        handed_on = {
            name
            for name, expression in child.parameters.items()
            if name in child.tree.template.parameters
            and isinstance(expression, dict)
            and expression.get("Ref") in pinned
        }
        inner = nested_scope(scope, child.tree.template, child.parameters)
        return self.template(child.tree, inner, frozenset(handed_on))

    def _code(self, template: Template, code: LocalCode) -> _Built | None:
        try:
            content, suffix = read_code(template, code, fetch=self.fetch)
        except CfnError as error:
            self.errors.append(error)
            return None
        source = Path(os.path.normpath(Path(template.source).parent / code.location)).as_posix()
        artifact = self._add("code", source, suffix, content)
        return _Built(artifact, artifact.sha256)

    def _add(self, kind: str, source: str, suffix: str, content: bytes) -> Artifact:
        digest = _digest(content)
        name = digest + suffix
        key = self.target.key(name)
        url = self.target.url(key)
        artifact = Artifact(kind, source, key, url, digest, len(content), name)
        self.contents.setdefault(key, content)
        return self.artifacts.setdefault(key, artifact)

    def _reference(self, form: Form, key: str) -> Any:
        if form is Form.URI:
            return f"s3://{self.target.bucket}/{key}"
        return dict(zip(form.value, (self.target.bucket, key), strict=True))

    def _pins(self, scope: Scope, pinned: frozenset[str]) -> _Edits:
        """Allow a pinned parameter only the value that the template was made for."""
        edits: _Edits = {}
        for name in pinned:
            value = scope.parameters[name]
            edits["Parameters", name, "AllowedValues"] = (
                list(value) if isinstance(value, list) else [value]
            )
            if "Default" in scope.template.parameters[name]:
                edits["Parameters", name, "Default"] = as_text(value)
        return edits

    def _policies(self, scope: Scope) -> _Edits:
        edits: _Edits = {}
        for logical_id, resource in scope.template.resources.items():
            for attribute in POLICY_ATTRIBUTES:
                if attribute in resource:
                    value = self._policy(scope, logical_id, attribute)
                    edits["Resources", logical_id, attribute] = value
        return edits

    def _policy(self, scope: Scope, logical_id: str, attribute: str) -> Any:
        resource = scope.template.resources[logical_id]
        value = evaluate(resource[attribute], scope)
        if value is NO_VALUE:
            return _Remove.REMOVE
        problem = None
        if isinstance(value, Unknown):
            problem = _unresolved(value)
        elif value not in _POLICIES[attribute]:
            problem = f"is {value}; choose one of {', '.join(_POLICIES[attribute])}"
        elif value == "Snapshot" and resource["Type"] not in SNAPSHOT_TYPES:
            problem = f"is Snapshot, which {resource['Type']} cannot do; choose Delete or Retain"
        if problem is None:
            return value
        self.errors.append(
            scope.template.error(f"{attribute} of {logical_id} {problem}.", "Resources", logical_id)
        )
        return resource[attribute]

    def _transform(self, template: Template, body: Mapping[str, Any]) -> _Edits:
        """Drop the language extensions, whose work is done, unless something else needs them."""
        if LANGUAGE_EXTENSIONS not in template.transforms:
            return {}
        need = next(_extended(body), None)
        if need is not None:
            self.warnings.append(
                f"{template.path} keeps the transform {LANGUAGE_EXTENSIONS}, because it uses "
                f"{need}; nested change sets can fail with it."
            )
            return {}
        declared = template.body["Transform"]
        rest = [item for item in declared if item != LANGUAGE_EXTENSIONS]
        keep = isinstance(declared, list) and rest
        return {("Transform",): rest if keep else _Remove.REMOVE}


def _unresolved(value: Unknown) -> str:
    if value.parameters:
        names = ", ".join(sorted(value.parameters))
        plural = "s" if len(value.parameters) > 1 else ""
        return (
            f"depends on the parameter{plural} {names}, so it cannot be resolved when packaging; "
            f"list {names} in literals"
        )
    return (
        f"depends on {', '.join(sorted(value.others))}, so it cannot be resolved when packaging; "
        "make it depend on parameters in literals and on Mappings only"
    )


def _needs_packaging(node: Any) -> bool:
    """Whether a loop over resources holds anything that packaging would have to rewrite."""
    if isinstance(node, list):
        return any(_needs_packaging(item) for item in node)
    if not isinstance(node, dict):
        return False
    if isinstance(node.get("Type"), str) and (node["Type"] == STACK_TYPE or has_local_code(node)):
        return True
    computed = any(isinstance(node.get(attribute), dict) for attribute in POLICY_ATTRIBUTES)
    return computed or any(_needs_packaging(value) for value in node.values())


def _extended(node: Any) -> Iterator[str]:
    """What in a template needs the language extensions."""
    if isinstance(node, list):
        for item in node:
            yield from _extended(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key in _EXTENDED_FUNCTIONS or key.startswith("Fn::ForEach::"):
                yield key
            elif key == "Fn::FindInMap" and _extends_find_in_map(value):
                yield "Fn::FindInMap with a default or a computed key"
            elif (key == "Ref" and isinstance(value, dict)) or (
                key == "Fn::GetAtt" and _has_intrinsic(value)
            ):
                yield f"{key} with a computed name"
            yield from _extended(value)


def _extends_find_in_map(argument: Any) -> bool:
    if not isinstance(argument, list):
        return True
    functions = {key for part in argument[:3] if isinstance(part, dict) for key in part}
    return len(argument) > 3 or not functions <= _IN_FIND_IN_MAP


def _has_intrinsic(argument: Any) -> bool:
    # a computed attribute name ({Ref} in second place) is plain CloudFormation
    return isinstance(argument, list) and bool(argument) and isinstance(argument[0], dict)


def _edited(body: Mapping[str, Any], edits: _Edits) -> Mapping[str, Any]:
    """A copy with other values at some paths; what is not on those paths is shared."""
    result: Any = body
    for path, value in edits.items():
        result = _set(result, path, value)
    edited: Mapping[str, Any] = result
    return edited


def _set(node: Any, path: _Path, value: Any) -> Any:
    copy: Any = list(node) if isinstance(node, list) else dict(node)
    if len(path) > 1:
        copy[path[0]] = _set(copy[path[0]], path[1:], value)
    elif value is _Remove.REMOVE:
        copy.pop(path[0], None)
    else:
        copy[path[0]] = value
    return copy


def _to_json(body: Mapping[str, Any]) -> bytes:
    """Compact JSON, but with a line for each entry of each section, so that releases can be
    compared line by line."""
    sections = []
    for name, section in body.items():
        text = json.dumps(section)
        if isinstance(section, dict) and section:
            entries = (f"{json.dumps(key)}: {json.dumps(value)}" for key, value in section.items())
            text = "{\n  " + ",\n  ".join(entries) + "\n }"
        sections.append(f" {json.dumps(name)}: {text}")
    return ("{\n" + ",\n".join(sections) + "\n}\n").encode()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def destination(bucket: str, region: str, prefix: str, dns_suffix: str) -> Destination:
    """A destination, with the slashes of its prefix put in order.

    Raises:
        PackageError: the bucket's name or the prefix cannot be a part of a TemplateURL.
    """
    if not _BUCKET_NAME.fullmatch(bucket):
        raise PackageError(
            f"bucket {bucket!r} is not the name of a bucket; use 3 to 63 lower-case letters, "
            "digits, dots and hyphens."
        )
    normal = "/".join(part for part in prefix.split("/") if part)
    if not re.fullmatch(r"[A-Za-z0-9_./-]*", normal):
        raise PackageError(
            f"prefix {prefix!r} has characters that are not safe in a URL; "
            "use letters, digits, '/', '-', '_' and '.'."
        )
    return Destination(bucket, region, normal, dns_suffix)
