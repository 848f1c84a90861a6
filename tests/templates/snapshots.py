"""The packaged templates as text, so that a change of what is deployed is seen in review.

A template is written in full as it is packaged for prod; of dev and staging the differences to
prod are. Digests are left out: they change with every letter. `make snapshots` accepts a change.
"""

from __future__ import annotations

import difflib
import json
import re
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.payments.cfn.plugins.module_utils import package
from ansible_collections.payments.cfn.plugins.module_utils.templates import load_tree

from tests.templates.loader import BESIDE, DIRECTORY, ROOT

FOLDER = Path(__file__).parent / "snapshots"
REFERENCE, *OTHERS = ("prod", "staging", "dev")

_PLACE = re.compile(r"^@@ .* @@")
_DIGEST = re.compile(r"\b[0-9a-f]{64}\b")


class _Dumper(yaml.SafeDumper):
    """Plain YAML: no anchors, and text of several lines as a block."""

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    return dumper.represent_scalar(
        "tag:yaml.org,2002:str", value, style="|" if "\n" in value else None
    )


_Dumper.add_representer(str, _text)


def packaged(root: str, environment: str) -> dict[str, str]:
    """The templates of a tree as they are packaged for an environment, by file name, as text."""
    target = package.destination("bucket", "eu-west-1", "", "amazonaws.com")
    literals = ["EnvironmentType"] if root == ROOT else []
    made = package.build(
        load_tree(DIRECTORY / root), {"EnvironmentType": environment}, literals, target, fetch=False
    )
    return {
        Path(template.source).name: as_text(json.loads(made.contents[template.key]))
        for template in made.release.templates
    }


def as_text(template: Any) -> str:
    """Write one packaged template as YAML, without digests."""
    text = yaml.dump(template, Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)
    return _DIGEST.sub("<digest>", text)


def snapshots() -> dict[str, str]:
    """What the files of the folder have to hold, by their names."""
    reference = packaged(ROOT, REFERENCE)
    found = {f"{Path(name).stem}.{REFERENCE}.yml": text for name, text in reference.items()}
    # What serves every environment is packaged for none.
    for root in BESIDE:
        found |= packaged(root, "")
    for environment in OTHERS:
        for name, body in packaged(ROOT, environment).items():
            lines = difflib.unified_diff(
                reference[name].splitlines(),
                body.splitlines(),
                REFERENCE,
                environment,
                lineterm="",
                n=3,
            )
            # Where a difference stands would change with every line before it.
            text = "".join(f"{_PLACE.sub('@@', line)}\n" for line in lines)
            found[f"{Path(name).stem}.{environment}.diff"] = text
    return found


def main() -> None:
    """Write every snapshot, and remove those of templates that are gone."""
    wanted = snapshots()
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.iterdir():
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
