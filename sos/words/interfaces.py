"""The seams between the parts of sos: whoever needs a part asks for the narrowest of these.

Everything that moves bytes is Twisted's own `IBodyProducer`: ``startProducing(consumer)`` gives a Deferred that fires when
all bytes were written, and fails when they cannot all be had (`BlobTruncated`, `ServerUnavailable`, `BlobDamaged`).
A body is used once: it is either poured to its end or told ``stopProducing()``, and that closes what lies behind it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar

from attrs import frozen
from twisted.internet.interfaces import IConsumer
from twisted.web.iweb import IBodyProducer
from zope.interface import Attribute, Interface

from sos.words.blob import OLD_CONTRACT, BlobID, Entry, Kind, Parcel, Span, Version
from sos.words.errors import SOSError
from sos.words.versions import HybridClock

T = TypeVar("T")


class InThread(Protocol):
    """Runs a blocking call elsewhere than in the reactor's thread; in tests, at once and right here."""

    def __call__(self, call: Callable[..., T], *arguments: Any) -> Awaitable[T]:
        """Give the call's result, or its exception."""


@frozen
class OpenBlob:
    """A blob that is ready to be poured: its entry, and the bytes of the span that was asked for."""

    entry: Entry
    body: IBodyProducer


@frozen
class Received:
    """What a store holds after it took a write: the entry, and the UUID of the store (None: an old-contract server)."""

    entry: Entry
    store: str | None = None


class IBodySource(Interface):
    """Bytes that can be sent more than once: to a second member, or again after a failure."""

    size: int | None = Attribute("The number of bytes of each body, None where unknown.")

    def body() -> IBodyProducer:
        """Make a fresh body, from byte 0."""


class IFileConsumer(IConsumer):
    """A consumer that can take bytes right out of an open file, so that they are not copied through this process."""

    takes_files: bool = Attribute("Whether it can now; else the bytes are read and written, as to any consumer.")

    def take_from_file(descriptor: int, at: int, most: int) -> int:
        """Take some bytes from the place `at` on, `most` of them at most, and say how many it took.

        None were taken where it has paused the producer, or where it can do so no more: then `takes_files` says so, and
        whoever reads the bytes itself will find out whether it is the file that is to blame.
        """


class IBlobFetcher(Interface):
    """Gives blobs back."""

    def fetch(blob_id: BlobID, span: Span | None = None) -> Awaitable[OpenBlob]:
        """Open a live blob, or a span of it; the caller pours or stops the body.

        Raises `BlobNotFound`, `BlobDamaged`, `RangeNotSatisfiable` (the span does not lie within the blob), `Unavailable`.
        """

    def stat(blob_id: BlobID) -> Awaitable[Entry]:
        """Give the entry of a live blob. Raises `BlobNotFound`, `BlobDamaged`, `Unavailable`."""


@frozen
class Removed:
    """What a removal left: the tombstone that is held, whether anything was known before, and the UUID of the store."""

    entry: Entry
    was_known: bool
    store: str | None = None


class IBlobRemover(Interface):
    """Removes blobs."""

    def remove(blob_id: BlobID, version: Version, is_stray: bool = False) -> Awaitable[Removed]:
        """Leave a tombstone of this version, durably; removing twice is not an error.

        `is_stray` marks the tombstone as one that has to be carried home: the group of this store is not the blob's own.
        Raises `BlobConflict` (older) where something newer is held, `StoreReadOnly`, `Unsupported` (an old-contract
        server), `Unavailable`.
        """


class IBlobReceiver(Interface):
    """Takes blobs in."""

    def receive(entry: Entry, body: IBodyProducer) -> Awaitable[Received]:
        """Take a blob, durably: when the result is there, so are the bytes, even after a power cut.

        The size and the SHA-256 of the entry are what the sender declares, None where it does not; the bytes must agree.
        The body is poured, or stopped where the store refuses early. `sos.decisions.merge` decides what the write does.

        Raises `BlobConflict`, `DigestMismatch`, `BlobTruncated`, `StoreFull`, `StoreReadOnly`, `Unavailable`; then
        nothing has changed.
        """


