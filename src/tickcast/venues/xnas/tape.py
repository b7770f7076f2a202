"""ITCH behind any transport: decoder and books, the day, the directory, and how far all of it can be believed.

The transports (SoupBinTCP, MoldUDP64) bring numbered messages in order and know what is missing; this object knows what
that means for the instruments. Three things may stand in the way of ``live``:

- *catching up*: the session is told from its beginning; what happened before we came is not news;
- a *gap*: messages are missing now and are being fetched. All instruments are ``gap`` from the moment that is known,
  and told as they are when nothing is missing any more;
- a *doubt*: messages are lost for good. The books are begun anew and hold only what came since; trades go on exactly.
  It lasts until all is told again, or until the next session.
"""

import struct
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any, Final

import numpy as np

from tickcast import _native
from tickcast.model.errors import UsageError
from tickcast.model.instrument import Definition
from tickcast.model.record import Flag, Kind, Records, State, record_bytes, records_from
from tickcast.venues import rows
from tickcast.venues.base import Step, VenueConfig
from tickcast.venues.naming import Naming, SymbolError
from tickcast.venues.xnas.day import TradingDay, new_york_day

BACKFILL_NS: Final = 1_000_000_000
"""What happened so long before the login is told again, not news."""
REGAIN_NS: Final = 10_000_000_000
"""Time after which one more repair by telling all again is allowed."""
UNKNOWN_TYPE: Final = "unknown type"
LENGTH: Final = 2
"""Bytes of the length before each message."""
ROUND_LOT: Final = "100"
"""Lot size of a stock whose directory message was lost."""


class Repeats:
    """How often the whole session may be told again: a few times in a row, then once in :data:`REGAIN_NS`."""

    def __init__(self, count: int) -> None:
        self._free_at = [0] * max(count, 1)

    @property
    def next_ns(self) -> int:
        """When the next one is allowed."""
        return min(self._free_at)

    def take(self, now_ns: int) -> bool:
        """Use one up, if there is one."""
        if self.next_ns > now_ns:
            return False
        self._free_at.remove(self.next_ns)
        self._free_at.append(max(now_ns, max(self._free_at, default=0)) + REGAIN_NS)
        return True


