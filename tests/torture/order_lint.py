"""The order lint (torture D1): reads what strace saw of a blob server, and says which answer came too early.

For each acknowledged ID: every write < fsync(file) = 0 < rename < start of fsync(directory) = 0 < its frame in the log
< fdatasync(log) = 0 < the answer on the socket. A file is unlinked only when the tombstone is durable.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from attrs import define, field, frozen

TRACED = "write,pwrite64,fsync,fdatasync,?rename,?renameat,?renameat2,?unlink,?unlinkat,?mkdir,?mkdirat,sendto,recvfrom"
SHOWN = 4200
"""Bytes of each call that strace has to show: a page of the database, and more."""

NAME = re.compile(r"n\d{6}x")
"""What an ID is like in a trace; its bytes, where they are few, are the same in capitals, over and over."""

_CALL = re.compile(r"(\d+) +(\w+)\((.*)")
_RESUMED = re.compile(r"(\d+) +<\.\.\. (\w+) resumed>(.*)")
_RESULT = re.compile(r"\) += (-?\d+)")
_PATH = re.compile(r"\d+<(.*?)>(?=[,) ])")
_NAMES = re.compile(r'\w+<([^>]*)>, "([^"]*)"')
_REQUEST = re.compile(r'"(POST|DELETE) /blob/(\w+) HTTP.*?(?:Content-Length: (\d+)|\\r\\n\\r\\n)')
_ANSWER = re.compile(r'"HTTP/1.1 (200|204) ')
_UNFINISHED = "<unfinished ...>"
_SMALL = 65_536


@define
class Call:
    """A system call: the lines of the trace at which it began and ended, its arguments as strace writes them, its result."""

    name: str
    begin: int
    text: str
    end: int = 0
    result: int | None = None

    @property
    def path(self) -> str:
        """The path, or the connection, of its first descriptor."""
        found = _PATH.match(self.text)
        return found[1] if found else ""

    @property
    def paths(self) -> list[str]:
        """The paths that it names below a directory that is open."""
        return [f"{directory}/{name}" for directory, name in _NAMES.findall(self.text)]


def calls_of(lines: Iterable[str]) -> list[Call]:
    """Read a trace, in which a call may be begun and ended on two lines."""
    calls: list[Call] = []
    begun: dict[str, Call] = {}
    for number, line in enumerate(lines, 1):
        if found := _CALL.match(line):
            call = Call(found[2], number, found[3])
            calls.append(call)
            if line.rstrip().endswith(_UNFINISHED):
                begun[found[1]] = call
                continue
        elif (found := _RESUMED.match(line)) and found[1] in begun:
            call = begun.pop(found[1])
            call.text = call.text.replace(_UNFINISHED, "") + found[3]
        else:
            continue
        call.end = number
        results = _RESULT.findall(call.text)
        call.result = int(results[-1]) if results else None
    return calls


@frozen
class Ack:
    """An answer that promises something: what was asked, from when to when."""

    method: str
    name: str
    size: int
    asked: int
    answered: int


class _Frame(NamedTuple):
    begin: int
    end: int


@define
class Trace:
    """What happened to each name, directory and log, in the order in which it happened."""

    acks: list[Ack] = field(factory=list)
    writes: defaultdict[str, list[Call]] = field(factory=lambda: defaultdict(list))
    syncs: defaultdict[str, list[Call]] = field(factory=lambda: defaultdict(list))
    renames: defaultdict[str, list[Call]] = field(factory=lambda: defaultdict(list))
    unlinks: defaultdict[str, list[Call]] = field(factory=lambda: defaultdict(list))
    made: defaultdict[str, list[Call]] = field(factory=lambda: defaultdict(list))
    frames: defaultdict[str, list[_Frame]] = field(factory=lambda: defaultdict(list))
    log_syncs: list[Call] = field(factory=list)

    def synced(self, path: str, after: int, before: int) -> Call | None:
        """Give the first fsync of a path that began, and went well, within two moments."""
        return _first(self.syncs[path], after, before)


def _first(calls: Iterable[Call], after: int, before: int) -> Call | None:
    return next((call for call in calls if call.begin > after and call.end < before), None)


def trace_of(calls: Iterable[Call]) -> Trace:
    """Sort calls by what they are about."""
    trace = Trace()
    asked: dict[str, tuple[str, str, int, int]] = {}
    for call in calls:
        if call.name == "recvfrom" and (found := _REQUEST.search(call.text)):
            asked[call.path] = (found[1], found[2], int(found[3] or 0), call.end)
        elif call.name == "sendto" and _ANSWER.search(call.text) and call.path in asked:
            trace.acks.append(Ack(*asked.pop(call.path), call.begin))
        else:
            _sort(trace, call)
    return trace


def _sort(trace: Trace, call: Call) -> None:
    if call.name in ("fsync", "fdatasync") and call.result == 0:
        (trace.log_syncs if call.path.endswith("-wal") else trace.syncs[call.path]).append(call)
    elif call.name == "pwrite64" and call.path.endswith("-wal"):
        for name in set(re.findall(NAME, call.text.replace("N", "n").replace("X", "x"))):
            for token in (name, name.upper()):
                if token in call.text:
                    trace.frames[token].append(_Frame(call.begin, call.end))
    elif call.name in ("write", "pwrite64"):
        trace.writes[call.path].append(call)
    elif call.result == 0:
        _sort_names(trace, call)


def _sort_names(trace: Trace, call: Call) -> None:
    paths = call.paths
    if call.name.startswith("mkdir"):
        trace.made[paths[0]].append(call)
    elif call.name.startswith(("rename", "unlink")) and (found := NAME.search(paths[-1])):
        (trace.renames if call.name.startswith("rename") else trace.unlinks)[found[0]].append(call)


def violations_of(lines: Iterable[str]) -> tuple[int, list[str]]:
    """Check each acknowledgement of a trace; give their number, and what is wrong."""
    trace = trace_of(calls_of(lines))
    return len(trace.acks), [f"{ack.method} {ack.name}: {fault}" for ack in trace.acks for fault in _faults(trace, ack)]


def _faults(trace: Trace, ack: Ack) -> Iterator[str]:
    ready = ack.asked
    if ack.size > _SMALL:
        rename = _first(trace.renames[ack.name], ack.asked, ack.answered)
        if rename is None:
            yield "answered before the file had its name"
            return
        yield from _faults_of_file(trace, ack, rename)
        directory = rename.paths[1].rpartition("/")[0]
        synced = trace.synced(directory, rename.end, ack.answered)
        if synced is None:
            yield "no fsync of the directory began after the rename"
            return
        ready = synced.end
        yield from _faults_of_directories(trace, rename, directory, ready)
    rows = trace.frames[ack.name]
    is_new = not any(row.begin < ack.asked for row in rows)
    if is_new and any(row.begin < ready for row in rows):
        yield "the row was written before the name of the file was durable"
    synced = next(
        (sync for row in rows if row.begin > ready and (sync := _first(trace.log_syncs, row.end, ack.answered))), None
    )
    if synced is None:
        yield "answered before the row was durable"
        return
    if ack.method == "POST" and 0 < ack.size <= _SMALL and is_new:
        yield from _faults_of_bytes(trace, ack, synced)
    if ack.method == "DELETE" and any(ack.asked < call.begin < synced.end for call in trace.unlinks[ack.name]):
        yield "the file was unlinked before the tombstone was durable"


def _faults_of_bytes(trace: Trace, ack: Ack, synced: Call) -> Iterator[str]:
    if not any(frame.end < synced.begin for frame in trace.frames[ack.name.upper()]):
        yield "the bytes are not in the log"


def _faults_of_file(trace: Trace, ack: Ack, rename: Call) -> Iterator[str]:
    staged = rename.paths[0]
    writes = trace.writes[staged]
    if sum(call.result or 0 for call in writes if call.end < rename.begin) != ack.size:
        yield "the file had its name before it had its bytes"
    if trace.synced(staged, max((call.end for call in writes), default=0), rename.begin) is None:
        yield "no fsync of the file between its last write and the rename"


def _faults_of_directories(trace: Trace, rename: Call, directory: str, ready: int) -> Iterator[str]:
    for made in (directory, directory.rpartition("/")[0]):
        for call in trace.made[made]:
            if call.end < rename.begin and trace.synced(made.rpartition("/")[0], call.end, ready) is None:
                yield f"no fsync made the directory {made.rpartition('/')[2]} durable"
