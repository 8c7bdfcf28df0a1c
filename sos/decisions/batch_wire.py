"""Batches on their way between servers: names that are asked for, blobs with their bytes, and what came of each.

A batch of blobs is the JSON of its entries, as ``/sync/bucket`` lists them, a line end, and then the bytes of each, one
after the other; how many bytes each has, its entry says. `docs/wire.rst` has it in words. What comes from a peer is not
trusted: what is wrong anywhere is `BadInput` for all of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from attrs import evolve

from sos.decisions import sync_wire, wire
from sos.decisions.batch import ROOM, check_batch, check_names, fault_of
from sos.decisions.strict_json import compact_text, parsed
from sos.words.blob import BlobID, Entry, Parcel, blob_id
from sos.words.errors import BadInput, SOSError
from sos.words.interfaces import Received

MOST_NAMES_JSON = 32 * 1024
"""Bytes of the names that are asked for: 128 of the longest have 17 KiB."""

MOST_BATCH = ROOM + 16
"""Bytes of a batch: what all of it weighs, and the brackets around its entries."""

MOST_OUTCOMES_JSON = 256 * 1024
"""Bytes of what came of a batch: 128 refusals with the longest IDs and sentences have 100 KiB."""

_PIECE = 32 * 1024
"""Bytes of blobs that are written at a time: a connection takes them in some fifty microseconds."""

_REFUSED = 503
"""The status of an error that has none, for nobody would be left to tell: here somebody is."""


def names_json(names: Sequence[BlobID]) -> bytes:
    """Write which blobs are asked for."""
    return wire.json_bytes(list(names))


def names_of(payload: bytes) -> list[BlobID]:
    """Read which blobs are asked for. Raises `BadInput`."""
    shape = parsed(payload)
    if not isinstance(shape, list) or not all(isinstance(name, str) for name in shape):
        raise BadInput("The blobs that are asked for are a list of IDs.")
    names = [blob_id(name.encode("utf-8", "surrogatepass")) for name in shape]
    check_names(names)
    return names


def batch_bytes(parcels: Sequence[Parcel]) -> bytes:
    """Write a batch."""
    return b"".join([*head_pieces(parcels), *payload_pieces(parcels)])


def head_pieces(parcels: Sequence[Parcel]) -> Iterator[bytes]:
    """Write the first line of a batch, piece by piece."""
    yield from sync_wire.entries_pieces([parcel.entry for parcel in parcels])
    yield b"\n"


def payload_pieces(parcels: Sequence[Parcel]) -> Iterator[bytes]:
    """Give the bytes of a batch, some blobs at a time."""
    some: list[bytes] = []
    left = _PIECE
    for parcel in parcels:
        some.append(parcel.payload)
        left -= len(parcel.payload)
        if left <= 0:
            yield b"".join(some)
            some, left = [], _PIECE
    yield b"".join(some)


def batch_of(payload: bytes) -> list[Parcel]:
    """Read a batch. Raises `BadInput`."""
    end = payload.find(b"\n")
    if end < 0:
        raise BadInput("A batch begins with one line of JSON.")
    parcels, at = [], end + 1
    for entry in sync_wire.entries_in(payload[:end]):
        parcel = Parcel(_kept(entry), payload[at : at + (entry.size or 0)])
        fault = fault_of(parcel)
        if fault is not None:
            raise fault
        parcels.append(parcel)
        at += len(parcel.payload)
    if at != len(payload):
        raise BadInput("There are other bytes in a batch than its entries say.")
    check_batch(parcels)
    return parcels


def outcomes_json(parcels: Sequence[Parcel], outcomes: Sequence[Received | SOSError]) -> bytes:
    """Write what came of each blob of a batch."""
    texts = [_outcome_text(parcel.entry.id, outcome) for parcel, outcome in zip(parcels, outcomes, strict=True)]
    return f"[{','.join(texts)}]\n".encode("ascii")


def outcomes_of(payload: bytes, parcels: Sequence[Parcel], server: str) -> list[Entry | SOSError]:
    """Read what came of each blob of a batch that a server was sent: what it holds now, or why it did not take it.

    Raises `BadInput`, also for an answer that speaks of other blobs, or of other bytes.
    """
    shapes = parsed(payload)
    if not isinstance(shapes, list) or len(shapes) != len(parcels):
        raise BadInput("There is not one outcome for each blob of the batch.")
    return [_outcome_of(shape, parcel.entry, server) for shape, parcel in zip(shapes, parcels, strict=True)]


def _kept(entry: Entry) -> Entry:
    """Leave out of the metadata what is not kept of an upload's headers either, above all `wire.INTERNAL` names."""
    pairs = entry.metadata.pairs
    return evolve(entry, metadata=wire.metadata_of(pairs)) if pairs else entry


def _outcome_text(name: BlobID, outcome: Received | SOSError) -> str:
    if isinstance(outcome, Received):
        assert outcome.entry.sha256 is not None  # what a store holds has a SHA-256
        return f'{{"id":"{name}","version":{outcome.entry.version:d},"sha256":"{outcome.entry.sha256.hex()}"}}'
    shape: dict[str, Any] = {"id": name, "status": wire.status_of(outcome) or _REFUSED, "error": str(outcome)}
    reason = wire.reason_of(outcome)
    if reason is not None:
        shape["reason"] = reason
    for _, version in wire.internal_headers_of_error(outcome):
        shape["version"] = int(version)
    return compact_text(shape)


def _outcome_of(shape: Any, sent: Entry, server: str) -> Entry | SOSError:
    if not isinstance(shape, dict) or shape.get("id") != sent.id:
        raise BadInput("An outcome is not that of the blob that was sent.")
    if "status" in shape:
        return _error_of(shape, sent.id, server)
    assert sent.sha256 is not None  # it was in a batch
    if shape.get("sha256") != sent.sha256.hex():
        raise BadInput("It acknowledges other bytes than those that it was sent.")
    version = sync_wire.version_of(shape.get("version"))
    return sent if version == sent.version else evolve(sent, version=version)


def _error_of(shape: dict[str, Any], name: BlobID, server: str) -> SOSError:
    status = shape["status"]
    if type(status) is not int or status == 200:
        raise BadInput("An error has a status.")
    headers = [(wire.VERSION, b"%d" % sync_wire.version_of(shape["version"]))] if "version" in shape else []
    return wire.error_of(status, headers, wire.json_bytes(shape), server, name)
