"""How many connections there may be, by the descriptors that there are."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from sos.services.descriptors import OWN, connections_within

ASK = """
import resource
from sos.services.descriptors import limit_raised_for
print(limit_raised_for(100), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("descriptors", "connections"), [(64, 5), (1024, 165), (60_031, 9_999), (60_032, 10_000), (524_288, 10_000), (10, 1)]
)
def test_each_connection_leaves_room_for_what_it_needs(descriptors: int, connections: int) -> None:
    """Torture H65: and one is served at least."""
    assert connections_within(descriptors, 10_000) == connections


@pytest.mark.parametrize(("soft", "hard", "raised"), [(64, 256, 256), (64, 5000, 632), (700, 5000, 700), (632, 632, 632)])
def test_a_low_limit_is_raised_as_far_as_it_may(soft: int, hard: int, raised: int) -> None:
    """A service of systemd has 1,024 and may have 524,288. A limit that is high enough is left alone."""
    assert OWN + 6 * 100 == 632
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limits[1] < hard:
        pytest.skip("this machine allows fewer descriptors")
    command = [sys.executable, "-c", f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard})){ASK}"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert said.split() == [str(raised), str(raised), str(hard)]
