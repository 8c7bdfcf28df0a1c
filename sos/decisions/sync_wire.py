"""The JSON of ``/sync``: entries, digests and summaries on their way between servers. `docs/wire.rst` has it in words.

What comes from a peer is not trusted: every field is checked, and what is wrong is `BadInput`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeVar

from sos.decisions.buckets import DIGEST_BYTES, PARTS
from sos.decisions.strict_json import compact, compact_text, parsed
from sos.words.blob import KIND_WORDS, NO_METADATA, STATE_WORDS, BlobID, Entry, Metadata, Version, blob_id
from sos.words.errors import BadInput
from sos.words.interfaces import StoreSummary, Swept
from sos.words.versions import LARGEST

MOST_ENTRIES_JSON = 24 * 1024 * 1024
"""Bytes of a page of 1,000 entries, each with 8 KiB of metadata in which every byte is escaped."""

_ENTRIES_A_PIECE = 16
"""Entries that are written at a time. To list them takes longer: `sos.store.turns` has fewer."""

MOST_NAMED = 1000
"""Tombstones that one request may drop, or chunks that it may sweep."""

_STATES = {word: state for state, word in STATE_WORDS.items()}
_KINDS = {word: kind for kind, word in KIND_WORDS.items()}
_UUID = re.compile(r"[0-9A-Za-z-]{1,64}")
_LARGEST_SIZE = 2**63 - 1

Shape = dict[str, Any]
T = TypeVar("T")


def entry_text(entry: Entry) -> str:
    """Write an entry as JSON; bytes of metadata are the characters of the same numbers (Latin-1).

    An ID, a word and a digest have nothing that would have to be escaped, and many entries are written.
    """
    size = "" if entry.size is None else f',"size":{entry.size:d}'
    sha256 = "" if entry.sha256 is None else f',"sha256":"{entry.sha256.hex()}"'
    metadata = f',"metadata":{_metadata_text(entry.metadata)}' if entry.metadata.pairs else ""
    expires = "" if entry.expires is None else f',"expires":{entry.expires:d}'
    marks = (',"damaged":true' if entry.is_damaged else "") + (',"stray":true' if entry.is_stray else "")
    return (
        f'{{"id":"{entry.id}","version":{entry.version:d},"state":"{STATE_WORDS[entry.state]}",'
        f'"kind":"{KIND_WORDS[entry.kind]}"{size}{sha256}{metadata}{expires}{marks}}}'
    )


def entry_of(shape: Any) -> Entry:
    """Read an entry. Raises `BadInput` and `BadMetadata`."""
    fields = _object(shape)
    sha256 = fields.get("sha256")
    return Entry(
        id=blob_id(_text(fields, "id").encode("utf-8", "surrogatepass")),
        version=version_of(fields.get("version")),
        state=_one_of(_STATES, fields.get("state"), "state"),
        kind=_one_of(_KINDS, fields.get("kind"), "kind"),
        size=None if "size" not in fields else _number(fields["size"], _LARGEST_SIZE),
        sha256=None if sha256 is None else _digest(sha256, 32),
        metadata=_metadata(fields["metadata"]) if "metadata" in fields else NO_METADATA,
        expires=None if "expires" not in fields else _number(fields["expires"], _LARGEST_SIZE),
        is_damaged=fields.get("damaged") is True,
        is_stray=fields.get("stray") is True,
    )


def entries_json(entries: Sequence[Entry]) -> bytes:
    """Write a page of entries."""
    return b"".join(entries_pieces(entries))


def entries_pieces(entries: Sequence[Entry]) -> Iterator[bytes]:
    """Write a page of entries piece by piece: each takes as long as reading a blob or two."""
    for at in range(0, len(entries), _ENTRIES_A_PIECE):
        texts = [entry_text(entry) for entry in entries[at : at + _ENTRIES_A_PIECE]]
        yield (b"," if at else b"[") + ",".join(texts).encode("ascii")
    yield b"]" if entries else b"[]"


def entries_of(payload: bytes) -> list[Entry]:
    """Read a page of entries, which must ascend by ID. Raises `BadInput`."""
    entries = entries_in(payload)
    if any(left.id >= right.id for left, right in pairwise(entries)):
        raise BadInput("The entries do not ascend by ID.")
    return entries


def entries_in(payload: bytes) -> list[Entry]:
    """Read entries in any order. Raises `BadInput`."""
    return [entry_of(shape) for shape in _list(parsed(payload))]


def digests_json(digests: Sequence[bytes]) -> bytes:
    """Write 64 digests."""
    return compact([digest.hex() for digest in digests])


def digests_of(payload: bytes) -> list[bytes]:
    """Read 64 digests. Raises `BadInput`."""
    digests = [_digest(digest, DIGEST_BYTES) for digest in _list(parsed(payload))]
    if len(digests) != PARTS:
        raise BadInput(f"There are {len(digests)} digests instead of {PARTS}.")
    return digests


def summary_json(summary: StoreSummary) -> bytes:
    """Write what a store says of itself."""
    return compact(
        {
            "store": summary.store,
            "root": summary.root.hex(),
            "live": summary.live,
            "deleted": summary.deleted,
            "damaged": summary.damaged,
            "strays": summary.strays,
            "clock": summary.clock,
            "round": summary.round,
            "group": summary.group,
            "dropped_round": summary.dropped_round,
            "dropped_version": summary.dropped_version,
            "time": summary.time,
            "uptime": summary.uptime,
            "incarnation": summary.incarnation,
            "partial": summary.is_partial,
        }
    )


def summary_of(payload: bytes) -> StoreSummary:
    """Read what a store says of itself. Raises `BadInput`."""
    fields = _object(parsed(payload))
    store, group = _text(fields, "store"), fields.get("group")
    if _UUID.fullmatch(store) is None or not (group is None or isinstance(group, str)):
        raise BadInput("A store has a UUID, and a group with a name or none.")
    live, deleted, damaged, strays, round_ = (
        _number(fields.get(name), _LARGEST_SIZE) for name in ("live", "deleted", "damaged", "strays", "round")
    )
    return StoreSummary(
        store=store,
        root=_digest(fields.get("root"), DIGEST_BYTES),
        live=live,
        deleted=deleted,
        damaged=damaged,
        strays=strays,
        clock=version_of(fields.get("clock")),
        round=round_,
        group=group,
        dropped_round=_number(fields.get("dropped_round", 0), _LARGEST_SIZE),
        dropped_version=version_of(fields.get("dropped_version", 0)),
        time=None if fields.get("time") is None else _number(fields["time"], _LARGEST_SIZE),
        uptime=None if fields.get("uptime") is None else _number(fields["uptime"], _LARGEST_SIZE),
        incarnation=_incarnation_in(fields),
        is_partial=fields.get("partial") is True,
    )


def _incarnation_in(fields: dict[str, Any]) -> str | None:
    said = fields.get("incarnation")
    if said is None:
        return None
    if not isinstance(said, str) or _UUID.fullmatch(said) is None:
        raise BadInput("An incarnation has 1 to 64 letters and digits.")
    return said


def round_json(number: int, group: str, is_partial: bool, incarnation: str | None) -> bytes:
    """Write the note of a completed round."""
    note = {"round": number, "group": group, "partial": is_partial}
    return compact(note if incarnation is None else {**note, "incarnation": incarnation})


def round_of(payload: bytes) -> tuple[int, str, bool, str | None]:
    """Read the note of a completed round. Raises `BadInput`."""
    fields = _object(parsed(payload))
    group = _text(fields, "group")
    if not 0 < len(group) <= 255 or not group.isprintable():
        raise BadInput("A group has a name of at most 255 printable characters.")
    number = _number(fields.get("round"), _LARGEST_SIZE)
    return number, group, fields.get("partial") is True, _incarnation_in(fields)


def tombstones_json(tombstones: Sequence[tuple[BlobID, Version]]) -> bytes:
    """Write which tombstones are to be dropped."""
    return compact([[name, version] for name, version in tombstones])


def tombstones_of(payload: bytes) -> list[tuple[BlobID, Version]]:
    """Read which tombstones are to be dropped. Raises `BadInput`."""
    return _named(parsed(payload))


def count_json(count: int) -> bytes:
    """Write how many there were."""
    return compact({"count": count})


def count_of(payload: bytes) -> int:
    """Read how many there were. Raises `BadInput`."""
    return _number(_object(parsed(payload)).get("count"), _LARGEST_SIZE)


def chunks_json(chunks: Sequence[tuple[BlobID, Version]], is_rehearsal: bool) -> bytes:
    """Write which chunks are to be swept, or only to be counted."""
    return compact({"chunks": [[name, version] for name, version in chunks], "rehearsal": is_rehearsal})


def chunks_of(payload: bytes) -> tuple[list[tuple[BlobID, Version]], bool]:
    """Read which chunks are to be swept, and whether they are only to be counted. Raises `BadInput`."""
    fields = _object(parsed(payload))
    is_rehearsal = fields.get("rehearsal")
    if not isinstance(is_rehearsal, bool):
        raise BadInput("rehearsal is true or false.")
    return _named(fields.get("chunks")), is_rehearsal


def swept_json(swept: Swept) -> bytes:
    """Write what was swept."""
    return compact({"chunks": swept.chunks, "size": swept.size})


def swept_of(payload: bytes) -> Swept:
    """Read what was swept. Raises `BadInput`."""
    fields = _object(parsed(payload))
    return Swept(_number(fields.get("chunks"), _LARGEST_SIZE), _number(fields.get("size"), _LARGEST_SIZE))


def version_of(value: Any) -> Version:
    """Read a version. Raises `BadInput` for what does not fit into 63 bits."""
    return Version(_number(value, LARGEST))


def _named(shape: Any) -> list[tuple[BlobID, Version]]:
    """Read entries that are meant only while they have a version."""
    rows = [_list(row) for row in _list(shape)]
    if len(rows) > MOST_NAMED or any(len(row) != 2 or not isinstance(row[0], str) for row in rows):
        raise BadInput(f"At most {MOST_NAMED} pairs of an ID and a version are taken at a time.")
    return [(blob_id(row[0].encode("utf-8", "surrogatepass")), version_of(row[1])) for row in rows]


def _object(shape: Any) -> Shape:
    if not isinstance(shape, dict):
        raise BadInput("There is something else where an object should be.")
    return shape


def _list(shape: Any) -> list[Any]:
    if not isinstance(shape, list):
        raise BadInput("There is something else where a list should be.")
    return shape


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise BadInput(f"{name} is no text.")
    return value


def _number(value: Any, largest: int) -> int:
    if type(value) is not int or not 0 <= value <= largest:  # a bool is an int to isinstance
        raise BadInput("A number is missing, or out of its range.")
    return value


def _digest(value: Any, size: int) -> bytes:
    try:
        digest = bytes.fromhex(value)
    except (TypeError, ValueError):
        digest = b""
    if len(digest) != size or digest.hex() != value:  # it reads upper-case digits and spaces, too
        raise BadInput(f"A digest has {2 * size} lower-case hex digits.")
    return digest


def _one_of(members: Mapping[str, T], name: Any, what: str) -> T:
    member = members.get(name) if isinstance(name, str) else None
    if member is None:
        raise BadInput(f"There is no {what} {name!r:.40}.")
    return member


def _metadata_text(metadata: Metadata) -> str:
    return compact_text({name.decode("ascii"): value.decode("latin-1") for name, value in metadata.pairs})


def _metadata(shape: Any) -> Metadata:
    pairs = _object(shape)
    try:
        return Metadata.of((name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs.items())
    except (AttributeError, UnicodeEncodeError):
        raise BadInput("Metadata are names and values of Latin-1 characters.") from None
