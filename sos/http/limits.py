"""How much one connection may ask of the front: sizes, counts and times, each with its source."""

from __future__ import annotations

from attrs import frozen

_KIB = 1024
_MIB = 1024 * _KIB


@frozen(kw_only=True)
class Limits:
    """What the front takes before it says no. All sizes are bytes, all times seconds on the injected clock."""

    head_bytes: int = 16 * _KIB
    """Request line and headers together: 431 beyond (torture H19)."""

    headers: int = 100
    """Header lines of a request: 431 beyond (torture H19)."""

    target_bytes: int = 8 * _KIB
    """The target in the request line: 414 beyond (torture H5)."""

    most_body: int = 1024 * 1024 * _MIB
    """The longest body: 413 beyond. A front says its own; this is the design's ``--max-object`` of 1 TiB."""

    collected_body: int = _MIB
    """The longest body for a resource that does not take it as a stream: 413 beyond."""

    chunk_line_bytes: int = _KIB
    """A chunk's size line: nobody needs extensions, and 20 KiB of them are an attack (torture H38)."""

    framing_bytes: int = 64 * _KIB
    """Chunk framing that any body may have (torture H38)."""

    framing_bytes_a_body_byte: int = 8
    """Chunk framing on top of that, for each byte of the body: chunks of one byte have 5 (torture H38, H40)."""

    trailer_bytes: int = 8 * _KIB
    """Trailers behind a chunked body, which are thrown away: 400 beyond (torture H39)."""

    read_ahead: int = 64 * _KIB
    """Bytes kept unparsed behind a request that is being answered; then the transport is paused (torture H54)."""

    head_seconds: float = 10.0
    """From the connection, or a head's first byte, to the head's end (torture H61)."""

    idle_seconds: float = 60.0
    """From an answer to the next request on the same connection (torture H61)."""

    body_rate: int = _KIB
    """Bytes a second of the slowest body: 408 below (torture H62)."""

    body_rate_seconds: float = 30.0
    """The time over which the rate is taken; time in which we paused the body does not count (torture H62)."""

    write_seconds: float = 60.0
    """Without any progress of writing, the connection is aborted (torture H63)."""

    linger_seconds: float = 2.0
    """How long what a client still sends is thrown away, so that it reads its answer and not a reset."""

    linger_bytes: int = _MIB
    """How much of it is thrown away."""

    connections: int = 10_000
    """Open connections: 503 beyond (torture S13; 10,000 idle ones take about 100 MB)."""

    connections_an_address: int = 4_000
    """Open connections of one address: 503 beyond. H64 lets 1,000 slow ones live beside a good one."""
