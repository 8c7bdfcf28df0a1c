"""Ghosts: blobs that may have been deleted, on a member that has missed even the dropping of their tombstones.

Tombstones are dropped in a round that reached every member, so none of them misses that by being away. Only a member that
was put back from an older copy of itself, or taken in again after it had been struck from the topology, can have: its
round is older than the one in which its peers dropped tombstones. What it alone holds, at a version that one of those
tombstones may have beaten, is nobody's to copy: it may be an object that was deleted.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

from attrs import frozen

from sos.decisions.merge import rank
from sos.words.blob import OLD_CONTRACT, Entry, Version
from sos.words.interfaces import StoreSummary

Member = TypeVar("Member", bound=Hashable)


@frozen
class Ghosts(Generic[Member]):
    """Tells ghosts: `away` are the members that have missed a dropping, `version` is the newest that was ever dropped."""

    away: frozenset[Member] = frozenset()
    version: Version = OLD_CONTRACT

    @classmethod
    def among(cls, summaries: Mapping[Member, StoreSummary]) -> Ghosts[Member]:
        """Find out who has missed what."""
        dropped = max((summary.dropped_round for summary in summaries.values()), default=0)
        version = max((summary.dropped_version for summary in summaries.values()), default=OLD_CONTRACT)
        return cls(frozenset(member for member, summary in summaries.items() if summary.round < dropped), version)

    def has(self, held: Mapping[Member, Entry]) -> bool:
        """Whether what some members hold under one ID may be a ghost. One that any other member knows of is none."""
        if not self.away.issuperset(held):
            return False
        newest = max(held.values(), key=rank)
        return newest.is_live and newest.version <= self.version
