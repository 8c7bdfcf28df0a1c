"""The ledger: what clients were told, and so what a store may hold after it was killed.

An ID is a register: absent, live with some bytes and some metadata, or deleted. Its bytes never change. What was
acknowledged must be there; a request that had no answer may have happened or not; nothing else may be there at all.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping

from attrs import define, field, frozen

from tests.processes.harness import PATIENCE


@frozen
class Held:
    """What is held under an ID: the SHA-256 of its bytes and a label in its metadata, or a tombstone, which has neither."""

    sha256: bytes | None
    label: bytes = b""

    @property
    def is_live(self) -> bool:
        """Whether it has bytes."""
        return self.sha256 is not None


TOMBSTONE = Held(None)


def live(payload: bytes, label: str = "") -> Held:
    """Say what an upload is to bring about."""
    return Held(hashlib.sha256(payload).digest(), label.encode("ascii"))


@define
class Ledger:
    """What was asked for, and what was acknowledged; one request at a time for each ID.

    A request that was answered with an error stays unanswered: it may have happened.
    """

    acknowledged: dict[str, Held] = field(factory=dict)
    unanswered: dict[str, list[Held]] = field(factory=dict)
    bytes_of: dict[str, bytes] = field(factory=dict)
    """The SHA-256 of the only bytes that an ID ever has."""
    newest: int = 0
    """The newest version that was heard of."""
    acks: int = 0
    _is_closed: bool = False
    _changed: threading.Condition = field(factory=threading.Condition, repr=False)

    def begin(self, name: str, wanted: Held) -> None:
        """Note that something is about to be asked for."""
        if wanted.sha256 is not None:
            assert self.bytes_of.setdefault(name, wanted.sha256) == wanted.sha256
        self.unanswered.setdefault(name, []).append(wanted)

    def acknowledge(self, name: str, version: int = 0) -> None:
        """Note that what was asked for last was promised, under some version."""
        with self._changed:
            if self._is_closed:
                return
            self.acknowledged[name] = self.unanswered.pop(name)[-1]
            self.newest = max(self.newest, version)
            self.acks += 1
            self._changed.notify_all()

    def close(self) -> None:
        """Count no more promises, until it is settled: the power goes, and a machine without power would not answer."""
        with self._changed:
            self._is_closed = True

    def wait_for_acks(self, count: int) -> None:
        """Return once so many were acknowledged in all."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.acks >= count, PATIENCE), f"only {self.acks} were acknowledged"

    def is_allowed(self, name: str, found: Held | None) -> bool:
        """Whether this may be found under an ID; None is nothing."""
        return found == self.acknowledged.get(name) or found in self.unanswered.get(name, [])

    @property
    def names(self) -> set[str]:
        """All IDs that were ever spoken of."""
        return {*self.acknowledged, *self.unanswered}

    def settle(self, found: Mapping[str, Held]) -> None:
        """Take what was found after a crash for promised: what was seen does not go away again."""
        self.acknowledged = dict(found)
        self.unanswered.clear()
        self._is_closed = False
