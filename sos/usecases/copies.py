"""Copies: write an entry to the members of the first group that takes enough of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial

from attrs import evolve
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from sos.concurrently import concurrently
from sos.decisions.tally import CopyTally, usual_min_copies
from sos.decisions.topology import Group, Server
from sos.http.bodies import BytesBody
from sos.usecases.cluster import GREETING, Cluster
from sos.usecases.coalescing import Coalescer, Consignment
from sos.usecases.group_write import GroupWrite, Write
from sos.usecases.load import Load
from sos.usecases.patience import within
from sos.words.blob import BlobID, Entry, Kind, Metadata, Parcel
from sos.words.errors import (
    BlobConflict,
    Forbidden,
    NotEnoughCopies,
    SOSError,
    StoreFull,
    Unauthorized,
    Unavailable,
    Unsupported,
)
from sos.words.interfaces import IBlobStore, IDigested, Received

MOST_CLOCK_MOVES = 3
"""How often a writer moves its clock past a newer entry and sends again to all (design, section 5)."""

ONE_BY_ONE = 60.0
"""Seconds for which a member that takes no batches is not sent another: it may be a newer program soon, or let us in."""

Deliver = Callable[[IBlobStore, Entry], Awaitable[Received]]
"""Brings an entry to the store of one member, with its bytes or without. Raises what a store refuses it with."""

_WriteIn = Callable[[Group, Entry], Awaitable[CopyTally]]
"""Writes an entry to the members of a group."""


class Copies:
    """Makes copies, and promises only what is durable."""

    _log = Logger()

    def __init__(self, cluster: Cluster, clock: IReactorTime, min_copies: int | None = None) -> None:
        """Write to a cluster. `min_copies` is what an acknowledgement needs, None for what is usual for each group."""
        self._cluster = cluster
        self._versions = cluster.versions
        self._clock = clock
        self._min_copies = min_copies
        self._coalescers: dict[str, tuple[Group, Coalescer]] = {}
        self._one_by_one: dict[Server, float] = {}  # until when

    def needed_in(self, group: Group) -> int:
        """Give the copies that an acknowledgement needs in a group."""
        return usual_min_copies(group) if self._min_copies is None else self._min_copies

    def groups_for(self, blob_id: BlobID) -> Sequence[Group]:
        """Give the groups in the order in which they are tried for an ID."""
        return list(self._cluster.groups_for(blob_id))

    def seconds(self) -> float:
        """Give the time by which writes wait: it only counts on, whatever the wall clock says."""
        return self._clock.seconds()

    async def deliver(self, entry: Entry, deliver: Deliver, groups: Iterable[Group], *, has_home: bool = True) -> CopyTally:
        """Write an entry, by `deliver`, under a version of its own to the first of some groups that takes enough copies.

        Gives the tally of that group. Where it is another than the first the entry is marked as a stray, and a round
        carries it home; but not where it is said to have no home, for then it belongs wherever it is.

        Raises `BlobConflict` where a member holds other bytes under the ID, `StoreFull` where every group is full, and
        `NotEnoughCopies` where none can promise enough copies now.
        """

        async def write_in(group: Group, versioned: Entry) -> CopyTally:
            async def write(server: Server) -> Sequence[Received]:
                return [await deliver(self._cluster.store_of(server), versioned)]

            (tally,) = await self._write_to_members(group, 1, write)
            return tally

        return await self._write_to_first(groups, entry, write_in, has_home)

    async def send(self, entry: Entry, payload: bytes, load: Load, groups: Iterable[Group]) -> CopyTally:
        """Do the same for a blob that can go in a batch: it goes with others that wait to be written to the same group.

        The load is held while the payload is in use.
        """

        def write_in(group: Group, versioned: Entry) -> Awaitable[CopyTally]:
            return self._coalescer_of(group).write(Consignment(Parcel(versioned, payload), load))

        return await self._write_to_first(groups, entry, write_in, has_home=True)

    async def renew_blob(self, blob_id: BlobID, size: int, metadata: Metadata, expires: int | None) -> CopyTally | None:
        """Renew what members of the home group hold under an ID as one blob of this size; None where too few of them do."""
        home = self.groups_for(blob_id)[0]
        held = await concurrently(self._stat(server, blob_id) for server in home.members)
        sound = [entry for entry in held if entry is not None and (entry.kind, entry.size) == (Kind.BLOB, size)]
        if not sound or sound[0].sha256 is None:
            return None
        try:
            return await self.deliver(evolve(sound[0], metadata=metadata, expires=expires, is_stray=False), _renew, [home])
        except (BlobConflict, NotEnoughCopies, StoreFull):
            return None

    async def _stat(self, server: Server, blob_id: BlobID) -> Entry | None:
        if self._cluster.is_resting(server):
            return None
        try:
            return await within(GREETING, self._clock, server, _stat(self._cluster.store_of(server), blob_id))
        except SOSError:
            return None

    async def _write_to_first(self, groups: Iterable[Group], entry: Entry, write_in: _WriteIn, has_home: bool) -> CopyTally:
        await self._cluster.greeted()  # so that what is written is newer than all that any member in reach has seen
        tallies: list[CopyTally] = []
        for group in groups:
            tally = await self._write(group, entry, has_home and bool(tallies), write_in)
            if tally.other_bytes is not None:
                raise tally.other_bytes
            if tally.is_met:
                return tally
            self._log.debug("Group {group} did not take {id}: {errors}", group=group.name, id=entry.id, errors=tally.errors)
            tallies.append(tally)
        raise _refusal(tallies)

    async def _write(self, group: Group, entry: Entry, is_stray: bool, write_in: _WriteIn) -> CopyTally:
        """Write to a group; where a member holds something newer, move the clock past that and send again to all."""
        for _ in range(MOST_CLOCK_MOVES):
            tally = await write_in(group, entry.written_at(self._versions.tick(), is_stray=is_stray))
            newest = tally.newest_held
            if newest is None or tally.other_bytes is not None or not self._cluster.follows(newest):
                return tally
        raise NotEnoughCopies(f"A blob server kept finding newer versions of {entry.id}; upload it again.")

    async def _write_to_members(self, group: Group, count: int, write: Write) -> list[CopyTally]:
        needed = self.needed_in(group)
        writers = self._cluster.writers_of(group, needed)
        doubtful = frozenset(filter(self._cluster.is_resting, writers))
        writing = GroupWrite(count, needed, self._clock, self._cluster.failed, self._cluster.is_alive)
        return await writing.run(writers, write, doubtful)

    # Small blobs

    def _coalescer_of(self, group: Group) -> Coalescer:
        """Give what writes small blobs to a group; to one that was changed, another."""
        known, coalescer = self._coalescers.get(group.name, (None, None))
        if coalescer is None or known is not group:
            coalescer = Coalescer(self._clock, partial(self._write_some, group))
            self._coalescers[group.name] = group, coalescer
        return coalescer

    async def _write_some(self, group: Group, consignments: Sequence[Consignment]) -> list[CopyTally]:
        """Write small blobs to the members of a group; each load is held until the slowest member has ended."""
        parcels = [consignment.parcel for consignment in consignments]

        async def write(server: Server) -> Sequence[Received | SOSError]:
            for consignment in consignments:
                consignment.load.hold()
            try:
                return await self._send_some(server, parcels)
            finally:
                for consignment in consignments:
                    consignment.load.let_go()

        return await self._write_to_members(group, len(parcels), write)

    async def _send_some(self, server: Server, parcels: Sequence[Parcel]) -> Sequence[Received | SOSError]:
        """Send small blobs to a member: together, or one by one where it does not take batches, or not this one."""
        store = self._cluster.store_of(server)
        if len(parcels) == 1:
            return [await _receive(store, parcels[0])]
        digested = IDigested(store, None)
        if digested is not None and self.seconds() >= self._one_by_one.get(server, 0.0):
            try:
                return await digested.receive_some(parcels)
            except Unavailable:
                raise
            except SOSError as error:
                self._log.info("Small blobs go one by one to {server}: {error}", server=server.url, error=error)
                if isinstance(error, Unsupported | Unauthorized | Forbidden):
                    self._one_by_one[server] = self.seconds() + ONE_BY_ONE
        return await concurrently(_outcome_of(store, parcel) for parcel in parcels)


async def _receive(store: IBlobStore, parcel: Parcel) -> Received:
    return await store.receive(parcel.entry, BytesBody(parcel.payload))


async def _outcome_of(store: IBlobStore, parcel: Parcel) -> Received | SOSError:
    try:
        return await _receive(store, parcel)
    except SOSError as error:
        return error


async def _stat(store: IBlobStore, blob_id: BlobID) -> Entry:
    return await store.stat(blob_id)


async def _renew(store: IBlobStore, entry: Entry) -> Received:
    digested = IDigested(store, None)
    if digested is None:
        raise Unsupported("A server of the old contract has nothing to renew.")
    return await digested.renew(entry)


def _refusal(tallies: list[CopyTally]) -> StoreFull | NotEnoughCopies:
    if any(tally.is_full for tally in tallies) and all(tally.is_full or not tally.outcomes for tally in tallies):
        return StoreFull("No blob server has room for this upload.")
    made = max((tally.copies for tally in tallies), default=0)
    needed = max((tally.needed for tally in tallies), default=1)
    return NotEnoughCopies(f"An upload needs {needed} durable copies here, and only {made} could be made now.")
