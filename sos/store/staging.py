"""Staging: bytes on their way in, until they are committed or discarded.

A stage is a small machine with four states:

    receiving --settle--> committing --> committed
        |                     |
        +------discard--------+--> discarded

A client that leaves discards only what is being received. Once the bytes are all there, the thread that makes them durable
cannot be called back, so the commit runs to its end and nobody but the client misses the answer. A file is only closed and
unlinked when no thread is writing to it: a descriptor that is closed too early may be somebody else's a moment later.

At most 64 KiB stay in memory. More go to a file: a thread writes and hashes what has come, while more comes, and the
producer is paused when much waits for the thread. How much is worth a thread, and how much may wait, the lobby says.
"""

from __future__ import annotations

import contextlib
import enum
import hashlib
from collections.abc import Callable, Sequence
from typing import cast

from attrs import evolve, field, frozen
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IConsumer, IProducer, IPushProducer
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from sos.store.arrival import agreed, check_limit, known_length, limit_of
from sos.store.failures import Latch
from sos.store.files import Fs
from sos.store.index import Write
from sos.store.lobby import SMALL, Lobby
from sos.store.room import Admission
from sos.store.tree import STAGING, Serials, Tree
from sos.words.blob import Entry
from sos.words.errors import StoreFull
from sos.words.interfaces import InThread

MOST_PIECES = 64
"""Pieces that wait before a thread takes them, however short they are: each is an object of its own."""

MOST_REMEMBERED = 4 * 1024 * 1024
"""Bytes of a file, as many as a whole chunk has, from which on the system need not remember what was written of it.

A large object would push out of its memory what is read more often: the index, and small blobs. And to find memory for each
new chunk can cost more than to write it, while that of the last one is at hand: on a virtual machine, whose free memory is
the host's, a blob server took 7 s of processor time for 1 GiB, and 3 s where each chunk was forgotten.
"""


@frozen
class Workshop:
    """What all stages of a store work with."""

    fs: Fs
    tree: Tree
    admission: Admission
    serials: Serials
    latch: Latch
    in_thread: InThread
    lobby: Lobby = field(factory=Lobby)

    def with_room_for(self, size: int | None, is_awaited: Callable[[], bool]) -> Workshop:
        """Give the workshop that lets so many bytes in: those that heal a damaged blob may use half of the reserve.

        Raises `StoreFull`, and `Unavailable` where the disk does not say what room it has.
        """
        try:
            try:
                return self._with_room_for(size)
            except StoreFull:
                if not is_awaited():
                    raise
            return evolve(self, admission=self.admission.of_awaited())._with_room_for(size)
        except OSError as error:
            raise self.latch.judge(error) from error

    def has_room_for_small(self, size: int) -> bool:
        """Whether so many bytes of small blobs can come together; else it has to be asked for each, and for why not."""
        try:
            self.admission.admit_small(size)
        except (StoreFull, OSError):
            return False
        return True

    def _with_room_for(self, size: int | None) -> Workshop:
        if size is None or size <= SMALL:
            self.admission.admit_small(size or 1)
        else:
            self.admission.admit(size)
        return self


class State(enum.Enum):
    """How far arriving bytes are."""

    RECEIVING = "receiving"
    COMMITTING = "committing"
    COMMITTED = "committed"
    DISCARDED = "discarded"