class IBlobEnumerator(Interface):
    """Lists the names of live blobs."""

    def enumerate(
        prefix: str = "", after: str = "", limit: int = 1000, kind: Kind | None = None
    ) -> Awaitable[Sequence[BlobID]]:
        """Give the next names in ascending order: those that begin with `prefix`, lie behind `after`, and are of `kind`.

        At most `limit` of them; an empty sequence says that there are no more. Nothing staged or quarantined is among them.
        Names, not entries: it is what every server of the contract can list, the oldest too; `stat` gives an entry.
        Raises `Unsupported` where a server of the old contract is asked for a kind.
        """


class IBlobStore(IBlobFetcher, IBlobReceiver, IBlobEnumerator):
    """A whole store: on a disk, in memory, or at the far end of a connection. Callers cannot tell them apart."""


@frozen
class Findings:
    """What a pass of the scrub found.

    `damaged` blobs and `rows` (entries of which nothing but the ID is known any more) are what a round has to heal;
    `orphans` (bytes that no entry names) were removed, and `books` (digests, counts, indexes) put right; `foreign` things
    among the files are left alone.
    """

    damaged: int = 0
    rows: int = 0
    orphans: int = 0
    books: int = 0
    foreign: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether nothing of the store's own was wrong."""
        return not (self.damaged or self.rows or self.orphans or self.books)


@frozen
class ScrubStanding:
    """Where the scrub of a store stands.

    `passes` is the number of passes that ended, `age` the seconds since the last one did, `found` what it found. `share` is
    the part, 0 to 1, that is done of the pass under way, None where none is; `checked` and `found_so_far` are of that one.
    """

    passes: int = 0
    age: float | None = None
    found: Findings = Findings()
    share: float | None = None
    checked: int = 0
    found_so_far: Findings = Findings()


class IScrubbed(Interface):
    """A store that re-reads what it holds, and sets apart what is damaged."""

    def scrub() -> Awaitable[int]:
        """Ask for a pass over everything now, and give its number: it has ended when that many passes have.

        A pass that goes its slow way begins anew; one that was asked for already is joined. Raises `StoreReadOnly`,
        `Unavailable`, `Unsupported` (a server that does not know how).
        """

    def scrub_standing() -> Awaitable[ScrubStanding]:
        """Say where the scrub stands. Raises `Unavailable`, `Unsupported`."""


@frozen
class StoreStatus:
    """How a local store is: live blobs and their bytes, room for more, whether it takes writes, and what else it holds.

    `deleted` counts tombstones, `damaged` entries whose bytes are in quarantine, `strays` what waits to be carried home,
    which is counted among the others as well. `round` and `group` are those of `ILocalStore`;
    `round_age` is the number of seconds since a round was noted, None before the first one since the store was opened.
    `healed` counts the damaged entries that good bytes were brought to, ever.
    """

    blobs: int
    size: int
    free_bytes: int
    free_inodes: int
    is_read_only: bool
    deleted: int = 0
    damaged: int = 0
    strays: int = 0
    round: int = 0
    group: str | None = None
    round_age: float | None = None
    healed: int = 0
    scrub: ScrubStanding = ScrubStanding()


