"""What no figure of writes may be bought with: a store that does not sync, or a process that only pretends to."""

from __future__ import annotations

import re
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.figures import Wrong
from benchmarks.filled import HeldBack, at_once
from benchmarks.servers import Served
from sos.store.files import Fs
from sos.store.opening import open_disk_store

_FULL = 2
"""``PRAGMA synchronous`` of a connection that syncs at each commit, in WAL mode too."""

_SYNC = re.compile(r"\b(fsync|fdatasync)\(")


class WatchedFs(Fs):
    """The files of a store, which shows the connections that the store works with."""

    def __init__(self, root: Path, descriptor: int) -> None:
        super().__init__(root, descriptor)
        self.writing: list[sqlite3.Connection] = []

    def connect(self, name: str, *, read_only: bool = False) -> sqlite3.Connection:
        """Open a database, and remember the connection if it writes."""
        connection = super().connect(name, read_only=read_only)
        if not read_only:
            self.writing.append(connection)
        return connection


def check_settings(bench: Bench) -> None:
    """See that a store opens its database so that each commit is synced. Raises `Wrong`."""
    made: list[WatchedFs] = []

    def make_fs(root: Path, descriptor: int) -> Fs:
        made.append(WatchedFs(root, descriptor))
        return made[-1]

    open_disk_store(
        bench.directory / "settings", in_thread=at_once, commit_in_thread=HeldBack(), wall=time.time, make_fs=make_fs
    )
    for connection in made[0].writing:
        check_connection(connection)


def check_connection(connection: sqlite3.Connection) -> None:
    """See that what a connection commits is durable. Raises `Wrong`."""
    (synchronous,) = connection.execute("PRAGMA synchronous").fetchone()
    if synchronous < _FULL:
        raise Wrong(f"The store writes with PRAGMA synchronous = {synchronous}: its commits are not durable.")


def check_preloads(served: Served) -> None:
    """See that no library stands between the server and its disk. Raises `Wrong`."""
    if "eatmydata" in Path(f"/proc/{served.process.pid}/maps").read_text():
        raise Wrong("The server runs under eatmydata: nothing that it writes is durable.")


def check_syncs(served: Served, write: Callable[[], object]) -> tuple[str, ...]:
    """See that one write makes the running server sync. Raises `Wrong`; gives a note where that cannot be seen."""
    check_preloads(served)
    if shutil.which("strace") is None:
        return ("there is no strace here, so that the server syncs was read from its settings, and not seen",)
    command = ["strace", "-f", "-e", "trace=fsync,fdatasync", "-p", str(served.process.pid)]
    tracing = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert tracing.stderr is not None
    first = tracing.stderr.readline()
    if "attached" not in first:
        tracing.wait(10)
        return (f"strace may not look, so that the server syncs was read from its settings, and not seen: {first.strip()}",)
    write()
    tracing.send_signal(signal.SIGINT)
    if not _SYNC.search(tracing.communicate(timeout=10)[1]):
        raise Wrong("A write was acknowledged, and the server did not sync anything.")
    return ()
