"""What KuCoin's topics and lists write."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from tickcast.sim.crypto.state import BookNews, Instrument, Topic, Trade
from tickcast.sim.crypto.voice import ladder

SEQUENCE: Final = "sequence"
"""Where a contract keeps the number of its newest change, and the book's id at which that was."""
_STATES: Final = {True: "Paused", False: "Open"}


def level2(topic: Topic, instrument: Instrument, news: BookNews, now_ns: int) -> bytes:
    """Write a difference of a pair's book; numbers that moved nothing come with a price of 0."""
    price, size = instrument.price, instrument.size
    sides = [
        ",".join([f'["{price(ticks)}","{size(lots)}","{news.last}"]' for ticks, lots in side])
        for side in (news.asks, news.bids)
    ]
    if news.last > news.first:
        nothing = f'["0","0","{news.first}"]'
        sides[0] = f"{sides[0]},{nothing}" if sides[0] else nothing
    return (
        f'{{"topic":"{topic.key}","type":"message","subject":"trade.l2update","data":{{"changes":{{"asks":[{sides[0]}],'
        f'"bids":[{sides[1]}]}},"sequenceEnd":{news.last},"sequenceStart":{news.first},"symbol":"{instrument.native}",'
        f'"time":{now_ns // 1_000_000}}}}}'
    ).encode()


def contract_level2(topic: Topic, instrument: Instrument, news: BookNews, now_ns: int) -> Iterable[bytes]:
    """Write a message for each change of a contract's book."""
    number = sequence(instrument)
    price, size = instrument.price, instrument.size
    changes = [(ticks, lots, "buy") for ticks, lots in news.bids] + [(ticks, lots, "sell") for ticks, lots in news.asks]
    for ticks, lots, side in changes:
        number += 1
        yield (
            f'{{"topic":"{topic.key}","type":"message","subject":"level2","sn":{number},"data":{{"sequence":{number},'
            f'"change":"{price(ticks)},{side},{size(lots)}","timestamp":{now_ns // 1_000_000}}}}}'
        ).encode()
    instrument.fixed[SEQUENCE] = number, instrument.book_id


def sequence(instrument: Instrument) -> int:
    """Return the number of the newest change that was told; it falls back when the venue begins its numbers anew."""
    kept = instrument.fixed.get(SEQUENCE)
    number, at_id = kept if isinstance(kept, tuple) else (instrument.book_id, instrument.book_id)
    if instrument.book_id < at_id:
        number = number // 2
    instrument.fixed[SEQUENCE] = number, instrument.book_id
    return int(number)


def skip_untold(instrument: Instrument) -> None:
    """Count what changed while nobody listened: numbers go on without being told."""
    number = sequence_before(instrument)
    if number is not None:
        instrument.fixed[SEQUENCE] = number, instrument.book_id


def sequence_before(instrument: Instrument) -> int | None:
    """Return the number that changes since the newest one that was told would have reached; None: none was told."""
    kept = instrument.fixed.get(SEQUENCE)
    if not isinstance(kept, tuple) or instrument.book_id < kept[1]:
        return None
    return int(kept[0] + instrument.book_id - kept[1])


def match(topic: Topic, instrument: Instrument, trade: Trade) -> bytes:
    """Write a trade."""
    price, size, native = instrument.price(trade.price), instrument.size(trade.size), instrument.native
    side = "buy" if trade.buy else "sell"
    orders = f'"takerOrderId":"{trade.id:024x}","makerOrderId":"{trade.maker:024x}"'
    if instrument.product.kind == "spot":
        return (
            f'{{"topic":"{topic.key}","type":"message","subject":"trade.l3match","data":{{{orders},"price":"{price}",'
            f'"sequence":"{trade.id}","side":"{side}","size":"{size}","symbol":"{native}","time":"{trade.ts_ns}",'
            f'"tradeId":"{trade.id}","type":"match"}}}}'
        ).encode()
    return (
        f'{{"topic":"{topic.key}","type":"message","subject":"match","sn":{trade.id},"data":{{"symbol":"{native}",'
        f'"sequence":{trade.id},"side":"{side}","size":{size},"price":"{price}",{orders},"tradeId":"{trade.id}",'
        f'"ts":{trade.ts_ns}}}}}'
    ).encode()


