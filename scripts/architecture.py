#!/usr/bin/env python3
"""Draw the architecture from the templates: ``python scripts/architecture.py``.

Reads ``cloudformation/master.yml`` with everything nested in it and writes
``docs/architecture.svg``. Nested stacks are boxes, in columns by what they wait for; a box lists
its main resources with their number in each environment, and what it takes from other stacks.
The same templates give the same bytes, so a test can tell whether the picture is up to date.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Before the imports that need it. The collection reads and evaluates templates already.
sys.path[:0] = [str(ROOT), str(ROOT / "collections")]

from ansible_collections.payments.cfn.plugins.module_utils.errors import CfnError  # noqa: E402

from scripts.drawing.platform import DrawingError, read_platform  # noqa: E402
from scripts.drawing.svg import draw  # noqa: E402

TEMPLATE = ROOT / "cloudformation" / "master.yml"
PICTURE = ROOT / "docs" / "architecture.svg"


def picture(template: Path = TEMPLATE) -> str:
    """The picture of a root template, as SVG."""
    return draw(read_platform(template))


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description="Draw the architecture from the templates.")
    parser.add_argument("--output", type=Path, default=PICTURE, help="where to write the SVG")
    options = parser.parse_args(arguments)
    try:
        drawn = picture()
    except (CfnError, DrawingError) as error:
        print(f"architecture: {error}", file=sys.stderr)
        return 1
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(drawn, encoding="utf-8")
    print(f"Wrote {options.output}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
