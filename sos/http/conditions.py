"""Conditional requests: whether an answer is sent whole, in part, or not at all (RFC 9110, section 13)."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable

from attrs import frozen
from twisted.web.http import stringToDatetime

Header = Callable[[bytes], bytes | None]
"""Gives a request's header by its lower-case name."""

_ENTITY_TAG = re.compile(rb'[ \t]*(W/)?("[\x21\x23-\x7e\x80-\xff]*")[ \t]*(?:,|$)')


class Verdict(enum.Enum):
    """What the conditions of a request make of its answer."""

    SEND = "send"
    NOT_MODIFIED = "not modified"
    FAILED = "failed"


@frozen
class Validators:
    """What identifies the state of a resource: a strong entity tag with its quotes, and unix seconds or None."""

    entity_tag: bytes
    modified: int | None

    def judge(self, header: Header) -> Verdict:
        """Evaluate the conditions of a GET or HEAD, in the order of RFC 9110, section 13.2.2."""
        if (tags := header(b"if-match")) is not None:
            if not self._matches(tags, weakly=False):
                return Verdict.FAILED
        elif (date := _seconds(header(b"if-unmodified-since"))) is not None and self._is_newer_than(date):
            return Verdict.FAILED
        if (tags := header(b"if-none-match")) is not None:
            return Verdict.NOT_MODIFIED if self._matches(tags, weakly=True) else Verdict.SEND
        if (date := _seconds(header(b"if-modified-since"))) is not None and self.modified is not None:
            return Verdict.SEND if self._is_newer_than(date) else Verdict.NOT_MODIFIED
        return Verdict.SEND

    def allow_range(self, if_range: bytes | None) -> bool:
        """Say whether a ``Range`` may be answered in part: without ``If-Range``, or when that names this very state."""
        if if_range is None or if_range == self.entity_tag:
            return True
        date = _seconds(if_range)
        return date is not None and date == self.modified

    def _is_newer_than(self, date: int) -> bool:
        return self.modified is not None and self.modified > date

    def _matches(self, tags: bytes, *, weakly: bool) -> bool:
        """Find our tag in a list; ``*`` is any. A weak tag never matches strongly."""
        if tags.strip() == b"*":
            return True
        at = 0
        while at < len(tags) and (match := _ENTITY_TAG.match(tags, at)) is not None:
            if match[2] == self.entity_tag and (weakly or match[1] is None):
                return True
            at = match.end()
        return False


def _seconds(date: bytes | None) -> int | None:
    """Read an HTTP date; None if there is none, or none that can be understood."""
    if date is None:
        return None
    try:
        seconds: int = stringToDatetime(date)
    except (ValueError, KeyError, IndexError, OverflowError):
        return None
    return seconds
