"""The options: what they come to, and what is said of each that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.python.usage import UsageError

from sos import options as options_module
from sos.options import Options, WorkerOptions
from sos.settings import AllSettings, ApiSettings, BlobSettings
from sos.store.room import Reserve

KIB = 2**10
MIB = 2**20
TIB = 2**40


def parsed(*arguments: str) -> Options:
    """Read a command line."""
    options = Options()
    options.parseOptions(list(arguments))
    return options


def blob(*arguments: str) -> BlobSettings:
    """Read the options of a blob server."""
    settings = parsed("--role=blob", *arguments).settings
    assert isinstance(settings, BlobSettings)
    return settings


def api(*arguments: str) -> ApiSettings:
    """Read the options of an api server that has one blob server."""
    settings = parsed("--role=api", "--blob-server=http://a:1", *arguments).settings
    assert isinstance(settings, ApiSettings)
    return settings


def everything(*arguments: str) -> AllSettings:
    """Read the options of an api with stores of its own."""
    settings = parsed(*arguments).settings
    assert isinstance(settings, AllSettings)
    return settings


def test_a_blob_server_keeps_to_the_loopback_unless_told() -> None:
    """Its defaults are those of the contract."""
    settings = blob()
    assert settings.path == Path("data")
    assert settings.listen.endpoint == "tcp:3001:interface=127.0.0.1:backlog=1024"
    assert settings.listen.url("/") == "http://127.0.0.1:3001/"
    assert not settings.listen.is_open
    assert settings.warnings == ()
    assert settings.stores.reserve == Reserve()
    assert not settings.stores.must_exist
    assert settings.stores.scrub_rate is None
    assert settings.cluster_key is None


def test_an_api_server_is_there_for_everybody() -> None:
    """Its defaults are those of the contract."""
    settings = api()
    assert settings.upload.url("/upload") == "http://0.0.0.0:9991/upload"
    assert settings.download.url("/fetch/:id") == "http://0.0.0.0:9992/fetch/:id"
    assert settings.upload.is_open
    assert (settings.replicate_every, settings.hash_name, settings.max_object) == (60.0, "sha1", TIB)
    assert (settings.chunk_size, settings.upload_memory) == (4 * MIB, 256 * MIB)
    assert settings.download_memory == 128 * MIB
    assert settings.cache_control is None


def test_an_embedded_one_keeps_to_the_loopback_unless_told() -> None:
    """Without a role it is an api and one store in one process."""
    settings = everything()
    assert settings.paths == (Path("data"),)
    assert settings.api.upload.endpoint == "tcp:9991:interface=127.0.0.1:backlog=1024"
    assert settings.api.download.endpoint == "tcp:9992:interface=127.0.0.1:backlog=1024"
    assert everything("--api-host=0.0.0.0").api.upload.is_open


def test_each_store_of_an_embedded_one_is_a_member() -> None:
    """All are of the group default, so replication makes copies among them."""
    settings = everything("-store", "one", "--store=two")
    assert [(server.url, path) for server, path in settings.path_of.items()] == [
        ("store:one", Path("one")),
        ("store:two", Path("two")),
    ]
    assert [group.name for group in settings.api.topology.groups] == ["default"]


def test_options_of_a_blob_server() -> None:
    """One dash or two; a port of 0 is a port."""
    settings = blob("-store", "data1", "-port", "0", "--host=::1", "--must-exist", "-reserve=2.5%", "-v")
    assert settings.path == Path("data1")
    assert settings.listen.endpoint == r"tcp:0:interface=\:\:1:backlog=1024"
    assert settings.listen.url("/") == "http://[::1]:0/"
    assert not settings.listen.is_open
    assert settings.stores.must_exist and settings.verbose
    assert settings.stores.reserve == Reserve(percent=2.5, least=0)
    assert [blob(f"--scrub-rate={rate}").stores.scrub_rate for rate in ("0", "2.5")] == [0, 2_500_000]
    assert blob("--reserve=10GiB").stores.reserve.bytes_of(2**50) == 10 * 2**30


def test_options_of_an_api_server() -> None:
    """Each comes out checked and typed."""
    settings = api(
        "--replicate-every=0.5",
        "--hash=sha256",
        "--max-object=1M",
        "--chunk-size=64KiB",
        "--upload-memory=256KiB",
        "--download-memory=1GiB",
        "--cache-control=no-store",
        "-upload-port",
        "1",
        "-verbose",
    )
    assert (settings.replicate_every, settings.hash_name, settings.max_object) == (0.5, "sha256", MIB)
    assert (settings.chunk_size, settings.upload_memory) == (64 * KIB, 256 * KIB)
    assert settings.download_memory == 1024 * MIB
    assert settings.cache_control == b"no-store"
    assert settings.upload.url("/upload") == "http://0.0.0.0:1/upload"
    assert settings.verbose
    assert api("--replicate-every=0").replicate_every == 0


def test_endpoint_strings_say_where_to_listen() -> None:
    """They are shown as they were written."""
    settings = blob("--listen=unix:/run/sos/blob.sock")
    assert settings.listen.endpoint == settings.listen.url("/") == "unix:/run/sos/blob.sock"
    assert not settings.listen.is_open
    assert blob("--listen=tcp:1").listen.is_open
    assert not blob("--listen=tcp:1:interface=127.0.0.1").listen.is_open
    assert not blob(r"--listen=tcp:1:interface=\:\:1").listen.is_open
    assert api("--upload-listen=tcp:7:interface=127.0.0.1").upload.endpoint == "tcp:7:interface=127.0.0.1"


def test_an_api_can_have_workers() -> None:
    """One process is the default."""
    assert api().workers == 1
    assert api("--workers=64").workers == 64
    assert api("--workers=2", "--upload-listen=unix:/run/u", "--download-listen=haproxy:tcp:1").workers == 2


def test_a_worker_has_the_options_of_its_parent_on_inherited_ports() -> None:
    """It has no workers itself; the first of them has the timers. Whose descriptors ``systemd:`` means is no matter."""
    typed = [
        "-blob-server",
        "http://a:1",
        "--workers=2",
        "--replicate-every=7",
        "--upload-listen=systemd:domain=INET:index=9",
    ]
    for number in (1, 2):
        options = WorkerOptions(number)
        options.parseOptions(typed)
        settings = options.settings
        assert isinstance(settings, ApiSettings)
        assert (settings.workers, settings.replicate_every, settings.has_timers) == (1, 7.0, number == 1)
        assert (settings.upload.inherited_as, settings.download.inherited_as) == (3, 4)
        assert settings.download.endpoint == "tcp:9992:interface=0.0.0.0:backlog=1024"
    assert api().has_timers and api().upload.inherited_as is None


def test_what_was_typed_is_kept() -> None:
    """Workers are started with it."""
    options = parsed("-store", "data1", "--port=0", "--role=blob")
    assert options.arguments == ("--store", "data1", "--port=0", "--role=blob")
    assert options.directory == Path.cwd()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--role=blobs"], "--role: 'blobs' is none of: blob, api, all"),
        (["--role=blob", "--port=65536"], "--port: '65536' is no port"),
        (["--role=blob", "--port=-1"], "--port: '-1' is no port"),
        (["--role=blob", "--port=٨٠"], "--port: "),
        (["--role=blob", "--port=1_0"], "--port: "),
        (["--role=blob", "--host="], "--host: "),
        (["--role=blob", "--host=a b"], "--host: "),
        (["--role=blob", "--host=a:b"], "--host: "),
        (["--role=blob", "--store="], "--store: "),
        (["--role=blob", "--store=a", "--store=b"], "--store: a blob server has one store"),
        (["--store=a", "--store=./a"], "--store: a directory was given twice"),
        (["--role=blob", "--listen=tcp:x"], "--listen: 'tcp:x' is no endpoint"),
        (["--role=blob", "--listen=wibble:1"], "--listen: "),
        (["--role=blob", "--listen=ssl:1:privateKey=/no/such/file"], "--listen: "),
        (["--role=blob", "--listen=tcp:1", "--port=1"], "--listen and --port both"),
        (["--upload-listen=tcp:1", "--upload-port=1"], "--upload-listen and --upload-port both"),
        (["--reserve=x"], "--reserve: 'x' is no reserve"),
        (["--reserve=100%"], "--reserve: "),
        (["--reserve=-1"], "--reserve: "),
        (["--hash=md5"], "--hash: 'md5' is none of: sha1, sha256"),
        (["--replicate-every=x"], "--replicate-every: "),
        (["--replicate-every=-1"], "--replicate-every: "),
        (["--replicate-every=nan"], "--replicate-every: "),
        (["--download-memory=15MiB"], "--download-memory: "),
        (["--max-object=0"], "--max-object: "),
        (["--chunk-size=65535"], "--chunk-size: A chunk has 64KiB to 64MiB."),
        (["--chunk-size=65MiB"], "--chunk-size: "),
        (["--upload-memory=1MiB"], "--upload-memory: 4 chunks have to fit into it, which are 16 MiB."),
        (["--upload-memory=256MiB", "--chunk-size=64MiB", "--max-object=x"], "--max-object: "),
        (["--role=api", "--blob-server=http://a", "--workers=0"], "--workers: '0' is no number of workers: 1 to 64"),
        (["--role=api", "--blob-server=http://a", "--workers=65"], "--workers: "),
        (["--role=api", "--blob-server=http://a", "--workers=+2"], "--workers: "),
        (["--role=api", "--blob-server=http://a", "--workers=٤"], "--workers: "),
        (["--workers=2"], "--workers means nothing to --role=all"),
        (["--role=blob", "--workers=2"], "--workers means nothing to --role=blob"),
        (
            ["--role=api", "--blob-server=http://a", "--workers=2", "--upload-listen=stdio:"],
            "--upload-listen: workers can share tcp:, ssl:, unix: and systemd: endpoints, and not 'stdio:'",
        ),
        (["--cache-control=a\r\nb"], "--cache-control: "),
        (["--role=api", "--blob-server=localhost:4001"], "--blob-server: "),
        (["--role=api", "--blob-server=http://a", "--store=x"], "--store means nothing to --role=api"),
        (["--role=api", "--blob-server=http://a", "--port=0"], "--port means nothing to --role=api"),
        (["--role=blob", "--upload-port=1"], "--upload-port means nothing to --role=blob"),
        (["--role=blob", "--blob-server=http://a"], "--blob-server means nothing to --role=blob"),
        (["--role=blob", "--dump"], "--dump means nothing to --role=blob"),
        (["--host=127.0.0.1"], "--host means nothing to --role=all"),
        (["--cluster-key-file=key"], "--cluster-key-file means nothing to --role=all"),
        (["--role=blob", "--cluster-key-file=/no/such/file"], "/no/such/file cannot be read"),
        (["--role=api", "--config=/no/such/file"], "/no/such/file cannot be read"),
        (["--role=blob", "data1"], "'data1' is no option"),
        (["--role=blob", "--scrub-rate=-1"], "--scrub-rate: "),
        (["--role=blob", "--scrub-rate=fast"], "--scrub-rate: 'fast' is no number of megabytes a second"),
        (["--role=api", "--blob-server=http://a", "--scrub-rate=1"], "--scrub-rate means nothing to --role=api"),
        (["--wibble"], "--wibble not recognized"),
    ],
)
def test_what_is_wrong_is_named(arguments: list[str], sentence: str) -> None:
    """The operator learns which option it was."""
    with pytest.raises(UsageError) as caught:
        parsed(*arguments)
    assert sentence in str(caught.value)


def test_a_command_that_is_one_roles_own_keeps_its_role() -> None:
    """Another role is another command."""
    with pytest.raises(UsageError, match="--role: this command has the role blob"):
        Options("blob").parseOptions(["--role=api"])


def test_every_option_means_something_to_a_role() -> None:
    """A new option that is in no role's list could never be given."""
    known = {option.rstrip("=") for option in Options().longOpt} - {"help", "version"}
    assert known == set().union(*options_module._OF_ROLE.values())


