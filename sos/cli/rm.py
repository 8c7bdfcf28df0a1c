"""``sos rm``: delete objects, through an api that lets them be deleted.

Its exit status: 0 they are gone; 1 one was not deleted, which a sentence names; the others are.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NoReturn

from hyperlink import DecodedURL
from twisted.python import usage
from twisted.web.client import Agent

from sos.cli.api_client import ApiClient
from sos.cli.command_options import FreeOrder, api_url_of, one_id
from sos.cli.finishing import complain, run_to_its_end
from sos.cli.foreground import FAILED
from sos.cli.put import CONNECT, URL
from sos.option_values import parameter
from sos.options import SOSOptions
from sos.words.blob import BlobID
from sos.words.errors import BlobNotFound, SOSError


class RmOptions(FreeOrder, SOSOptions):
    """The options of ``sos rm``."""

    synopsis = "Usage: sos rm ID... [options]"
    longdesc = "The api must have been started with --allow-delete."
    optParameters = [parameter("url", f"The upload port of an api ({URL}).", api_url_of)]  # noqa: RUF012
    object_ids: tuple[BlobID, ...]

    def parseArgs(self, *arguments: str) -> None:
        """Take the IDs: all are read before the first is deleted."""
        if not arguments:
            raise usage.UsageError("One ID is wanted at least.")
        self.object_ids = tuple(one_id([argument]) for argument in arguments)


def rm(arguments: Sequence[str]) -> NoReturn:
    """Delete objects, and exit."""
    options = RmOptions()
    options.parseOptions(arguments)
    run_to_its_end(partial(delete_objects, options=options), bool(options["verbose"]))


async def delete_objects(reactor: Any, options: RmOptions) -> int:
    """Delete objects over the network, one after the other, and give the exit status."""
    url: DecodedURL = options.value("url", api_url_of(URL))
    return await delete_all(ApiClient(Agent(reactor, connectTimeout=CONNECT), url, reactor), options)


async def delete_all(client: ApiClient, options: RmOptions) -> int:
    """Delete objects; one that fails is named, and the next has its turn."""
    status = 0
    for object_id in options.object_ids:
        try:
            is_everywhere = await client.remove(object_id)
        except BlobNotFound:
            complain(f"{object_id} was not deleted: there is no such object.")
            status = FAILED
        except SOSError as error:
            complain(f"{object_id} was not deleted: {error}")
            status = FAILED
        else:
            if not is_everywhere:
                complain(f"{object_id} is deleted; some members were out of reach, and replication tells them later.")
    return status
