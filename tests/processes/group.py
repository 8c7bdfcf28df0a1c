"""A group of three real blob servers, an api before them, and what is asked of all of them again and again."""

from __future__ import annotations

import hashlib
import json
import signal

from attrs import define

from tests.processes.harness import Answer, Household, Process, ask


def id_of(payload: bytes) -> str:
    """Give the ID of an object."""
    return hashlib.sha1(payload).hexdigest()


@define
class Trio:
    """The members can be ended and started again on their ports; the stores are ``data0`` to ``data2``."""

    house: Household
    members: list[Process]
    ports: list[int]
    api: Process

    def upload(self, payload: bytes) -> Answer:
        """Upload, and give whatever comes back."""
        return ask("POST", self.api.port("uploads"), "/upload", payload)

    def copies_of_upload(self, payload: bytes) -> int:
        """Upload, which must go well, and give the number of copies."""
        answer = self.upload(payload)
        assert answer.status == 200, answer.body
        return int(json.loads(answer.body)["copies"])

    def fetch(self, payload: bytes) -> Answer:
        """Fetch the object with these bytes; a 200 must have them."""
        answer = ask("GET", self.api.port("downloads"), f"/fetch/{id_of(payload)}")
        assert answer.status != 200 or answer.body == payload
        return answer

    def holders(self, payload: bytes) -> list[int]:
        """Give the numbers of the members that hold some bytes; what is listed must be whole and right."""
        return [number for number, port in enumerate(self.ports) if holds(port, payload)]

    def restart(self, number: int, *options: str, by: int = signal.SIGTERM) -> None:
        """End a member, and start it again on its port, perhaps with other options."""
        self.members[number].end(by)
        store, port = f"data{number}", str(self.ports[number])
        self.members[number] = self.house.sos("blob-server", "-store", store, "-port", port, *options)
        self.members[number].port("blobs")

    def replicate(self) -> Process:
        """Run one round to its end."""
        servers = ",".join(f"http://127.0.0.1:{port}" for port in self.ports)
        replicating = self.house.sos("replicate", "-blob-server", servers)
        replicating.when_it_ends()
        return replicating

    def staged(self) -> list[str]:
        """Give what lies in the staging directories."""
        return [str(path) for path in self.house.directory.glob("data*/staging/*")]


def holds(port: int, payload: bytes) -> bool:
    """Whether a blob server lists the object with these bytes, and gives them.

    A write may be committed between two questions, so the same is asked again where the answers do not agree: a blob that is
    given must be listed afterwards, one that was listed must be given.
    """
    object_id = id_of(payload)
    was_listed = object_id in json.loads(ask("GET", port, "/blobs").body)
    answer = ask("GET", port, f"/blob/{object_id}")
    is_listed = was_listed or object_id in json.loads(ask("GET", port, "/blobs").body)
    assert answer.status == 404 or (answer.status, answer.body) == (200, payload)
    assert is_listed or answer.status == 404
    assert answer.status == 200 or not was_listed
    return is_listed


def start_trio(house: Household, *options: str, **api_options: object) -> Trio:
    """Start them; `options` are the blob servers'."""
    members = [house.sos("blob-server", "-store", f"data{number}", "-port", "0", *options) for number in range(3)]
    ports = [member.port("blobs") for member in members]
    return Trio(house, members, ports, house.api_server(*ports, **api_options))
