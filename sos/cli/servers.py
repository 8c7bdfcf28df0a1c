"""``sos blob-server`` and ``sos api-server``: the services of the twistd plugin, in the foreground."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from twisted.application.service import IService

from sos.cli.foreground import run
from sos.decisions.printouts import api_banner, blob_banner
from sos.options import Options
from sos.settings import ApiSettings, BlobSettings


def blob_server(arguments: Sequence[str]) -> NoReturn:
    """Run a blob server."""
    options = _options_of("blob", "blob-server", arguments)
    _run(options, banner_of(options))


def api_server(arguments: Sequence[str]) -> NoReturn:
    """Run an api server, or show its blob servers."""
    options = _options_of("api", "api-server", arguments)
    _run(options, banner_of(options))


def banner_of(options: Options) -> str:
    """Give what a server prints when it has started."""
    match options.settings:
        case BlobSettings() as settings:
            return blob_banner(settings.listen.url("/"), str(settings.path))
        case ApiSettings() as settings:
            return api_banner(settings.upload.url("/upload"), settings.download.url("/fetch/:id"), settings.topology)
        case settings:
            api = settings.api
            return api_banner(api.upload.url("/upload"), api.download.url("/fetch/:id"), api.topology)


def _options_of(role: str, command: str, arguments: Sequence[str]) -> Options:
    """Read the options of a role. Raises `UsageError`."""
    options = Options(role)
    options.synopsis = f"Usage: sos {command} [options]"
    options.parseOptions(arguments)
    return options


def _run(options: Options, banner: str) -> NoReturn:
    from sos.service import makeService

    def make(reactor: Any) -> IService:
        return makeService(options, reactor)

    run(make, banner, bool(options["verbose"]))
