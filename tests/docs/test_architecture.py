"""The picture of the architecture: up to date, complete and legible."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import pytest
from ansible_collections.payments.cfn.plugins.module_utils.templates import load_tree

from scripts.architecture import PICTURE, ROOT, TEMPLATE, picture
from scripts.drawing.lettering import STYLES, text_width
from scripts.drawing.platform import DrawingError

SVG = "{http://www.w3.org/2000/svg}"


@dataclass(frozen=True)
class Area:
    """A rectangle of the picture, and what is in it."""

    left: float
    top: float
    right: float
    bottom: float
    what: str

    def holds(self, other: Area) -> bool:
        return (
            self.left <= other.left
            and self.right >= other.right
            and self.top <= other.top
            and self.bottom >= other.bottom
        )

    def meets(self, other: Area) -> bool:
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )


def area_of_rect(element: ET.Element, what: str) -> Area:
    x, y, width, height = (float(element.attrib[name]) for name in ("x", "y", "width", "height"))
    return Area(x, y, x + width, y + height, what)


def area_of_text(element: ET.Element) -> Area:
    """The letters' area, from the tallest to the lowest of them."""
    style, content = element.attrib["class"], element.text or ""
    x, y = float(element.attrib["x"]), float(element.attrib["y"])
    width = text_width(content, style)
    left = (
        x
        - {"start": 0, "middle": width / 2, "end": width}[
            element.attrib.get("text-anchor", "start")
        ]
    )
    size = STYLES[style].size
    return Area(left, y - 0.76 * size, left + width, y + 0.24 * size, content)


def stacks(svg: ET.Element) -> dict[str, ET.Element]:
    return {group.attrib["id"]: group for group in svg.iter(f"{SVG}g") if is_a(group, "stack")}


def is_a(element: ET.Element, kind: str) -> bool:
    return element.attrib.get("class") == kind


def texts(element: ET.Element) -> list[Area]:
    return [area_of_text(text) for text in element.iter(f"{SVG}text")]


@pytest.fixture(scope="module")
def svg() -> ET.Element:
    return ET.fromstring(picture())


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    """A copy of the templates, to be changed; gives the root template."""
    shutil.copytree(TEMPLATE.parent, tmp_path / "cloudformation")
    return tmp_path / "cloudformation" / TEMPLATE.name


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_the_committed_picture_is_what_the_templates_give():
    assert PICTURE.read_text(encoding="utf-8") == picture(), (
        "The templates changed; run: python scripts/architecture.py"
    )


@pytest.mark.parametrize("seed", ["0", "1"])
def test_the_script_writes_the_same_bytes_every_time(tmp_path: Path, seed: str):
    target = tmp_path / "picture.svg"
    subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "architecture.py"), "--output", str(target)],
        env={**os.environ, "PYTHONHASHSEED": seed},
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    assert target.read_text(encoding="utf-8") == picture()


def test_every_nested_stack_has_a_box_that_names_its_template(svg: ET.Element):
    tree = load_tree(TEMPLATE)
    boxes = stacks(svg)
    assert set(boxes) == set(tree.children)
    for logical_id, child in tree.children.items():
        assert child.tree is not None
        shown = [text.what for text in texts(boxes[logical_id])]
        assert child.tree.template.source in shown


def test_no_text_leaves_its_box(svg: ET.Element):
    for logical_id, group in stacks(svg).items():
        box = area_of_rect(group.find(f"{SVG}rect"), logical_id)
        outside = [text.what for text in texts(group) if not box.holds(text)]
        assert outside == [], f"These leave the box of {logical_id}."


def test_no_text_leaves_the_picture(svg: ET.Element):
    width, height = float(svg.attrib["width"]), float(svg.attrib["height"])
    page = Area(0, 0, width, height, "page")
    assert [text.what for text in texts(svg) if not page.holds(text)] == []


def test_no_text_lies_on_another(svg: ET.Element):
    overlaps = [(a.what, b.what) for a, b in combinations(texts(svg), 2) if a.meets(b)]
    assert overlaps == []


def test_no_box_lies_on_another(svg: ET.Element):
    boxes = [area_of_rect(g.find(f"{SVG}rect"), name) for name, g in stacks(svg).items()]
    assert [(a.what, b.what) for a, b in combinations(boxes, 2) if a.meets(b)] == []


def test_a_stack_stands_right_of_those_it_takes_outputs_from(svg: ET.Element):
    tree = load_tree(TEMPLATE)
    left = {n: area_of_rect(g.find(f"{SVG}rect"), n).left for n, g in stacks(svg).items()}
    for logical_id, child in tree.children.items():
        for source in tree.children:
            if f"'{source}', 'Outputs." in str(child.parameters):
                assert left[source] < left[logical_id]


def test_an_arrow_leads_from_each_stack_to_each_that_takes_its_outputs(svg: ET.Element):
    tree = load_tree(TEMPLATE)
    expected = sum(
        f"'{source}', 'Outputs." in str(child.parameters)
        for child in tree.nested
        for source in tree.children
    )
    arrows = [
        arrow
        for g in svg.iter(f"{SVG}g")
        if is_a(g, "outputs")
        for arrow in g.iter(f"{SVG}polygon")
    ]
    assert len(arrows) == expected > 0


def test_a_request_is_followed_from_the_internet_to_the_database(svg: ET.Element):
    stations = {
        text.text: logical_id
        for logical_id, group in stacks(svg).items()
        for text in group.iter(f"{SVG}text")
        if is_a(text, "badge")
    }
    assert stations == {
        "1": "PaymentComputeStack",
        "2": "PaymentComputeStack",
        "3": "PaymentServiceStack",
        "4": "PaymentDatabaseStack",
    }
    request = next(group for group in svg.iter(f"{SVG}g") if is_a(group, "request"))
    assert [text.text for text in request.iter(f"{SVG}text")] == ["Internet"]
    assert len(list(request.iter(f"{SVG}polygon"))) == len(stations)


def test_numbers_are_those_of_each_environment(svg: ET.Element):
    shown = [text.what for text in texts(stacks(svg)["PaymentDatabaseStack"])]
    assert shown[shown.index("Aurora instances") + 1] == "1 / 2 / 3"


def test_a_resource_of_a_type_that_no_row_names_is_shown(templates: Path):
    new = "Resources:\n  PaymentQueue:\n    Type: AWS::SQS::Queue\n"
    edit(templates.parent / "service.yml", "Resources:\n", new)
    service = stacks(ET.fromstring(picture(templates)))["PaymentServiceStack"]
    assert "SQS::Queue" in [text.what for text in texts(service)]


def test_a_new_nested_stack_gets_a_box(templates: Path):
    (templates.parent / "audit.yml").write_text(
        "Resources:\n  PaymentTrail:\n    Type: AWS::CloudTrail::Trail\n", encoding="utf-8"
    )
    new = (
        "Resources:\n  PaymentAuditStack:\n    Type: AWS::CloudFormation::Stack\n"
        "    Properties: {TemplateURL: audit.yml}\n"
    )
    edit(templates, "Resources:\n", new)
    assert "PaymentAuditStack" in stacks(ET.fromstring(picture(templates)))


def test_templates_without_a_station_of_the_request_are_refused(templates: Path):
    edit(templates.parent / "compute.yml", "AWS::WAFv2::WebACL\n", "AWS::WAFv2::RuleGroup\n")
    with pytest.raises(DrawingError, match="0 nested stacks have a AWS::WAFv2::WebACL"):
        picture(templates)