def executed(instrument: Instrument, trade: Trade) -> dict[str, object]:
    """Write a trade as REST tells it: of pairs without its id, which is its sequence."""
    row: dict[str, object] = {
        "sequence": str(trade.id),
        "price": instrument.price(trade.price),
        "size": instrument.size(trade.size),
        "side": "buy" if trade.buy else "sell",
    }
    if instrument.product.kind == "spot":
        return {**row, "time": trade.ts_ns}
    orders = {"takerOrderId": f"{trade.id:024x}", "makerOrderId": f"{trade.maker:024x}"}
    return {**row, "sequence": trade.id, **orders, "tradeId": str(trade.id), "ts": trade.ts_ns}


def rest_book(instrument: Instrument, book: BookNews, now_ns: int) -> bytes:
    """Write a book over REST; of contracts with the number of the newest change that was told."""
    if instrument.product.kind == "spot":
        return (
            f'{{"code":"200000","data":{{"time":{now_ns // 1_000_000},"sequence":"{book.last}",'
            f'"bids":[{ladder(instrument, book.bids)}],"asks":[{ladder(instrument, book.asks)}]}}}}'
        ).encode()
    price, size = instrument.price, instrument.size
    bids, asks = (
        ",".join([f"[{price(ticks)},{size(lots)}]" for ticks, lots in side]) for side in (book.bids, book.asks)
    )
    return (
        f'{{"code":"200000","data":{{"sequence":{sequence(instrument)},"symbol":"{instrument.native}","bids":[{bids}],'
        f'"asks":[{asks}],"ts":{now_ns}}}}}'
    ).encode()


# ------------------------------------------------------------------ values


def _ticker(topic: Topic, instrument: Instrument, now_ns: int) -> Iterable[bytes]:
    bid, bid_size, ask, ask_size = instrument.best
    price, size, stats = instrument.price, instrument.size, instrument.stats
    yield (
        f'{{"topic":"{topic.key}","type":"message","subject":"trade.ticker","data":{{"bestAsk":"{price(ask)}",'
        f'"bestAskSize":"{size(ask_size)}","bestBid":"{price(bid)}","bestBidSize":"{size(bid_size)}",'
        f'"price":"{price(stats.last)}","sequence":"{instrument.book_id}","size":"{size(stats.last_size)}",'
        f'"time":{now_ns // 1_000_000}}}}}'
    ).encode()


def _contract_ticker(topic: Topic, instrument: Instrument, now_ns: int) -> Iterable[bytes]:
    bid, bid_size, ask, ask_size = instrument.best
    price, size = instrument.price, instrument.size
    data = (
        f'"symbol":"{instrument.native}","sequence":{instrument.trade_id},"bestBidSize":{size(bid_size)},'
        f'"bestBidPrice":"{price(bid)}","bestAskPrice":"{price(ask)}","bestAskSize":{size(ask_size)},"ts":{now_ns}'
    )
    yield f'{{"topic":"{topic.key}","type":"message","subject":"tickerV2","sn":1,"data":{{{data}}}}}'.encode()


def _snapshot(topic: Topic, instrument: Instrument, now_ns: int) -> Iterable[bytes]:
    stats, price, product = instrument.stats, instrument.price, instrument.product
    if not stats.count:
        return
    turnover = stats.turnover * product.tick * product.lot / 1e16
    data = (
        f'"trading":{"false" if instrument.halted else "true"},"symbol":"{instrument.native}",'
        f'"open":{price(stats.open)},'
        f'"high":{price(stats.high)},"low":{price(stats.low)},"lastTradedPrice":{price(stats.last)},'
        f'"vol":{instrument.size(stats.volume)},"volValue":{turnover:.8f},"datetime":{now_ns // 1_000_000}'
    )
    yield (
        f'{{"topic":"{topic.key}","type":"message","subject":"trade.snapshot","data":{{"sequence":"{instrument.book_id}",'
        f'"data":{{{data}}}}}}}'
    ).encode()


