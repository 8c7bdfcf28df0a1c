"""The agreement of members: whether those of each group hold the same, as their digests say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from attrs import frozen

from sos.decisions.topology import Group, Server
from sos.words.interfaces import StoreSummary


@frozen
class Statement:
    """What one member says of all that it holds, or the reason why it says nothing."""

    server: Server
    summary: StoreSummary | None = None
    why_unknown: str | None = None

    @property
    def line(self) -> str:
        """It in one line, for people."""
        if self.summary is None:
            return f"  {self.server}: {self.why_unknown}"
        said = self.summary
        counts = f"{said.live} live, {said.deleted} deleted, {said.damaged} damaged, {said.strays} strays"
        return f"  {self.server}: {said.root.hex()}, {counts}, round {said.round}"

    @property
    def shape(self) -> dict[str, Any]:
        """The same for scripts: what is not known is null."""
        said = self.summary
        return {
            "url": self.server.url,
            "reason": self.why_unknown,
            "store": said and said.store,
            "group": said and said.group,
            "root": said and said.root.hex(),
            "live": said and said.live,
            "deleted": said and said.deleted,
            "damaged": said and said.damaged,
            "strays": said and said.strays,
            "round": said and said.round,
        }


@frozen
class GroupAgreement:
    """A group, and what its members say."""

    group: Group
    members: tuple[Statement, ...]

    @property
    def is_equal(self) -> bool:
        """Whether all of it was asked, and all of it holds the same."""
        return not any(self.complaints)

    @property
    def complaints(self) -> Iterator[str]:
        """What stands between the members and being equal."""
        known = [(member.server, member.summary) for member in self.members if member.summary is not None]
        for member in self.members:
            if member.summary is None:
                yield f"{member.server} cannot be compared: {member.why_unknown}"
        for server, said in known:
            if said.group not in (None, self.group.name):
                yield f"{server} is a store of group {said.group}"
            if said.damaged:
                yield f"{server} has {said.damaged} damaged"
        for store, count in Counter(said.store for _, said in known).items():
            if count > 1:
                yield f"{' and '.join(str(server) for server, said in known if said.store == store)} are one store"
        if len({said.root for _, said in known}) > 1:
            yield "the members hold different entries"

    @property
    def lines(self) -> Iterator[str]:
        """It for people."""
        verdict = "equal" if self.is_equal else f"not equal: {'; '.join(self.complaints)}"
        yield f"group {self.group.name}: {verdict}"
        yield from (member.line for member in self.members)

    @property
    def shape(self) -> dict[str, Any]:
        """The same for scripts."""
        return {
            "group": self.group.name,
            "equal": self.is_equal,
            "complaints": list(self.complaints),
            "members": [member.shape for member in self.members],
        }


@frozen
class Agreement:
    """All groups."""

    groups: tuple[GroupAgreement, ...]

    @property
    def is_equal(self) -> bool:
        """Whether each group is equal in itself."""
        return all(group.is_equal for group in self.groups)

    @property
    def lines(self) -> Iterator[str]:
        """It for people."""
        for group in self.groups:
            yield from group.lines

    @property
    def shape(self) -> dict[str, Any]:
        """The same for scripts."""
        return {"equal": self.is_equal, "groups": [group.shape for group in self.groups]}
