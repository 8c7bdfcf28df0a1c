"""Torture F39 over the wire: a home group that is away, and what the next group keeps for it."""

from __future__ import annotations

from sos.decisions import placement
from sos.store.memory import MemoryStore
from sos.usecases.copying import Round
from sos.words.interfaces import ILocalReplica
from sos.words.versions import HybridClock
from tests.cluster.conftest import Builder
from tests.cluster.town import Town, id_of, topology_of
from tests.support import success_of

RED, BLUE = {"X-Colour": "red"}, {"X-Colour": "blue"}
ROOM = 10_000


def homed(town: Town, group: str, size: int = 20) -> bytes:
    """Make an object whose home is a group."""
    groups = town.api.cluster.topology.groups
    payloads = (b"%d" % number + b"x" * size for number in range(100))
    return next(payload for payload in payloads if placement.order(id_of(payload), groups)[0].name == group)


def round_of(town: Town) -> Round:
    """Run a round to its end, once all members are known to be well."""
    town.pass_time(60)
    replicating = town.api.replicate()
    town.seconds_until(lambda: replicating.called)
    return success_of(replicating)


def colour_of(town: Town, payload: bytes) -> str | None:
    """Fetch, and give the colour, None where the object is not found."""
    answer = town.answer_to(town.fetch(payload))
    assert answer.status in (200, 404)
    return answer.headers.get("x-colour")


def uploaded(town: Town, payload: bytes, headers: dict[str, str]) -> int:
    """Upload, which must go well, and give the number of copies."""
    answer = town.answer_to(town.upload(payload, headers))
    assert answer.status == 200
    return int(answer.json["copies"])


def deleted(town: Town, payload: bytes) -> int:
    """Delete, and give the status."""
    return town.answer_to(town.delete(payload)).status


def test_upload_while_home_is_away_then_delete_and_upload_again(build: Builder) -> None:
    """The newest wins; nothing is a ghost, and nothing is lost."""
    town = build(one="ab", two="cd")
    payload = homed(town, "one")
    for line in town.lines("ab"):
        line.refuse()
    assert uploaded(town, payload, RED) == 2
    assert (town.holders(payload), town.strays()) == ("cd", "cd")
    assert colour_of(town, payload) == "red"
    for line in town.lines("ab"):
        line.heal()
    town.pass_time(60)
    assert colour_of(town, payload) == "red"
    assert deleted(town, payload) == 204
    assert colour_of(town, payload) is None
    assert uploaded(town, payload, BLUE) == 2
    for _ in range(2):
        assert colour_of(town, payload) == "blue"
        assert round_of(town).is_complete
    assert (town.holders(payload), town.strays()) == ("ab", "")


def test_delete_while_home_is_away_is_202_and_reaches_it_with_a_round(build: Builder) -> None:
    """What comes back is not found after that; what was uploaded since lives."""
    town = build(one="ab", two="cd")
    gone, again = homed(town, "one"), homed(town, "one", 30)
    for payload in (gone, again):
        assert uploaded(town, payload, RED) == 2
    for line in town.lines("ab"):
        line.refuse()
    assert (deleted(town, gone), deleted(town, again)) == (202, 202)
    assert town.answer_to(town.fetch(gone)).status == 503
    assert uploaded(town, again, BLUE) == 2
    assert town.strays() == "cd"
    for line in town.lines("ab"):
        line.heal()
    assert round_of(town).is_complete
    assert (town.holders(gone), town.holders(again), town.strays()) == ("", "ab", "")
    assert (colour_of(town, gone), colour_of(town, again)) == (None, "blue")


def test_a_group_that_was_away_during_a_delete_is_no_source_of_it(build: Builder) -> None:
    """It kept the object when the home group was added later; its copy is older than the tombstone at home."""
    town = build(one="ab", two="cd")
    payload = homed(town, "two")
    both = town.api.cluster.topology
    town.api.cluster.change(topology_of({"one": "ab"}))
    assert uploaded(town, payload, RED) == 2
    assert (town.holders(payload), town.strays()) == ("ab", "")
    town.api.cluster.change(both)
    assert colour_of(town, payload) == "red"
    for line in town.lines("ab"):
        line.refuse()
    assert deleted(town, payload) == 202
    for line in town.lines("ab"):
        line.heal()
    town.pass_time(60)
    assert town.holders(payload) == "ab"
    assert colour_of(town, payload) is None
    assert town.fetch(payload, "HEAD").answer.status == 404
    assert uploaded(town, payload, BLUE) == 2
    assert colour_of(town, payload) == "blue"


def test_strays_of_a_full_home_group_stay_where_they_are(build: Builder) -> None:
    """They are found, and no round fails because of them; with room they go home."""

    def store_for(name: str, clock: HybridClock) -> ILocalReplica:
        return MemoryStore(f"store-{name}", clock, ROOM if name in "ab" else 100 * ROOM)

    town = build(store_for=store_for, one="ab", two="cd")
    filling, first, second = (homed(town, "one", size) for size in (9000, 4000, 3000))
    assert [uploaded(town, payload, RED) for payload in (filling, first, second)] == [2, 2, 2]
    assert (town.holders(first), town.strays()) == ("cd", "cd")
    for _ in range(2):
        outcome = round_of(town)
        assert outcome.is_complete
        assert town.strays() == "cd"
    assert colour_of(town, first) == colour_of(town, second) == "red"
    assert deleted(town, filling) == 204
    assert round_of(town).is_complete
    assert (town.holders(first), town.holders(second), town.strays()) == ("ab", "ab", "")
