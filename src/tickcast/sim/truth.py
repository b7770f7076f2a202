"""What is true at a venue: the numbers that tests compare with what a consumer shows."""

from typing import Any

from tickcast.sim.dialect import Dialect
from tickcast.sim.universe import UNIT, Universe, decimal_text, tick_digits


def size_text(universe: Universe, index: int, lots: int) -> str:
    """Return a size as a plain decimal, with the digits of its lot."""
    lot = int(universe.lot[index])
    return decimal_text(lots * lot, digits=tick_digits(lot)) if lot < UNIT else str(lots * lot // UNIT)


def venue_truth(dialect: Dialect) -> dict[str, dict[str, Any]]:
    """Best prices, last trade and counts of every symbol, by the venue's own symbol; prices are decimal texts or null.

    ``last`` is the last printed trade, ``last_price_round`` the price of the last one of at least a round lot, which is
    what may set a last price where odd lots may not. ``volume`` excludes broken trades.
    """
    flow = dialect.flow
    universe = flow.universe
    names, last_ids = dialect.names(), dialect.last_ids()
    bid, bid_size, ask, ask_size = (column.tolist() for column in flow.best())
    answer: dict[str, dict[str, Any]] = {}
    for row, index in enumerate(flow.indices.tolist()):

        def price(ticks: int, index: int = index) -> str | None:
            return universe.price_text(index, ticks) if ticks else None

        traded = int(flow.trades[row])
        answer[names[row]] = {
            "symbol": universe.symbols[index],
            "bid": price(bid[row]),
            "bid_size": size_text(universe, index, bid_size[row]),
            "ask": price(ask[row]),
            "ask_size": size_text(universe, index, ask_size[row]),
            "last": price(int(flow.last_price[row])) if traded else None,
            "last_size": size_text(universe, index, int(flow.last_size[row])) if traded else None,
            "last_id": last_ids[row] if traded else None,
            "last_ts_ns": int(flow.last_ts[row]) if traded else None,
            "last_price_round": price(int(flow.round_price[row])),
            "trades": traded,
            "broken": int(flow.broken[row]),
            "volume": size_text(universe, index, int(flow.volume[row])),
            "prev_close": price(int(universe.previous_close[index])),
            "status": flow.status(row),
        }
    return answer
