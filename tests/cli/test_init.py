"""``tickcast init``: what it writes is good, starts, and says what its comments say."""

import re
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from tickcast import config as settings
from tickcast.cli.init import FIRST, STARTERS
from tickcast.cli.main import cli
from tickcast.model.errors import UsageError
from tickcast.sim import universe
from tickcast.sim.config import Config
from tickcast.sim.crypto.listing import spots
from tickcast.sim.crypto.voices import VOICES, voice
from tickcast.venues.registry import find_declared

START_NS = 1_795_000_000_000_000_000


def init(*arguments: str) -> str:
    result = CliRunner().invoke(cli, ["init", *arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_without_arguments_it_begins_tickcast_toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "tickcast up --config tickcast.toml --simulated" in init()
    read = settings.load(tmp_path / "tickcast.toml")
    assert tuple(feed.venue for feed in read.feeds.values()) == FIRST
    assert read.gateway == settings.Config().gateway, "comments set nothing"


@pytest.mark.parametrize("code", STARTERS)
def test_every_venue_can_be_begun_with(code: str, tmp_path: Path) -> None:
    init(str(tmp_path / "one.toml"), "--venue", code.lower())
    (feed,) = settings.load(tmp_path / "one.toml").feeds.values()
    assert feed.venue == code
    assert find_declared(code) is not None


@pytest.mark.parametrize("code", STARTERS)
def test_every_symbol_is_listed_by_the_simulated_venue(code: str) -> None:
    speaks = voice(code.lower())
    config = Config(symbols=20)
    pairs = spots(universe.build(config), config, stocks=speaks.stocks)
    assert set(STARTERS[code]) <= {one.symbol for one in speaks.products(pairs, START_NS)}


def test_no_venue_with_a_simulated_one_is_left_out() -> None:
    assert {code.lower() for code in STARTERS} == set(VOICES)


def test_each_comment_is_a_setting_that_could_be_set(tmp_path: Path) -> None:
    file = tmp_path / "all.toml"
    init(str(file))
    text = file.read_text(encoding="utf-8")
    shown = re.findall(r"^# (\w+ = .*)$", text, re.MULTILINE)
    assert len(shown) >= 12
    for line in shown:
        if not line.startswith("BTC"):
            tomllib.loads(line)
    used = re.sub(r"^# (?=(\w+ = |\[securities\]))", "", text, flags=re.MULTILINE)
    (tmp_path / "used.toml").write_text(used, encoding="utf-8")
    read = settings.load(tmp_path / "used.toml")
    assert read.gateway.tls_certificate is not None
    assert read.gateway.auth.jwt_audience == "prices"
    assert read.securities["BTC"][0] == "BINANCE:BTC-USDT"
    assert max(len(line) for line in text.replace(str(tmp_path), "").splitlines()) <= 120


def test_a_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("seed", encoding="utf-8")
    result = CliRunner().invoke(cli, ["init", str(file)])
    assert isinstance(result.exception, UsageError)
    assert "left alone" in str(result.exception)
    assert file.read_text(encoding="utf-8") == "seed"
    init(str(file), "--force", "--venue", "OKX", "--venue", "okx")
    assert list(settings.load(file).feeds) == ["okx"]


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    for arguments, words in (
        ([str(tmp_path / "none" / "a.toml")], "cannot write"),
        ([str(tmp_path / "a.toml"), "--venue", "NASDAQ"], "expected some of BINANCE"),
    ):
        result = CliRunner().invoke(cli, ["init", *arguments])
        assert isinstance(result.exception, UsageError)
        assert words in str(result.exception)
    assert not list(tmp_path.iterdir())
