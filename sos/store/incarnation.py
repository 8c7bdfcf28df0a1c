"""Incarnations: each time a store is opened it draws a name that it never had, and whoever knew it by another knows little.

It may have been put back from an old copy, or be new and empty, and nothing else in it would tell.
"""

from __future__ import annotations

import secrets

from sos.words.errors import OtherIncarnation

_BYTES = 8
"""Of chance: two incarnations of one store have the same name once in 2^64."""


def new_incarnation() -> str:
    """Draw a name, of hex digits."""
    return secrets.token_hex(_BYTES)


def check_incarnation(held: str, meant: str | None) -> None:
    """Raise `OtherIncarnation` where another one is meant than the one that is open; None means any."""
    if meant not in (None, held):
        raise OtherIncarnation("This store was opened anew since it was asked what it holds.")
