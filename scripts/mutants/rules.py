"""Tries what no test noticed on the rules of cfn-guard: Control Tower's and our own."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from scripts import guard
from scripts.mutants.run import Verdict
from scripts.packaged import TEMPLATES, write_templates
from tests.templates import loader

# A rule that a resource breaks in an environment.
Broken = tuple[str, str, str]


def try_survivors(
    verdicts: Sequence[Verdict], templates: dict[str, loader.Template], excused: Collection[str]
) -> list[Verdict]:
    """The verdicts, with those changes killed that make a resource break a rule.

    Equivalent mutants are left alone, since no rule can say anything of what makes no difference.
    """
    survivors = [v for v in verdicts if v.killed_by is None and v.mutant.id not in excused]
    if not survivors or not guard.GUARD.is_dir():
        return list(verdicts)
    print(f"Trying {len(survivors)} survivors on the rules of cfn-guard …", file=sys.stderr)
    stacks = {child.file: child.logical_id for child in loader.children(templates[loader.ROOT])}
    killed: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for file in {verdict.mutant.file for verdict in survivors}:
            _write(folder, f"before-{file}", stacks.get(file, Path(file).stem))
        for number, verdict in enumerate(survivors):
            mutant = verdict.mutant
            try:
                changed = {mutant.file: mutant.of(templates[mutant.file])}
                _write(
                    folder, str(number), stacks.get(mutant.file, Path(mutant.file).stem), changed
                )
            except Exception as error:  # whatever refuses it, it is not deployed
                killed[mutant.id] = f"packaging: {error}"
        broken = _broken(folder)
        for number, verdict in enumerate(survivors):
            more = sorted(broken[str(number)] - broken[f"before-{verdict.mutant.file}"])
            if more:
                environment, rule, resource = more[0]
                killed[verdict.mutant.id] = f"cfn-guard: {resource} breaks {rule} in {environment}"
    return [replace(v, killed_by=v.killed_by or killed.get(v.mutant.id)) for v in verdicts]


def _write(
    folder: Path, name: str, stack: str, changed: Mapping[str, loader.Template] | None = None
) -> None:
    """Write a stack as it reads in each environment under a name, with templates changed or not."""
    with tempfile.TemporaryDirectory() as temporary:
        templates = Path(temporary) / "cloudformation"
        shutil.copytree(TEMPLATES, templates)
        for file, template in (changed or {}).items():
            (templates / file).write_text(json.dumps(template), encoding="utf-8")
        for path in write_templates(Path(temporary), templates):
            if path.stem == stack:
                target = folder / "templates" / path.parent.name / f"{name}.json"
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.move(path, target)


def _broken(folder: Path) -> defaultdict[str, set[Broken]]:
    """What breaks which rule, by the name of the file that was written."""
    found: defaultdict[str, set[Broken]] = defaultdict(set)
    for finding in guard.findings(folder):
        found[finding.stack].add((finding.environment, finding.rule, finding.resource))
    return found
