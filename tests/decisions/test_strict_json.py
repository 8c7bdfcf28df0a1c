"""Strict JSON: what only the standard library takes for JSON is refused."""

from __future__ import annotations

import pytest

from sos.decisions.strict_json import parsed
from sos.words.errors import BadInput


def test_json_is_read() -> None:
    """Plain JSON is what it says."""
    assert parsed(b'{"a": [1, 2.5, "\xc3\xbc", null, true]}') == {"a": [1, 2.5, "ü", None, True]}


@pytest.mark.parametrize(
    "payload",
    [b"", b"{", b"\xff", b"NaN", b"[Infinity]", b'{"a": 1, "a": 1}', b"[" * 100_000, b"9" * 5000],
    ids=lambda payload: repr(payload[:12]),
)
def test_what_is_no_json_is_refused(payload: bytes) -> None:
    """NaN, a key twice, endless depth and endless digits are refused with one error (torture, B6)."""
    with pytest.raises(BadInput, match="cannot be read"):
        parsed(payload)