class ILocalStore(IBlobStore):
    """A store of this process: what else its blob server has to know of it."""

    uuid: str = Attribute("The UUID of the store, made when its directory became a store.")
    clock: HybridClock = Attribute("Makes the versions of writes that come without one; ahead of all that is stored.")
    round: int = Attribute("The number of the last completed round that reached the store, 0 for none.")
    group: str | None = Attribute("The name of the group that the store belongs to, None before its first round.")
    is_partial: bool = Attribute("Whether it has missed a round, and has met only a part of its group since.")
    incarnation: str = Attribute("Drawn anew each time the store is opened.")

    def status() -> StoreStatus:
        """Say how the store is, without waiting."""

    def reap(limit: int = 1000) -> Awaitable[int]:
        """Turn blobs that expired long enough ago into tombstones of the same version, at most `limit`; give their number.

        A blob is not found from the second of its expiry on. Its bytes stay for a day more, unless the store was told
        otherwise, so that a wrong clock hides and does not destroy. Raises `StoreReadOnly`, `Unavailable`.
        """

    def adopt(group: str) -> Awaitable[None]:
        """Make the store a member of this group, whatever group it belonged to: an operator says that this is meant.

        In another group than before it begins at round 0, so nobody reads from it before a round has caught it up.
        """

    def close() -> Awaitable[None]:
        """Finish the writes that were taken, then let go of files, database and lock."""


@frozen
class StoreSummary:
    """What a store says of itself to replication: see `sos.decisions.buckets` for the root digest.

    `round`, `group` and `incarnation` are those of `ILocalStore`. Damaged entries and strays are left out of the digests.
    `dropped_round` is the round of the store when it last dropped tombstones, `dropped_version` the newest it ever dropped.
    `time` is in unix seconds, `uptime` the whole milliseconds since it was opened, None for what it does not say.
    `is_partial` says that it missed a round, and has met only a part of its group since: see `sos.decisions.rounds`.
    """

    store: str
    root: bytes
    live: int
    deleted: int
    damaged: int
    strays: int
    clock: Version
    round: int
    group: str | None
    dropped_round: int = 0
    dropped_version: Version = OLD_CONTRACT
    time: int | None = None
    uptime: int | None = None
    incarnation: str | None = None
    is_partial: bool = False


class IDigested(Interface):
    """What replication needs of a store beyond its blobs. Optional: servers of the old contract do not have it."""

    def summary() -> Awaitable[StoreSummary]:
        """Say what the whole store holds, in one digest. Raises `Unavailable`."""

    def digests(part: int | None = None) -> Awaitable[Sequence[bytes]]:
        """Give the digests of the 64 parts, or of the 64 buckets of one part (0 to 63). Raises `BadInput`."""

    def entries(bucket: int, after: str = "", limit: int = 1000, buckets: int = 1) -> Awaitable[Sequence[Entry]]:
        """Give the next entries of a bucket (0 to 4095), tombstones and damaged ones too, strays not, ascending by ID.

        Or of so many `buckets` from there on, 64 at most, as if they were one: where each has few, one answer will do. An
        empty sequence says that there are no more. Raises `BadInput`.
        """

    def strays(after: str = "", limit: int = 1000) -> Awaitable[Sequence[Entry]]:
        """Give the next strays, tombstones among them, ascending by ID."""

    def renew(entry: Entry) -> Awaitable[Received]:
        """Take an entry whose bytes, those of its SHA-256, are here already: only version and metadata change.

        Raises `BlobNotFound` where the bytes are not here, or are damaged, and `BlobConflict`.
        """

    def fetch_past_expiry(blob_id: BlobID) -> Awaitable[OpenBlob]:
        """Open a live blob as `IBlobFetcher.fetch` does, also one that has expired, while its bytes are still here.

        It is for peers that lack it: until all have turned it into a tombstone, all hold the same.
        """

    def fetch_some(blob_ids: Sequence[BlobID]) -> Awaitable[Sequence[Parcel]]:
        """Give blobs with their bytes, expired ones too: those of them that are here, sound, and go in a batch.

        For limits see `sos.decisions.batch`; what is left out may still be had by itself. Raises `BadInput` for more names
        than a batch may have, `Unsupported` (a server that does not know how), `Unavailable`.
        """

    def receive_some(parcels: Sequence[Parcel]) -> Awaitable[Sequence[Received | SOSError]]:
        """Take each blob of a batch as `IBlobReceiver.receive` does; give what that gives, or the error that it raises.

        When the results are there, all that was taken is durable. Raises `BadInput` for more than a batch may have, and
        `Unsupported`; and `Unavailable`, and then nobody knows what was taken.
        """

    def forget(blob_id: BlobID, version: Version) -> Awaitable[None]:
        """Drop a stray that was carried home, if it still has this version."""

    def old_tombstones(after: str = "", limit: int = 1000) -> Awaitable[Sequence[Entry]]:
        """Give the next tombstones that this store took longer ago than its tombstone age, ascending by ID."""

    def drop_tombstones(tombstones: Sequence[tuple[BlobID, Version]]) -> Awaitable[int]:
        """Drop tombstones that every member holds, that still have that version and are old enough; give the number."""

    def note_round(number: int, group: str, is_partial: bool = False, incarnation: str | None = None) -> Awaitable[None]:
        """Note that a round of a group was completed with this store in it; whether it has met only a part of the group.

        The first makes it a member of that group. Raises `OtherGroup`, and `OtherIncarnation` where another one took part.
        """

    def suspect(blob_id: BlobID) -> Awaitable[None]:
        """Check the bytes of a blob, and set them apart if they are damaged: a reader has found them wrong."""


