"""Deadlines of the client: how long a server may take."""

from __future__ import annotations

from attrs import frozen


@frozen
class Deadlines:
    """Seconds that a server may take for each step. None is a bound on a whole blob: only silence is a failure."""

    connect: float = 2.0
    """Until there is a connection: a member on the same network answers within milliseconds, or not."""
    first_byte: float = 30.0
    """From the last byte of the request to the whole head of the answer; it has to hold a commit on a slow disk."""
    silence: float = 30.0
    """Between two pieces of a body, in either direction. Time in which we asked the server to wait does not count."""
    idle: float = 50.0
    """In the pool, unused: ten seconds less than our own front keeps a silent connection, so that we close it first."""
