"""Tables in terminals and in pipes."""

import io

from rich.console import Console

from tickcast.cli.terminal import fitted, live


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
