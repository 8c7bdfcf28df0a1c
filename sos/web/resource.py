"""What all our resources share: handlers that are coroutines, errors that become answers, and routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from twisted.internet.defer import CancelledError
from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from sos.begun import begun
from sos.decisions import wire
from sos.http.request import Request
from sos.words.errors import ServerUnavailable, SOSError, Unavailable

Guard = Callable[[Request], None]
"""Raises an `SOSError` for a request that may not be made."""

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")


class AsyncResource(Resource):
    """A resource whose handlers are coroutines, or give one: ``handle_GET`` and so on, cancelled when the client leaves."""

    isLeaf = True
    takes_body_as_stream = True
    _log = Logger()

    def render(self, request: Request) -> int:
        """Start the handler of the request's method."""
        handle = getattr(self, "handle_" + request.method.decode("ascii"), None)
        if handle is None:
            respond_error(request, 405, "This method is not for this path.", [(b"Allow", self._allowed)])
            return NOT_DONE_YET
        answering = begun(self._answer(request, handle))
        if answering is not None:
            request.when_gone(answering.cancel)
        return NOT_DONE_YET

    async def _answer(self, request: Request, handle: Callable[[Request], Awaitable[None]]) -> None:
        """Run a handler; this is the one place where an exception becomes an answer."""
        try:
            await handle(request)
        except SOSError as error:
            self._answer_error(request, error)
        except CancelledError:
            pass  # the client is gone, and there is nobody to tell
        except Exception:  # the guard of render: a fault of ours must not end in silence, and must not be shown
            self._log.failure("A {method} of {path} failed", method=request.method, path=request.path)
            self._answer_fault(request)

    def always(self, request: Request, error: SOSError | None = None) -> list[tuple[bytes, bytes]]:
        """Give the headers that every answer to a request has, errors too."""
        return []

    def told(self, error: SOSError) -> SOSError:
        """Give the error that a client is told of; on a public port none that names what lies behind it."""
        return error

    def _answer_error(self, request: Request, raised: SOSError) -> None:
        error = self.told(raised)
        status = wire.status_of(error)
        if request.has_begun or status is None:
            self._log.info("An answer to {path} was cut off: {error}", path=request.path, error=error)
            request.abort()
        else:
            request.respond(status, [*error_headers(error), *self.always(request, error)], wire.json_of_error(error))

    def _answer_fault(self, request: Request) -> None:
        if request.has_begun:
            request.abort()
        else:
            respond_error(request, 500, "Something failed inside the server; its log says what.")

    @property
    def _allowed(self) -> bytes:
        return ", ".join(method for method in METHODS if hasattr(self, "handle_" + method)).encode("ascii")


class PublicResource(AsyncResource):
    """A resource of a public port."""

    def told(self, error: SOSError) -> SOSError:
        """Name no server: who stands behind this port is nobody's business."""
        if isinstance(error, ServerUnavailable):
            self._log.info("{error}", error=error)
            return Unavailable("A blob server behind this one broke off or cannot be reached; ask again.")
        return error


class Refusal(AsyncResource):
    """Answers every method with one error."""

    def __init__(self, error: SOSError) -> None:
        """Answer with this error."""
        super().__init__()
        self._error = error

    def render(self, request: Request) -> int:
        """Answer the error, whatever the method."""
        self._answer_error(request, self._error)
        return NOT_DONE_YET


class NoSuchPath(AsyncResource):
    """Answers every method with 404."""

    def render(self, request: Request) -> int:
        """Answer 404."""
        respond_error(request, 404, "There is nothing under this path.")
        return NOT_DONE_YET


class Routes(Resource):
    """The root of a port: picks a leaf by the raw first segment of the path, after a guard has let the request in.

    This is the one place in front of all routes, where credentials are judged. Segments are compared as they came, never
    decoded.
    """

    def __init__(self, leaves: Mapping[bytes, Resource], guard: Guard) -> None:
        """Offer each leaf under its key: ``name`` for that very path, ``name/`` for what lies one segment below it.

        A name may have several segments.
        """
        super().__init__()
        self._leaves = leaves
        self._guard = guard

    def getChildWithDefault(self, path: bytes, request: Request) -> Resource:
        """Find the leaf for a request, or what refuses it."""
        leaf = self._leaf_of(request.path[1:])
        if leaf is None:
            return NoSuchPath()
        try:
            self._guard(request)
        except SOSError as error:
            return Refusal(error)
        return leaf

    def _leaf_of(self, name: bytes) -> Resource | None:
        if name.endswith(b"/"):  # the empty segment is nobody's
            return None
        return self._leaves.get(name) or self._leaves.get(name.rpartition(b"/")[0] + b"/")


def last_segment(request: Request) -> bytes:
    """Give the raw bytes behind the last slash of the path."""
    return request.path.rpartition(b"/")[2]


def respond_error(request: Request, status: int, sentence: str, headers: wire.Headers = ()) -> None:
    """Answer with a status and one sentence."""
    request.respond(status, [(b"Content-Type", wire.JSON_TYPE), *headers], wire.json_bytes({"error": sentence}))


def respond_json(request: Request, body: bytes, headers: wire.Headers = ()) -> None:
    """Answer 200 with a JSON body."""
    request.respond(200, [(b"Content-Type", wire.JSON_TYPE), *headers], body)


def error_headers(error: SOSError) -> list[tuple[bytes, bytes]]:
    """Give the headers of an error's answer."""
    return [(b"Content-Type", wire.JSON_TYPE), *wire.headers_of_error(error)]
