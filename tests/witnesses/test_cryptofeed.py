"""cryptofeed's Binance connector reads the simulated Binance: its trades and its books equal the truth."""

from decimal import Decimal
from pathlib import Path

import pytest
from tests.witnesses.simulator import READERS, interpreter, reading, simulator, until

HOW = "make witnesses installs it (cryptofeed, under a minute)"
CONFIG = """
symbols = 60
rate = 3000
[market]
halt_every_s = 0.0
[venues.BINANCE]
dialect = "binance"
# every slice ends with the depth updates of 100 ms: at a pause nothing is held back
quantum_ms = 100.0
"""
SYMBOLS = 17


@pytest.mark.timeout(120)
def test_its_trades_and_books_equal_the_truth(tmp_path: Path) -> None:
    python = interpreter("cryptofeed", how=HOW)
    with simulator(tmp_path, CONFIG) as sim:
        until(lambda: sim.truth("BINANCE")["BTCUSDT"]["trades"] > 0, "the market is open")
        sim.ask("/pause", method="POST")
        before = sim.truth("BINANCE")
        venue = sim.venues["BINANCE"]
        with reading(python, str(READERS / "cryptofeed_reader.py"), venue["url"], venue["rest_url"]) as reader:
            until(lambda: sim.state("BINANCE")["connections"] >= 1, "a connection")
            sim.ask("/resume", method="POST")
            until(lambda: len(reader.ask("state")["books"]) == SYMBOLS, "a book of every symbol")
            until(lambda: reader.ask("state")["trades"] > 500, "trades")
            sim.ask("/pause", method="POST")
            truth = sim.truth("BINANCE")
            names = {
                name: name[: -len(quote)] + "-" + quote
                for name in truth
                for quote in ("USDT", "USD")
                if name.endswith(quote)
            }
            traded = {
                names[name]: Decimal(one["volume"]) - Decimal(before[name]["volume"])
                for name, one in truth.items()
                if one["trades"] > before[name]["trades"]
            }

            def volumes() -> dict[str, Decimal]:
                return {name: Decimal(volume) for name, volume in reader.ask("state")["volumes"].items()}

            until(lambda: volumes() == traded, "every trade has arrived")

            def tops() -> dict[str, list[Decimal]]:
                return {name: [Decimal(text) for text in book] for name, book in reader.ask("state")["books"].items()}

            expected = {
                names[name]: [Decimal(one[key]) for key in ("bid", "bid_size", "ask", "ask_size")]
                for name, one in truth.items()
            }
            until(lambda: tops() == expected, "every book is equal")
            state = reader.ask("state")
        assert state["problems"] == []
        for name, one in truth.items():
            if names[name] in traded:
                assert Decimal(state["last"][names[name]]) == Decimal(one["last"])
            if names[name] in state["best"]:
                assert [Decimal(text) for text in state["best"][names[name]]] == [
                    Decimal(one["bid"]),
                    Decimal(one["ask"]),
                ]
