"""The catalogue: every name once, over all groups, whoever fails meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from sos.decisions.topology import Server
from sos.usecases.catalogue import Catalogue
from sos.words.blob import BlobID, Entry, Kind, Version
from sos.words.errors import BlobDamaged, BlobNotFound, Forbidden, ServerUnavailable, SOSError, Unsupported
from sos.words.interfaces import IBlobStore
from tests.support import bytes_body, success_of
from tests.usecases.cluster_of import Flaky, memory_store, put, put_chunked, server

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


def test_a_name_that_moves_meanwhile_is_among_the_names() -> None:
    """A stray was not at home when home was listed, and is when the group is listed that kept it. Others come as ever."""
    home, other = memory_store("home"), memory_store("other")
    put(home, b"z", "z")
    for name, kind in (("b", Kind.BLOB), ("y", Kind.BLOB), ("c", Kind.CHUNK)):
        stray = Entry(id=BlobID(name), version=Version(1), kind=kind, is_stray=True)
        success_of(other.receive(stray, bytes_body(name.encode())))

    class Listed(Flaky):
        """Has a stray carried here when it was listed."""

        async def enumerate(
            self, prefix: str = "", after: str = "", limit: int = 1000, kind: Kind | None = None
        ) -> Sequence[BlobID]:
            names = await super().enumerate(prefix, after, limit, kind)
            if kind is Kind.MANIFEST and not after:
                put(home, b"b", "b")
                success_of(other.forget(BlobID("b"), Version(1)))
            return names

    async def read() -> list[BlobID]:
        stores: dict[Server, IBlobStore] = {server("home"): Listed(home), server("other"): other}
        return [name async for some in Catalogue(stores, page=1).names() for name in some]

    assert success_of(read()) == ["y", "z", "b"]


@pytest.mark.parametrize(
    ("error", "failures"),
    [
        (DOWN, {server("b"): DOWN}),
        (Unsupported("It speaks the old contract."), {}),
        (Forbidden("It tells this its own host only."), {}),
    ],
)
def test_a_member_that_fails_to_say_what_its_strays_are_is_named(error: SOSError, failures: dict[Server, SOSError]) -> None:
    """What it alone has may be missing. One that has none, or may not say, has not failed."""
    stores = stores_of(a="ac", b="bd")
    stores[server("b")] = Flaky(stores[server("b")], [error])
    catalogue = Catalogue(stores)

    async def read() -> list[BlobID]:
        return [name async for some in catalogue.names() for name in some]

    assert success_of(read()) == list("abcd")
    assert catalogue.failures == failures


def test_each_comes_with_its_holders_and_its_entry() -> None:
    """The number of holders is the number of copies."""
    catalogue = Catalogue(stores_of(a="ab", b="bc"), page=1)
    assert success_of(rows_of(catalogue)) == [("a", 1, 1), ("b", 2, 1), ("c", 1, 1)]
    assert not catalogue.failures


def test_a_member_that_fails_in_the_middle_is_named_and_left_out() -> None:
    """What the others have is listed all the same."""
    stores = stores_of(a="ace", b="bdf")
    stores[server("b")] = Flaky(stores[server("b")], [None, None, DOWN])
    catalogue = Catalogue(stores, page=1)

    async def read() -> list[str]:
        return [listed.blob_id async for page in catalogue.pages() for listed in page]

    assert success_of(read()) == ["a", "b", "c", "e"]
    assert catalogue.failures == {server("b"): DOWN}


def test_an_entry_comes_from_whoever_gives_it() -> None:
    """One holder fails, the next is asked; where none is left there is a name without an entry."""
    stores = stores_of(a="xy", b="x")
    stores[server("a")] = Flaky(stores[server("a")], [None, None, DOWN])
    catalogue = Catalogue(stores)
    assert success_of(rows_of(catalogue)) == [("x", 2, 1), ("y", 1, None)]
    assert server("a") in catalogue.failures


def test_what_was_deleted_meanwhile_is_left_out() -> None:
    """It was listed, and is there no more."""
    stores = stores_of(a="xy")
    stores[server("a")] = Flaky(stores[server("a")], [None, None, BlobNotFound(BlobID("x"))])
    assert success_of(rows_of(Catalogue(stores))) == [("y", 1, 1)]


class OldContract(Flaky):
    """A member that knows no kinds when it lists, and gives them back with its blobs."""

    async def enumerate(
        self, prefix: str = "", after: str = "", limit: int = 1000, kind: Kind | None = None
    ) -> Sequence[BlobID]:
        if kind is not None:
            raise Unsupported("it speaks the old contract")
        return await super().enumerate(prefix, after, limit)


@pytest.mark.parametrize("kind_of_member", [Flaky, OldContract])
@pytest.mark.parametrize("page", [1, 2, 1000])
def test_objects_are_listed_and_their_chunks_are_not(kind_of_member: type[Flaky], page: int) -> None:
    """The size of an object in chunks is that of all its bytes, whatever its manifest has."""
    store = memory_store()
    for letter in "adgm":
        put(store, letter.encode(), letter)
    for letter in "bez":
        put_chunked(store, letter.encode() * 5, letter, chunk_size=2)
    stores: dict[Server, IBlobStore] = {server("a"): kind_of_member(store)}
    sizes = {"a": 1, "b": 5, "d": 1, "e": 5, "g": 1, "m": 1, "z": 5}
    assert success_of(rows_of(Catalogue(stores, page=page))) == [(name, 1, size) for name, size in sizes.items()]


def test_an_object_whose_manifest_cannot_be_read_is_a_name_without_an_entry() -> None:
    """There is something, and nobody knows how much."""
    store = memory_store()
    put(store, b"{}", "abc", kind=Kind.MANIFEST)
    catalogue = Catalogue({server("a"): store})
    assert success_of(rows_of(catalogue)) == [("abc", 1, None)]
    assert isinstance(catalogue.failures[server("a")], BlobDamaged)
