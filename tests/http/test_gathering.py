"""What a socket gathers before it is read: enough of a long body, never more than is still to come, never for long."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from attrs import frozen
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from sos.http.gathering import LONGEST, WORTH_A_TURN, Gathering


@frozen
class Plain:
    """A transport with a socket of its own."""

    socket: socket.socket
    bufferSize: int = 65_536

    @property
    def least(self) -> int:
        """How much has to be there before the socket is read."""
        return self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT)


@pytest.fixture
def plain() -> Iterator[Plain]:
    """Such a transport, not connected."""
    with socket.socket() as made:
        yield Plain(made)


def test_never_more_is_gathered_than_is_still_to_come(plain: Plain) -> None:
    """The last bytes would not be read otherwise; and a body without a length has none to come."""
    gathering = Gathering(plain, Clock())
    gathering.until(10 * WORTH_A_TURN)
    assert plain.least == WORTH_A_TURN
    gathering.until(5000)
    assert plain.least == 5000
    gathering.end()
    assert plain.least == 1
    gathering.until(0)
    assert plain.least == 1


def test_a_slow_body_is_taken_as_it_comes(plain: Plain) -> None:
    """To its end. The next may be fast again."""
    clock = Clock()
    gathering = Gathering(plain, clock)
    for _ in range(3):
        gathering.until(10 * WORTH_A_TURN)
        clock.advance(LONGEST * 0.9)
        assert plain.least == WORTH_A_TURN
    clock.advance(LONGEST)
    assert plain.least == 1
    gathering.until(9 * WORTH_A_TURN)
    assert plain.least == 1
    gathering.end()
    gathering.until(9 * WORTH_A_TURN)
    assert plain.least == WORTH_A_TURN


def test_a_connection_that_is_gone_leaves_nothing_behind(plain: Plain) -> None:
    """Neither a timer nor a hold on its socket."""
    clock = Clock()
    gathering = Gathering(plain, clock)
    gathering.until(10 * WORTH_A_TURN)
    plain.socket.close()
    gathering.forget()
    gathering.end()
    assert clock.getDelayedCalls() == []


def test_a_transport_that_does_not_read_itself_is_left_alone() -> None:
    """TLS has its bytes from another transport."""
    gathering = Gathering(StringTransport(), Clock())
    gathering.until(10 * WORTH_A_TURN)
    gathering.end()
