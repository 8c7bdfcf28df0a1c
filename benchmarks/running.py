"""Processes that a row starts, on a core of their own, and ends by their own process ID."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.figures import Wrong
from benchmarks.machine import ROOT, Cores, cpu_seconds, on_core

PATIENCE = 60.0
"""Seconds until a process must listen: a cold machine with everything else on it."""

_POLL = 0.002
"""Seconds between two looks; start-up times are no finer than that."""

_LISTENING = re.compile(r"Listening for (\w+) on [^ ]*?:(\d+)$", re.MULTILINE)


class Running:
    """A process that was started; what it writes goes into a file."""

    def __init__(self, command: Sequence[str], directory: Path, name: str, cores: Cores) -> None:
        """Start a command on some cores, in a directory."""
        self.name = name
        self.was_ended = False
        self._log = directory / f"{name}.log"
        with self._log.open("wb") as log, on_core(cores):
            self._process = subprocess.Popen(
                command,
                cwd=directory,
                env=environment_in(directory),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        """Its process ID."""
        return self._process.pid

    @property
    def cpu_seconds(self) -> float:
        """The time that it and its children had on a core."""
        return cpu_seconds(self.pid)

    @property
    def output(self) -> str:
        """All that it wrote so far."""
        return self._log.read_text(errors="replace")

    def port(self, what: str) -> int:
        """Wait until it says that it listens for something, and give the port."""
        return self._waited(lambda: dict(_LISTENING.findall(self.output)).get(what), what)

    def when_it_takes_connections(self, port: int) -> None:
        """Wait until something listens on a port."""
        self._waited(lambda: is_listening(port) or None, f"port {port}")

    def _waited(self, look: Callable[[], str | int | None], what: str) -> int:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self._process.poll() is None:
            found = look()
            if found is not None:
                return int(found)
            time.sleep(_POLL)
        raise Wrong(f"{self.name} does not listen for {what}: {self.output[-500:]}")

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def pause(self) -> None:
        """Have it stand still: it keeps all it has, and takes nothing from anybody."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Have it go on from where it stands."""
        self._process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        """Ask it to end, and see that it does."""
        self.was_ended = True
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self.go_on()  # else one that stands still would never hear of it
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def environment_in(directory: Path) -> dict[str, str]:
    """Give the environment of a process: this checkout's sos, and nobody's personal configuration."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "HOME": str(directory)}


def is_listening(port: int) -> bool:
    """Try a port of this host."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def free_port() -> int:
    """Give a port that was free a moment ago, for a server that cannot be told to choose one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
