"""The configuration: both forms, every bad line with its message, and files that add up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sos.decisions.config import combine, parse, server_list
from sos.decisions.topology import Group, Server, Topology
from sos.words.errors import BadConfig


def topology(*texts: str) -> Topology:
    """Read texts as if each were a file."""
    return combine([parse(text, "sos.conf") for text in texts])


def group(name: str, *urls: str, weight: int = 1) -> Group:
    """Make a group of URLs."""
    return Group(name, tuple(map(Server, urls)), weight)


def test_a_plain_list_is_the_group_default() -> None:
    """The simple form: URLs, one a line."""
    text = "# all of them\nhttp://node1:3333/\n\nhttp://node2:3333\n ; the end\n"
    assert topology(text).groups == (group("default", "http://node1:3333", "http://node2:3333"),)


def test_sections_are_groups_and_every_kind_of_line_names_a_member() -> None:
    """The form with sections, as the design shows it."""
    text = """# a comment
[1]
-: http://node1.example.com:3000
- : http://node1-2.example.com:3000/
[ second one ]
weight: 2
http://node2.example.com:3000
mirror = https://node2-2.example.com
other-key: http://[::1]:3000   # here
"""
    assert topology(text).groups == (
        group("1", "http://node1.example.com:3000", "http://node1-2.example.com:3000"),
        group(
            "second one",
            "http://node2.example.com:3000",
            "https://node2-2.example.com",
            "http://[::1]:3000",
            weight=2,
        ),
    )


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_byte_order_mark_and_line_ends_mean_nothing(line_end: str) -> None:
    """A file that was written on another system reads the same."""
    text = "\ufeff[1]\nhttp://a\n\n[2]\nhttp://b\nweight=3".replace("\n", line_end)
    assert topology(text).groups == (group("1", "http://a"), group("2", "http://b", weight=3))


def test_an_empty_file_has_no_servers() -> None:
    """Comments and sections without members make no group."""
    assert topology("", "# nothing\n[1]\n").is_empty


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("node1:3000", "A line is a URL"),
        ("ftp://node1", "A line is a URL"),
        ("-: node1", "A line is a URL"),
        (": http://node1", "A line is a URL"),
        ("http://node1 http://node2", "A line is a URL"),
        ("http://node1:99999", "from 1 to 65535"),
        ("http://node1/path", "without user, path"),
        ("store:data", "A line is a URL"),
        ("-: store:data", "A line is a URL"),
        ("[", "its name in brackets"),
        ("[]", "its name in brackets"),
        ("[ ]", "its name in brackets"),
        ("[1", "its name in brackets"),
        ("[1] x", "its name in brackets"),
        ("[[1]]", "its name in brackets"),
        ("[a\x1bb]", "its name in brackets"),
        ("weight: 0", "from 1 to 1000"),
        ("weight: -1", "from 1 to 1000"),
        ("weight: ٢", "from 1 to 1000"),
        ("weight: 1_0", "from 1 to 1000"),
        ("weight: 1001", "from 1 to 1000"),
        ("weight:", "from 1 to 1000"),
        ("weight: http://node1", "from 1 to 1000"),
        ("Weight: 2.5", "from 1 to 1000"),
    ],
)
def test_a_bad_line_is_named(line: str, sentence: str) -> None:
    """File, number and text of the line, and what a good one looks like."""
    with pytest.raises(BadConfig) as caught:
        parse(f"http://a\n\n{line}\n", "/etc/sos.conf")
    message = str(caught.value)
    assert message.startswith(f"/etc/sos.conf, line 3: {line!r} cannot be understood.")
    assert sentence in message


def test_a_second_weight_of_a_group_is_an_error() -> None:
    """One of the two would be ignored in silence."""
    with pytest.raises(BadConfig, match=r"line 3.*has a weight already"):
        parse("[1]\nweight: 2\nweight: 3\n", "x")


def test_a_password_in_a_url_is_not_repeated() -> None:
    """Messages go to logs."""
    for read in (lambda url: parse(url, "x"), server_list):
        for url in ("http://me:canary@node1", "-: http://me:canary@node1", "ftp://me:canary@node1"):
            with pytest.raises(BadConfig) as caught:
                read(url)
            assert "canary" not in str(caught.value)


def test_files_add_up() -> None:
    """Groups of the same name join, the order stays, and the last word on a weight counts."""
    first = "[2]\nweight: 5\nhttp://a\n[1]\nhttp://b\n"
    second = "[1]\nhttp://c\nhttp://b\n[2]\nweight: 7\n[3]\nhttp://d\n"
    assert topology(first, second).groups == (
        group("2", "http://a", weight=7),
        group("1", "http://b", "http://c"),
        group("3", "http://d"),
    )


def test_a_section_may_come_twice() -> None:
    """It is one group all the same."""
    assert topology("[1]\nhttp://a\n[2]\nhttp://b\n[1]\nhttp://c\n").groups == (
        group("1", "http://a", "http://c"),
        group("2", "http://b"),
    )


def test_a_server_in_two_files_under_two_groups_is_an_error() -> None:
    """Which group holds its blobs would be a matter of luck."""
    with pytest.raises(BadConfig, match="a server belongs to one group"):
        topology("http://a\n", "[1]\nhttp://a/\n")


def test_the_command_line_names_servers_of_the_group_default() -> None:
    """Separated by commas; blanks and an empty end do not count."""
    assert server_list("http://a:1/, http://b:2,").groups == (group("default", "http://a:1", "http://b:2"),)
    assert server_list("").is_empty
    with pytest.raises(BadConfig, match="ftp://b"):
        server_list("http://a,ftp://b")
    with pytest.raises(BadConfig):
        server_list("store:data")


NAMES = st.text("abcdefgh0123456789.- _", min_size=1, max_size=12).map(str.strip).filter(bool)
URLS = st.builds("http://{}:{}".format, st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True), st.integers(1, 65_535))


@given(st.dictionaries(NAMES, st.tuples(st.lists(URLS, min_size=1, max_size=3), st.integers(1, 1000)), max_size=4))
def test_what_is_written_is_read(groups: dict[str, tuple[list[str], int]]) -> None:
    """Any topology survives the way through a file."""
    used: set[str] = set()
    wanted: list[Group] = []
    for name, (urls, weight) in groups.items():
        fresh = [url for url in urls if url not in used]
        used.update(fresh)
        if fresh:
            wanted.append(group(name, *fresh, weight=weight))
    text = "".join(
        f"[{made.name}]\nweight: {made.weight}\n" + "".join(f"-: {member.url}\n" for member in made.members)
        for made in wanted
    )
    assert topology(text).groups == tuple(wanted)


def complaint_about(text: str) -> str:
    """Give what the parser says of a text, nothing where it understands it."""
    try:
        parse(text, "x")
    except BadConfig as error:
        return str(error)
    return ""


@given(st.text())
def test_no_text_breaks_the_parser(text: str) -> None:
    """Whatever a file holds: it is understood, or one sentence without controls says where it is not."""
    complaint = complaint_about(text)
    assert not complaint or complaint.startswith("x, line ")
    assert complaint.isprintable()
