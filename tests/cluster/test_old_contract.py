"""Torture B17 and F40: servers of the old contract in a group."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred

from sos.usecases.copying import Round
from sos.usecases.deletes import Deletes
from sos.words.errors import Unsupported
from tests.cluster.conftest import Builder
from tests.cluster.old_server import OldServer
from tests.cluster.test_read_repair import Rotting, rot
from tests.cluster.town import Town, id_of
from tests.support import failure_of, success_of

PAYLOADS = [b"%d" % number * size for number in range(4) for size in (10, 3000, 100_000)]
HEADERS = {"X-Colour": "red", "X-Mime-Type": "text/plain"}


def age(town: Town, names: str) -> list[OldServer]:
    """Put servers of the old contract in the place of some members."""
    olds = [OldServer() for _ in names]
    for name, old in zip(names, olds, strict=True):
        town.members[name].line.heal()
        town.members[name].line.server = old
    return olds


def replicated(town: Town) -> Round:
    """Run a round."""
    running: Deferred[Round] = town.api.replicate()
    town.seconds_until(lambda: running.called)
    return success_of(running)


@pytest.mark.parametrize("names", ["a", "ab", "abc"])
def test_uploads_and_fetches_work_and_no_header_of_ours_reaches_a_client(town: Town, names: str) -> None:
    """Of a group that is old in part, or as a whole."""
    olds = age(town, names)
    for payload in PAYLOADS:
        answer = town.answer_to(town.upload(payload, HEADERS))
        assert (answer.status, answer.json["copies"]) == (200, 3)
    for old in olds:
        assert {name: payload for name, (_, payload) in old.blobs.items()} == {id_of(one): one for one in PAYLOADS}
        assert any(name.lower().startswith("x-sos-") for headers, _ in old.blobs.values() for name, _ in headers)
    for name in "abc":  # each of them has to give it once
        for line in town.lines("abc".replace(name, "")):
            line.refuse()
        for payload in PAYLOADS:
            for method in ("GET", "HEAD"):
                answer = town.answer_to(town.fetch(payload, method))
                assert (answer.status, answer.headers["x-colour"]) == (200, "red")
                assert answer.body == (payload if method == "GET" else b"")
                assert not [header for header in answer.headers if header.startswith("x-sos")]
            ranged = town.answer_to(town.fetch(payload, headers={"Range": "bytes=2-5"}))
            assert ranged.body in (payload[2:6], payload)
        for line in town.lines("abc"):
            line.heal()
        town.pass_time(120)


def test_replication_fills_an_old_server_and_is_filled_by_it(town: Town) -> None:
    """By lists of names; the second round copies nothing."""
    (old,) = age(town, "a")
    for payload in PAYLOADS[:6]:
        town.stored(payload)
    old.blobs.clear()
    for payload in PAYLOADS[6:]:
        old.blobs[id_of(payload)] = ([("X-Colour", "blue")], payload)
    outcome = replicated(town)
    assert (outcome.copied, outcome.failed, outcome.unreachable) == (6 + 2 * 6, 0, {})
    assert {name: payload for name, (_, payload) in old.blobs.items()} == {id_of(one): one for one in PAYLOADS}
    assert {town.holders(payload) for payload in PAYLOADS} == {"bc"}  # the new ones are looked at here
    old.asked.clear()
    assert replicated(town).copied == 0
    assert {line.partition("?")[0] for line in old.asked} == {"GET /sync", "GET /blobs"}
    town.members["a"].line.refuse()
    for payload in PAYLOADS:
        assert town.fetched(payload) == 200


def test_wrong_bytes_of_an_old_server_are_seen_by_their_id(town: Town) -> None:
    """They are not served, and another member is asked: though it does not say their length, none has left before."""
    (old,) = age(town, "a")
    for payload in PAYLOADS:
        town.stored(payload)
        headers, _ = old.blobs[id_of(payload)]
        old.blobs[id_of(payload)] = headers, payload[:-1] + b"!"
    for _ in range(4):
        assert {town.fetched(payload) for payload in PAYLOADS} == {200}


def test_wrong_bytes_of_an_old_server_are_not_copied(town: Town) -> None:
    """Nobody else would notice: it keeps no digest, and whoever takes the bytes makes one of its own."""
    (old,) = age(town, "a")
    for payload in PAYLOADS:
        old.blobs[id_of(payload)] = [], payload[:-1] + b"!"
    outcome = replicated(town)
    assert (outcome.copied, outcome.is_complete) == (0, False)
    assert {town.holders(payload) for payload in PAYLOADS} == {""}


def test_wrong_bytes_are_not_copied_to_an_old_server(build: Builder) -> None:
    """It takes whatever comes whole; so nothing wrong does."""
    town = build(store_for=lambda name, clock: Rotting(f"store-{name}", clock))
    (old,) = age(town, "a")
    for payload in PAYLOADS:
        town.stored(payload)
    old.blobs.clear()
    rot(town, "bc")
    outcome = replicated(town)
    assert (outcome.copied, outcome.is_complete) == (0, False)
    assert old.blobs == {}
    rot(town, "bc", is_rotten=False)


def test_a_delete_that_would_have_to_reach_an_old_server_is_refused(build: Builder) -> None:
    """501, for a tombstone cannot be left there."""
    town = build()
    age(town, "a")
    town.stored(PAYLOADS[0])
    deleting = Deferred.fromCoroutine(Deletes(town.api.cluster, lambda group: 2, town.clock).delete(id_of(PAYLOADS[0])))
    assert isinstance(failure_of(deleting), Unsupported)
