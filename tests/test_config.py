import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tickcast.config import Config, as_toml, hide_secrets, load, reference, schema
from tickcast.gateway.config import Config as GatewayConfig
from tickcast.gateway.config import SocketIoConfig
from tickcast.model.errors import UsageError

ROOT = Path(__file__).parents[1]

GOOD = """
[gateway]
port = 0
[feeds.xnas]
venue = "XNAS"
address = "127.0.0.1:26400"
password = "secret"
[feeds.xsim]
venue = "XSIM"
interval_ms = 100
[latency]
bus_read = [1, 2, 3.5]
[securities]
AAPL = ["XNAS:AAPL", "XSIM:AAPL"]
"BTC-USDT" = ["BINANCE:BTC-USDT"]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tickcast.toml"


def test_a_good_file(file: Path) -> None:
    file.write_text(GOOD)
    config = load(file)
    assert config.gateway.port == 0
    assert list(config.feeds) == ["xnas", "xsim"]
    assert config.feeds["xsim"].interval_ms == 100
    assert config.latency.bus_read == (1.0, 2.0, 3.5)
    assert config.securities["AAPL"] == ("XNAS:AAPL", "XSIM:AAPL")


def test_an_empty_file_is_the_defaults(file: Path) -> None:
    file.write_text("")
    assert load(file) == Config()


def test_a_byte_order_mark_and_carriage_returns_do_no_harm(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf[gateway]\r\nport = 1\r\nhost = 3\r\n")
    with pytest.raises(UsageError, match=r":3: gateway\.host: "):
        load(file)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("[gateway]\n\nprot = 1", 3, "gateway.prot: unknown key, did you mean port? allowed here: host, port, "),
        ("[gatway]", 1, "gatway: unknown key, did you mean gateway? allowed here: feeds, securities, "),
        ("# x\nqqqq = 1", 2, "qqqq: unknown key; allowed here: feeds, "),
        ("gateway = 5", 1, "gateway: expected a table, found 5"),
        ("[gateway]\nport = '80'", 2, 'gateway.port: expected a whole number, found "80"'),
        ("[gateway]\nport = true", 2, "gateway.port: expected a whole number, found true"),
        ("[gateway]\nport = 65536", 2, "gateway.port: expected 0 to 65535, found 65536"),
        ("[gateway]\norigins = ['a',\n 7]", 3, "gateway.origins[1]: expected text in quotes, found 7"),
        ("[gateway]\norigins = 'a'", 2, 'gateway.origins: expected a list, each entry text in quotes, found "a"'),
        ("[logging]\nlevel = 'LOUD'", 2, 'logging.level: expected one of "DEBUG", "INFO", '),
        ("[feeds.a]\nurl = 'x'", 1, "feeds.a: the key venue is missing: expected text in quotes"),
        ("[feeds.a]\nvenue = 'XNSA'", 2, "feeds.a.venue: expected one of XNAS, XBOS, BATS, XNYS, XSIM, BINANCE, "),
        ("[feeds.a]\nvenue = 'OKX'\ndepth = -7", 3, "feeds.a.depth: expected 0 or more, found -7"),
        ("[feeds.a]\nvenue = 'OKX'\ndead_after_s = nan", 3, "feeds.a.dead_after_s: expected 0 or more, found nan"),
        ("[feeds.a]\nvenue = 'OKX'\non_demand_max = 0", 3, "feeds.a.on_demand_max: expected 1 to "),
        ("[feeds.core]\nvenue = 'XNAS'", 1, "feeds.core: expected small letters"),
        ("[feeds.A]\nvenue = 'XNAS'", 1, "feeds.A: expected small letters"),
        ("feeds.a.venue = 'XSIM'\nfeeds.a.x = 1", 2, "feeds.a.x: unknown key; allowed here: venue, "),
        ("[latency]\nbus_read = [1, 2]", 2, "latency.bus_read: expected a list of 3 entries, each a number, found"),
        ("[latency]\nbus_read = [3, 2, 1]", 2, "latency.bus_read: expected [p50, p95, p99] in ms, above 0"),
        ("[supervisor]\nstop_s = 0", 2, "supervisor.stop_s: expected more than 0"),
        ("[supervisor]\nstop_s = nan", 2, "supervisor.stop_s: expected more than 0"),
        ("[supervisor]\nrestart_delay_s = 60", 1, "supervisor: restart_delay_max_s: expected at least"),
        ("[securities]\nAAPL = ['AAPL']", 2, "securities.AAPL[0]: expected an instrument with its venue"),
        ("[securities]\nAAPL = []", 2, "securities.AAPL: expected at least one instrument"),
        ("[securities]\n'XX:A' = ['XX:A']", 2, 'securities."XX:A": expected a symbol without venue'),
        ("[securities]\nA = ['XX:A']\nB = [\n'XX:A']", 4, "securities.B[0]: XX:A belongs to A already"),
        ("[gateway]\nport = 1\nport = 2", 3, "not valid TOML: Cannot overwrite a value"),
        ("[gateway\nport = 1", 1, "not valid TOML: Expected ']'"),
        ("a = [1,\n2", 2, "not valid TOML: Unclosed array"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_line(file: Path, text: str, line: int, message: str) -> None:
    file.write_text(text)
    with pytest.raises(UsageError) as refused:
        load(file)
    assert str(refused.value).startswith(f"{file}:{line}: {message}")
    assert len(str(refused.value).splitlines()) == 1


def test_a_file_that_is_not_there_is_said_with_how_to_begin_one(file: Path) -> None:
    with pytest.raises(
        UsageError, match=r"cannot be read: No such file .*; name yours with --config, or .*tickcast init"
    ):
        load(file)


def test_everything_wrong_is_said_in_the_order_of_the_file(file: Path) -> None:
    file.write_text("[bus]\nkind = 'kafka'\n[gateway]\nhost = 1\n" + "".join(f"x{n} = 1\n" for n in range(10)))
    with pytest.raises(UsageError) as refused:
        load(file)
    said = str(refused.value).splitlines()
    assert [line.split(": ")[1] for line in said[:3]] == ["bus.kind", "gateway.host", "gateway.x0"]
    assert said[10] == "and 2 more"


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.toml cannot be read: No such file"):
        load(tmp_path / "none.toml")
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        load(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b"# caf\xe9\n")
    with pytest.raises(UsageError, match="expected UTF-8 text, found the byte 0xe9"):
        load(tmp_path / "latin.toml")


def test_the_config_written_out_is_the_config(file: Path) -> None:
    file.write_text(GOOD)
    config = load(file)
    file.write_text(as_toml(config))
    assert load(file) == config
    assert "secret" not in as_toml(hide_secrets(config))
    assert tomllib.loads(as_toml(hide_secrets(config)))["feeds"]["xnas"]["password"] == 3 * "*"


def test_passwords_come_from_files_and_the_environment(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = '[feeds.xnas]\nvenue = "XNAS"\naddress = "127.0.0.1:1"\n'
    kept = tmp_path / "password"
    kept.write_text("hunter2\n")
    file.write_text(f'{table}password_file = "{kept}"\n')
    assert load(file).feeds["xnas"].password == "hunter2"  # noqa: S105  made up
    assert "hunter2" not in as_toml(hide_secrets(load(file)))
    monkeypatch.setenv("XNAS_PASSWORD", "hunter3")
    file.write_text(f'{table}password_variable = "XNAS_PASSWORD"\n')
    assert load(file).feeds["xnas"].password == "hunter3"  # noqa: S105  made up
    monkeypatch.delenv("XNAS_PASSWORD")
    with pytest.raises(
        UsageError, match=r"feeds\.xnas: expected a password in the variable XNAS_PASSWORD, found nothing"
    ):
        load(file)
    file.write_text(f'{table}password_file = "{tmp_path / "none"}"\n')
    with pytest.raises(UsageError, match=r"password_file: expected a file that holds the password, found none at"):
        load(file)
    file.write_text(f'{table}password = "a"\npassword_file = "{kept}"\n')
    with pytest.raises(UsageError, match="expected one way to the password, found password and password_file"):
        load(file)


def test_a_password_in_an_address_is_hidden() -> None:
    events = SocketIoConfig(redis_url="rediss://user:secret@redis.example:6380/1")
    hidden = hide_secrets(Config(gateway=GatewayConfig(socketio=events))).gateway.socketio
    assert hidden.redis_url == "rediss://user:***@redis.example:6380/1"


def test_every_key_is_described() -> None:
    made = schema()
    json.dumps(made)
    nodes: list[dict[str, Any]] = list(made["$defs"].values())
    assert len(nodes) >= 10
    missing = [
        f"{node['title']}.{name}"
        for node in nodes
        for name, entry in node["properties"].items()
        if not entry.get("description")
    ]
    assert not missing
    assert all(node["additionalProperties"] is False for node in nodes)


def test_the_reference_is_current() -> None:
    written = (ROOT / "docs/reference/config.md").read_text(encoding="utf-8")
    assert written == reference(), "run: python -m tickcast config reference > docs/reference/config.md"


def test_a_gateway_that_others_reach_says_who_may_come_in(tmp_path: Path) -> None:
    path = tmp_path / "tickcast.toml"
    path.write_text('[gateway]\nhost = "0.0.0.0"\n')
    with pytest.raises(UsageError, match=r"tickcast\.toml:2.*others can reach 0\.0\.0\.0"):
        load(path)
    path.write_text('[gateway]\nhost = "0.0.0.0"\n[gateway.auth]\nanonymous = false\n')
    config = load(path)
    path.write_text(as_toml(config))
    assert load(path) == config
