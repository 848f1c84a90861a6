"""Shows that nobody can weaken a template without a test or a rule that notices it.

Changes the templates in every way that the operators know, one change at a time, and runs the
tests of the templates on each. A mutant that no test kills is tried on the rules of cfn-guard; one
that survives both is a finding, unless equivalents.yml says why it makes no difference.

    python -m scripts.mutants                        # a sample: every operator in every template
    python -m scripts.mutants --all                  # every mutant, which takes hours
    python -m scripts.mutants --file vpc.yml --operator condition-drop
    python -m scripts.mutants --id '*PaymentFlowLog*' --list
"""

from __future__ import annotations

import argparse
import fnmatch
import os
import sys
import time
from collections.abc import Sequence

from scripts.mutants import equivalents, killers, report, rules
from scripts.mutants.generate import Mutant, generate
from scripts.mutants.operators.model import OPERATORS
from scripts.mutants.run import run
from tests.templates import loader


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the chosen mutants and return how the program is to exit."""
    options = _options(arguments)
    templates = {path.name: loader.load(path) for path in sorted(loader.DIRECTORY.glob("*.yml"))}
    generated = generate(templates)
    chosen = [mutant for mutant in generated if _is_chosen(mutant, options)]
    if options.list:
        print(*(mutant.id for mutant in chosen), sep="\n")
        return 0
    started = time.monotonic()
    try:
        excused = equivalents.load()
        order = killers.warm_up()
        progress = report.Progress(len(chosen), sys.stderr)
        verdicts = run(chosen, templates, order, options.jobs, progress.add)
        progress.end()
        verdicts = rules.try_survivors(verdicts, templates, excused)
    except (killers.BrokenError, equivalents.WrongError) as error:
        print(f"mutants: {error}", file=sys.stderr)
        return 2
    result = report.Result(
        generated=len(generated),
        verdicts=verdicts,
        excused=excused,
        seconds=time.monotonic() - started,
    )
    complaints = [*result.complaints(), *equivalents.stale(excused, verdicts, generated)]
    for path in report.write(result):
        print(f"Wrote {path}.")
    print(report.table(result))
    print(*complaints, sep="\n")
    return 1 if complaints else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.mutants", description=(__doc__ or "").split("\n\n", maxsplit=1)[0]
    )
    parser.add_argument("--all", action="store_true", help="every mutant; takes hours")
    parser.add_argument("--file", action="append", help="of a template, such as vpc.yml")
    parser.add_argument("--operator", action="append", choices=OPERATORS, metavar="NAME")
    parser.add_argument("--id", action="append", help="of an id, or of those that match a pattern")
    parser.add_argument("--list", action="store_true", help="print the ids and run nothing")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many at a time")
    return parser.parse_args(arguments)


def _is_chosen(mutant: Mutant, options: argparse.Namespace) -> bool:
    if options.id:
        # Ids have brackets, which a pattern would take for a set of letters.
        return any(
            mutant.id == pattern or fnmatch.fnmatchcase(mutant.id, pattern.replace("[", "[[]"))
            for pattern in options.id
        )
    return (
        (options.all or mutant.selected)
        and (not options.file or mutant.file in options.file)
        and (not options.operator or mutant.operator in options.operator)
    )


if __name__ == "__main__":
    sys.exit(main())
