"""How the simulated Kraken talks, message by message."""

import json
import zlib
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from tickcast.sim.crypto.kraken import KrakenVoice, checksum
from tickcast.sim.crypto.listing import Spot
from tickcast.sim.crypto.state import BookNews, Client, Instrument, Stream, Topic, Trade
from tickcast.sim.crypto.voice import Books, RestRequest

NOW = 1_787_609_518_343_688_000
SPOTS = [Spot(base="BTC", price=78_000.0, source=0), Spot(base="SOL", price=180.0, source=1)]


class FixedBooks(Books):
    def snapshot(self, instrument: Instrument, depth: int) -> BookNews:
        bids = [(instrument.best[0] - number, 1 + number) for number in range(min(depth, 20))]
        asks = [(instrument.best[2] + number, 1 + number) for number in range(min(depth, 20))]
        return news(snapshot=True, bids=bids, asks=asks)


def news(*, snapshot: bool, bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> BookNews:
    return BookNews(
        snapshot=snapshot, first=1, last=1, previous=0, count=1, bids=bids, asks=asks, levels=(dict(bids), dict(asks))
    )


@pytest.fixture
def voice() -> KrakenVoice:
    made = [Instrument(one, row=row, base=100) for row, one in enumerate(KrakenVoice.products(SPOTS, NOW))]
    for one in made:
        one.update_ns = NOW
        one.best = (780_000, 1_000, 780_001, 5)
    return KrakenVoice(made)


def client() -> Client:
    return Client(7, endpoint="", path="/v2", query={}, now_ns=NOW)


def ask(voice: KrakenVoice, who: Client, method: str, **params: object) -> Any:
    """Carry a request out as the simulated venue does."""
    reaction = voice.receive(who, msgspec.json.encode({"method": method, "params": params, "req_id": 3}), NOW)
    for topic in reaction.unsubscribe:
        who.topics.pop(topic, None)
    for topic in reaction.subscribe:
        who.topics[topic] = None
    return [msgspec.json.decode(frame) for frame in reaction.answers]


def plain_checksum(frame: bytes) -> int:
    """The documented sum over a whole book's message, by its literal numbers."""
    (book,) = json.loads(frame, parse_float=str, parse_int=str)["data"]
    parts = [
        level[key].replace(".", "").lstrip("0")
        for side, best in (("asks", min), ("bids", max))
        for level in sorted(book[side], key=lambda one: Decimal(one["price"]), reverse=best is max)[:10]
        for key in ("price", "qty")
    ]
    return zlib.crc32("".join(parts).encode())


def test_a_connection_begins_with_the_status_of_the_exchange(voice: KrakenVoice) -> None:
    (greeting,) = voice.greet(client()).answers
    assert msgspec.json.decode(greeting)["data"][0]["system"] == "online"


def test_each_pair_is_answered(voice: KrakenVoice) -> None:
    who = client()
    answers = ask(voice, who, "subscribe", channel="book", symbol=["BTC/USD", "XBT/USD", "SOL/USD"], depth=25)
    assert [(one["success"], one.get("error")) for one in answers] == [
        (True, None),
        (False, "Currency pair not supported XBT/USD"),
        (True, None),
    ]
    assert answers[0]["result"] == {"channel": "book", "depth": 25, "snapshot": True, "symbol": "BTC/USD"}
    assert answers[1]["symbol"] == "XBT/USD"
    assert {one["req_id"] for one in answers} == {3}
    assert [(topic.native, topic.depth, topic.forget_pushed) for topic in who.topics] == [
        ("BTC/USD", 25, True),
        ("SOL/USD", 25, True),
    ]


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"channel": "book", "symbol": ["BTC/USD"], "depth": 20}, "Subscription depth not supported 20"),
        ({"channel": "books", "symbol": ["BTC/USD"]}, "Channel not supported books"),
        ({"channel": "trade"}, "Symbol(s) not found"),
    ],
)
def test_refusals(voice: KrakenVoice, params: dict[str, object], text: str) -> None:
    (answer,) = ask(voice, client(), "subscribe", **params)
    assert (answer["success"], answer["error"]) == (False, text)


def test_a_subscription_is_made_once_and_left_once(voice: KrakenVoice) -> None:
    who = client()
    params = {"channel": "ticker", "symbol": ["BTC/USD"], "event_trigger": "bbo"}
    assert ask(voice, who, "subscribe", **params)[0]["success"]
    assert ask(voice, who, "subscribe", **params)[0]["error"] == "Already subscribed"
    assert ask(voice, who, "unsubscribe", channel="ticker", symbol=["BTC/USD"])[0]["success"]
    assert not who.topics
    assert ask(voice, who, "unsubscribe", channel="ticker", symbol=["BTC/USD"])[0]["error"] == "Subscription Not Found"


def test_the_ticker_follows_quotes_or_trades(voice: KrakenVoice) -> None:
    who = client()
    ask(voice, who, "subscribe", channel="ticker", symbol=["BTC/USD"], event_trigger="bbo")
    ask(voice, who, "subscribe", channel="ticker", symbol=["SOL/USD"])
    assert [topic.kind for topic in who.topics] == ["quote", "ticker"]


def test_pings_and_nonsense(voice: KrakenVoice) -> None:
    (pong,) = ask(voice, client(), "ping")
    assert pong["method"] == "pong"
    (wrong,) = voice.receive(client(), b"hello", NOW).answers
    assert msgspec.json.decode(wrong) == {"error": "Malformed request", "success": False}
    assert ask(voice, client(), "add_order")[0]["error"] == "Method not supported"


