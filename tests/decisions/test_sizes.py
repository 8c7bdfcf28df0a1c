"""Sizes, as people write them."""

from __future__ import annotations

import pytest

from sos.decisions.sizes import size_of, size_text
from sos.words.errors import BadInput


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1000", 1000),
        ("64MiB", 64 * 2**20),
        ("64M", 64 * 2**20),
        ("64 mb", 64 * 2**20),
        ("2k", 2048),
        ("1GiB", 2**30),
        ("3T", 3 * 2**40),
        ("7B", 7),
    ],
)
def test_a_size_is_a_number_with_or_without_a_unit(text: str, size: int) -> None:
    """Units are powers of 1024, whichever way they are written."""
    assert size_of(text) == size


@pytest.mark.parametrize("text", ["", "M", "-1", "+1", "1.5M", "1_000", "٦٤", "64X", "1e3", "0x10", "9" * 16])
def test_what_is_no_size_is_refused(text: str) -> None:
    """`int` alone would take some of these."""
    with pytest.raises(BadInput):
        size_of(text)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (1000 * 1024, "0.977 MiB"),
        (48213, "47.1 KiB"),
        (2**30 * 123, "123 GiB"),
        (2**40 * 5000, "5000 TiB"),
    ],
)
def test_a_size_for_people_has_three_digits(size: int, text: str) -> None:
    """In the unit that fits."""
    assert size_text(size) == text
