"""What the contracts of replicas have in common."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.replica_sites import SITES, Site
from tests.support import success_of


@pytest.fixture(params=SITES)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """Give one empty store of each kind; when the test is over, its books must be right."""
    made: Site = request.param(tmp_path / "store")
    yield made
    if not made.local._is_closed:
        made.check_books()
        success_of(made.local.close())
