"""The picture as SVG, by the standard library alone."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from itertools import pairwise

from scripts.drawing.catalogue import HOPS
from scripts.drawing.layout import (
    ARROW,
    BADGE,
    COLUMN,
    MARGIN,
    TOP,
    Box,
    Layout,
    Rect,
    Text,
    lay_out,
)
from scripts.drawing.lettering import (
    CARD,
    FRAME,
    HUES,
    PAPER,
    REQUEST,
    REQUEST_FILL,
    RULE,
    STYLES,
    text_width,
)
from scripts.drawing.platform import DrawingError, Platform

Point = tuple[float, float]


def draw(platform: Platform) -> str:
    """The picture as SVG."""
    layout = lay_out(platform)
    width = layout.frame.right + MARGIN
    height = layout.frame.bottom + MARGIN
    svg = ET.Element(
        "svg",
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {_number(width)} {_number(height)}",
        width=_number(width),
        height=_number(height),
        role="img",
    )
    svg.set("aria-labelledby", "title description")
    ET.SubElement(svg, "title", id="title").text = "Architecture of the payment platform"
    ET.SubElement(svg, "desc", id="description").text = _description(layout)
    ET.SubElement(svg, "style").text = _stylesheet()
    _draw_rect(svg, Rect(0, 0, width, height), 14, PAPER, "none")
    _draw_head(svg, layout)
    _draw_rect(svg, layout.frame, 12, PAPER, FRAME, dashed=True)
    _draw_text(svg, Text(MARGIN + 20, TOP - 20, f"Root stack: {platform.file}", "frame"))
    for text in layout.exports:
        _draw_text(svg, text)
    for source in layout.lanes:
        _draw_outputs(svg, layout, source)
    for box in layout.boxes.values():
        _draw_box(svg, box)
    _draw_request(svg, layout)
    ET.indent(svg, " ")
    return ET.tostring(svg, encoding="unicode") + "\n"


def _description(layout: Layout) -> str:
    path = " to the ".join(
        f"{hop.label} ({box.stack.name})"
        for hop, (box, _) in zip(HOPS, layout.stations, strict=True)
    )
    stacks = ", ".join(
        f"{stack.name} after {' and '.join(layout.boxes[s].stack.name for s in stack.inputs)}"
        if stack.inputs
        else stack.name
        for stack in layout.platform.stacks
    )
    return f"Nested stacks: {stacks}. A request goes from the internet to the {path}."


def _stylesheet() -> str:
    lines = ["text{font-family:'Segoe UI','Helvetica Neue',Arial,'DejaVu Sans',sans-serif}"]
    for name, style in STYLES.items():
        weight = ";font-weight:600" if style.bold else ""
        lines.append(f".{name}{{font-size:{style.size}px;fill:{style.colour}{weight}}}")
    lines.append(".count{font-variant-numeric:tabular-nums}")
    return "\n".join(lines)


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _draw_text(parent: ET.Element, text: Text) -> None:
    element = ET.SubElement(
        parent, "text", {"class": text.style, "x": _number(text.x), "y": _number(text.y)}
    )
    if text.anchor != "start":
        element.set("text-anchor", text.anchor)
    if text.colour:
        element.set("style", f"fill:{text.colour}")
    element.text = text.content


def _draw_rect(
    parent: ET.Element, rect: Rect, radius: float, fill: str, stroke: str, *, dashed: bool = False
) -> None:
    element = ET.SubElement(
        parent,
        "rect",
        x=_number(rect.x),
        y=_number(rect.y),
        width=_number(rect.width),
        height=_number(rect.height),
        rx=_number(radius),
        fill=fill,
        stroke=stroke,
    )
    if dashed:
        element.set("stroke-dasharray", "5 4")


def _draw_line(
    parent: ET.Element, points: Sequence[Point], colour: str, width: float, radius: float = 6
) -> None:
    """A line with rounded corners, through points that differ in one coordinate each."""
    ET.SubElement(
        parent,
        "path",
        {
            "d": _rounded(points, radius),
            "fill": "none",
            "stroke": colour,
            "stroke-width": _number(width),
        },
    )


def _rounded(points: Sequence[Point], radius: float) -> str:
    steps = [f"M{_pair(points[0])}"]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        entry, leave = _towards(corner, before, radius), _towards(corner, after, radius)
        steps.append(f"L{_pair(entry)}Q{_pair(corner)} {_pair(leave)}")
    return "".join(steps) + f"L{_pair(points[-1])}"


def _pair(point: Point) -> str:
    return f"{_number(point[0])} {_number(point[1])}"


def _towards(start: Point, end: Point, distance: float) -> Point:
    """The point ``distance`` from ``start``, or half the way if that is nearer."""
    length = abs(end[0] - start[0]) + abs(end[1] - start[1])
    share = min(distance, length / 2) / length if length else 0
    return start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share


def _draw_arrow(parent: ET.Element, tip: Point, direction: Point, colour: str, size: float) -> None:
    """A filled arrow head whose tip is at ``tip``."""
    (x, y), (dx, dy) = tip, direction
    back = x - dx * size, y - dy * size
    side = size * 0.55
    left = back[0] - dy * side, back[1] + dx * side
    right = back[0] + dy * side, back[1] - dx * side
    ET.SubElement(parent, "polygon", points=" ".join(map(_pair, (tip, left, right))), fill=colour)


def _draw_head(svg: ET.Element, layout: Layout) -> None:
    platform = layout.platform
    _draw_text(svg, Text(MARGIN, 46, "Payment platform", "title"))
    environments = " / ".join(platform.environments)
    subtitle = f"Nested stacks; numbers are {environments}, or one where they are the same"
    _draw_text(svg, Text(MARGIN, 70, subtitle, "subtitle"))
    right = layout.frame.right
    for y, label, colour, width in (
        (44, "Path of a request", REQUEST, 3.5),
        (68, "Outputs, in their stack's hue", HUES[0], 2),
    ):
        start = right - text_width("Outputs, in their stack's hue", "legend") - 54
        _draw_line(svg, ((start, y - 4), (start + 36, y - 4)), colour, width)
        _draw_arrow(svg, (start + 44, y - 4), (1, 0), colour, ARROW + width - 1)
        _draw_text(svg, Text(start + 54, y, label, "legend"))


def _draw_box(svg: ET.Element, box: Box) -> None:
    group = ET.SubElement(svg, "g", {"class": "stack", "id": box.stack.logical_id})
    rect = box.rect
    _draw_rect(group, rect, 9, CARD, box.hue)
    for y in box.rules:
        _draw_line(group, ((rect.x, y), (rect.right, y)), RULE, 1)
    for pill in box.pills.values():
        _draw_rect(group, pill, 8, REQUEST_FILL, REQUEST)
        ET.SubElement(
            group,
            "circle",
            cx=_number(rect.x + BADGE),
            cy=_number(pill.y + 16),
            r="9",
            fill=REQUEST,
        )
    for text in box.texts:
        _draw_text(group, text)


def _draw_outputs(svg: ET.Element, layout: Layout, source: str) -> None:
    """The lines that carry one stack's outputs: down to its lane, along it, up to each reader."""
    box, lane = layout.boxes[source], layout.lanes[source]
    trunk, entries = _trunk(layout, box, lane)
    last = max(x for x, _ in entries)
    branches = []
    for x, reader in entries:
        port = reader.ports[source]
        corner = ((x - 12, lane),) if x == last else ()
        branches.append((*corner, (x, lane), (x, port), (reader.x - ARROW + 1, port)))
    group = ET.SubElement(svg, "g", {"class": "outputs"})
    # The halo sets the line off from those it crosses; it must not cut its own.
    for colour, width in ((PAPER, 6), (box.hue, 1.8)):
        for line in (trunk, *branches):
            _draw_line(group, line, colour, width)
    for *_, tip in branches:
        _draw_arrow(group, (tip[0] + ARROW - 1, tip[1]), (1, 0), box.hue, ARROW)
    joints = {(x, lane) for x, _ in entries if x != last} | _joints(branches)
    for x, y in sorted(joints):
        ET.SubElement(group, "circle", cx=_number(x), cy=_number(y), r="3", fill=box.hue)


