"""COINBASE: Advanced Trade, spot.

Sources, as of 2026: docs.cdp.coinbase.com, Advanced Trade APIs, "WebSocket Channels", "WebSocket Overview",
"WebSocket Rate Limits", the AsyncAPI file beside them, "List Public Products"; a session recorded on 2026-08-09. The
texts of errors are not published: ours are of the same form.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import ClassVar, Final

import msgspec

from tickcast.sim.crypto.listing import Product, Spot, price_tick
from tickcast.sim.crypto.state import BookNews, Client, Instrument, Stream, Topic, Trade
from tickcast.sim.crypto.times import iso
from tickcast.sim.crypto.voice import Books, House, Reaction, RestAnswer, RestRequest, Voice, json
from tickcast.sim.universe import decimal_text, tick_digits

NUMBER: Final = b'"sequence_num":#'
"""Where the number of a client's message goes."""
KINDS: Final[Mapping[str, Topic]] = {
    "level2": Topic("book", channel="level2", interval_ms=50),
    "market_trades": Topic("trade", channel="market_trades"),
    "ticker": Topic("ticker", channel="ticker", interval_ms=50),
    "ticker_batch": Topic("ticker", channel="ticker_batch", interval_ms=5000),
    "status": Topic("status", channel="status", interval_ms=500),
    "candles": Topic("other", channel="candles"),
}
ALIASES: Final = 2
"""So many products are listed under a second name too, as the venue does with its USDC pairs."""
SECOND_NS: Final = 1_000_000_000
BOOK_MAX: Final = 1000
"""Levels a side over REST."""


class _Request(msgspec.Struct):
    type: str
    channel: str = ""
    product_ids: list[str] = []


