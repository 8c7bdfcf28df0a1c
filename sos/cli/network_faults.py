"""What the network comes up with, in one sentence: Agent wraps what happened, in lists of failures."""

from __future__ import annotations

from collections.abc import Iterator

from OpenSSL.SSL import Error as TLSError
from service_identity import VerificationError
from twisted.internet import error as errors
from twisted.internet.defer import CancelledError

from sos.words.errors import ServerUnavailable, SOSError

_WHY: tuple[tuple[type[Exception], str], ...] = (
    (errors.ConnectionRefusedError, "it refused the connection"),
    (errors.DNSLookupError, "its name cannot be resolved"),
    (errors.NoRouteError, "there is no way to it"),
    (errors.TimeoutError, "there is no way to it"),
    (VerificationError, "its certificate is for another name"),
    (TLSError, "TLS failed, or its certificate is not trusted"),
    (errors.ConnectError, "there is no way to it"),
    (errors.ConnectionClosed, "it closed the connection"),
)


def meaning_of(error: BaseException, server: str) -> BaseException:
    """Give the exception that says what an exception of Agent means.

    What is no fault of the network comes out as it went in: ours, a cancellation, a file that cannot be read or written.
    """
    causes = list(_causes(error))
    if any(isinstance(cause, CancelledError | errors.ConnectingCancelledError) for cause in causes):
        return CancelledError()
    for cause in causes:
        if isinstance(cause, SOSError):
            return cause
    for kind, words in _WHY:
        if any(isinstance(cause, kind) for cause in causes):
            return ServerUnavailable(server, words)
    if any(type(cause).__module__.startswith("twisted.") for cause in causes[-1:]):
        return ServerUnavailable(server, f"it answered as no api does ({type(causes[-1]).__name__})")
    return causes[-1]


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Give an exception, and all that it stands for."""
    yield error
    for reason in getattr(error, "reasons", None) or ():
        yield from _causes(reason.value)
