"""The topology: which blob servers there are, and which of them hold copies of each other."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from attrs import field, frozen

from sos.words.errors import BadConfig

DEFAULT_GROUP = "default"
"""The group of servers that are named without one (the ancestor's name for it)."""

HEAVIEST = 1000
"""The largest weight: a group that is more than a thousand times another is a mistake of typing."""

_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?/*", re.IGNORECASE
)
_LOCAL = "store:"
_DEFAULT_PORTS = {"http": 80, "https": 443}


def _server_url(text: str) -> str:
    """Give the one spelling of a server's URL: lower-case scheme and host, no slash at the end. Raises `BadConfig`."""
    if text.startswith(_LOCAL):
        return text
    found = _URL.fullmatch(text)
    if found is None:
        raise BadConfig("A blob server is http://HOST:PORT or https://HOST:PORT, without user, path, query or fragment.")
    if found["port"] is not None and not 1 <= int(found["port"]) <= 65_535:
        raise BadConfig("The port of a blob server is a number from 1 to 65535.")
    return text.rstrip("/").lower()


@frozen(order=True, cache_hash=True)
class Server:
    """A blob server, known by its URL. Raises `BadConfig` for what is no URL of a blob server."""

    url: str = field(converter=_server_url)

    @classmethod
    def of_store(cls, path: str) -> Server:
        """Name a store of this very process, which is reached without HTTP; no configuration file can."""
        return cls(_LOCAL + path)

    def __str__(self) -> str:
        return self.url

    @property
    def is_local(self) -> bool:
        """Whether it is a store of this process."""
        return self.url.startswith(_LOCAL)

    @property
    def is_secure(self) -> bool:
        """Whether it speaks TLS."""
        return self.url.startswith("https:")

    @property
    def host(self) -> str:
        """The host to connect to, an IPv6 address without its brackets."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """The port to connect to."""
        split = urlsplit(self.url)
        return split.port or _DEFAULT_PORTS[split.scheme]


def _each_once(servers: Iterable[Server]) -> tuple[Server, ...]:
    return tuple(dict.fromkeys(servers))


@frozen
class Group:
    """Servers that hold the same blobs: each member has every blob of the group. A server named twice is one member."""

    name: str
    members: tuple[Server, ...] = field(converter=_each_once)
    weight: int = 1


@frozen
class Topology:
    """All groups, in the order of the configuration. A server belongs to one group; raises `BadConfig` otherwise."""

    groups: tuple[Group, ...] = field(default=(), converter=tuple[Group, ...])

    def __attrs_post_init__(self) -> None:
        homes: dict[Server, Group] = {}
        for group in self.groups:
            for member in group.members:
                home = homes.setdefault(member, group)
                if home is not group:
                    raise BadConfig(
                        f"{member} is in group {home.name} and in group {group.name}: a server belongs to one group."
                    )

    @classmethod
    def of_servers(cls, servers: Iterable[Server]) -> Topology:
        """Put servers that were named without a group into the one group ``default``."""
        members = tuple(servers)
        return cls((Group(DEFAULT_GROUP, members),) if members else ())

    @property
    def servers(self) -> tuple[Server, ...]:
        """All servers, group by group, in the order of the configuration."""
        return tuple(member for group in self.groups for member in group.members)

    @property
    def is_empty(self) -> bool:
        """Whether there is no server at all."""
        return not self.servers

    def group_of(self, server: Server) -> Group:
        """Give the group that a server is in. Raises `KeyError` for a server of another topology."""
        for group in self.groups:
            if server in group.members:
                return group
        raise KeyError(server)
