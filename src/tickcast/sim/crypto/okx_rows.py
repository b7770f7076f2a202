"""What OKX's channels write: the row of each."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from tickcast.sim.crypto.listing import Product
from tickcast.sim.crypto.state import Instrument, Topic, Trade
from tickcast.sim.crypto.voice import json
from tickcast.sim.universe import UNIT


def push(topic: Topic, rows: str, *, action: str = "") -> bytes:
    """Write a push of a channel; the topic's key is its argument."""
    word = f'"action":"{action}",' if action else ""
    return f'{{"arg":{topic.key},{word}"data":[{rows}]}}'.encode()


def family(product: Product) -> str:
    """Return the family of a contract."""
    return f"{product.base}-{product.quote}"


def entry(instrument: Instrument) -> dict[str, object]:
    """Write an instrument as the list and the instruments' channel do."""
    product = instrument.product
    spot, option = product.kind == "spot", product.kind == "option"
    ends = str(product.expiry_ns // 1_000_000) if product.expiry_ns else ""
    return {
        "instType": product.market,
        "instId": product.native,
        "state": "suspend" if instrument.halted else "live",
        "uly": "" if spot else family(product),
        "instFamily": "" if spot else family(product),
        "baseCcy": product.base if spot else "",
        "quoteCcy": product.quote if spot else "",
        "settleCcy": product.settle,
        "ctVal": "" if spot else product.contract_size,
        "ctMult": "" if spot else "1",
        "ctType": "" if spot or option else ("inverse" if product.quote == "USD" else "linear"),
        "ctValCcy": "" if spot else ("USD" if product.quote == "USD" and not option else product.base),
        "optType": ("C" if product.call else "P") if option else "",
        "stk": f"{product.strike:g}" if option else "",
        "expTime": ends,
        "listTime": "1597026383085",
        "tickSz": instrument.price(1),
        "lotSz": instrument.size(1),
        "minSz": instrument.size(1),
        "ruleType": "normal",
    }


def levels(instrument: Instrument, chosen: Sequence[tuple[int, int]]) -> str:
    """Write levels with the retired field and the number of orders."""
    price, size = instrument.price, instrument.size
    return ",".join([f'["{price(ticks)}","{size(lots)}","0","{1 if lots else 0}"]' for ticks, lots in chosen])


def trades(topic: Topic, instrument: Instrument, chosen: Sequence[Trade]) -> bytes:
    """Write a push of trades."""
    aggregated = "" if topic.channel == "trades-all" else f',"count":"1","seqId":{instrument.book_id}'
    rows = [
        f'{{"instId":"{instrument.native}","tradeId":"{trade.id}","px":"{instrument.price(trade.price)}",'
        f'"sz":"{instrument.size(trade.size)}","side":"{"buy" if trade.buy else "sell"}",'
        f'"ts":"{trade.ts_ns // 1_000_000}","source":"0"{aggregated}}}'
        for trade in chosen
    ]
    return push(topic, ",".join(rows))


def match(instrument: Instrument, trade: Trade) -> dict[str, str]:
    """Write a trade as the history over REST does."""
    return {
        "instId": instrument.native,
        "side": "buy" if trade.buy else "sell",
        "sz": instrument.size(trade.size),
        "source": "0",
        "px": instrument.price(trade.price),
        "tradeId": str(trade.id),
        "ts": str(trade.ts_ns // 1_000_000),
    }


def liquidations(topic: Topic, instrument: Instrument, chosen: Sequence[Trade]) -> bytes:
    """Write a push of an instrument's liquidations."""
    details = [
        {
            "bkLoss": "0",
            "bkPx": instrument.price(trade.price),
            "ccy": "",
            "posSide": "short" if trade.buy else "long",
            "side": "buy" if trade.buy else "sell",
            "sz": instrument.size(trade.size),
            "ts": str(trade.ts_ns // 1_000_000),
        }
        for trade in chosen
    ]
    pair, product = family(instrument.product), instrument.product
    row = {"details": details, "instFamily": pair, "instId": product.native, "instType": product.market, "uly": pair}
    return push(topic, json(row).decode())


# ------------------------------------------------------------------ values: the row of each channel


def _quote_row(instrument: Instrument, ts: str) -> str:
    bid, bid_size, ask, ask_size = instrument.best
    asks = levels(instrument, [(ask, ask_size)] if ask else [])
    bids = levels(instrument, [(bid, bid_size)] if bid else [])
    return f'{{"asks":[{asks}],"bids":[{bids}],"ts":"{ts}","seqId":{instrument.book_id}}}'


def _ticker_row(instrument: Instrument, ts: str) -> str:
    stats, price, size, product = instrument.stats, instrument.price, instrument.size, instrument.product
    if not stats.count:
        return ""
    bid, bid_size, ask, ask_size = instrument.best
    turnover = stats.turnover * product.tick * product.lot / UNIT**2
    coins = turnover if product.kind == "spot" else turnover / (stats.last * product.tick / UNIT)
    row = {
        "instType": product.market,
        "instId": product.native,
        "last": price(stats.last),
        "lastSz": size(stats.last_size),
        "askPx": price(ask) if ask else "",
        "askSz": size(ask_size) if ask else "",
        "bidPx": price(bid) if bid else "",
        "bidSz": size(bid_size) if bid else "",
        "open24h": price(stats.open),
        "high24h": price(stats.high),
        "low24h": price(stats.low),
        "sodUtc0": price(stats.open),
        "sodUtc8": price(stats.open),
        "volCcy24h": f"{coins:.4f}",
        "vol24h": size(stats.volume),
        "ts": ts,
    }
    return json(row).decode()


def _named_row(instrument: Instrument, ts: str, **values: str) -> str:
    product = instrument.product
    return json({"instType": product.market, "instId": product.native, **values, "ts": ts}).decode()


def _index_row(instrument: Instrument, ts: str) -> str:
    price = f"{instrument.index_price:.2f}"
    day = dict.fromkeys(("high24h", "low24h", "open24h", "sodUtc0", "sodUtc8"), price)
    return json({"instId": family(instrument.product), "idxPx": price, **day, "ts": ts}).decode()


def _funding_row(instrument: Instrument, ts: str) -> str:
    if instrument.product.kind != "perpetual":
        return ""
    paid = instrument.funding_next_ns // 1_000_000
    return _named_row(
        instrument,
        ts,
        formulaType="withRate",
        fundingRate=f"{instrument.funding:.10f}",
        fundingTime=str(paid),
        method="current_period",
        maxFundingRate="0.00375",
        minFundingRate="-0.00375",
        nextFundingRate="",
        nextFundingTime=str(paid + 28_800_000),
        settState="settled",
    )


def _interest_row(instrument: Instrument, ts: str) -> str:
    amount = instrument.size(instrument.open_interest)
    return _named_row(instrument, ts, oi=amount, oiCcy=amount, oiUsd=amount)


def _summary_row(instrument: Instrument, ts: str) -> str:
    greeks = instrument.greeks
    values = {
        "delta": greeks.delta, "gamma": greeks.gamma, "theta": greeks.theta, "vega": greeks.vega,
        "deltaBS": greeks.delta, "gammaBS": greeks.gamma, "thetaBS": greeks.theta, "vegaBS": greeks.vega,
        "markVol": greeks.volatility, "bidVol": max(greeks.volatility - 0.01, 0.0), "askVol": greeks.volatility + 0.01,
        "fwdPx": instrument.underlying_price,
    }  # fmt: skip
    texts = {name: f"{value:.10f}" for name, value in values.items()}
    return _named_row(instrument, ts, uly=family(instrument.product), lever="1", realVol="", volLv="0", **texts)


ROWS: Final[Mapping[str, Callable[[Instrument, str], str]]] = {
    "bbo-tbt": _quote_row,
    "tickers": _ticker_row,
    "mark-price": lambda one, ts: _named_row(one, ts, markPx=one.price(one.mark)),
    "index-tickers": _index_row,
    "funding-rate": _funding_row,
    "open-interest": _interest_row,
    "opt-summary": _summary_row,
    "instruments": lambda one, _: json(entry(one)).decode(),
}
