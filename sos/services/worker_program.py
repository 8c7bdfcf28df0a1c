"""What a worker runs: the same Python with the same modules, the parent's options, and its ports at fixed descriptors."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from sos.services.worker_process import WorkerProcess

MODULE = "sos.cli.worker"

_LIFELINE_SERVING_AND_LOG: Mapping[int, str] = {0: "w", 1: "r", 2: "r"}
"""The pipes of a worker, as `spawnProcess` has it: what the parent does with its end."""


@frozen
class WorkerProgram:
    """How workers are started. The options go over as they were typed: they name secrets, and hold none."""

    arguments: Sequence[str]
    """The options of the parent."""
    directory: Path
    """Where the options were read: twistd may have gone elsewhere since, and they may name files relative to it."""

    def spawn(self, reactor: Any, number: int, process: WorkerProcess, sockets: Mapping[int, int]) -> None:
        """Start the worker of a number; `sockets` maps its descriptors to ours. Raises `OSError`."""
        command = self.command(number)
        moved = None if self.directory == Path.cwd() else str(self.directory)
        # Staying where we are needs no right to enter that directory, which a daemon that was root may not have any more.
        descriptors = {**_LIFELINE_SERVING_AND_LOG, **sockets}
        reactor.spawnProcess(process, command[0], command, env=_environment(), path=moved, childFDs=descriptors)

    def command(self, number: int) -> list[str]:
        """Give the command line. ``-P`` keeps a module that lies about in the directory from being taken for one of ours."""
        return [sys.executable, "-P", "-m", MODULE, str(number), *self.arguments]


def _environment() -> dict[str, str]:
    """Give our environment, and let the worker find modules where we do, however we were started."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path)}
