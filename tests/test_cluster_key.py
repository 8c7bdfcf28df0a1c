"""The cluster key: secret, long, and nobody's example."""

from __future__ import annotations

from pathlib import Path

import pytest

from sos.cluster_key import read_cluster_key
from sos.words.errors import BadConfig

KEY = b"o2xQv1fZ0lqk3rT8"


def key_file(directory: Path, content: bytes, mode: int = 0o600) -> Path:
    """Write a key file."""
    path = directory / "key"
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("content", [KEY, KEY + b"\n", b"\r\n " + KEY + b" \r\n"])
def test_white_space_around_a_key_does_not_count(tmp_path: Path, content: bytes) -> None:
    """Editors end a file with a line end."""
    assert read_cluster_key(key_file(tmp_path, content)) == KEY


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (KEY[:15], "shorter than 16"),
        (b"changeme", "an example"),
        (b"ChangeMe-ChangeMe-ChangeMe", "an example"),
        (KEY + b"\n" + KEY, "one line of visible ASCII"),
        (KEY + b" x", "one line of visible ASCII"),
        (KEY + "é".encode(), "one line of visible ASCII"),
        (b"x" * 5000, "one line of visible ASCII"),
    ],
)
def test_a_key_that_does_not_protect_is_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    """The complaint tells how to make a good one, and never says the key."""
    with pytest.raises(BadConfig, match=sentence) as caught:
        read_cluster_key(key_file(tmp_path, content))
    assert "/dev/urandom" in str(caught.value)
    assert KEY[:8].decode() not in str(caught.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o601])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    """Nor may others write or run it."""
    with pytest.raises(BadConfig, match="can be read by others: chmod 600"):
        read_cluster_key(key_file(tmp_path, KEY, mode))


def test_a_credential_of_the_service_manager_has_group_bits(tmp_path: Path) -> None:
    """They are the mask of an access list there; the bits for all others are not."""
    assert read_cluster_key(key_file(tmp_path, KEY, 0o440), tmp_path) == KEY
    with pytest.raises(BadConfig):
        read_cluster_key(key_file(tmp_path, KEY, 0o444), tmp_path)
    with pytest.raises(BadConfig):
        read_cluster_key(key_file(tmp_path, KEY, 0o440), tmp_path.parent)


def test_a_key_that_is_missing_is_named(tmp_path: Path) -> None:
    """The sentence says which file, and why."""
    with pytest.raises(BadConfig, match=r"/key cannot be read: No such file"):
        read_cluster_key(tmp_path / "key")
