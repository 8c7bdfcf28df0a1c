"""Who may hold what was deleted, and of which blobs that is to be feared."""

from __future__ import annotations

from attrs import evolve

from sos.decisions.ghosts import Ghosts
from sos.words.blob import BlobID, Entry, Version
from sos.words.interfaces import StoreSummary

SAID = StoreSummary("uuid", bytes(16), 0, 0, 0, 0, Version(7), 4, "one")
LIVE = Entry(id=BlobID("abc"), version=Version(5))
NONE: Ghosts[str] = Ghosts()
GHOSTS = Ghosts(frozenset({"x", "y"}), Version(7))


def test_a_member_of_an_older_round_than_the_last_dropping_has_missed_it() -> None:
    """Those that were there have not, and neither has anybody where nothing was ever dropped."""
    dropped = evolve(SAID, dropped_round=4, dropped_version=Version(6))
    earlier = evolve(SAID, round=6, dropped_round=2, dropped_version=Version(9))
    found = Ghosts.among({"a": dropped, "b": earlier, "c": evolve(SAID, round=3), "d": SAID})
    assert found == Ghosts(frozenset({"c"}), Version(9))
    assert Ghosts.among({"a": SAID, "b": evolve(SAID, round=0)}).away == frozenset()
    assert Ghosts.among({}) == NONE


def test_what_only_those_hold_at_an_old_version_may_be_a_ghost() -> None:
    """Not what others know of, what is newer than all that was dropped, or what is deleted already."""
    assert GHOSTS.has({"x": LIVE})
    assert GHOSTS.has({"x": LIVE, "y": evolve(LIVE, version=Version(7))})
    assert not GHOSTS.has({"x": LIVE, "a": LIVE})
    assert not GHOSTS.has({"x": LIVE, "y": evolve(LIVE, version=Version(8))})
    assert not GHOSTS.has({"x": LIVE, "y": Entry.tombstone(LIVE.id, Version(6))})
    assert not NONE.has({"x": LIVE})
