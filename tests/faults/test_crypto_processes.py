"""The process of a crypto venue's feed killed under load: live again in seconds, equal books, and the ledger has it."""

import signal
from pathlib import Path
from typing import Any

import pytest

from tickcast.testing.instance import DemoInstance, eventually

pytestmark = [pytest.mark.timeout(120), pytest.mark.slow]
SYMBOL = "BTC-USDT"


def equal(instance: DemoInstance, venue: str) -> bool:
    """The best bid and offer are the venue's."""
    shown = instance.get(f"/prices/{venue}:{SYMBOL}?numbers=string")
    truth: dict[str, Any] = next(row for row in instance.truth(venue)["symbols"].values() if row["symbol"] == SYMBOL)
    return all(float(shown[key]) == float(truth[key]) for key in ("bid", "ask", "bid_size", "ask_size"))


@pytest.mark.parametrize("venue", ["OKX", "BINANCE"])
def test_a_killed_feed_is_live_again_in_seconds(tmp_path: Path, venue: str) -> None:
    with DemoInstance(tmp_path, rate=2000, symbols=20, exchanges=(venue,)) as instance:
        instance.wait_ready()
        name = venue.lower()
        eventually(lambda: instance.get(f"/prices/{venue}:{SYMBOL}")["state"] == "live", what="live")
        killed = instance.kill(name, signal.SIGKILL)
        eventually(lambda: instance.get(f"/prices/{venue}:{SYMBOL}")["state"] == "stale", what="stale")
        eventually(
            lambda: instance.get(f"/prices/{venue}:{SYMBOL}")["state"] == "live", what="live again", deadline_s=15
        )
        assert instance.pid(name) != killed
        eventually(lambda: equal(instance, venue), what="equal best prices")
        kinds = {row["kind"] for row in instance.get("/gaps")["gaps"]}
        assert "outage" in kinds
