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


def test_bitfinex_tells_those_of_a_time_in_either_order() -> None:
    rig = Rig("bitfinex")
    keep(rig, "BTCUSD", 200)
    path = "/v2/trades/tBTCUSD/hist"
    assert [one[0] for one in rig.rest(path)] == list(range(200, 75, -1))
    since = START_NS // MILLISECOND_NS + 100
    rows = rig.rest(f"{path}?sort=1&start={since}&end={since + 20}&limit=10000")
    assert [(one[0], one[1], one[2] > 0) for one in rows] == [
        (10, since, True),
        (11, since + 10, False),
        (12, since + 20, True),
    ]
    assert rig.venue.rest("/v2/trades/tNOUSD/hist", rig.now_ns, address="test").status == 500


def test_gemini_tells_five_hundred_behind_an_id() -> None:
    rig = Rig("gemini")
    keep(rig, "BTCUSD", 900)
    assert [one["tid"] for one in rig.rest("/v1/trades/btcusd")] == list(range(900, 850, -1))
    behind = rig.rest("/v1/trades/btcusd?since_tid=99&limit_trades=1000")
    assert [one["tid"] for one in behind] == list(range(599, 99, -1))
    assert (behind[0]["type"], behind[1]["type"]) == ("sell", "buy")
    assert rig.venue.rest("/v1/trades/nousd", rig.now_ns, address="test").status == 400


def test_kucoin_tells_the_newest_hundred() -> None:
    rig = Rig("kucoin")
    keep(rig, "BTC-USDT", 150)
    rows = rig.rest("/api/v1/market/histories?symbol=BTC-USDT")["data"]
    assert [int(one["sequence"]) for one in rows] == list(range(51, 151))
    assert "tradeId" not in rows[0]
    keep(rig, "XBTUSDTM", 10)
    rows = rig.rest("/futures/api/v1/trade/history?symbol=XBTUSDTM")["data"]
    assert [(one["sequence"], one["tradeId"]) for one in rows] == [(number, str(number)) for number in range(1, 11)]
    assert rig.rest("/api/v1/market/histories?symbol=NO-USDT")["code"] == "900001"


def test_gateio_tells_pairs_by_id_and_contracts_by_time() -> None:
    rig = Rig("gateio")
    keep(rig, "BTC_USDT", 300, "spot")
    path = "/api/v4/spot/trades?currency_pair=BTC_USDT"
    assert [int(one["id"]) for one in rig.rest(path)] == list(range(300, 200, -1))
    assert [int(one["id"]) for one in rig.rest(f"{path}&last_id=101&reverse=true&limit=2")] == [100, 99]
    assert [int(one["id"]) for one in rig.rest(f"{path}&last_id=298&limit=1000")] == [300, 299]
    keep(rig, "BTC_USDT", 30, "usdt", apart_ms=1000)
    begin = START_NS // 1_000_000_000
    rows = rig.rest(f"/api/v4/futures/usdt/trades?contract=BTC_USDT&from={begin + 5}&to={begin + 7}")
    assert [(one["id"], one["create_time"] - begin) for one in rows] == [(7, 7), (6, 6), (5, 5)]
    assert rig.venue.rest("/api/v4/futures/usdt/trades?contract=NO", rig.now_ns, address="test").status == 400


def test_htx_tells_the_newest_of_each_market() -> None:
    rig = Rig("htx")
    keep(rig, "btcusdt", 300, "spot")
    (only,) = rig.rest("/market/history/trade?symbol=btcusdt")["data"]
    assert only["data"][0]["trade-id"] == 300
    rows = rig.rest("/market/history/trade?symbol=btcusdt&size=200")["data"]
    assert [one["data"][0]["trade-id"] for one in rows] == list(range(300, 100, -1))
    keep(rig, "BTC-USDT", 5, "linear")
    rows = rig.rest("/linear-swap-ex/market/history/trade?contract_code=BTC-USDT&size=2000")["data"]
    assert [one["data"][0]["id"] for one in rows] == [5, 4, 3, 2, 1]
    assert rig.rest("/swap-ex/market/history/trade?contract_code=BTC-USDT")["status"] == "error"


def test_bitget_tells_those_before_an_id() -> None:
    rig = Rig("bitget")
    keep(rig, "BTCUSDT", 700, "spot")
    path = "/api/v2/spot/market/fills-history?symbol=BTCUSDT"
    assert [int(one["tradeId"]) for one in rig.rest(path)["data"]] == list(range(700, 200, -1))
    rows = rig.rest(f"{path}&idLessThan=3&limit=1000")["data"]
    assert [(one["tradeId"], one["side"], int(one["ts"]) % 1000) for one in rows] == [("2", "Buy", 0), ("1", "Sell", 0)]
    keep(rig, "BTCUSDT", 3, "usdt")
    rows = rig.rest("/api/v2/mix/market/fills-history?symbol=BTCUSDT&productType=USDT-FUTURES")["data"]
    assert [one["tradeId"] for one in rows] == ["3", "2", "1"]
    assert rig.venue.rest(f"{path}X", rig.now_ns, address="test").status == 400


def test_bitmex_tells_a_thousand_of_a_time() -> None:
    rig = Rig("bitmex")
    instrument = keep(rig, "XBTUSD", 150)
    path = "/api/v1/trade?symbol=XBTUSD"
    times = [one["timestamp"] for one in rig.rest(path)]
    assert (len(times), times) == (100, sorted(times))
    rows = rig.rest(f"{path}&count=1000&startTime={times[3]}&endTime={times[5]}")
    assert [one["timestamp"] for one in rows] == times[3:6]
    newest = rig.rest(f"{path}&count=2&reverse=true")
    assert [str(one["size"]) for one in newest] == [instrument.size(150), instrument.size(149)]
    assert rig.venue.rest(f"{path}&count=1001", rig.now_ns, address="test").status == 400


def test_crypto_com_tells_a_hundred_and_fifty_of_a_time() -> None:
    rig = Rig("crypto_com")
    keep(rig, "BTC_USD", 400)
    path = "/exchange/v1/public/get-trades?instrument_name=BTC_USD"
    rows = rig.rest(f"{path}&count=1000")["result"]["data"]
    assert [int(one["d"]) % 10**15 for one in rows] == list(range(400, 250, -1))
    begin = START_NS // MILLISECOND_NS
    rows = rig.rest(f"{path}&start_ts={begin + 50}&end_ts={begin + 70}")["result"]["data"]
    assert [int(one["d"]) % 10**15 for one in rows] == [6, 5]
    assert rig.venue.rest(f"{path}X", rig.now_ns, address="test").status == 400
