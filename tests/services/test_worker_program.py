"""What a worker runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

from sos.services.worker_process import WorkerProcess
from sos.services.worker_program import WorkerProgram


@define
class Spawned:
    """A reactor that writes down the process that it is to start."""

    command: list[str] = field(factory=list)
    environment: Mapping[str, str] = field(factory=dict)
    directory: str | None = None
    descriptors: Mapping[int, Any] = field(factory=dict)

    def spawnProcess(
        self,
        process: object,
        executable: str,
        command: list[str],
        env: Mapping[str, str],
        path: str | None,
        childFDs: Mapping[int, Any],
    ) -> None:
        """Write it down."""
        assert executable == command[0]
        self.command, self.environment, self.directory, self.descriptors = command, env, path, childFDs


def spawned(directory: Path) -> Spawned:
    """Start worker 2 of an api that was started in a directory."""
    reactor = Spawned()
    program = WorkerProgram(["--role=api", "--cluster-key-file=key"], directory)
    program.spawn(reactor, 2, WorkerProcess(2, lambda how: None), {3: 17, 4: 18})
    return reactor


def test_it_is_the_same_python_with_the_same_options() -> None:
    """As they were typed: what they name is read by the worker, and no secret is in them."""
    command = spawned(Path.cwd()).command
    assert command[0] == sys.executable
    assert command[-5:] == ["-m", "sos.cli.worker", "2", "--role=api", "--cluster-key-file=key"]


def test_it_has_its_pipes_and_the_open_ports() -> None:
    """At the numbers that it knows them by."""
    assert spawned(Path.cwd()).descriptors == {0: "w", 1: "r", 2: "r", 3: 17, 4: 18}


def test_it_finds_modules_where_we_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """However we were started; and it keeps the rest of the environment."""
    monkeypatch.setattr(sys, "path", ["", "/opt/modules"])
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials")
    environment = spawned(Path.cwd()).environment
    assert environment["PYTHONPATH"] == os.pathsep.join([str(Path.cwd()), "/opt/modules"])
    assert environment["CREDENTIALS_DIRECTORY"] == "/run/credentials"


def test_it_runs_where_the_options_were_read(tmp_path: Path) -> None:
    """Names of files are relative to that; where we are still there, nobody moves."""
    assert spawned(tmp_path).directory == str(tmp_path)
    assert spawned(Path.cwd()).directory is None
