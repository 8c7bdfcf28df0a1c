"""Progress: how far a command is, for whoever watches its standard error; nobody else is shown anything."""

from __future__ import annotations

from typing import Any, Protocol, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)


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
