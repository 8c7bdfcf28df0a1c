"""A front on a real port of 127.0.0.1, and a blocking client in a thread."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TypeVar

from twisted.internet import reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.interfaces import IListeningPort
from twisted.internet.threads import deferToThread

from sos.http.front import Front

T = TypeVar("T")

HEAD = b" HTTP/1.1\r\nHost: localhost\r\n"


async def talk(front: Front, speak: Callable[[int], T]) -> T:
    """Listen on a free port, let a blocking client speak in a thread, and give what it got."""
    port: IListeningPort = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(front)
    address = port.getHost()
    assert isinstance(address, IPv4Address)
    try:
        said: T = await deferToThread(speak, address.port)
    finally:
        await maybeDeferred(port.stopListening)
        drained = front.drain()
        front.drop()
        await drained
    return said


def all_of(connection: socket.socket) -> bytes:
    """Read to the end."""
    data = bytearray()
    while piece := connection.recv(65_536):
        data += piece
    return bytes(data)
