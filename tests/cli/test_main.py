"""The ``sos`` command: which subcommand runs, and the exit statuses."""

from __future__ import annotations

import pytest

from sos.cli.main import COMMANDS, main
from sos.cli.servers import banner_of
from sos.options import Options


def test_without_a_command_it_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    """And that is no error."""
    assert main([]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {name} " in shown for name in COMMANDS)


@pytest.mark.parametrize("word", ["help", "-h", "-help", "--help"])
def test_it_can_be_asked_for_help(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In any of the usual ways."""
    assert main([word]) == 0
    assert "Usage: sos COMMAND" in capsys.readouterr().out


def test_a_command_can_be_asked_for_help(capsys: pytest.CaptureFixture[str]) -> None:
    """Before or after its name."""
    for arguments in (["help", "blob-server"], ["blob-server", "-help"], ["blob-server", "--help"]):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert not caught.value.code
        shown = capsys.readouterr().out
        assert shown.startswith("Usage: sos blob-server [options]")
        assert "--must-exist" in shown and "--upload-port" not in shown


def test_an_unknown_command_is_an_error_of_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """The sentence lists those that there are."""
    assert main(["blob-sever"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("sos: 'blob-sever' is none of its commands: blob-server, api-server, replicate, put, ")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["blob-server", "-port", "x"], "sos blob-server: --port: 'x' is no port"),
        (["blob-server", "-role", "api"], "sos blob-server: --role: this command has the role blob"),
        (["api-server", "-store", "x", "-blob-server", "http://a"], "sos api-server: --store means nothing to --role=api"),
        (["replicate", "-blob-server", "a"], "sos replicate: --blob-server: 'a' is no blob server"),
        (["version", "-store"], "sos version: option -s not recognized"),
    ],
)
def test_a_bad_option_is_an_error_of_usage(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence that names the option, and where to read more."""
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith(sentence)
    assert shown.err.endswith(f"Try: sos {arguments[0]} --help\n")


def test_dump_shows_the_servers(capsys: pytest.CaptureFixture[str]) -> None:
    """With one dash, as it always was."""
    with pytest.raises(SystemExit) as caught:
        main(["api-server", "-blob-server", "http://localhost:4001,http://localhost:4002", "-dump"])
    assert not caught.value.code
    assert capsys.readouterr().out == (
        "\t     group - server\n\t   default - http://localhost:4001\n\t   default - http://localhost:4002\n"
    )


@pytest.mark.parametrize("arguments", [["version"], ["-version"], ["--version"]])
def test_the_version_is_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The program's name, and the number."""
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("sos ") and shown.count("\n") == 1


def test_a_verbose_version_says_what_it_stands_on(capsys: pytest.CaptureFixture[str]) -> None:
    """For whoever reports a fault."""
    assert main(["version", "-verbose"]) == 0
    assert ", Twisted " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "first_line"),
    [
        (["--role=blob", "-port=4001", "-store=data1"], "blob-server available at http://127.0.0.1:4001/"),
        (["--role=api", "--blob-server=http://a"], "[Launching API-server]"),
        (["--role=all"], "[Launching API-server]"),
    ],
)
def test_each_role_has_its_banner(arguments: list[str], first_line: str) -> None:
    """It begins as people's scripts expect."""
    options = Options()
    options.parseOptions(arguments)
    assert banner_of(options).splitlines()[0] == first_line