def _trunk(
    layout: Layout, box: Box, lane: float
) -> tuple[tuple[Point, ...], list[tuple[float, Box]]]:
    """A source's line to and along its lane, and (x, reader) for each line up from there."""
    source = box.stack.logical_id
    entries = [
        (layout.gaps[reader.stack.column].enter(source), reader)
        for reader in layout.boxes.values()
        if source in reader.ports
    ]
    end = (max(x for x, _ in entries) - 12, lane)
    gap = layout.gaps[box.stack.column + 1]
    if source in gap.leaving:
        y, x = box.rect.bottom - 20, gap.leave(source)
        return ((box.rect.right, y), (x, y), (x, lane), end), entries
    middle = box.x + COLUMN / 2
    return ((middle, box.rect.bottom), (middle, lane), end), entries


def _joints(branches: Sequence[Sequence[Point]]) -> set[Point]:
    """Where a line up goes on past one reader to the next."""
    ports = [branch[-2] for branch in branches]
    return {port for port in ports if any(p[0] == port[0] and p[1] < port[1] for p in ports)}


def _draw_request(svg: ET.Element, layout: Layout) -> None:
    group = ET.SubElement(svg, "g", {"class": "request"})
    stations = layout.stations
    used: dict[int, int] = {}
    lines = [_from_internet(group, layout, used)]
    for here, there in pairwise(stations):
        lines.append(_between(layout, here, there, used))
    for line in lines:
        tip, before = line[-1], line[-2]
        length = abs(tip[0] - before[0]) + abs(tip[1] - before[1])
        direction = (tip[0] - before[0]) / length, (tip[1] - before[1]) / length
        end = tip[0] - direction[0] * 8, tip[1] - direction[1] * 8
        _draw_line(group, (*line[:-1], end), PAPER, 8)
        _draw_line(group, (*line[:-1], end), REQUEST, 3.5)
        _draw_arrow(group, tip, direction, REQUEST, 11)


