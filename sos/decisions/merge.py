"""The merge rule: what an arriving entry does to the one that is held. Every change of an entry goes through it.

It is commutative, associative and idempotent wherever it does not conflict, so members that have seen the same entries
hold the same entry, in whatever order those came.
"""

from __future__ import annotations

import enum
import hashlib

from attrs import evolve

from sos.words.blob import Entry, Kind


class Decision(enum.Enum):
    """What becomes of the entry that is held, and of the bytes that came."""

    TAKE = "take"
    """The incoming entry replaces the one held."""
    HEAL = "heal"
    """The incoming bytes replace damaged ones; the entry held is newer and stays."""
    SAME = "same"
    """All is held already: there is nothing to do."""
    OLDER = "older"
    """Refused: what is held is newer."""
    CONFLICT = "conflict"
    """Refused: other bytes are held under this ID, and nobody but a client picks between bytes."""


def merge(current: Entry | None, incoming: Entry) -> Decision:
    """Say what an arriving entry does to the one that is held, whoever sends it.

    Of both entries the SHA-256 is known, for a live entry is merged only after its bytes were hashed; but nothing is known
    of a row that was damaged, and whatever comes takes its place.
    """
    if current is None or current.is_unknown:
        return Decision.TAKE
    if current.is_damaged and incoming.is_live and incoming.sha256 == current.sha256:
        return Decision.TAKE if rank(incoming) >= rank(current) else Decision.HEAL
    if rank(incoming) < rank(current):
        return Decision.OLDER
    if differ_in_bytes(current, incoming):
        return Decision.CONFLICT
    return Decision.TAKE if rank(incoming) > rank(current) else Decision.SAME


def held_after(decision: Decision, current: Entry | None, incoming: Entry) -> Entry:
    """Give the entry that is held after a decision; it is `current` itself where nothing changes.

    A stray mark falls with the first write that comes without it: then this group is a home of the blob, and says so in
    its digests. A write that is marked does not take that back.
    """
    if current is None or decision is Decision.TAKE:
        is_stray = incoming.is_stray and (current is None or current.is_unknown or current.is_stray)
        return _with_marks(incoming, is_damaged=False, is_stray=is_stray)
    if decision in (Decision.HEAL, Decision.SAME):
        is_stray = current.is_stray and (incoming.is_stray or rank(incoming) < rank(current))
        return _with_marks(current, is_damaged=current.is_damaged and decision is Decision.SAME, is_stray=is_stray)
    return current


def rank(entry: Entry) -> tuple[int, int, bytes]:
    """Place an entry in the one order that every host keeps: by version, tombstone over live, then a hash of the rest.

    What only one server knows (damage, stray mark) has no part in it.
    """
    return (entry.version, entry.state, _fingerprint(entry))


def _with_marks(entry: Entry, *, is_damaged: bool, is_stray: bool) -> Entry:
    if (entry.is_damaged, entry.is_stray) == (is_damaged, is_stray):
        return entry
    return evolve(entry, is_damaged=is_damaged, is_stray=is_stray)


def _fingerprint(entry: Entry) -> bytes:
    """Hash the metadata first of all, then what else two entries of one version can differ in."""
    fields = [piece for pair in entry.metadata.pairs for piece in pair]
    fields += [entry.sha256 or b"", b"%d" % entry.kind, b"" if entry.expires is None else b"%d" % entry.expires]
    digest = hashlib.sha256(b"%d," % len(entry.metadata.pairs))
    for piece in fields:
        digest.update(b"%d:" % len(piece) + piece)
    return digest.digest()


def differ_in_bytes(current: Entry, incoming: Entry) -> bool:
    """Both are live with other bytes, and not one object that was cut in two ways."""
    if not (current.is_live and incoming.is_live) or current.sha256 == incoming.sha256:
        return False
    kinds = {current.kind, incoming.kind}
    return not (Kind.MANIFEST in kinds and Kind.CHUNK not in kinds)
