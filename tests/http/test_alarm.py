"""Alarms: when they go off, and when they do not."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from sos.http.alarm import Alarm


@pytest.fixture
def clock() -> Clock:
    """Give a clock that stands still."""
    return Clock()


@pytest.fixture
def rung() -> list[str]:
    """Give a place to note what went off."""
    return []


def test_in_time(clock: Clock, rung: list[str]) -> None:
    """It goes off once, when its time has come."""
    Alarm(clock).set(5.0, lambda: rung.append("now"))
    clock.advance(4.9)
    assert not rung
    clock.advance(0.1)
    clock.advance(100.0)
    assert rung == ["now"]


def test_set_anew(clock: Clock, rung: list[str]) -> None:
    """Each setting takes the place of the one before."""
    alarm = Alarm(clock)
    alarm.set(5.0, lambda: rung.append("first"))
    clock.advance(4.0)
    alarm.set(5.0, lambda: rung.append("second"))
    clock.advance(4.9)
    assert not rung
    clock.advance(0.1)
    assert rung == ["second"]


def test_earlier(clock: Clock, rung: list[str]) -> None:
    """A time that is earlier than the one set before counts."""
    alarm = Alarm(clock)
    alarm.set(50.0, lambda: rung.append("late"))
    alarm.set(1.0, lambda: rung.append("early"))
    clock.advance(1.0)
    assert rung == ["early"]


def test_one_timer(clock: Clock, rung: list[str]) -> None:
    """Setting it later again and again makes no further timers."""
    alarm = Alarm(clock)
    for _ in range(100):
        alarm.set(5.0, lambda: rung.append("now"))
        clock.advance(0.01)
        assert len(clock.getDelayedCalls()) == 1
    clock.pump([0.5] * 9)
    assert not rung
    clock.advance(0.5)
    assert rung == ["now"]


def test_cleared(clock: Clock, rung: list[str]) -> None:
    """One that was cleared is silent until it is set."""
    alarm = Alarm(clock)
    alarm.set(1.0, lambda: rung.append("cleared"))
    alarm.clear()
    clock.advance(10.0)
    assert not rung
    alarm.set(1.0, lambda: rung.append("set"))
    clock.advance(1.0)
    assert rung == ["set"]


def test_stopped(clock: Clock, rung: list[str]) -> None:
    """One that was stopped leaves nothing in the reactor."""
    alarm = Alarm(clock)
    alarm.set(1.0, lambda: rung.append("stopped"))
    alarm.stop()
    assert not clock.getDelayedCalls()
    alarm.set(2.0, lambda: rung.append("set"))
    clock.advance(2.0)
    assert rung == ["set"]


def test_set_when_it_goes_off(clock: Clock, rung: list[str]) -> None:
    """It can be set from within its own call."""
    alarm = Alarm(clock)

    def ring() -> None:
        rung.append("now")
        alarm.set(1.0, ring)

    alarm.set(1.0, ring)
    clock.pump([1.0] * 3)
    assert rung == ["now"] * 3