def _next_place(layout: Layout, gap: int, used: dict[int, int]) -> float:
    used[gap] = used.get(gap, -1) + 1
    return layout.gaps[gap].request(used[gap])


def _from_internet(group: ET.Element, layout: Layout, used: dict[int, int]) -> tuple[Point, ...]:
    box, pill = layout.stations[0]
    x = _next_place(layout, box.stack.column, used)
    width = text_width("Internet", "internet") + 32
    cloud = Rect(x - width / 2, 80, width, 30)
    _draw_rect(group, cloud, 15, REQUEST_FILL, REQUEST)
    _draw_text(group, Text(x, cloud.middle + 5, "Internet", "internet", "middle"))
    return (x, cloud.bottom), (x, pill.middle), (pill.x, pill.middle)


def _between(
    layout: Layout, here: tuple[Box, Rect], there: tuple[Box, Rect], used: dict[int, int]
) -> tuple[Point, ...]:
    """The line from one station of a request to the next."""
    (box, pill), (other, goal) = here, there
    if box is other:
        x = box.x + BADGE
        return (x, pill.bottom), (x, goal.y)
    step = other.stack.column - box.stack.column
    if step == 1:
        x = _next_place(layout, other.stack.column, used)
        y = goal.middle - 8
        return (pill.right, pill.middle), (x, pill.middle), (x, y), (goal.x, y)
    if step == -1:
        x = _next_place(layout, box.stack.column, used)
        y = pill.middle + 8
        return (pill.x, y), (x, y), (x, goal.middle), (goal.right, goal.middle)
    raise DrawingError(
        f"a request goes from {box.stack.name} to {other.stack.name}, whose boxes are not side by "
        "side; extend _between in this script."
    )
