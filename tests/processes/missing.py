"""What a test needs of the machine and does not find: a loud skip here, a failure where everything was to be installed."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def skip_loudly(why: str) -> NoReturn:
    """Skip a test that cannot run on this machine; in continuous integration, which says CI, fail it instead."""
    if os.environ.get("CI", "").lower() not in ("", "0", "false"):
        pytest.fail(f"This cannot run here, and continuous integration has to run it: {why}")
    pytest.skip(f"SKIPPED: {why}")
