"""Who may ask what: the rules that stand in front of all routes of a port."""

from __future__ import annotations

import hashlib
import hmac

from sos.decisions import wire
from sos.http.request import Request
from sos.words.errors import BadInput, Forbidden, Unauthorized


class ClusterGuard:
    """In front of a blob server: the cluster key where there is one, else no steering from beyond this host.

    Without a key the open contract of the ancestor is open to all, and only what can destroy or steer, which are
    `wire.INTERNAL` headers, ``DELETE`` and ``/sync``, is taken from loopback peers alone (design, section 2).
    """

    def __init__(self, key: bytes | None) -> None:
        """Ask for this key, or for none."""
        self._digest = None if key is None else hashlib.sha256(b"Bearer " + key).digest()

    def __call__(self, request: Request) -> None:
        """Raise `Unauthorized`, `Forbidden`, or `BadInput` for an internal header that nobody knows."""
        if request.path == b"/alive":
            return
        internal = wire.internal_names(request.raw_headers)
        if self._digest is not None:
            self._ask_for_key(request)
        elif (internal or _steers(request)) and not request.is_from_loopback:
            raise Forbidden(
                "This blob server takes X-Sos- headers, DELETE and /sync from its own host only; give it, and all who "
                "write to it, the same --cluster-key-file."
            )
        if not internal <= wire.REQUEST_HEADERS:
            raise BadInput("The request has an X-Sos- header that this server does not know.")

    def _ask_for_key(self, request: Request) -> None:
        """Compare digests, so that the time taken says nothing of the key, and a key may have any length."""
        given = hashlib.sha256(request.header(b"authorization") or b"").digest()
        if not hmac.compare_digest(given, self._digest or b""):
            raise Unauthorized("This blob server asks for its cluster key (Authorization: Bearer).")


def _steers(request: Request) -> bool:
    """Whether a request can destroy or steer without any internal header."""
    return request.method == b"DELETE" or request.path.startswith(b"/sync")


def refuse_internal_headers(request: Request) -> None:
    """Stand in front of a public port: `wire.INTERNAL` headers are ours alone. Raises `BadInput`."""
    if wire.internal_names(request.raw_headers):
        raise BadInput("X-Sos- headers are reserved; name your own metadata otherwise.")
