"""What came out: progress while it runs, a table, and a report with a picture."""

from __future__ import annotations

import html
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from scripts.mutants.operators.model import OPERATORS
from scripts.mutants.run import Verdict

FOLDER = Path(__file__).resolve().parents[2] / "artifacts" / "mutants"
# How often a stream that is no terminal gets a line.
_EVERY_SECONDS = 15


class Progress:
    """Writes how far the run is: over itself on a terminal, now and then elsewhere."""

    def __init__(self, total: int, stream: TextIO) -> None:
        """Begin at nothing of so many mutants."""
        self._total, self._stream = total, stream
        self._survivors = self._done = 0
        self._began = self._written = time.monotonic()

    def add(self, verdict: Verdict) -> None:
        """Count a verdict."""
        self._done += 1
        self._survivors += verdict.killed_by is None
        now = time.monotonic()
        if self._stream.isatty():
            self._stream.write(f"\r{self._line(now)}\x1b[K")
            self._stream.flush()
        elif now - self._written >= _EVERY_SECONDS:
            self._stream.write(f"{self._line(now)}\n")
            self._written = now

    def _line(self, now: float) -> str:
        left = (now - self._began) / self._done * (self._total - self._done)
        return (
            f"{self._done}/{self._total} mutants, {self._done - self._survivors} killed, "
            f"{self._survivors} survive, {left / 60:.0f} min {left % 60:02.0f} s left"
        )

    def end(self) -> None:
        """Leave the line."""
        if self._stream.isatty():
            self._stream.write("\n")


@dataclass(frozen=True)
class Result:
    """A run: how many mutants there are, what became of those that ran, what is excused."""

    generated: int
    verdicts: Sequence[Verdict]
    excused: dict[str, str]
    seconds: float

    @property
    def survivors(self) -> list[Verdict]:
        """What nothing noticed and nobody excused."""
        return [v for v in self.verdicts if not v.killed_by and v.mutant.id not in self.excused]

    @property
    def equivalent(self) -> list[Verdict]:
        """What nothing noticed and makes no difference."""
        return [v for v in self.verdicts if not v.killed_by and v.mutant.id in self.excused]

    @property
    def by_rules(self) -> list[Verdict]:
        """What no test noticed, but a rule or the packaging."""
        return [v for v in self.verdicts if v.killed_by and "::" not in v.killed_by]

    def complaints(self) -> Iterator[str]:
        """The survivors, one sentence each."""
        for verdict in self.survivors:
            yield f"Survives: {verdict.mutant.id} ({verdict.mutant.description})"

    def summary(self) -> str:
        """The run in two sentences."""
        ran = len(self.verdicts)
        killed = ran - len(self.survivors) - len(self.equivalent)
        return (
            f"{self.generated} mutants were made, {ran} ran: {killed} killed "
            f"({len(self.by_rules)} of them by rules), {len(self.survivors)} survive, "
            f"{len(self.equivalent)} make no difference. It took {self.seconds / 60:.1f} minutes."
        )


def table(result: Result) -> str:
    """Killed of those that ran, by template and by operator."""
    files, counts = _counts(result.verdicts)
    width = max(len(name) for name in OPERATORS)
    heads = [Path(file).stem for file in files]
    lines = [f"{'':{width}} " + " ".join(f"{head:>11}" for head in heads)]
    for operator in OPERATORS:
        if any((file, operator) in counts for file in files):
            cells = (_cell(counts.get((file, operator))) for file in files)
            lines.append(f"{operator:{width}} " + " ".join(f"{cell:>11}" for cell in cells))
    total = (_cell(_sum(counts, file)) for file in files)
    lines.append(f"{'all':{width}} " + " ".join(f"{cell:>11}" for cell in total))
    return "\n".join([*lines, "", result.summary()])


Counts = dict[tuple[str, str], tuple[int, int]]


def _counts(verdicts: Sequence[Verdict]) -> tuple[list[str], Counts]:
    """The templates, and how many of how many were killed by template and operator."""
    ran = Counter((v.mutant.file, v.mutant.operator) for v in verdicts)
    killed = Counter((v.mutant.file, v.mutant.operator) for v in verdicts if v.killed_by)
    return sorted({file for file, _ in ran}), {key: (killed[key], ran[key]) for key in ran}


