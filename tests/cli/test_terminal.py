"""Tables in terminals and in pipes."""

import io

import pytest
from rich.console import Console

from tickcast.cli.terminal import PIPE_WIDTH, fitted, live, open_console


def test_in_a_pipe_the_table_is_told_once_in_whole_lines() -> None:
    pipe = io.StringIO()
    rows = [{"symbol": "AAPL", "price": "1"}]
    with live(
        Console(file=pipe, width=80),
        lambda: fitted(["symbol", "price"], rows, sacrifice=(), width=80),
        per_second=100,
    ):
        rows[0]["price"] = "2"
    assert pipe.getvalue().endswith("\n")
    assert [line.split() for line in pipe.getvalue().splitlines() if "AAPL" in line] == [["AAPL", "2"]]


def test_what_does_not_fit_is_left_out_whole() -> None:
    rows = [{"symbol": "BINANCE_FUTURES:BTC-USDT-PERP", "price": "65432.10", "volume": "123456789"}]
    console = Console(width=40)
    with console.capture() as captured:
        console.print(fitted(["symbol", "price", "volume"], rows, sacrifice=("volume", "price"), width=40))
    assert "BINANCE_FUTURES:BTC-USDT-PERP" in captured.get()
    assert "65432.10" in captured.get()
    assert "123456789" not in captured.get()


def test_only_a_terminal_has_a_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert open_console().width == PIPE_WIDTH
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert open_console().width == 40
