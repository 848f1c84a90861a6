# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CloudFormation templates as data: reading YAML and JSON, and walking a tree of nested stacks."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from .errors import CfnError, TemplateError, raise_all

with suppress(ImportError):  # Ansible itself needs it; only a check imports this without
    import yaml

STACK_TYPE = "AWS::CloudFormation::Stack"
LANGUAGE_EXTENSIONS = "AWS::LanguageExtensions"

# CloudFormation's quotas for one template
MAX_BYTES = 1_048_576
MAX_ENTRIES = {"Resources": 500, "Parameters": 200, "Outputs": 200, "Mappings": 200}

# Tag → key of the long form; every other tag is a mistake.
_SHORT_FORMS = {"Ref": "Ref", "Condition": "Condition"} | {
    name: f"Fn::{name}"
    for name in (
        "And", "Base64", "Cidr", "Contains", "EachMemberEquals", "EachMemberIn", "Equals",
        "FindInMap", "GetAtt", "GetAZs", "GetStackOutput", "If", "ImportValue", "Join", "Length",
        "Not", "Or", "RefAll", "Select", "Split", "Sub", "ToJsonString", "Transform", "ValueOf",
        "ValueOfAll",
    )
}  # fmt: skip
_SECTIONS = ("Metadata", "Parameters", "Mappings", "Conditions", "Rules", "Resources", "Outputs")
_REMOTE = re.compile(r"(https?|s3)://", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Template:
    """One template file.

    ``path`` is the file as it is named to the user, ``source`` the same relative to the root
    template's directory (with ``/``), ``body`` the template with every short form written out,
    ``lines`` the line of each entry of each section, by (section, name), counted from 1, and
    ``size`` the file's length in bytes.
    """

    path: Path
    source: str
    body: Mapping[str, Any]
    lines: Mapping[tuple[str, str], int] = field(default_factory=dict)
    size: int = 0

    def section(self, name: str) -> Mapping[str, Any]:
        """A top-level section, empty if the template has none."""
        found: Mapping[str, Any] = self.body.get(name) or {}
        return found

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Declared parameters by name."""
        return self.section("Parameters")

    @property
    def resources(self) -> Mapping[str, Any]:
        """Resources by logical id; ``Fn::ForEach::`` entries are left out."""
        return {
            name: body
            for name, body in self.section("Resources").items()
            if not name.startswith("Fn::ForEach::")
        }

    @property
    def transforms(self) -> tuple[str, ...]:
        """The names in ``Transform``."""
        declared = self.body.get("Transform") or ()
        names = declared if isinstance(declared, list) else [declared]
        return tuple(name for name in names if isinstance(name, str))

    def error(self, message: str, *at: str) -> TemplateError:
        """An error about this template, at the entry ``at`` (a section and a name) if given."""
        line = self.lines.get((at[0], at[1])) if at else None
        return TemplateError(message, path=self.path, line=line)


@dataclass(frozen=True, eq=False)
class NestedStack:
    """A resource that is a stack of its own.

    ``url`` is its TemplateURL as written (a string or an intrinsic); ``parameters`` what it is
    given, unevaluated; ``tree`` is None if the template is remote, or could not be read.
    """

    logical_id: str
    url: Any
    parameters: Mapping[str, Any]
    tree: TemplateTree | None


@dataclass(frozen=True, eq=False)
class TemplateTree:
    """A template with the stacks nested in it, in the order of the file."""

    template: Template
    nested: tuple[NestedStack, ...]

    @cached_property
    def children(self) -> Mapping[str, NestedStack]:
        """The nested stacks by logical id."""
        return {child.logical_id: child for child in self.nested}

    def walk(self, prefix: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], TemplateTree]]:
        """Yield every readable tree with its path of logical ids, parents before children."""
        yield prefix, self
        for child in self.nested:
            if child.tree is not None:
                yield from child.tree.walk((*prefix, child.logical_id))

    def templates(self) -> tuple[Template, ...]:
        """Every file once, children before parents, this template last."""
        found: dict[Template, None] = {}
        for child in self.nested:
            if child.tree is not None:
                found.update(dict.fromkeys(child.tree.templates()))
        found[self.template] = None
        return tuple(found)


def is_remote(location: object) -> bool:
    """Whether a TemplateURL or code location names an object elsewhere, not a local file."""
    return isinstance(location, str) and _REMOTE.match(location) is not None


def load_template(path: Path | str, source: str | None = None) -> Template:
    """Read one template, YAML or JSON.

    Raises:
        TemplateError: the file is missing, too large, has a syntax error (with line and column)
            or is not shaped like a template.
    """
    path = Path(path)
    raw = _read_bytes(path)
    if len(raw) > MAX_BYTES:
        raise TemplateError(
            f"the template has {len(raw):,} bytes, and CloudFormation takes at most "
            f"{MAX_BYTES:,}; move some of its resources into a nested stack.",
            path=path,
        )
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TemplateError(
            f"byte {error.start} is not UTF-8; save the file as UTF-8.", path=path
        ) from error
    body, lines = _parse(text, path)
    template = Template(path, source or path.name, body, lines, len(raw))
    _check_shape(template)
    return template


def load_tree(path: Path | str, located: Mapping[str, Path] | None = None) -> TemplateTree:
    """Read a root template and, through each local TemplateURL, everything nested in it.

    ``located`` maps remote TemplateURLs to local copies (see ``Release.template_paths``), so that
    a packaged tree can be read back.

    Raises:
        CfnError: everything found wrong, one sentence each.
    """
    tree, errors = scan_tree(path, located)
    raise_all(errors)
    # scan_tree gives no tree only together with an error
    assert tree is not None
    return tree


def scan_tree(
    path: Path | str, located: Mapping[str, Path] | None = None
) -> tuple[TemplateTree | None, tuple[CfnError, ...]]:
    """Like :func:`load_tree`, but return what could be read together with all errors."""
    root = Path(path)
    loader = _TreeLoader(root.parent, located or {})
    try:
        tree = loader.load(root, ())
    except TemplateError as error:
        return None, (*loader.errors, error)
    return tree, tuple(loader.errors)


class _TreeLoader:
    """Reads a tree, each file once, and collects what is wrong with the nested ones."""

    def __init__(self, directory: Path, located: Mapping[str, Path]) -> None:
        self.errors: list[CfnError] = []
        self._directory = directory
        self._located = located
        self._read: dict[Path, TemplateTree | None] = {}

    def load(self, path: Path, parents: tuple[Path, ...]) -> TemplateTree:
        template = load_template(path, self._source(path))
        nested = tuple(
            self._nested(template, logical_id, resource, (*parents, path))
            for logical_id, resource in template.resources.items()
            if resource["Type"] == STACK_TYPE
        )
        return TemplateTree(template, nested)

    def _nested(
        self,
        parent: Template,
        logical_id: str,
        resource: Mapping[str, Any],
        parents: tuple[Path, ...],
    ) -> NestedStack:
        properties = _mapping(resource.get("Properties"))
        url = properties.get("TemplateURL")
        parameters = _mapping(properties.get("Parameters"))
        path = self._local_path(url, parent)
        tree = None if path is None else self._child(path, parent, logical_id, parents)
        return NestedStack(logical_id, url, parameters, tree)

    def _local_path(self, url: object, parent: Template) -> Path | None:
        if not isinstance(url, str):
            return None
        if is_remote(url):
            return self._located.get(url)
        return Path(os.path.normpath(parent.path.parent / url))

    def _child(
        self, path: Path, parent: Template, logical_id: str, parents: tuple[Path, ...]
    ) -> TemplateTree | None:
        real = path.resolve()
        if any(real == above.resolve() for above in parents):
            route = " → ".join(self._source(step) for step in (*parents, path))
            self.errors.append(
                parent.error(
                    f"resource {logical_id} nests {path} inside itself ({route}); "
                    "break the circle.",
                    "Resources",
                    logical_id,
                )
            )
            return None
        if not path.is_file():
            self.errors.append(
                parent.error(
                    f"resource {logical_id} points to the template {path}, which does not exist; "
                    "create it or correct TemplateURL.",
                    "Resources",
                    logical_id,
                )
            )
            return None
        if real not in self._read:
            try:
                self._read[real] = self.load(path, parents)
            except TemplateError as error:
                self.errors.append(error)
                self._read[real] = None
        return self._read[real]

    def _source(self, path: Path) -> str:
        return Path(os.path.relpath(path, self._directory)).as_posix()


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        # the working directory is not always the one that the user has in mind
        searched = "" if path.is_absolute() else f" in {Path.cwd()}"
        raise TemplateError(
            f"the template does not exist{searched}; create it or correct the path.", path=path
        ) from error
    except OSError as error:
        raise TemplateError(
            f"the template cannot be read ({error.strerror}); correct the path or its permissions.",
            path=path,
        ) from error


def _check_shape(template: Template) -> None:
    for name in _SECTIONS:
        if not isinstance(template.body.get(name, {}), dict):
            raise template.error(f"{name} must be a mapping; correct its indentation.")
    if not template.section("Resources"):
        raise template.error("the template has no Resources; CloudFormation needs at least one.")
    for logical_id, resource in template.resources.items():
        if not isinstance(resource, dict) or not isinstance(resource.get("Type"), str):
            raise template.error(
                f"resource {logical_id} has no Type; add one.", "Resources", logical_id
            )
    for name, parameter in template.parameters.items():
        if not isinstance(parameter, dict) or not isinstance(parameter.get("Type"), str):
            raise template.error(f"parameter {name} has no Type; add one.", "Parameters", name)
    for name, limit in MAX_ENTRIES.items():
        count = len(template.section(name))
        if count > limit:
            raise template.error(
                f"{name} has {count} entries, and CloudFormation takes at most {limit}; "
                "move some into a nested stack."
            )


_Lines = dict[tuple[str, str], int]


def _parse(text: str, path: Path) -> tuple[dict[str, Any], _Lines]:
    lines: _Lines = {}
    if text.lstrip().startswith("{"):
        body = _parse_json(text, path)
    else:
        body, lines = _parse_yaml(text, path)
    if not isinstance(body, dict):
        raise TemplateError(
            "the template must be a mapping with a Resources section.", path=path, line=1
        )
    return body, lines


class _DuplicateKey(ValueError):
    """A JSON object names a key twice."""


def _parse_json(text: str, path: Path) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        for key, value in pairs:
            if keys.count(key) > 1:
                raise _DuplicateKey(key)
            if value is None:
                raise TemplateError(
                    f"{key} is null, which CloudFormation refuses; give it a value or remove it.",
                    path=path,
                )
        return dict(pairs)

    try:
        return json.loads(text, object_pairs_hook=unique, parse_float=_float)
    except json.JSONDecodeError as error:
        raise TemplateError(
            f"not valid JSON ({error.msg}); correct the syntax there.",
            path=path,
            line=error.lineno,
            column=error.colno,
        ) from error
    except _DuplicateKey as error:
        raise _duplicate_in_json(str(error), text, path) from error


def _duplicate_in_json(key: str, text: str, path: Path) -> TemplateError:
    found = list(re.finditer(re.escape(json.dumps(key)) + r"\s*:", text))
    # json tells no position; with more than two matches the right one cannot be known
    start = found[1].start() if len(found) == 2 else None
    return TemplateError(
        f"duplicate key {key}; remove or rename one of the two.",
        path=path,
        line=None if start is None else text.count("\n", 0, start) + 1,
        column=None if start is None else start - text.rfind("\n", 0, start),
    )


def _float(text: str) -> float | str:
    """A number that JSON would write back unchanged, else the text: 1.10 is not 1.1."""
    number = float(text)
    return number if repr(number) == text else text


def _int(text: str) -> int | str:
    """An integer that JSON would write back unchanged, else the text: 0123 is not 83."""
    return int(text) if re.fullmatch(r"-?(0|[1-9]\d*)", text) else text


_TAG = "tag:yaml.org,2002:"
_NULL, _MERGE = f"{_TAG}null", f"{_TAG}merge"
_TRUE = ("yes", "true", "on")


def _parse_yaml(text: str, path: Path) -> tuple[Any, _Lines]:
    # libyaml is ten times as fast, and not compiled into every PyYAML
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
    try:
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, path) from error
    except yaml.YAMLError as error:
        raise TemplateError(
            f"not valid YAML ({' '.join(str(error).split())}); correct the syntax.", path=path
        ) from error
    finally:
        loader.dispose()
    if node is None or node.tag == _NULL:
        raise TemplateError("the template is empty.", path=path)
    return _YamlReader(path).value(node), _lines(node)


def _syntax_error(error: yaml.MarkedYAMLError, path: Path) -> TemplateError:
    mark = error.problem_mark or error.context_mark
    problem = error.problem or error.context or "unreadable"
    return TemplateError(
        f"not valid YAML ({problem}); correct the syntax there or just above.",
        path=path,
        line=None if mark is None else mark.line + 1,
        column=None if mark is None else mark.column + 1,
    )


class _YamlReader:
    """Makes data of YAML's nodes as CloudFormation does: dates and odd numbers stay text.

    Refuses what would be lost or changed on the way: duplicate keys, nulls, unknown tags.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: dict[int, Any] = {}
        self._open: set[int] = set()

    def value(self, node: Any) -> Any:
        """The data that a node stands for; a node used twice by an alias is read once."""
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        identity = id(node)
        if identity in self._open:
            raise self._error(node, "an anchor contains itself; write the inner part out.")
        if identity not in self._read:
            self._open.add(identity)
            self._read[identity] = self._collection(node)
            self._open.remove(identity)
        return self._read[identity]

    def _collection(self, node: Any) -> Any:
        if isinstance(node, yaml.SequenceNode):
            data: Any = [self.value(item) for item in node.value]
        else:
            data = self._mapping(node)
        return self._long_form(node, data) if node.tag.startswith("!") else data

    def _scalar(self, node: Any) -> Any:
        kind = node.tag.removeprefix(_TAG)
        text = node.value
        match kind:
            case "str" | "timestamp" | "value" | "merge":
                return text
            case "int":
                return _int(text)
            case "float":
                return _float(text) if re.fullmatch(r"-?\d+\.\d+", text) else text
            case "bool":
                return text.lower() in _TRUE
            case "null":
                raise self._error(node, "an empty list item; give it a value or remove it.")
        if kind == "!GetAtt":
            text = text.split(".", 1)
        return self._long_form(node, text)

    def _long_form(self, node: Any, argument: Any) -> dict[str, Any]:
        name = node.tag.removeprefix("!")
        if name not in _SHORT_FORMS:
            raise self._error(
                node, f"unknown tag {node.tag}; correct the name of the intrinsic function."
            )
        return {_SHORT_FORMS[name]: argument}

    def _mapping(self, node: Any) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self._error(key, "a key must be plain text; quote it or correct the braces.")
            if key.tag == _MERGE:
                merged |= self._merged(value)
                continue
            if key.value in own:
                first = next(other for other, _ in node.value if other.value == key.value)
                raise self._error(
                    key,
                    f"duplicate key {key.value}, first used in line {first.start_mark.line + 1}; "
                    "remove one.",
                )
            if value.tag == _NULL:
                raise self._error(
                    key,
                    f"{key.value} has no value; give it one, remove it, or quote the text if it "
                    "is one with a comma or colon.",
                )
            own[key.value] = self.value(value)
        return merged | own

    def _merged(self, node: Any) -> dict[str, Any]:
        parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
        result: dict[str, Any] = {}
        for part in reversed(parts):
            data = self.value(part)
            if not isinstance(data, dict):
                raise self._error(part, "<< can only merge mappings; refer to one.")
            result |= data
        return result

    def _error(self, node: Any, message: str) -> TemplateError:
        mark = node.start_mark
        return TemplateError(message, path=self._path, line=mark.line + 1, column=mark.column + 1)


def _lines(root: Any) -> _Lines:
    if not isinstance(root, yaml.MappingNode):
        return {}
    return {
        (section.value, key.value): key.start_mark.line + 1
        for section, entries in root.value
        if isinstance(entries, yaml.MappingNode)
        for key, _ in entries.value
    }