class StagedFile:
    """A file in ``staging/`` that is written and hashed. Every call blocks and raises `OSError`: one thread at a time."""

    def __init__(self, workshop: Workshop, serial: int) -> None:
        """Be a file that is made by its first bytes; `serial` names it, here and when it is published."""
        self.serial = serial
        self._workshop = workshop
        self._name = f"{STAGING}/{serial}"
        self._hash = hashlib.sha256()
        self._size = 0
        self._remembered = 0
        self._descriptor: int | None = None

    def append(self, pieces: Sequence[bytes]) -> None:
        """Write and hash more bytes. Raises `StoreFull` before the reserve is touched."""
        payload = b"".join(pieces)  # piece by piece, the interpreter's lock would go to and fro for each of them, twice
        self._workshop.admission.admit(len(payload))
        if self._descriptor is None:
            self._descriptor = self._workshop.fs.create(self._name)
        self._workshop.fs.write(self._descriptor, payload)
        self._hash.update(payload)
        self._size += len(payload)
        self._remembered += len(payload)
        if self._remembered >= MOST_REMEMBERED:
            self._forget()

    def publish(self, pieces: Sequence[bytes], entry: Entry, length: int | None) -> Entry:
        """Take the last bytes, make all durable under their own name, and give the entry with their size and digest.

        Raises `BlobTruncated`, `DigestMismatch` and `StoreFull`; whatever it raises, nothing is left behind.
        """
        try:
            self.append(pieces)
            settled = agreed(entry, length, self._size, self._hash.digest())
            assert self._descriptor is not None
            self._workshop.fs.sync(self._descriptor)
            if self._size >= MOST_REMEMBERED:
                self._forget()
            self._close()
            self._workshop.tree.publish(self._name, entry.id, self.serial)
        except Exception:
            with contextlib.suppress(OSError):  # the first failure is the one to tell; the next start empties staging
                self.drop()
            raise
        return settled

    def _forget(self) -> None:
        """Begin to write what the disk does not have yet, and let the system forget the rest."""
        assert self._descriptor is not None
        self._workshop.fs.forget(self._descriptor)
        self._remembered = 0

    def drop(self) -> None:
        """Close and unlink."""
        self._close()
        self._workshop.fs.unlink(self._name)

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            self._workshop.fs.close(descriptor)


