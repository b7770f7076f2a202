"""What rows tell of books, held against the orders that rest at the simulated exchange."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from tickcast import _native
from tickcast.model.batch import TickBatch
from tickcast.model.instrument import Definition
from tickcast.sim.crypto.levels import in_order, read_levels
from tickcast.sim.dialect import Dialect
from tickcast.sim.truth import size_text
from tickcast.testing.levels import LevelReader, Levels

WATCHED_LEVELS = 50


def true_books(dialect: Dialect) -> dict[str, tuple[Levels, Levels]]:
    """Bids and asks of every symbol, best first, counted from the orders."""
    flow, names = dialect.flow, dialect.names()
    universe = flow.universe
    found = {}
    for row, index in enumerate(flow.indices.tolist()):
        bids, asks = (
            tuple(
                (Decimal(universe.price_text(index, ticks)), Decimal(size_text(universe, index, lots) or 0))
                for ticks, lots in in_order(levels, side)
            )
            for side, levels in enumerate(read_levels(flow, row))
        )
        found[names[row]] = bids, asks
    return found


def every_other(venue: str, dialect: Dialect) -> set[int]:
    """Instruments of every second symbol: their books are watched, the others' are not."""
    return {_native.instrument_id(f"{venue}:{symbol}") for symbol in sorted(dialect.names())[::2]}


def wrong_levels(
    dialect: Dialect, batches: Iterable[TickBatch], definitions: Mapping[int, Definition], watched: set[int]
) -> list[str]:
    """What rows tell that is not so: of watched books all of the best levels, of others nothing."""
    reader = LevelReader()
    for batch in batches:
        reader.read(batch.records)
    symbols = {key: one.symbol for key, one in definitions.items()}
    found = [f"{symbols[key]} is told, and nobody watches it" for key in reader.known() - watched]
    true = true_books(dialect)
    for key in watched & symbols.keys():
        bids, asks = true[symbols[key]]
        expected = bids[:WATCHED_LEVELS], asks[:WATCHED_LEVELS]
        if reader.book(key) != expected:
            found.append(f"{symbols[key]} is told as {reader.book(key)}, it is {expected}")
    return found
