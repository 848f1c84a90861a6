"""Operators for mappings, parameters, deletion policies, tags and properties nobody set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from scripts.mutants import schemas
from scripts.mutants.operators.model import Edit, operator
from scripts.mutants.operators.values import as_number, steps
from scripts.mutants.places import REMOVED, Place

_CONSTRAINTS = ("AllowedPattern", "AllowedValues", "MinValue", "MaxValue", "MinLength",
                "MaxLength")  # fmt: skip
_LIFECYCLE = ("DeletionPolicy", "UpdateReplacePolicy")
# Properties that open something up; left out, AWS keeps it closed.
_EXPOSING: list[tuple[str, tuple[str, ...], Any]] = [
    ("AWS::EC2::Subnet", ("MapPublicIpOnLaunch",), True),
    ("AWS::ECS::TaskDefinition", ("ContainerDefinitions", "Privileged"), True),
    ("AWS::ECS::TaskDefinition", ("PidMode",), "task"),
    ("AWS::KMS::Key", ("BypassPolicyLockoutSafetyCheck",), True),
    ("AWS::KMS::Key", ("MultiRegion",), True),
    ("AWS::RDS::DBCluster", ("EnableHttpEndpoint",), True),
    ("AWS::RDS::DBCluster", ("PubliclyAccessible",), True),
    ("AWS::S3::Bucket", ("AccessControl",), "PublicRead"),
    ("AWS::S3::Bucket", ("WebsiteConfiguration",), {"IndexDocument": "index.html"}),
    ("AWS::S3::Bucket", ("CorsConfiguration",),
     {"CorsRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]}),
]  # fmt: skip


@operator("map-change", "A size, threshold or time of an environment is another.")
def map_change(place: Place) -> Iterator[Edit]:
    """Raise, lower or turn over a value of a mapping."""
    if place.section != "Mappings" or len(place.path) != 4:
        return
    opposite = {True: False, False: True, "true": "false", "false": "true"}
    if as_number(place.value) is not None:
        yield from steps(place)
    elif isinstance(place.value, bool | str) and place.value in opposite:
        yield Edit(place.path, opposite[place.value], f"{place.value} turned over")


@operator("map-swap", "An environment has the value of another.")
def map_swap(place: Place) -> Iterator[Edit]:
    """Put the values of the other rows in the place of a mapping's value."""
    if place.section != "Mappings" or len(place.path) != 4:
        return
    rows = place.template["Mappings"][place.path[1]]
    tried = [place.value]
    for name, row in rows.items():
        other = row.get(place.key)
        if other is not None and other not in tried:
            tried.append(other)
            yield Edit(place.path, other, f"{place.value} → {other}, as in {name}", name)


@operator("map-text-change", "A name or version is another.")
def map_text_change(place: Place) -> Iterator[Edit]:
    """Change a text of a mapping."""
    if place.section != "Mappings" or len(place.path) != 4 or not isinstance(place.value, str):
        return
    if as_number(place.value) is None and place.value not in ("true", "false"):
        yield Edit(place.path, f"{place.value}x", f"{place.value} → …x")


@operator("constraint-drop", "A parameter takes what it refused.")
def constraint_drop(place: Place) -> Iterator[Edit]:
    """Leave out a constraint of a parameter, and move a limit."""
    if place.section == "Parameters" and place.key in _CONSTRAINTS:
        yield Edit(place.path, REMOVED, f"without {place.key}", "none")
        yield from steps(place)


@operator("values-change", "A parameter takes a value more, or one less.")
def values_change(place: Place) -> Iterator[Edit]:
    """Add a value to those that a parameter takes, or leave one out."""
    if place.section != "Parameters" or "AllowedValues" not in place.path:
        return
    if isinstance(place.value, list):
        yield Edit(place.path, [*place.value, "other"], "other, too", "more")
    else:
        yield Edit(place.path, REMOVED, f"without {place.value}")


@operator("default-change", "Whoever gives no value gets another.")
def default_change(place: Place) -> Iterator[Edit]:
    """Change a parameter's default, and leave it out."""
    if place.section != "Parameters" or place.key != "Default":
        return
    yield Edit(place.path, REMOVED, "without a default", "none")
    others = [value for value in place.parent.get("AllowedValues", []) if value != place.value]
    if others:
        yield Edit(place.path, others[0], f"{place.value} → {others[0]}")
    elif as_number(place.value) is not None:
        yield from steps(place)
    else:
        yield Edit(place.path, f"{place.value}x", f"{place.value!r} → …x")


@operator("deletion-change", "Data is deleted that was kept, or kept that was deleted.")
def deletion_change(place: Place) -> Iterator[Edit]:
    """Leave out a deletion policy, and make it Delete and Retain in every environment."""
    if place.section != "Resources" or place.path[2:] not in [(name,) for name in _LIFECYCLE]:
        return
    yield Edit(place.path, REMOVED, f"without {place.key}", "none")
    for policy in ("Delete", "Retain"):
        if place.value != policy:
            yield Edit(place.path, policy, f"{policy} everywhere", policy)


def _is_tag(place: Place) -> bool:
    return place.in_tags and len(place.path) == 5


@operator("tag-drop", "A resource lacks a tag.", one_a_resource=True)
def tag_drop(place: Place) -> Iterator[Edit]:
    """Leave out a tag."""
    if _is_tag(place):
        yield Edit(place.path, REMOVED, "without this tag")


@operator("tag-change", "A tag says something else.", one_a_resource=True)
def tag_change(place: Place) -> Iterator[Edit]:
    """Give a tag another value."""
    if _is_tag(place) and isinstance(place.value, dict):
        yield Edit((*place.path, "Value"), "other", "another value")
    elif _is_tag(place):
        yield Edit(place.path, "other", "another value")


@operator("exposing-add", "A property opens something up.")
def exposing_add(place: Place) -> Iterator[Edit]:
    """Add a property that AWS leaves closed unless it is set."""
    for resource_type, path, value in _EXPOSING:
        if place.resource_type != resource_type or not isinstance(place.value, dict):
            continue
        inside = tuple(step for step in place.path[3:] if isinstance(step, str))
        here = place.path[2:3] == ("Properties",) and inside == path[:-1]
        # Below a list the items are the places, not the list.
        item = not path[:-1] or isinstance(place.key, int)
        if not (here and item) or path[-1] in place.value:
            continue
        if schemas.is_known(resource_type, (*place.property_path, path[-1])):
            yield Edit((*place.path, path[-1]), value, f"with {path[-1]}", path[-1])
