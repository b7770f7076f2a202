"""How missed trades are asked for, and how the venues' answers are read: requests and examples, one by one."""

from dataclasses import dataclass
from decimal import Decimal

import msgspec
import pytest

from tickcast import _native
from tickcast.model.instrument import AssetClass
from tickcast.model.record import Flag, Side, State, records_from
from tickcast.venues.base import VenueConfig
from tickcast.venues.declared.venue import Listed, Print, Venue
from tickcast.venues.registry import find_declared

SECOND_NS = 1_000_000_000
T = 1_790_000_000_123_456_789
"""Of the first trade behind a hole: 2026-09-21T14:13:20.123456789Z."""
AFTER = Print(1000, 500, T - 2 * SECOND_NS)
BEFORE = Print(2000, 900, T)
INSTRUMENT = 7


@dataclass(frozen=True, kw_only=True)
class Case:
    """What a venue is asked, and what it answers."""

    code: str
    native: str
    market: str = ""
    name: str = ""
    url: str
    """Asked for what lies between the two trades."""
    newest: str
    """Asked where nothing was told behind the last one known."""
    body: str
    """As the venue's documentation shows it, or those who read it."""
    rows: list[tuple[int | str, str, str, Side, int]]
    """What it says, oldest first: id, price, size, aggressor, time in ns."""
    empty: str
    """An answer without a trade."""
    refusal: str = '{"wrong":true}'


