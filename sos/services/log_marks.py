"""The lines that a worker's log goes through: each begins with its level, as the service manager has it: ``<4>text``.

A line without a mark was not written by the log: it is what the interpreter says when it cannot go on.
"""

from __future__ import annotations

import re
from typing import Any

from twisted.logger import LogLevel

_LEVELS = {2: LogLevel.critical, 3: LogLevel.error, 4: LogLevel.warn, 6: LogLevel.info, 7: LogLevel.debug}
"""The levels by their numbers in ``sd-daemon(3)``."""

_NUMBERS = {level: number for number, level in _LEVELS.items()}
_MARKED = re.compile(r"<([23467])>(.*)", re.DOTALL)


def marked(level: Any, text: str) -> str:
    """Put the mark of a level before a line."""
    return f"<{_NUMBERS[level]}>{text}"


def read_marked(line: str) -> tuple[Any, str]:
    """Give the level and the text of a line."""
    found = _MARKED.fullmatch(line)
    return (LogLevel.warn, line) if found is None else (_LEVELS[int(found[1])], found[2])
