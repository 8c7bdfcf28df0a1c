"""Printouts: what the commands print, in the layout that people's scripts know from the ancestor.

Tabs and widths are part of the contract; nothing else prints these lines.
"""

from __future__ import annotations

from collections.abc import Iterable

from sos.decisions import wire
from sos.decisions.topology import Topology
from sos.words.blob import BlobID

_NAME_WIDTH = 10
"""Columns for a group's name, which stands at their right."""


def server_table(topology: Topology) -> str:
    """Give the table of all servers, each with its group."""
    rows = [_row("group", "server")]
    rows += [_row(group.name, member.url) for group in topology.groups for member in group.members]
    return _lines(rows)


def blob_banner(url: str, store: str) -> str:
    """Give what a blob server says when it starts."""
    return _lines([f"blob-server available at {url}", f"Uploads will be written beneath: {store}"])


def api_banner(upload_url: str, download_url: str, topology: Topology) -> str:
    """Give what an api server says when it starts."""
    head = ["[Launching API-server]", "", "Upload service", upload_url, "", "Download service", download_url, ""]
    return _lines([*head, "Blob-servers:"]) + server_table(topology) + "\n"


def round_of(group: str, members: Iterable[str]) -> str:
    """Say that a round begins in a group, and who its members are."""
    return _lines([f"Syncing group: {group}", *(f"\tGroup member: {member}" for member in members)])


def missing_blob(blob_id: BlobID, server: str) -> str:
    """Say that a member lacks a blob."""
    return _lines([f"\tObject {blob_id} is missing on {server}"])


def mirrored_blob(blob_id: BlobID, source: str, target: str) -> str:
    """Say that a blob is copied, and below that by which two requests."""
    path = wire.blob_path(blob_id).decode("ascii")
    return _lines(
        [
            f"\t\tMirroring {blob_id} from {source} to {target}",
            f"\t\t\tFetching :{source}{path}",
            f"\t\t\tUploading :{target}{path}",
        ]
    )


def _row(group: str, server: str) -> str:
    return f"\t{group:>{_NAME_WIDTH}} - {server}"


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