CASES = [
    Case(
        code="KRAKEN_FUTURES",
        native="PF_XBTUSD",
        url="https://futures.kraken.com/derivatives/api/v3/history?symbol=PF_XBTUSD&lastTime=2026-09-21T14:13:20.124Z",
        newest="https://futures.kraken.com/derivatives/api/v3/history?symbol=PF_XBTUSD",
        body="""{"result":"success","history":[
            {"time":"2022-03-18T04:55:37.692Z","trade_id":100,"price":0.7921,"size":1068,"side":"sell","type":"fill",
             "uid":"6c5da0b0-f1a8-483f-921f-466eb0388265"},
            {"time":"2022-03-18T04:55:35.000Z","trade_id":99,"price":0.7922,"size":0.5,"side":"buy",
             "type":"liquidation","uid":"6c5da0b0-f1a8-483f-921f-466eb0388264"}],
            "serverTime":"2022-03-18T06:39:18.056Z"}""",
        rows=[
            (99, "0.7922", "0.5", Side.BUYER, 1_647_579_335_000_000_000),
            (100, "0.7921", "1068", Side.SELLER, 1_647_579_337_692_000_000),
        ],
        empty='{"result":"success","history":[],"serverTime":"2022-03-18T06:39:18.056Z"}',
        refusal='{"result":"error","error":"contractNotFound","serverTime":"2022-03-18T06:39:18.056Z"}',
    ),
    Case(
        code="BITSTAMP",
        native="btcusd",
        url="https://www.bitstamp.net/api/v2/transactions/btcusd/?time=minute",
        newest="https://www.bitstamp.net/api/v2/transactions/btcusd/?time=minute",
        body="""[
            {"date":"1551814435","tid":"83581898","price":"0.03532850","type":"1","amount":"0.85945907"},
            {"date":"1551814434","tid":"83581896","price":"0.03532851","type":"0","amount":"11.34130961"}]""",
        rows=[
            (83581896, "0.03532851", "11.34130961", Side.BUYER, 1_551_814_434_000_000_000),
            (83581898, "0.0353285", "0.85945907", Side.SELLER, 1_551_814_435_000_000_000),
        ],
        empty="[]",
        refusal='{"status":"error","reason":"Invalid market","code":"404.002"}',
    ),
    Case(
        code="BITFINEX",
        native="BTCUSD",
        url="https://api-pub.bitfinex.com/v2/trades/tBTCUSD/hist?limit=10000&sort=1&start=1789999998123&end=1790000000124",
        newest="https://api-pub.bitfinex.com/v2/trades/tBTCUSD/hist?limit=10000&sort=1&start=1789999998123",
        body="[[388063448,1567526214876,1.918524,10682],[388063449,1567526214900,-0.001,5.6e-7]]",
        rows=[
            (388063448, "10682", "1.918524", Side.BUYER, 1_567_526_214_876_000_000),
            (388063449, "0.00000056", "0.001", Side.SELLER, 1_567_526_214_900_000_000),
        ],
        empty="[]",
        refusal='["error",10020,"symbol: invalid"]',
    ),
    Case(
        code="GEMINI",
        native="BTCUSD",
        url="https://api.gemini.com/v1/trades/btcusd?limit_trades=500&since_tid=999",
        newest="https://api.gemini.com/v1/trades/btcusd?limit_trades=500&since_tid=999",
        body="""[{"timestamp":1601617446,"timestampms":1601617446200,"tid":14122489753,"price":"0.4648","amount":"1",
                   "exchange":"gemini","type":"sell"},
                  {"timestamp":1601617445,"timestampms":1601617445144,"tid":14122489752,"price":"0.46476",
                   "amount":"28.407209","exchange":"gemini","type":"buy"}]""",
        rows=[
            (14122489752, "0.46476", "28.407209", Side.BUYER, 1_601_617_445_144_000_000),
            (14122489753, "0.4648", "1", Side.SELLER, 1_601_617_446_200_000_000),
        ],
        empty="[]",
        refusal='{"result":"error","reason":"InvalidSymbol","message":"..."}',
    ),
    Case(
        code="KUCOIN",
        native="BTC-USDT",
        url="https://api.kucoin.com/api/v1/market/histories?symbol=BTC-USDT",
        newest="https://api.kucoin.com/api/v1/market/histories?symbol=BTC-USDT",
        body="""{"code":"200000","data":[
            {"sequence":"1545896668571","price":"0.07","size":"0.004","side":"buy","time":1545904567062140823},
            {"sequence":"1545896668578","price":"0.054","size":"0.066","side":"sell","time":1545904581619888405}]}""",
        rows=[
            (1545896668571, "0.07", "0.004", Side.BUYER, 1_545_904_567_062_140_823),
            (1545896668578, "0.054", "0.066", Side.SELLER, 1_545_904_581_619_888_405),
        ],
        empty='{"code":"200000","data":[]}',
        refusal='{"code":"900001","msg":"symbol not exists"}',
    ),
    Case(
        code="KUCOIN",
        name="KUCOIN contracts",
        native="XBTUSDTM",
        url="https://api-futures.kucoin.com/api/v1/trade/history?symbol=XBTUSDTM",
        newest="https://api-futures.kucoin.com/api/v1/trade/history?symbol=XBTUSDTM",
        body="""{"code":"200000","data":[{"sequence":32114961,"side":"buy","size":39,"price":"4001.6500000000",
            "takerOrderId":"61c20742f172110001e0ebe4","makerOrderId":"61c2073fcfc88100010fcb5d",
            "tradeId":"61c2074277a0c473e69029b8","ts":1640105794099993896}]}""",
        rows=[("61c2074277a0c473e69029b8", "4001.65", "39", Side.BUYER, 1_640_105_794_099_993_896)],
        empty='{"code":"200000","data":[]}',
        refusal='{"code":"404000","msg":"Url Not Found"}',
    ),
    Case(
        code="GATEIO",
        native="ADA_USDT",
        market="spot",
        url="https://api.gateio.ws/api/v4/spot/trades?currency_pair=ADA_USDT&limit=1000&last_id=2001&reverse=true",
        newest="https://api.gateio.ws/api/v4/spot/trades?currency_pair=ADA_USDT&limit=1000",
        body="""[{"id":"1852958144","create_time":"1634673259","create_time_ms":"1634673259378.105000",
            "currency_pair":"ADA_USDT","side":"sell","amount":"307.078","price":"2.104"}]""",
        rows=[(1852958144, "2.104", "307.078", Side.SELLER, 1_634_673_259_378_105_000)],
        empty="[]",
        refusal='{"label":"INVALID_CURRENCY_PAIR","message":"Invalid currency pair"}',
    ),
    Case(
        code="GATEIO",
        name="GATEIO contracts",
        native="ADA_USDT",
        market="usdt",
        url="https://api.gateio.ws/api/v4/futures/usdt/trades?contract=ADA_USDT&limit=1000&from=1789999998&to=1790000001",
        newest="https://api.gateio.ws/api/v4/futures/usdt/trades?contract=ADA_USDT&limit=1000&from=1789999998",
        body="""[{"size":"-2","id":"2522911","create_time_ms":"1634673380.182","create_time":"1634673380.182",
            "contract":"ADA_USDT","price":"2.10486"}]""",
        rows=[(2522911, "2.10486", "2", Side.SELLER, 1_634_673_380_182_000_000)],
        empty="[]",
        refusal='{"label":"CONTRACT_NOT_FOUND"}',
    ),
    Case(
        code="HTX",
        native="btcusdt",
        url="https://api.huobi.pro/market/history/trade?symbol=btcusdt&size=2000",
        newest="https://api.huobi.pro/market/history/trade?symbol=btcusdt&size=2000",
        body="""{"status":"ok","ch":"market.btcusdt.trade.detail","ts":1583497692365,"data":[
            {"id":105005170342,"ts":1583497692182,"data":[
              {"amount":0.010411,"trade-id":102090736910,"ts":1583497692182,"id":10500517034273194594947,
               "price":9096.05,"direction":"sell"}]},
            {"id":105005170341,"ts":1583497692000,"data":[
              {"amount":1,"trade-id":102090736909,"ts":1583497692000,"id":10500517034173194594946,
               "price":9096.1,"direction":"buy"}]}]}""",
        rows=[
            (102090736909, "9096.1", "1", Side.BUYER, 1_583_497_692_000_000_000),
            (102090736910, "9096.05", "0.010411", Side.SELLER, 1_583_497_692_182_000_000),
        ],
        empty='{"status":"ok","ch":"market.btcusdt.trade.detail","ts":1583497692365,"data":[]}',
        refusal='{"status":"error","err-code":"invalid-parameter","err-msg":"invalid symbol"}',
    ),
    Case(
        code="HTX",
        name="HTX contracts",
        native="BTC-USDT",
        url="https://api.hbdm.com/linear-swap-ex/market/history/trade?contract_code=BTC-USDT&size=2000",
        newest="https://api.hbdm.com/linear-swap-ex/market/history/trade?contract_code=BTC-USDT&size=2000",
        body="""{"ch":"market.BTC-USDT.trade.detail","status":"ok","ts":1603708046534,"data":[{"id":131602265,
            "ts":1603708040000,"data":[{"amount":2,"direction":"sell","id":1316022650000,"price":13073.3,
            "ts":1603708040000,"quantity":0.002,"trade_turnover":26.1466}]}]}""",
        rows=[(1316022650000, "13073.3", "2", Side.SELLER, 1_603_708_040_000_000_000)],
        empty='{"status":"ok","data":[]}',
        refusal='{"status":"error","err_code":1332,"err_msg":"The contract doesn\'t exist."}',
    ),
    Case(
        code="BITGET",
        native="ETHUSDT",
        market="spot",
        url="https://api.bitget.com/api/v2/spot/market/fills-history?symbol=ETHUSDT&limit=1000&idLessThan=2001",
        newest="https://api.bitget.com/api/v2/spot/market/fills-history?symbol=ETHUSDT&limit=1000",
        body="""{"code":"00000","msg":"success","requestTime":1744275754521,"data":[
            {"symbol":"ETHUSDT","tradeId":"1294151170843025500","side":"Buy","price":"1592.58","size":"2.1982",
             "ts":"1744275603000"},
            {"symbol":"ETHUSDT","tradeId":"1294151170834636801","side":"Sell","price":"1592.57","size":"0.0045",
             "ts":"1744275603000"}]}""",
        rows=[
            (1294151170834636801, "1592.57", "0.0045", Side.SELLER, 1_744_275_603_000_000_000),
            (1294151170843025500, "1592.58", "2.1982", Side.BUYER, 1_744_275_603_000_000_000),
        ],
        empty='{"code":"00000","msg":"success","requestTime":1744275754521,"data":[]}',
        refusal='{"code":"40034","msg":"Parameter does not exist","requestTime":0,"data":null}',
    ),
    Case(
        code="BITGET",
        name="BITGET contracts",
        native="BTCUSD",
        market="coin",
        url="https://api.bitget.com/api/v2/mix/market/fills-history?productType=COIN-FUTURES&symbol=BTCUSD&limit=1000"
        "&idLessThan=2001",
        newest="https://api.bitget.com/api/v2/mix/market/fills-history?productType=COIN-FUTURES&symbol=BTCUSD&limit=1000",
        body="""{"code":"00000","msg":"success","requestTime":1695865481335,"data":[{"tradeId":"1","price":"26372.5",
            "size":"9.25","side":"Sell","ts":"1695865151000","symbol":"BTCUSD"}]}""",
        rows=[(1, "26372.5", "9.25", Side.SELLER, 1_695_865_151_000_000_000)],
        empty='{"code":"00000","data":[]}',
    ),
    Case(
        code="BITMEX",
        native="XBTUSD",
        url="https://www.bitmex.com/api/v1/trade?symbol=XBTUSD&count=1000&startTime=2026-09-21T14:13:18.123Z"
        "&endTime=2026-09-21T14:13:20.124Z",
        newest="https://www.bitmex.com/api/v1/trade?symbol=XBTUSD&count=1000&startTime=2026-09-21T14:13:18.123Z",
        body="""[{"timestamp":"2024-11-25T10:35:00.789Z","symbol":"XBTUSD","side":"Buy","size":100,"price":98950.0,
            "tickDirection":"PlusTick","trdMatchID":"00000000-006d-1000-0000-000e8737d540","grossValue":101065,
            "homeNotional":0.00101065,"foreignNotional":100.0,"trdType":"Regular"}]""",
        rows=[("00000000-006d-1000-0000-000e8737d540", "98950", "100", Side.BUYER, 1_732_530_900_789_000_000)],
        empty="[]",
        refusal='{"error":{"message":"Rate limit exceeded, retry in 1 seconds.","name":"HTTPError"}}',
    ),
    Case(
        code="CRYPTO_COM",
        native="BTC_USD",
        url="https://api.crypto.com/exchange/v1/public/get-trades?instrument_name=BTC_USD&count=150"
        "&start_ts=1789999998123&end_ts=1790000000124",
        newest="https://api.crypto.com/exchange/v1/public/get-trades?instrument_name=BTC_USD&count=150"
        "&start_ts=1789999998123",
        body="""{"id":-1,"method":"public/get-trades","code":0,"result":{"data":[{"s":"sell","p":"26386.00",
            "q":"0.00453","t":1686944282062,"tn":1704476468851524373,"d":"4611686018455979970","i":"BTC_USD"}]}}""",
        rows=[(4611686018455979970, "26386", "0.00453", Side.SELLER, 1_686_944_282_062_000_000)],
        empty='{"id":-1,"method":"public/get-trades","code":0,"result":{"data":[]}}',
        refusal='{"id":-1,"method":"public/get-trades","code":40003,"message":"Unknown symbol"}',
    ),
    Case(
        code="POLONIEX",
        native="BTC_USDT",
        url="https://api.poloniex.com/markets/BTC_USDT/trades?limit=1000",
        newest="https://api.poloniex.com/markets/BTC_USDT/trades?limit=1000",
        body="""[{"id":"60184115","price":"21615.95","quantity":"0.006021","amount":"130.14963495","takerSide":"BUY",
            "ts":1661123528893,"createTime":1661123528888},
            {"id":"60184114","price":"21614.59","quantity":"0.01149","amount":"248.3516391","takerSide":"SELL",
            "ts":1661123520386,"createTime":1661123520381}]""",
        rows=[
            (60184114, "21614.59", "0.01149", Side.SELLER, 1_661_123_520_381_000_000),
            (60184115, "21615.95", "0.006021", Side.BUYER, 1_661_123_528_888_000_000),
        ],
        empty="[]",
        refusal='{"code":10040,"message":"Invalid symbol"}',
    ),
]


