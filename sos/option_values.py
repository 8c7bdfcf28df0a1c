"""The values of options: each reader takes what was typed and gives what is meant, or says what is wrong with it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from OpenSSL.SSL import Error as TLSError
from twisted.internet.endpoints import serverFromString
from twisted.python import usage

from sos.decisions.manifest import LARGEST_CHUNK
from sos.decisions.sizes import size_of, size_text
from sos.settings import LEAST_MEMORY, MOST_WORKERS, SMALLEST_CHUNK
from sos.store.room import Reserve
from sos.words.errors import BadInput, SOSError

T = TypeVar("T")

_HOST = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)
_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,3})?", re.ASCII)
_RATE = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,3})?", re.ASCII)
_PERCENT = re.compile(r"([0-9]{1,2}(?:\.[0-9]{1,3})?)\s*%", re.ASCII)
_COUNT = re.compile(r"[0-9]{1,4}", re.ASCII)
_SHARED = re.compile(r"(?:haproxy:)?(?:tcp6?|ssl|unix):.*|systemd:.*", re.ASCII | re.DOTALL)
_HEADER_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,254}[\x21-\x7e])?")


def parameter(name: str, sentence: str, read: Callable[[str], Any]) -> list[Any]:
    """Describe an option with a value as `usage.Options` wants it; what was not given is None."""
    return [name, None, None, sentence, coerced(name, read)]


def coerced(name: str, read: Callable[[str], T]) -> Callable[[str], T]:
    """Make a reader whose complaint names its option."""

    def read_named_option(text: str) -> T:
        try:
            return read(text)
        except SOSError as error:
            raise usage.UsageError(f"--{name}: {error}") from None

    return read_named_option


def one_of(choices: Sequence[str]) -> Callable[[str], str]:
    """Make a reader that takes one of some words."""

    def read(text: str) -> str:
        if text not in choices:
            raise BadInput(f"{text!r} is none of: {', '.join(choices)}.")
        return text

    return read


def port_of(text: str) -> int:
    """Read the number of a port; with 0 the system picks one."""
    if _PORT.fullmatch(text) is None or int(text) > 65_535:
        raise BadInput(f"{text!r} is no port: a number from 0 to 65535.")
    return int(text)


def host_of(text: str) -> str:
    """Read the address of an interface."""
    if not _is_ip_address(text) and _HOST.fullmatch(text) is None:
        raise BadInput(f"{text!r} is no address of an interface, such as 127.0.0.1 or ::1.")
    return text


def _is_ip_address(text: str) -> bool:
    try:
        return bool(ipaddress.ip_address(text))
    except ValueError:
        return False


def seconds_of(text: str) -> float:
    """Read a number of seconds."""
    if _SECONDS.fullmatch(text) is None:
        raise BadInput(f"{text!r} is no number of seconds.")
    return float(text)


def rate_of(text: str) -> float:
    """Read a number of megabytes a second; give bytes."""
    if _RATE.fullmatch(text) is None:
        raise BadInput(f"{text!r} is no number of megabytes a second.")
    return float(text) * 1e6


def worker_count_of(text: str) -> int:
    """Read the number of worker processes."""
    if _COUNT.fullmatch(text) is None or not 1 <= int(text) <= MOST_WORKERS:
        raise BadInput(f"{text!r} is no number of workers: 1 to {MOST_WORKERS}; one a core is plenty.")
    return int(text)


def object_size_of(text: str) -> int:
    """Read the size of the largest object: more than none at all."""
    size = size_of(text)
    if not size:
        raise BadInput("An object of 0 bytes is one, too; at least 1 byte has to be allowed.")
    return size


def chunk_size_of(text: str) -> int:
    """Read the size of a chunk."""
    size = size_of(text)
    if not SMALLEST_CHUNK <= size <= LARGEST_CHUNK:
        raise BadInput("A chunk has 64KiB to 64MiB.")
    return size


def memory_of(text: str) -> int:
    """Read how many bytes may be held for clients."""
    size = size_of(text)
    if size < LEAST_MEMORY:
        raise BadInput(f"With less than {size_text(LEAST_MEMORY)} two downloads could not go on side by side.")
    return size


def reserve_of(text: str) -> Reserve:
    """Read the room that a store keeps free: a percentage of its disk, or a size."""
    percent = _PERCENT.fullmatch(text)
    if percent is not None:
        return Reserve(percent=float(percent[1]), least=0)
    try:
        return Reserve(percent=0, least=size_of(text))
    except BadInput:
        raise BadInput(f"{text!r} is no reserve: a percentage of the disk (2%) or a size (500M, 10GiB).") from None


def header_value_of(text: str) -> bytes:
    """Read the value of a header."""
    if _HEADER_VALUE.fullmatch(text) is None:
        raise BadInput("The value of a header has 1 to 256 visible ASCII characters.")
    return text.encode("ascii")


def path_of(text: str) -> Path:
    """Read the name of a file or directory."""
    if not text or "\0" in text:
        raise BadInput("The name of a file or directory is not empty.")
    return Path(text)


def endpoint_of(text: str) -> str:
    """Read a Twisted endpoint string, by making an endpoint that listens nowhere."""
    try:
        serverFromString(None, text)
    except (ValueError, TypeError, LookupError, OSError, TLSError) as error:
        raise BadInput(f"{text!r} is no endpoint to listen on, such as tcp:4001:interface=127.0.0.1 ({error}).") from None
    return text


def can_be_shared(endpoint: str) -> bool:
    """Whether workers can listen on the socket of an endpoint string: whether it is known to open one, and how."""
    return _SHARED.fullmatch(endpoint) is not None


def count_of(text: str) -> int:
    """Read how many of something there are to be, at least one."""
    if _COUNT.fullmatch(text) is None or not int(text):
        raise BadInput(f"{text!r} is no number from 1 on.")
    return int(text)


def group_of(text: str) -> str:
    """Read the name of a group."""
    if not 0 < len(text) <= 255 or not text.isprintable():
        raise BadInput(f"{text!r} is no name of a group: at most 255 printable characters.")
    return text
