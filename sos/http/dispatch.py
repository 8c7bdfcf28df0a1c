"""Finds the resource that answers a request, lets it, and answers in its place where it fails."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.error import UnsupportedMethod
from twisted.web.resource import IResource, getChildForRequest
from twisted.web.server import NOT_DONE_YET

from sos.decisions import wire
from sos.http import outgoing
from sos.http.bodies import collect
from sos.http.request import Request
from sos.words.errors import BlobTooLarge, SOSError

_log = Logger()


class Dispatcher:
    """Brings requests to a tree of resources of twisted.web."""

    def __init__(self, root: IResource, collected_body: int) -> None:
        """Begin at `root`; collect bodies of at most so many bytes for resources that do not take them as streams."""
        self._root = root
        self._collected_body = collected_body

    def dispatch(self, request: Request) -> None:
        """Answer a request, now or later."""
        if request.path == b"*":  # OPTIONS of the whole server: there is nothing to tell
            request.respond(204)
            return
        try:
            resource = getChildForRequest(self._root, request)
        except Exception:  # the guard of the traversal: resources are anybody's
            answer_failure(Failure(), request)
            return
        if not request.head.length or getattr(resource, "takes_body_as_stream", False):
            _render(resource, request)
        else:
            self._collect(resource, request)

    def _collect(self, resource: IResource, request: Request) -> None:
        """Render a resource that finds the body in ``content``, once it is all there."""
        limit = self._collected_body
        if (request.body.length or 0) > limit:
            _refuse_body(request, limit)
            return
        collecting = Deferred.fromCoroutine(collect(request.body, limit))
        collecting.addCallbacks(
            lambda body: _render_with(resource, request, body), lambda failure: _not_collected(failure, request, limit)
        )


def _render_with(resource: IResource, request: Request, body: bytes) -> None:
    request.content.write(body)
    request.content.seek(0)
    if not request.is_over:
        _render(resource, request)


def _not_collected(failure: Failure, request: Request, limit: int) -> None:
    """Refuse a body that is too long; whatever else is wrong with it, the front has answered."""
    if failure.check(BlobTooLarge):
        _refuse_body(request, limit)
    elif not failure.check(SOSError):
        answer_failure(failure, request)


def _refuse_body(request: Request, limit: int) -> None:
    headers, body = outgoing.error_parts(f"This resource takes at most {limit} bytes.")
    request.respond(413, headers, body)


def _render(resource: Any, request: Request) -> None:
    try:
        answer = resource.render(request)
        if answer != NOT_DONE_YET:
            request.finish_with(answer)
    except UnsupportedMethod as error:
        headers, body = outgoing.error_parts("This resource does not know that method.")
        request.respond(405, [(b"Allow", b", ".join(sorted(error.allowedMethods))), *headers], body)
    except Exception:  # the guard of render: one bad resource or request must not take the server down
        answer_failure(Failure(), request)


def answer_failure(failure: Failure, request: Request) -> None:
    """Answer for a resource that failed: an error of ours by its status, any other as 500, logged and not told."""
    error = failure.value
    status = wire.status_of(error) if isinstance(error, SOSError) else None
    if status is None:
        _log.failure("{request} failed", failure, request=request)
    if request.is_over:
        return
    if request.has_begun:
        request.abort()
    elif isinstance(error, SOSError) and status is not None:
        headers = [(b"Content-Type", wire.JSON_TYPE), *wire.headers_of_error(error)]
        request.respond(status, headers, wire.json_of_error(error))
    else:
        request.respond(500, *outgoing.error_parts("Something went wrong in this server; its log says what."))
