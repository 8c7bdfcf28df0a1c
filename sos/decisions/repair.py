"""What makes the members of a group equal: decided ID by ID from the entries that each of them holds.

It follows the merge rule (`sos.decisions.merge`): the entry of the highest rank wins, whoever holds it; where two members
hold other bytes under one ID, nobody wins, and it is reported.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Generic, TypeVar

from attrs import evolve, frozen

from sos.decisions.buckets import entry_digest
from sos.decisions.merge import differ_in_bytes, rank
from sos.words.blob import BlobID, Entry

Member = TypeVar("Member", bound=Hashable)


@frozen
class Bury(Generic[Member]):
    """Members get a tombstone."""

    entry: Entry
    targets: tuple[Member, ...]


@frozen
class Renew(Generic[Member]):
    """Members hold the bytes, and get version and metadata: no bytes move."""

    entry: Entry
    targets: tuple[Member, ...]


@frozen
class Copy(Generic[Member]):
    """Members get the bytes from one of those that hold them undamaged."""

    entry: Entry
    targets: tuple[Member, ...]
    sources: tuple[Member, ...]


@frozen
class OtherBytes(Generic[Member]):
    """Members hold other bytes under one ID: all of them stay as they are, and it is reported in every round."""

    blob_id: BlobID
    members: tuple[Member, ...]


@frozen
class AllDamaged(Generic[Member]):
    """No member holds the bytes undamaged: the entry stays, and it is reported in every round."""

    blob_id: BlobID
    members: tuple[Member, ...]


Repair = Bury[Member] | Renew[Member] | Copy[Member] | OtherBytes[Member] | AllDamaged[Member]
"""What is to be done, or only to be said, about one ID."""


def by_id(listings: Mapping[Member, Iterable[Entry]]) -> Iterator[tuple[BlobID, dict[Member, Entry]]]:
    """Put the entries of several members side by side: each ID once, in order, with what each holder has."""
    held: dict[BlobID, dict[Member, Entry]] = {}
    for member, entries in listings.items():
        for entry in entries:
            held.setdefault(entry.id, {})[member] = entry
    for blob_id in sorted(held):
        yield blob_id, held[blob_id]


def repairs(members: Sequence[Member], held: Mapping[Member, Entry]) -> Sequence[Repair[Member]]:
    """Say what makes `members` equal in one ID, of which some hold an entry. At equal members there is nothing to do."""
    known = [entry for entry in held.values() if not entry.is_unknown]
    if not known:
        return (AllDamaged(next(iter(held.values())).id, tuple(held)),)
    first = known[0] if len(known) == 1 else max(known, key=rank)
    winner = _unmarked(first)
    behind = tuple(member for member in members if _is_behind(held.get(member), first, winner))
    if not behind:
        return ()
    if not winner.is_live:
        return (Bury(winner, behind),)
    if any(differ_in_bytes(entry, winner) for entry in known):
        return (OtherBytes(winner.id, tuple(member for member in members if _is_live_at(held.get(member)))),)
    return _spread(held, winner, behind)


def _spread(held: Mapping[Member, Entry], winner: Entry, behind: tuple[Member, ...]) -> Sequence[Repair[Member]]:
    """Bring a live entry to the members that are behind: without bytes to those that have them."""
    sources = tuple(member for member, entry in held.items() if _has_bytes_of(entry, winner))
    renewed = tuple(member for member in behind if member in sources)
    copied = tuple(member for member in behind if member not in sources)
    found: list[Repair[Member]] = []
    if renewed:
        found.append(Renew(winner, renewed))
    if copied and sources:
        found.append(Copy(winner, copied, sources))
    elif copied:
        found.append(AllDamaged(winner.id, tuple(held)))
    return found


def _unmarked(entry: Entry) -> Entry:
    """Leave out the marks that are each member's own."""
    return evolve(entry, is_damaged=False, is_stray=False) if entry.is_damaged or entry.is_stray else entry


def _is_behind(entry: Entry | None, first: Entry, winner: Entry) -> bool:
    """Whether a member has something else than the winner, which is the `first` of all without its marks."""
    if entry is None or entry.is_damaged:
        return True
    return entry is not first and entry_digest(entry) != entry_digest(winner)


def _is_live_at(entry: Entry | None) -> bool:
    return entry is not None and entry.is_live


def _has_bytes_of(entry: Entry, winner: Entry) -> bool:
    return entry.is_live and not entry.is_damaged and entry.sha256 == winner.sha256
