"""The JSON of the scrub comes back as it was, and nothing else is believed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sos.decisions.scrub_wire import pass_json, pass_of, standing_of, standing_shape
from sos.decisions.scrubbed import Scrubbed
from sos.decisions.topology import Server
from sos.words.errors import BadInput
from sos.words.interfaces import Findings, ScrubStanding

COUNTS = st.integers(0, 2**63 - 1)
FOUND = st.builds(Findings, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)
AGES = st.none() | st.floats(0, 1e9)
STANDING = st.builds(ScrubStanding, COUNTS, AGES, FOUND, st.none() | st.floats(0, 1), COUNTS, FOUND)
SHAPE = standing_shape(ScrubStanding())


@given(STANDING, COUNTS)
def test_what_is_written_is_read(standing: ScrubStanding, number: int) -> None:
    """Where it stands, and the number of a pass."""
    assert standing_of(json.loads(json.dumps(standing_shape(standing)))) == standing
    assert pass_of(pass_json(number)) == number


@pytest.mark.parametrize(
    "change",
    [
        {"passes": -1},
        {"passes": True},
        {"passes": None},
        {"share": 1.5},
        {"share": "half"},
        {"age": -1},
        {"age": float("nan")},
        {"found": None},
        {"found": {"damaged": 1}},
        {"checked": 1.5},
    ],
)
def test_what_is_wrong_is_refused(change: dict[str, Any]) -> None:
    """It comes from a peer."""
    with pytest.raises(BadInput):
        standing_of({**SHAPE, **change})


@pytest.mark.parametrize("shape", [None, [], "well", 3])
def test_what_is_no_object_is_refused(shape: Any) -> None:
    """As a whole."""
    with pytest.raises(BadInput):
        standing_of(shape)
    with pytest.raises(BadInput):
        pass_of(json.dumps(shape).encode())


def test_what_a_pass_found_is_a_sentence() -> None:
    """Each kind with its number; what is foreign is no damage; what could not be asked is not clean."""
    server = Server("http://a:3001")
    found = ScrubStanding(found=Findings(damaged=1, rows=2, foreign=3))
    for outcome, is_clean, sentence in (
        (Scrubbed(server, ScrubStanding()), True, "http://a:3001: all is well."),
        (
            Scrubbed(server, ScrubStanding(found=Findings(foreign=1))),
            True,
            "http://a:3001: 1 foreign thing among its files.",
        ),
        (Scrubbed(server, ScrubStanding(found=Findings(orphans=2))), False, "http://a:3001: 2 orphans."),
        (
            Scrubbed(server, found),
            False,
            "http://a:3001: 1 damaged blob, 2 damaged entries, 3 foreign things among its files."
            " The next round brings good bytes from another member.",
        ),
        (Scrubbed(server, why_unknown="it is gone"), False, "http://a:3001 was not scrubbed: it is gone."),
    ):
        assert (outcome.is_clean, outcome.sentence) == (is_clean, sentence)
