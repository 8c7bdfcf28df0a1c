"""The configuration files: which are read, and what is said of one that cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from sos.config_files import PERSONAL_FILE, SYSTEM_FILE, read_default, read_named
from sos.words.errors import BadConfig


def test_the_files_are_those_of_the_ancestor() -> None:
    """An installation that is there already is found."""
    assert (str(SYSTEM_FILE), str(PERSONAL_FILE)) == ("/etc/sos.conf", "~/.sos.conf")


def test_the_default_files_add_up(tmp_path: Path) -> None:
    """First the system's, then the user's own."""
    (tmp_path / "first").write_text("http://a\n")
    (tmp_path / "second").write_text("http://b\n")
    topology = read_default([tmp_path / "first", tmp_path / "missing", tmp_path / "second"])
    assert [server.url for server in topology.servers] == ["http://a", "http://b"]


def test_the_personal_file_is_in_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tilde stands for it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".sos.conf").write_text("http://mine\n")
    assert [server.url for server in read_default([PERSONAL_FILE]).servers] == ["http://mine"]


def test_default_files_may_be_missing(tmp_path: Path) -> None:
    """Neither has to be there, nor the directory that it would be in."""
    (tmp_path / "file").write_text("")
    assert read_default([tmp_path / "no", tmp_path / "file" / "no", Path("~no-such-user-here/x")]).is_empty


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    """A typing error is not an empty configuration."""
    with pytest.raises(BadConfig, match=r"no\.conf cannot be read: No such file"):
        read_named(tmp_path / "no.conf")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A default file too, once it is there."""
    with pytest.raises(BadConfig, match="cannot be read: Is a directory"):
        read_default([tmp_path])


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    """With the place where it stops being text."""
    (tmp_path / "sos.conf").write_bytes(b"# \xff\n")
    with pytest.raises(BadConfig, match=r"sos\.conf is not UTF-8 text: byte 2"):
        read_named(tmp_path / "sos.conf")


def test_a_bad_line_is_named_with_its_file(tmp_path: Path) -> None:
    """The operator knows where to look."""
    (tmp_path / "sos.conf").write_text("http://a\nwhat\n")
    with pytest.raises(BadConfig, match=r"/sos\.conf, line 2: 'what'"):
        read_named(tmp_path / "sos.conf")