class Tape:
    """See the module."""

    def __init__(
        self,
        *,
        feed: str,
        config: VenueConfig,
        securities: Mapping[str, Sequence[str]],
        previous_close: Mapping[str, str],
        ends_by_time: bool = True,
    ) -> None:
        """``ends_by_time``: event times tell when a replay is at the login's time; otherwise the transport knows."""
        try:
            self.date = date.fromisoformat(config.date) if config.date else None
        except ValueError as wrong:
            raise UsageError(f"feeds.{feed}.date: {wrong}") from wrong
        self._config = config
        self._naming = Naming(feed=feed, venue=config.venue, calendar=config.calendar, securities=securities)
        self._previous_close = previous_close
        self._ends_by_time = ends_by_time
        self.doubt: State | None = None
        """What stands in for ``live`` since messages were lost; until the next session."""
        self.is_gap = False
        """Messages are missing now."""
        self.is_catching_up = False
        self.is_telling_again = False
        """The catching up is a repair: instruments stay ``gap`` meanwhile."""
        self._login_ns = 0
        self._last_event_ns = 0
        self._known_flaws: set[int] = set()
        """Numbers of messages that made us begin anew."""
        self._venue_types: set[int] = set()
        """Types that we do not know and the venue does: told again, a message was of the same one."""
        self._day = TradingDay(self.date or date(1970, 1, 2), fixed=self.date is not None)
        self._books: frozenset[int] = frozenset()
        """Instruments whose book is watched."""
        self.decoder = self._new_decoder()
        self._directory: dict[str, bytes] = {}
        self._defined: dict[str, Definition] = {}

    def watch_books(self, step: Step, instruments: Collection[int], ts_recv: int) -> None:
        """Tell the levels of these books from now on, and of no others.

        While the session is told (again) the decoder says nothing of levels: those of before are forgotten here.
        """
        gone, self._books = self._books.difference(instruments), frozenset(instruments)
        if self.is_catching_up and not self._config.depth:
            for known in self._defined.values():
                if known.instrument in gone:
                    step.records.append(rows.unknown_book(known.instrument, ts_event=ts_recv, ts_recv=ts_recv))
        self._add_rows(step, self.decoder.watch_books(list(self._books), ts_recv))

    # ------------------------------------------------------------------ what the transport knows

    def begin(self, step: Step, ts_recv: int) -> None:
        """Begin another feed session with empty books."""
        step.new_session = True
        self.doubt, self.is_gap, self.is_telling_again = None, False, False
        self._known_flaws.clear()
        self._day = TradingDay(self.date or new_york_day(ts_recv), fixed=self.date is not None)
        self.decoder = self._new_decoder()
        self._directory.clear()
        self._empty_books(step, State.SYNCING, ts_recv)

    def login(self, ts_recv: int, *, from_start: bool) -> None:
        """Say that the session is told from here on, from its beginning or from where it stands."""
        self._login_ns = ts_recv
        self.is_catching_up = self.date is None and (from_start or self.is_catching_up)
        if self.is_catching_up:
            self.decoder.mute_books(is_muted=True, ts_recv=ts_recv)  # nothing is told of levels yet

    def tell_again(self, ts_recv: int) -> None:
        """Begin the books anew: the session is told again from its beginning, instruments stay as they are."""
        self._day = TradingDay(self.date or new_york_day(ts_recv), fixed=self.date is not None)
        self.decoder = self._new_decoder()
        self.decoder.mute_books(is_muted=True, ts_recv=ts_recv)
        self._directory.clear()
        self._login_ns = ts_recv
        self.doubt = None
        self.is_gap, self.is_catching_up, self.is_telling_again = False, True, True

    def mark(self, step: Step, *, missing: int, next_seq: int, ts_recv: int) -> None:
        """Messages are missing (0 = unknown number): every instrument is ``gap`` until :meth:`clear`."""
        step.records.append(rows.gap(rows.MARKET, missing, next_seq=next_seq, ts_recv=ts_recv))
        was_gap, self.is_gap = self.is_gap, True
        if was_gap or self.is_catching_up:
            return
        for known in self._defined.values():
            step.records.append(rows.status(known.instrument, State.GAP, ts_event=ts_recv, ts_recv=ts_recv))

    def clear(self, step: Step, *, recovered: int, next_seq: int, ts_recv: int) -> None:
        """Nothing is missing any more: the ledger says that ``recovered`` messages came after all, unless 0."""
        if recovered:
            step.records.append(rows.gap(rows.MARKET, recovered, next_seq=next_seq, ts_recv=ts_recv, repaired=True))
        self.is_gap = False
        if not self.is_catching_up:
            self._tell(step, ts_recv)

    def lose(self, step: Step, state: State, *, missing: int, next_seq: int, ts_recv: int) -> None:
        """Messages are lost for good: books begin anew, and every stock is in doubt until the next session."""
        self.doubt = state
        self.is_gap, self.is_catching_up, self.is_telling_again = False, False, False
        self.decoder = self._new_decoder()
        for message in self._directory.values():
            self.decoder.decode(message, 0, ts_recv)
        for known in self._defined.values():
            step.records.append(rows.gap(known.instrument, missing, next_seq=next_seq, ts_recv=ts_recv))
        self._empty_books(step, state, ts_recv)

    def caught_up(self, step: Step, ts_recv: int) -> None:
        """We are at the login's time, or the venue has nothing more to tell."""
        if not self.is_catching_up:
            return
        self.is_catching_up, self.is_telling_again = False, False
        self._add_rows(step, self.decoder.mute_books(is_muted=False, ts_recv=ts_recv))
        if not self.is_gap:
            self._tell(step, ts_recv)

    # ------------------------------------------------------------------ messages

    def decode(self, step: Step, block: bytes, *, count: int, first_seq: int, ts_recv: int) -> bool:
        """Decode messages, each preceded by its length; False: they show that something before them is missing.

        A message that shows it again when the session is told again is as the venue means it.
        """
        step.messages += count
        decoded = self.decoder.decode(block, first_seq, ts_recv)
        step.unpriced += decoded.unpriced
        is_whole = self.doubt is None and self.date is None
        if decoded.unpriced and is_whole:
            step.bury(f"{decoded.unpriced} messages of orders that were never added", block[:256])
        for _, reason, raw in decoded.dead:
            step.bury(reason, raw)
        step.dead_count += decoded.dead_count - len(decoded.dead)
        for stock in decoded.instruments:
            self._define(step, stock, ts_recv)
        for name in decoded.met:
            self._meet(step, name.strip(), ts_recv)
        if decoded.records:
            step.records.append(self._stamp(decoded.records, ts_recv))
            if self._ends_by_time and self.is_catching_up and self._last_event_ns >= self._login_ns - BACKFILL_NS:
                self.caught_up(step, ts_recv)
        if not is_whole:
            return True
        suspects = decoded.suspects + (self._unknown(decoded, block, first_seq) if decoded.unknown else [])
        news = [seq for seq in suspects if seq not in self._known_flaws]
        self._known_flaws.update(news)
        return not news

    def _unknown(self, decoded: "_native.Decoded", block: bytes, first_seq: int) -> list[int]:
        """Return the numbers of messages whose unknown type may be damage: told again, they would be of another."""
        suspects = []
        seq, place = first_seq, 0
        for offset, reason, raw in decoded.dead:
            if reason != UNKNOWN_TYPE or not raw or raw[0] in self._venue_types:
                continue
            while place < offset and place + LENGTH <= len(block):
                place += LENGTH + int.from_bytes(block[place : place + LENGTH], "big")
                seq += 1
            if seq in self._known_flaws:
                self._venue_types.add(raw[0])
            suspects.append(seq)
        return suspects

    def _stamp(self, data: bytes, ts_recv: int) -> bytes:
        """Put event times on their day; say what is told again and what is in doubt."""
        records = records_from(bytearray(data))
        self._day.correct(records["ts_event"], ts_recv)
        if self.is_catching_up:
            self._last_event_ns = int(records["ts_event"][-1])
            records = self._without_past(records)
        return self._with_doubt(records)

    def _without_past(self, records: Records) -> Records:
        """Of what happened before the login only trades and busts are told, as repeats: old quotes are not live.

        The books are kept all the same; their best prices follow at the end of the catching up.
        """
        old = records["ts_event"] < self._login_ns - BACKFILL_NS
        told = np.isin(records["kind"], (Kind.TRADE, Kind.BUST))
        records["flags"][told] |= np.uint16(Flag.REPLAYED)  # also around the login: what is new counts all the same
        records["flags"][old] |= np.uint16(Flag.LAST_OF_EVENT)
        return records[~old | told]

    def _with_doubt(self, records: Records) -> bytes:
        state = State.GAP if self.is_gap or self.is_telling_again else self.doubt
        if state is not None:
            live = (records["kind"] == Kind.STATUS) & (records["detail"] == State.LIVE)
            records["detail"][live] = state
        return bytes(record_bytes(records))

    def _tell(self, step: Step, ts_recv: int) -> None:
        """Tell best prices and states as they are now."""
        records = records_from(bytearray(self.decoder.snapshot(ts_recv)))
        records["ts_event"] = ts_recv
        step.records.append(self._with_doubt(records))

    def _empty_books(self, step: Step, state: State, ts_recv: int) -> None:
        """Take back the quotes of books that are begun anew."""
        for known in self._defined.values():
            for kind in (Kind.BID, Kind.ASK):
                step.records.append(
                    rows.quote(
                        known.instrument, kind, None, seq=0, ts_event=ts_recv, ts_recv=ts_recv, last=kind == Kind.ASK
                    )
                )
            if self._config.depth or known.instrument in self._books:
                step.records.append(rows.unknown_book(known.instrument, ts_event=ts_recv, ts_recv=ts_recv))
            step.records.append(rows.status(known.instrument, state, ts_event=ts_recv, ts_recv=ts_recv))

    @staticmethod
    def _add_rows(step: Step, records: bytes) -> None:
        if records:
            step.records.append(records)

    def _new_decoder(self) -> "_native.ItchDecoder":
        decoder = _native.ItchDecoder(
            self._config.venue,
            self._day.midnight_ns,
            symbols=self._config.symbols or None,
            depth=self._config.depth,
        )
        decoder.watch_books(list(self._books), 0)
        return decoder

    # ------------------------------------------------------------------ stocks

    def _define(self, step: Step, stock: Mapping[str, object], ts_recv: int) -> None:
        symbol = str(stock["stock"]).strip()
        message = directory_message(stock)
        self._directory[symbol] = message
        told_ns = self._day.midnight_ns + int(str(stock["timestamp"]))
        self._add(step, symbol, str(stock["round_lot_size"]), message, told_ns=told_ns, ts_recv=ts_recv)

    def _meet(self, step: Step, symbol: str, ts_recv: int) -> None:
        """Define a stock that came without its directory message, which is lost: with what is usual."""
        if symbol not in self._directory and symbol not in self._defined:
            self._add(step, symbol, ROUND_LOT, symbol.encode("latin-1"), told_ns=ts_recv, ts_recv=ts_recv)

    def _add(self, step: Step, symbol: str, lot: str, raw: bytes, *, told_ns: int, ts_recv: int) -> None:
        try:
            definition = self._naming.define(
                symbol, asset_class="equity", currency="USD", tick_size="0.01", lot_size=lot
            )
        except SymbolError as wrong:
            step.bury(str(wrong), raw)
            return
        if self._defined.get(symbol) == definition:
            return
        self._defined[symbol] = definition
        step.definitions.append(definition)
        state = self._state()
        if state is not None:
            step.records.append(rows.status(definition.instrument, state, ts_event=ts_recv, ts_recv=ts_recv))
        close = self._previous_close.get(symbol)
        if close is not None:
            step.records.append(rows.previous_close(definition.instrument, close, ts_event=told_ns, ts_recv=ts_recv))

    def _state(self) -> State | None:
        """What an instrument is that becomes known now; None = as the venue says."""
        if self.is_catching_up and not self.is_telling_again:
            return State.SYNCING
        return State.GAP if self.is_gap or self.is_telling_again else self.doubt


DIRECTORY: Final = struct.Struct(">cHH6s8sccIcc2scccccIc")
"""A stock directory message (``R``, section 4.2.1)."""


def directory_message(stock: Mapping[str, Any]) -> bytes:
    """Build the message again from its fields, with its length before it: a new decoder is told of the stocks by it."""

    def letter(name: str) -> bytes:
        return str(stock[name]).encode("latin-1").ljust(1)[:1]

    message = DIRECTORY.pack(
        b"R",
        stock["stock_locate"],
        stock["tracking_number"],
        int(stock["timestamp"]).to_bytes(6, "big"),
        str(stock["stock"]).encode("latin-1").ljust(8),
        letter("market_category"),
        letter("financial_status_indicator"),
        stock["round_lot_size"],
        letter("round_lots_only"),
        letter("issue_classification"),
        str(stock["issue_sub_type"]).encode("latin-1").ljust(2),
        letter("authenticity"),
        letter("short_sale_threshold_indicator"),
        letter("ipo_flag"),
        letter("luld_reference_price_tier"),
        letter("etp_flag"),
        stock["etp_leverage_factor"],
        letter("inverse_indicator"),
    )
    return len(message).to_bytes(2, "big") + message
