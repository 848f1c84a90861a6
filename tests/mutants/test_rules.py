"""What no test notices is tried on the rules of cfn-guard, and on the packaging."""

from __future__ import annotations

import pytest

from scripts.mutants import rules
from scripts.mutants.generate import Mutant, generate
from scripts.mutants.run import Verdict
from tests.templates import loader

BROKEN = "database.yml:Resources.PaymentDBCluster.Properties.StorageEncrypted:switch-flip"
UNNOTICED = "database.yml:Resources.PaymentDBInstance1.Properties.PromotionTier:property-remove"


@pytest.fixture(scope="module")
def templates() -> dict[str, loader.Template]:
    return {path.name: loader.load(path) for path in loader.DIRECTORY.glob("*.yml")}


@pytest.fixture(scope="module")
def mutants(templates: dict[str, loader.Template]) -> dict[str, Mutant]:
    return {mutant.id: mutant for mutant in generate(templates)}


def test_a_rule_kills_what_it_is_broken_by(
    templates: dict[str, loader.Template], mutants: dict[str, Mutant]
) -> None:
    survivors = [Verdict(mutants[name], None) for name in (BROKEN, UNNOTICED)]
    broken, unnoticed = rules.try_survivors(survivors, templates, excused=[])
    assert str(broken.killed_by).startswith("cfn-guard: PaymentDBCluster breaks ")
    assert unnoticed.killed_by is None


def test_what_is_killed_or_makes_no_difference_is_left_alone(
    templates: dict[str, loader.Template], mutants: dict[str, Mutant]
) -> None:
    verdicts = [
        Verdict(mutants[BROKEN], "test_database.py::test_one"),
        Verdict(mutants[UNNOTICED], None),
    ]
    assert rules.try_survivors(verdicts, templates, excused=[UNNOTICED]) == verdicts
