"""A guess: whether the next chunk of an upload is there already, so that it is worth asking before its bytes are sent."""

from __future__ import annotations

LONGEST_SILENCE = 16
"""Chunks at most between two questions while the answer is no: one round trip for 64 MiB costs nothing."""


class Guess:
    """Learns from the chunks before.

    A new object is nearly always new as a whole, and to ask for each of its chunks would cost a round trip each. One that
    was uploaded before, whole or up to where its client broke off, is there from its first chunk on. So the first is asked
    for, and the next as long as the answer is yes. After a no the questions become rare; they do not end, for an object
    may have a new beginning and an old rest.
    """

    def __init__(self) -> None:
        """Ask for the first."""
        self._silence = 0
        self._left = 0

    def is_worth_asking(self) -> bool:
        """Whether to ask for the next chunk; each call is for one more."""
        if self._left:
            self._left -= 1
            return False
        self._left = self._silence
        return True

    def learn(self, was_there: bool) -> None:
        """Take an answer."""
        if was_there:
            self._silence = self._left = 0
        else:
            self._silence = min(2 * self._silence or 1, LONGEST_SILENCE)
            self._left = self._silence