@frozen
class Swept:
    """What a store swept, or would sweep: the number of its chunks and their bytes."""

    chunks: int = 0
    size: int = 0


class ISweepable(Interface):
    """What the sweep needs of a store. Optional, as `IDigested` is."""

    def of_kind(kind: Kind, after: str = "", limit: int = 1000) -> Awaitable[Sequence[Entry]]:
        """Give the next live entries of a kind, ascending by ID: expired and damaged ones and strays, too.

        An empty sequence says that there are no more. Raises `Unavailable`.
        """

    def sweep(chunks: Sequence[tuple[BlobID, Version]], is_rehearsal: bool = False) -> Awaitable[Swept]:
        """Turn chunks into tombstones of the version that they have: nobody needs them.

        Only those that still have that version, and that this store took longer ago than its sweep age by its own clock:
        an upload renews each chunk that it counts on, so that one which is wanted again is neither. A rehearsal counts
        them and leaves them. Raises `BadInput` for more than 1,000 at a time, `StoreReadOnly`, `Unavailable`.
        """


class INameSet(Interface):
    """A set of names that may be larger than the memory. Whoever made it closes it."""

    def add(names: Sequence[BlobID]) -> Awaitable[None]:
        """Put names in."""

    def lacking(names: Sequence[BlobID]) -> Awaitable[Sequence[BlobID]]:
        """Give those of some names that are not in it, in their order."""

    def close() -> Awaitable[None]:
        """Forget all."""


class IRoundReporter(Interface):
    """Is told what a replication round does, as it does it. Servers are named by their URLs."""

    def group_begins(name: str, members: Sequence[str]) -> None:
        """The members of a group are compared from here on."""

    def blob_is_missing(blob_id: BlobID, server: str) -> None:
        """A member lacks a blob that another has."""

    def copy_begins(blob_id: BlobID, source: str, target: str) -> None:
        """A blob is about to be copied."""


class IProbed(Interface):
    """Something at the far end of a connection."""

    def alive() -> Awaitable[None]:
        """Ask for a sign of life. Raises `Unavailable`, and `Forbidden` or `Unauthorized` where we may not ask."""


class ILocalReplica(ILocalStore, IBlobRemover, IDigested, ISweepable, IScrubbed):
    """A store of this process that can be a member of a group: what a blob server serves."""

    def in_turns(pieces: Iterable[bytes]) -> Awaitable[Sequence[bytes]]:
        """Make a long answer piece by piece; users of the store have their turns in between."""


class IRemoteReplica(IBlobStore, IBlobRemover, IDigested, ISweepable, IProbed):
    """A member's store at the far end of a connection."""
