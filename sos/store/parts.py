"""The parts of a store on a disk: made by `sos.store.opening`, put together by `sos.store.disk`."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen
from twisted.internet.interfaces import IReactorTime

from sos.store import replica
from sos.store.ages import Ages
from sos.store.index import Index
from sos.store.listing import Listing
from sos.store.marker import Claim
from sos.store.reader import Reader
from sos.store.recent import Recent
from sos.store.scrub import ScrubParts
from sos.store.staging import Workshop
from sos.store.warming import Warming
from sos.words.interfaces import InThread
from sos.words.versions import HybridClock


@frozen
class Parts:
    """What a disk store is put together from."""

    claim: Claim
    workshop: Workshop
    index: Index
    reader: Reader
    recent: Recent
    listing: Listing
    warming: Warming
    commit_in_thread: InThread
    clock: HybridClock
    ages: Ages
    standing: replica.Standing
    dropped: replica.Dropped
    scrub: ScrubParts
    release: Callable[[], None]
    waiting: IReactorTime | None
    """What readers of much wait by, so that others have their turn."""
