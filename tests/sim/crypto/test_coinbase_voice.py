"""How the simulated Coinbase talks, message by message."""

from typing import Any

import msgspec
import pytest

from tickcast.sim.crypto.coinbase import CoinbaseVoice
from tickcast.sim.crypto.listing import Spot
from tickcast.sim.crypto.state import BookNews, Client, Instrument, Stream, Topic, Trade
from tickcast.sim.crypto.voice import Books, RestRequest

NOW = 1_786_309_548_228_568_804
SECOND = 1_000_000_000
SPOTS = [Spot(base="BTC", price=65_000.0, source=0), Spot(base="ETH", price=1_900.0, source=1)]


class FixedBooks(Books):
    def snapshot(self, instrument: Instrument, depth: int) -> BookNews:
        levels = {instrument.best[0]: instrument.best[1]}, {instrument.best[2]: instrument.best[3]}
        return news(snapshot=True, bids=list(levels[0].items())[:depth], asks=list(levels[1].items())[:depth])


def news(*, snapshot: bool, bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> BookNews:
    return BookNews(
        snapshot=snapshot, first=1, last=1, previous=0, count=1, bids=bids, asks=asks, levels=(dict(bids), dict(asks))
    )


@pytest.fixture
def voice() -> CoinbaseVoice:
    made = [Instrument(one, row=row, base=100) for row, one in enumerate(CoinbaseVoice.products(SPOTS, NOW))]
    for one in made:
        one.update_ns = NOW - SECOND
        one.best = (6_500_000, 25_000_000, 6_500_001, 5)
    return CoinbaseVoice(made)


def client() -> Client:
    return Client(7, endpoint="", path="/", query={}, now_ns=NOW)


def ask(voice: CoinbaseVoice, who: Client, body: object) -> Any:
    """Carry a request out as the simulated venue does."""
    reaction = voice.receive(who, msgspec.json.encode(body), NOW)
    for topic in reaction.unsubscribe:
        who.topics.pop(topic, None)
    for topic in reaction.subscribe:
        who.topics[topic] = None
    return [read(voice, who, frame) for frame in reaction.answers]


def read(voice: CoinbaseVoice, who: Client, payload: bytes) -> Any:
    return msgspec.json.decode(voice.dress(who, None, payload))


def test_a_subscription_is_answered_with_all_of_them(voice: CoinbaseVoice) -> None:
    who = client()
    (first,) = ask(voice, who, {"type": "subscribe", "channel": "level2", "product_ids": ["BTC-USD", "ETH-USD"]})
    assert first == {
        "channel": "subscriptions",
        "timestamp": "2026-08-09T21:05:48.228568804Z",
        "sequence_num": 0,
        "events": [{"subscriptions": {"level2": ["BTC-USD", "ETH-USD"]}}],
    }
    ask(voice, who, {"type": "subscribe", "channel": "heartbeats"})
    (third,) = ask(voice, who, {"type": "unsubscribe", "channel": "level2", "product_ids": ["BTC-USD"]})
    assert third["sequence_num"] == 2
    assert third["events"] == [{"subscriptions": {"level2": ["ETH-USD"], "heartbeats": ["heartbeats"]}}]
    assert [topic.native for topic in who.topics] == ["ETH-USD"]
    ask(voice, who, {"type": "unsubscribe", "channel": "level2"})
    assert not who.topics


def test_without_products_all_of_them_are_meant(voice: CoinbaseVoice) -> None:
    who = client()
    ask(voice, who, {"type": "subscribe", "channel": "ticker"})
    assert [topic.native for topic in who.topics] == ["BTC-USD", "ETH-USD"]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"type": "subscribe", "channel": "level2", "product_ids": ["ZZZ-USD"]}, "ZZZ-USD is not a valid product"),
        ({"type": "subscribe", "channel": "level9"}, "level9 is not a valid channel"),
        ({"type": "hello"}, "type has to be subscribe or unsubscribe, found hello"),
        (["no", "request"], "invalid JSON"),
    ],
)
def test_errors_have_no_number_and_take_none(voice: CoinbaseVoice, body: object, text: str) -> None:
    who = client()
    assert ask(voice, who, body) == [{"type": "error", "message": text}]
    (answer,) = ask(voice, who, {"type": "subscribe", "channel": "heartbeats"})
    assert answer["sequence_num"] == 0


def test_connections_count_apart(voice: CoinbaseVoice) -> None:
    here, there = client(), client()
    frame = b'{"channel":"x","timestamp":"t","sequence_num":#,"events":[]}'
    assert [read(voice, here, frame)["sequence_num"] for _ in range(3)] == [0, 1, 2]
    assert read(voice, there, frame)["sequence_num"] == 0


def test_heartbeats_are_for_those_who_ask(voice: CoinbaseVoice) -> None:
    who = client()
    assert not voice.heartbeat(who, NOW + SECOND).answers
    ask(voice, who, {"type": "subscribe", "channel": "heartbeats"})
    counted = [
        read(voice, who, voice.heartbeat(who, NOW).answers[0])["events"][0]["heartbeat_counter"] for _ in range(3)
    ]
    assert counted == [1, 2, 3]


def test_who_asks_for_nothing_is_closed(voice: CoinbaseVoice) -> None:
    who = client()
    assert voice.heartbeat(who, NOW + 4 * SECOND).close is None
    assert voice.heartbeat(who, NOW + 6 * SECOND).close == (1000, "no subscription")
    ask(voice, who, {"type": "subscribe", "channel": "level2"})
    assert voice.heartbeat(who, NOW + 6 * SECOND).close is None


