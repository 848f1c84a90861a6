"""Every value of a template with where it stands, and a template with one value changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.templates.loader import Template

Path = tuple[str | int, ...]

# What CloudFormation acts on; Metadata and descriptions are for people.
SECTIONS = ("Transform", "Parameters", "Mappings", "Conditions", "Rules", "Resources", "Outputs")
# Text and labels for people: another wording changes nothing, but having none may.
_PROSE = {"AlarmDescription", "ConstraintDescription", "DBSubnetGroupDescription", "Description",
          "DisplayName", "GroupDescription", "Label", "PolicyName"}  # fmt: skip
# By what an item of a list is known, most telling first.
_NAMES = ("Sid", "Key", "PolicyName", "Name", "Id", "CapacityProvider")


class _Removed:
    """Stands for a value that is taken out."""

    def __repr__(self) -> str:
        return "removed"


REMOVED = _Removed()


def is_function(node: Any) -> bool:
    """Whether a node is a call of an intrinsic function."""
    if not isinstance(node, dict) or len(node) != 1:
        return False
    (key,) = node
    return key in ("Ref", "Condition") or str(key).startswith("Fn::")


def is_policy(node: Any) -> bool:
    """Whether a node is an IAM policy document, or one of its statements."""
    return isinstance(node, dict) and ("Statement" in node or "Effect" in node)


@dataclass(frozen=True)
class Place:
    """A value of a template; ``above`` holds what it is part of, from the template down."""

    file: str
    path: Path
    value: Any
    above: tuple[Any, ...]

    @property
    def template(self) -> Template:
        """The template that the value is of."""
        found: Template = self.above[0]
        return found

    @property
    def parent(self) -> Any:
        """The mapping or list that the value is an item of."""
        return self.above[-1]

    @property
    def key(self) -> str | int:
        """The key or index of the value in its parent."""
        return self.path[-1]

    @property
    def section(self) -> str:
        """The section of the template."""
        return str(self.path[0])

    @property
    def resource_type(self) -> str:
        """The type of the resource that the value belongs to; empty outside the resources."""
        if self.section != "Resources" or len(self.path) < 2:
            return ""
        return str(self.template["Resources"][self.path[1]]["Type"])

    @property
    def in_properties(self) -> bool:
        """Whether this is a property of a resource, or in one."""
        return self.section == "Resources" and self.path[2:3] == ("Properties",) and self.depth > 0

    @property
    def depth(self) -> int:
        """How far below the resource's properties the value is."""
        return len(self.path) - 3

    @property
    def in_tags(self) -> bool:
        """Whether this is in the tags of a resource."""
        return self.section == "Resources" and self.path[3:4] == ("Tags",)

    @property
    def in_prose(self) -> bool:
        """Whether this is text for people."""
        return bool(_PROSE & set(self.path))

    @property
    def in_policy(self) -> bool:
        """Whether this is in an IAM policy document."""
        return any(is_policy(node) for node in self.above[3:])

    @property
    def in_function(self) -> str:
        """The function that the value is an argument of; empty where it is none's."""
        if is_function(self.parent):
            return str(self.key)
        if isinstance(self.key, int) and len(self.above) > 1 and is_function(self.above[-2]):
            return str(self.path[-2])
        return ""

    @property
    def property_path(self) -> Path:
        """The path below the resource's properties, as if no function were in the way."""
        found: list[str | int] = []
        skip = False
        for node, step in zip(self.above[3:], self.path[3:], strict=True):
            if skip:  # the index of a branch of Fn::If
                skip = False
            elif is_function(node):
                skip = True
            else:
                found.append(step)
        return tuple(found)

    @property
    def label(self) -> str:
        """The path as a person reads it, stable where items of lists have names."""
        text = ""
        for node, step in zip(self.above, self.path, strict=True):
            if isinstance(step, int):
                text += f"[{_name(node[step]) or step}]"
            else:
                text += f"{'.' if text else ''}{step.removeprefix('Fn::')}"
        return text


def _name(item: Any) -> str | None:
    if not isinstance(item, dict):
        return None
    return next((item[name] for name in _NAMES if isinstance(item.get(name), str)), None)


def places(file: str, template: Template) -> Iterator[Place]:
    """Every value of the sections that CloudFormation acts on."""
    for section in SECTIONS:
        if section in template:
            yield from _below(file, (section,), template[section], (template,))


def _below(file: str, path: Path, value: Any, above: tuple[Any, ...]) -> Iterator[Place]:
    yield Place(file, path, value, above)
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for step, item in items:
        yield from _below(file, (*path, step), item, (*above, value))


def changed(node: Any, path: Path, value: Any) -> Any:
    """A copy with another value at a path; what is not on the path is shared, not copied."""
    step, *rest = path
    if isinstance(node, list):
        index = int(step)
        if rest:
            new = [changed(node[index], tuple(rest), value)]
        else:
            new = [] if value is REMOVED else [value]
        return [*node[:index], *new, *node[index + 1 :]]
    if not rest and value is REMOVED:
        return {key: item for key, item in node.items() if key != step}
    new = changed(node.get(step, {}), tuple(rest), value) if rest else value
    return {**node, step: new}
