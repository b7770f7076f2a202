"""The Coinbase Exchange (Pro) feed, for recordings: ``level2``, ``matches`` and ``ticker`` of ``ws-feed``.

Nothing in it proves that a book is whole: ``l2update`` has no number. Only the ids of matches count up by one.
"""

from collections.abc import Sequence
from typing import ClassVar, Final

import msgspec

from tickcast.model.record import Kind
from tickcast.venues.base import Request
from tickcast.venues.coinbase.venue import LEVEL2, NO_CHANNEL, STATES, CoinbaseVenue, state_of
from tickcast.venues.coinbase.wire import ExchangeEvent, ExchangeProduct, Product
from tickcast.venues.declared.dialect import (
    Aggressor,
    Book,
    BookRule,
    Dialect,
    Key,
    Levels,
    Match,
    Measure,
    Measures,
    Message,
    Quotes,
    Time,
    Trades,
)
from tickcast.venues.declared.venue import (
    Acknowledged,
    Alive,
    Channel,
    Happening,
    Listed,
    Refused,
    Status,
    Unknown,
)

PRODUCT: Final = Key(path="product_id")
TIME: Final = Time(path="time", unit="iso")
RULE: Final = BookRule(chain="none", snapshot="stream")


def _of(*types: str) -> tuple[Match, ...]:
    return (Match(path="type", equals=types),)


DIALECT: Final = Dialect(
    messages=(
        Message(
            name="l2update",
            when=_of("l2update"),
            emits=(
                Book(
                    key=PRODUCT,
                    levels=Levels(mixed="changes", side="0", price="1", size="2"),
                    rule=RULE,
                    time=TIME,
                ),
            ),
        ),
        Message(
            name="snapshot",
            when=_of("snapshot"),
            emits=(
                Book(
                    key=PRODUCT,
                    levels=Levels(bids="bids", asks="asks"),
                    rule=RULE,
                    snapshot=_of("snapshot"),
                    time=TIME,
                ),
            ),
        ),
        Message(
            name="match",
            when=_of("match", "last_match"),
            emits=(
                Trades(
                    key=PRODUCT,
                    price="price",
                    size="size",
                    id="trade_id",
                    # the maker's side
                    aggressor=Aggressor(path="side", buyer=("sell",), seller=("buy",)),
                    time=TIME,
                    history=_of("last_match"),
                    chained=True,
                ),
            ),
        ),
        Message(
            name="ticker",
            when=_of("ticker"),
            emits=(
                Quotes(
                    key=PRODUCT,
                    bid="best_bid",
                    ask="best_ask",
                    bid_size="best_bid_size",
                    ask_size="best_ask_size",
                    time=TIME,
                ),
                Measures(
                    key=PRODUCT,
                    values=(
                        Measure(kind=Kind.OPEN_24H, path="open_24h"),
                        Measure(kind=Kind.HIGH_24H, path="high_24h"),
                        Measure(kind=Kind.LOW_24H, path="low_24h"),
                        Measure(kind=Kind.VOLUME_24H, path="volume_24h"),
                    ),
                    time=TIME,
                ),
            ),
        ),
        Message(name="heartbeat", when=_of("heartbeat")),
        # the channel "full", order by order
        Message(name="full", when=_of("received", "open", "done", "change", "activate")),
    )
)


class CoinbaseExchangeVenue(CoinbaseVenue):
    """What was said on ``wss://ws-feed.pro.coinbase.com`` and recorded; nothing is subscribed to."""

    title: ClassVar[str] = "Coinbase Exchange (recordings)"
    dialect: Dialect = DIALECT
    proof: ClassVar[str] = "nothing but the order of the connection; a crossed book is a break"

    def listed(self, request: Request, body: bytes) -> Sequence[Listed]:
        """Read ``GET /products``: a list, in other words than Advanced Trade's."""
        del request
        return [_listed(one) for one in msgspec.json.decode(body, type=list[ExchangeProduct])]

    def cold(self, frame: bytes, market: str) -> Sequence[Happening]:
        """Acknowledgements, the status of products, errors."""
        del market
        event = msgspec.json.decode(frame, type=ExchangeEvent)
        if event.type == "subscriptions":
            confirmed = [
                Channel(one.name, native, book=one.name.startswith(LEVEL2))
                for one in event.channels
                for native in one.product_ids
            ]
            return [Acknowledged(confirmed) if confirmed else Alive()]
        if event.type == "status":
            return [
                Status(one.id, STATES[one.status], reason=one.status) for one in event.products if one.status in STATES
            ]
        if event.type == "error":
            reason = " ".join(filter(None, (event.message, event.reason)))
            return [Refused(reason or "an error without a text", NO_CHANNEL)]
        return [Unknown(f"type {event.type!r}")]


def _listed(product: ExchangeProduct) -> Listed:
    return Listed(
        native=product.id,
        symbol=f"{product.base_currency}-{product.quote_currency}".upper(),
        asset_class="crypto",
        currency=product.quote_currency,
        state=state_of(
            Product(
                product_id=product.id,
                product_type="SPOT",
                base_currency_id=product.base_currency,
                quote_currency_id=product.quote_currency,
                base_increment=product.base_increment,
                quote_increment=product.quote_increment,
                status=product.status,
                trading_disabled=product.trading_disabled,
                cancel_only=product.cancel_only,
                post_only=product.post_only,
                auction_mode=product.auction_mode,
            )
        ),
        tick_size=product.quote_increment,
        lot_size=product.base_increment,
        time_precision=6,
    )
