"""Single requests: for what is not timed, and for reading what is long."""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from benchmarks.figures import Wrong

_PATIENCE = 60.0
_BUFFER = 1 << 20


@frozen
class Answer:
    """What came back, whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def ask(method: str, port: int, path: str, body: bytes | None = None, host: str = "127.0.0.1") -> Answer:
    """Make one request on a connection of its own."""
    connection = http.client.HTTPConnection(host, port, timeout=_PATIENCE)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def ask_well(method: str, port: int, path: str, body: bytes | None = None, host: str = "127.0.0.1") -> Answer:
    """Make a request that must succeed."""
    answer = ask(method, port, path, body, host)
    if answer.status != 200:
        raise Wrong(f"{method} {path} was answered {answer.status}: {answer.body[:200]!r}.")
    return answer


def upload(port: int, payload: bytes) -> str:
    """Upload an object through an api, and give its ID."""
    stored = json.loads(ask_well("POST", port, "/upload", payload).body)
    if stored["id"] != hashlib.sha1(payload).hexdigest() or stored["size"] != len(payload):
        raise Wrong(f"An upload was stored as {stored}.")
    return str(stored["id"])


def upload_file(port: int, path: Path) -> Mapping[str, Any]:
    """Upload a file as fast as an api takes it, and give what it says of it."""
    with socket.create_connection(("127.0.0.1", port), _PATIENCE) as connection, path.open("rb") as file:
        head = f"POST /upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {path.stat().st_size}\r\n\r\n"
        connection.sendall(head.encode("ascii"))
        connection.sendfile(file)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        said = answer.read()
    if answer.status != 200:
        raise Wrong(f"An upload was answered {answer.status}: {said[:200]!r}.")
    stored: Mapping[str, Any] = json.loads(said)
    return stored


def status_of(port: int) -> Mapping[str, Any]:
    """Ask a blob server how it is."""
    status: Mapping[str, Any] = json.loads(ask_well("GET", port, "/status").body)
    return status


def check_same(port: int, path: str, payload: bytes, host: str = "127.0.0.1") -> None:
    """See that a path gives these very bytes, and says how many they are."""
    answer = ask_well("GET", port, path, host=host)
    if answer.body != payload or answer.headers.get("content-length") != str(len(payload)):
        raise Wrong(f"GET {path} gave {len(answer.body)} bytes that are not the {len(payload)} that were stored.")


def open_answer(port: int, path: str) -> tuple[socket.socket, int, bytes]:
    """Ask for something long; give the connection, the length of the body, and what of it came with the head."""
    connection = socket.create_connection(("127.0.0.1", port), _PATIENCE)
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode("ascii"))
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(4096)
        if not piece:
            raise Wrong(f"GET {path} was answered with nothing.")
        received += piece
    head, _, begun = received.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    if head.split()[1] != b"200" or b"content-length" not in fields:
        raise Wrong(f"GET {path} was answered {head[:100]!r}.")
    return connection, int(fields[b"content-length"]), begun


def first_byte(port: int, path: str, begins: bytes) -> float:
    """Ask for something long, and leave when its first byte has come; give the seconds, with those of the connection."""
    started = time.perf_counter()
    connection, _, begun = open_answer(port, path)
    with connection:
        begun = begun or connection.recv(4096)
        seconds = time.perf_counter() - started
    if not begun or not begins.startswith(begun):
        raise Wrong(f"GET {path} began with bytes that are not those that were stored.")
    return seconds


def drained(port: int, path: str, size: int) -> float:
    """Read a long body to its end and keep nothing; give bytes a second."""
    started = time.perf_counter()
    connection, length, begun = open_answer(port, path)
    buffer, left = bytearray(_BUFFER), length - len(begun)
    with connection:
        while left and (got := connection.recv_into(buffer)):
            left -= got
    if left or length != size:
        raise Wrong(f"GET {path} gave {length - left} of {size} bytes.")
    return size / (time.perf_counter() - started)


def digest_of(port: int, path: str) -> str:
    """Read a long body and give its SHA-256."""
    connection, length, begun = open_answer(port, path)
    hashing, left = hashlib.sha256(begun), length - len(begun)
    with connection:
        while left and (piece := connection.recv(_BUFFER)):
            hashing.update(piece)
            left -= len(piece)
    return hashing.hexdigest()
