"""Torture F38: a member and a group are added to a running api."""

from __future__ import annotations

import signal

from tests.processes.group import Trio, holds, id_of
from tests.processes.harness import Household, ask

PAYLOADS = [b"%d" % number * 20_000 for number in range(12)]


def test_members_and_groups_are_added_while_it_runs(house: Household) -> None:
    """Old objects are found all the time; a round fills the new member; a new group takes its share of what is new."""
    servers = [house.blob_server(f"data{number}") for number in range(5)]
    ports = [process.port("blobs") for process in servers]
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    config = house.directory / "sos.conf"
    config.write_text(f"[one]\n-: {urls[0]}\n-: {urls[1]}\n")
    where = ["--api-host=127.0.0.1", "--upload-port=0", "--download-port=0", "--replicate-every=0"]
    api = house.sos("api-server", f"--config={config}", *where)
    trio = Trio(house, servers, ports, api)
    assert {trio.copies_of_upload(payload) for payload in PAYLOADS} == {2}

    def change(text: str, times: int) -> None:
        config.write_text(text)
        api.send(signal.SIGHUP)
        api.when_lines_match("The configuration was read again", times)
        assert {trio.fetch(payload).status for payload in PAYLOADS} == {200}
        assert trio.fetch(b"unknown").status == 404

    change(f"[one]\n-: {urls[0]}\n-: {urls[1]}\n-: {urls[2]}\n", 1)
    assert house.sos("replicate", f"--config={config}").when_it_ends() == 0
    assert all(holds(ports[2], payload) for payload in PAYLOADS)
    assert trio.copies_of_upload(b"after") == 3

    change(f"[one]\n-: {urls[0]}\n-: {urls[1]}\n-: {urls[2]}\n[two]\nweight: 2\n-: {urls[3]}\n-: {urls[4]}\n", 2)
    fresh = [b"new" + payload for payload in PAYLOADS]
    assert {trio.copies_of_upload(payload) for payload in fresh} == {2, 3}
    assert {trio.fetch(payload).status for payload in fresh} == {200}
    assert {tuple(trio.holders(payload)) for payload in fresh} == {(0, 1, 2), (3, 4)}
    assert ask("HEAD", api.port("downloads"), f"/fetch/{id_of(PAYLOADS[0])}").status == 200
    assert "Traceback" not in api.output
