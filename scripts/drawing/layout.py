"""Where everything goes: boxes in columns, lines in the gaps between them, lanes below."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from scripts.drawing.catalogue import HOPS, output_name, rows
from scripts.drawing.lettering import HUES, wrap
from scripts.drawing.platform import DrawingError, Platform, Stack, per_environment

MARGIN, COLUMN, PAD = 16, 206, 12
TOP, SPACE_BETWEEN = 166, 22
LINE, NOTE_LINE = 20.5, 15
# From a box's left edge to the middle of the number of a station.
BADGE = 21


@dataclass(frozen=True)
class Text:
    """A text at its baseline."""

    x: float
    y: float
    content: str
    style: str
    anchor: str = "start"
    colour: str = ""


@dataclass(frozen=True)
class Rect:
    """A rectangle."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Its right edge."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """Its lower edge."""
        return self.y + self.height

    @property
    def middle(self) -> float:
        """The height of its middle."""
        return self.y + self.height / 2


@dataclass
class Box:
    """A stack's box while it is laid out downwards: ``y`` is where the next thing goes."""

    stack: Stack
    hue: str
    x: float
    top: float
    y: float = 0
    texts: list[Text] = field(default_factory=list)
    rules: list[float] = field(default_factory=list)
    pills: dict[int, Rect] = field(default_factory=dict)
    ports: dict[str, float] = field(default_factory=dict)

    @property
    def rect(self) -> Rect:
        """The whole box."""
        return Rect(self.x, self.top, COLUMN, self.y - self.top)

    @property
    def right(self) -> float:
        """Where text that is set flush right ends."""
        return self.x + COLUMN - PAD

    def say(self, text: str, style: str, *, indent: float = 0, colour: str = "") -> None:
        """Put a text at the current height."""
        self.texts.append(Text(self.x + PAD + indent, self.y, text, style, colour=colour))

    def say_right(self, text: str, style: str) -> None:
        """Put a text at the current height, flush right."""
        self.texts.append(Text(self.right, self.y, text, style, "end"))

    def say_wrapped(self, text: str, style: str, indent: float = 0) -> None:
        """Put a text below the current height, on as many lines as it takes."""
        for line in wrap(text, style, COLUMN - 2 * PAD - indent):
            self.y += NOTE_LINE
            self.say(line, style, indent=indent)


def lay_out_box(stack: Stack, hue: str, x: float, top: float, sources: Mapping[str, Box]) -> Box:
    """Lay out one box; ``sources`` are those that it takes outputs from, already laid out."""
    box = Box(stack, hue, x, top, top)
    _heading(box)
    _pills(box)
    _rows(box)
    _ports(box, sources)
    box.y += PAD
    return box


def _heading(box: Box) -> None:
    box.y += 27
    box.say(box.stack.name, "name", colour=box.hue)
    for line in (box.stack.file, f"{per_environment(box.stack.resources.counts)} resources"):
        box.y += 17
        box.say(line, "file")
    box.y += 12
    box.rules.append(box.y)


def _pills(box: Box) -> None:
    for number, hop in enumerate(HOPS):
        found = box.stack.resources.of_type(hop.type)
        if not found.all:
            continue
        top = box.y + (14 if box.pills else 12)
        box.y = top + 20
        box.texts.append(Text(box.x + BADGE, box.y, str(number + 1), "badge", "middle"))
        box.say(hop.label, "hop", indent=26)
        box.say_wrapped(hop.note(found), "hop-note", indent=26)
        box.y += 9
        box.pills[number] = Rect(box.x + 6, top, COLUMN - 12, box.y - top)
    if box.pills:
        box.y += 2


def _rows(box: Box) -> None:
    group = ""
    for row in rows(box.stack):
        if row.group != group:
            group = row.group
            box.y += 23
            box.say(group, "group")
        box.y += LINE
        box.say(row.label, "row")
        box.say_right(row.counts, "count")
        box.say_wrapped(row.note, "note")


def _ports(box: Box, sources: Mapping[str, Box]) -> None:
    if not box.stack.inputs:
        return
    box.y += 16
    box.rules.append(box.y)
    for source, outputs in box.stack.inputs.items():
        box.y += 22
        box.ports[source] = box.y - 4
        origin = sources[source]
        box.say(f"from {origin.stack.name}", "source", colour=origin.hue)
        names = dict.fromkeys(output_name(output, origin.stack.name) for output in outputs)
        box.say_wrapped(", ".join(names), "note")


ARROW, SLOT, REQUEST_SLOT, LANE = 8, 9, 14, 12


