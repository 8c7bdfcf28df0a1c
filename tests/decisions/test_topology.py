"""The topology: one spelling of a URL, members that count once, servers in one group."""

from __future__ import annotations

import pytest

from sos.decisions.topology import Group, Server, Topology
from sos.words.errors import BadConfig

A = Server("http://a.example:3000")
B = Server("http://b.example:3000")


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("http://node1:3000/", "http://node1:3000"),
        ("http://node1:3000//", "http://node1:3000"),
        ("HTTP://Node1.Example.COM:3000", "http://node1.example.com:3000"),
        ("https://node1", "https://node1"),
        ("http://[::1]:3000/", "http://[::1]:3000"),
    ],
)
def test_a_server_has_one_spelling(written: str, url: str) -> None:
    """The slash at the end and the case of the host make no other server."""
    assert Server(written).url == url
    assert Server(written) == Server(url)


@pytest.mark.parametrize(
    "written",
    [
        "",
        "node1:3000",
        "ftp://node1",
        "http://",
        "http://:3000",
        "http://node1:0",
        "http://node1:65536",
        "http://node1:٣٠",
        "http://node1:3000/prefix",
        "http://node1?x",
        "http://node1#x",
        "http://user:word@node1",
        "http://no de",
        "http://node1\n",
    ],
)
def test_what_is_no_server_is_refused(written: str) -> None:
    """A server's URL is scheme, host and port, and nothing more."""
    with pytest.raises(BadConfig):
        Server(written)


def test_host_and_port_are_what_a_client_connects_to() -> None:
    """The port follows from the scheme where there is none; brackets are no part of an address."""
    assert (Server("https://node1").host, Server("https://node1").port, Server("https://node1").is_secure) == (
        "node1",
        443,
        True,
    )
    assert (Server("http://[::1]").host, Server("http://[::1]").port, Server("http://[::1]").is_secure) == ("::1", 80, False)
    assert A.port == 3000


def test_a_server_named_twice_is_one_member() -> None:
    """One server is one copy, however often it is named."""
    assert Group("1", (A, B, A)).members == (A, B)


def test_a_server_in_two_groups_is_refused() -> None:
    """An object's home would be ambiguous."""
    with pytest.raises(BadConfig, match="group 1 and in group 2"):
        Topology((Group("1", (A, B)), Group("2", (B,))))


def test_servers_come_group_by_group() -> None:
    """The order of the configuration is kept, and each server knows its group."""
    first, second = Group("z", (B,)), Group("a", (A,))
    topology = Topology((first, second))
    assert topology.servers == (B, A)
    assert topology.group_of(A) is second
    with pytest.raises(KeyError):
        topology.group_of(Server("http://c"))


def test_servers_without_a_group_are_the_group_default() -> None:
    """It is the name that the ancestor gives; no servers make no group."""
    assert Topology.of_servers([A, B]).groups == (Group("default", (A, B)),)
    assert Topology.of_servers([]).is_empty
    assert not Topology.of_servers([A]).is_empty


def test_a_store_of_this_process_is_a_server_without_http() -> None:
    """It has a name that no configuration can give."""
    store = Server.of_store("Data/1")
    assert (store.url, store.is_local, A.is_local) == ("store:Data/1", True, False)
