"""The load of uploads: what it sends, and which answers it takes."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Callable

import pytest
from attrs import evolve

from benchmarks.figures import Wrong
from benchmarks.traffic import Done, Order, Talk, body_of, check_answer, length_of, name_of, request_of, run

WITHIN = 20.0
PUTS = Order(port=1, seed="a")
UPLOADS = Order(port=1, seed="a", through_api=True)


def talk_that_gets(*pieces: bytes) -> tuple[Talk, list[bool]]:
    """Let an answer come in pieces; give whether it was complete after each."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        talk = Talk(ours)
        talk.send(3, b"request")
        assert theirs.recv(100) == b"request"
        complete = []
        for piece in pieces:
            theirs.sendall(piece)
            complete.append(talk.take())
    return talk, complete


def test_no_two_bodies_are_equal() -> None:
    """Else a server that knows what it holds would have less to write."""
    bodies = {body_of(seed, number) for seed in "ab" for number in range(100)}
    assert len(bodies) == 200
    assert {len(body) for body in bodies} == {4096}


def test_an_upload_is_named_by_its_bytes() -> None:
    """The api must come to the same name."""
    assert name_of(UPLOADS, 3) == hashlib.sha1(body_of("a", 3)).hexdigest()


def test_a_request_is_whole() -> None:
    """It has its length and its body, and a PUT has its name in the path."""
    head, _, body = request_of(PUTS, 3).partition(b"\r\n\r\n")
    assert head.startswith(b"PUT /blob/%b HTTP/1.1\r\n" % name_of(PUTS, 3).encode())
    assert length_of(head + b"\r\n") == len(body) == 4096
    assert request_of(UPLOADS, 3).startswith(b"POST /upload HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("head", "length"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n", 12),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\nX: y\r\n", 7),
        (b"A: b\r\n", 0),
    ],
)
def test_a_length_is_read_in_any_case(head: bytes, length: int) -> None:
    """Servers write its name as they like."""
    assert length_of(head) == length


def test_an_answer_may_come_in_pieces() -> None:
    """It is complete with the last byte of its body."""
    _, complete = talk_that_gets(b"HTTP/1.1 200 OK\r\nConte", b"nt-Length: 12\r\n\r\n", b'{"id":', b'"abc"}')
    assert complete == [False, False, False, True]


@pytest.mark.parametrize("status", [b"503 Service Unavailable", b"409 Conflict", b"201 Created"])
def test_an_answer_that_is_no_200_ends_the_load(status: bytes) -> None:
    """A refusal is quicker than a write, and is none."""
    with pytest.raises(Wrong, match="was answered"):
        talk_that_gets(b'HTTP/1.1 %b\r\nContent-Length: 12\r\n\r\n{"id":"abc"}' % status)


def test_each_answer_is_about_what_was_sent() -> None:
    """What was stored must be what was sent, and the name must be in the body: a header is no promise."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 49\r\n"
    body = b'{"id":"%b"}' % name_of(UPLOADS, 3).encode()
    assert len(body) == 49
    check_answer(UPLOADS, 3, head + b"\r\n" + body)
    for number, answer in ((4, head + b"\r\n" + body), (3, head + b"X: " + body + b"\r\n\r\n" + body[:-2] + b"!}")):
        with pytest.raises(Wrong, match=f"Upload {number} was answered"):
            check_answer(UPLOADS, number, answer)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 200 OK\r\nX: }", b'HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{"a":{}'])
def test_an_answer_that_only_seemed_to_end_ends_the_load(answer: bytes) -> None:
    """A brace is not always the last one: then the load is wrong about the server, and says so."""
    with pytest.raises(Wrong, match="was answered"):
        check_answer(UPLOADS, 3, answer)


def test_a_connection_that_closes_ends_the_load() -> None:
    """An upload that nobody answered is not counted, and not forgotten either."""
    ours, theirs = socket.socketpair()
    theirs.close()
    with ours, pytest.raises(Wrong, match="closed"):
        Talk(ours).take()


@pytest.mark.parametrize("most", [1, 2, 7])
def test_a_load_ends_when_its_number_of_uploads_is_answered(most: int) -> None:
    """By no more clients than it is told to have, and each number once."""
    asked, done = asked_by(Order(port=0, seed="a", clients=2, most=most, seconds=60.0), lambda name: name)
    assert sorted(asked) == sorted(name_of(PUTS, number).encode() for number in range(most))
    assert isinstance(done, Done) and done.uploads == most


def test_a_load_whose_answers_are_about_others_fails_at_its_end() -> None:
    """What was stored must be what was sent: each answer is looked at, though not before the clock has stopped."""
    second = name_of(PUTS, 1).encode()
    order = Order(port=0, seed="a", clients=2, most=4, seconds=60.0)
    asked, failed = asked_by(order, lambda name: name[::-1] if name == second else name)
    assert len(asked) == 4
    assert isinstance(failed, Wrong) and "Upload 1 was answered" in str(failed)


def asked_by(order: Order, say: Callable[[bytes], bytes]) -> tuple[list[bytes], Done | Wrong]:
    """Run a load against a server; give the names that it was asked to store, and what the load came to."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        clients = min(order.clients, order.most)
        threads = [threading.Thread(target=_serve, args=(listening, say, asked)) for _ in range(clients)]
        for thread in threads:
            thread.start()
        try:
            done: Done | Wrong = run(evolve(order, port=listening.getsockname()[1]))
        except Wrong as error:
            done = error
        for thread in threads:
            thread.join(WITHIN)
    return asked, done


def _serve(listening: socket.socket, say: Callable[[bytes], bytes], asked: list[bytes]) -> None:
    """Answer one client until it goes."""
    connection, _ = listening.accept()
    with connection, connection.makefile("rb") as requests:
        while line := requests.readline():
            name = line.split(b" ")[1].rpartition(b"/")[2]
            asked.append(name)
            while requests.readline() != b"\r\n":
                pass
            assert len(requests.read(4096)) == 4096
            body = b'{"id":"%b"}' % say(name)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
