"""The catalogue: every name once, over all groups, whoever fails meanwhile."""

from __future__ import annotations

from collections.abc import Mapping

from sos.decisions.topology import Server
from sos.usecases.catalogue import Catalogue
from sos.words.blob import BlobID
from sos.words.errors import BlobNotFound, ServerUnavailable
from sos.words.interfaces import IBlobStore
from tests.support import success_of
from tests.usecases.cluster_of import Flaky, memory_store, put, server

DOWN = ServerUnavailable("http://b:3001", "it is down")


def stores_of(**names: str) -> dict[Server, IBlobStore]:
    """Make a store for each member, with a blob for each letter."""
    stores: dict[Server, IBlobStore] = {}
    for member, letters in names.items():
        stores[server(member)] = store = memory_store(member)
        for letter in letters:
            put(store, letter.encode(), letter)
    return stores


async def rows_of(catalogue: Catalogue) -> list[tuple[str, int, int | None]]:
    """Read it all: names, numbers of holders, and sizes."""
    rows: list[tuple[str, int, int | None]] = []
    async for page in catalogue.pages():
        async for listed, entry in catalogue.entries(page):
            rows.append((listed.blob_id, len(listed.holders), None if entry is None else entry.size))
    return rows


def names_of(stores: Mapping[Server, IBlobStore], prefix: str = "", page: int = 2) -> list[str]:
    """List the names."""

    async def read() -> list[str]:
        return [listed.blob_id async for some in Catalogue(stores, prefix, page).pages() for listed in some]

    return success_of(read())


def test_every_name_comes_once_in_order() -> None:
    """Over as many pages as it takes."""
    assert names_of(stores_of(a="acegik", b="abcxyz", c="")) == list("abcegikxyz")
    assert names_of(stores_of(a="abc", b="bcd"), prefix="b") == ["b"]
    assert names_of(stores_of(a="", b="")) == []


def test_each_comes_with_its_holders_and_its_entry() -> None:
    """The number of holders is the number of copies."""
    catalogue = Catalogue(stores_of(a="ab", b="bc"), page=1)
    assert success_of(rows_of(catalogue)) == [("a", 1, 1), ("b", 2, 1), ("c", 1, 1)]
    assert not catalogue.failures


def test_a_member_that_fails_in_the_middle_is_named_and_left_out() -> None:
    """What the others have is listed all the same."""
    stores = stores_of(a="ace", b="bdf")
    stores[server("b")] = Flaky(stores[server("b")], [None, DOWN])
    catalogue = Catalogue(stores, page=1)

    async def read() -> list[str]:
        return [listed.blob_id async for page in catalogue.pages() for listed in page]

    assert success_of(read()) == ["a", "b", "c", "e"]
    assert catalogue.failures == {server("b"): DOWN}


def test_an_entry_comes_from_whoever_gives_it() -> None:
    """One holder fails, the next is asked; where none is left there is a name without an entry."""
    stores = stores_of(a="xy", b="x")
    stores[server("a")] = Flaky(stores[server("a")], [None, DOWN])
    catalogue = Catalogue(stores)
    assert success_of(rows_of(catalogue)) == [("x", 2, 1), ("y", 1, None)]
    assert server("a") in catalogue.failures


def test_what_was_deleted_meanwhile_is_left_out() -> None:
    """It was listed, and is there no more."""
    stores = stores_of(a="xy")
    stores[server("a")] = Flaky(stores[server("a")], [None, BlobNotFound(BlobID("x"))])
    assert success_of(rows_of(Catalogue(stores))) == [("y", 1, 1)]
