"""The arrival of an upload: its bytes become parts of one size, hashed as they come and no faster than memory allows.

A part is kept where it is until it is fetched. Behind a full part the body goes on until it has shown whether there is
more, for an object that fits into one part is no object of parts. What comes then waits beside the part, and the body is
paused: that is at most what a connection reads at a time, and is counted when there is a part that it belongs to.
"""

from __future__ import annotations

import hashlib
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from twisted.python.failure import Failure
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from sos.decisions.budget import Budget, Share
from sos.http.bodies import PIECE, BytesSource
from sos.words.errors import BlobTooLarge

_CRUMB = 4096
"""Bytes of a piece that is kept as it came; smaller ones are joined, for each object has bytes of its own."""


class Digest(Protocol):
    """What hashlib makes."""

    def update(self, data: bytes, /) -> None:
        """Take more bytes."""

    def hexdigest(self) -> str:
        """Give the digest of all bytes so far, in lower-case hex digits."""


class Part:
    """Bytes of an upload that belong together, and the share of memory that they take."""

    def __init__(self, share: Share) -> None:
        """Be empty."""
        self.share = share
        self._sha256 = hashlib.sha256()
        self._pieces: list[bytes] = []
        self._crumbs = bytearray()

    @property
    def size(self) -> int:
        """The number of its bytes."""
        return self.share.size

    @property
    def room(self) -> int:
        """The number of bytes that it can still take."""
        return self.share.most - self.share.size

    @property
    def sha256(self) -> bytes:
        """The SHA-256 of its bytes."""
        return self._sha256.digest()

    def take(self, piece: bytes) -> None:
        """Take more bytes."""
        self._sha256.update(piece)
        if len(piece) < _CRUMB:
            self._crumbs += piece
            if len(self._crumbs) >= PIECE:
                self._keep_crumbs()
        else:
            self._keep_crumbs()
            self._pieces.append(piece)
        self.share.grow(len(piece))

    def drop(self) -> None:
        """Let go of its bytes, whoever may still know it."""
        self._pieces.clear()
        self._crumbs.clear()
        self.share.drop()

    def source(self) -> BytesSource:
        """Give its bytes, to be sent as often as needed until it is dropped. It takes no more of them."""
        self._keep_crumbs()
        self.share.seal()
        return BytesSource(self._pieces)

    def _keep_crumbs(self) -> None:
        if self._crumbs:
            self._pieces.append(bytes(self._crumbs))
            self._crumbs.clear()


