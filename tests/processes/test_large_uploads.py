"""Objects of many chunks, through real processes."""

from __future__ import annotations

import hashlib
import json
import socket

import pytest

from tests.processes.harness import PATIENCE, Household, ask
from tests.support_payloads import numbered

SIZE = 40_000_000
CHUNK = 4 * 1024 * 1024


def names(port: int, kind: str) -> list[str]:
    """Give the IDs of what a blob server holds of one kind."""
    found: list[str] = json.loads(ask("GET", port, f"/blobs?kind={kind}").body)
    return found


def object_at(port: int, object_id: str) -> bytes:
    """Put an object together from what one blob server holds."""
    manifest = json.loads(ask("GET", port, f"/blob/{object_id}").body)
    return b"".join(ask("GET", port, f"/blob/{name}").body for name, _ in manifest["chunks"])


@pytest.mark.slow
def test_an_object_of_many_chunks_is_at_both_members_and_sent_once(house: Household) -> None:
    """40 MB are ten chunks and a manifest; the same again is no byte more, with other metadata."""
    members = [house.blob_server(f"data{number}").port("blobs") for number in range(2)]
    api = house.api_server(*members)
    payload = numbered(SIZE)
    object_id = hashlib.sha1(payload).hexdigest()
    for name in ("one", "two"):
        answer = ask("POST", api.port("uploads"), "/upload", payload, {"X-Orig-Filename": name})
        assert (answer.status, json.loads(answer.body)) == (
            200,
            {"id": object_id, "status": "OK", "size": SIZE, "copies": 2},
        )
        for member in members:
            assert len(names(member, "chunk")) == -(-SIZE // CHUNK)
            assert names(member, "manifest") == [object_id]
            assert object_at(member, object_id) == payload
            assert ask("HEAD", member, f"/blob/{object_id}").headers["x-orig-filename"] == name
    serials = {path.suffix for path in house.directory.glob("data0/blobs/*/*/*")}
    assert len(serials) == -(-SIZE // CHUNK)


@pytest.mark.slow
def test_an_api_that_is_killed_in_an_upload_leaves_no_manifest(house: Household) -> None:
    """Torture F2: between chunks, and the upload can be sent again."""
    members = [house.blob_server(f"data{number}").port("blobs") for number in range(2)]
    payload = numbered(10_000_000)
    for sent in (CHUNK + 1, len(payload) - 1):
        api = house.api_server(*members)
        with socket.create_connection(("127.0.0.1", api.port("uploads")), PATIENCE) as client:
            client.sendall(b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(payload))
            client.sendall(payload[:sent])
            api.end(9)
        for member in members:
            assert names(member, "manifest") == names(member, "blob") == []
            for name in names(member, "chunk"):
                assert "c" + hashlib.sha256(ask("GET", member, f"/blob/{name}").body).hexdigest() == name
    answer = ask("POST", house.api_server(*members).port("uploads"), "/upload", payload)
    assert (answer.status, json.loads(answer.body)["copies"]) == (200, 2)
    assert object_at(members[0], hashlib.sha1(payload).hexdigest()) == payload
