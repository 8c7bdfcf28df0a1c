"""What a test needs of the machine and does not find: a loud skip here, a failure where everything was to be installed."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

MUST_RUN = "MUST_RUN"


def skip_loudly(why: str) -> NoReturn:
    """Skip a test that cannot run on this machine; where ``MUST_RUN`` is set, as by ``.ci/run``, fail it instead.

    It is not ``CI``, by which Hypothesis decides to try the same examples every time.
    """
    if os.environ.get(MUST_RUN):
        pytest.fail(f"This cannot run here, and {MUST_RUN} is set: {why}")
    pytest.skip(f"SKIPPED: {why}")
