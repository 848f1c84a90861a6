"""Fixtures for tests of the templates; the same for every template."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.templates.loader import ENVIRONMENTS, ROOT, Template, in_environment, load_all


@pytest.fixture(scope="session")
def templates() -> dict[str, Template]:
    """Every template by its file name."""
    return load_all()


@pytest.fixture(scope="session")
def root(templates: dict[str, Template]) -> Template:
    """The template that nests the others."""
    return templates[ROOT]


@pytest.fixture(params=ENVIRONMENTS)
def environment(request: pytest.FixtureRequest) -> str:
    """Each environment in turn."""
    return str(request.param)


@pytest.fixture
def deployed(templates: dict[str, Template], environment: str) -> Callable[..., Template]:
    """Returns a template, by its file name, as it is deployed in the environment of the test."""

    def resolve(file: str, **parameters: object) -> Template:
        return in_environment(templates[file], environment, **parameters)

    return resolve
