"""The whereabouts of an object: what each member knows of it, and whether that is all that there should be."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from attrs import frozen

from sos.decisions.topology import Group, Server
from sos.words.blob import KIND_WORDS, OLD_CONTRACT, BlobID, Entry, Kind, Version
from sos.words.versions import seconds_of


class Verdict(enum.Enum):
    """Whether an object is there."""

    WHOLE = "all copies are there"
    INCOMPLETE = "copies are missing, or members are out of reach"
    ABSENT = "no member has it"


@frozen
class Knowledge:
    """What one member knows: the entry, or nothing; or nobody can tell, for a reason.

    Where the entry is a manifest, its size is that of the object, and `chunks` says how many there are.
    """

    server: Server
    entry: Entry | None = None
    why_unknown: str | None = None
    chunks: int | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """What the entry says beside its metadata, nothing where there is none."""
        if self.entry is None:
            return {}
        facts = facts_of(self.entry)
        return facts if self.chunks is None else {**facts, "chunks": self.chunks}

    @property
    def word(self) -> str:
        """One word for it."""
        if self.why_unknown is not None:
            return "unknown"
        return "absent" if self.entry is None else "present"

    @property
    def lines(self) -> Iterator[str]:
        """The same for people."""
        yield f"{self.server}: {self.word}" + (f" ({self.why_unknown})" if self.why_unknown else "")
        if self.entry is not None:
            for name, value in self.facts.items():
                yield f"  {name:<10}{'-' if value is None else value}"
            for header, text in metadata_of(self.entry).items():
                yield f"  {header}: {text}"

    @property
    def shape(self) -> dict[str, Any]:
        """The same for scripts."""
        facts = {} if self.entry is None else {**self.facts, "metadata": metadata_of(self.entry)}
        return {"url": self.server.url, "state": self.word, "reason": self.why_unknown, **facts}


@frozen
class Whereabouts:
    """What the members of all groups know, the groups in the order of placement."""

    object_id: BlobID
    groups: tuple[tuple[Group, tuple[Knowledge, ...]], ...]

    @property
    def home(self) -> tuple[Group, tuple[Knowledge, ...]]:
        """The group that has it: the first in which a member does, else the one that should."""
        holding = (found for found in self.groups if any(known.entry is not None for known in found[1]))
        return next(holding, self.groups[0])

    @property
    def verdict(self) -> Verdict:
        """Whether it is there."""
        everyone = [known for _, members in self.groups for known in members]
        is_certain = all(known.why_unknown is None for known in everyone)
        if is_certain and not any(known.entry for known in everyone):
            return Verdict.ABSENT
        is_whole = is_certain and all(known.entry is not None for known in self.home[1]) and not self.differs
        return Verdict.WHOLE if is_whole else Verdict.INCOMPLETE

    @property
    def differs(self) -> bool:
        """Whether two members hold different bytes under this ID. One object may well be cut into chunks in several ways."""
        entries = [known.entry for _, members in self.groups for known in members if known.entry is not None]
        digests = {entry.sha256 for entry in entries if entry.sha256 is not None and entry.kind is Kind.BLOB}
        sizes = {entry.size for entry in entries if entry.size is not None}
        return len(digests) > 1 or len(sizes) > 1

    @property
    def sentence(self) -> str:
        """How many copies there are, and what is wrong, if anything."""
        group, members = self.home
        if self.verdict is Verdict.ABSENT:
            return f"No member has {self.object_id}."
        copies = sum(known.entry is not None for known in members)
        unknown = sum(known.why_unknown is not None for _, everyone in self.groups for known in everyone)
        words = f"{copies} of {len(members)} copies in group {group.name}"
        if unknown:
            words += f"; {unknown} {'member' if unknown == 1 else 'members'} out of reach"
        return f"{words}{'; members hold different bytes under this ID' if self.differs else ''}."

    @property
    def lines(self) -> Iterator[str]:
        """All of it for people. The members of groups that have nothing to do with it are left out."""
        yield f"{self.object_id}: {self.sentence}"
        for group, members in self.groups:
            if group is self.home[0] or any(known.word != "absent" for known in members):
                for known in members:
                    yield ""
                    yield from known.lines

    @property
    def shape(self) -> dict[str, Any]:
        """All of it for scripts."""
        group, members = self.home
        return {
            "id": self.object_id,
            "group": group.name,
            "copies": sum(known.entry is not None for known in members),
            "members_of_group": len(members),
            "sentence": self.sentence,
            "members": [{"group": each.name, **known.shape} for each, everyone in self.groups for known in everyone],
        }


def facts_of(entry: Entry) -> dict[str, Any]:
    """Give what an entry says beside its metadata; None where nobody has said it."""
    return {
        "size": entry.size,
        "version": time_of(entry.version),
        "kind": KIND_WORDS[entry.kind],
        "sha256": None if entry.sha256 is None else entry.sha256.hex(),
    }


def metadata_of(entry: Entry) -> dict[str, str]:
    """Give the metadata as text. Bytes that are no UTF-8, and what would steer a terminal, are shown as escapes."""
    return {name.decode("ascii"): shown(value) for name, value in entry.metadata.pairs}


def shown(raw: bytes) -> str:
    """Give the value of a header as text that can neither end a line nor steer a terminal."""
    text = raw.decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text)


def time_of(version: Version) -> str | None:
    """Write the time of a version (ISO 8601, UTC); None for one of the old contract, which has none."""
    if version == OLD_CONTRACT:
        return None
    try:
        moment = datetime.fromtimestamp(seconds_of(version), UTC)
    except (ValueError, OverflowError):  # a clock of the year 10000: still a version
        return f"version {version}"
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
