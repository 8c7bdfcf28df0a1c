"""Torture F31 and B16: members that answer a write, and not as a blob server that has stored it."""

from __future__ import annotations

import json

import pytest
from twisted.internet.protocol import Factory, Protocol

from tests.cluster.town import Town, id_of

PAYLOAD = b"hello" * 1000


class Liar(Protocol):
    """Reads a request to its end, and gives the answer that it always gives."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._received = b""

    def dataReceived(self, data: bytes) -> None:
        """Answer once the request is whole."""
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        length = next((int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length" in line), 0)
        if end and len(body) >= length:
            self._received = body[length:]
            assert self.transport is not None
            self.transport.write(self._answer)


def answering(answer: bytes) -> Factory:
    """Make a server that always gives one answer."""
    factory = Factory()
    factory.buildProtocol = lambda addr: Liar(answer)  # type: ignore[method-assign]
    factory.noisy = False
    return factory


def answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    """Write an answer."""
    lines = [f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items()]
    return f"HTTP/1.1 {status} x\r\n{''.join(lines)}Content-Length: {len(body)}\r\n\r\n".encode() + body


def acknowledgement(**changes: object) -> bytes:
    """Write what a blob server says, with something changed."""
    said: dict[str, object] = {"id": id_of(PAYLOAD), "status": "OK", "size": len(PAYLOAD)}
    return json.dumps(said | changes).encode()


REFUSAL = b'{"error": "a newer version of it is held", "reason": "older"}'

LIES = {
    "500": answer(500, b'{"error": "oh"}'),
    "500 over an acknowledgement": answer(500, acknowledgement()),
    "507": answer(507, b'{"error": "full"}'),
    "404": answer(404),
    "409 without a reason": answer(409),
    "409 for a version beyond all": answer(409, REFUSAL, X_Sos_Version=str(2**63 - 1)),
    "409 for a version that is none": answer(409, REFUSAL, X_Sos_Version=str(2**64 - 1)),
    "409 for a negative version": answer(409, REFUSAL, X_Sos_Version="-1"),
    "409 for a version in words": answer(409, REFUSAL, X_Sos_Version="seven"),
    "503": answer(503),
    "204": answer(204),
    "201": answer(201, acknowledgement()),
    "202": answer(202, acknowledgement()),
    "301": answer(301, Location="http://a:3001/"),
    "200 with nothing": answer(200),
    "200 with a page": answer(200, b"<html>OK</html>"),
    "200 with another id": answer(200, acknowledgement(id=id_of(b"other"))),
    "200 with a smaller size": answer(200, acknowledgement(size=len(PAYLOAD) - 1)),
    "200 with no size": answer(200, acknowledgement(size=None)),
    "200 with another digest": answer(200, acknowledgement(), X_Sos_Store="liar", X_Sos_Sha256="0" * 64),
    "200 with a version beyond all": answer(200, acknowledgement(), X_Sos_Store="liar", X_Sos_Version=str(2**63)),
    "200 cut short": answer(200, acknowledgement())[:-1],
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_no_copy(town: Town, lie: str) -> None:
    """One liar of three: two copies. Two: 503 (507 for want of room) and never 200, for one true copy is no promise."""
    town.members["a"].line.server = answering(LIES[lie])
    assert town.answer_to(town.upload(PAYLOAD)).json["copies"] == 2
    assert town.holders(PAYLOAD) == "bc"
    town.members["b"].line.server = answering(LIES[lie])
    for line in town.lines("ab"):
        line.heal()
    town.pass_time(120)
    assert town.answer_to(town.upload(PAYLOAD)).status == (507 if lie == "507" else 503)


@pytest.mark.parametrize("lie", LIES)
def test_a_group_of_liars_stores_nothing(town: Town, lie: str) -> None:
    """503, or 507 where all say that they are full; never 200, 404 or 409."""
    for line in town.lines("abc"):
        line.server = answering(LIES[lie])
    assert town.answer_to(town.upload(PAYLOAD)).status == (507 if lie == "507" else 503)


def test_a_server_of_the_old_contract_that_tells_the_truth_is_a_copy(town: Town) -> None:
    """It knows neither stores nor digests; its bytes are verified when they are fetched."""
    town.members["a"].line.server = answering(answer(200, acknowledgement()))
    assert town.upload(PAYLOAD).answer.json["copies"] == 3
