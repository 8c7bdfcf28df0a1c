"""What no figure of writes may be bought with."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from benchmarks.bench import QUICK, Bench
from benchmarks.durability import check_connection, check_settings
from benchmarks.figures import Wrong


def test_a_store_syncs_each_commit(tmp_path: Path) -> None:
    """It is opened as a blob server opens it, and its own connection is asked."""
    with Bench(QUICK, tmp_path, {}) as bench:
        check_settings(bench)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("setting", ["OFF", "NORMAL"])
def test_a_connection_that_does_not_sync_is_found(setting: str) -> None:
    """In WAL mode NORMAL leaves commits to the next checkpoint."""
    connection = sqlite3.connect(":memory:")
    connection.execute(f"PRAGMA synchronous = {setting}")
    with pytest.raises(Wrong, match="not durable"):
        check_connection(connection)
    connection.close()
