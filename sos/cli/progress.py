"""Progress: how far a command is, for whoever watches its standard error; nobody else is shown anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from sos.decisions.topology import Server

_PARTS = 1000
"""Steps in which the line of a member grows."""


class IProgressShown(Protocol):
    """Is told how far a piece of work is."""

    def begin(self, what: str, total: int | None) -> None:
        """Work begins; `total` is how much there is to do, None where nobody knows."""

    def advance(self, amount: int) -> None:
        """So much more was done."""

    def end(self) -> None:
        """The work is over, for whatever reason; nothing of it stays on the screen."""


class NoProgress:
    """Shows nothing."""

    def begin(self, what: str, total: int | None) -> None:
        """Do nothing."""

    def advance(self, amount: int) -> None:
        """Do nothing."""

    def end(self) -> None:
        """Do nothing."""


class IMembersShown(Protocol):
    """Is told how far each of some members is."""

    def moved(self, server: Server, share: float) -> None:
        """A member has done this part of its work, 0 to 1."""

    def end(self) -> None:
        """The work is over, for whatever reason."""


class BarOfMembers:
    """Shows one line for all members together."""

    def __init__(self, bar: IProgressShown, servers: Sequence[Server]) -> None:
        """Show it by a bar."""
        self._bar = bar
        self._done = dict.fromkeys(servers, 0)
        bar.begin("scrub", _PARTS * len(servers))

    def moved(self, server: Server, share: float) -> None:
        """Let the line grow."""
        done = max(self._done[server], int(share * _PARTS))
        self._bar.advance(done - self._done[server])
        self._done[server] = done

    def end(self) -> None:
        """Take the line away."""
        self._bar.end()


class LinesOfMembers:
    """Writes a line whenever a member has done another tenth: for a log."""

    def __init__(self, stream: TextIO, servers: Sequence[Server]) -> None:
        """Write to a stream."""
        self._stream = stream
        self._tenths = dict.fromkeys(servers, 0)

    def moved(self, server: Server, share: float) -> None:
        """Write a line, if it is time for one."""
        tenth = int(share * 10)
        if tenth > self._tenths[server]:
            self._tenths[server] = tenth
            self._stream.write(f"{server.url}: {tenth}0 %\n")
            self._stream.flush()

    def end(self) -> None:
        """Do nothing."""


class BarOfProgress:
    """Shows one line that grows."""

    def __init__(self, stream: TextIO, *columns: ProgressColumn) -> None:
        """Show it on a terminal."""
        self._console = Console(file=stream, stderr=True)
        self._columns = columns
        self._progress: Progress | None = None
        self._task = TaskID(0)

    def begin(self, what: str, total: int | None) -> None:
        """Show the line."""
        self.end()
        # neither stream is taken over: what goes to the standard output may go into a file
        quietly: dict[str, Any] = {"transient": True, "redirect_stdout": False, "redirect_stderr": False}
        self._progress = Progress(*self._columns, console=self._console, **quietly)
        self._task = self._progress.add_task(what, total=total)
        self._progress.start()

    def advance(self, amount: int) -> None:
        """Let the line grow."""
        if self._progress is not None:
            self._progress.advance(self._task, amount)

    def end(self) -> None:
        """Take the line away."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


def progress_of_bytes(stream: TextIO, is_wanted: bool) -> IProgressShown:
    """Show how many bytes went by, how fast, and how long the rest will take; on a terminal alone."""
    if not is_wanted or not stream.isatty():
        return NoProgress()
    name = TextColumn("{task.description}", markup=False)  # the name of a file is no markup
    return BarOfProgress(stream, name, BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())


def progress_of_objects(stream: TextIO, is_wanted: bool) -> IProgressShown:
    """Show how many objects went by; on a terminal alone."""
    if not is_wanted or not stream.isatty():
        return NoProgress()
    return BarOfProgress(stream, SpinnerColumn(), TextColumn("{task.completed:,.0f} objects"))


def progress_of_members(stream: TextIO, is_wanted: bool, servers: Sequence[Server]) -> IMembersShown:
    """Show how far members are: a line that grows on a terminal, else a line for each tenth."""
    if not is_wanted:
        return BarOfMembers(NoProgress(), servers)
    if not stream.isatty():
        return LinesOfMembers(stream, servers)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    return BarOfMembers(BarOfProgress(stream, *columns), servers)
