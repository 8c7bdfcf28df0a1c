"""Answers that a blob server does not send, and where those end that it does."""

from __future__ import annotations

import pytest

from sos.http.answer_reader import FRAMING_A_BYTE, MOST_FRAMING, MOST_HEAD, MOST_HEADERS, AnswerReader, AnswerRefused

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"

REFUSED = {
    "B1 neither length nor chunks": OK + b"\r\nhello",
    "B1 neither, to be closed": OK + b"Connection: close\r\n\r\nhello",
    "B1 an error with neither": b"HTTP/1.1 404 No\r\n\r\n",
    "B1 a chunk that is longer than its size": CHUNKED + b"2\r\nhello\r\n0\r\n\r\n",
    "B1 a chunk size that is none": CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n",
    "B2 length and chunks": OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    "B2 chunks and length": OK + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
    "B2 two lengths": OK + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "B2 two lengths in one": OK + b"Content-Length: 5, 5\r\n\r\nhello",
    "B2 a bare LF behind the status": b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
    "B2 a bare LF behind a header": OK + b"Content-Length: 0\n\r\n",
    "B2 a bare LF at the end of the head": OK + b"Content-Length: 0\r\n\n",
    "B2 a NUL in a header": OK + b"A: b\0c\r\nContent-Length: 0\r\n\r\n",
    "B2 a NUL behind the status": b"HTTP/1.1 200 O\0K\r\nContent-Length: 0\r\n\r\n",
    "B2 a control behind the status": b"HTTP/1.1 100 Go\x7f\r\n\r\n" + OK + b"Content-Length: 0\r\n\r\n",
    "B2 a bare LF before the answer": b"\n" + OK + b"Content-Length: 0\r\n\r\n",
    "B2 an empty line before the answer": b"\r\n" + OK + b"Content-Length: 0\r\n\r\n",
    "B2 a folded header": OK + b"A: b\r\n c\r\nContent-Length: 0\r\n\r\n",
    "B2 status 99999": b"HTTP/1.1 99999 OK\r\nContent-Length: 0\r\n\r\n",
    "B2 status 99": b"HTTP/1.1 99 OK\r\nContent-Length: 0\r\n\r\n",
    "B2 status 2xx": b"HTTP/1.1 2xx OK\r\nContent-Length: 0\r\n\r\n",
    "B2 a length of words": OK + b"Content-Length: five\r\n\r\nhello",
    "B2 a negative length": OK + b"Content-Length: -5\r\n\r\nhello",
    "B2 no length in the length": OK + b"Content-Length:\r\n\r\nhello",
    "B3 status 999": b"HTTP/1.1 999 OK\r\nContent-Length: 0\r\n\r\n",
    "B3 status 000": b"HTTP/1.1 000 OK\r\nContent-Length: 0\r\n\r\n",
    "B3 another coding": OK + b"Transfer-Encoding: foo\r\n\r\nhello",
    "B3 a coding in front": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "B3 chunked twice": OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "B3 chunked with a space behind": OK + b"Transfer-Encoding: chunked \r\n\r\n0\r\n\r\n",
    "B3 too many headers": OK + b"A: b\r\n" * MOST_HEADERS + b"Content-Length: 0\r\n\r\n",
    "B3 a header too long": OK + b"A: " + b"b" * MOST_HEAD + b"\r\nContent-Length: 0\r\n\r\n",
    "B3 a header that does not end": OK + b"A: " + b"b" * MOST_HEAD,
    "B3 too many interims": b"HTTP/1.1 100 Go\r\n\r\n" * 11 + OK + b"Content-Length: 0\r\n\r\n",
    "B3 another protocol": b"HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n" + OK,
    "B3 HTTP/2.0": b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "B11 HTTP/0.9": b"<html>hello</html>",
    "B11 HTTP/0.9 that says so": b"HTTP/0.9 200 OK\r\nContent-Length: 0\r\n\r\n",
    "B11 chunks on HTTP/1.0": CHUNKED.replace(b"1.1", b"1.0") + b"0\r\n\r\n",
    "B11 SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "B11 TLS": b"\x15\x03\x01\x00\x02\x02\x46",
    "B11 SMTP": b"220 mail ESMTP\r\n",
    "B11 line ends only": b"\r\n\r\n",
    "B13 more framing than bytes": CHUNKED + b"1;" + b"x" * (MOST_FRAMING + 16),
    "B13 trailers without end": CHUNKED + b"0\r\n" + b"A: b\r\n" * (MOST_FRAMING // 6 + 1),
}
"""What is refused, by the row of the torture list."""


def fed(data: bytes, piece: int, is_head: bool = False) -> AnswerReader:
    """Make a reader that was fed these bytes, so many at a time."""
    reader = AnswerReader(is_head)
    feed(reader, data, piece)
    return reader


def feed(reader: AnswerReader, data: bytes, piece: int) -> None:
    """Feed a reader so many bytes at a time."""
    for start in range(0, len(data), piece):
        reader.feed(data[start : start + piece])


@pytest.mark.parametrize("piece", [1, 7, 10_000_000])
@pytest.mark.parametrize("row", REFUSED)
def test_what_no_blob_server_sends_is_refused(row: str, piece: int) -> None:
    """In one segment, in pieces and byte by byte; and never is it taken for a whole answer before."""
    reader = AnswerReader()
    with pytest.raises(AnswerRefused):
        feed(reader, REFUSED[row], piece)
    assert not reader.is_complete


@pytest.mark.parametrize("piece", [1, 7, 10_000_000])
@pytest.mark.parametrize(
    "data",
    [
        OK + b"Content-Length: 6\r\n\r\nhello",
        CHUNKED + b"5\r\nhel",
        CHUNKED + b"5\r\nhello\r\n",
        CHUNKED + b"5\r\nhello\r\n0\r\n",
    ],
)
def test_a_body_that_is_cut_is_not_complete(data: bytes, piece: int) -> None:
    """B1: short of its length, inside a chunk, between chunks, before the last line end."""
    reader = fed(data, piece)
    assert reader.has_head and not reader.is_complete and not reader.may_be_followed


@pytest.mark.parametrize("piece", [1, 7, 10_000_000])
def test_limits_are_kept_and_not_more(piece: int) -> None:
    """What just fits is taken: headers, bytes of the head, interim answers."""
    headers = b"A: b\r\n" * (MOST_HEADERS - 1) + b"Content-Length: 0\r\n\r\n"
    assert fed(b"HTTP/1.1 100 Go\r\n\r\n" * 10 + OK + headers, piece).may_be_followed
    rest = b"Content-Length: 0\r\n\r\n"
    long = OK + b"A: " + b"b" * (MOST_HEAD - len(OK) - 5 - len(rest)) + b"\r\n" + rest
    assert len(long) == MOST_HEAD
    assert fed(long, piece).may_be_followed


def test_chunks_of_one_byte_are_within_the_limit() -> None:
    """Six bytes of framing for a byte: a poor server, not a hostile one."""
    assert FRAMING_A_BYTE > 6
    reader = fed(CHUNKED + b"1\r\nx\r\n" * 50_000 + b"0\r\n\r\n", 1000)
    assert reader.may_be_followed
    assert b"".join(reader.take()) == b"x" * 50_000


@pytest.mark.parametrize("piece", [1, 10_000_000])
def test_a_whole_answer_leaves_the_connection_to_the_next(piece: int) -> None:
    """With a length, with chunks, and without a body."""
    for data in (
        OK + b"content-length: 5 \r\n\r\nhello",
        CHUNKED.replace(b"chunked", b"Chunked") + b"5\r\nhello\r\n0\r\n\r\n",
        CHUNKED + b"5;x=y\r\nhello\r\n0\r\nLate: yes\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\n\r\n",
    ):
        assert fed(data, piece).may_be_followed, data
    assert fed(OK + b"\r\n", piece, is_head=True).may_be_followed


def test_a_segment_that_ends_within_the_line_ends_is_no_trouble() -> None:
    """The head's end is found wherever the segments are cut."""
    data = b"HTTP/1.1 100 Go\r\n\r\n" + OK + b"Content-Length: 5\r\n\r\nhello"
    for cut in range(1, len(data)):
        reader = AnswerReader()
        reader.feed(data[:cut])
        reader.feed(data[cut:])
        assert reader.may_be_followed
        assert b"".join(reader.take()) == b"hello"
