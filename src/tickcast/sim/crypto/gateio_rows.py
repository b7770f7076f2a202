"""What Gate.io's channels and lists write."""

from collections.abc import Sequence
from typing import Final

from tickcast.sim.crypto import levels
from tickcast.sim.crypto.state import BookNews, Instrument, Topic, Trade
from tickcast.sim.market import ASK, BID
from tickcast.sim.universe import UNIT, tick_digits

SPOT: Final = "spot"
FUNDING_S: Final = 28_800


def differences(topic: Topic, instrument: Instrument, news: BookNews, now_ns: int, *, whole: bool) -> bytes:
    """Write what changed in a book, or all of it."""
    sides = [news.bids, news.asks]
    if whole:
        sides = [levels.in_order(news.levels[side], side) for side in (BID, ASK)]
    full = '"full":true,' if whole else ""
    spot = f'"e":"depthUpdate","E":{now_ns // 1_000_000_000},' if topic.market == SPOT else ""
    bids, asks = (ladder(instrument, side) for side in sides)
    return _push(
        topic,
        now_ns,
        f'{{"t":{now_ns // 1_000_000},{spot}{full}"s":"{instrument.native}","U":{news.first},"u":{news.last},'
        f'"b":[{bids}],"a":[{asks}]}}',
    )


def ladder(instrument: Instrument, side: Sequence[tuple[int, int]]) -> str:
    """Write levels: of pairs as lists, of contracts as objects."""
    price, size = instrument.price, instrument.size
    if instrument.product.market == SPOT:
        return ",".join([f'["{price(ticks)}","{size(lots)}"]' for ticks, lots in side])
    return ",".join([f'{{"p":"{price(ticks)}","s":"{size(lots)}"}}' for ticks, lots in side])


def spot_trade(topic: Topic, instrument: Instrument, trade: Trade, now_ns: int) -> bytes:
    """Write a trade of a pair."""
    side = "buy" if trade.buy else "sell"
    micros = trade.ts_ns // 1000
    return _push(
        topic,
        now_ns,
        f'{{"id":{trade.id},"id_market":{trade.id},"create_time":{trade.ts_ns // 1_000_000_000},'
        f'"create_time_ms":"{micros // 1000}.{micros % 1000:03d}","side":"{side}",'
        f'"currency_pair":"{instrument.native}",'
        f'"amount":"{instrument.size(trade.size)}","price":"{instrument.price(trade.price)}",'
        f'"range":"{trade.id}-{trade.id}"}}',
    )


def signed(instrument: Instrument, trade: Trade) -> str:
    """Write a size whose sign says who was the aggressor."""
    return f"{'' if trade.buy else '-'}{instrument.size(trade.size)}"


def executed(instrument: Instrument, trade: Trade) -> str:
    """Write a trade as REST tells it: milliseconds of contracts are a fraction of seconds."""
    micros, price = trade.ts_ns // 1000, instrument.price(trade.price)
    if instrument.product.kind != "spot":
        seconds = f"{micros // 1_000_000}.{micros // 1000 % 1000:03d}"
        return (
            f'{{"id":{trade.id},"create_time":{seconds},"create_time_ms":{seconds},"contract":"{instrument.native}",'
            f'"size":"{signed(instrument, trade)}","price":"{price}"}}'
        )
    return (
        f'{{"id":"{trade.id}","create_time":"{micros // 1_000_000}","create_time_ms":"{micros // 1000}.'
        f'{micros % 1000:03d}000","currency_pair":"{instrument.native}","side":"{"buy" if trade.buy else "sell"}",'
        f'"amount":"{instrument.size(trade.size)}","price":"{price}","sequence_id":"{trade.id}"}}'
    )


def contract_trades(topic: Topic, instrument: Instrument, trades: Sequence[Trade], now_ns: int) -> bytes:
    """Write trades of a contract."""
    rows = ",".join(
        [
            f'{{"size":"{signed(instrument, one)}","id":{one.id},"create_time":{one.ts_ns // 1_000_000_000},'
            f'"create_time_ms":{one.ts_ns // 1_000_000},"price":"{instrument.price(one.price)}",'
            f'"contract":"{instrument.native}"}}'
            for one in trades
        ]
    )
    return _push(topic, now_ns, f"[{rows}]")


def liquidations(topic: Topic, instrument: Instrument, trades: Sequence[Trade], now_ns: int) -> bytes:
    """Write liquidations of a contract."""
    rows = ",".join(
        [
            f'{{"price":"{instrument.price(one.price)}","size":"{signed(instrument, one)}",'
            f'"time":{one.ts_ns // 1_000_000},"contract":"{instrument.native}"}}'
            for one in trades
        ]
    )
    return _push(topic, now_ns, f"[{rows}]")


