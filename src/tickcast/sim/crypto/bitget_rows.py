"""What Bitget's channels write."""

from collections.abc import Sequence
from typing import Final

from tickcast.sim.crypto.checksums import by_turns
from tickcast.sim.crypto.state import BookNews, Instrument, Topic, Trade
from tickcast.sim.crypto.voice import json, ladder
from tickcast.sim.universe import UNIT, tick_digits

SPOT: Final = "spot"


def _push(topic: Topic, now_ns: int, rows: str, *, action: str = "snapshot") -> bytes:
    return f'{{"action":"{action}","arg":{topic.key},"data":[{rows}],"ts":{now_ns // 1_000_000}}}'.encode()


def book(topic: Topic, instrument: Instrument, news: BookNews, now_ns: int) -> bytes:
    """Write a message of a book; a whole one has no checksum."""
    sides = f'"asks":[{ladder(instrument, news.asks)}],"bids":[{ladder(instrument, news.bids)}]'
    is_whole = topic.whole or news.snapshot
    checksum = 0 if is_whole else by_turns(instrument, news)
    previous = 0 if is_whole else news.previous
    ids = f'"seq":{news.last}' if topic.whole else f'"checksum":{checksum},"seq":{news.last},"pseq":{previous}'
    row = f'{{{sides},{ids},"ts":"{now_ns // 1_000_000}"}}'
    return _push(topic, now_ns, row, action="snapshot" if is_whole else "update")


def quote(topic: Topic, instrument: Instrument, now_ns: int) -> bytes:
    """Write the best level of each side."""
    bid, bid_size, ask, ask_size = instrument.best
    bids = ladder(instrument, [(bid, bid_size)] if bid else [])
    asks = ladder(instrument, [(ask, ask_size)] if ask else [])
    row = f'{{"asks":[{asks}],"bids":[{bids}],"checksum":0,"seq":{instrument.book_id},"ts":"{now_ns // 1_000_000}"}}'
    return _push(topic, now_ns, row)


def trades(
    topic: Topic, chosen: Sequence[Trade], instrument: Instrument, now_ns: int, *, history: bool = False
) -> bytes:
    """Write trades, the newest first; ``history``: those of before the subscription."""
    rows = [
        f'{{"ts":"{trade.ts_ns // 1_000_000}","price":"{instrument.price(trade.price)}",'
        f'"size":"{instrument.size(trade.size)}","side":"{"buy" if trade.buy else "sell"}","tradeId":"{trade.id}"}}'
        for trade in reversed(chosen)
    ]
    return _push(topic, now_ns, ",".join(rows), action="snapshot" if history else "update")


def fill(instrument: Instrument, trade: Trade) -> dict[str, str]:
    """Write a trade as REST tells it: of pairs with a time in whole seconds."""
    at_ms = trade.ts_ns // 1_000_000
    if instrument.product.market == "spot":
        at_ms -= at_ms % 1000
    return {
        "symbol": instrument.native,
        "tradeId": str(trade.id),
        "side": "Buy" if trade.buy else "Sell",
        "price": instrument.price(trade.price),
        "size": instrument.size(trade.size),
        "ts": str(at_ms),
    }


def ticker(topic: Topic, instrument: Instrument, now_ns: int) -> bytes:
    """Write the figures of the day, and of futures what they are worth."""
    stats, price, size, product = instrument.stats, instrument.price, instrument.size, instrument.product
    bid, bid_size, ask, ask_size = instrument.best
    row = {
        "instId": product.native,
        "lastPr": price(stats.last),
        "open24h": price(stats.open),
        "high24h": price(stats.high),
        "low24h": price(stats.low),
        "change24h": f"{(stats.last / stats.open - 1) if stats.open else 0:.5f}",
        "bidPr": price(bid) if bid else "",
        "askPr": price(ask) if ask else "",
        "bidSz": size(bid_size) if bid else "",
        "askSz": size(ask_size) if ask else "",
        "baseVolume": size(stats.volume),
        "quoteVolume": f"{stats.turnover * product.tick * product.lot / UNIT**2:.4f}",
        "openUtc": price(stats.open),
        "changeUtc24h": "0",
        "ts": str(now_ns // 1_000_000),
    }
    if topic.market != SPOT:
        row |= {
            "fundingRate": f"{instrument.funding:.8f}",
            "nextFundingTime": str(instrument.funding_next_ns // 1_000_000),
            "markPrice": price(instrument.mark),
            "indexPrice": f"{instrument.index_price:.4f}",
            "holdingAmount": size(instrument.open_interest),
            "symbolType": "1",
            "symbol": product.native,
            "deliveryPrice": "0",
        }
    return _push(topic, now_ns, json(row).decode())


def pair(instrument: Instrument) -> dict[str, object]:
    """Write an entry of the list of pairs."""
    product = instrument.product
    return {
        "symbol": product.native,
        "baseCoin": product.base,
        "quoteCoin": product.quote,
        "minTradeAmount": "0",
        "pricePrecision": str(tick_digits(product.tick)),
        "quantityPrecision": str(tick_digits(product.lot)),
        "quotePrecision": "8",
        "status": "halt" if instrument.halted else "online",
    }


def contract(instrument: Instrument) -> dict[str, object]:
    """Write an entry of a list of contracts."""
    product = instrument.product
    digits = tick_digits(product.tick)
    return {
        "symbol": product.native,
        "baseCoin": product.base,
        "quoteCoin": product.quote,
        "supportMarginCoins": [product.settle],
        "minTradeNum": instrument.size(1),
        "priceEndStep": str(product.tick * 10**digits // UNIT),
        "volumePlace": str(tick_digits(product.lot)),
        "pricePlace": str(digits),
        "sizeMultiplier": instrument.size(1),
        "symbolType": "perpetual",
        "symbolStatus": "maintain" if instrument.halted else "normal",
        "deliveryTime": "",
    }
