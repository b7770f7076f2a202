"""How missed trades are asked for, and how the venues' answers are read: requests and examples, one by one."""

from dataclasses import dataclass
from decimal import Decimal

import msgspec
import pytest

from tickcast import _native
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
]


def venue_of(code: str) -> Venue:
    found = find_declared(code)
    assert found is not None
    venue = found(msgspec.convert({"venue": code}, VenueConfig))
    venue.now_ns = T + SECOND_NS
    return venue


def listed_of(case: Case) -> Listed:
    return Listed(native=case.native, symbol="A-B", asset_class="crypto", currency="B", market=case.market)


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
    assert decoded.dead_count == 1


def _text(mantissa: int, scale: int) -> str:
    value = Decimal(int(mantissa)).scaleb(-int(scale))
    return format(value.normalize(), "f")


def test_bitstamp_is_asked_for_the_shortest_span_that_reaches_back() -> None:
    venue, listed = venue_of("BITSTAMP"), listed_of(CASES[1])
    for ago_s, span in ((40, "minute"), (50, "hour"), (3000, "hour"), (3400, "day"), (200_000, "day")):
        request = venue.trades_request(listed, Print(1, 0, venue.now_ns - ago_s * SECOND_NS), None)
        assert request is not None
        assert request.url.endswith(f"?time={span}")