def _sum(counts: Counts, file: str) -> tuple[int, int]:
    found = [count for (name, _), count in counts.items() if name == file]
    return sum(killed for killed, _ in found), sum(ran for _, ran in found)


def _cell(count: tuple[int, int] | None) -> str:
    return f"{count[0]}/{count[1]}" if count else "·"


def write(result: Result, folder: Path = FOLDER) -> list[Path]:
    """Write the run as JSON, for people as Markdown, and as a picture."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "mutants.json": json.dumps(_as_json(result), indent=1),
        "mutants.svg": picture(result),
        "mutants.md": as_markdown(result),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in texts]


def _as_json(result: Result) -> dict[str, object]:
    return {
        "generated": result.generated,
        "seconds": round(result.seconds),
        "mutants": [
            {
                "id": verdict.mutant.id,
                "file": verdict.mutant.file,
                "operator": verdict.mutant.operator,
                "description": verdict.mutant.description,
                "killed_by": verdict.killed_by,
                "equivalent": result.excused.get(verdict.mutant.id),
            }
            for verdict in result.verdicts
        ],
    }


def as_markdown(result: Result) -> str:
    """The report that people read."""
    killers = Counter(str(v.killed_by).split("::")[0] for v in result.verdicts if v.killed_by)
    lines = ["# Mutants of the templates", "", result.summary(), "", "![Table](mutants.svg)", ""]
    lines += ["Snapshots are not among the tests that may kill: they notice every change.", ""]
    lines += _section("Survivors", result.survivors, result)
    lines += _section("Make no difference", result.equivalent, result)
    lines += _section("Killed by rules, not by tests", result.by_rules, result)
    lines += ["## What kills", "", "| tests | mutants |", "|---|---|"]
    lines += [f"| {name} | {number} |" for name, number in killers.most_common()]
    lines += ["", "## Operators", "", "| operator | what it does to a template |", "|---|---|"]
    lines += [f"| {item.name} | {item.weakens} |" for item in OPERATORS.values()]
    return "\n".join([*lines, ""])


def _section(title: str, verdicts: Sequence[Verdict], result: Result) -> Iterator[str]:
    if verdicts:
        yield from (f"## {title}", "")
        for verdict in verdicts:
            why = verdict.killed_by or result.excused.get(verdict.mutant.id)
            yield f"- `{verdict.mutant.id}` {verdict.mutant.description}" + (f": {why}" * bool(why))
        yield ""


_LEFT, _TOP, _WIDTH, _HEIGHT = 170, 40, 90, 22


def picture(result: Result) -> str:
    """The table in colours: green where all are killed, red where some survive."""
    files, counts = _counts([v for v in result.verdicts if v not in result.equivalent])
    operators = [name for name in OPERATORS if any((file, name) in counts for file in files)]
    parts = [_text(_LEFT + _WIDTH * x + 45, 28, Path(f).stem) for x, f in enumerate(files)]
    for y, operator in enumerate(operators):
        top = _TOP + _HEIGHT * y
        parts.append(_text(_LEFT - 8, top + 15, operator, "end"))
        for x, file in enumerate(files):
            if (file, operator) in counts:
                killed, ran = counts[file, operator]
                left = _LEFT + _WIDTH * x
                parts.append(
                    f'<rect x="{left}" y="{top}" width="{_WIDTH - 2}" height="{_HEIGHT - 2}" '
                    f'rx="3" fill="{"#b7dfb9" if killed == ran else "#f2a7a0"}"/>'
                )
                parts.append(_text(left + 44, top + 15, f"{killed}/{ran}"))
    width, height = _LEFT + _WIDTH * len(files) + 10, _TOP + _HEIGHT * len(operators) + 10
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
        + "\n".join(parts)
        + "</svg>\n"
    )


def _text(x: int, y: int, text: str, anchor: str = "middle") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{html.escape(text)}</text>'
