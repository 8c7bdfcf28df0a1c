"""Sidecars: the metadata of an object in a data directory of the ancestor, ``ID.json`` beside ``ID``.

A sidecar is a JSON object, ``{"X-Name": "value"}``. Its text is UTF-8, and HTTP's values are bytes: those that are no UTF-8
are written as lone surrogates, and come back as what they were.

What is read goes by the rules of an upload, but for one thing: a header that an upload would be refused for is left out
here, and said, and the object is taken all the same. It is there, its bytes are right, and nobody can send it again in a
better way. What an upload leaves out in silence (``X-Forwarded-*``, and the ``X-Sos-*`` that an api of ours sent to a blob
server of the ancestor) is left out in silence here, too.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import field, frozen

from sos.decisions import wire
from sos.words.blob import MOST_HEADERS, MOST_METADATA, NO_METADATA, Entry, Metadata
from sos.words.errors import BadInput

SUFFIX = ".json"
"""What the name of a sidecar has behind the ID; no ID has a dot."""

_FIRST = (wire.MIME_TYPE, wire.ORIG_FILENAME)
"""The names that come first where not all can be kept: without them a browser does not know what to do with the bytes."""

Pair = tuple[bytes, bytes]


@frozen
class Read:
    """What a sidecar says, and a clause for each thing that is wrong with it."""

    metadata: Metadata = NO_METADATA
    expires: int | None = None
    complaints: tuple[str, ...] = field(default=())


def read_sidecar(payload: bytes) -> Read:
    """Read a sidecar; whatever is in it, some of it may be good."""
    try:
        shape = wire.json_object(payload)
    except BadInput as error:
        return Read(complaints=(f"its metadata are lost: {_clause(error)}",))
    return _read_at_once(shape) or _read_one_by_one(shape)


def _read_at_once(shape: dict[str, object]) -> Read | None:
    """Read headers among which nothing is wrong or unusual, as nearly all are; None for others."""
    try:
        pairs = [_pair_of(name, value) for name, value in shape.items()]
        kept = wire.metadata_of(pairs)
    except BadInput:
        return None
    return Read(kept) if len(kept.pairs) == len(pairs) else None


def _read_one_by_one(shape: dict[str, object]) -> Read:
    complaints: list[str] = []
    kept: dict[bytes, bytes] = {}
    expires = None
    for name, value in shape.items():
        try:
            pair = _pair_of(name, value)
            if pair[0] == wire.DELETE_AT:
                expires = _expiry_of(pair[1])
                continue
            for lower, stripped in _kept_of(pair):
                if lower in kept:
                    raise BadInput("it comes twice, and only one is kept")
                kept[lower] = stripped
        except BadInput as error:
            complaints.append(f"the header {name!r} is not kept: {_clause(error)}")
    fitting = dict(_fitting(kept))
    complaints += [f"the header {name.decode()!r} is not kept: there are too many, or too long ones"
                   for name in sorted(kept.keys() - fitting.keys())]  # fmt: skip
    return Read(Metadata.of(fitting.items()), expires, tuple(complaints))


def sidecar_of(entry: Entry) -> bytes | None:
    """Write the sidecar of an object; None for one that needs none."""
    shape = {name.title().decode(): value.decode("utf-8", "surrogateescape") for name, value in entry.metadata.pairs}
    if entry.expires is not None:
        shape[wire.DELETE_AT.title().decode()] = f"{entry.expires}"
    return wire.json_bytes(shape) if shape else None


def _pair_of(name: str, value: object) -> Pair:
    if not isinstance(value, str):
        raise BadInput("its value is no text")
    try:
        return name.encode("ascii").lower(), value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise BadInput("it is no text that HTTP can send") from None


def _kept_of(pair: Pair) -> tuple[Pair, ...]:
    """Give a header as it is kept, nothing for one that an upload leaves out. Raises `BadInput`."""
    if not pair[0].startswith(b"x-"):
        raise BadInput("its name does not begin with X-")
    if pair[0] == wire.DELETE_AFTER:
        raise BadInput("nobody knows when its seconds began")
    return wire.metadata_of([pair]).pairs


def _expiry_of(value: bytes) -> int:
    at = wire.number(value)
    if at > wire.LAST_EXPIRY:
        raise BadInput("it lies behind the year 9999")
    return at


def _fitting(kept: dict[bytes, bytes]) -> Iterator[Pair]:
    """Give the headers that the limits let be kept, the more useful ones first."""
    number, size = 0, 0
    for name in sorted(kept, key=lambda name: (name not in _FIRST, name)):
        length = len(name) + len(kept[name])
        if number < MOST_HEADERS and size + length <= MOST_METADATA:
            number, size = number + 1, size + length
            yield name, kept[name]


def _clause(error: BadInput) -> str:
    sentence = str(error).rstrip(".")
    return sentence[:1].lower() + sentence[1:]
