"""Lists of names: whole or in pieces, ours or an old server's, and those that are none (torture, B14)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sos.decisions.names_reader import LONGEST_REST, NamesReader
from sos.words.errors import BadInput

NAMES = st.lists(st.text("abc01", min_size=1, max_size=6), unique=True).map(sorted)


def read(text: bytes, prefix: str = "", after: str = "", limit: int = 1000, piece: int = 10**6) -> list[str]:
    """Read a whole list, so many bytes at a time."""
    reader = NamesReader(prefix, after, limit)
    for start in range(0, len(text), piece):
        reader.feed(text[start : start + piece])
    reader.end()
    return list(reader.names)


@given(names=NAMES, piece=st.integers(1, 20), indent=st.sampled_from([None, 2]))
def test_any_list_of_names_is_read_in_any_pieces(names: list[str], piece: int, indent: int | None) -> None:
    """With white space or without."""
    assert read(json.dumps(names, indent=indent).encode() + b"\n", piece=piece) == names


@given(names=NAMES, prefix=st.text("abc01", max_size=2), after=st.text("abc01", max_size=3), limit=st.integers(1, 5))
def test_a_page_is_picked_from_all_there_is(names: list[str], prefix: str, after: str, limit: int) -> None:
    """As a server would that knows pages."""
    wanted = [name for name in names if name.startswith(prefix) and name > after][:limit]
    assert read(json.dumps(names).encode(), prefix, after, limit) == wanted


def test_a_list_of_none_is_empty() -> None:
    """A Go program writes null for a list that it never made."""
    assert read(b"[]") == read(b" [ ] \n") == read(b"null\n", piece=1) == []


def test_it_is_full_at_the_limit_and_behind_the_prefix() -> None:
    """Then nothing that follows is wanted."""
    reader = NamesReader("", "", 2)
    reader.feed(b'["a","b"')
    assert not reader.is_full
    reader.feed(b',"c"')
    assert reader.is_full and reader.names == ["a", "b"] and not reader.has_ended
    behind = NamesReader("a", "", 100)
    behind.feed(b'["a","ab","b","c",')
    assert behind.is_full and behind.names == ["a", "ab"]


@pytest.mark.parametrize("piece", [1, 10**6])
@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[",
        b'["a"',
        b'["a",',
        b'["a",]',
        b"[,]",
        b'[,"a"]',
        b'["a" "b"]',
        b'["a"]]',
        b'["a"]["b"]',
        b'["b","a"]',
        b'["a","a"]',
        b'["../x"]',
        b'["A"]',
        b'[""]',
        b'["a\\u0062"]',
        b'["' + b"a" * 129 + b'"]',
        b'["' + b"a" * 10_000,
        b"[" * 1000,
        b" " * 10 + b"{}",
        b"[1,2]",
        b"[null]",
        b"<html>",
        b"nul",
        b"nullnull",
    ],
)
def test_what_is_no_ascending_list_of_ids_is_refused(text: bytes, piece: int) -> None:
    """Cut, unsorted, twice, with names that are no IDs, or no list at all."""
    with pytest.raises(BadInput):
        read(text, piece=piece)


def test_memory_is_bounded_whatever_comes() -> None:
    """A name of ten megabytes is refused long before its end, and white space is not kept."""
    reader = NamesReader("", "", 10)
    reader.feed(b'["' + b"a" * (LONGEST_REST - 1))
    with pytest.raises(BadInput):
        reader.feed(b"aa")
    patient = NamesReader("", "", 10)
    for _ in range(1000):
        patient.feed(b" " * 1000)
    patient.feed(b'["a"]')
    patient.end()
    assert patient.names == ["a"]
