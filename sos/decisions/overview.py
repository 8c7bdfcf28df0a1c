"""The overview of a cluster: the cells of the table that ``sos status`` shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sos.decisions.condition import Condition, MemberCondition
from sos.decisions.reports import NO_LIMIT
from sos.decisions.sizes import size_text

COLUMNS = ("Group", "Member", "State", "Blobs", "Bytes", "Free", "Inodes", "Damaged", "Version", "Last round", "Last scrub")
NUMBERS = frozenset({"Blobs", "Bytes", "Free", "Inodes", "Damaged", "Last round", "Last scrub"})
"""The columns that stand at the right."""

UNKNOWN = "-"

_AGES = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def rows_of(condition: Condition) -> Iterator[Sequence[str]]:
    """Give a row for each member; the name of a group stands in its first row alone."""
    for group in condition.groups:
        name = group.group.name
        for member in group.members:
            yield (name, member.server.url, state_of(member), *_figures_of(member))
            name = ""


def state_of(member: MemberCondition) -> str:
    """Give the state of a member, with the reason where it is down."""
    return member.state if member.why_down is None else f"{member.state}: {member.why_down}"


def age_text(seconds: float) -> str:
    """Write an age for people: in the largest unit of which there are two, so that it is never far off."""
    number, unit = next(((seconds / size, unit) for size, unit in _AGES if seconds >= 2 * size), (seconds, "s"))
    return f"{number:.0f} {unit}"


def _figures_of(member: MemberCondition) -> Sequence[str]:
    report = member.report
    if report is None:
        return (UNKNOWN,) * 8
    return (
        f"{report.blobs:,}",
        size_text(report.size),
        size_text(report.free_bytes),
        UNKNOWN if report.free_inodes >= NO_LIMIT else f"{report.free_inodes:,}",
        f"{report.damaged:,}",
        report.version,
        _age_of(report.round_age),
        _age_of(report.scrub_age),
    )


def _age_of(seconds: float | None) -> str:
    return UNKNOWN if seconds is None else age_text(seconds)
