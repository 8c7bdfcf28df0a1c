"""Imports and exports over real processes: from the ancestor's files into a store, through a cluster, and out again."""

from __future__ import annotations

import hashlib
import json
import re
import signal
import time
from pathlib import Path

import pytest

from tests.processes.harness import PATIENCE, Household, ask
from tests.processes.test_commands import run

LONG = bytes(range(256)) * 30_000
PAYLOADS = (b"hello", b"", LONG)


def id_of(payload: bytes) -> str:
    """Name some bytes."""
    return hashlib.sha1(payload).hexdigest()


def flat(directory: Path) -> None:
    """Make a data directory of the ancestor."""
    directory.mkdir()
    for payload in PAYLOADS:
        (directory / id_of(payload)).write_bytes(payload)
        (directory / f"{id_of(payload)}.json").write_text('{"X-Mime-Type":"text/plain"}')


def files_of(directory: Path) -> dict[str, object]:
    """Give what is in such a directory."""
    return {
        path.name: json.loads(path.read_bytes()) if path.suffix == ".json" else path.read_bytes()
        for path in directory.iterdir()
    }


@pytest.mark.slow
def test_what_the_ancestor_kept_goes_through_a_server_and_out_again(house: Household) -> None:
    """Into its store, and back into files by HTTP; a server has its store for itself meanwhile."""
    flat(house.directory / "flat")
    assert b"Imported 3 objects" in run(house.directory, "import", "--store=data", "flat").stdout
    port = house.blob_server("data").port("blobs")
    for command in (["import", "--store=data", "flat"], ["export", "--store=data", "out"]):
        assert b"data is in use by another process" in run(house.directory, *command, status=1).stderr
    assert not (house.directory / "out").exists()
    answer = ask("GET", port, f"/blob/{id_of(LONG)}")
    assert (answer.body, answer.headers["content-type"]) == (LONG, "text/plain")
    done = run(house.directory, "export", f"-blob-server=http://127.0.0.1:{port}", "out").stdout
    assert b"Exported 3 objects" in done
    assert files_of(house.directory / "out") == files_of(house.directory / "flat")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_an_import_that_was_cut_short_goes_on(house: Household, number: int) -> None:
    """Killed or interrupted, the store is sound, and the next import takes the rest."""
    directory = house.directory / "flat"
    flat(directory)
    for name in range(3000):
        (directory / id_of(b"%d" % name)).write_bytes(b"%d" % name)
    importing = house.sos("import", "--store=data", "flat")
    given_up = time.monotonic() + PATIENCE
    while not (house.directory / "data" / "store.json").exists():
        assert time.monotonic() < given_up
    assert importing.end(number) in (-signal.SIGKILL, 130, 0)
    assert "Traceback" not in importing.output
    done = run(house.directory, "import", "--store=data", "flat", "-q").stdout
    found = re.match(rb"Imported (\d+) objects .*; (\d+) were there already, 0 .*, 0 complaints", done)
    assert found is not None and int(found[1]) + int(found[2]) == 3003, done
