"""The servers that the corpus is played to: an api and its one blob server, as processes, and what can be seen of them."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping
from pathlib import Path

from tests.corpus.partial import MATCHING, SAME
from tests.corpus.rows import BEFOREHAND, FRESH, MOST, READABLE, TEN_ID, Asked, Port, get, spoken_to, upload
from tests.http.front_client import Answer
from tests.processes.harness import Household, Process
from tests.sockets.raw import Heard, Manner, converse

PROBE = get(b"/probe", b"Connection: close")
"""Sent behind each row: its 404 shows that the connection was read on, and its absence that it was not."""

NOT_TOLD = re.compile(rb"Traceback|File \"|\.py\b|/tmp/|/work|site-packages|[Tt]wisted|sqlite|Python", re.ASCII)
"""What no answer may have in it (torture S10)."""

UNEASY = re.compile(r"Traceback|Unhandled|Exception|Error\b")
"""What shows in a log that something failed that nobody foresaw."""


class Cast:
    """An api over one blob server, with the objects that the rows ask for."""

    def __init__(self, house: Household, max_object: int = MOST) -> None:
        """Start both, and upload what is there beforehand."""
        self.blob_server = house.blob_server("store")
        self.api = house.api_server(self.blob_server.port("blobs"), max_object=max_object)
        self.staging = Path(house.directory) / "store" / "staging"
        self.ports: Mapping[Port, int] = {
            Port.UPLOAD: self.api.port("uploads"),
            Port.DOWNLOAD: self.api.port("downloads"),
            Port.BLOB: self.blob_server.port("blobs"),
        }
        self._fresh = itertools.count()
        for body, lines in BEFOREHAND:
            assert self.one(Port.UPLOAD, upload(body, *lines, b"Connection: close")).status == 200
        self._marks = {port: self._marks_at(port) for port in READABLE}

    # Speaking

    def send(self, port: Port, data: bytes, manner: Manner = Manner.AT_ONCE) -> Heard:
        """Send bytes and a probe, and listen to the end."""
        heard = converse(self.ports[port], data + PROBE, manner)
        assert NOT_TOLD.search(heard.data) is None, heard.data[:500]
        return heard

    def one(self, port: Port, data: bytes) -> Answer:
        """Send a request that closes behind itself, and give its answer."""
        (answer,) = converse(self.ports[port], data).answers([data.partition(b" ")[0]])
        return answer

    def written_for(self, port: Port, data: bytes) -> tuple[bytes, bytes]:
        """Write a row's bytes for a port; give the fresh ID that is in them, too."""
        fresh = b"fresh%d" % next(self._fresh)
        return spoken_to(port, data, fresh), fresh

    def filled(self, row: Asked) -> bytes:
        """Write the bytes of a row that asks something, with what the server alone knew."""
        data = row.data.replace(FRESH, b"fresh%d" % next(self._fresh))
        for mark, value in self._marks.get(row.port, {}).items():
            data = data.replace(mark, value)
        return data

    def _marks_at(self, port: Port) -> dict[bytes, bytes]:
        path = b"/blob/" if port is Port.BLOB else b"/fetch/"
        headers = self.one(port, get(path + TEN_ID, b"Connection: close")).headers
        return {MATCHING: headers[b"etag"], SAME: headers[b"last-modified"]}

    # Seeing

    def stored(self, object_id: bytes) -> bytes | None:
        """Give the bytes of a blob that is there."""
        answer = self.one(Port.BLOB, get(b"/blob/" + object_id, b"Connection: close"))
        return answer.body if answer.status == 200 else None

    @property
    def ids(self) -> set[str]:
        """The IDs of all blobs."""
        return set(json.loads(self.one(Port.BLOB, get(b"/blobs", b"Connection: close")).body))

    @property
    def is_staging_empty(self) -> bool:
        """Whether nothing is on its way in."""
        return not any(self.staging.iterdir())

    @property
    def lines_since_start(self) -> list[str]:
        """What both have written, but for what they said when they started."""
        return [line for process in self.processes for line in process.lines if "Listening for" not in line]

    @property
    def processes(self) -> tuple[Process, Process]:
        """Both."""
        return self.api, self.blob_server
