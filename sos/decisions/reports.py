"""What a blob server says of itself (``/status``), read with suspicion, and how much room that leaves it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from sos.decisions.scrub_wire import standing_of
from sos.decisions.sizes import GIB, MIB
from sos.words.errors import BadInput

NEARLY_FULL_SHARE = 0.05
NEARLY_FULL = GIB
"""Below either, somebody should see to the disk: there is time left for it."""

FULL_SHARE = 0.01
FULL = 64 * MIB
FEWEST_INODES = 64
"""What a store keeps free unless told: below any of these it takes no uploads (`sos.store.room`)."""

NO_LIMIT = 1 << 62
"""As many inodes as this mean that the file system does not count them."""

_LARGEST = (1 << 63) - 1
_LONGEST_TEXT = 100


@frozen(kw_only=True)
class StoreReport:
    """How a store is, as its blob server says. `round_age` and `scrub_age` are seconds since its last round and
    since the last pass of its scrub, None where there was none, or it does not say; `is_partial` is that of `ILocalStore`.
    """

    version: str
    store: str
    blobs: int
    size: int
    free_bytes: int
    free_inodes: int
    is_read_only: bool
    round_age: float | None = None
    damaged: int = 0
    scrub_age: float | None = None
    is_partial: bool = False

    @property
    def is_full(self) -> bool:
        """Whether it takes no uploads for want of room, going by the usual reserve."""
        return self._has_less_than(FULL, FULL_SHARE) or self.free_inodes < FEWEST_INODES

    @property
    def is_nearly_full(self) -> bool:
        """Whether little room is left: of what it holds and may still take, for others may fill the same disk."""
        return self.is_full or self._has_less_than(NEARLY_FULL, NEARLY_FULL_SHARE)

    @property
    def takes_writes(self) -> bool:
        """Whether an upload can be written there."""
        return not self.is_read_only and not self.is_full

    def _has_less_than(self, least: int, share: float) -> bool:
        return self.free_bytes < max(least, share * (self.size + self.free_bytes))


def report_of(shape: Mapping[str, Any]) -> StoreReport:
    """Read the JSON object of ``/status``; fields that are not known here are left alone. Raises `BadInput`."""
    return StoreReport(
        version=_text(shape, "version"),
        store=_text(shape, "store"),
        blobs=_count(shape, "blobs"),
        size=_count(shape, "bytes"),
        free_bytes=_count(shape, "free_bytes"),
        free_inodes=_count(shape, "free_inodes"),
        is_read_only=_flag(shape, "read_only"),
        round_age=_seconds(shape, "replication_age"),
        damaged=_count(shape, "damaged") if "damaged" in shape else 0,
        scrub_age=standing_of(shape["scrub"]).age if "scrub" in shape else None,
        is_partial=_flag(shape, "partial") if "partial" in shape else False,
    )


def _text(shape: Mapping[str, Any], name: str) -> str:
    value = shape.get(name)
    if not isinstance(value, str) or not value.isprintable() or len(value) > _LONGEST_TEXT:
        raise BadInput(f"its status has no {name} that can be read")
    return value


def _count(shape: Mapping[str, Any], name: str) -> int:
    value = shape.get(name)
    if type(value) is not int or not 0 <= value <= _LARGEST:  # a bool is an int, too
        raise BadInput(f"its status has no {name} that is a number")
    return value


def _flag(shape: Mapping[str, Any], name: str) -> bool:
    value = shape.get(name)
    if not isinstance(value, bool):
        raise BadInput(f"its status has no {name} that is true or false")
    return value


def _seconds(shape: Mapping[str, Any], name: str) -> float | None:
    value = shape.get(name)
    if value is None:
        return None
    if type(value) not in (int, float) or not 0 <= value <= _LARGEST:
        raise BadInput(f"its status has no {name} that is a number of seconds")
    return float(value)
