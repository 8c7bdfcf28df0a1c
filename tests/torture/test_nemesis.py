"""Clients and mixed faults over real processes on hosts of their own, and a checker of what the clients saw.

After a while everything is mended, two rounds are run, and all is looked at: through both apis, and in each store.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.simulation.history import Outcome, Verb, violations_of
from tests.torture.at_rest import read_at_rest
from tests.torture.estate import APIS, GROUPS, HOSTS, MEMBERS, Estate
from tests.torture.nemesis import FRAGILE, Nemesis
from tests.torture.scale import NEMESIS_RUNS, NEMESIS_SECONDS, times
from tests.torture.tally import Tally
from tests.torture.things import Crowd

pytestmark = pytest.mark.torture

CLIENTS = 6
FIRST_SEED = 1


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + times(NEMESIS_RUNS)))
def test_no_client_sees_what_cannot_be(empty_estate: Estate, tallies: list[Tally], seed: int) -> None:
    """Uploads, fetches and deletes under kills, stops, partitions, lost answers, full and damaged disks and wrong clocks."""
    estate, tally = empty_estate, Tally(f"history under mixed faults, seed {seed}")
    tallies.append(tally)
    nemesis = Nemesis(estate, seed)
    estate.begin()
    crowd = Crowd(estate, seed, CLIENTS)
    crowd.begin()
    nemesis.rage(NEMESIS_SECONDS)
    crowd.end()
    problems = [*_aftermath(estate, nemesis, crowd), *crowd.faults]
    problems += [
        f"{found.rule} {found.operation.object[:8]} at {found.operation.called - crowd.began:.3f}: {found.why}"
        for found in violations_of(crowd.history)
    ]
    unknown = sum(operation.outcome is Outcome.UNKNOWN for operation in crowd.history) / len(crowd.history)
    tally.cases = len(crowd.history)
    tally.violations += problems
    tally.note(f"{unknown:.1%} unknown, {crowd.asked_again} last fetches asked again")
    tally.note(", ".join(f"{count} {status}" for status, count in sorted(crowd.statuses.items())))
    tally.note(f"{sum(nemesis.counts.values())} faults: " + ", ".join(f"{n} {name}" for name, n in nemesis.counts.items()))
    for without in nemesis.lacking:
        tally.note(f"SKIPPED: {without}")
    assert not problems, "\n".join([*problems, *nemesis.deeds, str(crowd.statuses), *crowd.lines_about(problems)])
    done = {(operation.verb, operation.outcome) for operation in crowd.history if not operation.is_final}
    assert done >= {(verb, Outcome.DONE) for verb in Verb}, (
        f"clients could do too little: this showed nothing: {crowd.statuses}"
    )


def _aftermath(estate: Estate, nemesis: Nemesis, crowd: Crowd) -> Iterator[str]:
    """Mend everything, run two rounds, and look at all that there is."""
    estate.when_it_serves(*HOSTS)
    estate.when_well()
    for blob in sorted(nemesis.flipped):  # as the scrub would, in its own time
        estate.direct("POST", FRAGILE, f"/sync/suspect/{blob}")
    yield from (f"I11: {complaint}" for complaint in estate.disagreements())
    for thing in crowd.things:
        for api in APIS:
            crowd.fetch_at_last(thing, api)
    for process in estate.started:
        if "Traceback" in process.output:
            yield f"S10: a traceback: {process.output[-3000:]}"
    estate.end()
    stores = {name: read_at_rest(estate.seen(name)) for name in MEMBERS}
    for name, store in stores.items():
        yield from (f"{name}: {fault}" for fault in store.wrong)
    for names in GROUPS.values():
        for name in names[1:]:
            unequal = stores[name].entries ^ stores[names[0]].entries
            yield from (f"I11: {name} and {names[0]} differ in {entry.id[:12]} {entry.state.name}" for entry in unequal)
