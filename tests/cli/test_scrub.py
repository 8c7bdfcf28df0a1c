"""``sos scrub``, against blob servers in memory: their answers pass through real HTTP."""

from __future__ import annotations

import io

import pytest
from twisted.internet.task import Clock

from sos.cli.progress import BarOfMembers, LinesOfMembers, NoProgress, progress_of_members
from sos.cli.scrub import ScrubOptions
from sos.decisions.scrubbed import Scrubbed
from sos.decisions.topology import Server, Topology
from sos.http.client import Client
from sos.http.front import Front
from sos.remote_replica import RemoteReplica
from sos.usecases.scrubbing import scrub_all
from sos.web.blobs import blob_server_root
from sos.web.guards import ClusterGuard
from sos.words.errors import Unavailable, Unsupported
from sos.words.interfaces import Findings, IScrubbed, ScrubStanding
from tests.support import success_of
from tests.support_wire import memory_connector
from tests.usecases.cluster_of import NOW, memory_store, put

A, B = Server("http://a:3001"), Server("http://b:3001")


class Slow:
    """A store whose pass takes some looks; or fails."""

    def __init__(self, *shares: float, error: Exception | None = None) -> None:
        self._shares = list(shares)
        self._error = error

    async def scrub(self) -> int:
        """Take it on."""
        if self._error is not None:
            raise self._error
        return 4

    async def scrub_standing(self) -> ScrubStanding:
        """Be a little further."""
        if self._shares:
            return ScrubStanding(passes=3, share=self._shares.pop(0), found=Findings(rows=99))
        return ScrubStanding(passes=4, found=Findings(damaged=1))


def outcomes_of(stores: dict[Server, IScrubbed]) -> tuple[list[Scrubbed], list[tuple[str, float]]]:
    """Scrub, and write down who was how far."""
    from twisted.internet.defer import Deferred

    clock, seen = Clock(), list[tuple[str, float]]()
    topology = Topology.of_servers(stores)
    running = Deferred.fromCoroutine(
        scrub_all(topology, stores, clock, lambda server, share: seen.append((server.url, share)))
    )
    clock.pump([1] * 10)
    return list(success_of(running)), seen


def test_all_members_are_asked_over_http() -> None:
    """One that is out of reach stops no other, and is named."""
    store = memory_store("a")
    put(store, b"hello", "abc")
    front = Front(blob_server_root(store, ClusterGuard(None), lambda: NOW, "1"), Clock(), lambda: NOW)
    client = Client(memory_connector({A.url: front}), Clock())
    outcomes, _ = outcomes_of({server: RemoteReplica(client, server.url) for server in (A, B)})
    assert [outcome.is_clean for outcome in outcomes] == [True, False]
    assert outcomes[0].sentence == f"{A.url}: all is well."
    assert outcomes[1].sentence == f"{B.url} was not scrubbed: it refused the connection."


def test_a_pass_is_watched_to_its_end() -> None:
    """What an earlier one found is not mistaken for its findings."""
    outcomes, seen = outcomes_of({A: Slow(0.0, 0.5, 0.9), B: Slow()})  # type: ignore[dict-item]
    assert [outcome.standing and outcome.standing.found for outcome in outcomes] == [Findings(damaged=1)] * 2
    assert [share for url, share in seen if url == A.url] == [0.0, 0.5, 0.9, 1.0]


@pytest.mark.parametrize(
    ("error", "why"), [(Unsupported("old"), "it does not know how"), (Unavailable("The disk fails."), "The disk fails")]
)
def test_a_member_that_cannot_says_why(error: Exception, why: str) -> None:
    """An old server; a store that takes no writes."""
    outcomes, _ = outcomes_of({A: Slow(error=error)})  # type: ignore[dict-item]
    assert outcomes[0].sentence == f"{A.url} was not scrubbed: {why}."


def test_progress_is_a_line_on_a_terminal_and_lines_elsewhere() -> None:
    """And nothing where it is not wanted."""
    stream = io.StringIO()
    lines = progress_of_members(stream, True, [A, B])
    assert isinstance(lines, LinesOfMembers)
    for share in (0.05, 0.11, 0.12, 0.5, 1.0):
        lines.moved(A, share)
    lines.end()
    assert stream.getvalue() == f"{A.url}: 10 %\n{A.url}: 50 %\n{A.url}: 100 %\n"
    quiet = progress_of_members(stream, False, [A, B])
    assert isinstance(quiet, BarOfMembers)
    quiet.moved(A, 0.5)
    quiet.end()


def test_the_bar_grows_with_each_member() -> None:
    """It never goes back: a pass that begins anew is still the same wait."""

    class Bar(NoProgress):
        done = 0

        def advance(self, amount: int) -> None:
            """Count."""
            self.done += amount

    bar = Bar()
    members = BarOfMembers(bar, [A, B])
    for server, share, done in ((A, 0.5, 500), (B, 0.25, 750), (A, 0.1, 750), (A, 1.0, 1250), (B, 1.0, 2000)):
        members.moved(server, share)
        assert bar.done == done


def test_members_are_named_as_for_replicate() -> None:
    """With the same options."""
    options = ScrubOptions()
    options.parseOptions(["-q", "-blob-server", f"{A},{B}"])
    assert (options.topology.servers, options["quiet"]) == ((A, B), 1)