def venue_of(code: str) -> Venue:
    found = find_declared(code)
    assert found is not None
    venue = found(msgspec.convert({"venue": code}, VenueConfig))
    venue.now_ns = T + SECOND_NS
    return venue


def listed_of(case: Case) -> Listed:
    kind: AssetClass = "perpetual" if case.name else "crypto"
    return Listed(native=case.native, symbol="A-B", asset_class=kind, currency="B", market=case.market)


def read(case: Case, body: str) -> "_native.JsonDecoded":
    feed = _native.JsonFeed(msgspec.json.encode(venue_of(case.code).dialect))
    feed.define(case.market, case.native, INSTRUMENT, book=False, quotes=False, state=int(State.LIVE))
    return feed.rest_trades(INSTRUMENT, body.encode(), T)


every = pytest.mark.parametrize("case", CASES, ids=[case.name or case.code for case in CASES])


@every
def test_what_is_asked(case: Case) -> None:
    venue, listed = venue_of(case.code), listed_of(case)
    between = venue.trades_request(listed, AFTER, BEFORE)
    assert between is not None
    assert between.url == case.url
    newest = venue.trades_request(listed, AFTER, None)
    assert newest is not None
    assert newest.url == case.newest


@every
def test_what_is_answered(case: Case) -> None:
    decoded = read(case, case.body)
    assert decoded.dead == []
    told = records_from(decoded.records)
    found = [
        (
            decoded.texts.get(place, int(row["id"])),
            _text(row["price"], row["price_scale"]),
            _text(row["size"], row["size_scale"]),
            Side(int(row["side"])),
            int(row["ts_event"]),
        )
        for place, row in enumerate(told)
    ]
    assert found == case.rows
    assert all(int(row["flags"]) & Flag.BACKFILLED for row in told)


@every
def test_an_answer_without_a_trade_is_one(case: Case) -> None:
    decoded = read(case, case.empty)
    assert (decoded.records, decoded.dead) == (b"", [])


@every
def test_an_error_is_no_answer(case: Case) -> None:
    decoded = read(case, case.refusal)
    assert decoded.records == b""
    assert decoded.dead_count >= 1


def _text(mantissa: int, scale: int) -> str:
    value = Decimal(int(mantissa)).scaleb(-int(scale))
    return format(value.normalize(), "f")


def test_bitstamp_is_asked_for_the_shortest_span_that_reaches_back() -> None:
    venue, listed = venue_of("BITSTAMP"), listed_of(CASES[1])
    for ago_s, span in ((40, "minute"), (50, "hour"), (3000, "hour"), (3400, "day"), (200_000, "day")):
        request = venue.trades_request(listed, Print(1, 0, venue.now_ns - ago_s * SECOND_NS), None)
        assert request is not None
        assert request.url.endswith(f"?time={span}")
