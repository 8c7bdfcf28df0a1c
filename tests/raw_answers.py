"""Bytes that came from a front, read as `http.client` reads them: a parser that is not ours."""

from __future__ import annotations

import http.client
import io
from typing import Any, cast


class _Bytes:
    """Bytes as `http.client.HTTPResponse` wants its socket."""

    def __init__(self, payload: bytes) -> None:
        self._payload = payload

    def makefile(self, mode: str) -> io.BytesIO:
        """Give the bytes as a file."""
        return io.BytesIO(self._payload)


def response_of(payload: bytes, method: str) -> http.client.HTTPResponse:
    """Read the head of an answer to a request of this method; its body can be read from what this gives."""
    response = http.client.HTTPResponse(cast(Any, _Bytes(payload)), method=method)
    response.begin()
    return response
