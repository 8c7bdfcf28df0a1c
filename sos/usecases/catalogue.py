"""The catalogue: the names of all objects over all members, ascending and each once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

from attrs import evolve

from sos.concurrently import concurrently
from sos.decisions.reconcile import Listed, Reconciliation
from sos.decisions.topology import Server
from sos.usecases.object_names import manifest_at, object_names
from sos.usecases.paging import pages_of
from sos.words.blob import BlobID, Entry, Kind
from sos.words.errors import BlobNotFound, Forbidden, SOSError, Unsupported
from sos.words.interfaces import IBlobStore, IDigested

PAGE = 1000
"""Names read from a member at a time."""

AT_ONCE = 16
"""Entries asked for at a time: enough to hide the way to the members, few enough not to be felt by their users."""


class Catalogue:
    """Reads the listings of all members side by side; memory holds one page of each.

    A member that fails is left out from there on; `failures` says which did, and why.
    """

    def __init__(self, stores: Mapping[Server, IBlobStore], prefix: str = "", page: int = PAGE) -> None:
        """List what begins with `prefix`."""
        self.failures: dict[Server, SOSError] = {}
        self._stores = stores
        self._prefix = prefix
        self._page = page

    async def pages(self) -> AsyncIterator[Sequence[Listed[Server]]]:
        """Give the names with their holders, some at a time."""
        listings = Reconciliation(list(self._stores))
        while wanting := listings.wanting:
            await concurrently(self._read_page(listings, server) for server in wanting)
            page = list(listings.merged())
            if page:
                yield page

    async def names(self) -> AsyncIterator[Sequence[BlobID]]:
        """Give the names alone, some at a time: as in `pages`, and behind them those of strays that are not among these.

        A round may carry a stray home, and forget it, between the page of its home and that of the group that kept it. What
        was a stray before the first page, and is on none, has moved or is gone.
        """
        strays = await self._strays()
        async for page in self.pages():
            names = [listed.blob_id for listed in page]
            strays.difference_update(names)
            yield names
        moved = sorted(strays)
        for start in range(0, len(moved), self._page):
            yield moved[start : start + self._page]

    async def entries(self, page: Sequence[Listed[Server]]) -> AsyncIterator[tuple[Listed[Server], Entry | None]]:
        """Give each name with its entry, None where no holder gives it; what was deleted meanwhile is left out."""
        for start in range(0, len(page), AT_ONCE):
            some = page[start : start + AT_ONCE]
            found = await concurrently(self._entry_of(listed) for listed in some)
            for listed, (is_gone, entry) in zip(some, found, strict=True):
                if not is_gone:
                    yield listed, entry

    async def _entry_of(self, listed: Listed[Server]) -> tuple[bool, Entry | None]:
        """Ask one holder after the other; say whether all of them say that it is gone, and what it is."""
        is_gone = True
        for server in listed.holders:
            if server in self.failures:
                is_gone = False
                continue
            try:
                return False, await self._entry_at(self._stores[server], listed.blob_id)
            except BlobNotFound:
                pass
            except SOSError as error:
                is_gone = False
                self.failures.setdefault(server, error)
        return is_gone, None

    async def _entry_at(self, store: IBlobStore, object_id: BlobID) -> Entry:
        """Ask one holder; of an object in chunks, give the size of all its bytes."""
        entry = await store.stat(object_id)
        if entry.kind is not Kind.MANIFEST:
            return entry
        return evolve(entry, size=(await manifest_at(store, object_id)).size)

    async def _strays(self) -> set[BlobID]:
        """Give the names of all strays, as far as members tell; a failure is noted."""
        found: set[BlobID] = set()
        for server, store in self._stores.items():
            digested = IDigested(store, None)
            if digested is None:
                continue
            try:
                async for page in pages_of(digested.strays, self._page):
                    found.update(entry.id for entry in page if self._is_wanted(entry))
            except (Forbidden, Unsupported):  # without a cluster key it tells its own host only; or it has no strays
                continue
            except SOSError as error:
                self.failures.setdefault(server, error)
        return found

    def _is_wanted(self, entry: Entry) -> bool:
        return entry.is_live and entry.kind is not Kind.CHUNK and entry.id.startswith(self._prefix)

    async def _read_page(self, listings: Reconciliation[Server], server: Server) -> None:
        try:
            after = BlobID(listings.read_to(server))
            page = await object_names(self._stores[server], self._prefix, after, self._page)
        except SOSError as error:
            self.failures.setdefault(server, error)
            listings.drop(server)
        else:
            listings.feed(server, page)
