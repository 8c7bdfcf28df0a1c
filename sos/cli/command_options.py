"""What the options of the commands for people share."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from hyperlink import DecodedURL
from twisted.python import usage

from sos.decisions import wire
from sos.decisions.arguments import with_options_first
from sos.options import SOSOptions, TopologyOptions
from sos.words.blob import BlobID, blob_id
from sos.words.errors import BadInput


class FreeOrder(usage.Options):
    """Options that may stand before, among and behind the arguments."""

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Read the command line."""
        arguments = sys.argv[1:] if options is None else options
        super().parseOptions(with_options_first(arguments, self.longOpt, self.shortOpt))


class TransferOptions(FreeOrder, SOSOptions):
    """The options of a command that sends files to an api or takes them from there."""

    optFlags: list[list[str | None]] = [["quiet", "q", "Show no progress."]]  # noqa: RUF012 - usage.Options wants it


class InspectionOptions(FreeOrder, TopologyOptions):
    """The options of a command that asks the members."""


def one_id(arguments: Sequence[str]) -> BlobID:
    """Read the one argument of a command that is about one object. Raises `UsageError`."""
    if len(arguments) != 1:
        raise usage.UsageError("One ID is wanted, and no more.")
    try:
        return blob_id(arguments[0].encode("utf-8", "surrogateescape"))
    except BadInput as error:
        raise usage.UsageError(f"{arguments[0]!r} is no ID. {error}") from None


def api_url_of(text: str) -> DecodedURL:
    """Read the URL of a port of an api. The path that its banner shows behind it may be there or not. Raises `BadInput`."""
    try:
        url = DecodedURL.from_text(text)
    except ValueError:
        raise BadInput(_NO_URL) from None
    is_plain = not (any(url.userinfo) or url.query or url.fragment)
    if url.scheme not in ("http", "https") or not url.host or not is_plain:
        raise BadInput(_NO_URL)
    path = [segment for segment in url.path if segment]
    while path and path[-1] in (":id", wire.FETCH, wire.UPLOAD):
        path.pop()
    return url.replace(path=path)


_NO_URL = "The URL of an api is http://HOST:PORT or https://HOST:PORT, without user, query or fragment."


def flag(name: str, sentence: str, short: str | None = None) -> list[Any]:
    """Describe an option without a value as `usage.Options` wants it."""
    return [name, short, sentence]
