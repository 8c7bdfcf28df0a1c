"""The configuration files: where they are, and what becomes of one that is missing or cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sos.decisions.config import Section, combine, parse
from sos.decisions.topology import Topology
from sos.words.errors import BadConfig

SYSTEM_FILE = Path("/etc/sos.conf")
"""Read first."""

PERSONAL_FILE = Path("~/.sos.conf")
"""Read next; both add up."""


def read_named(path: Path) -> Topology:
    """Read the one file that the operator named. Raises `BadConfig`, also where it is missing."""
    return combine([_sections_of(path)])


def read_default(paths: Sequence[Path] = (SYSTEM_FILE, PERSONAL_FILE)) -> Topology:
    """Read those of the default files that are there, and add them up. Raises `BadConfig`."""
    return combine([_sections_of(_at_home(path), may_be_missing=True) for path in paths])


def _at_home(path: Path) -> Path:
    """Put the home directory in place of ``~``; for a user without one the name stays as it is, and no file has it."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def _sections_of(path: Path, may_be_missing: bool = False) -> tuple[Section, ...]:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BadConfig(f"{path} is not UTF-8 text: byte {error.start} cannot be read.") from None
    except OSError as error:
        if may_be_missing and isinstance(error, FileNotFoundError | NotADirectoryError):
            return ()
        raise BadConfig(f"{path} cannot be read: {error.strerror}.") from None
    return parse(text, str(path))