@implementer(IConsumer)
class Arrival:
    """Takes one body. Whoever fetches its parts calls `stop` in the end, however that came, and drops each part."""

    def __init__(self, body: IBodyProducer, most: int, part_size: int, budget: Budget, digest: Digest) -> None:
        """Wait to be asked for the first part; take `most` bytes at most, and hash all of them into `digest`."""
        self.size = 0
        self.is_complete = False
        """Whether the last part was fetched."""
        self._body = body
        self._length: int | None = body.length if isinstance(body.length, int) else None
        self._most = most
        self._part_size = part_size
        self._budget = budget
        self._digest = digest
        self._part: Part | None = None
        self._ahead = b""
        self._at = 0  # of what is ahead, the place of the first byte that no part has taken
        self._ending: Failure | bool | None = None  # a failure, or True for the end of the body
        self._waiting: Deferred[Part] | None = None
        self._has_begun = False
        self._is_flowing = True
        self._is_advancing = False

    async def next_part(self) -> Part | None:
        """Give the next part once it is there, None behind the last; the first one may be empty.

        Raises `BlobTooLarge`, what the body fails with, and what `fail` was told.
        """
        if self.is_complete:
            return None
        if isinstance(self._ending, Failure):
            self._ending.raiseException()
        waiting: Deferred[Part] = Deferred()
        self._waiting = waiting
        if self._has_begun:
            self._advance()
        else:
            self._begin()
        return await waiting

    def fail(self, reason: Failure) -> None:
        """Take no more of the body, for this reason."""
        if not isinstance(self._ending, Failure):
            self._let_go(reason)

    def stop(self) -> None:
        """Let go of the body, and of the bytes that nobody has fetched."""
        self._let_go(self._ending or True)

    # What the body calls

    def registerProducer(self, producer: object, streaming: bool) -> None:
        """Do nothing: the body is known."""

    def unregisterProducer(self) -> None:
        """Do nothing."""

    def write(self, data: bytes) -> None:
        """Take a piece."""
        if self._ending is not None:
            return
        self.size += len(data)
        if self.size > self._most:
            self.fail(Failure(BlobTooLarge(f"The body has more than {self._most} bytes; no more are taken.")))
            return
        self._ahead = self._ahead[self._at :] + data if self._ahead else data
        self._at = 0
        self._advance()

    # Inside

    def _begin(self) -> None:
        """Let the body flow. Where it says that it is too long, nothing of it is taken."""
        self._has_begun = True
        if self._length is not None:
            if self._length > self._most:
                self.fail(Failure(BlobTooLarge(f"The body has {self._length} bytes; at most {self._most} are taken.")))
                return
            self._most = self._length
        self._part = self._new_part()
        self._regulate()
        self._body.startProducing(self).addCallbacks(lambda _: self._end(), self._break)

    def _end(self) -> None:
        if self._ending is None:
            self._ending = True
            self._advance()

    def _break(self, failure: Failure) -> None:
        if self._ending is None:
            self._ending = failure
            self._let_go(failure)

    def _let_go(self, ending: Failure | bool) -> None:
        """End like this: nothing more is taken, and nothing is kept."""
        was_flowing, self._ending = self._ending is None, ending
        part, self._part = self._part, None
        waiting, self._waiting = self._waiting, None
        self._ahead = b""
        if part is not None:
            part.drop()
        if was_flowing:
            self._body.stopProducing()
        if waiting is not None and isinstance(ending, Failure):
            waiting.errback(ending)

    def _advance(self) -> None:
        """Move what is ahead into parts as far as that may be, then let the body flow or pause."""
        if self._is_advancing:
            return
        self._is_advancing = True
        try:
            while self._part is not None and (self._fill(self._part) or self._hand_over(self._part)):
                pass
        finally:
            self._is_advancing = False
        self._regulate()

    def _fill(self, part: Part) -> bool:
        """Move a piece into the part; say whether one was moved."""
        count = min(len(self._ahead) - self._at, part.room, self._budget.piece)
        if not count or not part.share.may_grow:
            return False
        whole = count == len(self._ahead)
        piece = self._ahead if whole else self._ahead[self._at : self._at + count]
        self._at += count
        if self._at == len(self._ahead):
            self._ahead, self._at = b"", 0
        self._digest.update(piece)
        part.take(piece)
        return True

    def _hand_over(self, part: Part) -> bool:
        """Give the part to whoever waits for it, if it is complete; say whether that was so."""
        is_last = self._ending is True and not self._ahead
        if self._waiting is None or not (is_last or (not part.room and self._has_more)):
            return False
        waiting, self._waiting = self._waiting, None
        self.is_complete = is_last
        self._part = None if is_last else self._new_part()
        waiting.callback(part)
        return True

    @property
    def _has_more(self) -> bool:
        """Whether there is more behind what the parts have taken, as far as is known."""
        return bool(self._ahead) or (self._length is not None and self.size < self._length)

    def _new_part(self) -> Part:
        taken = self.size - len(self._ahead) + self._at
        most = self._part_size if self._length is None else min(self._part_size, self._length - taken)
        return Part(self._budget.open(most, self._advance))

    def _regulate(self) -> None:
        part = self._part
        if part is None or self._ending is not None:
            return
        wants = not self._ahead and (part.share.may_grow or not part.room)
        if wants != self._is_flowing:
            self._is_flowing = wants
            if wants:
                self._body.resumeProducing()
            else:
                self._body.pauseProducing()
