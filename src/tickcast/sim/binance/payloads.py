"""Slices of flow to the payloads of Binance's spot streams and REST answers, without I/O.

Field names and types follow the venue's public documentation (web-socket-streams.md and rest-api.md of
binance-spot-api-docs); prices and sizes are strings with eight decimals, times are milliseconds.

Update ids count changes of a symbol's book. ``depthUpdate`` carries what differs from the one before, as absolute
sizes, so that ``U`` is always the previous ``u`` + 1, and a snapshot with ``lastUpdateId`` between them fits.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from tickcast.sim.market import ASK, BID, Events, Kind, OrderFlow
from tickcast.sim.universe import UNIT

AGGREGATES_KEPT: Final = 1000
_TRADES: Final = (Kind.EXECUTE, Kind.EXECUTE_AT_PRICE, Kind.TRADE)
Send = Callable[[str, bytes], None]
"""(stream name, payload): payload for everybody who subscribed to the stream."""


def text(value: int) -> str:
    """1e-8 units as the venue writes numbers."""
    return f"-{text(-value)}" if value < 0 else f"{value // UNIT}.{value % UNIT:08d}"


class Aggregate:
    """Trades of one taker order at one price."""

    __slots__ = ("first", "last", "maker_buys", "number", "price", "size", "time_ms")

    def __init__(self, *, number: int, trade: int, price: int, size: int, maker_buys: bool, time_ms: int) -> None:
        self.number, self.first, self.last = number, trade, trade
        self.price, self.size, self.maker_buys, self.time_ms = price, size, maker_buys, time_ms

    def fields(self) -> str:
        """The fields that stream and REST share."""
        return (
            f'"a":{self.number},"p":"{text(self.price)}","q":"{text(self.size)}","f":{self.first},"l":{self.last},'
            f'"T":{self.time_ms},"m":{str(self.maker_buys).lower()},"M":true'
        )


class Stats:
    """What ``24hrTicker`` says of one symbol, since the start (a simulated day is younger than 24 hours)."""

    __slots__ = ("count", "first_id", "high", "last_price", "last_size", "low", "open", "quote_volume", "volume")

    def __init__(self, first_id: int) -> None:
        self.count = self.open = self.high = self.low = self.last_price = self.last_size = 0
        self.volume = self.quote_volume = 0
        self.first_id = first_id

    def trade(self, *, price: int, size: int) -> None:
        """Count one trade; price and size in 1e-8 units."""
        self.open = self.open or price
        self.high = max(self.high, price)
        self.low = min(self.low or price, price)
        self.last_price, self.last_size = price, size
        self.volume += size
        self.quote_volume += price * size // UNIT
        self.count += 1


class Symbol:
    """State of one symbol of the venue."""

    __slots__ = (
        "aggregate_id",
        "aggregates",
        "best",
        "depth_id",
        "exposed",
        "exposed_slow",
        "index",
        "levels",
        "lower",
        "name",
        "row",
        "slow_id",
        "slow_levels",
        "stats",
        "trade_id",
        "trades",
        "update_id",
    )

    def __init__(self, name: str, *, index: int, row: int, base: int) -> None:
        self.name, self.lower, self.index, self.row = name, name.lower(), index, row
        self.update_id = self.depth_id = self.slow_id = self.trade_id = self.aggregate_id = base
        self.levels: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self.slow_levels: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self.exposed: tuple[set[int], set[int]] = (set(), set())
        self.exposed_slow: tuple[set[int], set[int]] = (set(), set())
        self.best: tuple[int, int, int, int] = (0, 0, 0, 0)
        self.aggregates: deque[Aggregate] = deque(maxlen=AGGREGATES_KEPT)
        self.trades: deque[tuple[int, int, int, int, bool]] = deque(maxlen=AGGREGATES_KEPT)
        """Id, price, size, time in ms, and whether the buyer was the maker."""
        self.stats = Stats(base + 1)


class Payloads:
    """Keeps the venue's view of the books and writes payloads."""

    def __init__(self, flow: OrderFlow, names: list[str], *, base: int) -> None:
        self.flow = flow
        self._tick = flow.universe.tick
        self._lot = flow.universe.lot
        self.symbols = [
            Symbol(name, index=index, row=row, base=base)
            for row, (name, index) in enumerate(zip(names, flow.indices.tolist(), strict=True))
        ]
        self.by_name = {symbol.name: symbol for symbol in self.symbols}
        self.clock_offset_ns = 0
        """Added to the times that are written."""
        self._touched: set[int] = set()
        self._touched_slow: set[int] = set()
        self._touched_stats: set[int] = set()

    def begin(self) -> None:
        """Take the books as they are."""
        for symbol in self.symbols:
            symbol.update_id += 1
            symbol.depth_id = symbol.slow_id = symbol.update_id
            symbol.levels = self.book(symbol)
            symbol.slow_levels = symbol.levels

    def restart(self, update_id: int) -> None:
        """Begin the update ids anew; trades keep theirs, as at the real exchange."""
        for symbol in self.symbols:
            symbol.update_id = update_id
        self._touched.clear()
        self._touched_slow.clear()
        self.begin()

    def book(self, symbol: Symbol) -> tuple[dict[int, int], dict[int, int]]:
        """Bids and asks as price in ticks to size in lots."""
        sides: tuple[dict[int, int], dict[int, int]] = ({}, {})
        for side in (BID, ASK):
            levels = sides[side]
            sizes = self.flow.size[symbol.row, side].tolist()
            for price, size in zip(self.flow.price[symbol.row, side].tolist(), sizes, strict=True):
                if size:
                    levels[price] = levels.get(price, 0) + size
        return sides

    # ------------------------------------------------------------------ streams

    def slice(self, events: Events, ts: int, send: Send, wanted: set[str]) -> None:
        """Real-time streams: trades, aggregate trades, best prices; ``wanted`` streams only are written."""
        if not len(events):
            return
        rows = self.flow.row[events.index]
        changes = events.kind != Kind.TRADE
        counts = np.bincount(rows[changes], minlength=len(self.symbols))
        for row in np.flatnonzero(counts).tolist():
            self.symbols[row].update_id += int(counts[row])
            self._touched.add(row)
            self._touched_slow.add(row)
        self._trades(events, rows, (ts + self.clock_offset_ns) // 1_000_000, send, wanted)
        touched = np.flatnonzero(counts)
        self._best(touched.tolist(), send, wanted)

    def _trades(self, events: Events, rows: np.ndarray, now_ms: int, send: Send, wanted: set[str]) -> None:
        at = np.flatnonzero(np.isin(events.kind, _TRADES))
        if not len(at):
            return
        open_aggregates: dict[int, Aggregate] = {}
        columns = (rows[at], events.side[at], events.ref[at], events.price[at], events.size[at], events.ts[at])
        for row, side, ref, ticks, lots, true_ts in zip(*(column.tolist() for column in columns), strict=True):
            symbol, ts = self.symbols[row], true_ts + self.clock_offset_ns
            price, size = ticks * int(self._tick[symbol.index]), lots * int(self._lot[symbol.index])
            symbol.trade_id += 1
            symbol.stats.trade(price=price, size=size)
            self._touched_stats.add(row)
            maker_buys = side == BID
            symbol.trades.append((symbol.trade_id, price, size, ts // 1_000_000, maker_buys))
            stream = f"{symbol.lower}@trade"
            if stream in wanted:
                buyer, seller = (ref, symbol.trade_id) if maker_buys else (symbol.trade_id, ref)
                send(
                    stream,
                    (
                        f'{{"e":"trade","E":{now_ms},"s":"{symbol.name}","t":{symbol.trade_id},"p":"{text(price)}",'
                        f'"q":"{text(size)}","b":{buyer},"a":{seller},"T":{ts // 1_000_000},'
                        f'"m":{str(maker_buys).lower()},"M":true}}'
                    ).encode(),
                )
            last = open_aggregates.get(row)
            if last is not None and last.price == price and last.maker_buys == maker_buys:
                last.last = symbol.trade_id
                last.size += size
                continue
            if last is not None:
                self._close_aggregate(symbol, last, now_ms, send, wanted)
            symbol.aggregate_id += 1
            open_aggregates[row] = Aggregate(
                number=symbol.aggregate_id,
                trade=symbol.trade_id,
                price=price,
                size=size,
                maker_buys=maker_buys,
                time_ms=ts // 1_000_000,
            )
        for row, last in open_aggregates.items():
            self._close_aggregate(self.symbols[row], last, now_ms, send, wanted)

    def _close_aggregate(self, symbol: Symbol, done: Aggregate, now_ms: int, send: Send, wanted: set[str]) -> None:
        symbol.aggregates.append(done)
        stream = f"{symbol.lower}@aggTrade"
        if stream in wanted:
            send(stream, f'{{"e":"aggTrade","E":{now_ms},"s":"{symbol.name}",{done.fields()}}}'.encode())

    def _best(self, rows: list[int], send: Send, wanted: set[str]) -> None:
        if not rows:
            return
        columns = [column.tolist() for column in self.flow.best(np.array(rows))]
        for row, bid, bid_size, ask, ask_size in zip(rows, *columns, strict=True):
            symbol = self.symbols[row]
            best = (bid, bid_size, ask, ask_size)
            if best == symbol.best:
                continue
            symbol.best = best
            stream = f"{symbol.lower}@bookTicker"
            if stream in wanted:
                send(stream, f'{{"u":{symbol.update_id},"s":"{symbol.name}",{self._best_fields(symbol)}}}'.encode())

    def _best_fields(self, symbol: Symbol) -> str:
        tick, lot = int(self._tick[symbol.index]), int(self._lot[symbol.index])
        bid, bid_size, ask, ask_size = symbol.best
        return (
            f'"b":"{text(bid * tick)}","B":"{text(bid_size * lot)}",'
            f'"a":"{text(ask * tick)}","A":"{text(ask_size * lot)}"'
        )

    def depth(self, ts: int, send: Send, wanted: set[str], *, slow: bool) -> None:
        """Diff and partial depth streams: every 100 ms, and every second with ``slow``."""
        touched = self._touched_slow if slow else self._touched
        now_ms = (ts + self.clock_offset_ns) // 1_000_000
        suffix = "" if slow else "@100ms"
        for row in sorted(touched):
            symbol = self.symbols[row]
            now = self.book(symbol)
            before, first = (symbol.slow_levels, symbol.slow_id) if slow else (symbol.levels, symbol.depth_id)
            shown = symbol.exposed_slow if slow else symbol.exposed
            sides = [self._differences(symbol, before[side], now[side], shown[side]) for side in (BID, ASK)]
            if not any(sides):
                continue
            if slow:
                symbol.slow_levels, symbol.slow_id = now, symbol.update_id
            else:
                symbol.levels, symbol.depth_id = now, symbol.update_id
            stream = f"{symbol.lower}@depth{suffix}"
            if stream in wanted:
                send(
                    stream,
                    (
                        f'{{"e":"depthUpdate","E":{now_ms},"s":"{symbol.name}","U":{first + 1},'
                        f'"u":{symbol.update_id},"b":[{sides[BID]}],"a":[{sides[ASK]}]}}'
                    ).encode(),
                )
            for levels in (5, 10, 20):
                stream = f"{symbol.lower}@depth{levels}{suffix}"
                if stream in wanted:
                    send(stream, self.snapshot(symbol, levels).encode())
        touched.clear()

    def _differences(self, symbol: Symbol, before: dict[int, int], now: dict[int, int], shown: set[int]) -> str:
        changed = {price: size for price, size in now.items() if before.get(price) != size}
        changed.update((price, 0) for price in before if price not in now)
        changed.update((price, now.get(price, 0)) for price in shown)
        shown.clear()
        return self._levels(symbol, sorted(changed.items()))

    def _levels(self, symbol: Symbol, levels: list[tuple[int, int]]) -> str:
        tick, lot = int(self._tick[symbol.index]), int(self._lot[symbol.index])
        return ",".join(f'["{text(price * tick)}","{text(size * lot)}"]' for price, size in levels)

    def tickers(self, ts: int, send: Send, wanted: set[str]) -> None:
        """``@ticker`` of what traded since the last call: every second."""
        for row in sorted(self._touched_stats):
            symbol = self.symbols[row]
            stream = f"{symbol.lower}@ticker"
            if stream in wanted:
                send(stream, self._ticker(symbol, (ts + self.clock_offset_ns) // 1_000_000).encode())
        self._touched_stats.clear()

    def _ticker(self, symbol: Symbol, now_ms: int) -> str:
        stats = symbol.stats
        tick = int(self._tick[symbol.index])
        before = int(self.flow.universe.previous_close[symbol.index]) * tick
        change = stats.last_price - before
        percent = change * 10_000 // before if before else 0
        sign = "-" if percent < 0 else ""
        average = stats.quote_volume * UNIT // stats.volume if stats.volume else 0
        return (
            f'{{"e":"24hrTicker","E":{now_ms},"s":"{symbol.name}","p":"{text(change)}",'
            f'"P":"{sign}{abs(percent) // 100}.{abs(percent) % 100:02d}0","w":"{text(average)}","x":"{text(before)}",'
            f'"c":"{text(stats.last_price)}","Q":"{text(stats.last_size)}",{self._best_fields(symbol)},'
            f'"o":"{text(before)}","h":"{text(max(stats.high, before))}",'
            f'"l":"{text(min(stats.low or before, before))}",'
            f'"v":"{text(stats.volume)}","q":"{text(stats.quote_volume)}","O":{now_ms - 86_400_000},"C":{now_ms},'
            f'"F":{stats.first_id},"L":{symbol.trade_id},"n":{stats.count}}}'
        )

    # ------------------------------------------------------------------ REST

    def snapshot(self, symbol: Symbol, limit: int) -> str:
        """``/api/v3/depth``: the book as of now."""
        bids, asks = self.book(symbol)
        self._expose(symbol, (bids, asks))
        best_bids = sorted(bids.items(), reverse=True)[:limit]
        best_asks = sorted(asks.items())[:limit]
        return (
            f'{{"lastUpdateId":{symbol.update_id},"bids":[{self._levels(symbol, best_bids)}],'
            f'"asks":[{self._levels(symbol, best_asks)}]}}'
        )

    def _expose(self, symbol: Symbol, now: tuple[dict[int, int], dict[int, int]]) -> None:
        """Remember levels that a snapshot showed between two updates.

        Such a level may be as before at the next update; the update has to say so, or the snapshot's holder errs.
        """
        for before, exposed in ((symbol.levels, symbol.exposed), (symbol.slow_levels, symbol.exposed_slow)):
            for side in (BID, ASK):
                prices = before[side].keys() | now[side].keys()
                exposed[side].update(price for price in prices if before[side].get(price) != now[side].get(price))

    def aggregates(self, symbol: Symbol, *, from_id: int | None, limit: int) -> str:
        """``/api/v3/aggTrades``: the newest, or those from an id on."""
        found: Iterator[Aggregate] = iter(symbol.aggregates)
        if from_id is not None:
            chosen = [one for one in found if one.number >= from_id][:limit]
        else:
            chosen = list(found)[-limit:]
        return f"[{','.join(f'{{{one.fields()}}}' for one in chosen)}]"

    @staticmethod
    def older(symbol: Symbol, *, from_id: int | None, limit: int) -> str:
        """``/api/v3/historicalTrades``, likewise."""
        kept = list(symbol.trades)
        chosen = kept[-limit:] if from_id is None else [one for one in kept if one[0] >= from_id][:limit]
        rows = [
            f'{{"id":{ident},"price":"{text(price)}","qty":"{text(size)}","time":{time_ms},'
            f'"isBuyerMaker":{str(maker_buys).lower()},"isBestMatch":true}}'
            for ident, price, size, time_ms, maker_buys in chosen
        ]
        return f"[{','.join(rows)}]"
