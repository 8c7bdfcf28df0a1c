"""The cluster key: what blob servers and those who may steer them share, read from a file that nobody else can read."""

from __future__ import annotations

import os
import re
from pathlib import Path

from sos.words.errors import BadConfig

SHORTEST = 16
"""Bytes: 16 random ones cannot be guessed, and a shorter key is rarely random."""

_LONGEST = 4096
_VISIBLE = re.compile(rb"[\x21-\x7e]+")
_EXAMPLES = (b"changeme", b"change-me", b"change_me", b"example", b"password", b"secret", b"1234567890")

_HOW = "Make one with: (umask 077; head -c 32 /dev/urandom | base64 > FILE)"


def read_cluster_key(path: Path, credentials: Path | None = None) -> bytes:
    """Read a key file; white space around the key does not count. Raises `BadConfig`, which never says the key.

    `credentials` is the directory in which the service manager hands over credentials: their group bits are the mask of
    an access list, which lets in the one user of the service and nobody else.
    """
    forbidden = 0o007 if credentials is not None and path.parent == credentials else 0o077
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode  # of the open file: the name could be another's by now
            content = file.read(_LONGEST + 1)
    except OSError as error:
        raise BadConfig(f"The cluster key {path} cannot be read: {error.strerror}.") from None
    if mode & forbidden:
        raise BadConfig(f"The cluster key {path} can be read by others: chmod 600 it, or put it into a file of its own.")
    return _checked(content.strip(), path)


def _checked(key: bytes, path: Path) -> bytes:
    if not key:
        raise BadConfig(f"The cluster key {path} is empty. {_HOW}")
    if len(key) > _LONGEST or _VISIBLE.fullmatch(key) is None:
        raise BadConfig(f"The cluster key {path} is not one line of visible ASCII characters. {_HOW}")
    if any(example in key.lower() for example in _EXAMPLES):
        raise BadConfig(f"The cluster key {path} is an example that everybody knows. {_HOW}")
    if len(key) < SHORTEST:
        raise BadConfig(f"The cluster key {path} is shorter than {SHORTEST} characters. {_HOW}")
    return key
