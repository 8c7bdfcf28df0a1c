"""Arguments: one dash reads as two, and nothing else changes."""

from __future__ import annotations

import getopt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sos.decisions.arguments import with_options_first, with_two_dashes

LONG = ["store=", "host=", "port=", "download-port=", "dump", "verbose", "version", "help"]
SHORT = "hvp:"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["-store", "data1"], ["--store", "data1"]),
        (["--store", "data1"], ["--store", "data1"]),
        (["-store=data1"], ["--store=data1"]),
        (["-store="], ["--store="]),
        (["-dump", "-verbose"], ["--dump", "--verbose"]),
        (["-download-port", "1"], ["--download-port", "1"]),
        (["-v", "-h"], ["-v", "-h"]),
        (["-vh"], ["-vh"]),
        (["-p", "-dump", "-dump"], ["-p", "-dump", "--dump"]),
        (["-p80", "-dump"], ["-p80", "--dump"]),
        (["-vp", "-dump"], ["-vp", "-dump"]),
        (["-store", "-port", "-port", "1"], ["--store", "-port", "--port", "1"]),
        (["--st", "-dump", "-dump"], ["--st", "-dump", "--dump"]),
        (["--store=-x", "-dump"], ["--store=-x", "--dump"]),
        (["--", "-dump"], ["--", "-dump"]),
        (["-", "-dump"], ["-", "-dump"]),
        (["word", "-dump"], ["word", "-dump"]),
        (["-stor", "-dump"], ["-stor", "--dump"]),
        (["--nonsense", "-dump"], ["--nonsense", "--dump"]),
        (["-store"], ["--store"]),
        ([], []),
    ],
)
def test_long_options_get_their_second_dash(typed: list[str], meant: list[str]) -> None:
    """Short options, values and what comes after the options stay as they are."""
    assert with_two_dashes(typed, LONG, SHORT) == meant


WORDS = st.one_of(
    st.sampled_from(["-v", "-p1", "-p", "--", "-", "x", "--dump", "--st", "--store", "--port=1", "--ver"]),
    st.from_regex(r"-{0,2}[a-z]{0,7}=?[a-z-]{0,3}", fullmatch=True),
)


@given(st.lists(WORDS, max_size=6).filter(lambda words: not any(_has_one_dash(word) for word in words)))
def test_a_command_line_with_two_dashes_stays_as_it_is(typed: list[str]) -> None:
    """The translation has nothing to say about what `getopt` understands by itself."""
    assert with_two_dashes(typed, LONG, SHORT) == typed


@given(st.lists(WORDS, max_size=6))
def test_one_dash_means_what_two_mean(typed: list[str]) -> None:
    """Wherever `getopt` reads options with two dashes, it reads the same ones with one."""
    try:
        expected = getopt.getopt(typed, SHORT, LONG)
    except getopt.GetoptError:
        return
    options, rest = expected
    if any(_has_one_dash(word) for word in typed):
        return
    single = [argument for name, value in options for argument in _typed_with_one_dash(name, value)]
    assert getopt.getopt(with_two_dashes([*single, "--", *rest], LONG, SHORT), SHORT, LONG) == expected


def _typed_with_one_dash(name: str, value: str) -> list[str]:
    takes_value = f"{name.lstrip('-')}=" in LONG or name == "-p"
    return [f"-{name.lstrip('-')}", *([value] if takes_value else [])]


def _has_one_dash(word: str) -> bool:
    name = word.lstrip("-").partition("=")[0]
    return word.startswith("-") and not word.startswith("--") and (name in LONG or f"{name}=" in LONG)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["file", "-store", "data1", "-v", "other"], ["--store", "data1", "-v", "--", "file", "other"]),
        (["-", "-dump"], ["--dump", "--", "-"]),
        (["-v", "--", "-dump", "file"], ["-v", "--", "-dump", "file"]),
        (["file", "-p", "-dump", "--", "--", "-x"], ["-p", "-dump", "--", "file", "--", "-x"]),
        (["file", "-store"], ["--store"]),
        ([], ["--"]),
    ],
)
def test_options_may_stand_behind_arguments(typed: list[str], meant: list[str]) -> None:
    """They come first then, each with its value; an option without its value is left for `getopt` to complain of."""
    assert with_options_first(typed, LONG, SHORT) == meant
