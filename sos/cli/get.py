"""``sos get``: download an object, and hold its bytes against its ID.

Its exit status: 0; 1 where it was not downloaded, or came with wrong bytes. Then there is no file. (What went to the
standard output cannot be taken back.)
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from hyperlink import DecodedURL
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.web.client import Agent

from sos.cli.api_client import ApiClient, Download
from sos.cli.command_options import TransferOptions, api_url_of, flag, one_id
from sos.cli.finishing import complain, run_to_its_end
from sos.cli.foreground import FAILED
from sos.cli.progress import IProgressShown, NoProgress, progress_of_bytes
from sos.cli.put import CONNECT
from sos.cli.readable_log import printable
from sos.cli.targets import FileTarget, ITarget, StreamTarget
from sos.cli.verifier import Verifier
from sos.option_values import coerced, parameter, path_of
from sos.settings import DOWNLOAD_PORT
from sos.web.download import safe_name
from sos.words.blob import BlobID
from sos.words.errors import BlobNotFound, BlobTruncated, RangeNotSatisfiable, Unavailable

URL = f"http://localhost:{DOWNLOAD_PORT}"

RESUMES = 3
"""Times that a download which broke off is taken up again."""

FIRST_PAUSE = 1.0
"""Seconds before the first of them; each further one waits twice as long, so that an api has time to start again."""

STANDARD_OUTPUT = Path("-")


class GetOptions(TransferOptions):
    """The options of ``sos get``."""

    synopsis = "Usage: sos get ID [options]"
    longdesc = (
        "Without --output: to the standard output; where that is a terminal, to a file with the name that it was "
        "uploaded with, or else its ID."
    )
    optFlags = [flag("force", "Replace the file that is there.", "f")]  # noqa: RUF012
    optParameters = [  # noqa: RUF012
        ["output", "o", None, "The file to write; - is the standard output.", coerced("output", path_of)],
        parameter("url", f"The download port of an api ({URL}).", api_url_of),
    ]
    object_id: BlobID

    def parseArgs(self, *arguments: str) -> None:
        """Take the ID."""
        self.object_id = one_id(arguments)

    def path_for(self, download: Download, is_terminal: bool) -> Path | None:
        """Say into which file a download goes; None for the standard output."""
        asked: Path | None = self["output"]
        if asked is not None:
            return None if asked == STANDARD_OUTPUT else asked
        if not is_terminal:
            return None
        name = safe_name((download.filename or b"").decode("utf-8", "replace")).lstrip("-")  # not to look like an option
        return Path(name or self.object_id)


def get(arguments: Sequence[str]) -> NoReturn:
    """Download an object, and exit."""
    options = GetOptions()
    options.parseOptions(arguments)
    run_to_its_end(partial(download, options=options), bool(options["verbose"]))


async def download(reactor: Any, options: GetOptions) -> int:
    """Download an object over the network, and give the exit status."""
    url: DecodedURL = options.value("url", api_url_of(URL))
    client = ApiClient(Agent(reactor, connectTimeout=CONNECT), url, reactor)
    is_terminal = sys.stdout.isatty()

    def target_of(opened: Download) -> ITarget:
        path = options.path_for(opened, is_terminal)
        target: ITarget = StreamTarget(sys.stdout.buffer) if path is None else FileTarget(path, bool(options["force"]))
        if options["verbose"]:
            print(f"Writing {options.object_id} to {printable(target.name)}", file=sys.stderr, flush=True)
        return target

    shows = not options["quiet"] and not (is_terminal and options["output"] == STANDARD_OUTPUT)
    progress = progress_of_bytes(sys.stderr, shows)
    try:
        await Retrieval(client, options.object_id, target_of, reactor, progress).run()
    except BlobNotFound:
        complain(f"There is no object {options.object_id} at {url.to_text()}.")
        return FAILED
    return 0


class Retrieval:
    """Brings one object to its target, whole and verified or not at all; takes it up again where it breaks off."""

    def __init__(
        self,
        client: ApiClient,
        object_id: BlobID,
        target_of: Callable[[Download], ITarget],
        clock: IReactorTime,
        progress: IProgressShown = NoProgress(),
    ) -> None:
        """Bring an object to the target that is made once its headers are known."""
        self._client = client
        self._id = object_id
        self._target_of = target_of
        self._clock = clock
        self._progress = progress
        self._verifier = Verifier(object_id)
        self._target: ITarget | None = None
        self._size: int | None = None

    async def run(self) -> None:
        """Do it. Raises `SOSError` and `OSError`; then nothing is kept."""
        try:
            await self._take_all()
            self._verifier.check()
            if self._size not in (None, self._verifier.size):
                raise BlobTruncated(f"Of {self._size} bytes {self._verifier.size} came.")
            assert self._target is not None, "it was opened before a byte came"
            self._target.keep()
            if not self._verifier.can_tell:
                complain(f"{self._id} is no digest, so its bytes could not be held against it.")
        finally:
            self._progress.end()
            if self._target is not None:
                self._target.discard()

    async def _take_all(self) -> None:
        for attempt in range(RESUMES + 1):
            try:
                await self._take_rest()
            except RangeNotSatisfiable as error:
                if error.size != self._verifier.size:
                    raise
            except Unavailable as error:
                if self._target is None or attempt == RESUMES:
                    raise
                pause = FIRST_PAUSE * 2**attempt
                complain(f"{error}; taking it up again at byte {self._verifier.size} in {pause:.0f} s.")
                await deferLater(self._clock, pause)
                continue
            return

    async def _take_rest(self) -> None:
        """Take what has not come yet. An api that gives no parts gives all of it, and what is known is left out."""
        opened = await self._client.open(self._id, self._verifier.size)
        if self._target is None:
            self._target = self._target_of(opened)
            self._size = opened.size
            self._progress.begin(self._id, opened.size)
        skip = self._verifier.size - opened.start

        def take(piece: bytes) -> None:
            nonlocal skip
            rest = piece[skip:]
            skip -= len(piece) - len(rest)
            self._take(rest)

        await self._client.pour(opened, take)

    def _take(self, piece: bytes) -> None:
        assert self._target is not None
        self._target.write(piece)
        self._verifier.take(piece)
        self._progress.advance(len(piece))
