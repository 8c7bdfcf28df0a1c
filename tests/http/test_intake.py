"""How much is read at a time: more of a long body that is taken at once, and never for longer than that."""

from __future__ import annotations

from twisted.internet.testing import StringTransport

from sos.http.bodies import PIECE
from sos.http.intake import PROVEN, WIDE, Intake


class Reading:
    """A transport, as far as its reads go."""

    bufferSize = PIECE


def test_a_body_that_flows_is_read_in_larger_pieces() -> None:
    """Once it has flowed for some time, so that a small answer costs no large buffer."""
    transport = Reading()
    intake = Intake(transport)
    intake.moved(PROVEN - 1)
    assert transport.bufferSize == PIECE
    intake.moved(1)
    assert transport.bufferSize == WIDE
    intake.narrow()
    assert transport.bufferSize == PIECE


def test_a_body_that_pauses_begins_anew() -> None:
    """Whoever pauses holds what was read last."""
    transport = Reading()
    intake = Intake(transport)
    for _ in range(10):
        intake.moved(PROVEN - 1)
        intake.narrow()
    assert transport.bufferSize == PIECE


def test_a_transport_that_does_not_read_itself_is_left_alone() -> None:
    """TLS has its bytes from another transport."""
    intake = Intake(StringTransport())
    intake.moved(PROVEN)
    intake.narrow()
