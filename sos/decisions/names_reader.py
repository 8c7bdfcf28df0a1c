"""Reading a list of names as it comes: a JSON array of IDs, of any length, in bounded memory.

A server of the old contract knows no pages and sends all it has: what was not asked for is passed over here. A list that is
not ascending is refused, for whoever merges lists would take a name out of order for a name that is missing.
"""

from __future__ import annotations

import re

from sos.words.blob import BlobID, blob_id
from sos.words.errors import BadInput, InvalidBlobID

LONGEST_REST = 512
"""Bytes kept from one piece to the next: more than the longest ID with all that may stand around it."""

_SPACE = rb"[ \t\r\n]*"
_BEGIN = re.compile(_SPACE + rb"(\[|null)")
_NEXT = re.compile(_SPACE + rb'"(?P<name>[^"\\]*)"' + _SPACE + rb"(?P<end>[,\]])")
_FIRST = re.compile(_SPACE + rb'(?:"(?P<name>[^"\\]*)"' + _SPACE + rb"|(?=\]))(?P<end>[,\]])")
_WHITE = b" \t\r\n"


class NamesReader:
    """Picks a page of names out of a list."""

    def __init__(self, prefix: str, after: str, limit: int) -> None:
        """Pick at most `limit` names that begin with `prefix` and lie behind `after`."""
        self.names: list[BlobID] = []
        self.has_ended = False
        self._prefix = prefix
        self._after = after
        self._limit = limit
        self._has_begun = False
        self._has_item = False
        self._is_past = False
        self._last = ""
        self._rest = b""

    @property
    def is_full(self) -> bool:
        """Whether nothing that may still come is wanted."""
        return self._is_past or len(self.names) >= self._limit

    def feed(self, data: bytes) -> None:
        """Read on. Raises `BadInput` with what is wrong, in words that go behind the server's name."""
        text = self._rest + data
        at = self._begin(text)
        while self._has_begun and not self.has_ended:
            found = (_NEXT if self._has_item else _FIRST).match(text, at)
            if found is None:
                break
            at = found.end()
            self._take_item(found)
        self._rest = text[at:].lstrip(_WHITE)
        if len(self._rest) > LONGEST_REST or (self.has_ended and self._rest):
            raise BadInput("its list of blobs is no JSON array of IDs")

    def end(self) -> None:
        """Say that there is no more. Raises `BadInput` where the list had not ended."""
        if not self.has_ended:
            raise BadInput("its list of blobs is cut, or no JSON array of IDs")

    def _begin(self, text: bytes) -> int:
        """Find where the names begin; a Go program writes ``null`` where it has none."""
        if self._has_begun:
            return 0
        found = _BEGIN.match(text)
        if found is None:
            return 0
        self._has_begun = True
        self.has_ended = found[1] == b"null"
        return found.end()

    def _take_item(self, found: re.Match[bytes]) -> None:
        self._has_item = True
        self.has_ended = found["end"] == b"]"
        if found["name"] is not None:
            self._take_name(found["name"])

    def _take_name(self, raw: bytes) -> None:
        try:
            name = blob_id(raw)
        except InvalidBlobID:
            raise BadInput("its list of blobs has a name in it that is no ID") from None
        if name <= self._last:
            raise BadInput(f"its list of blobs is not ascending: {name} stands behind {self._last}")
        self._last = name
        if name > self._after and not self.is_full:
            if name.startswith(self._prefix):
                self.names.append(name)
            else:
                self._is_past = name > self._prefix