def best(topic: Topic, instrument: Instrument, now_ns: int) -> bytes:
    """Write the best bid and offer."""
    bid, bid_size, ask, ask_size = instrument.best
    price, size = instrument.price, instrument.size
    return _push(
        topic,
        now_ns,
        f'{{"t":{now_ns // 1_000_000},"u":{instrument.book_id},"s":"{instrument.native}",'
        f'"b":"{price(bid) if bid else ""}","B":"{size(bid_size)}","a":"{price(ask) if ask else ""}",'
        f'"A":"{size(ask_size)}"}}',
    )


def spot_ticker(topic: Topic, instrument: Instrument, now_ns: int) -> bytes:
    """Write the day's figures of a pair."""
    stats, price, product = instrument.stats, instrument.price, instrument.product
    turnover = stats.turnover * product.tick * product.lot / UNIT**2
    return _push(
        topic,
        now_ns,
        f'{{"currency_pair":"{instrument.native}","last":"{price(stats.last)}","lowest_ask":"{price(instrument.best[2])}",'
        f'"highest_bid":"{price(instrument.best[0])}","change_percentage":"0","base_volume":"{instrument.size(stats.volume)}",'
        f'"quote_volume":"{turnover:.8f}","high_24h":"{price(stats.high)}","low_24h":"{price(stats.low)}"}}',
    )


def contract_ticker(topic: Topic, instrument: Instrument, now_ns: int) -> bytes:
    """Write the figures of a contract."""
    stats, price, size = instrument.stats, instrument.price, instrument.size
    return _push(
        topic,
        now_ns,
        f'[{{"contract":"{instrument.native}","last":"{price(stats.last)}","change_percentage":"0",'
        f'"funding_rate":"{instrument.funding:.8f}","mark_price":"{price(instrument.mark)}",'
        f'"index_price":"{instrument.index_price:.2f}","total_size":"{size(instrument.open_interest)}",'
        f'"volume_24h":"{size(stats.volume)}","volume_24h_quote":"0","volume_24h_settle":"0","volume_24h_base":"0",'
        f'"quanto_base_rate":"","low_24h":"{price(stats.low)}","high_24h":"{price(stats.high)}"}}]',
    )


def rest_book(instrument: Instrument, book: BookNews, now_ns: int) -> bytes:
    """Write a book over REST."""
    sides = f'"asks":[{ladder(instrument, book.asks)}],"bids":[{ladder(instrument, book.bids)}]'
    if instrument.product.market == SPOT:
        now_ms = now_ns // 1_000_000
        return f'{{"id":{book.last},"current":{now_ms},"update":{now_ms},{sides}}}'.encode()
    seconds = f"{now_ns // 1_000_000_000}.{now_ns // 1_000_000 % 1000:03d}"
    return f'{{"id":{book.last},"current":{seconds},"update":{seconds},{sides}}}'.encode()


# ------------------------------------------------------------------ lists


def pair(instrument: Instrument) -> dict[str, object]:
    """Write an entry of the list of pairs."""
    product = instrument.product
    return {
        "id": product.native,
        "base": product.base,
        "quote": product.quote,
        "fee": "0.2",
        "min_quote_amount": "3",
        "amount_precision": tick_digits(product.lot),
        "precision": tick_digits(product.tick),
        "trade_status": "untradable" if instrument.halted else "tradable",
        "sell_start": 0,
        "buy_start": 0,
    }


def contract(instrument: Instrument) -> dict[str, object]:
    """Write a contract, as its list has it."""
    product = instrument.product
    inverse = product.market == "btc"
    return {
        "name": product.native,
        "type": "inverse" if inverse else "direct",
        "quanto_multiplier": "0" if inverse else product.contract_size,
        "mark_type": "index",
        "mark_price": instrument.price(instrument.mark),
        "index_price": f"{instrument.index_price:.2f}",
        "funding_rate": f"{instrument.funding:.8f}",
        "funding_interval": FUNDING_S,
        "funding_next_apply": instrument.funding_next_ns // 1_000_000_000,
        "order_price_round": instrument.price(1),
        "order_size_min": 1,
        "order_size_max": 1_000_000,
        "in_delisting": False,
        "enable_decimal": False,
        "status": "circuit_breaker" if instrument.halted else "trading",
        "position_size": int(instrument.open_interest),
        "orderbook_id": instrument.book_id,
        "trade_id": instrument.trade_id,
    }


def _push(topic: Topic, now_ns: int, result: str) -> bytes:
    return (
        f'{{"time":{now_ns // 1_000_000_000},"time_ms":{now_ns // 1_000_000},"channel":"{topic.channel}",'
        f'"event":"update","result":{result}}}'
    ).encode()
