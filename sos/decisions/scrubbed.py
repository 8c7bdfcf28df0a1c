"""What a pass over the members found, in sentences for whoever asked for it."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from sos.decisions.topology import Server
from sos.words.interfaces import Findings, ScrubStanding

_ONE_OR_MORE = {
    "damaged": ("damaged blob", "damaged blobs"),
    "rows": ("damaged entry", "damaged entries"),
    "orphans": ("orphan", "orphans"),
    "books": ("wrong digest or count", "wrong digests or counts"),
    "foreign": ("foreign thing among its files", "foreign things among its files"),
}


@frozen
class Scrubbed:
    """A member, and what the pass found there; or why nobody knows."""

    server: Server
    standing: ScrubStanding | None = None
    why_unknown: str | None = None

    @property
    def is_clean(self) -> bool:
        """Whether the pass ended, and found nothing of the store's own wrong."""
        return self.standing is not None and self.standing.found.is_clean

    @property
    def sentence(self) -> str:
        """What there is to say."""
        if self.standing is None:
            return f"{self.server.url} was not scrubbed: {self.why_unknown}."
        found = words_of(self.standing.found)
        if not found:
            return f"{self.server.url}: all is well."
        heals = self.standing.found.damaged or self.standing.found.rows
        what_next = " The next round brings good bytes from another member." if heals else ""
        return f"{self.server.url}: {', '.join(found)}.{what_next}"


def words_of(found: Findings) -> Sequence[str]:
    """Name all that was found, with its number."""
    numbers = {name: getattr(found, name) for name in _ONE_OR_MORE}
    return [f"{number} {_ONE_OR_MORE[name][number > 1]}" for name, number in numbers.items() if number]
