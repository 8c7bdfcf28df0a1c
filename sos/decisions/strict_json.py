"""Strict JSON: what a peer sent is read as it was meant, or not at all; and what it is sent is as short as can be.

Reader and writer are made once: the library's functions make a new one for each call that is not the plainest.
"""

from __future__ import annotations

import json
from typing import Any

from sos.words.errors import BadInput


def compact(shape: Any) -> bytes:
    """Write JSON for a peer: ASCII, without a space."""
    return compact_text(shape).encode("ascii")


def compact_text(shape: Any) -> str:
    """Write the same as a part of something longer."""
    return _encode(shape)


def parsed(payload: bytes) -> Any:
    """Read JSON that a peer sent; whoever calls has bounded its length.

    Raises `BadInput` for what is no JSON in UTF-8, and for what the standard library reads beyond it: NaN, a key that comes
    twice, more depth than the stack has, a number of thousands of digits.
    """
    try:
        return _decode(payload.decode("utf-8"))
    except (ValueError, RecursionError):
        raise BadInput("The JSON cannot be read.") from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    shape = dict(pairs)
    if len(shape) < len(pairs):
        raise ValueError("a key comes twice")
    return shape


_decode = json.JSONDecoder(parse_constant=_no_constant, object_pairs_hook=_each_key_once).decode
_encode = json.JSONEncoder(separators=(",", ":")).encode
