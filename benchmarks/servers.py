"""The servers that are measured, and those that they are measured beside."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from attrs import frozen

from benchmarks.asking import ask
from benchmarks.bench import Bench
from benchmarks.machine import SERVER_CORE, Cores
from benchmarks.running import Running, free_port

_SOS = "import sys; from sos.cli.main import main; sys.exit(main())"
_TWISTD = "from twisted.scripts.twistd import run; run()"

_NGINX = """
daemon off;
worker_processes 1;
pid nginx.pid;
{user}
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    default_type application/octet-stream;
    keepalive_requests 1000000000;
    client_body_temp_path tmp-body;
    proxy_temp_path tmp-proxy;
    fastcgi_temp_path tmp-fastcgi;
    scgi_temp_path tmp-scgi;
    uwsgi_temp_path tmp-uwsgi;
    {upstream}
    server {{
        listen 127.0.0.1:{port};
        root files;
        {location}
    }}
}}
"""

_UPSTREAM = "upstream blobs {{ server 127.0.0.1:{port}; keepalive 32; keepalive_requests 1000000000; }}"
_PROXY = 'location /fetch/ { proxy_pass http://blobs/blob/; proxy_http_version 1.1; proxy_set_header Connection ""; }'


@frozen
class Served:
    """A server that listens: its process and its port."""

    process: Running
    port: int

    def url(self, path: str) -> str:
        """Give the URL of a path."""
        return f"http://127.0.0.1:{self.port}{path}"


@frozen
class ServedApi:
    """An api that listens on its two ports."""

    process: Running
    uploads: int
    downloads: Served


def sos_command(*arguments: str) -> list[str]:
    """Give the command line of ``sos``."""
    return [sys.executable, "-c", _SOS, *arguments]


def blob_server(bench: Bench, store: Path, cores: Cores = SERVER_CORE, options: Sequence[str] = ()) -> Served:
    """Start a blob server."""
    process = bench.start("blob-server", sos_command("blob-server", f"--store={store}", "--port=0", *options), cores)
    return Served(process, process.port("blobs"))


def api_server(bench: Bench, groups: Sequence[Sequence[Served]], cores: Cores = SERVER_CORE) -> ServedApi:
    """Start an api over groups of blob servers, without rounds of replication."""
    sections = [
        "\n".join([f"[{number}]", *(f"-: {member.url('')}" for member in group)]) for number, group in enumerate(groups)
    ]
    config = bench.directory / "sos.conf"
    config.write_text("\n".join([*sections, ""]))
    ports = ["--api-host=127.0.0.1", "--upload-port=0", "--download-port=0", "--replicate-every=0"]
    return _api(bench.start("api-server", sos_command("api-server", f"--config={config}", *ports), cores))


def all_in_one(bench: Bench, *stores: Path) -> ServedApi:
    """Start an api and its stores in one process."""
    named = [f"--store={store}" for store in stores]
    ports = ["--upload-port=0", "--download-port=0", "--replicate-every=0"]
    command = [sys.executable, "-c", _TWISTD, "--nodaemon", "--pidfile=", "sos", "--role=all", *named, *ports]
    return _api(bench.start("all", command))


def _api(process: Running) -> ServedApi:
    return ServedApi(process, process.port("uploads"), Served(process, process.port("downloads")))


def nginx(bench: Bench, files: dict[str, bytes], cores: Cores = SERVER_CORE) -> Served:
    """Start nginx over some files: one worker, sendfile, no log, kept connections; nothing else is tuned."""
    return _nginx(bench, files, cores=cores)


def nginx_proxy(bench: Bench, blobs: Served) -> Served:
    """Start nginx in the place of an api: ``/fetch/ID`` is handed to a blob server over kept connections."""
    return _nginx(bench, {}, _UPSTREAM.format(port=blobs.port), _PROXY)


def _nginx(
    bench: Bench, files: dict[str, bytes], upstream: str = "", location: str = "", cores: Cores = SERVER_CORE
) -> Served:
    home, port = bench.directory / f"nginx-{len(files)}-{bool(upstream)}", free_port()
    write_files(home / "files", files)
    user = "user root;" if os.geteuid() == 0 else ""  # else the worker could not read a temporary directory of root's
    config = home / "nginx.conf"
    config.write_text(_NGINX.format(port=port, user=user, upstream=upstream, location=location))
    command = ["nginx", "-p", str(home), "-e", "stderr", "-c", str(config)]
    process = bench.start("nginx", command, cores)
    process.when_it_takes_connections(port)
    return Served(process, port)


def stock(bench: Bench, files: dict[str, bytes], source: str) -> Served:
    """Start twisted.web as it comes, over some files: it reads them each time ("files"), or once ("memory")."""
    directory = bench.directory / "stock"
    write_files(directory, files)
    process = bench.start_module("stock", "benchmarks.stock", str(directory), source)
    return Served(process, process.port(source))


def sink(bench: Bench) -> Served:
    """Start a server that takes blobs and forgets them: what a load generator can do at most."""
    process = bench.start_module("sink", "benchmarks.sink")
    return Served(process, process.port("blobs"))


def write_files(directory: Path, files: dict[str, bytes]) -> None:
    """Write files below a directory, by their paths."""
    directory.mkdir(parents=True)
    for path, payload in files.items():
        target = directory / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(payload)


def is_alive(served: Served) -> bool:
    """Ask a blob server for a sign of life."""
    return ask("GET", served.port, "/alive").status == 200
