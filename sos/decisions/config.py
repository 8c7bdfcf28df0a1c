"""The configuration: which lines name groups and servers. Reading the files themselves is `sos.config_files`.

A file is a list of URLs, one a line, or has sections::

    # a comment
    [1]
    -: http://node1.example.com:3000
    mirror: http://node1-2.example.com:3000
    [2]
    weight: 2
    http://node2.example.com:3000

What stands above the first section belongs to the group ``default``, so the plain list is a file without sections and
needs no rule of its own. A line that cannot be understood is an error: a server that is left out in silence is a lost copy.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from attrs import frozen

from sos.decisions.topology import DEFAULT_GROUP, HEAVIEST, Group, Server, Topology
from sos.words.errors import BadConfig

_COMMENT = re.compile(r"(?:^|\s)[#;].*")
_SECTION = re.compile(r"\[\s*([^\[\]]*[^\[\]\s])\s*\]")
_URL = re.compile(r"https?://\S+", re.IGNORECASE)
_KEYED_URL = re.compile(r"[^\s:=][^:=]*[:=]\s*(https?://\S+)", re.IGNORECASE)
_WEIGHT = re.compile(r"weight\s*[:=]\s*(.*)", re.IGNORECASE)
_WEIGHT_VALUE = re.compile(r"[1-9][0-9]{0,3}", re.ASCII)
_USER = re.compile(r"//[^/\s]*@")


@frozen
class Section:
    """What one file says of one group; `weight` is None where it says nothing."""

    name: str
    servers: tuple[Server, ...] = ()
    weight: int | None = None


def parse(text: str, name: str) -> tuple[Section, ...]:
    """Read the text of the file `name`. Raises `BadConfig`, which names file, line and text."""
    sections = [Section(DEFAULT_GROUP)]
    for number, line in _meaningful_lines(text):
        try:
            _read_line(line, sections)
        except BadConfig as error:
            raise BadConfig(f"{name}, line {number}: {_without_user(line)!r} cannot be understood. {error}") from None
    return tuple(section for section in sections if section != Section(DEFAULT_GROUP))


def combine(files: Iterable[tuple[Section, ...]]) -> Topology:
    """Add files up: groups of the same name are one, in the order in which they first came; the last weight counts.

    Raises `BadConfig` for a server that is in two groups.
    """
    servers: dict[str, list[Server]] = {}
    weights: dict[str, int] = {}
    for section in (section for file in files for section in file):
        servers.setdefault(section.name, []).extend(section.servers)
        if section.weight is not None:
            weights[section.name] = section.weight
    return Topology(tuple(Group(name, tuple(members), weights.get(name, 1)) for name, members in servers.items() if members))


def server_list(text: str) -> Topology:
    """Read a comma-separated list of servers, as a command line has it. Raises `BadConfig`."""
    return Topology.of_servers(_server(url) for url in (part.strip() for part in text.split(",")) if url)


def _meaningful_lines(text: str) -> Iterator[tuple[int, str]]:
    """Give number and text of each line that says something; a byte order mark and comments say nothing.

    Lines end as a text editor shows them: `str.splitlines` would count a form feed, too.
    """
    for number, line in enumerate(re.split(r"\r\n|\n|\r", text.removeprefix("\ufeff")), 1):
        stripped = _COMMENT.sub("", line).strip()
        if stripped:
            yield number, stripped


def _read_line(line: str, sections: list[Section]) -> None:
    """Let one line open a section, or add to the one that is open."""
    opened = sections[-1]
    if line.startswith("["):
        sections.append(Section(_section_name(line)))
    elif weight := _WEIGHT.fullmatch(line):
        if opened.weight is not None:
            raise BadConfig("This group has a weight already.")
        sections[-1] = Section(opened.name, opened.servers, _weight(weight[1]))
    else:
        sections[-1] = Section(opened.name, (*opened.servers, _server(_url_in(line))), opened.weight)


def _section_name(line: str) -> str:
    found = _SECTION.fullmatch(line)
    if found is None or not found[1].isprintable():
        raise BadConfig("A group begins with its name in brackets: [name].")
    return found[1]


def _weight(text: str) -> int:
    if _WEIGHT_VALUE.fullmatch(text) is None or int(text) > HEAVIEST:
        raise BadConfig(f"A weight is a whole number from 1 to {HEAVIEST}.")
    return int(text)


def _url_in(line: str) -> str:
    """Find the URL of a line; a bare one is looked for first, for its own colon would make ``http`` a key."""
    if _URL.fullmatch(line):
        return line
    keyed = _KEYED_URL.fullmatch(line)
    if keyed is None:
        raise BadConfig("A line is a URL, -: URL, name: URL, weight: NUMBER, [group], or a comment after # or ;.")
    return keyed[1]


def _server(url: str) -> Server:
    if _URL.fullmatch(url) is None:  # a store of this process has a name of its own, which no configuration may use
        raise BadConfig(f"{_without_user(url)!r} is no blob server: its URL begins with http:// or https://.")
    if _USER.search(url):
        raise BadConfig("A blob server's URL has no user and no password; --cluster-key-file holds the key.")
    return Server(url)


def _without_user(text: str) -> str:
    """Hide what stands before the ``@`` of a URL: it may be a password, and errors go to logs."""
    return _USER.sub("//…@", text)
