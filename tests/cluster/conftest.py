"""Towns that are left as they were found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.town import Town


class Builder:
    """Builds the towns of one test."""

    def __init__(self) -> None:
        self.towns: list[Town] = []

    def __call__(self, **options: Any) -> Town:
        """Build one; the options are those of `Town`."""
        self.towns.append(Town(**options))
        return self.towns[-1]


@pytest.fixture
def build() -> Iterator[Builder]:
    """Give what builds towns; each is ended after the test, and has left nothing behind."""
    builder = Builder()
    yield builder
    for town in builder.towns:
        town.end()


@pytest.fixture
def town(build: Builder) -> Town:
    """Give a town with one group of three."""
    return build()
