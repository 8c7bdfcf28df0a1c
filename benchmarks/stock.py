"""Stock twisted.web over a directory of files, for comparison: ``python -m benchmarks.stock DIRECTORY``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from twisted.web.resource import Resource
from twisted.web.server import Site
from twisted.web.static import Data


def tree_of(directory: Path) -> Resource:
    """Make resources of a directory. The bytes are in memory, which is the best that stock twisted.web can do."""
    root = Resource()
    for path in directory.iterdir():
        child = tree_of(path) if path.is_dir() else Data(path.read_bytes(), "application/octet-stream")
        root.putChild(path.name.encode("ascii"), child)
    return root


def main(directory: str, reactor: Any) -> None:
    """Serve until a signal comes."""
    listening = reactor.listenTCP(0, Site(tree_of(Path(directory))), interface="127.0.0.1")
    sys.stdout.write(f"Listening for files on 127.0.0.1:{listening.getHost().port}\n")
    reactor.run()


if __name__ == "__main__":
    from twisted.internet import reactor

    main(sys.argv[1], reactor)
