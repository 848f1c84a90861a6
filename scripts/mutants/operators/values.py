"""Operators for properties: left out, switched over, raised, lowered, replaced."""

from __future__ import annotations

import re
from collections.abc import Iterator

from scripts.mutants import schemas
from scripts.mutants.operators.model import Edit, operator
from scripts.mutants.places import REMOVED, Place, is_function

_ENCRYPTION = re.compile(r"kms|encrypt|^sse", re.IGNORECASE)
_ACTIONS = ("AlarmActions", "OKActions", "InsufficientDataActions", "AlarmNames")
_OPPOSITE = {"true": "false", "false": "true", "Enabled": "Suspended", "on": "off"}
_WEAKER = {
    "TLSv1.2": "TLSv1",
    "verify-full": "require",
    "scram-sha-256": "md5",
    "HTTPS": "HTTP",
}
# How many of the other values of a list of values are tried, in the order of AWS's schema.
_ALTERNATIVES = 3


def is_plain(place: Place) -> bool:
    """Whether this is a property that no more special operator looks after."""
    return place.in_properties and not (place.in_tags or place.in_policy)


def _removable(place: Place) -> bool:
    if not is_plain(place) or not isinstance(place.key, str) or place.key == "Tags":
        return False
    if is_function(place.parent) or place.in_function == "Fn::Sub":
        return False
    siblings = set(place.parent) - {place.key}
    return not schemas.is_required(place.resource_type, place.property_path, siblings)


@operator("property-remove", "A property is left out, and what AWS takes instead holds.")
def property_remove(place: Place) -> Iterator[Edit]:
    """Leave out a property, or a block of them."""
    special = _ENCRYPTION.search(str(place.key)) or place.key in _ACTIONS
    if _removable(place) and not special:
        yield Edit(place.path, REMOVED, f"without {place.key}")


@operator("encryption-remove", "Something is no longer encrypted, or with another key.")
def encryption_remove(place: Place) -> Iterator[Edit]:
    """Leave out what encrypts."""
    if _ENCRYPTION.search(str(place.key)) and _removable(place):
        yield Edit(place.path, REMOVED, f"without {place.key}")


@operator("alarm-detach", "An alarm tells nobody.")
def alarm_detach(place: Place) -> Iterator[Edit]:
    """Take away what an alarm does."""
    if place.key in _ACTIONS and _removable(place):
        yield Edit(place.path, REMOVED, f"without {place.key}")


@operator("item-remove", "One of several is missing from a list.")
def item_remove(place: Place) -> Iterator[Edit]:
    """Leave out an item of a list, or of a list that is joined to a text."""
    if not is_plain(place) or not isinstance(place.key, int) or len(place.parent) < 2:
        return
    joined = place.in_function == "" and "Fn::Join" in place.path
    if place.in_function == "" or joined:
        yield Edit(place.path, REMOVED, "without this item")


@operator("switch-flip", "What was on is off, or the other way round.")
def switch_flip(place: Place) -> Iterator[Edit]:
    """Turn a switch over, in properties and in the conditions of policies."""
    if not place.in_properties or place.in_tags:
        return
    if isinstance(place.value, bool):
        yield Edit(place.path, not place.value, f"{place.value} → {not place.value}")
    elif isinstance(place.value, str) and place.value in _OPPOSITE:
        other = _OPPOSITE[place.value]
        yield Edit(place.path, other, f"{place.value} → {other}")


@operator("number-change", "A size, time or count is another.")
def number_change(place: Place) -> Iterator[Edit]:
    """Raise and lower a number that stands in a resource."""
    if is_plain(place) and not _allowed(place):
        yield from steps(place)


def steps(place: Place) -> Iterator[Edit]:
    """A number a tenth higher and a tenth lower, and at least by one where it is whole."""
    number = as_number(place.value)
    if number is None:
        return
    step = max(1, abs(number) // 10) if isinstance(number, int) else number / 10
    for name, other in (("raise", number + step), ("lower", number - step)):
        if other >= 0:
            value = str(other) if isinstance(place.value, str) else other
            yield Edit(place.path, value, f"{place.value} → {value}", name)


def as_number(value: object) -> int | float | None:
    """The number that a value is, also as text."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    return int(value) if isinstance(value, str) and value.isdecimal() else None


@operator("value-swap", "Another of the values that AWS knows.")
def value_swap(place: Place) -> Iterator[Edit]:
    """Put other values of the property's list in its place."""
    others = [value for value in _allowed(place) if value != place.value]
    for other in others[:_ALTERNATIVES]:
        yield Edit(place.path, other, f"{place.value} → {other}", str(other))


def _allowed(place: Place) -> list[object]:
    if not is_plain(place) or place.in_function or isinstance(place.value, bool | dict | list):
        return []
    return schemas.allowed_values(place.resource_type, place.property_path)


@operator("text-change", "A name, metric, path or setting is another.")
def text_change(place: Place) -> Iterator[Edit]:
    """Change a text that stands in a resource."""
    if not is_plain(place) or not isinstance(place.value, str) or place.in_prose:
        return
    special = place.value in _OPPOSITE or place.value in _WEAKER or place.value.isdecimal()
    if special or _allowed(place) or place.in_function not in ("", "Fn::Sub"):
        return
    yield Edit(place.path, f"{place.value}-x", f"{shortened(place.value)} → …-x")


def shortened(text: str) -> str:
    """A text in one line that is not too long."""
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:57]}…"


@operator("tls-weaken", "An older protocol or no encryption on the way.")
def tls_weaken(place: Place) -> Iterator[Edit]:
    """Weaken what encrypts connections, in resources and in mappings."""
    if not isinstance(place.value, str) or not (is_plain(place) or place.section == "Mappings"):
        return
    other = _WEAKER.get(place.value)
    if place.value.startswith("ELBSecurityPolicy-"):
        other = "ELBSecurityPolicy-TLS13-1-0-2021-06"
    if other:
        yield Edit(place.path, other, f"{place.value} → {other}")