def test_a_book_begins_with_all_levels_and_goes_on_with_changes(voice: CoinbaseVoice) -> None:
    who = client()
    stream = Stream(Topic("book", "BTC-USD", channel="level2"), voice.instruments[0])
    whole = news(snapshot=True, bids=[(6_500_000, 25_000_000), (6_499_900, 1)], asks=[(6_500_001, 100_000_000)])
    (begin,) = voice.begin(stream, whole, NOW)
    (event,) = read(voice, who, begin)["events"]
    assert (event["type"], event["product_id"]) == ("snapshot", "BTC-USD")
    assert [(one["side"], one["price_level"], one["new_quantity"]) for one in event["updates"]] == [
        ("bid", "65000.00", "0.25000000"),
        ("bid", "64999.00", "0.00000001"),
        ("offer", "65000.01", "1.00000000"),
    ]
    assert {one["event_time"] for one in event["updates"]} == {"2026-08-09T21:05:47.228568Z"}
    (change,) = voice.book(stream, news(snapshot=False, bids=[(6_500_000, 0)], asks=[]), NOW)
    message = read(voice, who, change)
    assert (message["channel"], message["sequence_num"]) == ("l2_data", 1)
    assert message["events"][0]["type"] == "update"
    assert float(message["events"][0]["updates"][0]["new_quantity"]) == 0


def test_trades_are_told_newest_first_with_the_makers_side(voice: CoinbaseVoice) -> None:
    instrument = voice.instruments[0]
    stream = Stream(Topic("trade", "BTC-USD", channel="market_trades"), instrument)
    assert list(voice.begin(stream, None, NOW)) == []
    trades = [
        Trade(1, 6_500_001, 5, buy=True, ts_ns=NOW, maker=1),
        Trade(2, 6_500_000, 7, buy=False, ts_ns=NOW, maker=2),
    ]
    instrument.trades.extend(trades)
    for word, frames in (
        ("snapshot", voice.begin(stream, None, NOW)),
        ("update", voice.trades(stream, instrument, trades, NOW)),
    ):
        (event,) = read(voice, client(), next(iter(frames)))["events"]
        assert event["type"] == word
        assert [(one["trade_id"], one["price"], one["side"]) for one in event["trades"]] == [
            ("2", "65000.00", "BUY"),
            ("1", "65000.01", "SELL"),
        ]


def test_the_ticker_quotes_and_the_batch_does_not(voice: CoinbaseVoice) -> None:
    instrument = voice.instruments[0]
    instrument.stats.take(Trade(1, 6_500_001, 300_000_000, buy=True, ts_ns=NOW, maker=1))
    found = {}
    for channel in ("ticker", "ticker_batch"):
        stream = Stream(Topic("ticker", "BTC-USD", channel=channel), instrument)
        (frame,) = voice.values(stream, instrument, NOW)
        message = read(voice, client(), frame)
        assert message["channel"] == channel
        found[channel] = message["events"][0]["tickers"][0]
    assert (found["ticker"]["best_bid"], found["ticker"]["best_ask_quantity"]) == ("65000.00", "0.00000005")
    assert found["ticker"]["volume_24_h"] == "3.00000000"
    assert "best_bid" not in found["ticker_batch"]


def test_a_halt_is_told_by_status_and_list(voice: CoinbaseVoice) -> None:
    instrument = voice.instruments[0]
    instrument.halted = True
    (frame,) = voice.values(Stream(Topic("status", "BTC-USD", channel="status"), instrument), instrument, NOW)
    (product,) = read(voice, client(), frame)["events"][0]["products"]
    assert (product["id"], product["status"], product["quote_increment"]) == ("BTC-USD", "offline", "0.01")
    assert rest(voice, "market/products")["products"][0]["status"] == "offline"


def rest(voice: CoinbaseVoice, path: str, **query: str) -> Any:
    answer = voice.rest(RestRequest(path=f"/api/v3/brokerage/{path}", query=query, now_ns=NOW), FixedBooks())
    return msgspec.json.decode(answer.body)


def test_lists_books_and_the_time(voice: CoinbaseVoice) -> None:
    products = rest(voice, "market/products")["products"]
    assert [(one["product_id"], one["alias"]) for one in products] == [
        ("BTC-USD", ""), ("ETH-USD", ""), ("BTC-USDC", "BTC-USD"), ("ETH-USDC", "ETH-USD"),
    ]  # fmt: skip
    assert products[0]["base_increment"] == "0.00000001"
    assert rest(voice, "market/products", product_type="FUTURE")["products"] == []
    assert rest(voice, "market/product_book", product_id="BTC-USD")["pricebook"]["bids"] == [
        {"price": "65000.00", "size": "0.25000000"}
    ]
    assert rest(voice, "time")["epochSeconds"] == str(NOW // SECOND)


def test_what_is_not_there_is_not_found(voice: CoinbaseVoice) -> None:
    for path, query in (("nothing", {}), ("market/product_book", {"product_id": "X-USD"})):
        request = RestRequest(path=f"/api/v3/brokerage/{path}", query=query, now_ns=NOW)
        assert voice.rest(request, FixedBooks()).status == 404
    assert voice.too_many().status == 429