@implementer(IConsumer)
class Stage:
    """Takes one body in."""

    def __init__(self, workshop: Workshop, entry: Entry) -> None:
        """Stage the bytes of `entry`."""
        self.state = State.RECEIVING
        self._workshop = workshop
        self._entry = entry
        self._length: int | None = None
        self._limit: int | None = None
        self._body: IBodyProducer | None = None
        self._pouring: Deferred[None] | None = None
        self._producer: IPushProducer | None = None
        self._pieces: list[bytes] = []
        self._waiting = 0
        self._size = 0
        self._lobby = workshop.lobby
        self._file: StagedFile | None = None
        self._is_writing = False
        self._is_paused = False
        self._error: Exception | None = None
        self._when_written: Deferred[None] | None = None

    async def take(self, body: IBodyProducer) -> None:
        """Receive a whole body. Raises what the body raises, and what the disk does to it; then the body was stopped."""
        self._length, self._limit = known_length(body), limit_of(self._entry, body)
        self._body = body
        self.registerProducer(body, True)
        self._pouring = body.startProducing(self)
        if self._error is not None:
            self._stop_body()
        try:
            await self._pouring
        except CancelledError:
            if self._error is None:
                raise
        except BaseException:
            self._body = None  # it failed by itself: there is nothing to stop
            raise
        self._body = None
        self.unregisterProducer()
        await self._written()
        self._raise_error()

    @property
    def is_small(self) -> bool:
        """Whether what came belongs into the database, once it is all there."""
        return self._size <= SMALL

    def settle_small(self, arrived: int) -> Write:
        """Compare few bytes that came with what was declared. Raises `BlobTruncated` and `DigestMismatch`."""
        self.state = State.DISCARDED
        self._lobby.leave(self._waiting)
        payload = b"".join(self._taken())
        entry = agreed(self._entry, self._length, self._size, hashlib.sha256(payload).digest())
        self.state = State.COMMITTED
        return Write(entry, arrived, payload)

    async def settle(self, arrived: int) -> Write:
        """Compare what came with what was declared, and make a large blob's bytes durable. From here on nothing is undone.

        Raises `BlobTruncated`, `DigestMismatch`, `StoreFull`, `StoreReadOnly`, `Unavailable`; then the stage is discarded.
        """
        self.state = State.COMMITTING
        file, size = self._opened(), self._waiting
        try:
            settled = await self._workshop.in_thread(file.publish, self._taken(), self._entry, self._length)
        except Exception as error:
            self.state = State.DISCARDED
            if isinstance(error, OSError):
                raise self._workshop.latch.judge(error) from error
            raise
        finally:
            self._lobby.leave(size)
        self.state = State.COMMITTED
        return Write(settled, arrived, file=file.serial)

    def _opened(self) -> StagedFile:
        """Give the file for the bytes, from now on at least."""
        if self._file is None:
            self._file = StagedFile(self._workshop, self._workshop.serials.next())
        return self._file

    def fail(self, error: Exception) -> None:
        """End the receiving with an error; whoever waits in `take` gets it."""
        if self.state is State.RECEIVING and self._error is None:
            self._error = error
            self._stop_body()

    def discard(self) -> Deferred[None]:
        """Stop the body and forget its bytes, unless they are being committed; the result comes when the file is gone."""
        if self.state is not State.RECEIVING:
            return succeed(None)
        self.state = State.DISCARDED
        self._stop_body()
        self._lobby.leave(self._waiting)
        self._taken()
        return Deferred.fromCoroutine(self._dropped())

    # What the body's producer sees

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """Remember whom to pause."""
        self._producer = cast(IPushProducer, producer)

    def unregisterProducer(self) -> None:
        """Forget the producer."""
        self._producer = None

    def write(self, data: bytes) -> None:
        """Take a piece; after an error, let it fall."""
        if self.state is not State.RECEIVING or self._error is not None:
            return
        self._pieces.append(data)
        self._waiting += len(data)
        self._lobby.enter(len(data))
        self._size += len(data)
        try:
            check_limit(self._size, self._limit)
        except Exception as error:
            self.fail(error)
            return
        self._write_if_due()
        if self._waiting >= self._lobby.most_waiting and self._producer is not None:
            self._is_paused = True
            self._producer.pauseProducing()

    # Writing

    def _write_if_due(self) -> bool:
        """Have a thread write what waits, if it is much and no thread writes already; say whether one was asked."""
        is_due = not self._is_writing and self._waiting > SMALL and self._is_worth_a_thread
        if is_due:
            self._is_writing = True
            Deferred.fromCoroutine(self._write_out(self._waiting, self._taken()))
        return is_due

    @property
    def _is_worth_a_thread(self) -> bool:
        return self._waiting >= self._lobby.batch or len(self._pieces) > MOST_PIECES

    def _taken(self) -> list[bytes]:
        pieces, self._pieces, self._waiting = self._pieces, [], 0
        return pieces

    async def _write_out(self, size: int, pieces: Sequence[bytes]) -> None:
        """Let a thread write and hash what waits, then let the producer go on, or tell whoever waits for the end."""
        error: Exception | None = None
        try:
            await self._workshop.in_thread(self._opened().append, pieces)
        except OSError as failure:
            error = self._workshop.latch.judge(failure)
        except Exception as failure:  # whatever it is: the one who waits in `take` has to know
            error = failure
        self._lobby.leave(size)
        self._is_writing = False
        if error is not None:
            self.fail(error)
        self._go_on()

    def _go_on(self) -> None:
        is_due = self.state is State.RECEIVING and self._error is None and self._write_if_due()
        if self._is_paused and self._producer is not None and self._error is None:
            self._is_paused = False
            self._producer.resumeProducing()
        if is_due or self._is_writing:
            return
        when_written, self._when_written = self._when_written, None
        if when_written is not None:
            when_written.callback(None)

    def _written(self) -> Deferred[None]:
        """Fire when no thread writes."""
        if not self._is_writing:
            return succeed(None)
        self._when_written = Deferred()
        return self._when_written

    # Ending

    def _stop_body(self) -> None:
        """Stop the body; the Deferred of its pouring never fires by itself then, so it is cancelled."""
        body, self._body = self._body, None
        if self._pouring is None:  # it is still within startProducing, and `take` comes back here
            self._body = body
            return
        self.unregisterProducer()
        if body is not None:
            body.stopProducing()
            self._pouring.cancel()

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    async def _dropped(self) -> None:
        await self._written()
        if self._file is not None:
            with contextlib.suppress(OSError):  # nothing was promised; the next start empties staging
                await self._workshop.in_thread(self._file.drop)
