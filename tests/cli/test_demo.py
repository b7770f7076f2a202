"""The files of the demo load, name the same ports, and keep them."""

import asyncio
import gzip
import re
from pathlib import Path

import pytest

from tickcast import config
from tickcast.cli.demo import DemoOptions, free_ports, write
from tickcast.cli.demo_market import DEMO
from tickcast.feeds.capture import open_capture
from tickcast.feeds.config import FeedConfig
from tickcast.model.errors import UsageError
from tickcast.sim import config as sim_config


def test_both_files_load_and_agree_on_the_addresses(tmp_path: Path) -> None:
    files = write(DemoOptions(folder=tmp_path / 'odd "name"', port=0, rate=1234, symbols=50, seed=7))
    instance, sim = config.load(files.instance), sim_config.load(files.sim)
    assert (sim.rate, sim.symbols, sim.seed) == (1234.0, 50, 7)
    xnas, binance, xsim = sim.venues["XNAS"], sim.venues["BINANCE"], sim.venues["XSIM"]
    assert isinstance(binance, sim_config.BinanceConfig)
    assert isinstance(xnas, sim_config.SoupItchConfig)
    assert isinstance(xsim, sim_config.XsimConfig)
    assert instance.feeds["xnas"].address == xnas.address
    assert instance.feeds["binance"].url == f"ws://{binance.address}"
    assert instance.feeds["binance"].rest_url == f"http://{binance.rest_address}"
    assert instance.feeds["xsim"].rest_url == f"http://{xsim.address}"
    assert instance.securities["AAPL"] == tuple(
        "BINANCE:AAPL-USD" if name == "BINANCE" else f"{name}:AAPL" for name in DEMO
    )
    assert list(sim.venues) == list(DEMO)
    assert [feed.venue for feed in instance.feeds.values()] == list(DEMO)
    assert sim.previous_close == instance.feeds["xnas"].previous_close


def test_every_address_is_free_and_used_once(tmp_path: Path) -> None:
    files = write(DemoOptions(folder=tmp_path, port=0))
    used = re.findall(r"127\.0\.0\.1:\d+", files.sim.read_text())
    assert len(set(used)) == len(used) > len(DEMO)
    assert set(re.findall(r"127\.0\.0\.1:\d+", files.instance.read_text())) < set(used), "all but the admin's"


def test_a_demo_for_others_lets_them_in(tmp_path: Path) -> None:
    gateway = config.load(write(DemoOptions(folder=tmp_path, port=0, host="0.0.0.0")).instance).gateway
    assert gateway.host == "0.0.0.0"
    assert gateway.auth.anonymous


def test_some_exchanges_alone(tmp_path: Path) -> None:
    files = write(DemoOptions(folder=tmp_path, port=0, exchanges=("XSIM", "XNAS")))
    assert list(config.load(files.instance).feeds) == ["xsim", "xnas"]
    assert config.load(files.instance).securities["AAPL"] == ("XSIM:AAPL", "XNAS:AAPL")
    with pytest.raises(UsageError, match=r"--exchanges: expected some of XNAS, .*, found MOON"):
        write(DemoOptions(folder=tmp_path, exchanges=("XNAS", "MOON")))
    with pytest.raises(UsageError, match="found none"):
        write(DemoOptions(folder=tmp_path, exchanges=()))


def test_a_recording_brings_its_day_and_its_streams(tmp_path: Path) -> None:
    captures = tmp_path / "captures"
    (captures / "itch").mkdir(parents=True)
    (captures / "itch" / "any_20200130.itch50.gz").write_bytes(gzip.compress(b""))
    files = write(DemoOptions(folder=tmp_path / "demo", recorded=captures, speed=20, loop=False))
    instance, sim = config.load(files.instance), sim_config.load(files.sim)
    assert (sim.recorded.path, sim.recorded.speed, sim.recorded.loop) == (str(captures), 20.0, False)
    assert "XSIM" not in sim.venues
    assert instance.feeds["xnas"].date == "2020-01-30"
    assert instance.feeds["xnas"].calendar == "24/7@2020-01-30"
    assert instance.feeds["binance"].aggregate_trades
    assert instance.feeds["binance"].calendar == "24/7", "no capture, no day"


def test_captured_feeds_come_back_with_their_settings_on_their_day(tmp_path: Path) -> None:
    recorded_ns = 1_790_000_000_000_000_000  # 2026-09-21 in New York
    for name, feed in {
        "odd-name": FeedConfig(venue="XNAS", address="10.0.0.1:9", username="me", password="x", calendar="XNYS"),  # noqa: S106
        "b": FeedConfig(venue="BINANCE", url="wss://h:9443", rest_url="https://h", symbols=("BTC-USDT",)),
    }.items():
        capture = open_capture(name, feed, tmp_path / "captures" / name, clock=lambda: recorded_ns)
        capture.received("any", [b"x"], recorded_ns, text=False)
        asyncio.run(capture.flush())
    files = write(DemoOptions(folder=tmp_path / "demo", recorded=tmp_path / "captures", speed=0))
    feeds, sim = config.load(files.instance).feeds, sim_config.load(files.sim)
    places = sim.recorded.addresses
    assert set(places["odd-name"]) == {"10.0.0.1:9"}
    assert set(places["b"]) == {"wss://h:9443", "https://h"}
    xnas = feeds["odd-name"]
    assert (xnas.address, xnas.username, xnas.password) == (places["odd-name"]["10.0.0.1:9"], "me", "")
    assert (xnas.date, xnas.calendar) == ("2026-09-21", "XNYS@2026-09-21")
    assert feeds["b"].url == f"ws://{places['b']['wss://h:9443']}"
    assert feeds["b"].rest_url == f"http://{places['b']['https://h']}"
    assert (feeds["b"].symbols, feeds["b"].date) == (("BTC-USDT",), None)


def test_nothing_to_play_back_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--recorded: expected a folder of captures"):
        write(DemoOptions(folder=tmp_path, recorded=tmp_path / "missing"))


def test_an_unwritable_folder_is_the_users_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write the demo's files"):
        write(DemoOptions(folder=tmp_path / "file" / "demo"))


def test_free_ports_differ() -> None:
    assert len(set(free_ports(20))) == 20
