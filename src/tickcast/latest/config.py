"""Settings of the newest state."""

from typing import Literal

import msgspec

ExcludedCondition = Literal["odd_lot", "out_of_sequence", "auction", "opening", "closing", "hidden", "backfilled"]


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How newest state is kept."""

    exclude_conditions: tuple[ExcludedCondition, ...] = ("odd_lot", "out_of_sequence")
    """Trades with one of these conditions set no last price; they count in volume and seq."""
    trade_memory: int = 64
    """Trades remembered for each instrument, about 64 bytes each: older ones cannot be busted or corrected."""
    bars_1s: int = 60
    """Bars of a second kept of each instrument that trades, about 200 bytes each."""
    bars_1m: int = 120
    """Bars of a minute kept, likewise."""
    start_wait_s: float = 5.0
    """A starting core lets clients in once every feed has defined its instruments, or after so long: a client that
    asks earlier would be told that there is no such symbol."""
    feed_silent_s: float = 5.0
    """Nothing heard of a feed process for so long (not even its health): its instruments are stale."""
    ledger_entries_max: int = 5_000
    """Entries of the gap ledger that are kept; the oldest that ended goes first."""
    ledger_changes_max: int = 512
    """States remembered for each instrument, the newest: what was before them is answered as unknown."""
    ledger_bytes_max: int = 8_388_608
    """Size of ``ledger.jsonl`` in the data folder before it is put aside."""
    ledger_keep: int = 3
    """Such files put aside that are kept."""