def _contract_snapshot(topic: Topic, instrument: Instrument, now_ns: int) -> Iterable[bytes]:
    stats, price = instrument.stats, instrument.price
    if not stats.count:
        return
    data = (
        f'"symbol":"{instrument.native}","volume":{instrument.size(stats.volume)},"turnover":0,'
        f'"lastPrice":{price(stats.last)},"lowPrice":{price(stats.low)},"highPrice":{price(stats.high)},'
        f'"priceChgPct":0,"priceChg":0,"ts":{now_ns}'
    )
    yield f'{{"topic":"{topic.key}","type":"message","subject":"snapshot.24h","data":{{{data}}}}}'.encode()


def _marks(topic: Topic, instrument: Instrument, now_ns: int) -> Iterable[bytes]:
    now_ms = now_ns // 1_000_000
    head = f'{{"topic":"{topic.key}","type":"message","subject":'
    yield (
        f'{head}"mark.index.price","data":{{"markPrice":{instrument.price(instrument.mark)},'
        f'"indexPrice":{instrument.index_price:.2f},"granularity":1000,"timestamp":{now_ms}}}}}'
    ).encode()
    if instrument.product.kind == "perpetual":
        yield (
            f'{head}"funding.rate","data":{{"granularity":60000,"fundingRate":{instrument.funding:.8f},'
            f'"timestamp":{now_ms}}}}}'
        ).encode()


WRITERS: Final[Mapping[str, Callable[[Topic, Instrument, int], Iterable[bytes]]]] = {
    "/market/ticker": _ticker,
    "/market/snapshot": _snapshot,
    "/contractMarket/tickerV2": _contract_ticker,
    "/contractMarket/snapshot": _contract_snapshot,
    "/contract/instrument": _marks,
}


# ------------------------------------------------------------------ lists


def pair(instrument: Instrument) -> dict[str, object]:
    """Write an entry of the list of pairs."""
    product = instrument.product
    return {
        "symbol": product.native,
        "name": product.native,
        "baseCurrency": product.base,
        "quoteCurrency": product.quote,
        "feeCurrency": product.quote,
        "market": "USDS",
        "baseMinSize": instrument.size(1),
        "quoteMinSize": "0.1",
        "baseIncrement": instrument.size(1),
        "quoteIncrement": instrument.price(1),
        "priceIncrement": instrument.price(1),
        "priceLimitRate": "0.1",
        "minFunds": "0.1",
        "isMarginEnabled": True,
        "enableTrading": not instrument.halted,
        "st": False,
    }


def contract(instrument: Instrument) -> dict[str, object]:
    """Write a contract as the list and the answer for one have it."""
    product = instrument.product
    inverse = product.quote == "USD"
    coin = "XBT" if product.base == "BTC" else product.base
    perpetual = product.kind == "perpetual"
    size = f"-{product.contract_size}" if inverse else product.contract_size
    return {
        "symbol": product.native,
        "rootSymbol": product.quote,
        "type": "FFWCSX" if perpetual else "FFICSX",
        "firstOpenDate": 1_585_555_200_000,
        "expireDate": None if perpetual else product.expiry_ns // 1_000_000,
        "baseCurrency": coin,
        "quoteCurrency": product.quote,
        "settleCurrency": coin if inverse else product.quote,
        "maxOrderQty": 1_000_000,
        "lotSize": msgspec.Raw(instrument.size(1).encode()),
        "tickSize": msgspec.Raw(instrument.price(1).encode()),
        "multiplier": msgspec.Raw(size.encode()),
        "isInverse": inverse,
        "markMethod": "FairPrice",
        "status": _STATES[instrument.halted],
        "fundingFeeRate": round(instrument.funding, 8) if perpetual else None,
        "openInterest": instrument.size(instrument.open_interest),
        "markPrice": msgspec.Raw(instrument.price(instrument.mark).encode()),
        "indexPrice": round(instrument.index_price, 2),
        "nextFundingRateDateTime": instrument.funding_next_ns // 1_000_000 if perpetual else None,
        "maxLeverage": 125,
    }
