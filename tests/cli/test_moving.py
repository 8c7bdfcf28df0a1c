"""``sos backup``, ``sos import`` and ``sos export``: command lines, what is printed, and exit statuses."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.python.usage import UsageError

from sos.cli.backup import BackupOptions, work
from sos.cli.export import ExportOptions, Origin, written
from sos.cli.finishing import INTERRUPTED, do_without_reactor
from sos.cli.intake import ImportOptions, taken
from sos.cli.progress import NoProgress
from sos.decisions.tally import usual_min_copies
from sos.store.flat_files import FlatDirectory
from sos.usecases.downloads import Downloads
from sos.usecases.export import Export
from sos.words.errors import StoreRefused, Unavailable
from tests.store.faults import Bench
from tests.store.test_backup import LARGE
from tests.store.test_backup import put as put_on_disk
from tests.support import immediately, success_of
from tests.usecases.cluster_of import Flaky, cluster_of, memory_store, put, server
from tests.usecases.test_intake import Flat


def parsed(kind: type[Any], *arguments: str) -> Any:
    """Read a command line."""
    options = kind()
    options.parseOptions(arguments)
    return options


def test_a_command_line_names_one_directory() -> None:
    """And options that go together."""
    assert parsed(BackupOptions, "B", "-store", "s").place == Path("B")
    assert parsed(ImportOptions, "D", "--any-id").source == Path("D")
    assert parsed(ExportOptions, "-store=s", "D").target == Path("D")
    assert parsed(ExportOptions, "D", "-blob-server=http://a:1").topology.servers[0].url == "http://a:1"


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (BackupOptions, []),
        (BackupOptions, ["a", "b"]),
        (BackupOptions, [""]),
        (BackupOptions, ["a", "--verify", "--store=s"]),
        (ImportOptions, []),
        (ImportOptions, ["a", "--reserve=much"]),
        (ExportOptions, ["--store=s"]),
        (ExportOptions, ["a", "--store=s", "--blob-server=http://a:1"]),
        (ExportOptions, ["a", "--store=s", "--config=c"]),
        (ExportOptions, ["a", "--config=/nonexistent"]),
    ],
)
def test_a_mistake_is_named_before_anything_is_done(kind: type[Any], arguments: list[str]) -> None:
    """With the option that it is in."""
    with pytest.raises(UsageError):
        parsed(kind, *arguments)


def test_a_backup_says_what_it_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And what it could not; so does its check."""
    bench = Bench(tmp_path / "store")
    store = bench.open()
    put_on_disk(store, "large", LARGE)
    put_on_disk(store, "small", b"hello")
    place = str(bench.path.with_name("backup"))
    back_up, verify = parsed(BackupOptions, place, f"--store={bench.path}"), parsed(BackupOptions, place, "--verify")
    assert work(back_up, NoProgress()) == 0
    assert f"Backed up 2 blobs (100 KiB) into {place}: 1 files linked, 0 copied, 0 removed." in capsys.readouterr().out
    assert work(verify, NoProgress()) == 0
    assert capsys.readouterr().out == "2 blobs (100 KiB) are sound, 0 faults.\n"
    (named,) = bench.files("blobs")
    os.truncate(named, 7)  # the file of the backup, too
    assert work(back_up, NoProgress()) == work(verify, NoProgress()) == 1
    told = capsys.readouterr()
    assert "sos: Blob large is damaged in the store: its file has 7 bytes instead of 102400." in told.err
    assert "1 blobs (5 B) are sound, 1 faults." in told.out
    success_of(store.close())


@pytest.mark.parametrize(
    ("outcome", "status"),
    [(0, 0), (3, 3), (StoreRefused("No."), 1), (PermissionError(13, "No"), 1), (KeyboardInterrupt(), INTERRUPTED)],
)
def test_work_without_a_reactor_has_the_usual_statuses(outcome: int | BaseException, status: int) -> None:
    """A sentence for what goes wrong, and 130 after Ctrl-C."""

    def do() -> int:
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    with pytest.raises(SystemExit) as ended:
        do_without_reactor(do)
    assert ended.value.code == status


def test_an_import_says_what_it_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its status is 1 where something was left behind, and it tells of what was done even where it ended early."""
    flat = Flat(tmp_path)
    flat.write(b"hello")
    store = memory_store()
    assert success_of(taken(flat.into(store), NoProgress())) == 0
    assert capsys.readouterr().out.startswith(
        "Imported 1 objects (5 B); 0 were there already, 0 are held newer or deleted, 0"
    )
    flat.write(b"no digest", name="abc")
    assert success_of(taken(flat.into(store), NoProgress())) == 1
    assert "Imported 0 objects (0 B); 1 were there already, 0 are held newer or deleted, 1 comp" in capsys.readouterr().out
    full = flat.into(Flaky(memory_store(), always=Unavailable("No.")))
    with pytest.raises(Unavailable):
        success_of(taken(full, NoProgress()))
    assert "Imported 0 objects" in capsys.readouterr().out


def test_a_store_with_something_in_it_is_asked_first() -> None:
    """An empty one need not be."""
    options = parsed(ImportOptions, "D")
    store = memory_store()
    assert not options.rules_for(store.status()).passes_over
    put(store, b"hello", "abc")
    assert options.rules_for(store.status()).passes_over
    assert not parsed(ImportOptions, "D", "--verify").rules_for(store.status()).passes_over


def test_an_export_says_what_it_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And whose objects may be missing."""
    store = memory_store()
    put(store, b"hello", hashlib.sha1(b"hello").hexdigest())
    objects = Downloads(cluster_of(one={"a": store}), usual_min_copies, Clock())

    def status_of(origin: Origin) -> int:
        export = Export(objects, FlatDirectory(tmp_path), immediately, print, lambda number: None)
        return success_of(written(export, origin, NoProgress()))

    assert status_of(Origin(objects, {server("a"): store})) == 0
    assert capsys.readouterr().out == "Exported 1 objects (5 B); 0 were there already, 0 complaints.\n"
    gone = Flaky(store, always=Unavailable("It refused the connection."))
    assert status_of(Origin(objects, {server("a"): store, server("b"): gone})) == 1
    told = capsys.readouterr()
    assert told.out == "Exported 0 objects (0 B); 1 were there already, 0 complaints.\n"
    assert "http://b:3001 is out of reach: It refused the connection; what it alone has is not exported." in told.err
    assert status_of(Origin(objects, {server("a"): store}, damaged=2)) == 1
    assert "2 blobs of the store are damaged" in capsys.readouterr().err
