"""What Bybit's topics write."""

from collections.abc import Iterable, Sequence
from typing import Final
from uuid import UUID

from tickcast.sim.crypto.state import Instrument, Topic, Trade
from tickcast.sim.crypto.voice import json, ladder
from tickcast.sim.universe import UNIT

_CONTRACTS: Final = {
    ("linear", "perpetual"): "LinearPerpetual",
    ("linear", "future"): "LinearFutures",
    ("inverse", "perpetual"): "InversePerpetual",
    ("inverse", "future"): "InverseFutures",
}


def book(
    topic: Topic,
    instrument: Instrument,
    now_ns: int,
    *,
    kind: str,
    bids: Sequence[tuple[int, int]],
    asks: Sequence[tuple[int, int]],
    number: int,
) -> bytes:
    """Write a message of a book of any depth."""
    return (
        f'{{"topic":"{topic.key}","type":"{kind}","ts":{now_ns // 1_000_000},"data":{{"s":"{instrument.native}",'
        f'"b":[{ladder(instrument, bids)}],"a":[{ladder(instrument, asks)}],"u":{number},"seq":{instrument.book_id}}},'
        f'"cts":{instrument.update_ns // 1_000_000}}}'
    ).encode()


def trades(topic: Topic, instrument: Instrument, chosen: Sequence[Trade], now_ns: int) -> bytes:
    """Write a message of trades; contracts have ids that are no numbers."""
    spot = topic.market == "spot"
    rows = [
        f'{{"i":"{trade.id if spot else UUID(int=trade.id)}","T":{trade.ts_ns // 1_000_000},'
        f'"p":"{instrument.price(trade.price)}","v":"{instrument.size(trade.size)}",'
        f'"S":"{"Buy" if trade.buy else "Sell"}","seq":{instrument.book_id},"s":"{instrument.native}","BT":false,'
        f'"RPI":false}}'
        for trade in chosen
    ]
    return _message(topic, now_ns, f"[{','.join(rows)}]")


