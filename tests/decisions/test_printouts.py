"""The printouts: the layout that people's scripts know, to the byte."""

from __future__ import annotations

from sos.decisions.config import combine, parse, server_list
from sos.decisions.printouts import api_banner, blob_banner, mirrored_blob, missing_blob, round_of, server_table
from sos.decisions.topology import Server, Topology
from sos.words.blob import BlobID

BLOB = BlobID("cd5bd649c4dc46b0bbdf8c94ee53c1198780e430")
LOCAL = "http://localhost:4001"
OTHER = "http://localhost:4002"


def test_the_table_has_a_tab_and_the_group_at_the_right_of_ten_columns() -> None:
    """A longer name pushes its row to the right, as it does in the ancestor."""
    topology = combine([parse(f"{LOCAL}\n[a-rather-long-name]\n{OTHER}/\n", "x")])
    assert server_table(topology) == (
        "\t     group - server\n\t   default - http://localhost:4001\n\ta-rather-long-name - http://localhost:4002\n"
    )


def test_the_table_without_servers_is_its_heading() -> None:
    """There is nothing else to show."""
    assert server_table(Topology()) == "\t     group - server\n"


def test_the_banner_of_the_api() -> None:
    """Blank lines and all."""
    banner = api_banner("http://0.0.0.0:9991/upload", "http://0.0.0.0:9992/fetch/:id", server_list(LOCAL))
    assert banner == (
        "[Launching API-server]\n"
        "\n"
        "Upload service\n"
        "http://0.0.0.0:9991/upload\n"
        "\n"
        "Download service\n"
        "http://0.0.0.0:9992/fetch/:id\n"
        "\n"
        "Blob-servers:\n"
        "\t     group - server\n"
        "\t   default - http://localhost:4001\n"
        "\n"
    )


def test_the_banner_of_a_blob_server() -> None:
    """Two lines: where it listens, and where it keeps what it gets."""
    assert blob_banner("http://127.0.0.1:4001/", "data1") == (
        "blob-server available at http://127.0.0.1:4001/\nUploads will be written beneath: data1\n"
    )


def test_a_round_is_told_with_full_ids() -> None:
    """Each step stands further to the right than what it belongs to."""
    told = round_of("default", [Server(LOCAL).url, OTHER]) + missing_blob(BLOB, LOCAL) + mirrored_blob(BLOB, OTHER, LOCAL)
    assert told == (
        "Syncing group: default\n"
        "\tGroup member: http://localhost:4001\n"
        "\tGroup member: http://localhost:4002\n"
        f"\tObject {BLOB} is missing on http://localhost:4001\n"
        f"\t\tMirroring {BLOB} from http://localhost:4002 to http://localhost:4001\n"
        f"\t\t\tFetching :http://localhost:4002/blob/{BLOB}\n"
        f"\t\t\tUploading :http://localhost:4001/blob/{BLOB}\n"
    )
