"""What HTX's channels write: numbers, not texts."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from tickcast.sim.crypto.state import BookNews, Instrument, Topic, Trade
from tickcast.sim.crypto.voice import json
from tickcast.sim.universe import UNIT, tick_digits

SPOT: Final = "spot"


def _levels(instrument: Instrument, levels: Sequence[tuple[int, int]]) -> str:
    price, size = instrument.price, instrument.size
    return "[" + ",".join([f"[{price(ticks)},{size(lots)}]" for ticks, lots in levels]) + "]"


def _sides(instrument: Instrument, news: BookNews) -> str:
    return f'"bids":{_levels(instrument, news.bids)},"asks":{_levels(instrument, news.asks)}'


def _push(topic: Topic, now_ms: int, tick: str) -> bytes:
    return f'{{"ch":"{topic.key}","ts":{now_ms},"tick":{tick}}}'.encode()


def book(topic: Topic, instrument: Instrument, news: BookNews, now_ns: int) -> bytes:
    """Write a message of a book: whole, of spot by the number before it, of swaps counted."""
    now_ms, sides = now_ns // 1_000_000, _sides(instrument, news)
    if topic.whole and topic.market == SPOT:
        return _push(topic, now_ms, f'{{{sides},"version":{news.last},"ts":{now_ms}}}')
    if topic.whole:
        seconds = now_ms // 1000
        named = f'"version":{seconds},"ch":"{topic.key}"'
        return _push(topic, now_ms, f'{{"mrid":{news.last},"id":{seconds},{sides},"ts":{now_ms},{named}}}')
    if topic.market == SPOT:
        return _push(topic, now_ms, f'{{"seqNum":{news.last},"prevSeqNum":{news.previous},{sides}}}')
    event = "snapshot" if news.snapshot else "update"
    tick = (
        f'{{{sides},"ch":"{topic.key}","event":"{event}","id":{news.last},"mrid":{news.last},"ts":{now_ms},'
        f'"version":{news.count}}}'
    )
    return f'{{"ch":"{topic.key}","tick":{tick},"ts":{now_ms}}}'.encode()


def requested(topic: Topic, instrument: Instrument, news: BookNews, number: object, now_ns: int) -> bytes:
    """Write the whole book that answers a request."""
    data = f'{{"seqNum":{news.last},{_sides(instrument, news)}}}'
    head = f'"id":{json(number).decode()},"rep":"{topic.key}","status":"ok","ts":{now_ns // 1_000_000}'
    return f'{{{head},"data":{data}}}'.encode()


def trades(topic: Topic, instrument: Instrument, chosen: Sequence[Trade], now_ns: int) -> bytes:
    """Write a message of trades: those of spot newest first, with an id beyond 64 bits beside that which counts."""
    spot, price, size = topic.market == SPOT, instrument.price, instrument.size
    rows = []
    for trade in reversed(chosen) if spot else chosen:
        ts, side = trade.ts_ns // 1_000_000, "buy" if trade.buy else "sell"
        named = f'"id":{trade.id}{10**10 + trade.maker % 10**10},"tradeId":{trade.id}' if spot else f'"id":{trade.id}'
        coins = "" if spot else f',"quantity":{trade.size * instrument.product.lot / UNIT / 3:.34f}'
        rows.append(
            f'{{{named},"ts":{ts},"amount":{size(trade.size)}{coins},"price":{price(trade.price)},"direction":"{side}"}}'
        )
    last = chosen[-1].ts_ns // 1_000_000
    tick = f'{{"id":{instrument.book_id},"ts":{last},"data":[{",".join(rows)}]}}'
    return _push(topic, now_ns // 1_000_000, tick)


def executed(instrument: Instrument, chosen: Sequence[Trade], now_ns: int) -> bytes:
    """Write trades as REST tells them, each in a list of its own: those of pairs with an id beyond 64 bits too."""
    spot, price, size = instrument.product.market == SPOT, instrument.price, instrument.size
    rows = []
    for trade in chosen:
        ts, side = trade.ts_ns // 1_000_000, "buy" if trade.buy else "sell"
        named = f'"id":{trade.id}{10**10 + trade.maker % 10**10},"trade-id":{trade.id}' if spot else f'"id":{trade.id}'
        row = f'{{{named},"ts":{ts},"amount":{size(trade.size)},"price":{price(trade.price)},"direction":"{side}"}}'
        rows.append(f'{{"id":{trade.id},"ts":{ts},"data":[{row}]}}')
    channel = f"market.{instrument.native}.trade.detail"
    return f'{{"ch":"{channel}","status":"ok","ts":{now_ns // 1_000_000},"data":[{",".join(rows)}]}}'.encode()


def liquidations(topic: Topic, instrument: Instrument, chosen: Sequence[Trade], now_ns: int) -> bytes:
    """Write liquidations: the side is that of the order."""
    product = instrument.product
    rows = [
        f'{{"contract_code":"{product.native}","symbol":"{product.base}","offset":"close",'
        f'"direction":"{"buy" if trade.buy else "sell"}","volume":{instrument.size(trade.size)},'
        f'"price":{instrument.price(trade.price)},"created_at":{trade.ts_ns // 1_000_000},"amount":1.5,'
        f'"trade_turnover":17.5}}'
        for trade in chosen
    ]
    return _notify(topic, now_ns, f"[{','.join(rows)}]")


def _notify(topic: Topic, now_ns: int, data: str) -> bytes:
    return f'{{"op":"notify","topic":"{topic.key}","ts":{now_ns // 1_000_000},"data":{data}}}'.encode()


# ------------------------------------------------------------------ values


def _quote(topic: Topic, instrument: Instrument, now_ns: int) -> bytes:
    now_ms, price, size = now_ns // 1_000_000, instrument.price, instrument.size
    bid, bid_size, ask, ask_size = instrument.best
    if topic.market == SPOT:
        tick = {
            "seqId": instrument.book_id,
            "quoteTime": now_ms,
            "symbol": instrument.native,
        }
        sides = f'"bid":{price(bid)},"bidSize":{size(bid_size)},"ask":{price(ask)},"askSize":{size(ask_size)}'
        return _push(topic, now_ms, json(tick).decode()[:-1] + f",{sides}}}")
    found = [
        f'"{side}":[{price(ticks)},{size(lots)}]'
        for side, ticks, lots in (("bid", bid, bid_size), ("ask", ask, ask_size))
        if ticks
    ]
    ids = f'"mrid":{instrument.book_id},"id":{now_ms // 1000},"ts":{now_ms},"version":{instrument.book_id}'
    return _push(topic, now_ms, "{" + ",".join([ids, *found, f'"ch":"{topic.key}"']) + "}")


def _detail(topic: Topic, instrument: Instrument, now_ns: int) -> bytes | None:
    stats, price, product = instrument.stats, instrument.price, instrument.product
    if not stats.count:
        return None
    turnover = f"{stats.turnover * product.tick * product.lot / UNIT**2:.4f}"
    prices = (
        f'"open":{price(stats.open)},"close":{price(stats.last)},"high":{price(stats.high)},"low":{price(stats.low)},'
        f'"count":{stats.count}'
    )
    volume = instrument.size(stats.volume)
    if topic.market == SPOT:
        tick = (
            f'{{"id":{instrument.book_id},{prices},"amount":{volume},"vol":{turnover},"version":{instrument.book_id}}}'
        )
        return _push(topic, now_ns // 1_000_000, tick)
    linear = f',"trade_turnover":{turnover}' if topic.market == "linear" else ""
    seconds = now_ns // 1_000_000_000
    tick = f'{{"id":{seconds},"mrid":{instrument.book_id},{prices},"amount":1.25,"vol":{volume}{linear}}}'
    return _push(topic, now_ns // 1_000_000, tick)


def _candle(topic: Topic, value: str, now_ns: int) -> bytes:
    minute = now_ns // 60_000_000_000 * 60
    prices = dict.fromkeys(("open", "close", "high", "low"), value)
    tick = {"id": minute, **prices, "amount": "0", "vol": "0", "count": "0", "trade_turnover": "0"}
    return _push(topic, now_ns // 1_000_000, json(tick).decode())


def _funding(topic: Topic, instrument: Instrument, now_ns: int) -> bytes | None:
    product = instrument.product
    if product.kind != "perpetual":
        return None
    row = {
        "symbol": product.base,
        "contract_code": product.native,
        "fee_asset": product.settle,
        "funding_time": str(now_ns // 60_000_000_000 * 60_000),
        "funding_rate": f"{instrument.funding:.18f}",
        "estimated_rate": None,
        "settlement_time": str(instrument.funding_next_ns // 1_000_000),
    }
    return _notify(topic, now_ns, f"[{json(row).decode()}]")


def _status(topic: Topic, instrument: Instrument, now_ns: int) -> bytes:
    return _notify(topic, now_ns, f"[{json(contract(instrument)).decode()}]")


VALUES: Final[Mapping[str, Callable[[Topic, Instrument, int], bytes | None]]] = {
    "quote": _quote,
    "ticker": _detail,
    "mark": lambda topic, one, now_ns: _candle(topic, one.price(one.mark), now_ns),
    "index": lambda topic, one, now_ns: _candle(topic, f"{one.index_price:.4f}", now_ns),
    "funding": _funding,
    "status": _status,
}
"""By the kind of topic."""

# ------------------------------------------------------------------ lists


def pair(instrument: Instrument) -> dict[str, object]:
    """Write an entry of the list of pairs."""
    product = instrument.product
    return {
        "base-currency": product.base.lower(),
        "quote-currency": product.quote.lower(),
        "price-precision": tick_digits(product.tick),
        "amount-precision": tick_digits(product.lot),
        "symbol-partition": "main",
        "symbol": product.native,
        "state": "suspend" if instrument.halted else "online",
    }


def contract(instrument: Instrument) -> dict[str, object]:
    """Write an entry of a list of contracts, or a row of a notice."""
    product = instrument.product
    dated = product.kind == "future"
    return {
        "symbol": product.base,
        "contract_code": product.native,
        "contract_size": float(product.contract_size),
        "price_tick": product.tick / UNIT,
        "delivery_date": f"{product.expiry:%Y%m%d}" if dated else "",
        "delivery_time": str(product.expiry_ns // 1_000_000) if dated else "",
        "create_date": "20201021",
        "contract_status": 3 if instrument.halted else 1,
        "business_type": "futures" if dated else "swap",
        "trade_partition": product.quote,
    }


def interest(chosen: Sequence[Instrument], now_ms: int) -> bytes:
    """Write open interest, in contracts."""
    rows = [
        f'{{"volume":{one.size(one.open_interest)}.000000000000000000,"amount":1.5,"symbol":"{one.product.base}",'
        f'"contract_code":"{one.native}","trade_amount":1.25,"trade_volume":{one.size(one.stats.volume)},'
        f'"trade_turnover":2.5}}'
        for one in chosen
    ]
    return f'{{"status":"ok","data":[{",".join(rows)}],"ts":{now_ms}}}'.encode()