def executed(instrument: Instrument, trade: Trade) -> dict[str, object]:
    """Write a trade as the list of the newest over REST does."""
    ident = trade.id if instrument.product.market == "spot" else UUID(int=trade.id)
    return {
        "execId": str(ident),
        "symbol": instrument.native,
        "price": instrument.price(trade.price),
        "size": instrument.size(trade.size),
        "side": "Buy" if trade.buy else "Sell",
        "time": str(trade.ts_ns // 1_000_000),
        "isBlockTrade": False,
        "isRPITrade": False,
        "seq": str(trade.id),
    }


def liquidations(topic: Topic, instrument: Instrument, chosen: Sequence[Trade], now_ns: int) -> bytes:
    """Write liquidations: the side is that of the position."""
    rows = [
        {
            "T": trade.ts_ns // 1_000_000,
            "s": instrument.native,
            "S": "Sell" if trade.buy else "Buy",
            "v": instrument.size(trade.size),
            "p": instrument.price(trade.price),
        }
        for trade in chosen
    ]
    return _message(topic, now_ns, json(rows).decode())


def ticker(topic: Topic, instrument: Instrument, now_ns: int, *, whole: bool) -> Iterable[bytes]:
    """Write a ticker: of spot and options always all of it, of contracts what has changed since it was told last."""
    if topic.market in {"spot", "option"}:
        values = _spot_values(instrument) if topic.market == "spot" else _option_values(instrument)
        yield _message(topic, now_ns, json({"symbol": instrument.native, **values}).decode())
        return
    values = _contract_values(instrument)
    told = instrument.fixed.get("ticker")
    instrument.fixed["ticker"] = values
    before = told if isinstance(told, dict) and not whole else {}
    changed = {name: value for name, value in values.items() if before.get(name) != value}
    if changed or whole:
        row = json({"symbol": instrument.native, **changed}).decode()
        yield _message(topic, now_ns, row, kind="snapshot" if whole else "delta")


def entry(instrument: Instrument) -> dict[str, object]:
    """Write an entry of a list of instruments."""
    product = instrument.product
    ends = str(product.expiry_ns // 1_000_000)
    found: dict[str, object] = {
        "symbol": product.native,
        "status": "Closed" if instrument.halted else "Trading",
        "baseCoin": product.base,
        "quoteCoin": product.quote,
        "priceFilter": {"minPrice": instrument.price(1), "maxPrice": "1999999.98", "tickSize": instrument.price(1)},
    }
    step = instrument.size(1)
    if product.market == "spot":
        return {**found, "lotSizeFilter": {"basePrecision": step, "quotePrecision": "0.0000001", "minOrderQty": step}}
    found |= {
        "settleCoin": product.settle,
        "launchTime": "1585526400000",
        "deliveryTime": ends,
        "lotSizeFilter": {"maxOrderQty": "1190", "minOrderQty": step, "qtyStep": step},
    }
    if product.market == "option":
        return {**found, "optionsType": "Call" if product.call else "Put"}
    contract = _CONTRACTS[product.market, product.kind]
    return {**found, "contractType": contract, "fundingInterval": 480, "isPreListing": False, "preListingInfo": None}


def _message(topic: Topic, now_ns: int, data: str, *, kind: str = "snapshot") -> bytes:
    return f'{{"topic":"{topic.key}","type":"{kind}","ts":{now_ns // 1_000_000},"data":{data}}}'.encode()


def _day(instrument: Instrument) -> dict[str, str]:
    stats, price, product = instrument.stats, instrument.price, instrument.product
    turnover = stats.turnover * product.tick * product.lot / UNIT**2
    return {
        "lastPrice": price(stats.last),
        "highPrice24h": price(stats.high),
        "lowPrice24h": price(stats.low),
        "prevPrice24h": price(stats.open),
        "volume24h": instrument.size(stats.volume),
        "turnover24h": f"{turnover:.4f}",
        "price24hPcnt": f"{(stats.last / stats.open - 1) if stats.open else 0:.6f}",
    }


def _spot_values(instrument: Instrument) -> dict[str, str]:
    return {**_day(instrument), "usdIndexPrice": f"{instrument.index_price:.6f}"}


def _contract_values(instrument: Instrument) -> dict[str, str]:
    price, size = instrument.price, instrument.size
    bid, bid_size, ask, ask_size = instrument.best
    perpetual = instrument.product.kind == "perpetual"
    return {
        "tickDirection": "ZeroPlusTick",
        **_day(instrument),
        "markPrice": price(instrument.mark),
        "indexPrice": f"{instrument.index_price:.2f}",
        "openInterest": size(instrument.open_interest),
        "openInterestValue": "0",
        "fundingIntervalHour": "8" if perpetual else "",
        "nextFundingTime": str(instrument.funding_next_ns // 1_000_000) if perpetual else "",
        "fundingRate": f"{instrument.funding:.8f}" if perpetual else "",
        "bid1Price": price(bid) if bid else "",
        "bid1Size": size(bid_size) if bid else "",
        "ask1Price": price(ask) if ask else "",
        "ask1Size": size(ask_size) if ask else "",
    }


def _option_values(instrument: Instrument) -> dict[str, str]:
    price, size, greeks = instrument.price, instrument.size, instrument.greeks
    bid, bid_size, ask, ask_size = instrument.best
    day = _day(instrument)
    change = day.pop("price24hPcnt")
    del day["prevPrice24h"]
    return {
        "bidPrice": price(bid),
        "bidSize": size(bid_size),
        "bidIv": f"{max(greeks.volatility - 0.01, 0.0):.4f}",
        "askPrice": price(ask),
        "askSize": size(ask_size),
        "askIv": f"{greeks.volatility + 0.01:.4f}",
        **day,
        "markPrice": price(instrument.mark),
        "indexPrice": f"{instrument.index_price:.2f}",
        "markPriceIv": f"{greeks.volatility:.4f}",
        "underlyingPrice": f"{instrument.underlying_price:.2f}",
        "openInterest": size(instrument.open_interest),
        "totalVolume": size(instrument.stats.volume),
        "totalTurnover": "0",
        "delta": f"{greeks.delta:.8f}",
        "gamma": f"{greeks.gamma:.8f}",
        "vega": f"{greeks.vega:.8f}",
        "theta": f"{greeks.theta:.8f}",
        "predictedDeliveryPrice": "0",
        "change24h": change,
    }
