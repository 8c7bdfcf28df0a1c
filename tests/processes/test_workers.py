"""An api of several processes: they share its ports, are started again when they die, and end with their parent."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import ssl
import stat
from collections.abc import Sequence

import pytest

from tests.http.test_client_loopback import pem_for
from tests.processes.crew import crew_of, stopped, wait_for_all, watched
from tests.processes.harness import PATIENCE, Household, Process, ask, wait_until_refused

WORKERS = 2
READ_AGAIN = "The configuration was read again"


def upload(api: Process, payload: bytes) -> str:
    """Upload, and give the ID."""
    answer = ask("POST", api.port("uploads"), "/upload", payload)
    assert answer.status == 200, answer.body
    return str(json.loads(answer.body)["id"])


@pytest.fixture
def blobs(house: Household) -> Process:
    """A blob server."""
    return house.blob_server("data")


@pytest.fixture
def api(house: Household, blobs: Process) -> Process:
    """An api of two workers."""
    return house.api_server(blobs.port("blobs"), workers=WORKERS)


def test_each_worker_serves(api: Process) -> None:
    """Whichever of them is the only one that can, answers."""
    crew = crew_of(api, WORKERS)
    assert sorted(crew) == [1, 2]
    object_id = upload(api, b"hello")
    for pid in crew.values():
        with stopped(pid):
            assert ask("GET", api.port("downloads"), f"/fetch/{object_id}").body == b"hello"


def test_a_worker_that_is_killed_is_replaced_and_nobody_else_notices(api: Process) -> None:
    """Each of them once, the one with the timers too; requests go on all the while."""
    crew = crew_of(api, WORKERS)
    object_id = upload(api, b"hello")
    for killed, pid in enumerate(crew.values(), 1):
        with watched([pid]) as ends:
            os.kill(pid, signal.SIGKILL)
            wait_for_all(ends, 1)
        for _ in range(20):
            assert ask("GET", api.port("downloads"), f"/fetch/{object_id}").body == b"hello"
        upload(api, b"again %d" % killed)
        crew_of(api, WORKERS + killed)
    assert not set(crew.values()) & set(crew_of(api, 2 * WORKERS).values())
    assert len(api.when_lines_match("was ended by SIGKILL; another takes its place", WORKERS)) == WORKERS
    assert "Traceback" not in api.output


def test_sigterm_ends_parent_and_workers(house: Household, api: Process) -> None:
    """None is left, and none is started again."""
    crew = crew_of(api, WORKERS)
    with watched(list(crew.values())) as ends:
        assert api.end() == 0
        wait_for_all(ends, WORKERS)
    assert "takes its place" not in api.output
    assert "Traceback" not in api.output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_whole_group_ends_all_in_good_order(house: Household, api: Process, number: int) -> None:
    """As Ctrl-C in a terminal and a service manager send it."""
    crew = crew_of(api, WORKERS)
    with watched(list(crew.values())) as ends:
        for pid in [api.pid, *crew.values()]:
            os.kill(pid, number)
        wait_for_all(ends, WORKERS)
    assert api.when_it_ends() == 0
    assert "Traceback" not in api.output


def test_workers_notice_that_their_parent_was_killed(house: Household, blobs: Process) -> None:
    """They have nobody to tell, and end by themselves; the ports are free for the next parent."""
    api = house.api_server(blobs.port("blobs"), workers=WORKERS)
    crew = crew_of(api, WORKERS)
    with watched(list(crew.values())) as ends:
        api.end(signal.SIGKILL)
        wait_for_all(ends, WORKERS)
    with pytest.raises(ConnectionRefusedError):
        ask("GET", api.port("downloads"), "/fetch/abc")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_upload_under_way_is_finished_when_the_parent_stops(api: Process, number: int) -> None:
    """The worker that has it acknowledges it before it ends, whatever became of the parent."""
    crew_of(api, WORKERS)
    port = api.port("uploads")
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
        client.sendall(b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 100 ")
        api.send(number)
        wait_until_refused(port)
        client.sendall(b"0123456789")
        assert client.recv(65_536).startswith(b"HTTP/1.1 200 ")
    assert api.when_it_ends() in (0, -signal.SIGKILL)


def test_exactly_one_worker_replicates_and_its_replacement_goes_on(house: Household) -> None:
    """Blobs that appear on one member are copied to the other by worker 1, before and after it was killed."""
    one, two = house.blob_server("data1"), house.blob_server("data2")
    api = house.api_server(one.port("blobs"), two.port("blobs"), workers=WORKERS, replicate_every=0.2)
    pid = crew_of(api, WORKERS)[1]
    copied = r"(Worker \d+): Blobs copied in this round: 1,"
    for number in range(1, 7):
        if number == 4:
            os.kill(pid, signal.SIGKILL)
        assert ask("POST", one.port("blobs"), f"/blob/b{number}", b"x").status == 200
        assert {found[1] for found in api.when_lines_match(copied, number)} == {"Worker 1"}
    assert json.loads(ask("GET", two.port("blobs"), "/blobs").body) == [f"b{number}" for number in range(1, 7)]
    assert crew_of(api, WORKERS + 1)[1] != pid


def test_sighup_reaches_all_workers_and_a_broken_file_reaches_none(house: Household, blobs: Process) -> None:
    """A server is exchanged under a running api, for every worker; a typing mistake is named once."""
    other = house.blob_server("other")
    config = house.directory / "sos.conf"
    config.write_text(f"http://127.0.0.1:{blobs.port('blobs')}\n")
    where = ["--api-host=127.0.0.1", "--upload-port=0", "--download-port=0", "--replicate-every=0", "--workers=2"]
    api = house.sos("api-server", "--config=sos.conf", *where)
    crew = crew_of(api, WORKERS)

    config.write_text(f"http://127.0.0.1:{other.port('blobs')}\n")
    api.send(signal.SIGHUP)
    told = api.when_lines_match(rf"(Worker \d): {READ_AGAIN}", WORKERS)
    assert {found[1] for found in told} == {"Worker 1", "Worker 2"}
    for number, pid in crew.items():
        with stopped(pid):
            upload(api, b"not by worker %d" % number)
    assert len(json.loads(ask("GET", other.port("blobs"), "/blobs").body)) == WORKERS
    assert ask("GET", blobs.port("blobs"), "/blobs").body == b"[]"

    config.write_text("what is this\n")
    api.send(signal.SIGHUP)
    assert len(api.when_lines_match("what is this")) == 1
    upload(api, b"all is as it was")
    assert "Traceback" not in api.output


def test_a_worker_that_cannot_start_says_why_and_is_tried_again(house: Household, blobs: Process) -> None:
    """A configuration that was broken while a worker was away: the others go on, and it comes back when it is mended."""
    config = house.directory / "sos.conf"
    good = f"http://127.0.0.1:{blobs.port('blobs')}\n"
    config.write_text(good)
    where = ["--api-host=127.0.0.1", "--upload-port=0", "--download-port=0", "--workers=2"]
    api = house.sos("api-server", "--config=sos.conf", *where)
    crew = crew_of(api, 2)
    config.write_text("what is this\n")
    os.kill(crew[2], signal.SIGKILL)
    api.when_lines_match("Worker 2: .*sos.conf.*what is this", 2)
    upload(api, b"hello")
    config.write_text(good)
    assert crew_of(api, 3)[2] != crew[2]
    assert "Traceback" not in api.output


def test_twistd_has_workers_too(house: Household, blobs: Process) -> None:
    """The very same service, with the log that twistd writes."""
    servers = f"--blob-server=http://127.0.0.1:{blobs.port('blobs')}"
    ports = ["--api-host=127.0.0.1", "--upload-port=0", "--download-port=0"]
    api = house.twistd("--role=api", servers, *ports, "--workers=2")
    crew = crew_of(api, 2)
    object_id = upload(api, b"hello")
    assert ask("GET", api.port("downloads"), f"/fetch/{object_id}").body == b"hello"
    with watched(list(crew.values())) as ends:
        assert api.end() == -signal.SIGTERM
        wait_for_all(ends, 2)
    assert "Traceback" not in api.output


def _endpoints(house: Household, blobs: Process, uploads: str, downloads: str, *more: str) -> Sequence[str]:
    servers = f"--blob-server=http://127.0.0.1:{blobs.port('blobs')}"
    return ["api-server", servers, f"--upload-listen={uploads}", f"--download-listen={downloads}", "--workers=2", *more]


def test_workers_share_tls_ports(house: Household, blobs: Process) -> None:
    """Each worker reads the key for itself."""
    (house.directory / "server.pem").write_bytes(pem_for("localhost"))
    secure = "ssl:0:interface=127.0.0.1:privateKey=server.pem:certKey=server.pem"
    api = house.sos(*_endpoints(house, blobs, "tcp:0:interface=127.0.0.1", secure))
    crew_of(api, 2)
    object_id = upload(api, b"hello")
    trusting = ssl.create_default_context(cafile=str(house.directory / "server.pem"))
    connection = http.client.HTTPSConnection("localhost", api.port("downloads"), timeout=PATIENCE, context=trusting)
    connection.request("GET", f"/fetch/{object_id}")
    assert connection.getresponse().read() == b"hello"
    connection.close()
    assert api.end() == 0


def test_workers_share_a_unix_socket_and_leave_its_file_alone(house: Household, blobs: Process) -> None:
    """A worker that ends neither removes it nor shuts it down for the others, and none opens it to everybody."""
    path = house.directory / "downloads.sock"
    api = house.sos(*_endpoints(house, blobs, "tcp:0:interface=127.0.0.1", f"unix:{path}:mode=600"))
    crew = crew_of(api, 2)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    object_id = upload(api, b"hello")
    for ended, pid in enumerate(crew.values(), 1):
        with watched([pid]) as ends:
            os.kill(pid, signal.SIGTERM)
            wait_for_all(ends, 1)
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE)
            client.connect(str(path))
            client.sendall(b"GET /fetch/%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % object_id.encode())
            assert client.recv(65_536).startswith(b"HTTP/1.1 200 ")
        crew_of(api, 2 + ended)
    assert api.end() == 0
    assert not path.exists()


ACTIVATED = """
import os, socket, sys
for number in (3, 4):
    opened = socket.create_server(("127.0.0.1", 0))
    if opened.fileno() != number:
        os.dup2(opened.fileno(), number)
    opened.detach()
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="2", LISTEN_FDNAMES="first:second")
from sos.cli.main import main
sys.exit(main())
"""


def test_workers_share_sockets_of_the_service_manager(house: Household, blobs: Process) -> None:
    """Whichever way they are named."""
    by_name, by_index = "systemd:domain=INET:name=second", "systemd:domain=INET:index=0"
    api = house.program(ACTIVATED, *_endpoints(house, blobs, by_name, by_index))
    crew_of(api, 2)
    object_id = upload(api, b"hello")
    assert ask("GET", api.port("downloads"), f"/fetch/{object_id}").body == b"hello"
    assert api.end() == 0
    assert "Traceback" not in api.output


def test_a_worker_started_by_hand_says_what_it_is(house: Household) -> None:
    """It has no ports."""
    by_hand = house.program("from sos.cli.worker import main; main()", "1", "--blob-server=http://127.0.0.1:1")
    assert by_hand.when_it_ends() == 2
    assert "with --workers" in by_hand.output
    assert "Traceback" not in by_hand.output
