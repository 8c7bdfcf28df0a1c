"""Paging: all that a store lists, page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from sos.words.blob import Entry

Read = Callable[[str, int], Awaitable[Sequence[Entry]]]
"""Gives the next entries behind an ID, ascending, so many at most; none where there are no more."""


async def pages_of(read: Read, most: int) -> AsyncIterator[Sequence[Entry]]:
    """Give pages of `most` entries until there are no more. Raises what `read` raises."""
    after = ""
    while page := await read(after, most):
        yield page
        after = page[-1].id