def test_heartbeats_are_for_those_who_listen(voice: KrakenVoice) -> None:
    who = client()
    assert not voice.heartbeat(who, NOW).answers
    ask(voice, who, "subscribe", channel="trade", symbol=["BTC/USD"])
    assert voice.heartbeat(who, NOW).answers == [b'{"channel":"heartbeat"}']


def test_the_checksum_is_that_of_the_literal_numbers(voice: KrakenVoice) -> None:
    instrument = voice.instruments[0]
    stream = Stream(Topic("book", "BTC/USD", channel="book", depth=25), instrument)
    whole = FixedBooks().snapshot(instrument, 15)
    (frame,) = voice.begin(stream, whole, NOW)
    message = msgspec.json.decode(frame)
    assert (message["channel"], message["type"]) == ("book", "snapshot")
    assert message["data"][0]["checksum"] == plain_checksum(frame)
    assert message["data"][0]["timestamp"] == "2026-08-24T22:11:58.343688Z"
    assert b'"qty":0.00000001' in frame
    few = news(snapshot=True, bids=[(780_000, 25)], asks=[])
    assert checksum(instrument, few.levels) == zlib.crc32(b"780000" + b"25")


def test_a_change_has_the_checksum_of_what_is_then(voice: KrakenVoice) -> None:
    instrument = voice.instruments[0]
    stream = Stream(Topic("book", "BTC/USD", channel="book", depth=10), instrument)
    changed = news(snapshot=False, bids=[(780_000, 0)], asks=[])
    changed.levels = ({779_999: 7}, {780_001: 5})
    (frame,) = voice.book(stream, changed, NOW)
    (book,) = msgspec.json.decode(frame)["data"]
    assert book["checksum"] == zlib.crc32(b"7800015" + b"7799997")
    assert (book["bids"], book["asks"]) == ([{"price": 78000.0, "qty": 0.0}], [])
    spoilt = voice.spoil_checksum(frame)
    assert spoilt is not None
    assert msgspec.json.decode(spoilt)["data"][0]["checksum"] != book["checksum"]


def test_trades_begin_with_fifty_of_the_past(voice: KrakenVoice) -> None:
    instrument = voice.instruments[0]
    stream = Stream(Topic("trade", "BTC/USD", channel="trade"), instrument)
    assert list(voice.begin(stream, None, NOW)) == []
    instrument.trades.extend(Trade(number, 780_001, 5, buy=number % 2 == 0, ts_ns=NOW, maker=1) for number in range(60))
    (frame,) = voice.begin(stream, None, NOW)
    message = msgspec.json.decode(frame)
    assert message["type"] == "snapshot"
    assert [one["trade_id"] for one in message["data"]] == list(range(10, 60))
    (update,) = voice.trades(stream, instrument, list(instrument.trades)[-2:], NOW)
    rows = msgspec.json.decode(update)["data"]
    assert [(one["trade_id"], one["side"], one["price"]) for one in rows] == [
        (58, "buy", 78000.1),
        (59, "sell", 78000.1),
    ]


def test_ticker_figures(voice: KrakenVoice) -> None:
    instrument = voice.instruments[0]
    for price in (780_001, 779_000, 781_000):
        instrument.stats.take(Trade(1, price, 100_000_000, buy=True, ts_ns=NOW, maker=1))
    stream = Stream(Topic("ticker", "BTC/USD", channel="ticker"), instrument)
    (frame,) = voice.values(stream, instrument, NOW)
    (row,) = msgspec.json.decode(frame)["data"]
    assert (row["bid"], row["ask_qty"], row["low"], row["high"], row["last"]) == (
        78000.0,
        5e-8,
        77900.0,
        78100.0,
        78100.0,
    )
    assert row["volume"] == 3.0


def test_a_halt_is_told_by_the_instrument_channel_and_the_list(voice: KrakenVoice) -> None:
    stream = Stream(Topic("status", channel="instrument"), None)
    (begin,) = voice.begin(stream, None, NOW)
    pairs = msgspec.json.decode(begin)["data"]["pairs"]
    assert [(one["symbol"], one["status"], one["price_increment"]) for one in pairs] == [
        ("BTC/USD", "online", 0.1),
        ("SOL/USD", "online", 0.001),
    ]
    voice.instruments[0].halted = True
    (frame,) = voice.values(stream, voice.instruments[0], NOW)
    assert msgspec.json.decode(frame)["data"]["pairs"][0]["status"] == "cancel_only"
    assert rest(voice, "AssetPairs")["result"]["XXBTZUSD"]["status"] == "cancel_only"


def rest(voice: KrakenVoice, path: str, **query: str) -> Any:
    answer = voice.rest(RestRequest(path=f"/0/public/{path}", query=query, now_ns=NOW), FixedBooks())
    return msgspec.json.decode(answer.body)


def test_rest_keeps_the_older_names(voice: KrakenVoice) -> None:
    pairs = rest(voice, "AssetPairs")["result"]
    assert {name: (one["wsname"], one["tick_size"]) for name, one in pairs.items()} == {
        "XXBTZUSD": ("XBT/USD", "0.1"),
        "SOLUSD": ("SOL/USD", "0.001"),
    }
    assert len(rest(voice, "Depth", pair="XXBTZUSD", count="5")["result"]["XXBTZUSD"]["bids"]) == 5
    assert rest(voice, "Depth", pair="NO")["error"] == ["EQuery:Unknown asset pair"]
    assert rest(voice, "Nothing")["error"] == ["EGeneral:Unknown method"]
    assert rest(voice, "SystemStatus")["result"]["status"] == "online"
    assert voice.too_many().status == 429
