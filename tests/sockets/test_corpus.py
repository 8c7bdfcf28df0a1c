"""Every row of the corpus, over real sockets, against running servers: in one segment, and byte by byte."""

from __future__ import annotations

import itertools
import json

import pytest

from tests.corpus.bodies import CUTS, EXACT
from tests.corpus.partial import CONDITIONS
from tests.corpus.paths import allowed_by
from tests.corpus.rows import WRITABLE, WRITE_PATH, Asked, Behind, Cut, Port, Read, Refused, Request, get, id_of
from tests.corpus.table import ASKED, REFUSED
from tests.http.front_client import Answer
from tests.sockets.cast import PROBE, Cast
from tests.sockets.raw import End, Manner, converse

in_both_manners = pytest.mark.parametrize("manner", Manner, ids=lambda manner: manner.value)


def name_of(row: Refused | Read | Cut | Asked) -> str:
    """Give what a row is called."""
    return row.name


@in_both_manners
@pytest.mark.parametrize("row", REFUSED, ids=name_of)
def test_refused(cast: Cast, row: Refused, manner: Manner) -> None:
    """One error answer and the end: nothing stored, nothing behind it read."""
    before = cast.ids
    for port in row.ports:
        data, _ = cast.written_for(port, row.data)
        (answer,) = cast.send(port, data, manner).answers()
        assert answer.status in row.statuses, port
        assert answer.headers[b"connection"] == b"close"
        assert list(json.loads(answer.body)) == ["error"]
    assert cast.ids == before
    assert cast.is_staging_empty


@in_both_manners
@pytest.mark.parametrize("row", EXACT, ids=name_of)
def test_read(cast: Cast, row: Read, manner: Manner) -> None:
    """As many answers as requests, in their order, each to its own; and the connection is read on."""
    for port in row.ports:
        data, fresh = cast.written_for(port, row.data)
        *answers, last = cast.send(port, data, manner).answers()
        assert [answer.status for answer in answers] == [status_at(port, request) for request in row.requests], port
        assert (last.status, last.headers[b"connection"]) == (404, b"close")
        for request, answer in zip(row.requests, answers, strict=True):
            if request[1] == WRITE_PATH:
                object_id = fresh if port is Port.BLOB else id_of(request[2])
                assert json.loads(answer.body)["id"] == object_id.decode()
                assert cast.stored(object_id) == request[2]


def status_at(port: Port, request: Request) -> int:
    """Say what a port answers to a request that is read as it should be: rows ask for what is there on none."""
    return 200 if request[1] == WRITE_PATH and port in WRITABLE else 404


@pytest.mark.parametrize("end", [End.FIN, End.RESET, End.GONE], ids=lambda end: end.value)
@pytest.mark.parametrize("row", CUTS, ids=name_of)
def test_cut(cast: Cast, row: Cut, end: End) -> None:
    """No object, no 2xx, nothing staged, however the client goes."""
    before = cast.ids
    for port, manner in itertools.product(WRITABLE, Manner):
        data, fresh = cast.written_for(port, row.data)
        heard = converse(cast.ports[port], data, manner, end)
        assert [answer.status for answer in heard.answers()] in ([], [400])
        assert cast.stored(fresh) is None
    assert cast.ids == before
    assert emptied(cast)


def emptied(cast: Cast) -> bool:
    """Say whether staging is empty by the time that the server has answered some more requests."""
    return any(cast.is_staging_empty or not cast.ids for _ in range(200))


@in_both_manners
@pytest.mark.parametrize("row", ASKED, ids=name_of)
def test_asked(cast: Cast, row: Asked, manner: Manner) -> None:
    """The very answer, and then the next request on the connection."""
    check(cast, row, manner)


@in_both_manners
def test_all_pairs_of_conditions(cast: Cast, manner: Manner) -> None:
    """H49: as RFC 9110 says, for GET as for HEAD."""
    for row in CONDITIONS:
        check(cast, row, manner)


def check(cast: Cast, row: Asked, manner: Manner) -> None:
    """Send one request; look at its answer, at what was stored, and at what became of the connection."""
    data = cast.filled(row)
    heard = cast.send(row.port, data, manner)
    answer, *more = heard.answers([data.partition(b" ")[0]])
    assert answer.status in row.statuses, (row.name, answer)
    for name, value in row.headers.items():
        assert answer.headers.get(name) == value, (row.name, name)
    assert row.body is None or answer.body == row.body, row.name
    check_shape(row, answer)
    if row.behind is not Behind.EITHER:
        assert [one.status for one in more] == ([404] if row.behind is Behind.READ else []), row.name
    if row.stores is not None:
        fetched = cast.one(Port.DOWNLOAD, get(b"/fetch/" + id_of(row.stores), b"Connection: close"))
        assert (fetched.status, fetched.body) == (200, row.stores)
        assert b"content-encoding" not in fetched.headers
    assert cast.is_staging_empty


def check_shape(row: Asked, answer: Answer) -> None:
    """Look at what holds for every answer: nobody sniffs it, an error is one sentence, a 405 says what is allowed."""
    assert (answer.headers[b"x-content-type-options"], answer.headers[b"server"]) == (b"nosniff", b"sos")
    assert b"access-control-allow-origin" not in answer.headers
    if answer.status == 405:
        allowed = allowed_by(row)
        assert allowed is None or set(filter(None, answer.headers[b"allow"].split(b", "))) == allowed
    if answer.status >= 400 and answer.body:
        assert answer.headers[b"content-type"] == b"application/json"
        assert {"error"} <= set(json.loads(answer.body)) <= {"error", "reason"}


def test_the_probe_is_nothing_on_any_port(cast: Cast) -> None:
    """What shows that a connection was read on is a 404 everywhere."""
    for port in Port:
        assert cast.one(port, PROBE).status == 404
