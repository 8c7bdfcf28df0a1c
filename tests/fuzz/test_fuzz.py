"""A short hunt with a fixed seed, and whether the hunters can see."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.corpus.bodies import CUTS, EXACT
from tests.corpus.rows import Asked, Cut, Read, Refused
from tests.corpus.table import ASKED, REFUSED
from tests.fuzz import client, front
from tests.fuzz.hunt import hunt, pieces_of, smallest
from tests.fuzz.oracle import Behind, read


def test_three_thousand_mutants_of_requests() -> None:
    """No traceback, no hang, no other framing than the strict reader's."""
    find = hunt(front.Front(), front.CORPUS, "each commit", iter(range(3000)))
    assert find is None, str(find)


def test_two_thousand_mutants_of_answers() -> None:
    """Never a complete body that differs from what the framing says."""
    find = hunt(client.Asking(), client.CORPUS, "each commit", iter(range(2000)))
    assert find is None, str(find)


def test_no_row_of_the_corpus_is_a_find() -> None:
    """The rows themselves, before anything is changed in them."""
    quarry = front.Front()
    finds = {data: quarry.faults([data]) for data in front.CORPUS}
    assert not [found for found in finds.items() if found[1]]
    answers = client.Asking()
    assert not [answer for answer in client.CORPUS if answers.faults([answer]) or client.read(answer, False) is None]


def test_a_seed_makes_the_same_mutants_again() -> None:
    """Or a find could not be looked at twice."""
    assert [pieces_of("a", n, front.CORPUS) for n in range(50)] == [pieces_of("a", n, front.CORPUS) for n in range(50)]
    assert pieces_of("a", 1, front.CORPUS) != pieces_of("b", 1, front.CORPUS)


@pytest.mark.parametrize("row", EXACT, ids=lambda row: row.name)
def test_the_strict_reader_reads_what_is_right(row: Read) -> None:
    """Each request with its target and its body."""
    reading = read(row.data)
    assert [(message.method, message.target, message.body) for message in reading.messages] == list(row.requests)
    assert reading.behind is Behind.NOTHING


@pytest.mark.parametrize("row", [*REFUSED, *CUTS], ids=lambda row: row.name)
def test_the_strict_reader_takes_nothing_that_is_wrong(row: Refused | Cut) -> None:
    """But for what only the front refuses: methods that it does not know, proxies, other protocols, its own limits."""
    is_ours = row.name.startswith(("H6", "H7", "H23", "H38", "H39 trailers"))
    assert not read(row.data).messages or is_ours


def test_the_strict_reader_reads_every_request_of_the_table() -> None:
    """A row that asks something is one request."""
    odd = [row.name for row in ASKED if len(read(row.data).messages) != 1 and not is_odd(row)]
    assert not odd


def is_odd(row: Asked) -> bool:
    """Say whether a row is more than any front of ours takes."""
    return 413 in row.statuses


class Allergic:
    """A quarry that cannot bear certain bytes in one segment."""

    def faults(self, pieces: Sequence[bytes]) -> list[str]:
        """Sneeze."""
        return ["it sneezed"] if any(b"\0" in piece and b"x" in piece for piece in pieces) else []


def test_a_find_is_made_small() -> None:
    """What is left is what it takes."""
    assert sorted(b"".join(smallest(Allergic(), [b"some bytes and x", b" then \0 and more x"]))) == sorted(b"x\0")
    find = hunt(Allergic(), [b"axb" * 50], "any", iter(range(5000)))
    assert find is not None
    assert sorted(b"".join(find.pieces)) == sorted(b"x\0")
    assert f"mutant {find.number}" in str(find)
