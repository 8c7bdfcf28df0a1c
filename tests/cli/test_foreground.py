"""The foreground: a service starts, says so, and is stopped before the reactor stops."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.application.service import MultiService, Service
from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock

from sos.cli.foreground import serve
from sos.words.errors import StoreRefused
from tests.support import failure_of


class Recorded(Service):
    """A service that remembers whether it was asked to listen early."""

    has_listened = False

    def privilegedStartService(self) -> None:
        """Listen."""
        self.has_listened = True


class Refusing(Service):
    """A service that cannot start."""

    def startService(self) -> None:
        """Say why not."""
        raise StoreRefused("data1 is in use by another process.")


def test_a_service_starts_and_the_banner_follows(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever sees the banner can connect."""
    parent, service = MultiService(), Recorded()
    service.setServiceParent(parent)
    waiting = Deferred.fromCoroutine(serve(MemoryReactorClock(), lambda reactor: parent, "ready\n"))
    assert service.running and service.has_listened
    assert not waiting.called
    assert capsys.readouterr().out == "ready\n"


def test_the_service_stops_before_the_reactor_does() -> None:
    """Its Deferred is waited for: that is what a trigger before the shutdown means."""
    reactor, service = MemoryReactorClock(), Recorded()
    waiting = Deferred.fromCoroutine(serve(reactor, lambda _: service, ""))
    [(stop, arguments, keywords)] = reactor.triggers["before"]["shutdown"]
    stop(*arguments, **keywords)
    assert not service.running
    assert not waiting.called


@pytest.mark.parametrize("refusal", ["made", "started"])
def test_a_service_that_cannot_start_is_one_sentence(refusal: str, capsys: pytest.CaptureFixture[str]) -> None:
    """There is no traceback and no banner, and the exit status says that it failed."""

    def make(reactor: Any) -> Service:
        if refusal == "made":
            raise StoreRefused("data1 is in use by another process.")
        return Refusing()

    error = failure_of(serve(MemoryReactorClock(), make, "ready\n"))
    assert isinstance(error, SystemExit) and error.code == 1
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "data1 is in use by another process.\n")


def test_a_defect_is_not_hidden() -> None:
    """Only what sos expects to go wrong is put into a sentence."""

    def make(reactor: Any) -> Service:
        raise ZeroDivisionError

    assert isinstance(failure_of(serve(MemoryReactorClock(), make, "")), ZeroDivisionError)
