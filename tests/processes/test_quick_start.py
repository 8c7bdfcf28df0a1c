"""The first day of a user: the quick start of the README, on real processes."""

from __future__ import annotations

import hashlib
import json
import signal
from pathlib import Path

from tests.processes.harness import Household, ask

PASSWD = Path("/etc/passwd").read_bytes()
SHA1 = hashlib.sha1(PASSWD).hexdigest()


def test_an_upload_comes_back_by_its_id(house: Household) -> None:
    """Two blob servers, one api server, one upload as curl sends it, one fetch."""
    one, two = house.blob_server("data1"), house.blob_server("data2")
    api = house.api_server(one.port("blobs"), two.port("blobs"))
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    stored = ask("POST", api.port("uploads"), "/upload", PASSWD, form)
    assert stored.status == 200
    assert json.loads(stored.body) == {"id": SHA1, "size": len(PASSWD), "status": "OK", "copies": 2}
    for path in (f"/fetch/{SHA1}", f"/fetch/{SHA1}.txt"):
        fetched = ask("GET", api.port("downloads"), path)
        assert (fetched.status, fetched.body) == (200, PASSWD)
        assert fetched.headers["content-type"] == "application/octet-stream"
        assert not [name for name in fetched.headers if name.startswith("x-sos")]
    head = ask("HEAD", api.port("downloads"), f"/fetch/{SHA1}")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(PASSWD)))


def test_metadata_comes_back_and_names_the_type(house: Household) -> None:
    """``X-MIME-Type`` is also the Content-Type; what a proxy added is not kept."""
    blobs = house.blob_server("data")
    api = house.api_server(blobs.port("blobs"))
    sent = {"X-Orig-Filename": "steve.jpg", "X-MIME-Type": "image/jpeg", "X-Forwarded-For": "10.0.0.1"}
    object_id = json.loads(ask("POST", api.port("uploads"), "/upload", b"\xff\xd8\xff", sent).body)["id"]
    fetched = ask("GET", api.port("downloads"), f"/fetch/{object_id}.jpg?download")
    assert fetched.headers["content-type"] == fetched.headers["x-mime-type"] == "image/jpeg"
    assert fetched.headers["x-orig-filename"] == "steve.jpg"
    assert "steve.jpg" in fetched.headers["content-disposition"]
    assert "x-forwarded-for" not in fetched.headers


def test_replicate_says_what_it_mirrors_and_both_servers_hold_it_then(house: Household) -> None:
    """After a server was down, one round puts on it what it missed."""
    one, two = house.blob_server("data1"), house.blob_server("data2")
    ports = one.port("blobs"), two.port("blobs")
    two.end()
    api = house.api_server(*ports)
    assert ask("POST", api.port("uploads"), "/upload", PASSWD).status == 200
    urls = [f"http://127.0.0.1:{port}" for port in ports]

    down = house.sos("replicate", "--blob-server", ",".join(urls))
    assert down.when_it_ends() == 1
    assert urls[1] in down.output
    assert "Traceback" not in down.output

    two = house.blob_server("data2", ports[1])
    two.port("blobs")
    said = house.sos("replicate", "-blob-server", ",".join(urls), "-verbose")
    assert said.when_it_ends() == 0
    assert f"\tObject {SHA1} is missing on {urls[1]}" in said.output
    assert f"Mirroring {SHA1} from {urls[0]} to {urls[1]}" in said.output
    assert ask("GET", ports[1], f"/blob/{SHA1}").body == PASSWD
    assert json.loads(ask("GET", ports[1], "/blobs").body) == [SHA1]


def test_the_timer_of_the_api_replicates_by_itself(house: Household) -> None:
    """Nobody has to run anything: a blob is on the other member after a round of the api's."""
    one, two = house.blob_server("data1"), house.blob_server("data2")
    assert ask("POST", one.port("blobs"), f"/blob/{SHA1}", PASSWD).status == 200
    api = house.api_server(one.port("blobs"), two.port("blobs"), replicate_every=1)
    api.when_it_says("Blobs copied in this round: 1")
    assert ask("GET", two.port("blobs"), f"/blob/{SHA1}").body == PASSWD


def test_one_process_can_be_all_of_it(house: Household) -> None:
    """``--role=all`` with two stores, as ``make run`` starts it: upload, fetch, stop clean, start, fetch."""
    arguments = ["--role=all", "--store=one", "--store=two", "--upload-port=0", "--download-port=0"]
    sos = house.twistd(*arguments)
    object_id = json.loads(ask("POST", sos.port("uploads"), "/upload", b"hello").body)["id"]
    assert ask("GET", sos.port("downloads"), f"/fetch/{object_id}").body == b"hello"
    assert sos.end() == -signal.SIGTERM  # twistd ends itself by the signal that ended it, once all is closed
    assert "Traceback" not in sos.output
    again = house.twistd(*arguments)
    assert ask("GET", again.port("downloads"), f"/fetch/{object_id}").body == b"hello"