def test_the_command_line_replaces_the_files(tmp_path: Path) -> None:
    """Its servers are the group default, and the only ones."""
    (tmp_path / "conf").write_text("[1]\nhttp://of-the-file\n")
    config = f"--config={tmp_path / 'conf'}"
    assert [server.url for server in api(config).topology.servers] == ["http://a:1"]
    settings = parsed("--role=api", config).settings
    assert isinstance(settings, ApiSettings)
    assert [group.name for group in settings.topology.groups] == ["1"]


def test_the_topology_can_be_read_again(tmp_path: Path) -> None:
    """A running server learns of new members that way."""
    path = tmp_path / "conf"
    path.write_text("http://a\n")
    options = parsed("--role=api", f"--config={path}")
    path.write_text("http://a\nhttp://b\n")
    assert [server.url for server in options.read_topology().servers] == ["http://a", "http://b"]


def test_an_api_without_servers_is_told_what_to_write_where(tmp_path: Path) -> None:
    """The sentence has an example."""
    path = tmp_path / "conf"
    path.write_text("# none yet\n")
    with pytest.raises(UsageError, match=r"--blob-server=http://HOST:PORT.* or write one URL a line into .*conf"):
        parsed("--role=api", f"--config={path}")


def test_dump_shows_the_table_and_leaves(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is started."""
    with pytest.raises(SystemExit) as caught:
        api("-dump")
    assert not caught.value.code
    assert capsys.readouterr().out == "\t     group - server\n\t   default - http://a:1\n"


def test_a_key_is_read_and_never_shown(tmp_path: Path) -> None:
    """Not even where the settings themselves are printed."""
    path = tmp_path / "key"
    path.write_text("o2xQv1fZ0lqk3rT8canary\n")
    path.chmod(0o600)
    for settings in (blob(f"--cluster-key-file={path}"), api(f"--cluster-key-file={path}")):
        assert settings.cluster_key == b"o2xQv1fZ0lqk3rT8canary"
        assert "canary" not in repr(settings)


def test_a_blob_server_that_others_reach_warns(tmp_path: Path) -> None:
    """With a key there is nothing to warn of."""
    path = tmp_path / "key"
    path.write_text("o2xQv1fZ0lqk3rT8")
    path.chmod(0o600)
    assert "has no cluster key" in blob("--host=0.0.0.0").warnings[0]
    assert blob("--host=0.0.0.0", f"--cluster-key-file={path}").warnings == ()
    assert blob("--host=localhost").warnings == ()


def test_help_leaves_out_what_means_nothing_to_the_role(capsys: pytest.CaptureFixture[str]) -> None:
    """A blob server's help is not about uploads."""
    with pytest.raises(SystemExit):
        parsed("--role=blob", "-help")
    shown = capsys.readouterr().out
    assert "--store=" in shown and "--upload-port=" not in shown


def test_the_version_is_that_of_sos(capsys: pytest.CaptureFixture[str]) -> None:
    """Not that of Twisted, which `usage.Options` shows otherwise."""
    with pytest.raises(SystemExit):
        parsed("--version")
    assert capsys.readouterr().out.startswith("sos ")
