"""What the members of a group lack of each other, found in one merge pass over their sorted listings.

It reads nothing itself: it says whose next page it needs, is fed that page, and then says what it has found so far. So
memory holds one page a member, whatever the number of blobs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator, Sequence
from typing import Generic, TypeVar

from attrs import frozen

from sos.words.blob import BlobID

Member = TypeVar("Member", bound=Hashable)


@frozen
class Listed(Generic[Member]):
    """A blob, and the members whose listings have it."""

    blob_id: BlobID
    holders: tuple[Member, ...]


@frozen
class Missing(Generic[Member]):
    """A blob that some members hold and some lack."""

    blob_id: BlobID
    holders: tuple[Member, ...]
    lacking: tuple[Member, ...]


class Reconciliation(Generic[Member]):
    """One merge pass over the listings of a group's members."""

    def __init__(self, members: Sequence[Member]) -> None:
        """Begin a pass in which nobody's listing has been read."""
        self._pages: dict[Member, deque[BlobID]] = {member: deque() for member in members}
        self._read_to: dict[Member, str] = dict.fromkeys(members, "")
        self._ended: set[Member] = set()

    @property
    def wanting(self) -> list[Member]:
        """The members whose next page is needed; none at the end of the pass."""
        return [member for member, page in self._pages.items() if not page and member not in self._ended]

    def read_to(self, member: Member) -> str:
        """Say behind which name a member's next page begins."""
        return self._read_to[member]

    def feed(self, member: Member, page: Sequence[BlobID]) -> None:
        """Take a member's next page, ascending; an empty one ends its listing."""
        if page:
            self._pages[member].extend(page)
            self._read_to[member] = page[-1]
        else:
            self._ended.add(member)

    def drop(self, member: Member) -> None:
        """Go on without a member: it is neither a holder nor lacking from here on."""
        del self._pages[member], self._read_to[member]
        self._ended.discard(member)

    def missing(self) -> Iterator[Missing[Member]]:
        """Give what is known to be missing so far: as far as every listing has been read."""
        for listed in self.merged():
            lacking = tuple(member for member in self._pages if member not in listed.holders)
            if lacking:
                yield Missing(listed.blob_id, listed.holders, lacking)

    def merged(self) -> Iterator[Listed[Member]]:
        """Give every blob, ascending and each once, as far as every listing has been read."""
        while not self.wanting:
            heads = [page[0] for page in self._pages.values() if page]
            if not heads:
                return
            lowest = min(heads)
            holders = tuple(member for member, page in self._pages.items() if page and page[0] == lowest)
            for holder in holders:
                self._pages[holder].popleft()
            yield Listed(lowest, holders)
