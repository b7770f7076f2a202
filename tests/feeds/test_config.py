"""Feed settings and the reference file."""

from pathlib import Path

import msgspec
import pytest

from tickcast.feeds.config import FeedConfig, read_previous_close
from tickcast.model.errors import UsageError


def test_the_demo_s_tables_are_valid() -> None:
    text = """
    [xnas]
    venue = "XNAS"
    address = "127.0.0.1:26400"
    calendar = "24/7"
    [binance]
    venue = "BINANCE"
    url = "ws://127.0.0.1:26401"
    rest_url = "http://127.0.0.1:26402"
    [xsim]
    venue = "XSIM"
    rest_url = "http://127.0.0.1:26403"
    interval_ms = 200
    """
    feeds = msgspec.toml.decode(text, type=dict[str, FeedConfig])
    assert feeds["xsim"].interval_ms == 200
    assert feeds["xnas"].dead_after_s == 15


def test_an_unknown_key_is_refused_by_name() -> None:
    with pytest.raises(msgspec.ValidationError, match="adress"):
        msgspec.toml.decode('venue = "XNAS"\nadress = "x"', type=FeedConfig)


def test_previous_closes_are_read(tmp_path: Path) -> None:
    path = tmp_path / "closes.csv"
    path.write_text("symbol,prev_close\nAAPL,185.10\nBTC-USDT,64000\n")
    assert read_previous_close("xnas", str(path)) == {"AAPL": "185.10", "BTC-USDT": "64000"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("symbol,close\nAAPL,1\n", "expected the columns symbol,prev_close"),
        ("symbol,prev_close\nAAPL,1.0\nMSFT,n/a\n", "line 3, found 'MSFT' and 'n/a'"),
        ("symbol,prev_close\nAAPL\n", "line 2, found 'AAPL' and None"),
    ],
)
def test_a_wrong_file_names_its_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "closes.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"feeds\.xnas\.previous_close: .*" + words):
        read_previous_close("xnas", str(path))


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read_previous_close("xnas", str(tmp_path / "none.csv"))
