"""BITSTAMP: WebSocket v2, spot and perpetuals.

Sources, as of 2026: www.bitstamp.net/websocket/v2 ("Websocket API v2": channels, heartbeat, 1,024 channels a
connection, messages under 512 bytes, ``bts:request_reconnect``) and www.bitstamp.net/api ("Markets", "Order book",
"Ticker", "Transactions": 400 requests a second, 10,000 in ten minutes); a session recorded on 2022-01-05. Whole books
come about every 100 ms and differences more seldom, neither at the subscription; a market that does not exist is
confirmed and silent.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Final

import msgspec

from tickcast.sim.crypto.listing import Product, Spot, price_tick, size_lot
from tickcast.sim.crypto.state import BookNews, Client, Instrument, Stream, Topic, Trade
from tickcast.sim.crypto.voice import Books, House, Reaction, RestAnswer, RestRequest, Voice, json, ladder
from tickcast.sim.universe import decimal_text, tick_digits

WHOLE_DEPTH: Final = 100
PERPETUALS: Final = 2
FRAME_MAX: Final = 512
SPANS: Final[Mapping[str, int]] = {"minute": 60, "hour": 3600, "day": 86_400}
"""Seconds."""
CHANNELS: Final[Mapping[str, Topic]] = {
    "live_trades": Topic("trade"),
    "order_book": Topic("book", interval_ms=100, depth=WHOLE_DEPTH, whole=True),
    "diff_order_book": Topic("book", interval_ms=200),
    "funding_rate": Topic("funding", interval_ms=1000, always=True),
    "detail_order_book": Topic("other"),
    "live_orders": Topic("other"),
}


class _Data(msgspec.Struct):
    channel: str = ""


class _Request(msgspec.Struct):
    event: str
    data: _Data = msgspec.field(default_factory=_Data)


class BitstampVoice(Voice):
    """Whole books and differences by microtimestamp, no numbers; one channel a message."""

    code: ClassVar[str] = "BITSTAMP"
    paths: ClassVar[Mapping[str, str]] = {"": "/"}
    rest_prefix: ClassVar[str] = "/api/v2/"
    house: ClassVar[House] = House(messages_per_s=100, topics_max=1024, weight=10_000, weight_per_s=600.0, pings=True)
    restart: ClassVar = "cut"

    @classmethod
    def products(cls, spots: Sequence[Spot], start_ns: int) -> list[Product]:
        """List all pairs against the dollar, and perpetuals of the first."""
        del start_ns
        found = [_product(spot) for spot in spots]
        found += [
            replace(
                one,
                native=f"{one.native}-perp",
                symbol=f"{one.symbol}-PERP",
                kind="perpetual",
                settle="USD",
                lot=size_lot(one.price),
            )
            for one in found[:PERPETUALS]
        ]
        return found

    # ------------------------------------------------------------------ a connection

    def receive(self, client: Client, frame: bytes, now_ns: int) -> Reaction:
        """Carry out one request."""
        del now_ns
        if len(frame) > FRAME_MAX:
            return Reaction(close=(1009, f"read limited at {FRAME_MAX + 1} bytes"))
        try:
            request = msgspec.json.decode(frame, type=_Request)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return _error("Incorrect JSON format.")
        if request.event == "bts:heartbeat":
            return Reaction([json({"event": "bts:heartbeat", "channel": "", "data": {"status": "success"}})])
        channel = request.data.channel
        if request.event not in {"bts:subscribe", "bts:unsubscribe"} or not channel:
            return _error("Bad subscription string.")
        return self._carry_out(client, request.event, channel)

    def _carry_out(self, client: Client, event: str, channel: str) -> Reaction:
        """Begin or end a channel."""
        topic = self._topic(channel)
        if topic is None or (event == "bts:subscribe" and not self.takes(topic)):
            return _error("Invalid channel provided.")
        answer = json({"event": f"{event.replace('scribe', 'scription')}_succeeded", "channel": channel, "data": {}})
        if event == "bts:unsubscribe":
            return Reaction([answer], unsubscribe=[topic])
        if len(client.topics) >= self.house.topics_max:
            return Reaction(close=(1006, ""))
        return Reaction([answer], subscribe=[topic])

    def _topic(self, channel: str) -> Topic | None:
        """Return the topic of a channel; of a market that does not exist one that is never told."""
        name, _, native = channel.rpartition("_")
        known = CHANNELS.get(name)
        if known is None or native != native.lower() or "/" in native:
            return None
        if ("", native) not in self.by_native:
            return Topic("other", channel=name, key=channel)
        return replace(known, native=native, channel=name, key=channel)

    def farewell(self, client: Client, now_ns: int) -> Sequence[bytes]:
        """Ask to reconnect."""
        del client, now_ns
        return [json({"event": "bts:request_reconnect", "channel": "", "data": None})]

    # ------------------------------------------------------------------ news

    def begin(self, stream: Stream, book: BookNews | None, now_ns: int) -> Iterable[bytes]:
        """Say nothing: every channel begins with its next event."""
        del stream, book, now_ns
        return ()

    def book(self, stream: Stream, news: BookNews, now_ns: int) -> Iterable[bytes]:
        """Write what changed, or the whole book."""
        instrument = stream.instrument
        assert instrument is not None  # noqa: S101  topics of books name one
        yield _message(stream, "data", _levels(instrument, news, now_ns))

    def trades(self, stream: Stream, instrument: Instrument, trades: Sequence[Trade], now_ns: int) -> Iterable[bytes]:
        """Write a message for each trade."""
        del now_ns
        for trade in trades:
            price, size = instrument.price(trade.price), instrument.size(trade.size)
            yield _message(
                stream,
                "trade",
                f'{{"id":{trade.id},"id_str":"{trade.id}","timestamp":"{trade.ts_ns // 1_000_000_000}",'
                f'"amount":{float(size)},"amount_str":"{size}","price":{float(price)},"price_str":"{price}",'
                f'"type":{0 if trade.buy else 1},"microtimestamp":"{trade.ts_ns // 1000}",'
                f'"buy_order_id":{trade.maker + trade.buy},"sell_order_id":{trade.maker + (not trade.buy)}}}',
            )

    def values(self, stream: Stream, instrument: Instrument, now_ns: int) -> Iterable[bytes]:
        """Write mark, index and funding of a perpetual."""
        if stream.topic.channel != "funding_rate" or instrument.product.kind != "perpetual":
            return
        yield _message(
            stream,
            "funding_rate_saved",
            f'{{"market":"{instrument.native}","mark_price":"{instrument.price(instrument.mark)}",'
            f'"index_price":"{instrument.index_price:.8f}","funding_rate":"{instrument.funding:.8f}",'
            f'"timestamp":"{now_ns // 1_000_000_000}",'
            f'"next_funding_time":"{instrument.funding_next_ns // 1_000_000_000}"}}',
        )

    # ------------------------------------------------------------------ REST

    def rest(self, request: RestRequest, books: Books) -> RestAnswer:
        """Answer markets, books and tickers."""
        word, _, native = request.path.removeprefix(self.rest_prefix).strip("/").partition("/")
        if word == "markets":
            return RestAnswer(json([_entry(one) for one in self.instruments]))
        instrument = self.by_native.get(("", native))
        if instrument is None or word not in {"order_book", "ticker", "transactions"}:
            return RestAnswer(json({"status": "error", "reason": "Not found", "code": "404.002"}), status=404)
        if word == "transactions":
            return RestAnswer(json(_transactions(instrument, request)))
        if word == "order_book":
            return RestAnswer(_levels(instrument, books.snapshot(instrument, 0), request.now_ns).encode())
        return RestAnswer(_ticker(instrument, request.now_ns))

    def too_many(self) -> RestAnswer:
        """Write the answer to too many requests."""
        return RestAnswer(json({"status": "error", "reason": "Too many requests", "code": "400.002"}), status=429)


def _message(stream: Stream, event: str, data: str) -> bytes:
    return f'{{"data":{data},"channel":"{stream.topic.key}","event":"{event}"}}'.encode()


def _levels(instrument: Instrument, news: BookNews, now_ns: int) -> str:
    at_us = (instrument.update_ns or now_ns) // 1000
    return (
        f'{{"timestamp":"{at_us // 1_000_000}","microtimestamp":"{at_us}",'
        f'"bids":[{ladder(instrument, news.bids)}],"asks":[{ladder(instrument, news.asks)}]}}'
    )


def _transactions(instrument: Instrument, request: RestRequest) -> list[dict[str, str]]:
    """Write the trades of a span, newest first, with times in whole seconds."""
    since_ns = request.now_ns - SPANS.get(request.query.get("time", ""), SPANS["hour"]) * 1_000_000_000
    return [
        {
            "date": str(trade.ts_ns // 1_000_000_000),
            "tid": str(trade.id),
            "amount": instrument.size(trade.size),
            "type": "0" if trade.buy else "1",
            "price": instrument.price(trade.price),
        }
        for trade in reversed(instrument.trades)
        if trade.ts_ns >= since_ns
    ]


def _ticker(instrument: Instrument, now_ns: int) -> bytes:
    stats, price, size = instrument.stats, instrument.price, instrument.size
    bid, _, ask, _ = instrument.best
    last = stats.last or bid
    average = round(stats.turnover / stats.volume) if stats.volume else last
    ticker = {
        "timestamp": str(now_ns // 1_000_000_000),
        "open": price(stats.open or last),
        "high": price(stats.high or last),
        "low": price(stats.low or last),
        "last": price(last),
        "volume": size(stats.volume),
        "vwap": price(average),
        "bid": price(bid),
        "ask": price(ask),
        "side": "0",
        "open_24": price(stats.open or last),
        "percent_change_24": "0.10",
        "market_type": "PERPETUAL" if instrument.product.kind == "perpetual" else "SPOT",
        "market": _name(instrument.product),
    }
    if instrument.product.kind == "perpetual":
        ticker |= {
            "mark_price": price(instrument.mark),
            "index_price": f"{instrument.index_price:.8f}",
            "open_interest": size(instrument.open_interest),
            "open_interest_value": "0.00",
        }
    return json(ticker)


def _error(message: str) -> Reaction:
    return Reaction([json({"event": "bts:error", "channel": "", "data": {"code": None, "message": message}})])


# ------------------------------------------------------------------ products


def _product(spot: Spot) -> Product:
    return Product(
        native=f"{spot.base}usd".lower(),
        symbol=f"{spot.base}-USD",
        kind="spot",
        base=spot.base,
        quote="USD",
        source=spot.source,
        tick=price_tick(spot.price, digits=6),
        lot=1,
        price=spot.price,
        typical=1500.0 / spot.price,
    )


def _name(product: Product) -> str:
    return f"{product.base}/{product.quote}{'-PERP' if product.kind == 'perpetual' else ''}"


def _entry(instrument: Instrument) -> dict[str, object]:
    """Write an entry of the list."""
    product = instrument.product
    entry: dict[str, object] = {
        "name": _name(product),
        "market_symbol": product.native,
        "base_currency": product.base,
        "base_decimals": tick_digits(product.lot),
        "counter_currency": product.quote,
        "counter_decimals": tick_digits(product.tick),
        "minimum_order_value": "10",
        "trading": "Disabled" if instrument.halted else "Enabled",
        "instant_and_market_orders": "Enabled",
        "description": f"{product.base} / U.S. dollar",
        "market_type": "PERPETUAL" if product.kind == "perpetual" else "SPOT",
        "tick_size": decimal_text(product.tick, digits=tick_digits(product.tick)),
    }
    if product.kind == "perpetual":
        entry |= {"contract_size": "1.00000000", "payoff_type": "LINEAR", "underlying_asset": product.base}
    return entry
