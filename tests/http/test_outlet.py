"""The way into a socket: when bytes leave, what waits, and what happens to files that it cannot take."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from sos.http.bodies import BytesSource
from sos.http.connection import Connection, Outgoing
from sos.http.deadlines import Deadlines
from sos.http.departures import Departures
from sos.http.origins import Origin
from sos.http.outlet import SocketOutlet, TransportOutlet, outlet_of

Ends = tuple[socket.socket, socket.socket]


class SocketTransport(StringTransport):
    """A transport with a socket; what is written to the transport itself waits."""

    producerPaused = False

    def __init__(self, own: socket.socket) -> None:
        super().__init__()
        self.socket = own
        self.watches = False

    def startWriting(self) -> None:
        """Watch the socket."""
        self.watches = True


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Give the two ends of a connection; ours does not block."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[int]:
    """Give a descriptor of ten million bytes."""
    path = tmp_path / "file"
    path.write_bytes(bytes(10_000_000))
    descriptor = os.open(path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


class Noted:
    """Something that waits to be sent, and counts how often it was."""

    def __init__(self) -> None:
        self.flushed = 0

    def flush(self) -> None:
        """Count."""
        self.flushed += 1


def busy_departures(clock: Clock) -> Departures:
    """Give those of a reactor whose last turn brought two."""
    departures = Departures(clock)
    for _ in range(2):
        departures.add(Noted())
    clock.advance(0)
    return departures


class Way:
    """An outlet, and all that belongs to it, where many answers leave in a turn."""

    def __init__(self, own: socket.socket) -> None:
        self.clock = Clock()
        self.transport = SocketTransport(own)
        self.clogged = 0
        self.outlet = SocketOutlet(self.transport, busy_departures(self.clock), self._note)

    def _note(self) -> None:
        self.clogged += 1

    def end_turn(self) -> None:
        """Let the reactor come round."""
        self.clock.advance(0)


def arrived(end: socket.socket) -> bytes:
    """Give what can be read now."""
    try:
        return end.recv(10_000_000, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return b""


def test_bytes_leave_at_the_end_of_the_turn(ends: Ends) -> None:
    """All of a turn together, in their order, and none of them through the transport."""
    way = Way(ends[0])
    way.outlet.write(b"ans")
    way.outlet.write(b"wer")
    assert arrived(ends[1]) == b""
    way.end_turn()
    assert (arrived(ends[1]), way.transport.value(), way.clogged) == (b"answer", b"", 0)
    way.outlet.write(b"next")
    way.end_turn()
    assert arrived(ends[1]) == b"next"
    assert way.clock.getDelayedCalls() == []


def test_where_a_turn_brings_one_alone_the_next_does_not_wait() -> None:
    """Nor where nothing was sent before; others of its turn wait for the end, and then all of the next turn do."""
    clock = Clock()
    departures = Departures(clock)
    turns = [[Noted() for _ in range(number)] for number in (1, 1, 3, 2, 1, 1)]
    at_once = []
    for turn in turns:
        for departing in turn:
            departures.add(departing)
        at_once.append([departing.flushed for departing in turn])
        clock.advance(0)
        assert all(departing.flushed == 1 for departing in turn)
    assert at_once == [[1], [1], [1, 0, 0], [0, 0], [0], [1]]
    assert clock.getDelayedCalls() == []


def test_what_comes_behind_bytes_that_left_at_once_waits_for_the_end_of_the_turn(ends: Ends) -> None:
    """In their order."""
    clock = Clock()
    outlet = SocketOutlet(SocketTransport(ends[0]), Departures(clock), lambda: None)
    for piece in (b"a", b"b", b"c"):
        outlet.write(piece)
    assert arrived(ends[1]) == b"a"
    clock.advance(0)
    assert arrived(ends[1]) == b"bc"


def test_many_bytes_do_not_wait(ends: Ends) -> None:
    """Whatever makes them has to learn when the socket is full, within the same turn."""
    way = Way(ends[0])
    for _ in range(200):
        way.outlet.write(bytes(65_536))
        if way.clogged:
            break
    assert way.clogged == 1
    assert arrived(ends[1])


def test_what_is_to_be_sent_now_does_not_wait(ends: Ends) -> None:
    """It goes behind what waited, and counts for nothing in how answers leave."""
    way = Way(ends[0])
    way.outlet.send(b"request")
    assert arrived(ends[1]) == b"request"
    assert way.clock.getDelayedCalls() == []
    way.outlet.write(b"an answer, ")
    way.outlet.send(b"a request")
    assert arrived(ends[1]) == b"an answer, a request"
    way.end_turn()
    assert arrived(ends[1]) == b""


def test_bytes_leave_before_the_connection_is_closed(ends: Ends) -> None:
    """Once, whatever the end of the turn brings."""
    way = Way(ends[0])
    way.outlet.write(b"last")
    way.outlet.flush()
    assert arrived(ends[1]) == b"last"
    way.end_turn()
    assert arrived(ends[1]) == b""


def test_a_connection_that_is_gone_gets_nothing(ends: Ends) -> None:
    """What was to leave is forgotten."""
    way = Way(ends[0])
    way.outlet.write(b"answer")
    way.outlet.forget()
    way.end_turn()
    assert (arrived(ends[1]), way.transport.value(), way.clogged) == (b"", b"", 0)
    assert not way.outlet.takes_files


def test_what_a_socket_does_not_take_waits_in_the_transport(ends: Ends) -> None:
    """Every byte once, in order; and whoever writes hears of it."""
    way = Way(ends[0])
    data = os.urandom(3_000_000)
    way.outlet.write(data)
    waiting = way.transport.value()
    assert 0 < len(waiting) < len(data) and way.clogged == 1
    came = bytearray()
    while piece := arrived(ends[1]):
        came += piece
    assert bytes(came) + waiting == data


def test_a_broken_socket_is_the_transports_to_find(ends: Ends) -> None:
    """It reports the loss of a connection; we only see that nothing can be sent. The others of the turn are served."""
    ours, theirs = socket.socketpair()
    clock = Clock()
    broken, sound, shared = SocketTransport(ours), SocketTransport(ends[0]), busy_departures(clock)
    SocketOutlet(broken, shared, lambda: None).write(b"lost")
    SocketOutlet(sound, shared, lambda: None).write(b"answer")
    theirs.close()
    clock.advance(0)
    assert broken.value() == b"lost"
    assert arrived(ends[1]) == b"answer"
    ours.close()


def test_a_file_goes_until_the_socket_is_full(ends: Ends, opened: int) -> None:
    """Then nothing is sent, and files can still be sent later."""
    outlet = Way(ends[0]).outlet
    sent = 0
    while taken := outlet.send_file(opened, sent, 10_000_000 - sent):
        sent += taken
    assert 0 < sent < 10_000_000
    assert outlet.takes_files
    assert ends[1].recv(1)


def test_a_file_that_ends_too_early_is_no_file_to_send(ends: Ends, opened: int) -> None:
    """Whoever reads it will see where it ends."""
    outlet = Way(ends[0]).outlet
    assert outlet.send_file(opened, 10_000_000, 1) == 0
    assert not outlet.takes_files


def test_what_the_kernel_cannot_send_is_left_to_be_read(ends: Ends) -> None:
    """A directory is no file; nor are all files on all file systems."""
    outlet = Way(ends[0]).outlet
    directory = os.open("/", os.O_RDONLY)
    assert outlet.send_file(directory, 0, 1) == 0
    os.close(directory)
    assert not outlet.takes_files


def test_waiting_is_the_transports_work(ends: Ends) -> None:
    """It watches the socket, and resumes its producer as if it had paused it."""
    way = Way(ends[0])
    way.outlet.wait()
    assert way.transport.watches and way.transport.producerPaused


def test_only_plain_sockets_are_written_to_directly(ends: Ends) -> None:
    """Every other transport is written to as Twisted has it."""
    departures = Departures(Clock())
    assert isinstance(outlet_of(SocketTransport(ends[0]), departures, lambda: None), SocketOutlet)
    transport = StringTransport()
    outlet = outlet_of(transport, departures, lambda: None)
    assert isinstance(outlet, TransportOutlet)
    outlet.write(b"ans")
    outlet.send(b"wer")
    assert transport.value() == b"answer"
    assert not outlet.takes_files and outlet.send_file(0, 0, 1) == 0
    outlet.wait()
    outlet.flush()
    outlet.forget()


class NoHome:
    """Where a connection would be kept."""

    def enter(self, connection: Connection) -> None:
        """Take no note of it."""

    forget = bury = give_back = enter


def test_a_request_with_bytes_leaves_at_once_and_one_without_at_the_end_of_the_turn(ends: Ends) -> None:
    """A member can write while an api answers others; what it only reads is soon done."""
    ours, theirs = ends
    clock = Clock()
    for body, comes in ((b"bytes", True), (b"", False)):
        connection = Connection(Origin("http", "a", 1), clock, Deadlines(), NoHome(), busy_departures(clock))
        connection.makeConnection(SocketTransport(ours))
        source = BytesSource([body]) if body else None
        connection.exchange(Outgoing(is_head=False, first_byte=5.0, source=source, length=len(body), head=b"head "))
        assert arrived(theirs) == (b"head " + body if comes else b"")
        clock.advance(0)
        assert arrived(theirs) == (b"" if comes else b"head ")
