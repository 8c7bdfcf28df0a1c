"""The way into a socket: what it takes at once, what waits, and what happens to files it cannot take."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet.testing import StringTransport

from sos.http.outlet import SocketOutlet, TransportOutlet, outlet_of


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


Ends = tuple[socket.socket, socket.socket]


def test_a_socket_gets_its_bytes_at_once(ends: Ends) -> None:
    """And nothing waits in the transport."""
    transport = SocketTransport(ends[0])
    assert not SocketOutlet(transport).write(b"answer")
    assert (ends[1].recv(100), transport.value()) == (b"answer", b"")


def test_what_a_socket_does_not_take_waits_in_the_transport(ends: Ends) -> None:
    """Every byte once, in order; and it says that some wait."""
    transport = SocketTransport(ends[0])
    data = os.urandom(3_000_000)
    assert SocketOutlet(transport).write(data)
    waiting = transport.value()
    assert 0 < len(waiting) < len(data)
    assert ends[1].recv(len(data), socket.MSG_WAITALL | socket.MSG_PEEK)[:1000] == data[:1000]
    assert data.endswith(waiting)


def test_a_broken_socket_is_the_transports_to_find(ends: Ends) -> None:
    """It reports the loss of a connection; we only see that nothing can be sent."""
    ends[1].close()
    transport = SocketTransport(ends[0])
    assert SocketOutlet(transport).write(b"answer")
    assert transport.value() == b"answer"


def test_a_file_goes_until_the_socket_is_full(ends: Ends, opened: int) -> None:
    """Then nothing is sent, and files can still be sent later."""
    outlet = SocketOutlet(SocketTransport(ends[0]))
    sent = 0
    while taken := outlet.send_file(opened, sent, 10_000_000 - sent):
        sent += taken
    assert 0 < sent < 10_000_000
    assert outlet.takes_files
    assert ends[1].recv(1)


def test_a_file_that_ends_too_early_is_no_file_to_send(ends: Ends, opened: int) -> None:
    """Whoever reads it will see where it ends."""
    outlet = SocketOutlet(SocketTransport(ends[0]))
    assert outlet.send_file(opened, 10_000_000, 1) == 0
    assert not outlet.takes_files


def test_what_the_kernel_cannot_send_is_left_to_be_read(ends: Ends) -> None:
    """A directory is no file; nor are all files on all file systems."""
    outlet = SocketOutlet(SocketTransport(ends[0]))
    directory = os.open("/", os.O_RDONLY)
    assert outlet.send_file(directory, 0, 1) == 0
    os.close(directory)
    assert not outlet.takes_files


def test_waiting_is_the_transports_work(ends: Ends) -> None:
    """It watches the socket, and resumes its producer as if it had paused it."""
    transport = SocketTransport(ends[0])
    SocketOutlet(transport).wait()
    assert transport.watches and transport.producerPaused


def test_only_plain_sockets_are_written_to_directly(ends: Ends) -> None:
    """Every other transport is written to as Twisted has it."""
    assert isinstance(outlet_of(SocketTransport(ends[0])), SocketOutlet)
    transport = StringTransport()
    outlet = outlet_of(transport)
    assert isinstance(outlet, TransportOutlet)
    assert not outlet.write(b"answer") and transport.value() == b"answer"
    assert not outlet.takes_files and outlet.send_file(0, 0, 1) == 0
    outlet.wait()
