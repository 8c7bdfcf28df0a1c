"""Stock twisted.web over a directory, for comparison: ``python -m benchmarks.stock DIRECTORY (files|memory)``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from twisted.web.resource import Resource
from twisted.web.server import Site
from twisted.web.static import Data, File


def data_of(directory: Path) -> Resource:
    """Make resources of a directory with all bytes in memory, which is the best that stock twisted.web can do."""
    root = Resource()
    for path in directory.iterdir():
        child = data_of(path) if path.is_dir() else Data(path.read_bytes(), "application/octet-stream")
        root.putChild(path.name.encode("ascii"), child)
    return root


def main(directory: str, source: str, reactor: Any) -> None:
    """Serve until a signal comes."""
    root = File(directory) if source == "files" else data_of(Path(directory))
    listening = reactor.listenTCP(0, Site(root), interface="127.0.0.1")
    sys.stdout.write(f"Listening for {source} on 127.0.0.1:{listening.getHost().port}\n")
    reactor.run()


if __name__ == "__main__":
    from twisted.internet import reactor

    main(sys.argv[1], sys.argv[2], reactor)
