"""Stores that are filled for a row."""

from __future__ import annotations

import time
from pathlib import Path

from twisted.internet.defer import Deferred

from benchmarks.filled import HeldBack, at_once, fill, name_of, payload_of
from sos.http.bodies import collect
from sos.store.opening import open_disk_store
from tests.support import success_of


def test_a_filled_store_holds_what_it_should(tmp_path: Path) -> None:
    """Also where the last commit has fewer writes than the others."""
    fill(tmp_path / "store", 300)
    committing = HeldBack()
    store = open_disk_store(tmp_path / "store", in_thread=at_once, commit_in_thread=committing, wall=time.time)
    assert list(success_of(store.enumerate(limit=1000))) == sorted(name_of(number) for number in range(300))
    opened = success_of(store.fetch(name_of(299)))
    assert success_of(collect(opened.body, 5000)) == payload_of(299)
    closing = Deferred.fromCoroutine(store.close())
    committing.run()
    success_of(closing)