@dataclass(frozen=True)
class Gap:
    """The space to the left of a column, with the places of the vertical lines in it.

    ``leaving`` are stacks left of it whose line goes down here, ``entering`` stacks whose line
    comes up here into the column; ``requests`` are places for the path of a request.
    """

    leaving: tuple[str, ...]
    entering: tuple[str, ...]
    requests: int
    x: float = 0

    @property
    def width(self) -> float:
        """The width that all this takes."""
        lines = len(self.leaving) + len(self.entering)
        return 30 + SLOT * lines + REQUEST_SLOT * self.requests

    def leave(self, source: str) -> float:
        """The place of a line that leaves."""
        return self.x + 10 + SLOT * self.leaving.index(source)

    def request(self, number: int) -> float:
        """The place of the path of a request."""
        return self.x + 12 + SLOT * len(self.leaving) + REQUEST_SLOT * number

    def enter(self, source: str) -> float:
        """The place of a line that enters."""
        before = SLOT * len(self.leaving) + REQUEST_SLOT * self.requests
        return self.x + 12 + before + SLOT * self.entering.index(source)


@dataclass(frozen=True)
class Layout:
    """Where everything is."""

    platform: Platform
    boxes: Mapping[str, Box]
    gaps: tuple[Gap, ...]
    lanes: Mapping[str, float]
    frame: Rect
    exports: tuple[Text, ...]

    @property
    def stations(self) -> tuple[tuple[Box, Rect], ...]:
        """The box and the pill of each hop."""
        found = []
        for number, hop in enumerate(HOPS):
            boxes = [box for box in self.boxes.values() if number in box.pills]
            if len(boxes) != 1:
                raise DrawingError(
                    f"{len(boxes)} nested stacks have a {hop.type}, and a request passes through "
                    "exactly one; correct HOPS in this script or the templates."
                )
            found.append((boxes[0], boxes[0].pills[number]))
        return tuple(found)


def lay_out(platform: Platform) -> Layout:
    """Place every box, line and lane."""
    columns = _columns(platform)
    hues = {s.logical_id: HUES[i % len(HUES)] for i, s in enumerate(platform.stacks)}
    boxes: dict[str, Box] = {}
    gaps: list[Gap] = []
    x: float = MARGIN
    for number, column in enumerate(columns):
        gap = _gap(number, columns, platform.stacks, x)
        gaps.append(gap)
        x += gap.width
        top: float = TOP
        for stack in column:
            box = lay_out_box(stack, hues[stack.logical_id], x, top, boxes)
            boxes[stack.logical_id] = box
            top = box.y + SPACE_BETWEEN
        x += COLUMN
    bottom = max(box.y for box in boxes.values())
    sources = [s.logical_id for s in platform.stacks if _readers(s, platform.stacks)]
    lanes = {source: bottom + 26 + LANE * i for i, source in enumerate(sources)}
    width = x + 22 - MARGIN
    exports = _exports(platform, MARGIN + 20, bottom + 26 + LANE * len(sources) + 22, width - 40)
    frame = Rect(MARGIN, TOP - 44, width, exports[-1].y + 18 - TOP + 44)
    return Layout(platform, boxes, tuple(gaps), lanes, frame, exports)


def _readers(stack: Stack, stacks: Iterable[Stack]) -> list[Stack]:
    return [other for other in stacks if stack.logical_id in other.inputs]


def _columns(platform: Platform) -> list[list[Stack]]:
    """The stacks by column; in a column, those that a request meets first are on top."""

    def first_hop(stack: Stack) -> int:
        types = {member.type for member in stack.resources.all}
        return next((i for i, hop in enumerate(HOPS) if hop.type in types), len(HOPS))

    width = 1 + max(stack.column for stack in platform.stacks)
    return [
        sorted((s for s in platform.stacks if s.column == column), key=first_hop)
        for column in range(width)
    ]


def _gap(
    number: int, columns: Sequence[Sequence[Stack]], everyone: Sequence[Stack], x: float
) -> Gap:
    before = columns[number - 1][:-1] if number else []
    leaving = tuple(s.logical_id for s in before if _readers(s, everyone))
    wanted = dict.fromkeys(source for stack in columns[number] for source in stack.inputs)
    # In the order of the ports, so that the lines to one box do not cross.
    entering = tuple(s.logical_id for s in everyone if s.logical_id in wanted)
    return Gap(leaving, entering, _requests_in_gap(number, columns), x)


def _requests_in_gap(number: int, columns: Sequence[Sequence[Stack]]) -> int:
    """How often a request changes between the columns on both sides of a gap."""
    stops = []
    for hop in HOPS:
        stops += [
            i
            for i, column in enumerate(columns)
            if any(member.type == hop.type for s in column for member in s.resources.all)
        ]
    crossings = sum({a, b} == {number - 1, number} for a, b in pairwise(stops))
    return crossings + (stops[:1] == [number])


def _exports(platform: Platform, x: float, y: float, width: float) -> tuple[Text, ...]:
    title = f"Exports for other stacks, named ${{AWS::StackName}}-…: {len(platform.exports)}"
    texts = [Text(x, y, title, "group")]
    for line in wrap(", ".join(platform.exports), "note", width):
        texts.append(Text(x, texts[-1].y + 17, line, "note"))
    return tuple(texts)
