"""The condition of a cluster: what its members say of themselves, and what that means for the objects in it."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Any

from attrs import frozen

from sos.decisions.reports import StoreReport
from sos.decisions.tally import usual_min_copies
from sos.decisions.topology import Group, Server


class Verdict(enum.IntEnum):
    """How bad it is; the larger the worse."""

    HEALTHY = 0
    DEGRADED = 1
    AT_RISK = 2

    @property
    def word(self) -> str:
        """How people and scripts are told."""
        return self.name.lower().replace("_", " ")


@frozen
class MemberCondition:
    """A member: down where there is a reason for it, else up. One that is up without a report is of the old contract."""

    server: Server
    report: StoreReport | None = None
    why_down: str | None = None

    @property
    def is_up(self) -> bool:
        """Whether it answers."""
        return self.why_down is None

    @property
    def takes_writes(self) -> bool:
        """Whether an upload can be written there, as far as it says."""
        return self.is_up and (self.report is None or self.report.takes_writes)

    @property
    def where(self) -> str:
        """What tells copies apart: one store under two URLs is one copy."""
        return self.server.url if self.report is None else self.report.store

    @property
    def state(self) -> str:
        """One word or two for it."""
        if not self.is_up:
            return "down"
        if self.report is None:
            return "up"
        if self.report.is_read_only:
            return "read-only"
        if self.report.is_full:
            return "full"
        return "nearly full" if self.report.is_nearly_full else "up"

    @property
    def complaint(self) -> str | None:
        """What is wrong with it, None where nothing is."""
        if self.state == "up":
            return None
        return f"{self.server} is {self.state}" + (f" ({self.why_down})" if self.why_down else "")

    @property
    def shape(self) -> dict[str, Any]:
        """The same for scripts: what is not known is null."""
        report = self.report
        return {
            "url": self.server.url,
            "state": self.state,
            "reason": self.why_down,
            "version": report and report.version,
            "store": report and report.store,
            "blobs": report and report.blobs,
            "bytes": report and report.size,
            "free_bytes": report and report.free_bytes,
            "free_inodes": report and report.free_inodes,
            "read_only": None if report is None else report.is_read_only,
            "replication_age": report and report.round_age,
            "partial": None if report is None else report.is_partial,
            "damaged": report and report.damaged,
            "scrub_age": report and report.scrub_age,
        }


@frozen
class GroupCondition:
    """A group, and the condition of each of its members."""

    group: Group
    members: tuple[MemberCondition, ...]

    @property
    def verdict(self) -> Verdict:
        """How bad it is."""
        if any(self.dangers):
            return Verdict.AT_RISK
        return Verdict.DEGRADED if any(self.complaints) else Verdict.HEALTHY

    @property
    def dangers(self) -> Iterator[str]:
        """What makes the next loss lose data, or makes uploads fail."""
        needed, name = usual_min_copies(self.group), self.group.name
        all_members = len(self.members)
        copies = len({member.where for member in self.members if member.is_up})
        writable = len({member.where for member in self.members if member.takes_writes})
        if not copies:
            yield f"no member of group {name} is up"
        elif copies < needed or (copies == 1 and all_members > 1):
            yield f"group {name} has {_count(copies, 'copy', 'copies')} of each object in reach, of {all_members}"
        if copies and writable < needed:
            yield f"{writable or 'no'} of the {all_members} members of group {name} can be written to, of {needed} needed"

    @property
    def complaints(self) -> Iterator[str]:
        """What is wrong with members."""
        seen: dict[str, Server] = {}
        for member in self.members:
            if member.complaint is not None:
                yield member.complaint
            if member.report is not None and member.report.damaged:
                yield f"{member.server} holds {_count(member.report.damaged, 'damaged blob', 'damaged blobs')}"
            if member.report is not None and member.report.is_partial:
                yield f"{member.server} has not met all of its group since it was new or away: misses are 503 meanwhile"
            if member.is_up and seen.setdefault(member.where, member.server) is not member.server:
                yield f"{member.server} and {seen[member.where]} are one store, which is one copy"


@frozen
class Condition:
    """All groups."""

    groups: tuple[GroupCondition, ...]

    @property
    def verdict(self) -> Verdict:
        """As bad as the worst group."""
        return max((group.verdict for group in self.groups), default=Verdict.HEALTHY)

    @property
    def sentence(self) -> str:
        """What is wrong, if anything, the worst first."""
        faults = [danger for group in self.groups for danger in group.dangers]
        faults += [complaint for group in self.groups for complaint in group.complaints]
        opening = self.verdict.word.capitalize()
        if faults:
            return f"{opening}: {'; '.join(faults)}."
        members = _count(sum(len(group.members) for group in self.groups), "member", "members")
        return f"{opening}: {members} in {_count(len(self.groups), 'group', 'groups')}, all well."

    @property
    def shape(self) -> dict[str, Any]:
        """The same for scripts."""
        groups = [
            {"name": group.group.name, "state": group.verdict.word, "members": [member.shape for member in group.members]}
            for group in self.groups
        ]
        return {"state": self.verdict.word, "sentence": self.sentence, "groups": groups}


def _count(number: int, one: str, more: str) -> str:
    return f"{number} {one if number == 1 else more}"
