"""Starts real sos processes on free ports of 127.0.0.1, talks HTTP to them, and ends them by their own pid."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import frozen

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 30.0
"""Seconds after which a process that says nothing fails its test; it is never waited for otherwise."""

_HEED = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
"""What a shell starts in the background ignores SIGINT, and so does all that it starts: a test's processes must not."""

SOS = _HEED + "import sys; from sos.cli.main import main; sys.exit(main())"
_TWISTD = _HEED + "from twisted.scripts.twistd import run; run()"
_LIMITED = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({0}, {0})); "
_APART = "import os, sys; os.execvp('unshare', ['unshare', '-rm', 'sh', '-c', *sys.argv[1:]])"
"""A namespace of its own, in which even an unprivileged user may mount something."""

_LISTENING = re.compile(r"Listening for (\w+) on [^ ]*?:(\d+)$")


@frozen
class Answer:
    """What came back: status, headers with lower-case names, body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def ask(method: str, port: int, path: str, body: bytes | None = None, headers: Mapping[str, str] = {}) -> Answer:
    """Make one request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request(method, path, body, dict(headers))
        answer = connection.getresponse()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def wait_until_refused(port: int) -> None:
    """Return once nobody listens on a port."""
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=PATIENCE).close()
        except ConnectionRefusedError:
            return
        except ConnectionResetError:  # it was in the queue of the port when that closed
            continue


class Process:
    """A running sos: its ports, by what they are for, and what it wrote."""

    def __init__(self, command: Sequence[str], directory: Path, named: Mapping[str, str] = {}) -> None:
        """Start a command in a directory, with more in its environment; its outputs are kept, line by line."""
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "HOME": str(directory), **named}
        self._process = subprocess.Popen(
            [sys.executable, *command],
            cwd=directory,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self.ports: dict[str, int] = {}
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def output(self) -> str:
        """All that it wrote so far."""
        return "\n".join(self.lines)

    @property
    def pid(self) -> int:
        """Its process ID."""
        return self._process.pid

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                if match := _LISTENING.search(self.lines[-1]):
                    self.ports[match[1]] = int(match[2])
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def port(self, what: str) -> int:
        """Wait until it listens for something, and give the port."""
        with self._changed:
            there = self._changed.wait_for(lambda: what in self.ports or not self._reader.is_alive(), PATIENCE)
            assert there and what in self.ports, f"it does not listen for {what}:\n{self.output}"
            return self.ports[what]

    def when_it_says(self, text: str) -> None:
        """Wait until it has written a text."""
        with self._changed:
            assert self._changed.wait_for(lambda: text in self.output, PATIENCE), f"it never said {text!r}:\n{self.output}"

    def when_lines_match(self, pattern: str, count: int = 1) -> list[re.Match[str]]:
        """Wait until so many of its lines hold a pattern, and give what was found in each that does by then."""
        with self._changed:
            enough = self._changed.wait_for(lambda: len(self._found(pattern)) >= count, PATIENCE)
            assert enough, f"fewer than {count} lines hold {pattern!r}:\n{self.output}"
            return self._found(pattern)

    def _found(self, pattern: str) -> list[re.Match[str]]:
        return [found for line in self.lines if (found := re.search(pattern, line)) is not None]

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send it a signal, wait for its end, and give its exit status."""
        if self._process.poll() is None:
            self._process.send_signal(number)
        return self.when_it_ends()

    def when_it_ends(self) -> int:
        """Wait for its end and give its exit status, negative where a signal ended it."""
        try:
            status = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise AssertionError(f"it does not end:\n{self.output}") from None
        self._reader.join(PATIENCE)
        return status

    def send(self, number: int) -> None:
        """Send it a signal and do not wait."""
        self._process.send_signal(number)


class Household:
    """All processes of one test; whatever still runs at its end is killed."""

    def __init__(self, directory: Path) -> None:
        """Start processes in this directory."""
        self.directory = directory
        self.environment: dict[str, str] = {}
        """What processes that are started from now on have in their environment, beyond what this one has."""
        self._processes: list[Process] = []

    def sos(self, *arguments: str) -> Process:
        """Start the ``sos`` command."""
        return self._started(["-c", SOS, *arguments])

    def twistd(self, *arguments: str, descriptors: int | None = None) -> Process:
        """Start the daemon in the foreground; it may be given few descriptors."""
        limited = "" if descriptors is None else _LIMITED.format(descriptors)
        return self._started(["-c", limited + _TWISTD, "--nodaemon", "--pidfile=", "sos", *arguments])

    def program(self, code: str, *arguments: str) -> Process:
        """Start a program of the test's own."""
        return self._started(["-c", code, *arguments])

    def other(self, *command: str) -> Process:
        """Start a program that is not ours, such as one that starts another one somewhere else."""
        return self.program("import os, sys; os.execvp(sys.argv[1], sys.argv[1:])", *command)

    def blob_server(self, store: str, port: int = 0) -> Process:
        """Start a blob server, on a free port unless told which."""
        return self.sos("blob-server", "-store", store, "-port", str(port))

    def api_server(self, *ports: int, **options: Any) -> Process:
        """Start an api over the blob servers on some ports, without a timer unless told."""
        servers = ",".join(f"http://127.0.0.1:{port}" for port in ports)
        named = {"replicate_every": 0, **options}
        more = [f"--{name.replace('_', '-')}={value}" for name, value in named.items()]
        where = ["-api-host", "127.0.0.1", "-upload-port", "0", "-download-port", "0"]
        return self.sos("api-server", "-blob-server", servers, *where, *more)

    def sos_on_small_disk(self, mounted: Path, options: str, *arguments: str) -> Process:
        """Start the ``sos`` command where a file system in memory, with these options, is mounted: only it can see that."""
        script = f'mount -t tmpfs -o {options} sos "$0" && exec "$@"'
        return self._started(["-c", _APART, script, str(mounted), sys.executable, "-c", SOS, *arguments])

    def _started(self, command: Sequence[str]) -> Process:
        process = Process(command, self.directory, self.environment)
        self._processes.append(process)
        return process

    def end(self) -> None:
        """Kill what still runs."""
        for process in self._processes:
            process.end(signal.SIGKILL)


@contextmanager
def household(directory: Path) -> Iterator[Household]:
    """Keep house in a directory."""
    house = Household(directory)
    try:
        yield house
    finally:
        house.end()