class CoinbaseVoice(Voice):
    """One count of all messages of a connection; books in one frame; trades newest first, with the maker's side."""

    code: ClassVar[str] = "COINBASE"
    paths: ClassVar[Mapping[str, str]] = {"": "/"}
    rest_prefix: ClassVar[str] = "/api/v3/brokerage/"
    house: ClassVar[House] = House(
        messages_per_s=8, topics_max=10_000, weight=10, weight_per_s=1.0, heartbeat_s=1.0, pings=True
    )
    restart: ClassVar = "cut"
    dressed: ClassVar[bool] = True

    @classmethod
    def products(cls, spots: Sequence[Spot], start_ns: int) -> list[Product]:
        """List all pairs against the dollar."""
        del start_ns
        return [
            Product(
                native=f"{spot.base}-USD",
                symbol=f"{spot.base}-USD",
                kind="spot",
                base=spot.base,
                quote="USD",
                source=spot.source,
                tick=price_tick(spot.price, digits=7),
                lot=1,
                price=spot.price,
                typical=2000.0 / spot.price,
            )
            for spot in spots
        ]

    # ------------------------------------------------------------------ a connection

    def dress(self, client: Client, topic: Topic | None, payload: bytes) -> bytes:
        """Number the client's messages; errors have no number."""
        del topic
        if NUMBER not in payload[:120]:
            return payload
        number = client.memory.get("number", 0)
        client.memory["number"] = number + 1 if isinstance(number, int) else 1
        return payload.replace(b"#", str(number).encode(), 1)

    def receive(self, client: Client, frame: bytes, now_ns: int) -> Reaction:
        """Carry out one request; the answer names all subscriptions of the connection."""
        try:
            return self._carry_out(client, _read(frame), now_ns)
        except _BadRequestError as wrong:
            return Reaction(answers=[json({"type": "error", "message": str(wrong)})])

    def _carry_out(self, client: Client, request: _Request, now_ns: int) -> Reaction:
        subscribe = request.type == "subscribe"
        if request.channel == "heartbeats":
            client.memory["heartbeats"] = subscribe
            return Reaction(answers=[_subscriptions(client, client.topics, now_ns)])
        wanted = self._wanted(client, request)
        if not subscribe:
            left = set(client.topics) - set(wanted)
            return Reaction(answers=[_subscriptions(client, left, now_ns)], unsubscribe=wanted)
        refused = [topic.native for topic in wanted if not self.takes(topic)]
        if refused:
            raise _BadRequestError(f"{', '.join(refused)} is not a valid product")
        now = set(client.topics) | set(wanted)
        if len(now) > self.house.topics_max:
            raise _BadRequestError("too many subscriptions")
        return Reaction(answers=[_subscriptions(client, now, now_ns)], subscribe=wanted)

    def heartbeat(self, client: Client, now_ns: int) -> Reaction:
        """Tell the heartbeat to those who asked for it; close who asked for nothing within five seconds."""
        if not client.memory.get("heartbeats"):
            idle = not client.topics and now_ns - client.connected_ns > 5 * 1_000_000_000
            return Reaction(close=(1000, "no subscription")) if idle else Reaction()
        count = client.memory.get("beats", 0)
        client.memory["beats"] = count = count + 1 if isinstance(count, int) else 1
        time = iso(now_ns, digits=9)
        event = (
            f'{{"current_time":"{time[:10]} {time[11:-1]} +0000 UTC m=+{count}.000000001","heartbeat_counter":{count}}}'
        )
        return Reaction(answers=[_message("heartbeats", event, now_ns)])

    def _wanted(self, client: Client, request: _Request) -> list[Topic]:
        """Topics of a request; without products all that there are to join or leave."""
        kind = KINDS.get(request.channel)
        if kind is None:
            raise _BadRequestError(f"{request.channel or 'no channel'} is not a valid channel")
        if not request.product_ids and request.type == "unsubscribe":
            return [topic for topic in client.topics if topic.channel == request.channel]
        names = request.product_ids or [one.native for one in self.instruments]
        unknown = [name for name in names if ("", name) not in self.by_native]
        if unknown:
            raise _BadRequestError(f"{', '.join(unknown)} is not a valid product")
        return [Topic(kind.kind, name, channel=kind.channel, interval_ms=kind.interval_ms) for name in names]

    # ------------------------------------------------------------------ news

    def begin(self, stream: Stream, book: BookNews | None, now_ns: int) -> Iterable[bytes]:
        """Tell the whole book, the last trades, or the values of now."""
        instrument = stream.instrument
        if instrument is None:
            return
        if book is not None:
            yield _message("l2_data", _levels("snapshot", instrument, book), now_ns)
        elif stream.topic.kind == "trade":
            if instrument.trades:
                yield _message("market_trades", _prints("snapshot", instrument, list(instrument.trades)), now_ns)
        else:
            yield from self._tell(stream, instrument, "snapshot", now_ns)

    def book(self, stream: Stream, news: BookNews, now_ns: int) -> Iterable[bytes]:
        """Write what changed."""
        instrument = stream.instrument
        assert instrument is not None  # noqa: S101  topics of books name one
        yield _message("l2_data", _levels("snapshot" if news.snapshot else "update", instrument, news), now_ns)

    def trades(self, stream: Stream, instrument: Instrument, trades: Sequence[Trade], now_ns: int) -> Iterable[bytes]:
        """Write the trades of a slice in one message, newest first."""
        del stream
        yield _message("market_trades", _prints("update", instrument, trades), now_ns)

    def values(self, stream: Stream, instrument: Instrument, now_ns: int) -> Iterable[bytes]:
        """Write the ticker or the status."""
        return self._tell(stream, instrument, "update", now_ns)

    def _tell(self, stream: Stream, instrument: Instrument, word: str, now_ns: int) -> Iterable[bytes]:
        channel = stream.topic.channel
        if stream.topic.kind == "ticker":
            event = f'{{"type":"{word}","tickers":[{_ticker(instrument, quoted=channel == "ticker")}]}}'
            yield _message(channel, event, now_ns)
        elif stream.topic.kind == "status":
            product = json(_status(instrument)).decode()
            yield _message("status", f'{{"type":"{word}","products":[{product}]}}', now_ns)

    # ------------------------------------------------------------------ REST

    def rest(self, request: RestRequest, books: Books) -> RestAnswer:
        """Answer the public part."""
        answers: dict[str, Callable[[RestRequest, Books], RestAnswer]] = {
            "time": lambda asked, _: RestAnswer(
                json(
                    {
                        "iso": iso(asked.now_ns, digits=0),
                        "epochSeconds": str(asked.now_ns // SECOND_NS),
                        "epochMillis": str(asked.now_ns // 1_000_000),
                    }
                )
            ),
            "market/products": self._products,
            "market/product_book": self._product_book,
        }
        word = request.path.removeprefix(self.rest_prefix)
        if word.startswith("market/products/") and word.endswith("/ticker"):
            return self._market_trades(request, word.split("/")[2])
        answer = answers.get(word)
        return answer(request, books) if answer is not None else _not_found("the path")

    def too_many(self) -> RestAnswer:
        """Write the answer to too many requests."""
        return RestAnswer(json({"error": "RATE_LIMIT_EXCEEDED", "message": "Too many requests"}), status=429)

    def _products(self, request: RestRequest, books: Books) -> RestAnswer:
        del books
        spot = request.query.get("product_type", "SPOT") in {"SPOT", "UNKNOWN_PRODUCT_TYPE"}
        entries = [_product(one) for one in self.instruments] if spot else []
        for one in self.instruments[:ALIASES] if spot else ():
            name = f"{one.product.base}-USDC"
            entries.append({**_product(one), "product_id": name, "quote_currency_id": "USDC", "alias": one.native})
        pages = {"prev_cursor": "", "next_cursor": "", "has_next": False, "has_prev": False}
        return RestAnswer(json({"products": entries, "num_products": len(entries), "pagination": pages}))

    def _market_trades(self, request: RestRequest, native: str) -> RestAnswer:
        """Answer with the newest trades of a time, newest first."""
        instrument = self.by_native.get(("", native))
        if instrument is None:
            return _not_found("the product")
        limit, start, end = (request.query.get(name, "") for name in ("limit", "start", "end"))
        if not limit.isdecimal():
            return RestAnswer(json({"error": "INVALID_ARGUMENT", "message": "limit is required"}), status=400)
        chosen = [
            one
            for one in instrument.trades
            if (not start.isdecimal() or one.ts_ns >= int(start) * SECOND_NS)
            and (not end.isdecimal() or one.ts_ns <= int(end) * SECOND_NS)
        ]
        rows = _rows(instrument, chosen[-int(limit) :] if int(limit) else [])
        price, (bid, _, ask, _) = instrument.price, instrument.best
        best = f'"best_bid":"{price(bid)}","best_ask":"{price(ask)}"'
        return RestAnswer(f'{{"trades":[{rows}],{best}}}'.encode())

    def _product_book(self, request: RestRequest, books: Books) -> RestAnswer:
        instrument = self.by_native.get(("", request.query.get("product_id", "")))
        limit = request.query.get("limit", "")
        if instrument is None:
            return _not_found("the product")
        book = books.snapshot(instrument, min(int(limit) if limit.isdecimal() else BOOK_MAX, BOOK_MAX))
        sides = {
            name: [{"price": instrument.price(price), "size": instrument.size(size)} for price, size in side]
            for name, side in (("bids", book.bids), ("asks", book.asks))
        }
        return RestAnswer(json({"pricebook": {"product_id": instrument.native, **sides, "time": iso(request.now_ns)}}))


class _BadRequestError(Exception):
    """Answered with an error, which has no number."""


def _read(frame: bytes) -> _Request:
    try:
        request = msgspec.json.decode(frame, type=_Request)
    except msgspec.MsgspecError as wrong:
        raise _BadRequestError("invalid JSON") from wrong
    if request.type not in {"subscribe", "unsubscribe"}:
        raise _BadRequestError(f"type has to be subscribe or unsubscribe, found {request.type}")
    return request


def _step(units: int) -> str:
    return decimal_text(units, digits=tick_digits(units))


def _message(channel: str, event: str, now_ns: int) -> bytes:
    return (
        f'{{"channel":"{channel}","timestamp":"{iso(now_ns, digits=9)}",{NUMBER.decode()},"events":[{event}]}}'
    ).encode()


def _subscriptions(client: Client, topics: Iterable[Topic], now_ns: int) -> bytes:
    found: dict[str, list[str]] = {}
    for topic in sorted(topics, key=lambda one: (one.channel, one.native)):
        found.setdefault(topic.channel, []).append(topic.native)
    if client.memory.get("heartbeats"):
        found["heartbeats"] = ["heartbeats"]
    return _message("subscriptions", json({"subscriptions": found}).decode(), now_ns)


def _levels(word: str, instrument: Instrument, news: BookNews) -> str:
    price, size, time = instrument.price, instrument.size, iso(instrument.update_ns)
    changes = ",".join(
        [
            f'{{"side":"{side}","event_time":"{time}","price_level":"{price(ticks)}","new_quantity":"{size(lots)}"}}'
            for side, levels in (("bid", news.bids), ("offer", news.asks))
            for ticks, lots in levels
        ]
    )
    return f'{{"type":"{word}","product_id":"{instrument.native}","updates":[{changes}]}}'


def _prints(word: str, instrument: Instrument, trades: Sequence[Trade]) -> str:
    return f'{{"type":"{word}","trades":[{_rows(instrument, trades)}]}}'


def _rows(instrument: Instrument, trades: Sequence[Trade]) -> str:
    """Write trades, newest first."""
    price, size, native = instrument.price, instrument.size, instrument.native
    return ",".join(
        [
            f'{{"product_id":"{native}","trade_id":"{one.id}","price":"{price(one.price)}","size":"{size(one.size)}",'
            f'"time":"{iso(one.ts_ns)}","side":"{"SELL" if one.buy else "BUY"}"}}'
            for one in reversed(trades)
        ]
    )


def _ticker(instrument: Instrument, *, quoted: bool) -> str:
    stats, price, size = instrument.stats, instrument.price, instrument.size
    bid, bid_size, ask, ask_size = instrument.best
    last = stats.last or bid
    change = 100 * (last - stats.open) / stats.open if stats.open else 0.0
    best = (
        f',"best_bid":"{price(bid)}","best_ask":"{price(ask)}","best_bid_quantity":"{size(bid_size)}",'
        f'"best_ask_quantity":"{size(ask_size)}"'
    )
    return (
        f'{{"type":"ticker","product_id":"{instrument.native}","price":"{price(last)}",'
        f'"volume_24_h":"{size(stats.volume)}","low_24_h":"{price(stats.low or last)}",'
        f'"high_24_h":"{price(stats.high or last)}","low_52_w":"{price(stats.low or last)}",'
        f'"high_52_w":"{price(stats.high or last)}","price_percent_chg_24_h":"{change:.8f}"{best if quoted else ""}}}'
    )


def _status(instrument: Instrument) -> dict[str, object]:
    product = instrument.product
    return {
        "product_type": "SPOT",
        "id": product.native,
        "base_currency": product.base,
        "quote_currency": product.quote,
        "base_increment": _step(product.lot),
        "quote_increment": _step(product.tick),
        "display_name": f"{product.base}/{product.quote}",
        "status": "offline" if instrument.halted else "online",
        "status_message": "",
        "min_market_funds": "1",
    }


def _product(instrument: Instrument) -> dict[str, object]:
    product = instrument.product
    return {
        "product_id": product.native,
        "price": instrument.price(instrument.stats.last or instrument.best[0]),
        "volume_24h": instrument.size(instrument.stats.volume),
        "base_increment": _step(product.lot),
        "quote_increment": _step(product.tick),
        "price_increment": _step(product.tick),
        "base_name": product.base,
        "quote_name": product.quote,
        "status": "offline" if instrument.halted else "online",
        "is_disabled": False,
        "cancel_only": False,
        "limit_only": False,
        "post_only": False,
        "trading_disabled": False,
        "auction_mode": False,
        "view_only": False,
        "product_type": "SPOT",
        "base_currency_id": product.base,
        "quote_currency_id": product.quote,
        "alias": "",
        "alias_to": [],
        "display_name": product.native,
        "product_venue": "CBE",
    }


def _not_found(what: str) -> RestAnswer:
    return RestAnswer(json({"error": "NOT_FOUND", "message": f"{what} is not known"}), status=404)
