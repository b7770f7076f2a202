"""What the simulated venues tell of trades over REST: as much as the venues do, in their order, and no more."""

from tests.sim.crypto.rig import MILLISECOND_NS, START_NS, Rig

from tickcast.sim.crypto.state import Instrument, Trade


def keep(rig: Rig, native: str, count: int, market: str = "", *, apart_ms: int = 10) -> Instrument:
    """Have an instrument's last trades be these, the newest at the time of now."""
    instrument = rig.instrument(native, market)
    rig.now_ns = START_NS + count * apart_ms * MILLISECOND_NS
    instrument.trades.clear()
    instrument.trades.extend(
        Trade(id=one, price=100 + one, size=one, buy=one % 2 == 0, ts_ns=START_NS + one * apart_ms * MILLISECOND_NS,
              maker=1)
        for one in range(1, count + 1)
    )  # fmt: skip
    return instrument


def test_kraken_futures_tells_a_hundred_before_a_time() -> None:
    rig = Rig("kraken_futures")
    instrument = keep(rig, "PF_XBTUSD", 250)
    path = "/derivatives/api/v3/history?symbol=PF_XBTUSD"
    newest = rig.rest(path)["history"]
    assert [one["trade_id"] for one in newest] == list(range(250, 150, -1))
    assert (newest[0]["side"], newest[1]["side"]) == ("buy", "sell")
    assert str(newest[0]["size"]) == instrument.size(250).rstrip("0").rstrip(".")
    before = rig.rest(f"{path}&lastTime={newest[-1]['time']}")["history"]
    assert [one["trade_id"] for one in before] == list(range(150, 50, -1))
    assert rig.rest("/derivatives/api/v3/history?symbol=PF_NOUSD")["error"] == "contractNotFound"


def test_bitstamp_tells_a_span_in_whole_seconds() -> None:
    rig = Rig("bitstamp")
    instrument = keep(rig, "btcusd", 200, apart_ms=1000)
    minute = rig.rest("/api/v2/transactions/btcusd/?time=minute")
    assert [int(one["tid"]) for one in minute] == list(range(200, 139, -1))
    assert minute[0]["price"] == instrument.price(300)
    assert {one["type"] for one in minute[:2]} == {"0", "1"}
    assert len(rig.rest("/api/v2/transactions/btcusd/")) == 200
    assert rig.venue.rest("/api/v2/transactions/nousd/", rig.now_ns, address="test").status == 404
