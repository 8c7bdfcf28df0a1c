"""Intake: what lies in a data directory of the ancestor is taken into a store.

Everything gets version 0, which is what everything has that a server of the old contract holds. So an import is older than
any upload, renewal or delete, whenever those came; and two members into which copies of one directory are taken hold equal
entries, as their digests will say. (A file's time was rejected as a version: ``cp`` and ``rsync`` change it from host to
host, and a file that was touched yesterday would beat what a client said last week.) Metadata that differ between two
directories are settled by the fixed order of the merge rule, the same on each member.

Where an ID is a digest, its bytes must have it, or they are not taken. It can be done again at any time: what is held is
passed over, and what is missing is taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable

from attrs import evolve, frozen
from twisted.internet.defer import DeferredSemaphore
from twisted.web.iweb import IBodyProducer

from sos.concurrently import for_each
from sos.decisions.digests import Expected, expected_of
from sos.decisions.sidecar import Read, read_sidecar
from sos.http.bodies import BytesBody
from sos.http.verified_body import VerifiedBody
from sos.store.flat_files import FlatDirectory, FlatFile, Misfit
from sos.words.blob import OLD_CONTRACT, Entry
from sos.words.errors import (
    BlobConflict,
    BlobDamaged,
    BlobNotFound,
    DigestMismatch,
    SOSError,
    StoreFull,
    Unavailable,
)
from sos.words.interfaces import IBlobStore

AT_ONCE = 512
"""Files at a time: as many as two transactions of the store take, so that one is filled while the other is synced."""

LARGE_AT_ONCE = 8
"""Larger ones of them: each has two open files, and a thread at times."""

_NOTHING = Read()


@frozen
class Rules:
    """What is asked of an intake."""

    takes_any_id: bool = False
    """Whether an ID that is no digest is taken; nobody can say whether its bytes are the right ones."""
    passes_over: bool = True
    """Whether what is held already is passed over, by its size and metadata; else its bytes are read and compared, too."""


class Intake:
    """Takes the files of one directory into one store. Used once."""

    def __init__(
        self,
        store: IBlobStore,
        directory: FlatDirectory,
        rules: Rules,
        now: Callable[[], float],
        complain: Callable[[str], None],
        advance: Callable[[int], None],
        turn: Callable[[], Awaitable[object]],
    ) -> None:
        """Take what is in a directory into a store.

        `complain` is told of each thing that is not taken as it is, `advance` of each that is done with, and `turn` lets
        whoever else waits have a turn.
        """
        self.counts: Counter[str] = Counter()
        """What was ``taken`` (and its ``bytes``), what was ``there`` already, what is held ``newer``, and ``complaints``."""
        self._store = store
        self._directory = directory
        self._rules = rules
        self._now = now
        self._tell = complain
        self._advance = advance
        self._turn = turn
        self._large = DeferredSemaphore(LARGE_AT_ONCE)

    async def run(self) -> None:
        """Take everything. Raises `StoreFull` and `Unavailable` where the store takes no more, and `OSError`."""
        await for_each(iter(self._directory), self._take, AT_ONCE)

    async def _take(self, found: FlatFile | Misfit) -> None:
        if isinstance(found, Misfit):
            self._complain(found.name, found.why)
        else:
            await self._take_file(found)
        self._advance(1)
        self.counts["seen"] += 1
        if self.counts["seen"] % AT_ONCE == 0:  # what is held already is passed over without waiting for anything
            await self._turn()

    async def _take_file(self, file: FlatFile) -> None:
        """Take one file; where that cannot be done, the others have their turn all the same."""
        expected = expected_of(Entry(id=file.blob_id))
        if expected is None and not self._rules.takes_any_id:
            self._complain(file.blob_id, "its name is no digest (--any-id takes it)")
            return
        try:
            entry = self._declared(file)
            if await self._is_settled(entry):
                return
            payload = self._directory.read(file)
            if payload is None:
                await self._large.run(self._receive_large, entry, file, expected)
            elif expected is not None and not expected.is_of(payload):
                raise _mismatch()
            else:
                await self._receive(entry, BytesBody(payload))
        except BlobDamaged as error:
            self._complain(file.blob_id, _clause(error))
        except (StoreFull, Unavailable):
            raise
        except (SOSError, OSError) as error:
            self._complain(file.blob_id, _clause(error))

    def _declared(self, file: FlatFile) -> Entry:
        """Give the entry that a file becomes, without the size of its bytes."""
        sidecar = self._directory.sidecar(file.blob_id)
        read = _NOTHING if sidecar is None else read_sidecar(sidecar)
        for complaint in read.complaints:
            self._complain(file.blob_id, complaint)
        return Entry(id=file.blob_id, version=OLD_CONTRACT, metadata=read.metadata, expires=read.expires)

    async def _is_settled(self, entry: Entry) -> bool:
        """Whether there is nothing to do, as far as can be told without a look at the file's bytes."""
        if entry.is_expired(self._now()):
            self._complain(entry.id, "it has expired")
            return True
        if not self._rules.passes_over:
            return False
        try:
            held = await self._store.stat(entry.id)
        except (BlobNotFound, BlobDamaged):
            return False
        if held.version > OLD_CONTRACT:
            self.counts["newer"] += 1
            return True
        is_there = held.size == self._directory.size(entry.id) and entry == evolve(
            held, size=None, sha256=None, is_stray=False
        )
        self.counts["there"] += is_there
        return is_there

    async def _receive_large(self, entry: Entry, file: FlatFile, expected: Expected | None) -> None:
        body = self._directory.open(file)
        if expected is None:
            await self._receive(entry, body)
        else:
            await self._receive(entry, VerifiedBody(body, expected.hasher(), expected.digest, _mismatch))

    async def _receive(self, entry: Entry, body: IBodyProducer) -> None:
        try:
            received = await self._store.receive(entry, body)
        except BlobConflict as error:
            if error.reason != BlobConflict.OLDER:
                raise
            self.counts["newer"] += 1
        else:
            self.counts["taken"] += 1
            self.counts["bytes"] += received.entry.size or 0

    def _complain(self, name: str, why: str) -> None:
        self.counts["complaints"] += 1
        self._tell(f"{name}: {why}.")


def _clause(error: SOSError | OSError) -> str:
    return str(getattr(error, "strerror", None) or error).rstrip(".")


def _mismatch() -> DigestMismatch:
    return DigestMismatch("its bytes do not have the digest that its name says")
