"""``sos put``: upload files, and print their IDs.

Its exit status: 0; 1 where a file was not uploaded, which a sentence names; the others are.
"""

from __future__ import annotations

import mimetypes
import re
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import PurePath
from typing import Any, NoReturn

from hyperlink import DecodedURL
from twisted.python import usage
from twisted.web.client import Agent

from sos.cli.api_client import ApiClient, Uploaded
from sos.cli.command_options import TransferOptions, api_url_of
from sos.cli.finishing import complain, run_to_its_end
from sos.cli.foreground import FAILED
from sos.cli.input_bodies import STANDARD_INPUT, open_body
from sos.cli.progress import IProgressShown, progress_of_bytes
from sos.cli.readable_log import printable
from sos.decisions import wire
from sos.option_values import coerced, parameter
from sos.settings import UPLOAD_PORT
from sos.words.blob import Metadata
from sos.words.errors import BadInput, SOSError

URL = f"http://localhost:{UPLOAD_PORT}"

CONNECT = 10.0
"""Seconds for a connection: an api may be further away than a member of the same cluster."""

_CONTROLS = re.compile(rb"[\x00-\x1f\x7f]")
_PACKED = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}
"""The types of what `mimetypes` takes for an encoding of something else: it is the packed bytes that are stored."""


def header_of(text: str) -> tuple[bytes, bytes]:
    """Read a header that is kept with an object. Raises `BadInput`."""
    name, colon, value = text.encode("utf-8", "surrogateescape").partition(b":")
    pair = (name.strip().lower(), value.strip())
    if not colon or not wire.metadata_of([pair]).pairs:
        raise BadInput("A header to be kept is X-NAME: VALUE; X-Sos-* and what proxies add are not kept.")
    return pair


class PutOptions(TransferOptions):
    """The options of ``sos put``."""

    synopsis = "Usage: sos put FILE... [options]"
    longdesc = "FILE may be - for the standard input. Prints the ID of each file."
    optParameters = [  # noqa: RUF012
        parameter("url", f"The upload port of an api ({URL}).", api_url_of),
        parameter("name", "The file's name, where it is another than FILE.", str),
        parameter("type", "The file's type, such as image/jpeg (guessed from its name).", str),
    ]
    files: tuple[str, ...]

    def __init__(self) -> None:
        """Begin with no header."""
        super().__init__()
        self["header"] = {}

    def opt_header(self, text: str) -> None:
        """A header that is kept with each file, X-NAME: VALUE; once for each."""
        name, value = coerced("header", header_of)(text)
        self["header"][name] = value

    opt_H = opt_header

    def parseArgs(self, *arguments: str) -> None:
        """Take the files."""
        if not arguments:
            raise usage.UsageError("One FILE is wanted at least; - is the standard input.")
        if arguments.count(STANDARD_INPUT) > 1:
            raise usage.UsageError("The standard input can be read once; give one -.")
        self.files = arguments

    def postOptions(self) -> None:
        """Check what goes along with the files. Raises `UsageError`."""
        if self["name"] is not None and len(self.files) > 1:
            raise usage.UsageError("--name: several files cannot have one name.")
        try:
            for file in self.files:
                self.metadata_of(file)
        except BadInput as error:
            raise usage.UsageError(str(error)) from None

    def metadata_of(self, file: str) -> Metadata:
        """Give what is kept with a file: what was asked for, and else what its name tells. Raises `BadMetadata`."""
        known = PurePath(file).name if file != STANDARD_INPUT else ""
        name: str = self.value("name", known)
        kept = {
            wire.ORIG_FILENAME: _CONTROLS.sub(b"_", name.encode("utf-8", "surrogateescape")),
            wire.MIME_TYPE: self.value("type", type_of(name)).encode("utf-8", "surrogateescape"),
            **self["header"],
        }
        return Metadata.of((name, value) for name, value in kept.items() if value)


def type_of(name: str) -> str:
    """Guess the type of a file from its name; an empty one where the name says nothing."""
    kind, packed = mimetypes.guess_type(f"./{name}")  # with a path before it no name is taken for a URL
    return (_PACKED.get(packed, "") if packed else kind) or ""


def put(arguments: Sequence[str]) -> NoReturn:
    """Upload files, and exit."""
    options = PutOptions()
    options.parseOptions(arguments)
    run_to_its_end(partial(upload_files, options=options), bool(options["verbose"]))


async def upload_files(reactor: Any, options: PutOptions) -> int:
    """Upload files over the network, one after the other, and give the exit status."""
    url: DecodedURL = options.value("url", api_url_of(URL))
    client = ApiClient(Agent(reactor, connectTimeout=CONNECT), url, reactor)
    return await upload_all(client, options, reactor, progress_of_bytes(sys.stderr, not options["quiet"]))


async def upload_all(client: ApiClient, options: PutOptions, reactor: Any, progress: IProgressShown) -> int:
    """Upload files; one that fails is named, and the next has its turn."""
    status = 0
    for file in options.files:
        try:
            uploaded = await upload_one(client, file, options.metadata_of(file), reactor, progress)
        except (SOSError, OSError) as error:
            complain(f"{file} was not uploaded: {error}")
            status = FAILED
            continue
        print(f"{uploaded.object_id}  {printable(file)}" if len(options.files) > 1 else uploaded.object_id, flush=True)
        if options["verbose"]:
            copies = "" if uploaded.copies is None else f", copies: {uploaded.copies}"
            print(f"{printable(file)}: {uploaded.size} bytes{copies}", file=sys.stderr)
    return status


async def upload_one(client: ApiClient, file: str, metadata: Metadata, reactor: Any, progress: IProgressShown) -> Uploaded:
    """Upload one file, and show how far it is."""
    body = open_body(file, reactor)
    progress.begin(printable(PurePath(file).name), body.length if isinstance(body.length, int) else None)
    try:
        return await client.upload(body, metadata, progress.advance)
    finally:
        progress.end()
